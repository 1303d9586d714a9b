// The public types of achado/maker.
import type {
  ImageInput,
  LoadOptions,
  ModelSource,
  PreprocessOptions,
  WasmSource,
} from "../types.js";
import type { Tried } from "./maker.js";

/** A picture with what it shows. */
export interface Picture {
  /** For people: a path within its folder, mostly. */
  readonly name: string;
  /** The class. */
  readonly label: string;
  /** Pictures of one session, such as a burst of a camera, are never divided between two sides. */
  readonly session: string;
  /** The picture itself, read when it is asked for. */
  load(): Promise<ImageInput>;
}

/** A picture that was left out, and why. */
export interface Skipped {
  readonly name: string;
  readonly reason: string;
}

/** What {@link ImageDataset.fromFiles} takes in place of names with lists. */
export interface LabeledImage {
  image: ImageInput;
  label: string;
  name?: string | undefined;
  session?: string | undefined;
}

/** How a dataset is divided. */
export interface SplitOptions {
  /** The same seed gives the same parts. Default: 0. */
  seed?: number | undefined;
  /** The same share of every class. Default: true. */
  stratify?: boolean | undefined;
  /**
   * What stays together: the session of a picture (default), nothing, or pictures of which the
   * function gives the same text.
   */
  groupBy?: "session" | "none" | ((picture: Picture) => string) | undefined;
}

/** One step of a long call. */
export interface MakerProgress {
  /** `embed`: pictures go through the network. `train`: the head. `evaluate`, `export`: as they say. */
  phase: "load" | "embed" | "train" | "evaluate" | "export";
  done: number;
  total: number;
  /** How long it will still take, once that can be told. */
  etaMs?: number;
}

/** What every long call takes. */
export interface MakerCall {
  /** The call rejects with the signal's reason, an AbortError by default. */
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: MakerProgress) => void) | undefined;
}

/** What {@link createTrainer} takes. */
export interface TrainerOptions extends Pick<
  LoadOptions,
  "worker" | "threads" | "wasm" | "inputShapes" | "integrity"
> {
  /** Any classifier or embedder, `.tflite` or ONNX. Default: the model of the package. */
  model?: ModelSource | undefined;
  /** How pictures become the model's input, in training and later. It goes into the exported file. */
  preprocess?: PreprocessOptions | undefined;
  /** Where `maker.wasm` is, if it is not beside the package. */
  makerWasm?: WasmSource | undefined;
  signal?: AbortSignal | undefined;
}

/** How to train. A convex problem has one optimum: there are no epochs and no learning rate. */
export interface TrainOptions extends MakerCall {
  /** Softmax regression (default), shrunk linear discriminant analysis, or nearest centroid. */
  head?: "softmax" | "lda" | "centroid" | undefined;
  /**
   * The strength of L2: `1 / C` of scikit-learn. `"auto"` (default): what does best on folds. For
   * `"lda"` the shrinkage, above 0 and below 1.
   */
  l2?: number | "auto" | undefined;
  /** `"balanced"` (default): every class counts alike, however many pictures it has. */
  classWeights?: "balanced" | "none" | undefined;
  /** Make scores as sure as they are right on pictures held out. Default: true. */
  calibrate?: boolean | undefined;
  /** Of the cross-validation. Default: 5. */
  folds?: number | undefined;
  /** Of the folds. Default: 0. */
  seed?: number | undefined;
  /** The share of unseen pictures that `threshold` lets pass. Default: 0.95. */
  reject?: number | undefined;
  /** `"flip"`: each picture mirrored, too. Wrong where classes are mirror images. Default: `"none"`. */
  augmentation?: "none" | "flip" | undefined;
  /** The same picture in two classes: refuse (default), or leave it out of both. */
  conflicts?: "refuse" | "skip" | undefined;
}

/** What training has found. */
export interface TrainReport {
  /** Pictures that were trained on. */
  pictures: number;
  skipped: Skipped[];
  /** Names of pictures that are the same, each list one picture. */
  duplicates: string[][];
  l2: number;
  temperature: number;
  tried: Tried[];
  /**
   * On pictures that the head had not seen, by cross-validation or leaving one out; null where none
   * of a class could be held out.
   */
  unseen: Evaluation | null;
  /** What a picture of no class mostly stays below: see `reject`. */
  threshold: number;
  /** What is too little to be sure of, in words. */
  warnings: string[];
  timings: { embedMs: number; trainMs: number };
}

/** A class of an evaluation. */
export interface ClassReport {
  label: string;
  /** Of the pictures that were said to be of the class, the share that is; null for none. */
  precision: number | null;
  /** Of the pictures of the class, the share that was found; null for none. */
  recall: number | null;
  /** Their harmonic mean; null where both are. */
  f1: number | null;
  /** Pictures of the class. */
  support: number;
}

/** A picture that was taken for another class. */
export interface Mistake {
  picture: Picture;
  label: string;
  predicted: string;
  /** Of the wrong class, and of the right one. */
  score: number;
  labelScore: number;
}

/** How good a head is on some pictures. */
export interface Evaluation {
  labels: string[];
  pictures: number;
  accuracy: number;
  /** Of 95 %, by Wilson's formula. */
  interval: [number, number];
  /** Mean cross-entropy, in nats. */
  loss: number;
  perClass: ClassReport[];
  /** `[label][predicted]`: counts. */
  confusionMatrix: number[][];
  mistakes: Mistake[];
  /** Expected calibration error: by how much scores are off, in ten bins. */
  calibrationError: number;
  skipped: Skipped[];
}

/** What goes into the exported file. */
export interface ExportOptions extends MakerCall {
  /** `"none"` (default): a head of floats, whatever the network computes in. `"int8"`: integers alone. */
  quantization?: "none" | "int8" | undefined;
  /** Names for people by locale, such as `{ pt: ["vestido", ...] }`, in the order of `labels`. */
  displayNames?: Readonly<Record<string, readonly string[]>> | undefined;
  /** Classes with lower scores are not given: a number, or `"auto"` for {@link TrainReport.threshold}. */
  scoreThreshold?: number | "auto" | undefined;
  name?: string | undefined;
  description?: string | undefined;
  version?: string | undefined;
  author?: string | undefined;
}

/** What was compared before an exported file was handed out. */
export interface ExportReport {
  bytes: number;
  /** Embeddings that the file's head was run on, and pictures that the whole file was run on. */
  embeddings: number;
  pictures: number;
  /** How many have the same best class as the page shows. */
  same: number;
  /** The largest difference of a score. */
  largestDifference: number;
}
