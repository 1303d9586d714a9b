/**
 * achado: image classification inside the browser.
 *
 * ```js
 * import { createClassifier } from "achado";
 * const classifier = await createClassifier({ model: "model.tflite" });
 * const { top } = await classifier.classify(document.querySelector("img"));
 * ```
 *
 * Importing does nothing but define; there is no global of a browser at the top level.
 */
import { createOn, type Platform } from "./classifier.js";
import { toFrame } from "./pixels.js";
import type { ClassifierOptions, ImageClassifier } from "./types.js";

export { openCamera } from "./camera.js";
export { defaultModel } from "./default-model.js";
export { AchadoError, type ErrorCode } from "./errors.js";
export type {
  Camera,
  CameraOptions,
  Category,
  Classifications,
  ClassifierOptions,
  ClassifierResult,
  Fallback,
  FrameOptions,
  ImageClassifier,
  ImageInput,
  ModelMetadata,
  ModelOptions,
  ModelSource,
  OperatorProfile,
  Preprocess,
  Progress,
  RawImage,
  Runtime,
  StreamOptions,
  TensorInfo,
  WasmSource,
} from "./types.js";

const browser: Platform = {
  fetch: (url, signal) => fetch(url, { signal }),
  toFrame,
  get hasWindow() {
    return typeof window !== "undefined";
  },
  // Bundlers recognise exactly this form.
  createWorker: () => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }),
};

/**
 * Loads a model: the core and the model are downloaded at the same time, and nothing else is.
 *
 * @throws {AchadoError} Its `code` says who is at fault; its message, what to do.
 */
export function createClassifier(options: ClassifierOptions = {}): Promise<ImageClassifier> {
  return createOn(browser, options);
}
