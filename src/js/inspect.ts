/**
 * achado/inspect: what a model is made of, and what each part of it takes on this device.
 *
 * ```js
 * import { inspectModel } from "achado/inspect";
 * const { operators, totals, problem } = await inspectModel("/models/flowers.tflite");
 * console.log(totals.macs, problem?.message);
 * ```
 */
import { type InspectOptions, inspectOn, type ModelInspection } from "./maker/inspect.js";
import { browserPlatform } from "./model-work-browser.js";
import type { ModelSource } from "./types.js";

export type {
  InspectedEnd,
  InspectedMetadata,
  InspectedOperator,
  InspectedTensor,
  InspectOptions,
  ModelInspection,
  TensorStatistics,
} from "./maker/inspect.js";

/**
 * Describes a `.tflite` or ONNX model: operators, tensors, sizes, multiplications, quantization,
 * metadata; and measures each operator. A model that cannot be run is described all the same, and
 * `problem` says why.
 *
 * @throws {AchadoError} MODEL_FETCH, MODEL_FORMAT for what is no model or is damaged, INVALID_OPTION
 */
export function inspectModel(
  model: ModelSource,
  options: InspectOptions = {},
): Promise<ModelInspection> {
  return inspectOn(browserPlatform, model, options);
}
