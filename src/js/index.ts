/**
 * achado: image classification inside the browser.
 *
 * ```js
 * import { createClassifier } from "achado";
 * const classifier = await createClassifier({ model: "model.tflite" });
 * const { top } = await classifier.classify("photo.jpg");
 * ```
 *
 * Importing does nothing but define: the entry works wherever modules or bundles of them run.
 */
import { apiOn } from "./api.js";
import { browserWith } from "./browser.js";
import { CORES, GPU, MODEL, ONNX, TRACT } from "./own-files.js";
import type {
  ClassifierOptions,
  ConvertOptions,
  ImageClassifier,
  ImageModel,
  LoadOptions,
  ModelSource,
} from "./types.js";

export * from "./common.js";
export { defaultModel } from "./default-model.js";

const api = apiOn(browserWith({ ...CORES, ...ONNX, ...TRACT, ...GPU, ...MODEL }));

/**
 * Loads a model: the core and the model are downloaded at the same time, and nothing else is.
 *
 * @throws {AchadoError} Its `code` says who is at fault; its message, what to do.
 */
export function createClassifier(options?: ClassifierOptions): Promise<ImageClassifier> {
  return api.createClassifier(options);
}

/**
 * Loads a model for tensors and embeddings: a detector, a segmenter, anything that is no classifier.
 *
 * @throws {AchadoError} Its `code` says who is at fault; its message, what to do.
 */
export function createModel(options?: LoadOptions): Promise<ImageModel> {
  return api.createModel(options);
}

/**
 * Turns an ONNX model into the bytes of a `.tflite` model, which any TensorFlow Lite runtime opens.
 * `createClassifier` takes ONNX models, too, and converts them on the way.
 *
 * @throws {AchadoError} Its `code` says who is at fault; its message, what to do.
 */
export function convertOnnx(
  model: ModelSource | readonly File[],
  options?: ConvertOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  return api.convertOnnx(model, options);
}
