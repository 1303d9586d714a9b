// A TensorFlow.js graph model on tfjs-backend-wasm, which has no int8.
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { loadGraphModel } from "@tensorflow/tfjs-converter";
import * as tf from "@tensorflow/tfjs-core";

/** model.json and its weights in one file: two lengths, little-endian, then the two. */
function unpack(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const [jsonBytes, weightsBytes] = [view.getUint32(0, true), view.getUint32(4, true)];
  const json = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + jsonBytes)));
  return tf.io.fromMemory({
    modelTopology: json.modelTopology,
    format: json.format,
    signature: json.signature,
    weightSpecs: json.weightsManifest.flatMap(({ weights }) => weights),
    weightData: bytes.slice(8 + jsonBytes, 8 + jsonBytes + weightsBytes).buffer,
  });
}

export async function create(bytes, { artifact }) {
  setWasmPaths("/node_modules/@tensorflow/tfjs-backend-wasm/dist/");
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
  await tf.setBackend("wasm");
  await tf.ready();
  const model = await loadGraphModel(unpack(bytes));
  return {
    async run(values) {
      const input = tf.tensor(values, artifact.shape);
      const output = model.predict(input);
      const scores = await output.data();
      input.dispose();
      output.dispose();
      return scores;
    },
  };
}
