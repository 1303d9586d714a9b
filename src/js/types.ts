// The public types. Names follow MediaPipe Tasks where it has one.
/// <reference lib="esnext.disposable" preserve="true" />

/** A model: where it is, or its bytes. */
export type ModelSource =
  string | URL | ArrayBuffer | Uint8Array | Blob | Response | ReadableStream<Uint8Array>;

/**
 * What a training program wrote beside a model: Hugging Face's `preprocessor_config.json` and
 * `config.json`, timm's `config.json`, Ultralytics' `metadata.yaml`; where it is, its bytes, or the
 * object that it holds.
 */
export type ConfigSource = string | URL | Blob | ArrayBuffer | Uint8Array | Response | object;

/** Where the core's WebAssembly is, or the thing itself. */
export type WasmSource = string | URL | BufferSource | WebAssembly.Module;

/** The files of the package that are fetched, as they are called in it. */
export type AssetName =
  | "relaxed.wasm"
  | "simd128.wasm"
  | "relaxed-threads.wasm"
  | "simd128-threads.wasm"
  | "onnx.wasm"
  | "tract.wasm"
  | "decode.wasm"
  | "maker.wasm"
  | "quantize.wasm"
  | "gpu.wasm"
  | "webgpu.js"
  | "worker.js"
  | "threaded-worker.js"
  | "node-worker.js"
  | "efficientnet-lite0-int8.tflite";

/** One file: where it is, its bytes, or what it was compiled to. */
export type Asset = string | URL | BufferSource | Blob | WebAssembly.Module;

/**
 * Where the files of the package are: the address of a folder that holds them, such as `/achado/`
 * (`npx achado copy` makes one), or each by its name. Those not named are where they are otherwise.
 */
export type Assets = string | URL | Readonly<Partial<Record<AssetName, Asset | undefined>>>;

/** Pixels as `ImageData` has them: RGBA, 8 bits a channel, rows from the top, no gaps. */
export interface RawImage {
  /**
   * `height * width * 4` bytes, not multiplied by alpha. Transparent pixels count with the color that
   * they have, but those of an `ImageData` are seen on white, as on a page: see
   * {@link Preprocess.background}.
   */
  readonly data: Uint8ClampedArray | Uint8Array;
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
  /** As canvases have it: `srgb` by default. */
  readonly colorSpace?: "srgb" | "display-p3" | undefined;
}

/**
 * What can be classified. A `Uint8Array` (or Node's `Buffer`) and a `Blob` are the bytes of an
 * encoded picture (JPEG, PNG, WebP, ...). A string or `URL` is where one is: an address, in Node also
 * a path. Node has no elements.
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
  | Response
  | Uint8Array
  | ArrayBuffer
  | URL
  | string;

/** How a picture becomes the model's input; docs/preprocessing.md says which training program needs what. */
export interface Preprocess {
  /** Where the fields come from that are not given here; a later preset goes over an earlier one. */
  preset: PreprocessPreset | PreprocessPreset[];
  /**
   * How the picture is fitted into the input: distorted (`stretch`, default), cut (`centerCrop`,
   * also called `cover`), or with borders (`contain`, also called `letterbox`).
   */
  fit: "stretch" | "centerCrop" | "cover" | "contain" | "letterbox";
  /**
   * How its size is changed. Antialiased, as Pillow does it and torchvision, which uses it:
   * `bilinear` (default), `bicubic`, `lanczos`, `box`. `bilinear-tf` samples without antialiasing at
   * half pixel centers, as TensorFlow, Keras, MediaPipe and OpenCV do. `area` is OpenCV's
   * `INTER_AREA`, `nearest` Pillow's nearest pixel.
   */
  resize: "bilinear" | "bilinear-tf" | "bicubic" | "lanczos" | "area" | "box" | "nearest";
  /** Subtracted from pixel values 0..255: one number for all channels, or one each. */
  mean: number[];
  /** Then divided by: one number for all channels, or one each. */
  std: number[];
  /** The order of the channels that the model was trained with. */
  channels: "RGB" | "BGR" | "GRAY";
  /**
   * The centered part of the picture that is used, above 0 and up to 1. With `centerCrop` as
   * torchvision and timm evaluate: the short side is resized to the input's divided by it, rounded
   * down, and the input is cut out of the middle at whole pixels.
   */
  cropFraction: number;
  /** With `centerCrop`, in place of `cropFraction`: the short side, in pixels, before it is cut. */
  shortSide: number;
  /** What `contain` puts around the picture: black by default. */
  padColor: Color;
  /**
   * What is seen through transparent pixels. Default: white, as on a page, for elements, canvases,
   * bitmaps and `ImageData`; of files the color that is stored, as Pillow and TensorFlow take it.
   */
  background: Color;
}

