// A model that users hold: queues calls, survives a crashed worker, takes tensors and pictures.
import type { Engine, Frame, FrameGeometry, Task } from "./engine.js";
import { abortable } from "./errors.js";
import { readLabels } from "./fetching.js";
import { checkCall, checkOptions, checkRuns, coreOptions } from "./options.js";
import { closed, type Opened, open } from "./opening.js";
import { checkStillThere, release } from "./pixels.js";
import type { Platform } from "./platform.js";
import { ownTensors, readTensors } from "./tensors.js";
import type {
  ClassifierOptions,
  EmbedOptions,
  Fallback,
  FrameOptions,
  ImageInput,
  ImageModel,
  LoadOptions,
  ModelMetadata,
  OperatorProfile,
  RunImageOptions,
  RunOptions,
  Runtime,
  Tensor,
  TensorData,
} from "./types.js";

/**
 * Loads a model for tensors and embeddings.
 *
 * @throws {AchadoError}
 */
export async function createModelOn(platform: Platform, options: LoadOptions): Promise<ImageModel> {
  checkOptions(options, "tensors");
  return new LoadedModel(platform, "tensors", options, await open(platform, "tensors", options));
}

/** Options whose change needs another engine. */
const RELOADING = [
  "model",
  "integrity",
  "inputShapes",
  "onnxFallback",
  "config",
  "externalData",
  "batchSize",
  "worker",
  "threads",
  "backend",
  "wasm",
  "assets",
];

/**
 * Growth of a worker's memory, by giant pictures, from which on it is made anew for the next call:
 * WebAssembly's memory never shrinks.
 */
const MOST_GROWTH_BYTES = 1 << 27;

/** What classifiers and other models have in common. */
export class LoadedModel implements ImageModel {
  protected readonly platform: Platform;
  readonly #task: Task;
  #options: ClassifierOptions;
  #opened: Opened;
  #closed = false;
  /** The end of the queue; never rejects. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(platform: Platform, task: Task, options: ClassifierOptions, opened: Opened) {
    this.platform = platform;
    this.#task = task;
    this.#options = options;
    this.#opened = opened;
  }

  get metadata(): ModelMetadata {
    return this.#opened.engine.metadata;
  }

  get runtime(): Runtime {
    const { engine, backend, adapter, worker, threads, fallbacks } = this.#opened;
    return {
      backend,
      ...(adapter !== undefined && { adapter }),
      simd: engine.simd,
      threads,
      worker,
      fallbacks: [...fallbacks, ...complaints(engine)],
      memoryBytes: engine.memoryBytes,
    };
  }

  /** How many pictures run at once. */
  protected get batchSize(): number {
    return this.#opened.engine.batchSize;
  }

  /** Whether the network takes that many in any case. */
  protected get batchIsFixed(): boolean {
    const { inputs, pictureInput } = this.metadata;
    const pictures = inputs[pictureInput ?? -1]?.shape[0] ?? 1;
    return pictures > 1 && pictures === this.batchSize;
  }

  async run(
    tensors: Readonly<Record<string, TensorData>>,
    options: RunOptions = {},
  ): Promise<Record<string, Tensor>> {
    this.checkOpen();
    checkCall("run", options);
    // Copies: the caller may go on writing, and keeps what was given.
    const own = ownTensors(tensors);
    return this.queue(options.signal, async (engine) => {
      const given = readTensors(engine.metadata, own, false);
      return named(engine, await engine.run(given));
    });
  }

  async runImage(
    image: ImageInput,
    options: RunImageOptions = {},
  ): Promise<Record<string, Tensor>> {
    this.checkOpen();
    checkCall("runImage", options);
    const own = ownTensors(options.tensors ?? {});
    return this.withFrame(image, options, (engine, frame, geometry, use) => {
      // The core says why no input takes pictures.
      const takesPictures = engine.metadata.pictureInput !== null;
      const given = takesPictures ? readTensors(engine.metadata, own, true) : [];
      use();
      return engine.run(given, { frame, geometry }).then((data) => named(engine, data));
    });
  }

  embed(
    image: ImageInput,
    options: EmbedOptions & { quantize: true },
  ): Promise<Int8Array<ArrayBuffer>>;
  embed(
    image: ImageInput,
    options?: EmbedOptions & { quantize?: false | undefined },
  ): Promise<Float32Array<ArrayBuffer>>;
  async embed(
    image: ImageInput,
    options: EmbedOptions = {},
  ): Promise<Float32Array<ArrayBuffer> | Int8Array<ArrayBuffer>> {
    this.checkOpen();
    checkCall("embed", options);
    const { l2Normalize, quantize } = options;
    return this.withFrame(image, options, (engine, frame, geometry, use) => {
      use();
      return engine.embed(frame, { ...geometry, l2Normalize, quantize });
    });
  }

