// The classifier that users hold: loads what it needs, queues calls, survives a crashed worker.
import { defaultModel } from "./default-model.js";
import type { CoreOptions, Engine, Frame, FrameGeometry, Launch, Phase } from "./engine.js";
import { AchadoError, abortable } from "./errors.js";
import { type Fetch, readLabels, readModel } from "./fetching.js";
import { isOnnx } from "./kind.js";
import { checkOptions, checkRuns, coreOptions } from "./options.js";
import { RemoteEngine } from "./remote.js";
import { type FrameSource, frames } from "./stream.js";
import {
  type Joined,
  joinTeam,
  planThreads,
  sharedMemory,
  sharingProblem,
  threadFallback,
} from "./threads.js";
import type {
  ClassifierOptions,
  ClassifierResult,
  Fallback,
  FrameOptions,
  ImageClassifier,
  ImageInput,
  ModelMetadata,
  OperatorProfile,
  Progress,
  Runtime,
  StreamOptions,
} from "./types.js";
import { compileCore, isThreaded } from "./wasm.js";

/** What differs between a browser and Node. */
export interface Platform {
  readonly fetch: Fetch;
  readonly toFrame: (image: ImageInput) => Promise<Frame>;
  /** Whether there is a window whose page must not wait. */
  readonly hasWindow: boolean;
  readonly createWorker: (() => Worker) | undefined;
  /** For cores with threads: the worker that runs the model, and each of its helpers. */
  readonly createThreadedWorker: (() => Worker) | undefined;
}

/** A running engine and what was learnt on the way to it. */
interface Opened {
  engine: Engine;
  /** The options that the engine has. */
  core: CoreOptions;
  worker: boolean;
  threads: number;
  fallbacks: Fallback[];
  /** Makes the engine again after its worker has crashed; a thread without worker cannot. */
  reopen?: (options: CoreOptions) => Promise<Engine>;
}

/**
 * Loads a model.
 *
 * @throws {AchadoError}
 */
export async function createOn(
  platform: Platform,
  options: ClassifierOptions,
): Promise<ImageClassifier> {
  checkOptions(options);
  return new Classifier(platform, options, await open(platform, options));
}

