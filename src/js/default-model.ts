// The model of the package.
import { DEFAULT_MODEL, Files } from "./assets.js";
import { MODEL } from "./own-files.js";

/**
 * The model that comes with the package: EfficientNet-Lite0, int8, 1000 classes of ImageNet. Where
 * the script has no address of its own, it stands for the one that `assets` gives.
 */
export const defaultModel: URL =
  new Files(MODEL, undefined).own(DEFAULT_MODEL) ?? (`achado:${DEFAULT_MODEL}` as unknown as URL);
