// The browser's entry without what few need: the converter of ONNX models, tract and the package's
// model are no part of a bundle unless their entries are imported.
import { apiOn } from "./api.js";
import { browserWith } from "./browser.js";
import { CORES } from "./own-files.js";

export * from "./common.js";

const api = apiOn(browserWith(CORES));

/** As of `achado`; `model` must be given. */
export const createClassifier: typeof import("./index.js").createClassifier = api.createClassifier;
/** As of `achado`; `model` must be given. */
export const createModel: typeof import("./index.js").createModel = api.createModel;
/** As of `achado`; needs `onnx` of `achado/onnx` among the assets. */
export const convertOnnx: typeof import("./index.js").convertOnnx = api.convertOnnx;
