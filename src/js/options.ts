// Checks of options that JavaScript callers, unlike TypeScript's, can get wrong.
import { checkAssets } from "./assets.js";
import type { CoreOptions, Task } from "./engine.js";
import { AchadoError } from "./errors.js";
import type { Beside, FileOptions, Labels } from "./files.js";
import { kindOf } from "./kind.js";
import { checkNames, type Names, type NamesOf } from "./names.js";
import { type CorePreprocess, preprocessOf } from "./presets.js";
import type {
  CameraOptions,
  ClassifierOptions,
  ConvertOptions,
  EmbedOptions,
  FrameOptions,
  LoadOptions,
  Preprocess,
  RunImageOptions,
  RunOptions,
  StreamOptions,
} from "./types.js";

/** A mistake in an option, named. */
export function invalidOption(option: string, message: string): AchadoError {
  return new AchadoError("INVALID_OPTION", `${option}: ${message}`, { option });
}

/** As the core's pool has it. */
const MAX_THREADS = 32;

/** As the core has it. */
const MAX_BATCH = 64;

const PREPROCESS: NamesOf<Preprocess> = {
  preset: 1,
  fit: 1,
  resize: 1,
  mean: 1,
  std: 1,
  channels: 1,
  cropFraction: 1,
  shortSide: 1,
  padColor: 1,
  background: 1,
};

const LOADING: NamesOf<LoadOptions> = {
  model: 1,
  integrity: 1,
  worker: 1,
  threads: 1,
  backend: 1,
  wasm: 1,
  assets: 1,
  warmup: 1,
  cache: 1,
  inputShapes: 1,
  onnxFallback: 1,
  config: 1,
  externalData: 1,
  signal: 1,
  onProgress: 1,
  preprocess: PREPROCESS,
};

const CLASSIFYING: NamesOf<ClassifierOptions> = {
  ...LOADING,
  batchSize: 1,
  labels: 1,
  heads: 1,
  activation: 1,
  maxResults: 1,
  scoreThreshold: 1,
  displayNamesLocale: 1,
  categoryAllowlist: 1,
  categoryDenylist: 1,
};

const KNOWN: Record<Task, Names> = { classifier: CLASSIFYING, tensors: LOADING };

const FRAME: NamesOf<FrameOptions> = {
  regionOfInterest: { left: 1, top: 1, right: 1, bottom: 1 },
  rotationDegrees: 1,
  mirror: 1,
  signal: 1,
};

const RUN: NamesOf<RunOptions> = { signal: 1 };
const RUN_IMAGE: NamesOf<RunImageOptions> = { ...FRAME, tensors: 1 };
const EMBED: NamesOf<EmbedOptions> = { ...FRAME, l2Normalize: 1, quantize: 1 };
const STREAM: NamesOf<StreamOptions> = { ...FRAME, maxFps: 1, smoothing: 1 };
const CAMERA: NamesOf<CameraOptions> = {
  facingMode: 1,
  deviceId: 1,
  width: 1,
  height: 1,
  signal: 1,
};

/** What each call takes beside its picture or tensors. */
const CALLS = {
  frame: FRAME,
  run: RUN,
  runImage: RUN_IMAGE,
  embed: EMBED,
  stream: STREAM,
  camera: CAMERA,
} satisfies Record<string, Names>;

/**
 * Refuses options of a call that have an unknown name; the core checks the values that it gets.
 *
 * @throws {AchadoError} INVALID_OPTION
 */
export function checkCall(call: keyof typeof CALLS, options: object | undefined): void {
  if (options === null)
    throw new AchadoError("INVALID_OPTION", "options: must be an object, is null");
  checkNames(options, CALLS[call]);
}

/**
 * Refuses options of an unknown name or a wrong kind; the core checks the values that it gets.
 *
 * @throws {AchadoError} INVALID_OPTION
 */
export function checkOptions(options: ClassifierOptions, task: Task): void {
  if (typeof options !== "object" || options === null) {
    throw new AchadoError("INVALID_OPTION", "it needs an object of options");
  }
  checkNames(options, KNOWN[task]);
  for (const name of ["worker", "warmup"] as const) {
    const value: unknown = options[name];
    if (value !== undefined && typeof value !== "boolean") {
      throw invalidOption(name, `must be true or false, is ${String(value)}`);
    }
  }
  const fallback: unknown = options.onnxFallback;
  if (fallback !== undefined && fallback !== "tract") {
    throw invalidOption("onnxFallback", `must be "tract", is ${String(fallback)}`);
  }
  const backend: unknown = options.backend;
  if (backend !== undefined && !["auto", "wasm", "webgpu"].includes(backend as string)) {
    throw invalidOption("backend", `must be "auto", "wasm" or "webgpu", is ${String(backend)}`);
  }
  checkShapes(options.inputShapes);
  const threads: unknown = options.threads;
  const counts =
    Number.isInteger(threads) && Number(threads) >= 1 && Number(threads) <= MAX_THREADS;
  if (threads !== undefined && threads !== "auto" && !counts) {
    const message = `must be "auto" or a whole number from 1 to ${MAX_THREADS}, is ${String(threads)}`;
    throw invalidOption("threads", message);
  }
  const batch: unknown = options.batchSize;
  if (
    batch !== undefined &&
    !(Number.isInteger(batch) && Number(batch) >= 1 && Number(batch) <= MAX_BATCH)
  ) {
    const message = `must be a whole number from 1 to ${MAX_BATCH}, is ${String(batch)}`;
    throw invalidOption("batchSize", message);
  }
  if (options.onProgress !== undefined && typeof options.onProgress !== "function") {
    throw invalidOption("onProgress", "must be a function");
  }
  checkLabels(options.labels);
  checkAssets(options.assets);
  checkFiles(options);
}

