// What maker.wasm does, in this thread or in a worker, and the messages between the two.
import type { WireError } from "../errors.js";
import type { HeadDescription, HeadTraining, TrainedHead } from "./maker.js";

/** Rows of embeddings with what they show. */
export interface Rows {
  /** `[n, features]`. */
  embeddings: Float32Array<ArrayBuffer>;
  features: number;
  labels: Uint32Array<ArrayBuffer>;
  sessions: Uint32Array<ArrayBuffer>;
  classes: number;
}

/** A network cut before its last layer. */
export interface CutModel {
  /** A `.tflite` file whose output is the embedding. */
  model: Uint8Array<ArrayBuffer>;
  features: number;
  /** Of the embedding in the file. */
  dtype: string;
  described: { name: string; author: string; license: string };
}

/** The work, wherever it is done. One network at a time. */
export interface Work {
  cut(model: Uint8Array<ArrayBuffer>): Promise<CutModel>;
  train(
    rows: Rows,
    options: HeadTraining,
    signal: AbortSignal | undefined,
    onProgress: (share: number) => void,
  ): Promise<TrainedHead>;
  /** The file, and its head alone as a file. */
  exportModel(
    head: Pick<TrainedHead, "weights" | "bias">,
    embeddings: Float32Array<ArrayBuffer>,
    description: HeadDescription,
  ): Promise<{ file: Uint8Array<ArrayBuffer>; head: Uint8Array<ArrayBuffer> }>;
  close(): void;
}

/** Lets messages and other tasks in. */
export function pause(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

/** To the worker. */
export type WorkRequest =
  | { id: number; call: "start"; module: WebAssembly.Module }
  | { id: number; call: "cut"; model: Uint8Array<ArrayBuffer> }
  | { id: number; call: "train"; rows: Rows; options: HeadTraining }
  | {
      id: number;
      call: "export";
      head: Pick<TrainedHead, "weights" | "bias">;
      embeddings: Float32Array<ArrayBuffer>;
      description: HeadDescription;
    }
  /** Stops the call `id`. */
  | { id: number; call: "abort" };

/** From the worker. */
export type WorkResponse =
  { id: number; value: unknown } | { id: number; error: WireError } | { id: number; share: number };
