// `achado/tract`: a file that `achado/lite` leaves out.
import { locate } from "./assets.js";
import { TRACT } from "./own-files.js";
import type { Assets } from "./types.js";

/** tract, which runs ONNX models that have no .tflite form: give it as `assets`, or spread it into them. */
export const tract: Exclude<Assets, string | URL> = locate(TRACT);
