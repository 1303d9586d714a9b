// The engine in this thread: the glue around the core's WebAssembly.
import type { CoreOptions, Engine, Frame, FrameGeometry, Launch, Phase } from "./engine.js";
import { AchadoError, fromCore } from "./errors.js";
import { readBitmap } from "./pixels.js";
import { maySleep } from "./threads.js";
import type { ClassifierResult, ModelMetadata, OperatorProfile, Runtime } from "./types.js";

/** The glue of simd128.wasm; that of relaxed.wasm is the same, which the build checks. */
type SingleGlue = typeof import("./generated/simd128/achado.js");
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
    found = glue.initSync(memory ? { module, memory } : { module }).memory;
    instances.set(glue, found);
    if ("help" in glue) glue.setCallerMaySleep(maySleep());
  }
  return found;
}

/** A model in this thread. */
export class LocalEngine implements Engine {
  readonly #glue: Glue;
  readonly #core: Core;
  readonly #memory: WebAssembly.Memory;
  readonly #onClose: (() => void) | undefined;
  #metadata: ModelMetadata;
  #failure: AchadoError | undefined;
  #closed = false;

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
    this.#metadata = core.metadata();
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
      onPhase("compile", true);
      if (warmup) {
        onPhase("warmup", false);
        engine.#classifyPixels({ data: new Uint8Array(4), width: 1, height: 1 }, {});
        onPhase("warmup", true);
      }
      return engine;
    } catch (thrown) {
      onClose?.();
      throw fromCore(thrown).error;
    }
  }

  get metadata(): ModelMetadata {
    return this.#metadata;
  }

  get simd(): Runtime["simd"] {
    return this.#glue.simdLevel();
  }

  get memoryBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  get failure(): AchadoError | undefined {
    return this.#failure;
  }

  async classify(frame: Frame, geometry: FrameGeometry): Promise<ClassifierResult> {
    const pixels = "data" in frame ? frame : readBitmap(frame);
    return this.#call(() => this.#classifyPixels(pixels, geometry));
  }

  async setOptions(options: CoreOptions): Promise<void> {
    this.#call(() => this.#core.setOptions(options));
    this.#metadata = this.#call(() => this.#core.metadata());
  }

  async profile(runs: number): Promise<OperatorProfile[]> {
    return this.#call(() => this.#core.profile(runs));
  }

  close(error: Error): void {
    // What a crash has left behind is not safe to take apart.
    if (!this.#failure) this.#core.free();
    this.#failure ??= error as AchadoError;
    if (!this.#closed) this.#onClose?.();
    this.#closed = true;
  }

  #classifyPixels(
    { data, width, height }: { data: ArrayLike<number>; width: number; height: number },
    geometry: FrameGeometry,
  ): ClassifierResult {
    // Straight into wasm's memory: the only copy on this side.
    const address = this.#core.frame(data.length);
    new Uint8Array(this.#memory.buffer, address, data.length).set(data);
    return this.#core.classify(width, height, geometry);
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
