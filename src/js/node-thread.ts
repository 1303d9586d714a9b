// A worker thread of Node behind the interface of a browser's worker.
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { Files } from "./assets.js";
import { isBlob, isPlace } from "./kind.js";
import type { WorkerLike } from "./platform.js";
import type { Asset } from "./types.js";

/** Without the flags of the process, such as loaders, which the script needs none of. */
const OPTIONS = { execArgv: [], name: "achado" };

function startFrom(script: Asset): Worker {
  if (isBlob(script)) throw new Error("node-worker.js as a Blob cannot be started: give its bytes");
  if (isPlace(script)) {
    const text = String(script);
    return new Worker(text.startsWith("file:") ? fileURLToPath(text) : text, OPTIONS);
  }
  const bytes = ArrayBuffer.isView(script)
    ? Buffer.from(script.buffer, script.byteOffset, script.byteLength)
    : Buffer.from(script as ArrayBuffer);
  const url = `data:text/javascript;base64,${bytes.toString("base64")}`;
  return new Worker(new URL(url), OPTIONS);
}

/**
 * Starts the package's worker thread.
 *
 * @throws {Error} why there is none
 */
export function startThread(files: Files): WorkerLike {
  const worker = startFrom(files.find("node-worker.js"));
  const like: WorkerLike = {
    onmessage: null,
    onerror: null,
    postMessage: (message: unknown, transfer?: unknown) =>
      worker.postMessage(message, transfer as Parameters<Worker["postMessage"]>[1]),
    terminate: () => void worker.terminate(),
    ref: () => worker.ref(),
    unref: () => worker.unref(),
  };
  const call = (handler: unknown, event: object) =>
    (handler as ((event: object) => void) | null)?.(event);
  let ended = false;
  const fail = (error: Error) => {
    if (ended) return;
    ended = true;
    call(like.onerror, { message: error.message });
  };
  worker.on("message", (data) => call(like.onmessage, { data }));
  worker.on("messageerror", fail);
  worker.on("error", fail);
  worker.on("exit", (code) => {
    // 0 is a helper that was dismissed, 1 after `terminate`, when nobody listens any more.
    if (code !== 0) fail(new Error(`its thread ended with ${code}`));
  });
  return like;
}
