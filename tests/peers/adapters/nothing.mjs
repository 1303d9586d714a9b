// No engine: a worker, achado's core and the model's bytes are brought together, and nothing is computed.
// What has all of these cannot show its first label sooner, however fast it is.
import { readModel } from "../../../src/js/fetching.ts";

const CORE = "/achado/dist/relaxed.wasm";
/** Tells how many bytes it was sent. */
const SCRIPT = "onmessage = ({ data }) => postMessage(data.bytes.byteLength);";

export async function start(model) {
  const importedAt = performance.now();
  const { signal } = new AbortController();
  const worker = new Worker(URL.createObjectURL(new Blob([SCRIPT])));
  const [core, { bytes }] = await Promise.all([
    WebAssembly.compileStreaming(fetch(CORE)),
    readModel(model, fetch, undefined, signal, undefined),
  ]);
  const size = bytes.byteLength;
  const arrived = new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
  });
  worker.postMessage({ core, bytes }, [bytes.buffer]);
  if ((await arrived) !== size) throw new Error("the worker has another model");
  return { label: undefined, importedAt };
}
