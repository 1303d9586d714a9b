// Float models become int8, float16 or have 8-bit weights: over quantize.wasm.
import { AchadoError } from "../errors.js";
import { checkNames, type NamesOf } from "../names.js";
import type { LoadOptions, ModelSource } from "../types.js";
import {
  type CalibrationPicture,
  feed,
  type ModelPlatform,
  tfliteOf,
  withWork,
} from "./model-work.js";

export type { CalibrationPicture } from "./model-work.js";

/** How ranges of activations are made of what the pictures show. */
export type RangeMethod = "percentile" | "minmax" | "moving-average" | "mse";

/** What {@link QuantizationConfig.forInt8} takes beside pictures. */
export interface Int8Options {
  /** Default `"percentile"`: one element in 100,000 is cut off. `"minmax"` is TensorFlow Lite's. */
  ranges?: RangeMethod | undefined;
  /** Add to each bias what rounding the weights takes from its mean. Default `true`. */
  biasCorrection?: boolean | undefined;
  /** Widen channels of small range where that changes nothing else. Default `true`. */
  equalization?: boolean | undefined;
  /** A scale for each output of dense layers. Default `false`: old runtimes know one for all. */
  perChannelDense?: boolean | undefined;
}

type Target = "int8" | "float16" | "dynamic" | "int8-weights";

const INT8: NamesOf<Int8Options> = {
  ranges: 1,
  biasCorrection: 1,
  equalization: 1,
  perChannelDense: 1,
};

/** What a model is to become. The names are Model Maker's. */
export class QuantizationConfig {
  private constructor(
    readonly target: Target,
    readonly pictures: readonly CalibrationPicture[],
    readonly options: Int8Options,
  ) {}

  /**
   * Weights and activations in int8: a quarter of the size, and faster.
   *
   * @param pictures Some 100 of the kind that the model will see: an `ImageDataset`, or pictures.
   * @throws {AchadoError} INVALID_OPTION
   */
  static forInt8(
    pictures: { readonly pictures: readonly CalibrationPicture[] } | Iterable<CalibrationPicture>,
    options: Int8Options = {},
  ): QuantizationConfig {
    checkNames(options, INT8);
    const list = "pictures" in pictures ? pictures.pictures : Array.from(pictures);
    return new QuantizationConfig("int8", list, options);
  }

  /** Constants in float16: half the size, the same speed, next to no loss. */
  static forFloat16(): QuantizationConfig {
    return new QuantizationConfig("float16", [], {});
  }

  /** Weights in int8, activations quantized while the model runs: a quarter of the size. */
  static forDynamic(options: Pick<Int8Options, "perChannelDense"> = {}): QuantizationConfig {
    checkNames(options, { perChannelDense: 1 });
    return new QuantizationConfig("dynamic", [], options);
  }

  /** Weights in int8, computed with as floats: a quarter of the size. */
  static forInt8Weights(options: Pick<Int8Options, "perChannelDense"> = {}): QuantizationConfig {
    checkNames(options, { perChannelDense: 1 });
    return new QuantizationConfig("int8-weights", [], options);
  }
}

/** How far a quantized model has come. */
export interface QuantizeProgress {
  phase: "pictures" | "quantizing";
  done: number;
  total: number;
}

export interface QuantizeOptions {
  config: QuantizationConfig;
  /** What stays in float: names of tensors that operators write, or operators such as `"SOFTMAX"`. */
  exclude?: readonly string[] | undefined;
  /**
   * The most percent of held back pictures that may get another class than from the float model:
   * operators are left in float, the most harmful first, until that holds.
   */
  maxDrop?: number | undefined;
  /** Of the inputs and outputs of an int8 model. Default `"uint8"`. */
  ioType?: "uint8" | "int8" | "float32" | undefined;
  /** As for `createClassifier`, where the model does not say how pictures become its input. */
  preprocess?: LoadOptions["preprocess"];
  /** Shapes of inputs that an ONNX model leaves open. */
  inputShapes?: LoadOptions["inputShapes"];
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: QuantizeProgress) => void) | undefined;
}

