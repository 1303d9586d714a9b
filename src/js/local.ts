// The engine in this thread: the glue around the core's WebAssembly.
import type {
  Accelerated,
  Acceleration,
  CoreFacts,
  CoreOptions,
  Description,
  EmbedGeometry,
  Engine,
  Frame,
  FrameGeometry,
  Launch,
  Phase,
  ResultNumbers,
  WirePicture,
} from "./engine.js";
import { AchadoError, fromCore } from "./errors.js";
import type { Attached } from "./webgpu.js";
import { release } from "./pixels.js";
import { sourceOf } from "./reading.js";
import { type Names, splitNames } from "./results.js";
import { maySleep } from "./threads.js";
import { viewOf, type WireTensor } from "./tensors.js";
import type { ModelMetadata, OperatorProfile, Runtime, TensorData } from "./types.js";

/** The glue of simd128.wasm; relaxed.wasm and tract.wasm have the same, which the build checks. */
type WholeGlue = typeof import("./generated/simd128/achado.js");
/** What of it runs models; workers have what makes a core ready, too. */
export type SingleGlue = Pick<WholeGlue, "Core" | "initSync" | "simdLevel"> & Partial<WholeGlue>;
/** The glue of relaxed-threads.wasm; that of simd128-threads.wasm is the same. */
export type ThreadedGlue = typeof import("./generated/relaxed-threads/achado.js");
/** What wasm-bindgen wrote around a core. */
export type Glue = SingleGlue | ThreadedGlue;

type Core = InstanceType<Glue["Core"]>;

/** The instances of this thread by their glue; the memory is shared by all models here. */
const instances = new Map<Glue, WebAssembly.Memory>();

/**
 * Told when a core with threads is instantiated: helpers may join on its memory. What it returns is
 * called when the model is closed.
 */
export type OnInstance = (
  glue: ThreadedGlue,
  memory: WebAssembly.Memory,
) => (() => void) | undefined;

function instantiate(glue: Glue, { module, memory }: Launch): WebAssembly.Memory {
  let found = instances.get(glue);
  if (!found) {
    const wasm = glue.initSync(memory ? { module, memory } : { module });
    // tract's lists of kernels are filled by constructors; cores have none.
    if ("__wasm_call_ctors" in wasm) (wasm.__wasm_call_ctors as () => void)();
    found = wasm.memory;
    instances.set(glue, found);
    if ("help" in glue) glue.setCallerMaySleep(maySleep());
  }
  return found;
}

function describe(core: Core): Description {
  const [metadata, names] = [core.metadata(), core.names().map(splitNames)];
  return { metadata, names, complaint: core.complaint() };
}

/** Bytes of pixels that are put into wasm's memory at once, at most; larger pictures come in bands. */
const MOST_AT_ONCE = 1 << 24;
const BAND_BYTES = 1 << 23;

/** A model in this thread. */
export class LocalEngine implements Engine {
  readonly #glue: Glue;
  readonly #core: Core;
  readonly #memory: WebAssembly.Memory;
  readonly #onClose: (() => void) | undefined;
  readonly #batch: Omit<CoreFacts, "simd">;
  /** Sent to the page where this is a worker's. */
  description: Description;
  #failure: AchadoError | undefined;
  #closed = false;
  /** Where the network runs on a GPU. */
  #gpu: Attached | undefined;
  /** Whether the caller has said what is behind transparent pixels. */
  #onBackground = false;

  private constructor(
    glue: Glue,
    core: Core,
    memory: WebAssembly.Memory,
    onClose: (() => void) | undefined,
  ) {
    this.#onClose = onClose;
    this.#glue = glue;
    this.#core = core;
    this.#memory = memory;
    this.description = describe(core);
    this.#batch = { batchSize: core.batchSize(), batchRefusal: core.batchRefusal() };
  }

