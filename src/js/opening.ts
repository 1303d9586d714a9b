// Opening a model: what it needs is loaded at the same time, and run where it is to run.
import { DEFAULT_MODEL, Files, remedy } from "./assets.js";
import type { CoreOptions, Engine, Launch, Phase, Task } from "./engine.js";
import { AchadoError, abortable } from "./errors.js";
import { type Beside, fail, readFiles } from "./files.js";
import { accelerate } from "./accelerate.js";
import { isOnnx, isPlace, messageOf } from "./kind.js";
import { LocalEngine } from "./local.js";
import { coreOptions } from "./options.js";
import type { Platform, WorkerLike } from "./platform.js";
import { RemoteEngine } from "./remote.js";
import { type Prepared, prepare } from "./tract.js";
import { type Joined, joinTeam, planThreads, sharedMemory, threadFallback } from "./threads.js";
import type { ClassifierOptions, Fallback, LoadOptions, Progress, Runtime } from "./types.js";
import { compileCore, isThreaded } from "./wasm.js";

/** A running engine and what was learnt on the way to it. */
export interface Opened {
  engine: Engine;
  readonly files: Files;
  /** Of the engine when it was opened. */
  readonly memoryBytes: number;
  /** The options that the engine has. */
  core: CoreOptions;
  /** What came with the model. */
  beside: Beside;
  backend: Runtime["backend"];
  /** Where the backend is a GPU. */
  adapter?: string | undefined;
  /** Brings the engine to a GPU, once more if it was made anew. */
  accelerate?: () => Promise<void>;
  worker: boolean;
  threads: number;
  fallbacks: Fallback[];
  /** Makes the engine again after its worker has crashed; a thread without worker cannot. */
  reopen?: (options: CoreOptions) => Promise<Engine>;
}

/**
 * Loads a model for a task. What was begun ends when `signal` is aborted.
 *
 * @throws {AchadoError}
 */
