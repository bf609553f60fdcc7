// The embeddings of a web folder: one JSON array of texts on standard input, one JSON array of embeddings on standard output.
//
//     node --input-type=module --eval "$(cat embed.mjs)" -- FOLDER
//
// in a folder with node_modules.

import { text } from "node:stream/consumers";
import * as transformers from "@huggingface/transformers";

const [folder] = process.argv.slice(1);
const { load } = await import(`${folder}/hub2hf.mjs`);
const embed = await load(transformers, folder);
const found = [];
for (const batch of JSON.parse(await text(process.stdin))) found.push(...(await embed(batch)));
process.stdout.write(JSON.stringify(found.map((embedding) => [...embedding])));
