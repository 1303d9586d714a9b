// Preparations of pixels by name, for models whose files do not say one: ONNX's.
import { AchadoError } from "./errors.js";
import type { Preprocess, PreprocessPreset } from "./types.js";

const PRESETS: Record<PreprocessPreset, Pick<Preprocess, "mean" | "std" | "channels">> = {
  // torchvision: (x / 255 - [.485, .456, .406]) / [.229, .224, .225].
  imagenet: {
    mean: [123.675, 116.28, 103.53],
    std: [58.395, 57.12, 57.375],
    channels: "RGB",
  },
  // Caffe's means, blue first.
  "caffe-bgr": { mean: [104, 117, 123], std: [1], channels: "BGR" },
  unit: { mean: [0], std: [255], channels: "RGB" },
  symmetric: { mean: [127.5], std: [127.5], channels: "RGB" },
};

/**
 * What a preset stands for; objects stay as they are.
 *
 * @throws {AchadoError} INVALID_OPTION for a name that there is none of
 */
export function preprocessOf(
  preprocess: Partial<Preprocess> | PreprocessPreset | undefined,
): Partial<Preprocess> | undefined {
  if (typeof preprocess !== "string") return preprocess;
  if (Object.hasOwn(PRESETS, preprocess)) return PRESETS[preprocess];
  const names = Object.keys(PRESETS).join(", ");
  throw new AchadoError(
    "INVALID_OPTION",
    `preprocess: there is no preset "${preprocess}"; there are ${names}`,
    { option: "preprocess" },
  );
}
