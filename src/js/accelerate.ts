// Bringing an opened model to a GPU, beside its calls: what decides is in webgpu.js, which is loaded for it.
import type { Files } from "./assets.js";
import type { Engine } from "./engine.js";
import type { Fetch } from "./fetching.js";
import { isPlace, messageOf } from "./kind.js";
import type { Opened } from "./opening.js";
import type { Asset } from "./types.js";
import { compileFile } from "./wasm.js";

/** A GPU that is lost this often is left alone. */
const MOST_LOSSES = 3;

/** An absolute address, which a worker can import. */
function addressOf(script: Asset): string {
  if (!isPlace(script)) {
    return URL.createObjectURL(new Blob([script as BlobPart], { type: "text/javascript" }));
  }
  return new URL(script, globalThis.document?.baseURI ?? globalThis.location?.href).href;
}

/**
 * Brings the engine to a GPU and follows it: after a loss anew. Resolves when it is settled for the
 * first time; what keeps it on the processor is among the fallbacks.
 */
export async function accelerate(
  opened: Opened,
  mode: "auto" | "webgpu",
  files: Files,
  fetch: Fetch,
  model: () => Promise<ArrayBuffer>,
  losses = 0,
): Promise<void> {
  const { engine, fallbacks } = opened;
  opened.backend = "wasm";
  opened.adapter = undefined;
  const stay = (cause: unknown) => {
    // One that has been closed, or was made anew, tells nothing.
    if (isCurrent(opened, engine)) {
      fallbacks.push({ from: "webgpu", to: "wasm", reason: messageOf(cause) });
    }
  };
  try {
    if (!globalThis.navigator?.gpu) throw new Error("there is no WebGPU here");
    const never = new AbortController().signal;
    const module = await compileFile(files.find("gpu.wasm"), fetch, never, fallbacks);
    const script = addressOf(files.find("webgpu.js"));
    const bytes = new Uint8Array(await model());
    const { adapter } = await engine.accelerate({ mode, script, module, model: bytes });
    if (!isCurrent(opened, engine)) return;
    opened.backend = "webgpu";
    opened.adapter = adapter;
  } catch (cause) {
    return stay(cause);
  }
  engine.lost().then(
    (reason) => {
      if (!isCurrent(opened, engine)) return undefined;
      opened.backend = "wasm";
      opened.adapter = undefined;
      stay(`the GPU was lost: ${reason}`);
      if (losses + 1 < MOST_LOSSES) {
        return accelerate(opened, mode, files, fetch, model, losses + 1);
      }
      return undefined;
    },
    () => {},
  );
}

function isCurrent(opened: Opened, engine: Engine): boolean {
  return opened.engine === engine && engine.failure === undefined;
}
