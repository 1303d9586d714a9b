/**
 * achado/quantize: float models become smaller and faster, in the page.
 *
 * ```js
 * import { QuantizationConfig, quantizeModel } from "achado/quantize";
 * const { model, report } = await quantizeModel("/models/float.tflite", {
 *   config: QuantizationConfig.forInt8(pictures),
 * });
 * console.log(report.agreement, model.byteLength);
 * ```
 */
import { type PrunedModel, type PruneOptions, pruneOn } from "./maker/prune.js";
import { type QuantizedModel, type QuantizeOptions, quantizeOn } from "./maker/quantize.js";
import { browserPlatform } from "./model-work-browser.js";
import type { ModelSource } from "./types.js";

export type {
  PrunedLayer,
  PrunedModel,
  PruneOptions,
  PruneProgress,
  PruneReport,
} from "./maker/prune.js";

export {
  type CalibrationPicture,
  type Int8Options,
  type Int8Report,
  type LayerReport,
  QuantizationConfig,
  type QuantizedModel,
  type QuantizeOptions,
  type QuantizeProgress,
  type RangeMethod,
} from "./maker/quantize.js";

/**
 * Quantizes a float `.tflite` or ONNX model.
 *
 * @throws {AchadoError} INVALID_OPTION for a model that is quantized already, and for unknown names;
 *   INVALID_INPUT for too few pictures, and for pictures that make numbers that are none;
 *   as `createModel` and `convertOnnx`
 */
export function quantizeModel(
  model: ModelSource,
  options: QuantizeOptions,
): Promise<QuantizedModel> {
  return quantizeOn(browserPlatform, model, options);
}

/**
 * Makes a float `.tflite` or ONNX model smaller without training: channels are cut, or weights set to
 * zero, and what reads them is fitted anew to what the pictures show.
 *
 * @throws {AchadoError} INVALID_OPTION for a model that is quantized, for unknown names, for a target that
 *   cannot be reached and a `maxDrop` that cannot be held, with `detail.best`; NOT_ENOUGH_DATA for fewer
 *   than two pictures; INVALID_INPUT for pictures that make numbers that are none; as `createModel` and
 *   `convertOnnx`
 */
export function pruneModel(model: ModelSource, options: PruneOptions): Promise<PrunedModel> {
  return pruneOn(browserPlatform, model, options);
}
