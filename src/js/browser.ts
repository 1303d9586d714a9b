// The platform of pages, workers and service workers.
import type { OwnFiles } from "./assets.js";
import { startWorker } from "./browser-worker.js";
import { AchadoError } from "./errors.js";
import { fetchOk } from "./fetching.js";
import { besideUrl, type Parts } from "./files.js";
import { Conversion, initSync as initConverter } from "./generated/onnx/achado.js";
import { Core, initSync, simdLevel } from "./generated/simd128/achado.js";
import { isPlace, isResponse, messageOf } from "./kind.js";
import { toFrame } from "./pixels.js";
import type { Glues, Platform } from "./platform.js";
import { pageSharingProblem } from "./threads.js";
import type { ImageInput } from "./types.js";

/** Bundlers recognise exactly these forms. */
const WORKERS = {
  "worker.js": () => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }),
  "threaded-worker.js": () =>
    new Worker(new URL("./threaded-worker.js", import.meta.url), { type: "module" }),
};

/** Without what only workers need. */
const single = { Core, initSync, simdLevel };
const onnx = { Conversion, initSync: initConverter };

/** A part of the script that few need. */
async function fetched<T>(script: Promise<T>): Promise<T> {
  try {
    return await script;
  } catch (cause) {
    const reason = messageOf(cause);
    const remedy = /disallowed|not (?:allowed|supported)/.test(reason)
      ? 'service workers and backgrounds of extensions take all of it by importing "achado/static"'
      : "check the network, and that all of the package's .js files are served";
    throw new AchadoError(
      "BACKEND_UNAVAILABLE",
      `a script of achado's cannot be loaded: ${reason}; ${remedy}`,
      { reason },
      { cause },
    );
  }
}

const GLUES: Glues = {
  single: async () => single,
  threaded: () => fetched(import("./generated/relaxed-threads/achado.js")),
  tract: () => fetched(import("./generated/tract/achado.js")),
  onnx: async () => onnx,
};

const PARTS: Parts = {
  bundle: () => fetched(import("./bundle.js")),
  configs: () => fetched(import("./configs.js")),
  externalData: () => fetched(import("./external-data.js")),
  modelStore: () => fetched(import("./model-store.js")),
};

/** A picture by its address is fetched as a page's script would. */
async function frameOf(image: ImageInput) {
  if (!isPlace(image) && !isResponse(image)) return toFrame(image);
  const never = new AbortController().signal;
  const response = isPlace(image)
    ? await fetchOk((url) => fetch(url), image, "the picture", "INVALID_INPUT", never)
    : image;
  return toFrame(await response.blob());
}

/**
 * @param files The package's files that the entry point brings along.
 * @param glues Those that it brings along besides the usual ones.
 * @param parts What it does not fetch when it is needed.
 */
export function browserWith(
  files: OwnFiles,
  glues: Partial<Glues> = {},
  parts: Parts = PARTS,
): Platform {
  return {
    parts,
    besideOf: besideUrl,
    files,
    glues: { ...GLUES, ...glues },
    fetch: (url, signal) => fetch(url, { signal }),
    toFrame: frameOf,
    get prefersWorker() {
      return typeof window !== "undefined";
    },
    startWorker: (name, files) => startWorker(name, files, WORKERS[name]),
    processors: () => globalThis.navigator?.hardwareConcurrency ?? 1,
    sharingProblem: pageSharingProblem,
    turn: () => undefined,
  };
}
