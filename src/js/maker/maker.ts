// What crosses between TypeScript and maker.wasm.
import type { CorePreprocess } from "../presets.js";

/** How to train a head: `TrainOptions` of crates/maker. */
export interface HeadTraining {
  head: "softmax" | "lda" | "centroid";
  /** Undefined for what does best on the folds. */
  l2: number | undefined;
  balanced: boolean;
  calibrate: boolean;
  folds: number;
  seed: number;
  /** The share of unseen pictures that the threshold lets pass. */
  reject: number;
}

/** A strength that was tried, with what pictures held out say about it. */
export interface Tried {
  l2: number;
  /** Mean cross-entropy of calibrated scores, in nats. */
  loss: number;
  accuracy: number;
}

/** Logits are `weights * x / |x| + bias` of an embedding `x`; the temperature is in. */
export interface TrainedHead {
  /** `[classes, features]`. */
  weights: Float32Array<ArrayBuffer>;
  /** `[classes]`. */
  bias: Float32Array<ArrayBuffer>;
  l2: number;
  temperature: number;
  /** The minimum of the loss, of softmax regression only. */
  objective: number;
  threshold: number;
  /** `[n, classes]`: logits of each picture by a head that had not seen it; NaN where there is none. */
  unseen: Float32Array<ArrayBuffer>;
  tried: Tried[];
}

/** What goes into an exported file beside the network: `Export` of crates/maker. */
export interface HeadDescription {
  labels: readonly string[];
  displayNames: Readonly<Record<string, readonly string[]>> | undefined;
  head: "float32" | "int8";
  preprocess: CorePreprocess | undefined;
  scoreThreshold: number | undefined;
  name: string;
  description: string;
  version: string;
  author: string;
}
