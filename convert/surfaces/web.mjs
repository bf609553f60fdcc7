// Ids and embeddings of a web folder: one JSON array of arrays of texts on standard input, one JSON object on standard output.
//
//     node --input-type=module --eval "$(cat web.mjs)" -- FOLDER
//
// in a folder with node_modules.

import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import * as transformers from "@huggingface/transformers";

const [folder] = process.argv.slice(1);
const { load, truncated } = await import(pathToFileURL(`${folder}/hub2hf.mjs`));
const embed = await load(transformers, folder);
const tokenizer = await transformers.AutoTokenizer.from_pretrained(folder);
const found = { ids: [], embeddings: [] };
for (const batch of JSON.parse(await text(process.stdin))) {
  for (const embedding of await embed(batch)) found.embeddings.push([...embedding]);
  for (const given of batch) found.ids.push(truncated(tokenizer(given, { return_tensor: false }).input_ids, tokenizer.model_max_length));
}
process.stdout.write(JSON.stringify(found));
