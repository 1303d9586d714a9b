// What runs a model, in this thread or in a worker, and the messages between the two.
import type { WireError } from "./errors.js";
import type { Conversion } from "./onnx.js";
import type {
  ClassifierResult,
  FrameOptions,
  ModelMetadata,
  ModelOptions,
  OperatorProfile,
  Preprocess,
  RawImage,
  Runtime,
} from "./types.js";

/** A picture on its way to the engine: pixels, or a bitmap that becomes pixels over there. */
export type Frame = RawImage | ImageBitmap;

/** The options of one frame that the core knows. */
export type FrameGeometry = Pick<
  FrameOptions,
  "regionOfInterest" | "rotationDegrees" | "mirror"
> & {
  /** For the frames of a video: what is kept of the past, and whether there is none yet. */
  smoothing?: { share: number; restart: boolean } | undefined;
};

/** The options that the core knows: labels are a list by now. */
export type CoreOptions = Omit<ModelOptions, "labels" | "preprocess"> & {
  preprocess?: Partial<Preprocess> | undefined;
  labels?: string[] | undefined;
  /** Only when a model is opened. */
  threads?: number;
};

/** What to run and on how many threads. */
export interface Launch {
  readonly module: WebAssembly.Module;
  /** The most that share the work, this one included. */
  readonly threads: number;
  /** For modules with threads, which do not bring their own. */
  readonly memory: WebAssembly.Memory | undefined;
}

/** A compiled model. It takes one call at a time. */
export interface Engine {
  readonly metadata: ModelMetadata;
  readonly simd: Runtime["simd"];
  readonly memoryBytes: number;
  /** What broke it for good, if something has. */
  readonly failure: Error | undefined;
  /** A bitmap is used up: it is closed or moved to the worker. */
  classify(frame: Frame, geometry: FrameGeometry): Promise<ClassifierResult>;
  setOptions(options: CoreOptions): Promise<void>;
  profile(runs: number): Promise<OperatorProfile[]>;
  close(error: Error): void;
}

/** To the worker. `id` comes back with the answer. */
export type Request = { id: number } & (
  | {
      call: "open";
      launch: Launch;
      model: Uint8Array<ArrayBuffer>;
      options: CoreOptions;
      warmup: boolean;
    }
  | { call: "classify"; frame: Frame; geometry: FrameGeometry }
  | { call: "setOptions"; options: CoreOptions }
  | { call: "profile"; runs: number }
  | {
      call: "convert";
      module: WebAssembly.Module;
      onnx: Uint8Array<ArrayBuffer>;
      conversion: Conversion;
    }
);

/** What each call answers. */
export interface Answers {
  /** What the core says about itself. */
  open: Runtime["simd"];
  classify: ClassifierResult;
  setOptions: undefined;
  profile: OperatorProfile[];
  /** The bytes of a .tflite model. */
  convert: Uint8Array<ArrayBuffer>;
}

/** Steps of opening a model, which the worker reports on its way. */
export type Phase = "compile" | "warmup";

/** From the worker. */
export type Response =
  /** Its script runs. */
  | { ready: true }
  | { id: number; phase: Phase; done: boolean }
  /** The first instance is there, and helpers of this generation may join. */
  | { id: number; generation: number }
  | { id: number; value: unknown; memoryBytes: number; metadata?: ModelMetadata }
  | { id: number; error: WireError; crashed: boolean };
