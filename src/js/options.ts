// Checks of options that JavaScript callers, unlike TypeScript's, can get wrong.
import type { CoreOptions, Task } from "./engine.js";
import { AchadoError } from "./errors.js";
import { preprocessOf } from "./presets.js";
import type { ClassifierOptions, ConvertOptions, LoadOptions } from "./types.js";

/** A mistake in an option, named. */
export function invalidOption(option: string, message: string): AchadoError {
  return new AchadoError("INVALID_OPTION", `${option}: ${message}`, { option });
}

/** As the core's pool has it. */
const MAX_THREADS = 32;

/** As the core has it. */
const MAX_BATCH = 64;

/** Options by name: a misspelt one would be silently without effect. */
const LOADING = [
  "model",
  "integrity",
  "worker",
  "threads",
  "wasm",
  "warmup",
  "inputShapes",
  "onnxFallback",
  "signal",
  "onProgress",
  "preprocess",
] satisfies (keyof LoadOptions)[];

const CLASSIFYING = [
  "batchSize",
  "labels",
  "heads",
  "activation",
  "maxResults",
  "scoreThreshold",
  "displayNamesLocale",
  "categoryAllowlist",
  "categoryDenylist",
] satisfies (keyof ClassifierOptions)[];

const KNOWN: Record<Task, ReadonlySet<string>> = {
  classifier: new Set([...LOADING, ...CLASSIFYING]),
  tensors: new Set(LOADING),
};

/**
 * Refuses options of an unknown name or a wrong kind; the core checks the values that it gets.
 *
 * @throws {AchadoError} INVALID_OPTION
 */
export function checkOptions(options: ClassifierOptions, task: Task): void {
  if (typeof options !== "object" || options === null) {
    throw new AchadoError("INVALID_OPTION", "it needs an object of options");
  }
  for (const name of Object.keys(options)) {
    if (!KNOWN[task].has(name)) {
      const names = [...KNOWN[task]].join(", ");
      throw invalidOption(name, `there is no such option; there are ${names}`);
    }
  }
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
}

function checkLabels(labels: unknown): void {
  const list = Array.isArray(labels) && labels.every((label) => typeof label === "string");
  if (labels !== undefined && typeof labels !== "string" && !(labels instanceof URL) && !list) {
    throw invalidOption("labels", "must be a list of strings or the URL of a text file");
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

/** The options of a conversion, which are fewer. */
const CONVERSION = ["labels", "preprocess", "inputShapes", "signal"];

/**
 * Refuses options of a conversion that have an unknown name or a wrong kind.
 *
 * @throws {AchadoError} INVALID_OPTION
 */
export function checkConversion(options: ConvertOptions): void {
  for (const name of Object.keys(options)) {
    if (!CONVERSION.includes(name)) {
      throw invalidOption(name, `there is no such option; there are ${CONVERSION.join(", ")}`);
    }
  }
  checkShapes(options.inputShapes);
  checkLabels(options.labels);
}

/**
 * @throws {AchadoError} INVALID_OPTION
 */
export function checkRuns(runs: number): void {
  if (!Number.isInteger(runs) || runs < 1 || runs > 10_000) {
    throw invalidOption("runs", `must be a whole number from 1 to 10000, is ${runs}`);
  }
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
  labels: string[] | undefined,
): CoreOptions {
  return {
    preprocess: preprocessOf(preprocess),
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
