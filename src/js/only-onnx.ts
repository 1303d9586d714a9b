// `achado/onnx`: a file that `achado/lite` leaves out.
import { locate } from "./assets.js";
import { ONNX } from "./own-files.js";
import type { Assets } from "./types.js";

/** The converter of ONNX models: give it as `assets`, or spread it into them. */
export const onnx: Exclude<Assets, string | URL> = locate(ONNX);