  /**
   * Compiles a model.
   *
   * @throws {AchadoError} whatever is wrong with the model or the options
   */
  static open(
    glue: Glue,
    launch: Launch,
    model: Uint8Array,
    options: CoreOptions,
    warmup: boolean,
    onPhase: (phase: Phase, done: boolean) => void,
    onInstance?: OnInstance,
  ): LocalEngine {
    onPhase("compile", false);
    let onClose: (() => void) | undefined;
    try {
      const memory = instantiate(glue, launch);
      if ("help" in glue) onClose = onInstance?.(glue, memory);
      const core = new glue.Core(model, { ...options, threads: launch.threads });
      const engine = new LocalEngine(glue, core, memory, onClose);
      engine.#onBackground = options.preprocess?.background !== undefined;
      onPhase("compile", true);
      if (warmup) {
        onPhase("warmup", false);
        engine.#warmUp(options.task === "tensors");
        onPhase("warmup", true);
      }
      return engine;
    } catch (thrown) {
      onClose?.();
      throw fromCore(thrown).error;
    }
  }

  /**
   * Instantiates a core without threads before there is a model for it, and gets ready what any model
   * needs: what is compiled when it is first called has been called by then.
   */
  static *prepare(
    glue: SingleGlue,
    Primer: WholeGlue["Primer"],
    module: WebAssembly.Module,
  ): Generator<undefined> {
    const launch = { module, threads: 1, memory: undefined };
    instantiate(glue, launch);
    const primer = new Primer();
    try {
      // Kernels first: a browser compiles them anew meanwhile.
      primer.step();
      yield;
      const options = { task: "classifier" } as const;
      LocalEngine.open(glue, launch, primer.model(), options, true, () => {}).#core.free();
      do yield;
      while (primer.step());
    } finally {
      primer.free();
    }
  }

  get metadata(): ModelMetadata {
    return this.description.metadata;
  }

  get names(): Names[] {
    return this.description.names;
  }

  get complaint(): string | undefined {
    return this.description.complaint;
  }

  get simd(): Runtime["simd"] {
    return this.#glue.simdLevel();
  }

  get batchSize(): number {
    return this.#batch.batchSize;
  }

  get batchRefusal(): string | undefined {
    return this.#batch.batchRefusal;
  }

  get memoryBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  get failure(): AchadoError | undefined {
    return this.#failure;
  }

