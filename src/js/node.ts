// The same API in Node: files by path, pictures decoded by a wasm file of their own.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { isMainThread } from "node:worker_threads";
import { apiOn } from "./api.js";
import { type Files, FOLDERS, type OwnFiles } from "./assets.js";
import { decode } from "./decode.js";
import type { Frame } from "./engine.js";
import { fetchOk } from "./fetching.js";
import { bytesOf, isArrayBuffer, isBlob, isPlace, isResponse } from "./kind.js";
import { fetchAnything } from "./node-files.js";
import { besideOf, openFolder } from "./node-folders.js";
import { startThread } from "./node-thread.js";
import { CORES, MODEL, ONNX, TRACT } from "./own-files.js";
import { checkRawImage, isRawImage, toFrame } from "./pixels.js";
import type { Platform } from "./platform.js";
import { memorySharingProblem } from "./threads.js";
import type { AssetName, ImageInput } from "./types.js";
import { compileFile } from "./wasm.js";

export * from "./common.js";
export { defaultModel } from "./default-model.js";

/** By pkg-config/bundle.mjs. */
declare const ACHADO_VERSION: string;

/**
 * The package where it is installed, for scripts that a bundler has taken away from its files:
 * undefined where there is none of this version.
 */
function installed(): string | undefined {
  try {
    const from = createRequire(path.join(process.cwd(), "package.json"));
    const manifest = from.resolve("achado/package.json");
    const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
    return version === ACHADO_VERSION ? path.dirname(manifest) : undefined;
  } catch {
    return undefined;
  }
}

/** Places that are looked up where the package is installed if there is nothing beside the script. */
function orInstalled(own: OwnFiles): OwnFiles {
  const entries = Object.entries(own) as [AssetName, () => URL][];
  const found = entries.map(([name, place]) => {
    const look = () => {
      let beside: URL | undefined;
      try {
        beside = place();
        if (beside.protocol === "file:" && existsSync(beside)) return beside;
      } catch {
        // No ES module.
      }
      const folder = installed();
      if (folder !== undefined) return pathToFileURL(path.join(folder, FOLDERS[name], name));
      if (beside) return beside;
      throw new Error("nobody knows");
    };
    return [name, look] as const;
  });
  return Object.fromEntries(found);
}

/** The bytes of a picture's file; undefined for what is none. */
async function encodedOf(image: unknown): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (isPlace(image)) {
    const never = new AbortController().signal;
    const response = await fetchOk(fetchAnything, image, "the picture", "INVALID_INPUT", never);
    return new Uint8Array(await response.arrayBuffer());
  }
  if (isResponse(image)) return new Uint8Array(await image.arrayBuffer());
  if (isBlob(image)) return bytesOf(image);
  // Copies: the caller may change the bytes.
  if (isArrayBuffer(image)) return new Uint8Array(image.slice(0));
  if (!ArrayBuffer.isView(image)) return undefined;
  return new Uint8Array(new Uint8Array(image.buffer, image.byteOffset, image.byteLength));
}

async function frameOf(
  image: ImageInput,
  { files, worker }: { files: Files; worker: boolean },
): Promise<Frame> {
  const encoded = await encodedOf(image);
  if (!encoded) return isRawImage(image) ? checkRawImage(image) : toFrame(image);
  const { signal } = new AbortController();
  const decoder = await compileFile(files.find("decode.wasm"), fetchAnything, signal, []);
  return worker ? { encoded, decoder } : decode(decoder, encoded);
}

const NODE: OwnFiles = {
  "decode.wasm": () => new URL("./decode.wasm", import.meta.url),
  "node-worker.js": () => new URL("./node-worker.js", import.meta.url),
};

const node: Platform = {
  files: orInstalled({ ...CORES, ...ONNX, ...TRACT, ...MODEL, ...NODE }),
  glues: {
    single: () => import("./generated/simd128/achado.js"),
    threaded: () => import("./generated/relaxed-threads/achado.js"),
    tract: () => import("./generated/tract/achado.js"),
    onnx: () => import("./generated/onnx/achado.js"),
  },
  parts: {
    bundle: () => import("./bundle.js"),
    configs: () => import("./configs.js"),
    externalData: () => import("./external-data.js"),
    modelStore: () => import("./model-store.js"),
  },
  fetch: fetchAnything,
  openFolder,
  besideOf,
  toFrame: frameOf,
  prefersWorker: isMainThread,
  startWorker: (_, files) => startThread(files),
  processors: availableParallelism,
  sharingProblem: memorySharingProblem,
  turn: () => new Promise((resolve) => setImmediate(resolve)),
};

export const { createClassifier, createModel, convertOnnx } = apiOn(node);
