// What training programs write beside a model about its pictures, as options: Hugging Face's
// `preprocessor_config.json`, timm's `config.json`, Ultralytics' `metadata.yaml` or `.json`. Loaded
// with the first of them.
//
// It shares nothing with the modules that the page begins with: what it needs of them is given.
import type { Fail } from "./bundle.js";
import type { Preprocess, PreprocessOptions } from "./types.js";

type Json = Record<string, unknown>;

/** What a configuration says. */
export interface Config {
  /** Options that the caller's own go before. */
  preprocess: PreprocessOptions | undefined;
  /** Whether it names classes, so that its text is a label file. */
  hasLabels: boolean;
}

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Reads a configuration.
 *
 * @param name For messages.
 */
export function readConfig(name: string, text: string, fail: Fail): Config {
  const body = text.replace(/^\ufeff/, "").trim();
  if (!body.startsWith("{")) {
    const classifies = /^task:\s*['"]?classify\b/m.test(body);
    const hasLabels = /^names:/m.test(body);
    if (!classifies && !hasLabels) throw unknown(name, fail);
    return { preprocess: classifies && hasLabels ? "ultralytics" : undefined, hasLabels };
  }
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch (cause) {
    const reason = (cause as Error).message;
    throw fail("MODEL_FORMAT", `"${name}" is no JSON: ${reason}`, { name });
  }
  if (!isObject(json)) throw unknown(name, fail);
  const hasLabels = ["id2label", "label_names", "names", "labels"].some(
    (key) => typeof json[key] === "object" && json[key] !== null,
  );
  if (json.task === "classify" && hasLabels) return { preprocess: "ultralytics", hasLabels };
  const timm = isObject(json.pretrained_cfg) ? json.pretrained_cfg : json;
  if (Array.isArray(timm.mean) && Array.isArray(timm.input_size)) {
    return { preprocess: ofTimm(name, timm, fail), hasLabels };
  }
  const isProcessor = "image_mean" in json || "do_resize" in json || "image_processor_type" in json;
  if (isProcessor) return { preprocess: ofHuggingFace(name, json, fail), hasLabels };
  if (!hasLabels && !("model_type" in json) && !("architectures" in json))
    throw unknown(name, fail);
  return { preprocess: undefined, hasLabels };
}

function unknown(name: string, fail: Fail): Error {
  const message = `"${name}" says nothing about pictures or classes: it needs image_mean (preprocessor_config.json), mean and input_size (timm), id2label, or task and names (Ultralytics)`;
  return fail("MODEL_FORMAT", message, { name });
}

/** Filters by their names in timm and by Pillow's numbers, as Hugging Face has them. */
const FILTERS: Record<string, Preprocess["resize"]> = {
  nearest: "nearest",
  bilinear: "bilinear",
  bicubic: "bicubic",
  lanczos: "lanczos",
  box: "box",
  "0": "nearest",
  "1": "lanczos",
  "2": "bilinear",
  "3": "bicubic",
  "4": "box",
};

function filterOf(name: string, value: unknown, fail: Fail): Preprocess["resize"] {
  const filter = FILTERS[String(value)];
  if (filter) return filter;
  const known = Object.keys(FILTERS).join(", ");
  const message = `"${name}" resizes by "${String(value)}"; ${known} are known; give preprocess.resize`;
  throw fail("MODEL_FORMAT", message, { name });
}

function numbersOf(name: string, key: string, value: unknown, fail: Fail): number[] {
  const list = typeof value === "number" ? [value] : value;
  if (Array.isArray(list) && list.length > 0 && list.every(Number.isFinite)) {
    return list as number[];
  }
  const message = `"${name}": ${key} is ${JSON.stringify(value)}, must be numbers`;
  throw fail("MODEL_FORMAT", message, { name, key });
}

/** `timm.data.create_transform` for evaluation. */
function ofTimm(name: string, json: Json, fail: Fail): Partial<Preprocess> {
  const scaled = (key: string, byDefault: number[]) =>
    numbersOf(name, key, json[key] ?? byDefault, fail).map((x) => x * 255);
  const crop = json.crop_pct ?? 0.875;
  const mode = json.crop_mode ?? "center";
  if (typeof crop !== "number" || !["center", "squash", "border"].includes(String(mode))) {
    const message = `"${name}": crop_pct is ${JSON.stringify(crop)} and crop_mode ${JSON.stringify(mode)}; center, squash and border are known`;
    throw fail("MODEL_FORMAT", message, { name });
  }
  return {
    // Squashed pictures are cut, too; a border is what crops above 1 have.
    fit: mode === "squash" ? "stretch" : mode === "border" ? "contain" : "centerCrop",
    cropFraction: mode === "border" ? 1 : Math.min(crop, 1),
    resize: filterOf(name, json.interpolation ?? "bilinear", fail),
    mean: scaled("mean", [0.485, 0.456, 0.406]),
    std: scaled("std", [0.229, 0.224, 0.225]),
  };
}

/** An image processor of Hugging Face's transformers. */
function ofHuggingFace(name: string, json: Json, fail: Fail): Partial<Preprocess> {
  const rescale = json.do_rescale === false ? 1 : Number(json.rescale_factor ?? 1 / 255);
  if (!(rescale > 0)) {
    throw fail("MODEL_FORMAT", `"${name}": rescale_factor is ${String(json.rescale_factor)}`, {
      name,
    });
  }
  // The least that floats write exactly: 1 / 255 is 0.00392156862745098.
  const white = Math.abs(1 / rescale - 255) < 1e-6 ? 255 : 1 / rescale;
  const normalizes = json.do_normalize !== false && json.image_mean != null;
  const values = (key: string, otherwise: number) =>
    normalizes ? numbersOf(name, key, json[key], fail) : [otherwise];
  const options: Partial<Preprocess> = {
    mean: values("image_mean", 0).map((x) => x * white),
    std: values("image_std", 1).map((x) => x * white),
    resize: filterOf(name, json.resample ?? 2, fail),
    ...geometryOf(json),
  };
  if (json.do_flip_channel_order === true) options.channels = "BGR";
  return options;
}

/** How a picture is fitted: `size` is a side, the short side, or both. */
function geometryOf(json: Json): Pick<Partial<Preprocess>, "fit" | "cropFraction" | "shortSide"> {
  const short = (value: unknown): number | undefined =>
    typeof value === "number" ? value : isObject(value) ? numberIn(value.shortest_edge) : undefined;
  const sides = (value: unknown): number | undefined =>
    isObject(value) ? numberIn(value.height) : undefined;
  const size = json.do_resize === false ? undefined : json.size;
  const cut =
    json.do_center_crop === true ? (sides(json.crop_size) ?? short(json.crop_size)) : undefined;
  // ConvNeXt's: the short side is resized to size / crop_pct, but for large sizes.
  const edge = short(size);
  const share = numberIn(json.crop_pct);
  if (edge !== undefined && share !== undefined && cut === undefined) {
    return edge >= 384
      ? { fit: "stretch", cropFraction: 1 }
      : { fit: "centerCrop", cropFraction: share };
  }
  const whole = sides(size);
  if (cut !== undefined && whole !== undefined && edge === undefined) {
    return { fit: "stretch", cropFraction: Math.min(1, cut / whole) };
  }
  if (cut !== undefined && edge !== undefined) return { fit: "centerCrop", shortSide: edge };
  // A number alone is both sides where nothing is cut out.
  return edge !== undefined && isObject(size)
    ? { fit: "centerCrop", cropFraction: 1 }
    : { fit: "stretch", cropFraction: 1 };
}

function numberIn(value: unknown): number | undefined {
  return typeof value === "number" && value > 0 ? value : undefined;
}
