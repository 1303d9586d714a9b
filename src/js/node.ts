// The same API in Node: files by path, pictures decoded by a wasm file of their own.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { createOn } from "./classifier.js";
import { AchadoError, fromCore } from "./errors.js";
import { createModelOn } from "./image-model.js";
import { convertOn } from "./onnx.js";
import type { Platform } from "./opening.js";
import { checkRawImage, isRawImage, toFrame } from "./pixels.js";
import type {
  ClassifierOptions,
  ConvertOptions,
  ImageClassifier,
  ImageInput,
  ImageModel,
  LoadOptions,
  ModelSource,
  RawImage,
} from "./types.js";

export { openCamera } from "./camera.js";
export { defaultModel } from "./default-model.js";
export { cosineSimilarity } from "./embedding.js";
export { dequantize } from "./tensors.js";
export { AchadoError };

/** `fetch` for paths and `file:` URLs, too. */
async function fetchAnything(url: string | URL, signal: AbortSignal): Promise<Response> {
  const text = String(url);
  // One letter and a colon is a drive of Windows.
  if (/^[a-z][a-z0-9+.-]+:/i.test(text) && !text.startsWith("file:")) return fetch(url, { signal });
  const file = text.startsWith("file:") ? fileURLToPath(text) : text;
  const bytes = await readFile(file, { signal }).catch((error: NodeJS.ErrnoException) => {
    throw error.code === "ENOENT" ? new Error("there is no such file") : error;
  });
  const headers = {
    "content-length": String(bytes.byteLength),
    ...(file.endsWith(".wasm") && { "content-type": "application/wasm" }),
  };
  return new Response(bytes, { headers });
}

type Decode = typeof import("./generated/decode/achado.js").decodeImage;
let decoder: Promise<Decode> | undefined;

/** Loaded with the first picture that is no array of pixels; a failure is not kept. */
function loadDecoder(): Promise<Decode> {
  decoder ??= (async () => {
    const { decodeImage, initSync } = await import("./generated/decode/achado.js");
    const bytes = await readFile(new URL("./decode.wasm", import.meta.url));
    initSync({ module: await WebAssembly.compile(bytes) });
    return decodeImage;
  })().catch((error) => {
    decoder = undefined;
    throw error;
  });
  return decoder;
}

async function decode(file: Uint8Array): Promise<RawImage> {
  const decodeImage = await loadDecoder();
  try {
    return decodeImage(file);
  } catch (thrown) {
    if (!(thrown instanceof Error) || thrown instanceof WebAssembly.RuntimeError) {
      throw fromCore(thrown).error;
    }
    throw new AchadoError("INVALID_INPUT", thrown.message);
  }
}

const node: Platform = {
  fetch: fetchAnything,
  async toFrame(image: ImageInput) {
    if (image instanceof Uint8Array) return decode(image);
    if (image instanceof Blob) return decode(new Uint8Array(await image.arrayBuffer()));
    if (isRawImage(image)) return checkRawImage(image);
    return toFrame(image);
  },
  hasWindow: false,
  createWorker: undefined,
  createThreadedWorker: undefined,
};

/** As in the browser. A string that is no URL is a path. */
export function createClassifier(options: ClassifierOptions = {}): Promise<ImageClassifier> {
  return createOn(node, options);
}

/**
 * Loads a model for tensors and embeddings: a detector, a segmenter, anything that is no classifier.
 *
 * @throws {AchadoError} Its `code` says who is at fault; its message, what to do.
 */
export function createModel(options: LoadOptions = {}): Promise<ImageModel> {
  return createModelOn(node, options);
}

/**
 * Turns an ONNX model into the bytes of a `.tflite` model, which any TensorFlow Lite runtime opens.
 * `createClassifier` takes ONNX models, too, and converts them on the way.
 *
 * @throws {AchadoError} Its `code` says who is at fault; its message, what to do.
 */
export async function convertOnnx(
  model: ModelSource,
  options: ConvertOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  return convertOn(node, model, options);
}