/** `#rrggbb`, red, green and blue from 0 to 255, or one number for a gray. */
export type Color =
  "white" | "gray" | "black" | `#${string}` | readonly [number, number, number] | number;

/**
 * Preparations by name. Values alone: `raw` 0..255 as they are, `unit` 0..1, `symmetric` -1..1,
 * `imagenet` torchvision's mean and deviation, `caffe-bgr` Caffe's means with blue first. What a
 * training program does by default: `keras` and `mediapipe` (geometry; values as the file, its graph
 * or a second preset says), `torchvision`, `timm`, `ultralytics`, `teachable-machine`.
 */
export type PreprocessPreset =
  | "raw"
  | "unit"
  | "symmetric"
  | "imagenet"
  | "caffe-bgr"
  | "keras"
  | "mediapipe"
  | "torchvision"
  | "timm"
  | "ultralytics"
  | "teachable-machine";

/** A preset, or fields, which may begin with one: `{ preset: "imagenet", fit: "centerCrop" }`. */
export type PreprocessOptions = Partial<Preprocess> | PreprocessPreset;

/** Options that change how pictures are prepared and answers are given. */
export interface ModelOptions {
  /** Overrides what the model's metadata says. ONNX models have none: they need it. */
  preprocess?: PreprocessOptions | undefined;
  /**
   * Class names by index: a list, or a label file, by its URL, as a Blob or as bytes. Its format is
   * told by content: names or `0 name` a line, JSON, a Python dictionary, CSV with a header, YAML,
   * TensorFlow's label maps. Of several heads it is for the one that has as many classes. Two names
   * for the one score `p` of a sigmoid have the scores `1 - p` and `p`.
   */
  labels?: string[] | URL | string | Blob | ArrayBuffer | Uint8Array | Response | undefined;
  /**
   * The names of the outputs that are scores, as `metadata.outputs` has them. Default: those that
   * have labels, or else all that can be scores.
   */
  heads?: string[] | undefined;
  /**
   * What makes scores of logits, for models whose `metadata.heads` say `activation: "none"`:
   * `"softmax"` if one class is right, `"sigmoid"` if each is right or not. Default: `"none"`, the
   * scores are as the model gives them.
   */
  activation?: Activation | undefined;
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

/** What makes scores of logits. */
export type Activation = "none" | "softmax" | "sigmoid";

/** What {@link createModel} takes. */
export interface LoadOptions extends Pick<ModelOptions, "preprocess"> {
  /**
   * A `.tflite` or `.onnx` model, told apart by content, or a zip of one with its labels and
   * configurations; the files of a drop, or in Node a folder, are as such a zip. Without it, the
   * EfficientNet-Lite0 that comes with the package.
   */
  model?: ModelSource | readonly File[] | undefined;
  /**
   * What the training program wrote beside the model: it says how pictures are prepared, and what
   * classes are called, where the options above do not.
   */
  config?: ConfigSource | readonly ConfigSource[] | undefined;
  /**
   * The weights of an ONNX model that lie in other files, by the names that the model has for them.
   * Without it they are read from beside the model, where that is a path or a URL.
   */
  externalData?: Readonly<Record<string, ModelSource>> | undefined;
  /**
   * Shapes of inputs by name, in the file's order, such as `{ image: [1, 320, 320, 3] }`: for models
   * that leave dimensions open, and for others whose graph allows it. ONNX models are converted to
   * these shapes, such as `{ input: [1, 3, 224, 224] }`. INVALID_OPTION where the graph does not
   * allow them.
   */
  inputShapes?: Readonly<Record<string, readonly number[]>> | undefined;
  /**
   * `"tract"`: an ONNX model with an operator that achado lacks is run by tract, whole and slower, by
   * a wasm file of its own that is downloaded for it. `runtime.backend` and `runtime.fallbacks` say
   * so; tensors keep the order of the file, `[n, c, h, w]` for pictures. Default: such a model is
   * refused.
   */
  onnxFallback?: "tract" | undefined;
  /**
   * `sha256-` and the base64 of the model's SHA-256: other bytes are refused. For models with external
   * data one for each file, `{ model: "sha256-...", "model.onnx.data": "sha256-..." }`.
   */
  integrity?: `sha256-${string}` | Readonly<Record<string, `sha256-${string}`>> | undefined;
  /**
   * Run in a worker, so that the thread of the caller never waits. Default: true for pages and for
   * Node's main thread, false for workers.
   */
  worker?: boolean | undefined;
  /**
   * How many threads share the work. `"auto"` (default): as many as there are processors, up to 4.
   * More than one take another file of the core and, in browsers, a cross-origin isolated page;
   * elsewhere there is one, and `runtime.fallbacks` says why. Scores do not depend on it.
   */
  threads?: number | "auto" | undefined;
  /**
   * Where the core's wasm is, if it is not beside the package: `simd128.wasm`, which every supported
   * browser runs, `relaxed.wasm`, or one of these with `-threads`, in isolated pages only.
   */
  wasm?: WasmSource | undefined;
  /**
   * Where the network runs. `"wasm"` (default): on the processor. `"webgpu"`: on the GPU, once it has
   * computed the same as the processor for test inputs; the promise resolves when that is settled.
   * `"auto"`: the same, while the first answers come from the processor, and only where the GPU is one
   * and is 1.25 times as fast or more, results included. Where it stays on the processor,
   * `runtime.fallbacks` says why. The files of it are loaded when they are asked for. See docs/webgpu.md.
   */
  backend?: "auto" | "wasm" | "webgpu" | undefined;
  /** Where all files of the package are; goes before what `setAssets` said. */
  assets?: Assets | undefined;
  /**
   * Keeps the model's files in the browser, so that the next visit opens them without downloading, and
   * without a network. `true` is `{ update: "before" }`. Where there is no Cache Storage,
   * `runtime.fallbacks` says so. Default: false.
   */
  cache?: boolean | CacheOptions | undefined;
  /** Run once before the promise resolves, so that the first picture is fast. Default: true. */
  warmup?: boolean | undefined;
  /** Stops loading; the promise rejects with the signal's reason, an AbortError by default. */
  signal?: AbortSignal | undefined;
  /** Called while loading. */
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** How models are kept in the browser. */
export interface CacheOptions {
  /**
   * What becomes of a model that has changed on its server, as far as `ETag`, `Last-Modified` and
   * `Content-Length` tell: the new one is taken at once (`before`, default; the kept one if the network
   * is cut), the kept one is taken and the new one the next time (`after`), or nobody asks (`never`).
   */
  update?: "before" | "after" | "never" | undefined;
  /** Of all kept files together; those that were used longest ago go first. Default: 512 MB. */
  quotaBytes?: number | undefined;
  /** Called when another file than the kept one has come and is kept. */
  onUpdate?: ((update: { url: string; hash: string }) => void) | undefined;
}

/** What {@link createClassifier} takes. */
export interface ClassifierOptions extends LoadOptions, ModelOptions {
  /**
   * How many pictures `classifyBatch` runs at once. Default: 1. More take as much more memory, and
   * a second set of weights; scores are the same. Where the graph takes one picture only, they are
   * run one by one, and `runtime.fallbacks` says why.
   */
  batchSize?: number | undefined;
}

/** What {@link convertOnnx} takes. */
export interface ConvertOptions {
  /** Where the files of the package are, as {@link LoadOptions.assets}. */
  assets?: Assets | undefined;
  /** Class names by index, for the model's metadata, as {@link ModelOptions.labels}. */
  labels?: ModelOptions["labels"];
  /** As {@link LoadOptions.config}. */
  config?: LoadOptions["config"];
  /** As {@link LoadOptions.externalData}. */
  externalData?: LoadOptions["externalData"];
  /** How pixels become the input, for the model's metadata. */
  preprocess?:
    | Partial<Pick<Preprocess, "preset" | "mean" | "std" | "channels">>
    | PreprocessPreset
    | undefined;
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

/** Options for raw tensors. */
export interface RunOptions {
  /** The call rejects with the signal's reason, an AbortError by default. */
  signal?: AbortSignal | undefined;
}

/** Options for a picture in and tensors out. */
export interface RunImageOptions extends FrameOptions {
  /** The other inputs, where there are any. */
  tensors?: Readonly<Record<string, TensorData>> | undefined;
}

/** Options for an embedding. */
export interface EmbedOptions extends FrameOptions {
  /** Divide by the Euclidean norm. */
  l2Normalize?: boolean | undefined;
  /** Give bytes, `round(128 * x)`, for values from -1 to 1. */
  quantize?: boolean | undefined;
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
  /** Which output. */
  headIndex: number;
  headName: string;
  /** Best first; equal scores by index. */
  categories: Category[];
}

/** The answer for one picture. */
export interface ClassifierResult {
  /** One for each output that is scores. */
  classifications: Classifications[];
  /** The best category of the first head, or null if none is left. */
  top: Category | null;
  /** For streams: the frame's time in the video. */
  timestampMs?: number;
  /** In milliseconds. */
  timings: { preprocess: number; inference: number; postprocess: number };
}

/** Elements, outermost dimension first: int64 is a BigInt64Array, bool a Uint8Array. */
export type TensorData =
  | Float32Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | BigInt64Array;

/** A tensor that goes into the model or comes out of it. */
export interface TensorInfo {
  /** Unique among the inputs, and among the outputs. */
  name: string;
  /** As the file has it: pictures are `[n, h, w, c]` in a `.tflite` file, mostly `[n, c, h, w]` in ONNX. */
  shape: number[];
  /** The same, with -1 where the file leaves the dimension open. */
  shapeSignature: number[];
  /** `float32`, `int8`, `uint8`, ... */
  dtype: string;
  /** `real = scale * (q - zeroPoint)`, for tensors quantised as a whole. */
  quantization: { scale: number; zeroPoint: number } | null;
}

/** An output with its elements. */
export interface Tensor extends TensorInfo {
  data: TensorData;
}

/** An output that is scores. */
export interface HeadInfo {
  /** Which output. */
  headIndex: number;
  headName: string;
  classes: number;
  /** How many of them have a name. */
  labels: number;
  /** What the model itself ends in. With `"none"` its scores are logits, not probabilities. */
  activation: Activation;
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
  /** Which of the inputs pictures go to; null if none takes them. */
  pictureInput: number | null;
  /** The outputs that are scores; none for a model that was not opened as a classifier. */
  heads: HeadInfo[];
  /** How many classes of the first head have a name. */
  labels: number;
  /** The languages in which the file has names, as BCP 47. */
  locales: string[];
}

/** What runs, and what could not. */
export interface Runtime {
  /** `tract` only by {@link LoadOptions.onnxFallback}, `webgpu` only by {@link LoadOptions.backend}. */
  readonly backend: "wasm" | "tract" | "webgpu";
  /** With `webgpu`, what the browser tells about the GPU. */
  readonly adapter?: string;
  /** Which of the core's builds this is; `relaxed` is faster and not in every browser. */
  readonly simd: "simd128" | "relaxed";
  /** How many share the work. */
  readonly threads: number;
  /** Whether it runs in a worker. */
  readonly worker: boolean;
  /** What was wanted, what is used in its place, and why. */
  readonly fallbacks: readonly Fallback[];
  /** WebAssembly memory in use; without a worker, that of all classifiers of the thread. */
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
  /** As TensorFlow Lite names it; `tract` is a whole model. */
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

/** A loaded model. Calls run one after another, in the order they were made. */
export interface ImageModel extends AsyncDisposable {
  /**
   * Runs the model on tensors: a typed array for each input, by its name in `metadata.inputs`. The
   * arrays are copied. Outputs come by their names in `metadata.outputs`.
   *
   * @throws {AchadoError} INVALID_INPUT, CLOSED
   */
  run(
    tensors: Readonly<Record<string, TensorData>>,
    options?: RunOptions,
  ): Promise<Record<string, Tensor>>;
  /**
   * Runs the model on a picture, prepared as for a classifier: detectors, segmenters and others.
   *
   * @throws {AchadoError} INVALID_INPUT, INPUT_NOT_READY, TAINTED_CANVAS, INVALID_OPTION,
   *   METADATA_MISSING, UNSUPPORTED_TYPE, CLOSED
   */
  runImage(image: ImageInput, options?: RunImageOptions): Promise<Record<string, Tensor>>;
  /**
   * A picture as a vector, to compare by {@link cosineSimilarity} and to train on. Of a model that
   * tells classes apart it is what the last layer reads; of others, the first output that is a
   * vector.
   *
   * @throws {AchadoError} As `runImage`
   */
  embed(
    image: ImageInput,
    options: EmbedOptions & { quantize: true },
  ): Promise<Int8Array<ArrayBuffer>>;
  embed(
    image: ImageInput,
    options?: EmbedOptions & { quantize?: false | undefined },
  ): Promise<Float32Array<ArrayBuffer>>;
  /** Changes options, as `ImageClassifier.setOptions`. */
  setOptions(options: Partial<LoadOptions>): Promise<void>;
  readonly metadata: ModelMetadata;
  readonly runtime: Runtime;
  /** Measures each operator, on the inputs of the last run. `runs` is 10 by default. */
  profile(runs?: number): Promise<OperatorProfile[]>;
  /** Frees memory and worker. Calls that are under way, and later ones, reject with CLOSED. */
  close(): Promise<void>;
}

/** A loaded model that names what pictures show. */
export interface ImageClassifier extends ImageModel {
  /**
   * Names what a picture shows.
   *
   * @throws {AchadoError} INVALID_INPUT, INPUT_NOT_READY, TAINTED_CANVAS, INVALID_OPTION, CLOSED
   */
  classify(image: ImageInput, options?: FrameOptions): Promise<ClassifierResult>;
  /**
   * Classifies many pictures, `batchSize` at a time, or one after another. Fails with the first that
   * fails.
   */
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
   * new `model`, `inputShapes`, `onnxFallback`, `batchSize`, `worker`, `threads`, `wasm` or `assets` loads
   * anew, and the old model answers until that has worked.
   */
  setOptions(options: Partial<ClassifierOptions>): Promise<void>;
}

/** What {@link openCamera} takes. */
export interface CameraOptions {
  /** `environment` (default) is the camera at the back of a phone. */
  facingMode?: "user" | "environment" | undefined;
  /** This very camera, as `enumerateDevices` names it, whichever way it faces. */
  deviceId?: string | undefined;
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
