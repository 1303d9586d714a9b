// The options of commands that open a model.
import type { ClassifierOptions, PreprocessPreset } from "../types.js";
import { numbers, type Options, UsageError, type ValuesOf } from "./command.js";

export const MODEL_OPTIONS = {
  labels: {
    type: "string",
    value: "FILE",
    help: "class names in place of the model's own: one a line, JSON, CSV, ...",
  },
  config: {
    type: "string",
    value: "FILE",
    help: "preprocessor_config.json, or what else says how pictures are prepared",
  },
  preprocess: {
    type: "string",
    value: "P",
    help: "how pixels become the model's input, if it does not say so itself: raw (0..255), unit (0..1), symmetric (-1..1), imagenet, caffe-bgr; or what the training program does: keras, mediapipe, torchvision, timm, ultralytics, teachable-machine",
  },
  mean: {
    type: "string",
    value: "M",
    help: "with --std, the same in numbers, one or one a channel: (x - mean) / std, such as --mean 127.5 --std 127.5 or --mean 104,117,123 --std 1",
  },
  std: { type: "string", value: "S", help: "with --mean: what is divided by" },
  bgr: { type: "boolean", help: "with --mean and --std: the model takes blue first" },
  "input-shape": {
    type: "string",
    multiple: true,
    value: "N=D",
    help: "the shape of input N of an ONNX model that leaves it open, such as --input-shape input=1,3,224,224; may be given again",
  },
} as const satisfies Options;

type Given = Pick<ClassifierOptions, "labels" | "config" | "preprocess" | "inputShapes">;

/**
 * What these options say.
 *
 * @throws {UsageError}
 */
export function modelOptions(values: ValuesOf<typeof MODEL_OPTIONS>): Given {
  const shapes = values["input-shape"].map((text) => {
    const [, name = "", list = ""] = /^(.+)=([\d,]+)$/.exec(text) ?? [];
    if (!name) throw new UsageError(`--input-shape needs NAME=1,3,224,224, has "${text}"`);
    return [name, numbers("input-shape", list)] as const;
  });
  return {
    labels: values.labels,
    config: values.config,
    preprocess: preprocessOption(values),
    inputShapes: shapes.length > 0 ? Object.fromEntries(shapes) : undefined,
  };
}

function preprocessOption({
  preprocess,
  mean,
  std,
  bgr,
}: ValuesOf<typeof MODEL_OPTIONS>): Given["preprocess"] {
  if (preprocess !== undefined) {
    if (mean !== undefined || std !== undefined) {
      throw new UsageError("give either --preprocess or --mean and --std");
    }
    // A wrong name is refused by name.
    return preprocess as PreprocessPreset;
  }
  if (mean === undefined && std === undefined) return undefined;
  if (mean === undefined || std === undefined) throw new UsageError("--mean and --std go together");
  return {
    mean: numbers("mean", mean),
    std: numbers("std", std),
    ...(bgr && { channels: "BGR" as const }),
  };
}
