// achado/quantize in Node: all work in this thread, other work gets its turn between pictures.
import { Files } from "./assets.js";
import {
  type QuantizedModel,
  type QuantizeOptions,
  type QuantizePlatform,
  quantizeOn,
} from "./maker/quantize.js";
import { LocalQuantizeWork } from "./maker/quantize-work.js";
import { convertOnnx, createModel } from "./node.js";
import { fetchAnything } from "./node-files.js";
import { QUANTIZER } from "./own-files.js";
import type { ModelSource } from "./types.js";

export { QuantizationConfig } from "./maker/quantize.js";

const node: QuantizePlatform = {
  fetch: fetchAnything,
  wasm: () => new Files(QUANTIZER, undefined).find("quantize.wasm"),
  createModel,
  convertOnnx,
  startWork: async () => new LocalQuantizeWork(await import("./generated/quantize/achado.js")),
};

/** As in the browser. */
export function quantizeModel(
  model: ModelSource,
  options: QuantizeOptions,
): Promise<QuantizedModel> {
  return quantizeOn(node, model, options);
}
