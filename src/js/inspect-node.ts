// achado/inspect in Node.
import { type InspectOptions, inspectOn, type ModelInspection } from "./maker/inspect.js";
import { nodePlatform } from "./model-work-node.js";
import type { ModelSource } from "./types.js";

/** As in the browser. */
export function inspectModel(
  model: ModelSource,
  options: InspectOptions = {},
): Promise<ModelInspection> {
  return inspectOn(nodePlatform, model, options);
}
