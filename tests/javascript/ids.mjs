// The ids that a library gives: one JSON string a line on standard input, one JSON array of ids a line on standard output.
//
//     node --input-type=module --eval "$(cat ids.mjs)" -- tokenizers|transformers FOLDER
//
// in a folder with node_modules, which is where a script that is given so finds its packages.
// FOLDER holds tokenizer.json and tokenizer_config.json. The first line that is written is empty: it has been loaded.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";

// One library truncates nothing, the other cuts off the end of the text with what is too much: the last id is that of the end.
const truncated = (length, encode) => (text) => {
  const ids = encode(text);
  return ids.length > length ? [...ids.slice(0, length - 1), ids.at(-1)] : ids;
};

const loaders = {
  async tokenizers(folder) {
    const { Tokenizer } = await import("@huggingface/tokenizers");
    const read = async (name) => JSON.parse(await readFile(join(folder, name), "utf8"));
    const config = await read("tokenizer_config.json");
    const tokenizer = new Tokenizer(await read("tokenizer.json"), config);
    return truncated(config.model_max_length, (text) => tokenizer.encode(text).ids);
  },
  async transformers(folder) {
    const { AutoTokenizer, env } = await import("@huggingface/transformers");
    env.allowRemoteModels = false;
    const tokenizer = await AutoTokenizer.from_pretrained(folder);
    const config = { model_max_length: tokenizer.model_max_length };
    return truncated(config.model_max_length, (text) => tokenizer(text, { return_tensor: false }).input_ids);
  },
};

const [library, folder] = process.argv.slice(1);
const ids = await loaders[library](folder);
process.stdout.write("\n");
for await (const line of createInterface({ input: process.stdin })) {
  if (!process.stdout.write(`${JSON.stringify(ids(JSON.parse(line)))}\n`)) await once(process.stdout, "drain");
}
