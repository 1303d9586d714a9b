// achado/quantize in Node.
import { type PrunedModel, type PruneOptions, pruneOn } from "./maker/prune.js";
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

/** As in the browser. */
export function pruneModel(model: ModelSource, options: PruneOptions): Promise<PrunedModel> {
  return pruneOn(nodePlatform, model, options);
}
