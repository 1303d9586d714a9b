// achado/gpu: where the files of the WebGPU backend are, for achado/lite.
import { locate } from "./assets.js";
import { GPU } from "./own-files.js";
import type { Assets } from "./types.js";

/** The WebGPU backend, for {@link LoadOptions.backend}: give it as `assets`, or spread it into them. */
export const gpu: Exclude<Assets, string | URL> = locate(GPU);
