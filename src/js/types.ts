// The public types. Names follow MediaPipe Tasks where it has one.

/** A model: where it is, or its bytes. */
export type ModelSource =
  string | URL | ArrayBuffer | Uint8Array | Blob | Response | ReadableStream<Uint8Array>;

/** Where the core's WebAssembly is, or the thing itself. */
export type WasmSource = string | URL | BufferSource | WebAssembly.Module;

/** Pixels as `ImageData` has them: RGBA, 8 bits a channel, rows from the top, no gaps. */
export interface RawImage {
  /** `height * width * 4` bytes. Alpha is ignored. */
  readonly data: Uint8ClampedArray | Uint8Array;
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
}

/**
 * What can be classified. A `Uint8Array` (or Node's `Buffer`) and a `Blob` are the bytes of an
 * encoded picture (JPEG, PNG, WebP, ...); in Node they and {@link RawImage} are what there is.
 */
export type ImageInput =
  | HTMLImageElement
  | HTMLCanvasElement
  | HTMLVideoElement
  | OffscreenCanvas
  | ImageBitmap
  | ImageData
  | RawImage
  | VideoFrame
  | Blob
  | Uint8Array;

/** How a picture becomes the model's input. */
export interface Preprocess {
  /** How the picture is fitted into the input: distorted (default), cut, or with borders. */
  fit: "stretch" | "centerCrop" | "contain";
  /** How its size is changed: `bilinear` (default) and `area` are antialiased. */
  resize: "bilinear" | "nearest" | "area";
  /** Subtracted from pixel values 0..255: one number for all channels, or one each. */
  mean: number[];
  /** Then divided by: one number for all channels, or one each. */
  std: number[];
  /** The order of the channels that the model was trained with. */
  channels: "RGB" | "BGR" | "GRAY";
  /**
   * The centred part of the picture that is used, above 0 and up to 1. ImageNet models are usually
   * measured with `centerCrop` and 0.875.
   */
  cropFraction: number;
}

/**
 * Preparations by name: `imagenet` is torchvision's mean and deviation, `caffe-bgr` Caffe's means
 * with blue first, `unit` 0..1, `symmetric` -1..1.
 */
export type PreprocessPreset = "imagenet" | "caffe-bgr" | "unit" | "symmetric";

/** Options that change how pictures are prepared and answers are given. */
export interface ModelOptions {
  /** Overrides what the model's metadata says. ONNX models have none: they need it. */
  preprocess?: Partial<Preprocess> | PreprocessPreset | undefined;
  /** Class names by index: a list, or the URL of a text file with one name a line. */
  labels?: string[] | URL | string | undefined;
  /** At most so many categories a head, best first. All if omitted or negative. */
  maxResults?: number | undefined;
  /** Categories with lower scores are left out. Default: the metadata's threshold, if any. */
  scoreThreshold?: number | undefined;
  /** BCP 47, such as `pt-BR`: which of the model's label files `displayName` comes from. */
  displayNamesLocale?: string | undefined;
  /** Only these categories, by `categoryName`. Excludes `categoryDenylist`. */
  categoryAllowlist?: string[] | undefined;
  /** All but these categories, by `categoryName`. */
  categoryDenylist?: string[] | undefined;
}

