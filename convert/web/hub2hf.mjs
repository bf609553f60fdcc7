// Sentence embeddings of this folder, with Transformers.js, in a browser or in Node.
//
//     import { load } from "./hub2hf.mjs";
//     import * as transformers from "@huggingface/transformers";
//     const embed = await load(transformers, "./folder");                   // seen from the page, or from where Node is run
//     const [first, second] = await embed(["a sentence", "another one"]);   // Float32Array each
//     similarity(first, second);                                            // cosine, from -1 to 1
//
// The tokenizer of Transformers.js cuts a text that is too long without its last id, that of the end; this cuts it rightly.

const LAST = -1;

// As many ids as there is room for; the last is that of the end.
export const truncated = (ids, length) => (ids.length > length ? [...ids.slice(0, length - 1), ids.at(LAST)] : ids);

// Give the function from texts to embeddings. `folder` is a path; `options` go to `AutoModel`.
export async function load(transformers, folder, options = {}) {
  const { AutoModel, AutoTokenizer, env } = transformers;
  // Only this folder, and as it is now: a name such as "some/folder" would be looked for on the Hub.
  Object.assign(env, { allowRemoteModels: false, allowLocalModels: true, useBrowserCache: false });
  const place = /^[./]/.test(folder) ? folder : `./${folder}`;
  const tokenizer = await AutoTokenizer.from_pretrained(place);
  const model = await AutoModel.from_pretrained(place, { dtype: "fp32", ...options });
  return async (texts) => {
    const rows = texts.map((text) => truncated(tokenizer(text, { return_tensor: false }).input_ids, tokenizer.model_max_length));
    const { sentence_embedding: found } = await model(inputs(transformers, rows, tokenizer.pad_token_id));
    const size = found.dims.at(LAST);
    return texts.map((_, row) => found.data.slice(row * size, (row + 1) * size));
  };
}

function inputs({ Tensor }, rows, pad) {
  const length = Math.max(...rows.map((ids) => ids.length));
  const tensor = (value) => {
    const values = rows.flatMap((ids) => Array.from({ length }, (_, at) => BigInt(value(ids, at))));
    return new Tensor("int64", BigInt64Array.from(values), [rows.length, length]);
  };
  return {
    input_ids: tensor((ids, at) => ids[at] ?? pad),
    attention_mask: tensor((ids, at) => (at < ids.length ? 1 : 0)),
    token_type_ids: tensor(() => 0),
  };
}

// The cosine of the angle between two embeddings.
export function similarity(first, second) {
  const dot = (a, b) => a.reduce((sum, value, at) => sum + value * b[at], 0);
  return dot(first, second) / Math.sqrt(dot(first, first) * dot(second, second));
}
