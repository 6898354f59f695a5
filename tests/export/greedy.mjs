// Greedy search in another language than Python, by docs/export.md alone.
//
//     node greedy.mjs EXPORT LENGTH    (stdin: one JSON array of source ids per line)
//
// Writes one JSON array of target ids per line. Needs the package onnxruntime-web or onnxruntime-node.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
let ort;
try {
  ort = require("onnxruntime-node");
} catch {
  ort = require("onnxruntime-web");
  ort.env.wasm.numThreads = 1;
}
const [folder, length] = [process.argv[2], Number(process.argv[3])];
const manifest = JSON.parse(readFileSync(`${folder}/export.json`, "utf8"));
const open = (name) => ort.InferenceSession.create(new Uint8Array(readFileSync(`${folder}/${name}.onnx`)));
const integers = (values, shape) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape);
const pick = (values, names) => Object.fromEntries(names.map((name) => [name, values[name]]));
const tablesOf = (session) => session.inputNames.filter((name) => name.startsWith("table."));

const [prepare, encode, step] = await Promise.all(["prepare", "encode", "step"].map(open));
const { bos, eos, forbidden } = manifest.vocabulary;
const size = Math.max(manifest.vocabulary.source, manifest.vocabulary.target);
const all = Array.from({ length: size }, (_, id) => id);
const tables = await prepare.run({ ids: integers(all, [all.length]) });

for (const line of readFileSync(0, "utf8").trim().split("\n")) {
  const source = [...JSON.parse(line), manifest.vocabulary.source_eos];
  let state = await encode.run({
    tokens: integers(source, [1, source.length]),
    ...pick(tables, tablesOf(encode)),
  });
  const memory = pick(state, Object.keys(manifest.memory));
  if (step.inputNames.includes("mask")) {
    memory.mask = new ort.Tensor("float32", new Float32Array(source.length), [1, source.length]);
  }
  const written = [];
  for (let token = bos; written.length < length; ) {
    const after = await step.run({
      tokens: integers([token], [1]),
      ...pick(state, manifest.rows),
      ...memory,
      ...pick(tables, tablesOf(step)),
    });
    const logs = after.log_probabilities.data;
    for (const id of forbidden) logs[id] = -Infinity;
    if (written.length === 0) logs[eos] = -Infinity; // a translation has at least one token
    token = logs.reduce((best, value, id) => (value > logs[best] ? id : best), 0);
    if (token === eos) break;
    written.push(token);
    state = Object.fromEntries(manifest.rows.map((name) => [name, after[`next.${name}`]]));
  }
  console.log(JSON.stringify(written));
}