/** Kinds of a {@link ModelSource}. */
const SOURCES = ["String", "URL", "Blob", "File", "ArrayBuffer", "Uint8Array", "Response"];
const STREAMS = ["ReadableStream", "SharedArrayBuffer"];

const isSource = (value: unknown) => [...SOURCES, ...STREAMS].includes(kindOf(value));

function checkLabels(labels: unknown): void {
  const list = Array.isArray(labels) && labels.every((label) => typeof label === "string");
  // They may be read again when options change.
  if (labels !== undefined && !SOURCES.includes(kindOf(labels)) && !list) {
    throw invalidOption(
      "labels",
      "must be a list of strings, or the URL, Blob or bytes of a label file",
    );
  }
}

function checkFiles({ config, externalData, integrity }: FileOptions): void {
  const configs: unknown[] = [config ?? []].flat();
  if (!configs.every((one) => isSource(one) || kindOf(one) === "Object")) {
    throw invalidOption(
      "config",
      "must be the URL, Blob, bytes or object of a configuration, or a list of them",
    );
  }
  const data: unknown = externalData;
  if (
    data !== undefined &&
    !(kindOf(data) === "Object" && Object.values(data as object).every(isSource))
  ) {
    throw invalidOption(
      "externalData",
      'must be an object of file names with bytes, Blobs or URLs, such as { "model.onnx.data": url }',
    );
  }
  const hashes: unknown[] =
    typeof integrity === "object" && integrity ? Object.values(integrity) : [integrity ?? ""];
  if (!hashes.every((hash) => typeof hash === "string")) {
    throw invalidOption(
      "integrity",
      'must be "sha256-...", or an object of these by file: { model: "sha256-..." }',
    );
  }
}

function checkShapes(shapes: unknown): void {
  if (shapes === undefined) return;
  const isShape = (shape: unknown) =>
    Array.isArray(shape) && shape.every((size) => Number.isInteger(size) && size >= 1);
  if (typeof shapes !== "object" || shapes === null || !Object.values(shapes).every(isShape)) {
    throw invalidOption(
      "inputShapes",
      "must be an object of names with lists of whole numbers above 0, such as { input: [1, 3, 224, 224] }",
    );
  }
}

/** The options of a conversion, which are fewer: files hold no more of the preparation. */
const CONVERSION: NamesOf<ConvertOptions> = {
  labels: 1,
  preprocess: { preset: 1, mean: 1, std: 1, channels: 1 },
  config: 1,
  externalData: 1,
  inputShapes: 1,
  assets: 1,
  signal: 1,
};

/**
 * Refuses options of a conversion that have an unknown name or a wrong kind.
 *
 * @throws {AchadoError} INVALID_OPTION
 */
export function checkConversion(options: ConvertOptions): void {
  checkNames(options, CONVERSION);
  checkShapes(options.inputShapes);
  checkLabels(options.labels);
  checkAssets(options.assets);
  checkFiles(options);
}

/**
 * @throws {AchadoError} INVALID_OPTION
 */
export function checkRuns(runs: number): void {
  if (!Number.isInteger(runs) || runs < 1 || runs > 10_000) {
    throw invalidOption("runs", `must be a whole number from 1 to 10000, is ${runs}`);
  }
}

/** The caller's fields over those of the files beside the model. */
export function over(
  beside: CorePreprocess | undefined,
  own: CorePreprocess | undefined,
): CorePreprocess | undefined {
  if (!beside || !own) return own ?? beside;
  const merged = { ...beside, ...own };
  // Both say how much is cut off.
  if (own.cropFraction !== undefined && own.shortSide === undefined) delete merged.shortSide;
  if (own.shortSide !== undefined && own.cropFraction === undefined) delete merged.cropFraction;
  return merged;
}

/** The part of the options that goes to the core. */
export function coreOptions(
  {
    preprocess,
    inputShapes,
    batchSize,
    heads,
    activation,
    maxResults,
    scoreThreshold,
    displayNamesLocale,
    categoryAllowlist,
    categoryDenylist,
  }: ClassifierOptions,
  labels: Labels | undefined,
  beside: Beside,
): CoreOptions {
  const own = preprocessOf(preprocess);
  return {
    preprocess: over(beside.preprocess, own),
    inputShapes,
    batchSize,
    labels,
    heads,
    activation,
    maxResults,
    scoreThreshold,
    displayNamesLocale,
    categoryAllowlist,
    categoryDenylist,
  };
}