async function open(platform: Platform, options: ClassifierOptions): Promise<Opened> {
  const { signal, onProgress = () => {} } = options;
  signal?.throwIfAborted();
  // One that fails stops the others: a wrong model address is no reason to download the rest.
  const loading = new AbortController();
  const stop = () => loading.abort(signal?.reason);
  signal?.addEventListener("abort", stop, { once: true });
  let remote: RemoteEngine | undefined;
  try {
    return await abortable(load(), signal);
  } catch (error) {
    loading.abort(error);
    remote?.close(closed());
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }

  async function load(): Promise<Opened> {
    const fallbacks: Fallback[] = [];
    const { fetch, createThreadedWorker } = platform;
    const plan = planThreads(options.threads, createThreadedWorker);
    const compiling = compileCore(
      options.wasm,
      plan.threads > 1,
      fetch,
      loading.signal,
      onProgress,
      fallbacks,
    );
    // A file of the caller's own shows what it is when it is there.
    const deciding =
      options.wasm === undefined ? Promise.resolve(plan.threads > 1) : compiling.then(isThreaded);
    const [module, threaded, file, labels] = await Promise.all([
      compiling,
      deciding,
      readModel(
        options.model ?? defaultModel,
        fetch,
        options.integrity,
        loading.signal,
        onProgress,
      ),
      readLabels(options.labels, fetch, loading.signal),
      startWorker(),
    ]);
    const model = isOnnx(file.bytes) ? await convert(file.bytes) : file;
    const core = coreOptions(options, labels);
    const warmup = options.warmup ?? true;
    const onPhase = (phase: Phase, done: boolean) =>
      onProgress({ phase, loaded: done ? 1 : 0, total: 1 } satisfies Progress);
    const wanted = threaded ? plan.threads : 1;
    // Each time anew, and kept nowhere: memory is to go with the workers that use it.
    const launch = (): Launch => ({
      module,
      threads: wanted,
      memory: threaded ? memoryForThreads() : undefined,
    });
    const share = (joined: Joined): number => {
      const threads = 1 + joined.helpers;
      const given = threaded || plan.threads === 1 ? undefined : "the given wasm file has none";
      const reason = plan.reason ?? given ?? joined.reason;
      if (reason !== undefined) fallbacks.push(threadFallback(threads, reason));
      return threads;
    };

    /** Labels and preparation come from the options, as for other models. */
    async function convert(onnx: Uint8Array<ArrayBuffer>) {
      onProgress({ phase: "convert", loaded: 0, total: 1 });
      const { toTflite } = await import("./onnx.js");
      const conversion = { inputShapes: options.inputShapes };
      const inWorker = remote !== undefined;
      const { signal } = loading;
      const bytes = await toTflite(platform, onnx, conversion, inWorker, signal, fallbacks);
      onProgress({ phase: "convert", loaded: 1, total: 1 });
      return { bytes, owned: true };
    }

    async function startWorker(): Promise<void> {
      if (!(options.worker ?? platform.hasWindow)) return;
      const threaded = await deciding;
      const create = threaded ? createThreadedWorker : platform.createWorker;
      try {
        if (!create) throw new Error("there are no workers here");
        remote = await RemoteEngine.start(create, threaded ? plan.threads - 1 : 0);
        // The others may have failed meanwhile.
        if (loading.signal.aborted) remote.close(closed());
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        fallbacks.push({ from: "worker", to: "main thread", reason: `no worker: ${reason}` });
      }
    }

    if (!remote) {
      const { LocalEngine } = await import("./local.js");
      const glue = threaded
        ? await import("./generated/relaxed-threads/achado.js")
        : await import("./generated/simd128/achado.js");
      let joining: Promise<Joined> | undefined;
      const engine = LocalEngine.open(
        glue,
        launch(),
        model.bytes,
        core,
        warmup,
        onPhase,
        (shared, memory) => {
          if (!createThreadedWorker || wanted === 1) return undefined;
          const team = joinTeam(createThreadedWorker, wanted - 1, module, memory, shared);
          joining = team.joined;
          return team.leave;
        },
      );
      const { helpers, reason } = (await joining) ?? { helpers: 0 };
      // Nobody takes an engine that comes after the abort.
      if (loading.signal.aborted) engine.close(closed());
      // The team may be larger than this model asked for.
      const used = Math.min(helpers, wanted - 1);
      const threads = share(reason === undefined ? { helpers: used } : { helpers: used, reason });
      return { engine, core, worker: false, threads, fallbacks };
    }
    // The worker takes the bytes; after a crash they are needed once more. A Blob keeps them
    // outside of the page's memory.
    const kept = new Blob([model.bytes]);
    const { bytes, owned } = model;
    const threads = share(await remote.open(launch(), bytes, owned, core, warmup, onPhase));
    const reopen = async (now: CoreOptions) => {
      const create = threaded ? createThreadedWorker : platform.createWorker;
      const engine = await RemoteEngine.start(create as () => Worker, wanted - 1);
      const bytes = new Uint8Array(await kept.arrayBuffer());
      await engine.open(launch(), bytes, true, now, false, () => {});
      return engine;
    };
    return { engine: remote, core, worker: true, threads, fallbacks, reopen };
  }
}

/** Memory for a core with threads, which a caller may have given to a page that cannot have it. */
function memoryForThreads(): WebAssembly.Memory {
  const reason = sharingProblem();
  if (reason === undefined) return sharedMemory();
  throw new AchadoError(
    "BACKEND_UNAVAILABLE",
    `this wasm file is one with threads; give one without: ${reason}`,
    { reason },
  );
}

function closed(): AchadoError {
  return new AchadoError("CLOSED", "this classifier is closed");
}