  async classify(frame: Frame, geometry: FrameGeometry): Promise<ResultNumbers> {
    if (this.#gpu) {
      const start = performance.now();
      this.#withPicture(frame, geometry, (width, height, own) =>
        this.#core.putPicture(width, height, own),
      );
      const put = performance.now();
      return this.#onGpu(() => this.#core.finish(geometry, put - start, performance.now() - put));
    }
    return this.#withPicture(frame, geometry, (width, height, own) =>
      this.#core.classify(width, height, own),
    );
  }

  async classifyBatch(frames: Frame[], geometry: FrameGeometry): Promise<ResultNumbers> {
    const parts: ResultNumbers[] = [];
    let next = 0;
    try {
      for (const frame of frames) {
        next++;
        if (this.#gpu) {
          parts.push(await this.classify(frame, geometry));
          continue;
        }
        this.#withPicture(
          frame,
          geometry,
          (width, height, own) => this.#core.stage(width, height, own),
          true,
        );
        const isFull = next % this.batchSize === 0;
        if (isFull || next === frames.length) {
          parts.push(this.#call(() => this.#core.classifyStaged()));
        }
      }
    } catch (error) {
      // All are used up, also where one cannot be used.
      frames.slice(next).forEach(release);
      throw error;
    }
    return Float64Array.from(parts.flatMap((part) => [...part]));
  }

  async run(tensors: WireTensor[], picture?: WirePicture): Promise<TensorData[]> {
    if (picture) {
      this.#withPicture(picture.frame, picture.geometry, (width, height, own) =>
        this.#core.putPicture(width, height, own),
      );
    }
    this.#call(() => {
      for (const { index, data } of tensors) {
        const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
        this.#bytes(this.#core.inputPlace(index)).set(bytes);
      }
    });
    if (this.#gpu) {
      // Inputs come into the network's order, and no further.
      this.#delegated(() => this.#core.run());
    }
    return this.#onGpu(() => {
      this.#core.run();
      return this.metadata.outputs.map(({ dtype }, index) => {
        // A copy, outside of wasm's memory, which the next run overwrites.
        const bytes = new Uint8Array(this.#bytes(this.#core.outputPlace(index)));
        return viewOf(dtype, bytes.buffer);
      });
    });
  }

  async embed(
    frame: Frame,
    geometry: EmbedGeometry,
  ): Promise<Float32Array<ArrayBuffer> | Int8Array<ArrayBuffer>> {
    return this.#withPicture(frame, geometry, (width, height, own) =>
      this.#core.embed(width, height, own),
    );
  }

  async setOptions(options: CoreOptions): Promise<void> {
    this.#call(() => this.#core.setOptions(options));
    this.#onBackground = options.preprocess?.background !== undefined;
    this.description = this.#call(() => describe(this.#core));
  }

  async profile(runs: number): Promise<OperatorProfile[]> {
    return this.#call(() => this.#core.profile(runs));
  }

  async accelerate(request: Acceleration): Promise<Accelerated> {
    const script = import(/* webpackIgnore: true */ /* @vite-ignore */ request.script);
    const { attach } = (await script) as typeof import("./webgpu.js");
    this.#gpu?.close();
    const gpu = await attach(this.#glue, this.#core, this.#memory, request);
    if (this.#failure) {
      gpu.close();
      throw this.#failure;
    }
    this.#gpu = gpu;
    return { adapter: gpu.adapter };
  }

  async lost(): Promise<string> {
    const gpu = this.#gpu;
    const reason = (await gpu?.lost) ?? "";
    if (this.#gpu === gpu) this.#gpu = undefined;
    return reason;
  }

  close(error: Error): void {
    this.#gpu?.close();
    // What a crash has left behind is not safe to take apart.
    if (!this.#failure) this.#core.free();
    this.#failure ??= error as AchadoError;
    if (!this.#closed) this.#onClose?.();
    this.#closed = true;
  }

  /** Puts a picture in, which is used up, and works on it. */
  #withPicture<T>(
    frame: Frame,
    geometry: FrameGeometry,
    work: (width: number, height: number, geometry: FrameGeometry) => T,
    isStaged = false,
  ): T {
    const source = sourceOf(frame, this.#onBackground);
    try {
      return this.#call(() => {
        const { width, height, page } = source;
        const own = { ...geometry, page };
        if (width * height * 4 <= MOST_AT_ONCE) {
          this.#write(source.rows(0, height));
        } else {
          const bands = this.#core.bands(width, height, own, BAND_BYTES, isStaged);
          for (let i = 0; i < bands.length; i += 2) {
            this.#write(source.rows(bands[i] as number, bands[i + 1] as number));
            this.#core.putBand();
          }
        }
        return work(width, height, own);
      });
    } catch (error) {
      // What of it, or of its batch, is in there already is of no use.
      if (!this.#failure) this.#core.unstage();
      throw error;
    } finally {
      source.close();
    }
  }

  /** What is read from the network's outputs, which the GPU computes; the CPU where it cannot. */
  async #onGpu<T>(read: () => T): Promise<T> {
    const isDone = (await this.#gpu?.run()) ?? false;
    return isDone ? this.#delegated(read) : this.#call(read);
  }

  /** Calls the core, which takes the network's outputs as they are meanwhile. */
  #delegated<T>(work: () => T): T {
    try {
      return this.#call(() => {
        this.#core.delegate(true);
        return work();
      });
    } finally {
      // A core that has crashed must not be called again: its error counts.
      if (!this.#failure) this.#core.delegate(false);
    }
  }

  /** Puts pixels into wasm's memory: the only copy on this side. */
  #write(data: Uint8Array | Uint8ClampedArray): void {
    const address = this.#core.frame(data.length);
    new Uint8Array(this.#memory.buffer, address, data.length).set(data);
  }

  /** A place in wasm's memory; stale as soon as that grows. */
  #bytes([address = 0, length = 0]: Uint32Array): Uint8Array {
    return new Uint8Array(this.#memory.buffer, address, length);
  }

  #warmUp(tensors: boolean): void {
    if (!tensors) {
      this.#write(Uint8Array.of(0, 0, 0, 255));
      this.#core.classify(1, 1, {});
      return;
    }
    try {
      this.#core.run();
    } catch (thrown) {
      // Zeros may be no input that the model can take.
      if (fromCore(thrown).crashed) throw thrown;
    }
  }

  #call<T>(work: () => T): T {
    if (this.#failure) throw this.#failure;
    try {
      return work();
    } catch (thrown) {
      const { error, crashed } = fromCore(thrown);
      if (crashed) {
        this.#failure = new AchadoError(
          error.code,
          `this classifier broke in an earlier call, create a new one: ${error.message}`,
          error.detail,
        );
      }
      throw error;
    }
  }
}
