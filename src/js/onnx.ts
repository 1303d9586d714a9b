// ONNX models become .tflite models: by a wasm file of its own, which is loaded when an ONNX file is
// opened for the first time; what it made is kept.
import { Files } from "./assets.js";
import { AchadoError, abortable } from "./errors.js";
import { type Labels, type ModelFiles, readFiles } from "./files.js";
import { isOnnx } from "./kind.js";
import { convertHere } from "./onnx-here.js";
import { checkConversion, over } from "./options.js";
import type { Platform } from "./platform.js";
import { type CorePreprocess, preprocessOf } from "./presets.js";
import { RemoteEngine } from "./remote.js";
import type { ConvertOptions, Fallback, LoadOptions } from "./types.js";
import { compileFile } from "./wasm.js";

/** Raised when the converter makes other files of the same models. */
const CACHE = "achado-onnx-2";
/** The oldest ones go first. */
const MAX_KEPT = 8;

/** How to convert; labels are there by now. */
export interface Conversion {
  /** By the input's name, in the order of the ONNX file's dimensions. */
  inputShapes?: Readonly<Record<string, readonly number[]>> | undefined;
  preprocess?: CorePreprocess | undefined;
  labels?: Labels | undefined;
  /** Whether achado is to give and take tensors in the order of the ONNX file's dimensions. */
  keepOrder?: true;
}

/** Where a conversion takes place. */
export interface Surroundings {
  readonly platform: Platform;
  readonly files: Files;
  /** Whether a worker is to do it. */
  readonly inWorker: boolean;
}

/**
 * Turns an ONNX model into a .tflite one.
 *
 * @throws {AchadoError} MODEL_FETCH, MODEL_FORMAT, UNSUPPORTED_OPERATOR, UNSUPPORTED_TYPE,
 *   INVALID_OPTION
 */
export async function convertOn(
  platform: Platform,
  model: NonNullable<LoadOptions["model"]>,
  options: ConvertOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  checkConversion(options);
  const signal = options.signal ?? new AbortController().signal;
  signal.throwIfAborted();
  const { files: own, prefersWorker: inWorker } = platform;
  const surroundings = { platform, files: new Files(own, options.assets), inWorker };
  const given = preprocessOf(options.preprocess);
  const convert = async () => {
    const file = await readFiles(platform, { ...options, model }, signal, undefined);
    if (!isOnnx(file.bytes)) {
      throw new AchadoError("MODEL_FORMAT", "this is not an ONNX model", {
        length: file.bytes.byteLength,
      });
    }
    const preprocess = over(file.preprocess, given);
    const conversion = {
      inputShapes: options.inputShapes,
      preprocess,
      labels: file.given ?? file.labels,
    };
    const to = (onnx: Uint8Array<ArrayBuffer>) =>
      toTflite(surroundings, onnx, conversion, signal, []);
    const tflite = await withWeights(file, to);
    file.checkUsed();
    return tflite;
  };
  return abortable(convert(), signal);
}

/**
 * What becomes of a model, with the weights that lie in other files if it has any.
 *
 * @throws {AchadoError} As `use`.
 */
export async function withWeights<T>(
  { bytes, complete }: Pick<ModelFiles, "bytes" | "complete">,
  use: (onnx: Uint8Array<ArrayBuffer>) => Promise<T>,
): Promise<T> {
  try {
    return await use(bytes);
  } catch (error) {
    // The converter names the first file that it lacks.
    if (!(error instanceof AchadoError && "location" in error.detail)) throw error;
  }
  return use(await complete());
}

/**
 * The bytes of a .tflite model: kept from an earlier time, or converted now, in a worker that goes
 * away with the memory that it took.
 *
 * @throws {AchadoError} MODEL_FORMAT, UNSUPPORTED_OPERATOR, UNSUPPORTED_TYPE, INVALID_OPTION
 */
export async function toTflite(
  surroundings: Surroundings,
  onnx: Uint8Array<ArrayBuffer>,
  conversion: Conversion,
  signal: AbortSignal,
  fallbacks: Fallback[],
): Promise<Uint8Array<ArrayBuffer>> {
  const cache = await openCache();
  const key = cache && (await keyOf(onnx, conversion));
  const kept = key && (await cache.match(key).catch(() => undefined));
  if (kept) return new Uint8Array(await kept.arrayBuffer());
  const { platform, files } = surroundings;
  const module = await compileFile(files.find("onnx.wasm"), platform.fetch, signal, fallbacks);
  const tflite = await convert(surroundings, module, onnx, conversion, signal);
  if (key) await keep(cache, key, tflite);
  return tflite;
}

async function convert(
  { platform, files, inWorker }: Surroundings,
  module: WebAssembly.Module,
  onnx: Uint8Array<ArrayBuffer>,
  conversion: Conversion,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  // Without a worker it is done here, as everything else is then.
  const create = () => platform.startWorker("worker.js", files);
  const worker = inWorker && (await RemoteEngine.start(create, 0).catch(() => undefined));
  if (!worker) return convertHere(await platform.glues.onnx(), module, onnx, conversion);
  const stop = () => worker.close(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    signal.throwIfAborted();
    return await worker.convert(module, onnx, conversion);
  } finally {
    signal.removeEventListener("abort", stop);
    worker.close(new AchadoError("CLOSED", "the conversion is over"));
  }
}

/** Browsers have caches on https and localhost; Node has none. */
async function openCache(): Promise<Cache | undefined> {
  try {
    if (!globalThis.caches || !globalThis.crypto?.subtle) return undefined;
    return await caches.open(CACHE);
  } catch {
    // Refused in sandboxed frames and some private windows: then nothing is kept.
    return undefined;
  }
}

/** An address that stands for the model's bytes and what they are converted with. */
async function keyOf(onnx: Uint8Array<ArrayBuffer>, conversion: Conversion): Promise<string> {
  const hash = async (bytes: Uint8Array<ArrayBuffer>) => {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  };
  const { labels, ...rest } = conversion;
  // As text: bytes would be one number a line.
  const text = Array.isArray(labels) ? labels : new TextDecoder().decode(labels);
  const options = await hash(new TextEncoder().encode(JSON.stringify([rest, text])));
  // Caches know requests only; nobody ever asks for this one.
  return `https://achado.invalid/${await hash(onnx)}/${options}`;
}

async function keep(cache: Cache, key: string, tflite: Uint8Array<ArrayBuffer>): Promise<void> {
  try {
    const known = await cache.keys();
    for (const old of known.slice(0, Math.max(0, known.length + 1 - MAX_KEPT))) {
      await cache.delete(old);
    }
    await cache.put(key, new Response(new Blob([tflite])));
  } catch {
    // No room: it is converted again next time.
  }
}