class Classifier implements ImageClassifier {
  readonly #platform: Platform;
  #options: ClassifierOptions;
  #opened: Opened;
  #closed = false;
  /** The end of the queue; never rejects. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(platform: Platform, options: ClassifierOptions, opened: Opened) {
    this.#platform = platform;
    this.#options = options;
    this.#opened = opened;
  }

  get metadata(): ModelMetadata {
    return this.#opened.engine.metadata;
  }

  get runtime(): Runtime {
    const { engine, worker, threads, fallbacks } = this.#opened;
    return {
      backend: "wasm",
      simd: engine.simd,
      threads,
      worker,
      fallbacks: [...fallbacks],
      memoryBytes: engine.memoryBytes,
    };
  }

  async classify(image: ImageInput, options: FrameOptions = {}): Promise<ClassifierResult> {
    return this.#classify(image, options);
  }

  async classifyBatch(
    images: Iterable<ImageInput>,
    options: FrameOptions = {},
  ): Promise<ClassifierResult[]> {
    const results: ClassifierResult[] = [];
    // One after another: at most one picture's pixels are in memory.
    for (const image of images) results.push(await this.#classify(image, options));
    return results;
  }

  async *classifyStream(
    source: FrameSource,
    options: StreamOptions = {},
  ): AsyncGenerator<ClassifierResult, void, void> {
    this.#checkOpen();
    const share = options.smoothing ?? 0;
    let restart = true;
    for await (const { image, timestampMs } of frames(source, options)) {
      const smoothing = share > 0 ? { share, restart } : undefined;
      yield { ...(await this.#classify(image, options, smoothing)), timestampMs };
      restart = false;
    }
  }

  async setOptions(changes: Partial<ClassifierOptions>): Promise<void> {
    this.#checkOpen();
    const { signal, onProgress, ...lasting } = changes;
    const merged = { ...this.#options, ...lasting, signal, onProgress };
    // Another model comes with its own hash, or with none.
    if ("model" in changes && !("integrity" in changes)) merged.integrity = undefined;
    checkOptions(merged);
    const reloads = ["model", "integrity", "worker", "threads", "wasm"].some(
      (name) => name in changes,
    );
    if (reloads) {
      const opened = await open(this.#platform, merged);
      await this.#queue(signal, async () => {
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
    const labels = await readLabels(merged.labels, this.#platform.fetch, signal ?? never);
    const core = coreOptions(merged, labels);
    await this.#queue(signal, async (engine) => {
      await engine.setOptions(core);
      this.#opened.core = core;
      this.#options = merged;
    });
  }

  async profile(runs = 10): Promise<OperatorProfile[]> {
    checkRuns(runs);
    return this.#queue(undefined, (engine) => engine.profile(runs));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#opened.engine.close(closed());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #classify(
    image: ImageInput,
    options: FrameOptions,
    smoothing?: FrameGeometry["smoothing"],
  ): Promise<ClassifierResult> {
    this.#checkOpen();
    const { signal, regionOfInterest, rotationDegrees, mirror } = options;
    signal?.throwIfAborted();
    const geometry: FrameGeometry = { regionOfInterest, rotationDegrees, mirror, smoothing };
    // Taken now, not when it is this call's turn: a video goes on meanwhile.
    const frame = await this.#platform.toFrame(image);
    let used = false;
    try {
      return await this.#queue(signal, (engine) => {
        used = true;
        return engine.classify(frame, geometry);
      });
    } finally {
      if (!used && !("data" in frame)) frame.close();
    }
  }

  /** Runs `work` when the calls before it are through, unless it was aborted by then. */
  #queue<T>(signal: AbortSignal | undefined, work: (engine: Engine) => Promise<T>): Promise<T> {
    const result = this.#last.then(async () => {
      this.#checkOpen();
      signal?.throwIfAborted();
      return work(await this.#engine());
    });
    this.#last = result.catch(() => {});
    return abortable(result, signal);
  }

  /** The engine, made anew if its worker has crashed. */
  async #engine(): Promise<Engine> {
    const { engine, reopen } = this.#opened;
    if (!engine.failure || !reopen) return engine;
    const fresh = await reopen(this.#opened.core);
    this.#opened.engine = fresh;
    if (this.#closed) fresh.close(closed());
    this.#checkOpen();
    return fresh;
  }

  #checkOpen(): void {
    if (this.#closed) throw closed();
  }
}
