// Preparations of pixels by name: the one place that says what each training program does.
import { AchadoError } from "./errors.js";
import { didYouMean } from "./names.js";
import type { Preprocess, PreprocessOptions, PreprocessPreset } from "./types.js";

/** What goes to the core: no presets any more, and colors as red, green, blue from 0 to 255. */
export type CorePreprocess = Partial<
  Omit<Preprocess, "preset" | "padColor" | "background"> & {
    padColor: number[];
    background: number[];
  }
>;

/** Of values 0..1: [.485, .456, .406] and [.229, .224, .225]. */
const IMAGENET = { mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] };

/** Values alone: geometry stays what it is without them. */
const VALUES = {
  raw: { mean: [0], std: [1] },
  unit: { mean: [0], std: [255] },
  symmetric: { mean: [127.5], std: [127.5] },
  imagenet: IMAGENET,
  // Caffe's means, blue first.
  "caffe-bgr": { mean: [104, 117, 123], std: [1], channels: "BGR" },
} satisfies Partial<Record<PreprocessPreset, CorePreprocess>>;

/** What training programs do to pictures by default; docs/preprocessing.md says where from. */
const PIPELINES: Record<Exclude<PreprocessPreset, keyof typeof VALUES>, CorePreprocess> = {
  // Values depend on the network: those of its file or graph, or of a second preset.
  keras: { fit: "stretch", resize: "bilinear-tf" },
  mediapipe: { fit: "stretch", resize: "bilinear-tf" },
  torchvision: { fit: "centerCrop", cropFraction: 0.875, resize: "bilinear", ...IMAGENET },
  timm: { fit: "centerCrop", cropFraction: 0.875, resize: "bicubic", ...IMAGENET },
  // Classification: the short side resized to the input's, whole pixels, then the center.
  ultralytics: { fit: "centerCrop", cropFraction: 1, resize: "bilinear", ...VALUES.unit },
  // x / 127 - 1, as its training page has it.
  "teachable-machine": { fit: "centerCrop", resize: "bilinear", mean: [127], std: [127] },
};

const PRESETS: Readonly<Record<string, CorePreprocess>> = { ...VALUES, ...PIPELINES };

/**
 * What a preset stands for, or an object of options: its presets first, its own fields over them.
 *
 * @throws {AchadoError} INVALID_OPTION for a name that there is none of, and for presets and values
 *   that contradict each other
 */
export function preprocessOf(
  preprocess: PreprocessOptions | undefined,
): CorePreprocess | undefined {
  if (typeof preprocess === "string") return presetOf(preprocess, "preprocess");
  if (preprocess === undefined || preprocess === null) return undefined;
  const { preset, padColor, background, ...own } = preprocess;
  const given = Object.entries(own).filter(([, value]) => value !== undefined && value !== null);
  const names = preset === undefined || preset === null ? [] : [preset].flat();
  const parts = names.map((name) => presetOf(name, "preprocess.preset"));
  const [values, second] = names.filter((name) => Object.hasOwn(VALUES, name));
  if (values !== undefined && (second !== undefined || own.mean || own.std)) {
    const other = second === undefined ? "mean or std beside it" : `"${second}" beside it`;
    throw invalid(
      "preprocess.preset",
      `"${values}" says mean and std, so that ${other} contradicts it; give one of the two`,
    );
  }
  const made: CorePreprocess = Object.assign({}, ...parts);
  // Both say how much is cut off.
  if (own.shortSide !== undefined) delete made.cropFraction;
  return {
    ...Object.assign(made, Object.fromEntries(given)),
    ...colored("padColor", padColor),
    ...colored("background", background),
  };
}

function presetOf(name: unknown, option: string): CorePreprocess {
  if (typeof name === "string" && Object.hasOwn(PRESETS, name)) {
    return PRESETS[name] as CorePreprocess;
  }
  const names = Object.keys(PRESETS);
  const hint = typeof name === "string" ? didYouMean(name, names) : "";
  throw invalid(
    option,
    `there is no preset "${String(name)}"${hint}; there are ${names.join(", ")}`,
  );
}

const COLORS: Readonly<Record<string, number[]>> = {
  white: [255, 255, 255],
  gray: [128, 128, 128],
  black: [0, 0, 0],
};

/** `{ [name]: [red, green, blue] }`, or nothing. */
function colored(name: "padColor" | "background", value: unknown): Record<string, number[]> {
  if (value === undefined || value === null) return {};
  const color = colorOf(value);
  if (color) return { [name]: color };
  const shown = typeof value === "string" ? `"${value}"` : String(value);
  throw invalid(
    `preprocess.${name}`,
    `must be "white", "gray", "black", "#rrggbb", a gray from 0 to 255, or [red, green, blue]; is ${shown}`,
  );
}

function colorOf(value: unknown): number[] | undefined {
  const isByte = (x: unknown) => Number.isInteger(x) && (x as number) >= 0 && (x as number) <= 255;
  if (Array.isArray(value)) return value.length === 3 && value.every(isByte) ? value : undefined;
  if (isByte(value)) return [value, value, value] as number[];
  if (typeof value !== "string") return undefined;
  if (Object.hasOwn(COLORS, value)) return COLORS[value];
  const [, short, long] = /^#(?:([\da-f]{3})|([\da-f]{6}))$/i.exec(value) ?? [];
  const digits = long ?? short?.replace(/./g, "$&$&");
  return digits?.match(/../g)?.map((pair) => Number.parseInt(pair, 16));
}

function invalid(option: string, message: string): AchadoError {
  return new AchadoError("INVALID_OPTION", `${option}: ${message}`, { option });
}
