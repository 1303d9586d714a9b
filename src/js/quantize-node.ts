// achado/quantize in Node.
import { type QuantizedModel, type QuantizeOptions, quantizeOn } from "./maker/quantize.js";
import { nodePlatform } from "./model-work-node.js";
import type { ModelSource } from "./types.js";

export { QuantizationConfig } from "./maker/quantize.js";

/** As in the browser. */
export function quantizeModel(
  model: ModelSource,
  options: QuantizeOptions,
): Promise<QuantizedModel> {
  return quantizeOn(nodePlatform, model, options);
}