/** What {@link createClassifier} takes. */
export interface ClassifierOptions extends ModelOptions {
  /** A `.tflite` or `.onnx` model, told apart by content. Without it, the EfficientNet-Lite0 that comes with the package. */
  model?: ModelSource | undefined;
  /**
   * For ONNX models that leave dimensions open other than the first: the shapes of inputs by name,
   * in the file's order, such as `{ input: [1, 3, 224, 224] }`.
   */
  inputShapes?: Readonly<Record<string, readonly number[]>> | undefined;
  /** `sha256-` and the base64 of the model's SHA-256: other bytes are refused. */
  integrity?: `sha256-${string}` | undefined;
  /** Run in a worker, so that the page never waits. Default: true where there is a window. */
  worker?: boolean | undefined;
  /**
   * How many threads share the work. `"auto"` (default): as many as there are processors, up to 4.
   * More than one take a cross-origin isolated page and another file of the core; elsewhere, Node
   * included, there is one, and `runtime.fallbacks` says why. Scores do not depend on it.
   */
  threads?: number | "auto" | undefined;
  /**
   * Where the core's wasm is, if it is not beside the package: `simd128.wasm`, which every supported
   * browser runs, `relaxed.wasm`, or one of these with `-threads`, in isolated pages only.
   */
  wasm?: WasmSource | undefined;
  /** Run once before the promise resolves, so that the first picture is fast. Default: true. */
  warmup?: boolean | undefined;
  /** Stops loading; the promise rejects with the signal's reason, an AbortError by default. */
  signal?: AbortSignal | undefined;
  /** Called while loading. */
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** What {@link convertOnnx} takes. */
export interface ConvertOptions {
  /** Class names by index, for the model's metadata: a list, or the URL of a text file. */
  labels?: string[] | URL | string | undefined;
  /** How pixels become the input, for the model's metadata. */
  preprocess?:
    Partial<Pick<Preprocess, "mean" | "std" | "channels">> | PreprocessPreset | undefined;
  /** The shapes of inputs that the file leaves open, by name, in the file's order. */
  inputShapes?: Readonly<Record<string, readonly number[]>> | undefined;
  /** The promise rejects with the signal's reason, an AbortError by default. */
  signal?: AbortSignal | undefined;
}

/** One step of loading. */
export interface Progress {
  /**
   * The core and the model are downloaded at the same time; then come, for an ONNX model, its
   * conversion, and compiling and warming up.
   */
  phase: "wasm" | "model" | "convert" | "compile" | "warmup";
  /** Bytes so far while downloading; else 0, and 1 when the phase is over. */
  loaded: number;
  /** What `loaded` will be in the end, where it is known. */
  total?: number;
}

/** Which part of a picture, and which way up it is. */
export interface FrameOptions {
  /** Fractions 0..1 of the picture as given, from its top left. */
  regionOfInterest?: { left: number; top: number; right: number; bottom: number } | undefined;
  /** Clockwise, a multiple of 90; applied to the region. */
  rotationDegrees?: number | undefined;
  /** Swap left and right, after turning. */
  mirror?: boolean | undefined;
  /** The call rejects with the signal's reason, an AbortError by default. */
  signal?: AbortSignal | undefined;
}

/** Options for a stream of frames. */
export interface StreamOptions extends FrameOptions {
  /** At most so many results a second. Default: as many as the video has and the machine makes. */
  maxFps?: number | undefined;
  /**
   * 0 (default) to below 1: the share of the last smoothed scores that is kept in the next ones,
   * `smoothed = smoothing * smoothed + (1 - smoothing) * scores`.
   */
  smoothing?: number | undefined;
}

/** One class with its score. */
export interface Category {
  /** In the model's output. */
  index: number;
  /** As the model gives it, usually a probability. */
  score: number;
  /** The label that identifies the class; empty if the model has no labels. */
  categoryName: string;
  /** The label in `displayNamesLocale`; empty if the model has none in it. */
  displayName: string;
}

/** The categories of one output of the model. */
export interface Classifications {
  headIndex: number;
  headName: string;
  /** Best first; equal scores by index. */
  categories: Category[];
}

/** The answer for one picture. */
export interface ClassifierResult {
  /** One for each output of the model. */
  classifications: Classifications[];
  /** The best category of the first head, or null if none is left. */
  top: Category | null;
  /** For streams: the frame's time in the video. */
  timestampMs?: number;
  /** In milliseconds. */
  timings: { preprocess: number; inference: number; postprocess: number };
}

/** A tensor that goes into the model or comes out of it. */
export interface TensorInfo {
  name: string;
  /** `[n, h, w, c]` for pictures. */
  shape: number[];
  /** `float32`, `int8`, `uint8`, ... */
  dtype: string;
  /** `real = scale * (q - zeroPoint)`, for tensors quantised as a whole. */
  quantization: { scale: number; zeroPoint: number } | null;
}

/** What the model says about itself. Texts are empty where it says nothing. */
export interface ModelMetadata {
  name: string;
  description: string;
  version: string;
  author: string;
  license: string;
  inputs: TensorInfo[];
  outputs: TensorInfo[];
  /** How many classes of the first output have a name. */
  labels: number;
  /** The languages in which the file has names, as BCP 47. */
  locales: string[];
}

/** What runs, and what could not. */
export interface Runtime {
  readonly backend: "wasm";
  /** Which of the core's builds this is; `relaxed` is faster and not in every browser. */
  readonly simd: "simd128" | "relaxed";
  /** How many share the work. */
  readonly threads: number;
  /** Whether it runs in a worker. */
  readonly worker: boolean;
  /** What was wanted, what is used in its place, and why. */
  readonly fallbacks: readonly Fallback[];
  /** WebAssembly memory in use; without a worker, that of all classifiers of the page. */
  readonly memoryBytes: number;
}

/** Something that was wanted and could not be had. */
export interface Fallback {
  from: string;
  to: string;
  reason: string;
}

/** One operator of the model, measured. */
export interface OperatorProfile {
  /** Position in the model. */
  index: number;
  /** As TensorFlow Lite names it. */
  operator: string;
  /** Which of our kernels ran. */
  kernel: string;
  /** The tensor that it writes. */
  name: string;
  /** Median over the runs. */
  medianMs: number;
  /** Multiplications with addition. */
  macs: number;
  /** Of the whole model's time, 0..1. */
  share: number;
}

/** A loaded model that answers. Calls run one after another, in the order they were made. */
export interface ImageClassifier extends AsyncDisposable {
  /**
   * Names what a picture shows.
   *
   * @throws {AchadoError} INVALID_INPUT, INPUT_NOT_READY, TAINTED_CANVAS, INVALID_OPTION, CLOSED
   */
  classify(image: ImageInput, options?: FrameOptions): Promise<ClassifierResult>;
  /** Classifies one picture after another. Fails with the first that fails. */
  classifyBatch(images: Iterable<ImageInput>, options?: FrameOptions): Promise<ClassifierResult[]>;
  /**
   * Classifies the frames of a video or camera while it plays. Frames that come while one is
   * worked on are dropped, so results are never late. Ends with the video, or by `break`.
   */
  classifyStream(
    source: HTMLVideoElement | MediaStream,
    options?: StreamOptions,
  ): AsyncIterableIterator<ClassifierResult>;
  /**
   * Changes options; those not given stay, those given as undefined go back to their default. A
   * new `model`, `worker`, `threads` or `wasm` loads anew, and the old model answers until that has worked.
   */
  setOptions(options: Partial<ClassifierOptions>): Promise<void>;
  readonly metadata: ModelMetadata;
  readonly runtime: Runtime;
  /** Measures each operator, on the picture that was classified last. `runs` is 10 by default. */
  profile(runs?: number): Promise<OperatorProfile[]>;
  /** Frees memory and worker. Calls that are under way, and later ones, reject with CLOSED. */
  close(): Promise<void>;
}

/** What {@link openCamera} takes. */
export interface CameraOptions {
  /** `environment` (default) is the camera at the back of a phone. */
  facingMode?: "user" | "environment" | undefined;
  /** In pixels; the nearest that the camera has. */
  width?: number | undefined;
  /** In pixels; the nearest that the camera has. */
  height?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** An open camera. */
export interface Camera {
  /** Plays already; put it in the page to show it, or not. */
  readonly video: HTMLVideoElement;
  readonly stream: MediaStream;
  /** Stops the camera. */
  close(): void;
}
