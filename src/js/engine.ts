// What runs a model, in this thread or in a worker, and the messages between the two.
import type { WireError } from "./errors.js";
import type { Labels } from "./files.js";
import type { Conversion } from "./onnx.js";
import type { CorePreprocess } from "./presets.js";
import type { Names } from "./results.js";
import type { WireTensor } from "./tensors.js";
import type {
  EmbedOptions,
  FrameOptions,
  ModelMetadata,
  LoadOptions,
  ModelOptions,
  OperatorProfile,
  RawImage,
  Runtime,
  TensorData,
} from "./types.js";

/** A file on its way to a worker of Node, which decodes it there. */
export interface EncodedPicture {
  readonly encoded: Uint8Array<ArrayBuffer>;
  readonly decoder: WebAssembly.Module;
}

/**
 * What transparent pixels are: those of a canvas or an element show the `page` behind it, those of a
 * file have the color that is `stored`.
 */
export type Alpha = "page" | "stored";

/** Pixels in sRGB; `stored` if nothing is said. */
export interface Pixels extends RawImage {
  readonly alpha?: Alpha;
}

/** What the browser draws. */
export interface Drawing {
  readonly bitmap: ImageBitmap;
  readonly alpha: Alpha;
}

/** A picture on its way to the engine: pixels, or what becomes pixels over there. */
export type Frame = Pixels | Drawing | EncodedPicture;

/** The options of one frame that the core knows. */
export type FrameGeometry = Pick<
  FrameOptions,
  "regionOfInterest" | "rotationDegrees" | "mirror"
> & {
  /** Whether transparent pixels show the page; set where pixels are read. */
  page?: boolean;
  /** For the frames of a video: what is kept of the past, and whether there is none yet. */
  smoothing?: { share: number; restart: boolean } | undefined;
};

/** And of one embedding. */
export type EmbedGeometry = FrameGeometry & Pick<EmbedOptions, "l2Normalize" | "quantize">;

/** What a model is opened for. */
export type Task = "classifier" | "tensors";

/** The options that the core knows: labels are there by now. */
export type CoreOptions = Omit<ModelOptions, "labels" | "preprocess"> & {
  /** Only when a model is opened, as the next three. */
  task?: Task;
  inputShapes?: LoadOptions["inputShapes"];
  batchSize?: number | undefined;
  preprocess?: CorePreprocess | undefined;
  /** A list, or the bytes of a label file. */
  labels?: Labels | undefined;
  threads?: number;
};

/** What brings a model to a GPU. */
export interface Acceleration {
  readonly mode: "auto" | "webgpu";
  /** The address of webgpu.js. */
  readonly script: string;
  /** Of gpu.wasm. */
  readonly module: WebAssembly.Module;
  readonly model: Uint8Array<ArrayBuffer>;
}

/** The GPU that a model runs on. */
export interface Accelerated {
  readonly adapter: string;
}

/** What to run and on how many threads. */
export interface Launch {
  readonly module: WebAssembly.Module;
  /** The most that share the work, this one included. */
  readonly threads: number;
  /** For modules with threads, which do not bring their own. */
  readonly memory: WebAssembly.Memory | undefined;
}

/** The picture among the inputs of a run. */
export interface WirePicture {
  frame: Frame;
  geometry: FrameGeometry;
}

/** What a core says about itself and its model when that is opened. */
export type CoreFacts = Pick<Engine, "simd" | "batchSize" | "batchRefusal">;

/** Classifications as the core gives them; {@link readResults} makes objects of them. */
export type ResultNumbers = Float64Array<ArrayBuffer>;

/** What a model says about itself when it is opened and when options change. */
export type Description = Pick<Engine, "metadata" | "names" | "complaint">;

/** A compiled model. It takes one call at a time. */
export interface Engine {
  readonly metadata: ModelMetadata;
  /** Of the classes of each head. */
  readonly names: Names[];
  /** Why the values that pictures become are hardly those that the model was trained with. */
  readonly complaint: string | undefined;
  readonly simd: Runtime["simd"];
  readonly memoryBytes: number;
  /** How many pictures {@link Engine.classifyBatch} takes: 1 if the model takes one at a time. */
  readonly batchSize: number;
  /** Why it takes one at a time, if more were asked for. */
  readonly batchRefusal: string | undefined;
  /** What broke it for good, if something has. */
  readonly failure: Error | undefined;
  /** A bitmap is used up: it is closed or moved to the worker. */
  classify(frame: Frame, geometry: FrameGeometry): Promise<ResultNumbers>;
  /** As many as {@link Engine.batchSize}, at once. */
  classifyBatch(frames: Frame[], geometry: FrameGeometry): Promise<ResultNumbers>;
  /** The tensors' buffers are used up, as is the picture. */
  run(tensors: WireTensor[], picture?: WirePicture): Promise<TensorData[]>;
  embed(
    frame: Frame,
    geometry: EmbedGeometry,
  ): Promise<Float32Array<ArrayBuffer> | Int8Array<ArrayBuffer>>;
  setOptions(options: CoreOptions): Promise<void>;
  profile(runs: number): Promise<OperatorProfile[]>;
  /** Rejects with why the model stays on the CPU. */
  accelerate(request: Acceleration): Promise<Accelerated>;
  /** Why the GPU is of no more use, as soon as it is; calls are answered by the CPU from then on. */
  lost(): Promise<string>;
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
  /** Before a model is there; nothing depends on it. */
  | { call: "prepare"; module: WebAssembly.Module }
  | { call: "classify"; frame: Frame; geometry: FrameGeometry }
  | { call: "classifyBatch"; frames: Frame[]; geometry: FrameGeometry }
  | { call: "run"; tensors: WireTensor[]; picture: WirePicture | undefined }
  | { call: "embed"; frame: Frame; geometry: EmbedGeometry }
  | { call: "setOptions"; options: CoreOptions }
  | { call: "profile"; runs: number }
  | { call: "accelerate"; request: Acceleration }
  | { call: "lost" }
  | {
      call: "convert";
      module: WebAssembly.Module;
      onnx: Uint8Array<ArrayBuffer>;
      conversion: Conversion;
    }
);

/** What each call answers. */
export interface Answers {
  /** With the model's bytes, which the core has copied. */
  open: CoreFacts & { model: Uint8Array<ArrayBuffer> };
  prepare: undefined;
  classify: ResultNumbers;
  classifyBatch: ResultNumbers;
  run: TensorData[];
  embed: Float32Array<ArrayBuffer> | Int8Array<ArrayBuffer>;
  setOptions: undefined;
  profile: OperatorProfile[];
  accelerate: Accelerated;
  lost: string;
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
  /** How a request ends, with the memory of its pixels, if any. */
  | ({ id: number; pixels: ArrayBuffer[] } & (
      | { value: unknown; memoryBytes: number; description?: Description }
      | { error: WireError; crashed: boolean }
    ));
