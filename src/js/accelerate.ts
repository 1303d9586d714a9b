// Bringing an opened model to a GPU: what does it is in webgpu.js, which is loaded for it.
import type { Files } from "./assets.js";
import type { Fetch } from "./fetching.js";
import { isPlace, messageOf } from "./kind.js";
import type { Opened } from "./opening.js";
import type { Asset } from "./types.js";
import { compileFile } from "./wasm.js";

/** An absolute address, which a worker can import. */
function addressOf(script: Asset): string {
  return isPlace(script)
    ? new URL(script, globalThis.document?.baseURI ?? globalThis.location?.href).href
    : URL.createObjectURL(new Blob([script as BlobPart], { type: "text/javascript" }));
}

/**
 * Brings the engine to a GPU and follows it. Resolves when that is settled for the first time; what
 * keeps it on the processor is among the fallbacks.
 */
export async function accelerate(
  opened: Opened,
  mode: "auto" | "webgpu",
  files: Files,
  fetch: Fetch,
  model: () => Promise<ArrayBuffer>,
): Promise<void> {
  const { fallbacks } = opened;
  try {
    if (!globalThis.navigator?.gpu) throw new Error("there is no WebGPU here");
    const script = addressOf(files.find("webgpu.js"));
    const loading = import(/* webpackIgnore: true */ /* @vite-ignore */ script);
    const { follow } = (await loading) as typeof import("./webgpu.js");
    const { signal } = new AbortController();
    const module = await compileFile(files.find("gpu.wasm"), fetch, signal, fallbacks);
    await follow(opened, { mode, script, module }, model);
  } catch (cause) {
    fallbacks.push({ from: "webgpu", to: "wasm", reason: messageOf(cause) });
  }
}
