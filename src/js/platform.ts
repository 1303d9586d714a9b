// What differs between a browser and Node, and between the entry points of the package.
import type { Files, OwnFiles } from "./assets.js";
import type { Frame } from "./engine.js";
import type { FilePlatform } from "./files.js";
import type { ConverterGlue } from "./onnx-here.js";
import type { Glue, SingleGlue, ThreadedGlue } from "./local.js";
import type { AssetName, ImageInput } from "./types.js";

/** A worker of a browser, or one of Node behind the same interface. */
export type WorkerLike = Pick<Worker, "onmessage" | "onerror" | "postMessage" | "terminate"> & {
  /** In Node: the process goes on as long as it runs, which is the default. */
  ref?(): void;
  /** In Node: the process may end while it waits. */
  unref?(): void;
};

/** The scripts of workers: one that runs a model or converts one, and one for cores with threads. */
export type WorkerName = Extract<AssetName, "worker.js" | "threaded-worker.js">;

/** What wasm-bindgen wrote around the wasm files; where it is no part of the script, it is fetched. */
export interface Glues {
  single(): Promise<SingleGlue>;
  threaded(): Promise<ThreadedGlue>;
  tract(): Promise<Glue & { default(options: { module_or_path: WebAssembly.Module }): unknown }>;
  onnx(): Promise<ConverterGlue>;
}

export interface Platform extends FilePlatform {
  readonly files: OwnFiles;
  readonly glues: Glues;
  /** Takes hold of a picture as it is now, for an engine in this thread or in a worker. */
  readonly toFrame: (image: ImageInput, where: { files: Files; worker: boolean }) => Promise<Frame>;
  /** Whether a worker is used unless the caller says otherwise. */
  readonly prefersWorker: boolean;
  /** @throws {Error} why there is none */
  readonly startWorker: (name: WorkerName, files: Files) => WorkerLike;
  /** How many threads run at once. */
  readonly processors: () => number;
  /** Why threads cannot share memory, if they cannot. */
  readonly sharingProblem: () => string | undefined;
  /** Lets what else waits in this thread have its turn, where pictures are worked on in it. */
  readonly turn: () => Promise<void> | undefined;
}
