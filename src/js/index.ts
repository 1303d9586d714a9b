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
import { createOn } from "./classifier.js";
import { createModelOn } from "./image-model.js";
import { convertOn } from "./onnx.js";
import type { Platform } from "./opening.js";
import { toFrame } from "./pixels.js";
import type {
  ClassifierOptions,
  ConvertOptions,
  ImageClassifier,
  ImageModel,
  LoadOptions,
  ModelSource,
} from "./types.js";

export { openCamera } from "./camera.js";
export { defaultModel } from "./default-model.js";
export { cosineSimilarity } from "./embedding.js";
export { AchadoError, type ErrorCode } from "./errors.js";
export { dequantize } from "./tensors.js";
export type {
  Activation,
  Camera,
  CameraOptions,
  Category,
  Classifications,
  ClassifierOptions,
  ClassifierResult,
  Color,
  ConvertOptions,
  EmbedOptions,
  Fallback,
  FrameOptions,
  HeadInfo,
  ImageClassifier,
  ImageInput,
  ImageModel,
  LoadOptions,
  ModelMetadata,
  ModelOptions,
  ModelSource,
  OperatorProfile,
  Preprocess,
  PreprocessOptions,
  PreprocessPreset,
  Progress,
  RawImage,
  RunImageOptions,
  RunOptions,
  Runtime,
  StreamOptions,
  Tensor,
  TensorData,
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
  createThreadedWorker: () =>
    new Worker(new URL("./threaded-worker.js", import.meta.url), { type: "module" }),
};

/**
 * Loads a model: the core and the model are downloaded at the same time, and nothing else is.
 *
 * @throws {AchadoError} Its `code` says who is at fault; its message, what to do.
 */
export function createClassifier(options: ClassifierOptions = {}): Promise<ImageClassifier> {
  return createOn(browser, options);
}

/**
 * Loads a model for tensors and embeddings: a detector, a segmenter, anything that is no classifier.
 *
 * @throws {AchadoError} Its `code` says who is at fault; its message, what to do.
 */
export function createModel(options: LoadOptions = {}): Promise<ImageModel> {
  return createModelOn(browser, options);
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
  return convertOn(browser, model, options);
}
