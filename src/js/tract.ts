// Where an ONNX model goes that has no .tflite form, if the caller allows it: to tract, which runs it
// whole by a wasm file of its own.
import { AchadoError } from "./errors.js";
import type { Glue } from "./local.js";
import type { ModelFiles } from "./files.js";
import { toTflite, type Surroundings, withWeights } from "./onnx.js";
import type { Platform } from "./platform.js";
import type { Fallback, LoadOptions } from "./types.js";
import { compileFile } from "./wasm.js";

/** What an ONNX file became. */
export interface Prepared {
  /** A .tflite model, or for tract the ONNX file as it is. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly owned: boolean;
  /** Given where tract is to run it. */
  readonly tract?: Tract;
}

/** tract's wasm file has the exports of a core. */
export interface Tract {
  readonly module: WebAssembly.Module;
  /** Its glue, instantiated in this thread. */
  glue(): Promise<Glue>;
  /** What to throw in place of an error of tract's when it opens the model. */
  explain(error: unknown): unknown;
}

/**
 * Converts a model, or finds what else runs it. Labels and preparation come from the options, as for
 * other models.
 *
 * @throws {AchadoError} MODEL_FORMAT, UNSUPPORTED_OPERATOR, UNSUPPORTED_TYPE, INVALID_OPTION
 */
export async function prepare(
  surroundings: Surroundings,
  file: ModelFiles,
  options: LoadOptions,
  signal: AbortSignal,
  fallbacks: Fallback[],
): Promise<Prepared> {
  const { inputShapes, onnxFallback } = options;
  // What tract gets: the last one that was converted.
  let onnx = file.bytes;
  const convert = (bytes: Uint8Array<ArrayBuffer>) => {
    onnx = bytes;
    const conversion = { inputShapes, keepOrder: true } as const;
    return toTflite(surroundings, bytes, conversion, signal, fallbacks);
  };
  try {
    return { bytes: await withWeights(file, convert), owned: true };
  } catch (error) {
    if (!isForTract(error)) throw onnxFallback === undefined ? error : withReason(error);
    if (onnxFallback === undefined) throw withHint(error);
    const { platform, files } = surroundings;
    const module = await compileFile(files.find("tract.wasm"), platform.fetch, signal, fallbacks);
    fallbacks.push({ from: "wasm", to: "tract", reason: error.message });
    const glue = () => instantiate(platform, module);
    const explain = (other: unknown) => bothOf(error, other);
    const owned = file.owned || onnx !== file.bytes;
    return { bytes: onnx, owned, tract: { module, glue, explain } };
  }
}

async function instantiate({ glues }: Platform, module: WebAssembly.Module): Promise<Glue> {
  const glue = await glues.tract();
  // Chromium's pages instantiate files above 8 MB only when nobody waits.
  await glue.default({ module_or_path: module });
  return glue;
}

/**
 * Whether tract's loader takes the file, as the converter says. Another reader finds no more in a
 * damaged file, but an honest one may be beyond the converter's limits.
 */
function isForTract(error: unknown): error is AchadoError {
  return (
    error instanceof AchadoError &&
    error.code !== "INVALID_OPTION" &&
    error.detail.fallback === "tract"
  );
}

function withHint({ code, message, detail }: AchadoError): AchadoError {
  const hint = 'onnxFallback: "tract" may run the model, slower';
  if (code === "MODEL_FORMAT") {
    return new AchadoError(code, message, detail);
  }
  return new AchadoError(code, `${message}; ${hint}`, { ...detail, hint });
}

/** Why tract was not even asked, where the caller wants it. */
function withReason(error: unknown): unknown {
  if (!(error instanceof AchadoError) || !error.code.startsWith("UNSUPPORTED_")) return error;
  const { code, message, detail } = error;
  const { tract } = detail;
  if (typeof tract !== "string") return error;
  const reason = `${message}; and tract does not run the model: ${tract}`;
  return new AchadoError(code, reason, detail, { cause: error });
}

/** Both reasons, unless the caller or the file is at fault. */
function bothOf(refusal: AchadoError, error: unknown): unknown {
  if (!(error instanceof AchadoError)) return error;
  // A panic of tract's is nothing to report to achado.
  const tract = error.detail.panic ?? error.message;
  const reason = `${refusal.message}; and tract does not run the model: ${tract}`;
  const detail = { ...refusal.detail, tract };
  switch (error.code) {
    case "UNSUPPORTED_OPERATOR":
    case "UNSUPPORTED_TYPE":
    // What a first run on an empty picture fails with, and a panic of tract's.
    case "INVALID_INPUT":
    case "INTERNAL":
      return new AchadoError(refusal.code, reason, detail, { cause: error });
    case "OUT_OF_MEMORY":
      return new AchadoError("OUT_OF_MEMORY", reason, detail, { cause: error });
    default:
      return error;
  }
}