export async function open(
  platform: Platform,
  task: Task,
  options: ClassifierOptions,
): Promise<Opened> {
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
    const { fetch, glues } = platform;
    const files = new Files(platform.files, options.assets);
    const plan = planThreads(options.threads, platform);
    // For cores with threads: the worker that runs the model, and each of its helpers.
    const createWorker = (threaded: boolean): WorkerLike =>
      platform.startWorker(threaded ? "threaded-worker.js" : "worker.js", files);
    const helper = () => createWorker(true);
    const wantsWorker = options.worker ?? platform.prefersWorker;
    const isOwn = options.model === undefined || files.isOwn(DEFAULT_MODEL, options.model);
    const source = isOwn ? (files.find(DEFAULT_MODEL) as LoadOptions["model"]) : options.model;
    const advice = isOwn && isPlace(source) ? remedy(source) : undefined;
    // A file of the caller's own shows what it is when it is there.
    const known = options.wasm === undefined ? plan.threads > 1 : undefined;
    // Before the downloads, which would delay it: a worker takes longest.
    const early = known === undefined ? undefined : startWorker(known);
    const compiling = compileCore(
      options.wasm,
      files,
      plan.threads > 1,
      fetch,
      loading.signal,
      onProgress,
      fallbacks,
    );
    const deciding = known === undefined ? compiling.then(isThreaded) : Promise.resolve(known);
    const starting = early ?? deciding.then(startWorker);
    // With threads the memory comes with the model.
    Promise.all([compiling, deciding]).then(
      ([module, threaded]) => threaded || remote?.prepare(module),
      () => {},
    );
    const [compiled, threadable, file] = await Promise.all([
      compiling,
      deciding,
      reading().then((platform) =>
        readFiles(
          platform,
          { ...options, model: source as NonNullable<LoadOptions["model"]> },
          loading.signal,
          options.onProgress,
          advice,
        ),
      ),
      starting,
    ]);
    const { labels, preprocess, reason } = file;
    const beside: Beside = { labels, preprocess };
    if (reason !== undefined && options.preprocess === undefined) {
      fallbacks.push({ from: "preprocess", to: "teachable-machine", reason });
    }
    const onnx = isOnnx(file.bytes);
    const model: Prepared = onnx ? await convert() : file;
    file.checkUsed();
    const { tract } = model;
    const module = tract?.module ?? compiled;
    // tract has the exports of a core without threads, and so their worker: another, since this one
    // has made the core ready.
    const threaded = threadable && !tract;
    if (remote && tract) {
      remote.close(closed());
      remote = undefined;
      await startWorker(false);
    }
    const backend = tract ? "tract" : "wasm";
    // The converter has given an ONNX model its shapes.
    const shaped = onnx && !tract ? { ...options, inputShapes: undefined } : options;
    const core: CoreOptions = { ...coreOptions(shaped, file.given ?? labels, beside), task };
    const warmup = options.warmup ?? true;
    const onPhase = (phase: Phase, done: boolean) =>
      onProgress({ phase, loaded: done ? 1 : 0, total: 1 } satisfies Progress);
    const wanted = threaded ? plan.threads : 1;
    // Each time anew, and kept nowhere: memory is to go with the workers that use it.
    const launch = (): Launch => ({
      module,
      threads: wanted,
      memory: threaded ? memoryForThreads(platform) : undefined,
    });
    const noteBatch = ({ batchRefusal: reason }: Engine) => {
      const from = `batches of ${options.batchSize}`;
      if (reason !== undefined) fallbacks.push({ from, to: "one by one", reason });
    };
    const share = (joined: Joined): number => {
      const threads = 1 + joined.helpers;
      const without = tract ? "tract runs in one" : "the given wasm file has none";
      const given = threaded || plan.threads === 1 ? undefined : without;
      const reason = plan.reason ?? given ?? joined.reason;
      if (reason !== undefined) fallbacks.push(threadFallback(threads, reason));
      return threads;
    };

    async function reading(): Promise<Platform> {
      if (!options.cache) return platform;
      const { cachingFetch } = await platform.parts.modelStore();
      return {
        ...platform,
        fetch: await cachingFetch(options.cache, fetch, fail, fallbacks),
      };
    }

    async function convert(): Promise<Prepared> {
      onProgress({ phase: "convert", loaded: 0, total: 1 });
      const inWorker = remote !== undefined;
      const { signal } = loading;
      const here = { platform, files, inWorker };
      const made = await prepare(here, file, options, signal, fallbacks);
      onProgress({ phase: "convert", loaded: 1, total: 1 });
      return made;
    }

    async function startWorker(threaded: boolean): Promise<void> {
      // What decides may take longer than what fails.
      if (loading.signal.aborted || !wantsWorker) return;
      try {
        // At once, so that an abort reaches it.
        remote = new RemoteEngine(() => createWorker(threaded), threaded ? plan.threads - 1 : 0);
        await remote.ready;
      } catch (cause) {
        remote = undefined;
        const reason = messageOf(cause);
        fallbacks.push({ from: "worker", to: "main thread", reason: `no worker: ${reason}` });
      }
    }

    async function openHere(): Promise<Opened> {
      // A glue holds one instance, so that tract has a copy of its own beside the core.
      const glue = threaded
        ? await glues.threaded()
        : tract
          ? await tract.glue()
          : await glues.single();
      let joining: Promise<Joined> | undefined;
      const engine = LocalEngine.open(
        glue,
        launch(),
        model.bytes,
        core,
        warmup,
        onPhase,
        (shared, memory) => {
          if (wanted === 1) return undefined;
          const team = joinTeam(helper, wanted - 1, module, memory, shared);
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
      noteBatch(engine);
      const { memoryBytes } = engine;
      const facts = { files, memoryBytes, core, beside, threads, fallbacks };
      return onGpu({ ...facts, engine, backend, worker: false }, async () => {
        return new Uint8Array(model.bytes).buffer;
      });
    }

    async function openThere(engine: RemoteEngine): Promise<Opened> {
      const { bytes, owned } = model;
      const joined = await engine.open(launch(), bytes, owned, core, warmup, onPhase);
      const threads = share(joined);
      const restore = setAside(joined.model);
      noteBatch(engine);
      const reopen = async (now: CoreOptions) => {
        const engine = await RemoteEngine.start(() => createWorker(threaded), wanted - 1);
        const bytes = new Uint8Array(await restore());
        await engine.open(launch(), bytes, true, now, false, () => {});
        return engine;
      };
      const { memoryBytes } = engine;
      const facts = { files, memoryBytes, core, beside, threads, fallbacks };
      return onGpu({ ...facts, engine, backend, worker: true, reopen }, restore);
    }

    /** With the GPU, where the options ask for it; "auto" is not waited for. */
    async function onGpu(opened: Opened, bytes: () => Promise<ArrayBuffer>): Promise<Opened> {
      const mode = options.backend ?? "wasm";
      if (mode === "wasm") return opened;
      const reason = tract ? "tract runs on the processor" : shapesReason();
      if (reason !== undefined) {
        fallbacks.push({ from: "webgpu", to: backend, reason });
        return opened;
      }
      opened.accelerate = () => accelerate(opened, mode, files, fetch, bytes);
      const settled = opened.accelerate();
      if (mode === "webgpu") await settled;
      return opened;
    }

    function shapesReason(): string | undefined {
      const isShaped = shaped.inputShapes !== undefined;
      return isShaped ? "with inputShapes the model runs on the processor" : undefined;
    }

    return (remote ? openThere(remote) : openHere()).catch((error) => {
      throw tract ? tract.explain(error) : error;
    });
  }
}

/** When the first pictures are classified, mostly. */
const SET_ASIDE_AFTER_MS = 1000;

/**
 * Keeps a model's bytes for the case that its worker crashes: later in a Blob, which is outside of
 * the page's memory. To make one takes the page and the browser's other processes a while.
 */
function setAside(bytes: Uint8Array<ArrayBuffer>): () => Promise<ArrayBuffer> {
  let kept: Blob | Uint8Array<ArrayBuffer> = bytes;
  const timer: unknown = setTimeout(() => {
    kept = new Blob([kept]);
  }, SET_ASIDE_AFTER_MS);
  // Node would wait for it.
  (timer as { unref?(): void }).unref?.();
  return () => new Response(kept).arrayBuffer();
}

/** Memory for a core with threads, which a caller may have given to a page that cannot have it. */
function memoryForThreads({ sharingProblem }: Platform): WebAssembly.Memory {
  const reason = sharingProblem();
  if (reason === undefined) return sharedMemory();
  throw new AchadoError(
    "BACKEND_UNAVAILABLE",
    `this wasm file is one with threads; give one without: ${reason}`,
    { reason },
  );
}

/** What calls reject with once a model is closed. */
export function closed(): AchadoError {
  return new AchadoError("CLOSED", "this model is closed");
}