  async setOptions(changes: Partial<ClassifierOptions>): Promise<void> {
    this.checkOpen();
    const { signal, onProgress, ...lasting } = changes;
    const merged = { ...this.#options, ...lasting, signal, onProgress };
    // Another model comes with its own hash, or with none.
    if ("model" in changes && !("integrity" in changes)) merged.integrity = undefined;
    checkOptions(merged, this.#task);
    const reloads = RELOADING.some((name) => name in changes);
    if (reloads) {
      const opened = await open(this.platform, this.#task, merged);
      await this.queue(signal, async () => {
        this.#opened.engine.close(closed());
        this.#opened = opened;
        this.#options = merged;
      }).catch((error) => {
        opened.engine.close(closed());
        throw error;
      });
      return;
    }
    const never = new AbortController().signal;
    const { beside } = this.#opened;
    const given = await readLabels(merged.labels, this.platform.fetch, signal ?? never);
    // Shapes and batches were settled when the model was opened.
    const { inputShapes, batchSize } = this.#opened.core;
    const core = {
      ...coreOptions(merged, given ?? beside.labels, beside),
      task: this.#task,
      inputShapes,
      batchSize,
    };
    await this.queue(signal, async (engine) => {
      await engine.setOptions(core);
      this.#opened.core = core;
      this.#options = merged;
    });
  }

  async profile(runs = 10): Promise<OperatorProfile[]> {
    checkRuns(runs);
    return this.queue(undefined, (engine) => engine.profile(runs));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#opened.engine.close(closed());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Takes hold of a picture, waits for its turn and works on it. `use` says that the frame is used
   * up: before that, or without, it is closed here.
   */
  protected async withFrame<T>(
    image: ImageInput,
    { signal, regionOfInterest, rotationDegrees, mirror }: FrameOptions,
    work: (engine: Engine, frame: Frame, geometry: FrameGeometry, use: () => void) => Promise<T>,
  ): Promise<T> {
    this.checkOpen();
    signal?.throwIfAborted();
    const geometry: FrameGeometry = { regionOfInterest, rotationDegrees, mirror };
    // Taken now, not when it is this call's turn: a video goes on meanwhile.
    const frame = await this.toFrame(image);
    let used = false;
    const use = () => {
      used = true;
    };
    try {
      return await this.queue(signal, async (engine) => {
        checkStillThere(frame);
        return work(engine, frame, geometry, use);
      });
    } finally {
      if (!used) release(frame);
    }
  }

  protected toFrame(image: ImageInput): Promise<Frame> {
    const { files, worker } = this.#opened;
    return this.platform.toFrame(image, { files, worker });
  }

  /** Runs `work` when the calls before it are through, unless it was aborted by then. */
  protected queue<T>(
    signal: AbortSignal | undefined,
    work: (engine: Engine) => Promise<T>,
  ): Promise<T> {
    const result = this.#last.then(async () => {
      if (!this.#opened.worker) await this.platform.turn();
      this.checkOpen();
      signal?.throwIfAborted();
      return work(await this.#engine());
    });
    this.#last = result.catch(() => {});
    return abortable(result, signal);
  }

  /** The engine, made anew if its worker has crashed or has grown by a giant picture. */
  async #engine(): Promise<Engine> {
    const { engine, reopen, memoryBytes } = this.#opened;
    const hasGrown = engine.memoryBytes - memoryBytes > MOST_GROWTH_BYTES;
    if (!reopen || !(engine.failure || hasGrown)) return engine;
    if (hasGrown) engine.close(closed());
    const fresh = await reopen(this.#opened.core);
    this.#opened.engine = fresh;
    this.#opened.accelerate?.();
    if (this.#closed) fresh.close(closed());
    this.checkOpen();
    return fresh;
  }

  protected checkOpen(): void {
    if (this.#closed) throw closed();
  }
}

/** What is hardly meant, as it is to be told. */
function complaints({ complaint }: Engine): Fallback[] {
  if (complaint === undefined) return [];
  return [{ from: "values as trained", to: "preprocess as given", reason: complaint }];
}

/** Outputs by name, with what they are. */
function named(engine: Engine, outputs: TensorData[]): Record<string, Tensor> {
  const entries = engine.metadata.outputs.map((info, index) => {
    const tensor: Tensor = { ...info, data: outputs[index] as TensorData };
    return [info.name, tensor] as const;
  });
  return Object.fromEntries(entries);
}