const OPTIONS: NamesOf<QuantizeOptions> = {
  config: 1,
  exclude: 1,
  maxDrop: 1,
  ioType: 1,
  preprocess: 1,
  inputShapes: 1,
  signal: 1,
  onProgress: 1,
};

/** A tensor of the int8 model beside the float model's, over the pictures that were held back. */
export interface LayerReport {
  operator: string;
  name: string;
  /** Root mean square of the difference in steps of the tensor's scale: 0.29 is rounding alone. */
  rmseOverScale: number;
  /** Signal to noise in decibels. */
  snrDb: number;
  cosine: number;
}

/** What int8 costs. Half of the pictures are held back for it; the file is calibrated on all. */
export interface Int8Report {
  /** Pictures that were used. */
  pictures: number;
  /** Pictures that were held back to compare. */
  compared: number;
  /** The share of these that get the same class from both models, 0 to 1. */
  agreement: number;
  /** Whether `maxDrop` holds; `true` where none was asked for. */
  holds: boolean;
  /** What was left in float for `maxDrop`, the most harmful first. */
  islands: string[];
  /** What computes floats: islands, what was excluded, and operators that int8 does not have. */
  floatOperators: string[];
  layers: LayerReport[];
}

/** What comes out of {@link quantizeModel}. */
export interface QuantizedModel {
  /** The `.tflite` file. */
  model: Uint8Array<ArrayBuffer>;
  /** Bytes of the float model, as `.tflite`, and of the quantized one. */
  sizes: { floatBytes: number; quantizedBytes: number };
  /** Of int8 only. */
  report: Int8Report | undefined;
  /** Pictures that could not be used, and why. */
  skipped: { name: string; reason: string }[];
}

/** To quantize.wasm. */
export interface Int8Request extends Int8Options {
  exclude: readonly string[];
  maxDrop: number | undefined;
  ioType: string | undefined;
  /** Whether the model's own normalization made the pictures' numbers. */
  asModelSays: boolean;
}

/** From quantize.wasm. */
export interface Int8Result extends Int8Report {
  model: Uint8Array<ArrayBuffer>;
}

/** Whether pixels become other numbers than the model's file says. */
function changesPixels(preprocess: LoadOptions["preprocess"]): boolean {
  if (typeof preprocess !== "object") return preprocess !== undefined;
  return "preset" in preprocess || "mean" in preprocess || "std" in preprocess;
}

/** {@link quantizeModel} on a platform. */
export async function quantizeOn(
  platform: ModelPlatform,
  model: ModelSource,
  options: QuantizeOptions,
): Promise<QuantizedModel> {
  checkNames(options, { ...OPTIONS });
  const { config, exclude = [], maxDrop, ioType, preprocess, inputShapes, signal } = options;
  if (typeof config !== "object" || config === null || !("target" in config)) {
    throw new AchadoError(
      "INVALID_OPTION",
      "config: needs QuantizationConfig.forInt8(pictures), forFloat16(), forDynamic() or forInt8Weights()",
      { option: "config" },
    );
  }
  const { tflite } = await tfliteOf(platform, model, { inputShapes, signal });
  const floatBytes = tflite.byteLength;
  return withWork(platform, signal, async (work) => {
    const done = (bytes: Uint8Array<ArrayBuffer>): QuantizedModel => ({
      model: bytes,
      sizes: { floatBytes, quantizedBytes: bytes.byteLength },
      report: undefined,
      skipped: [],
    });
    if (config.target !== "int8") {
      const perChannelDense = config.options.perChannelDense ?? false;
      const request = { model: tflite, to: config.target, perChannelDense };
      return done(await work("compact", request));
    }
    const preparation = await work("open", tflite);
    const total = config.pictures.length;
    const { skipped } = await feed(platform, preparation, config.pictures, {
      preprocess,
      signal,
      onPicture: (at) => options.onProgress?.({ phase: "pictures", done: at, total }),
      add: (elements) => work("add", elements),
    });
    options.onProgress?.({ phase: "quantizing", done: total, total });
    const asModelSays = !changesPixels(preprocess);
    const request = { ...config.options, exclude, maxDrop, ioType, asModelSays };
    const { model: quantized, ...report } = await work("finish", request);
    return { ...done(quantized), report, skipped };
  });
}
