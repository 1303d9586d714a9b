// The browser's entry in one script, for places that forbid `import()`: service workers, backgrounds
// of extensions.
import { apiOn } from "./api.js";
import { browserWith } from "./browser.js";
import * as bundle from "./bundle.js";
import * as configs from "./configs.js";
import * as externalData from "./external-data.js";
import * as modelStore from "./model-store.js";
import * as threaded from "./generated/relaxed-threads/achado.js";
import * as tract from "./generated/tract/achado.js";
import { CORES, GPU, MODEL, ONNX, TRACT } from "./own-files.js";

export * from "./common.js";
export { defaultModel } from "./default-model.js";

const parts = {
  bundle: async () => bundle,
  configs: async () => configs,
  externalData: async () => externalData,
  modelStore: async () => modelStore,
};
const glues = { threaded: async () => threaded, tract: async () => tract };

export const { createClassifier, createModel, convertOnnx } = apiOn(
  browserWith({ ...CORES, ...ONNX, ...TRACT, ...GPU, ...MODEL }, glues, parts),
);
