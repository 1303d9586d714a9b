// The functions of every entry point, on its platform; src/js/index.ts says what they do.
import { createOn } from "./classifier.js";
import { createModelOn } from "./image-model.js";
import { convertOn } from "./onnx.js";
import type { Platform } from "./platform.js";
import type {
  ClassifierOptions,
  ConvertOptions,
  ImageClassifier,
  ImageModel,
  LoadOptions,
  ModelSource,
} from "./types.js";

export interface Api {
  createClassifier(options?: ClassifierOptions): Promise<ImageClassifier>;
  createModel(options?: LoadOptions): Promise<ImageModel>;
  convertOnnx(
    model: ModelSource | readonly File[],
    options?: ConvertOptions,
  ): Promise<Uint8Array<ArrayBuffer>>;
}

export function apiOn(platform: Platform): Api {
  return {
    createClassifier: (options = {}) => createOn(platform, options),
    createModel: (options = {}) => createModelOn(platform, options),
    convertOnnx: (model, options = {}) => convertOn(platform, model, options),
  };
}
