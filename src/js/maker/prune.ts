// Float models become smaller without training: over quantize.wasm.
import { AchadoError } from "../errors.js";
import { checkNames, type NamesOf } from "../names.js";
import type { LoadOptions, ModelSource } from "../types.js";
import {
  type CalibrationPicture,
  feed,
  type ModelPlatform,
  type SkippedPicture,
  tfliteOf,
  withWork,
} from "./model-work.js";

const METHODS = ["channels", "weights"] as const;

export interface PruneOptions {
  /**
   * `"channels"`: whole channels are cut, which makes a dense network with fewer multiplications, faster
   * everywhere. `"weights"`: single weights become zero, which makes the download smaller.
   */
  method: (typeof METHODS)[number];
  /** The share that goes, above 0 and below 1: of the multiplications, or of the weights. */
  target: number;
  /** Some 100 pictures of the kind that the model will see: an `ImageDataset`, or pictures. */
  dataset: { readonly pictures: readonly CalibrationPicture[] } | Iterable<CalibrationPicture>;
  /** What stays as it is: names of tensors that operators write, or operators such as `"CONV_2D"`. */
  exclude?: readonly string[] | undefined;
  /**
   * The most percent of the pictures held back that may get another class. Where more do, it is refused
   * with the greatest target that was found to hold: `error.detail.best`.
   */
  maxDrop?: number | undefined;
  /** As for `createClassifier`, where the model does not say how pictures become its input. */
  preprocess?: LoadOptions["preprocess"];
  /** Shapes of inputs that an ONNX model leaves open. */
  inputShapes?: LoadOptions["inputShapes"];
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: PruneProgress) => void) | undefined;
}

const OPTIONS: NamesOf<PruneOptions> = {
  method: 1,
  target: 1,
  dataset: 1,
  exclude: 1,
  maxDrop: 1,
  preprocess: 1,
  inputShapes: 1,
  signal: 1,
  onProgress: 1,
};

/** How far a pruned model has come. */
export interface PruneProgress {
  phase: "pictures" | "pruning";
  done: number;
  total: number;
}

/** What became of a layer. */
export interface PrunedLayer {
  /** The name of the tensor that it writes. */
  name: string;
  /** Channels, or weights that are not zero. */
  before: number;
  after: number;
  /** What is lost of what reads it, after the refit, as a share of its variance over the pictures. */
  error: number;
}

/** What pruning costs. */
export interface PruneReport {
  /** Pictures that were used. */
  pictures: number;
  /** Pictures of these that were held back to compare: every fifth. */
  compared: number;
  /** The share of these that get the same class from both models; null where there are none. */
  agreement: number | null;
  /** The share that went: at least `target`. */
  reached: number;
  /** Multiplications with addition. */
  macs: { before: number; after: number };
  layers: PrunedLayer[];
}

/** What comes out of {@link pruneModel}. */
export interface PrunedModel {
  /** The `.tflite` file. */
  model: Uint8Array<ArrayBuffer>;
  /** Bytes of the float model, as `.tflite`, and of the pruned one. */
  sizes: { floatBytes: number; prunedBytes: number };
  report: PruneReport;
  /** Pictures that could not be used, and why. */
  skipped: SkippedPicture[];
}

/** To quantize.wasm. */
export interface PruneOpening {
  model: Uint8Array<ArrayBuffer>;
  method: string;
  exclude: readonly string[];
}

/** To quantize.wasm. */
export interface PruneRequest {
  target: number;
  maxDrop: number | undefined;
}

/** From quantize.wasm. */
export interface PruneResult extends PruneReport {
  model: Uint8Array<ArrayBuffer>;
}

/** {@link pruneModel} on a platform. */
export async function pruneOn(
  platform: ModelPlatform,
  model: ModelSource,
  options: PruneOptions,
): Promise<PrunedModel> {
  checkNames(options, { ...OPTIONS });
  const { method, target, dataset, exclude = [], maxDrop, preprocess, signal } = options ?? {};
  if (!METHODS.includes(method)) {
    throw invalid("method", `must be "channels" or "weights", is ${JSON.stringify(method)}`);
  }
  if (typeof target !== "number" || !(target > 0 && target < 1)) {
    throw invalid("target", `must be a share above 0 and below 1, such as 0.25, is ${target}`);
  }
  if (typeof dataset !== "object" || dataset === null) {
    throw invalid("dataset", "needs pictures, or an ImageDataset: some 100");
  }
  const pictures = "pictures" in dataset ? dataset.pictures : Array.from(dataset);
  const { tflite } = await tfliteOf(platform, model, options);
  return withWork(platform, signal, async (call) => {
    const floatBytes = tflite.byteLength;
    const preparation = await call("openPruning", { model: tflite, method, exclude });
    const total = pictures.length;
    const { skipped } = await feed(platform, preparation, pictures, {
      preprocess,
      signal,
      onPicture: (at) => options.onProgress?.({ phase: "pictures", done: at, total }),
      add: (elements) => call("addPruning", elements),
    });
    options.onProgress?.({ phase: "pruning", done: total, total });
    const { model: pruned, ...report } = await call("finishPruning", { target, maxDrop });
    const sizes = { floatBytes, prunedBytes: pruned.byteLength };
    return { model: pruned, sizes, report, skipped };
  });
}

function invalid(option: string, message: string): AchadoError {
  return new AchadoError("INVALID_OPTION", `${option}: ${message}`, { option });
}
