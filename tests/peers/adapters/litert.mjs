// LiteRT.js: TensorFlow Lite with XNNPACK, compiled to WebAssembly. It has no int8 tensors.
import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";
import { best } from "../page.mjs";

async function load(model, threads) {
  await loadLiteRt("/node_modules/@litertjs/core/wasm/", { threads: threads > 1 });
  return loadAndCompile(model, { accelerator: "wasm", cpuOptions: { numThreads: threads } });
}

async function run(model, values, shape) {
  const input = new Tensor(values, shape);
  const outputs = await model.run([input]);
  const scores = outputs[0].toTypedArray().slice();
  input.delete();
  for (const output of outputs) output.delete();
  return scores;
}

export async function create(bytes, { threads, artifact }) {
  const model = await load(bytes, threads);
  return { run: (values) => run(model, values, artifact.shape) };
}

export async function start(url, values, { threads, artifact }) {
  const importedAt = performance.now();
  const model = await load(url, threads);
  const scores = await run(model, values, artifact.shape);
  return { label: best(scores), importedAt };
}
