// What work on models is built on in Node: all of it in this thread; other work gets its turn between
// pictures.
import { Files } from "./assets.js";
import type { ModelPlatform } from "./maker/model-work.js";
import { LocalQuantizeWork } from "./maker/quantize-work.js";
import { convertOnnx, createModel } from "./node.js";
import { fetchAnything } from "./node-files.js";
import { QUANTIZER } from "./own-files.js";

export const nodePlatform: ModelPlatform = {
  fetch: fetchAnything,
  wasm: () => new Files(QUANTIZER, undefined).find("quantize.wasm"),
  createModel,
  convertOnnx,
  startWork: async () => new LocalQuantizeWork(await import("./generated/quantize/achado.js")),
};
