// The engine in this thread: the glue around the core's WebAssembly.
import type { CoreOptions, Engine, Frame, FrameGeometry, Phase } from "./engine.js";
import { AchadoError, fromCore } from "./errors.js";
// That of relaxed.wasm is the same, which its build checks.
import { Core, type InitOutput, initSync, simdLevel } from "./generated/simd128/achado.js";
import { readBitmap } from "./pixels.js";
import type { ClassifierResult, ModelMetadata, OperatorProfile, Runtime } from "./types.js";

/** The instance of this thread; its memory is shared by all models here. */
let wasm: InitOutput | undefined;

/** A model in this thread. */
export class LocalEngine implements Engine {
  readonly #core: Core;
  readonly #wasm: InitOutput;
  #metadata: ModelMetadata;
  #failure: AchadoError | undefined;

  private constructor(core: Core, instance: InitOutput) {
    this.#core = core;
    this.#wasm = instance;
    this.#metadata = core.metadata();
  }

  /**
   * Compiles a model.
   *
   * @throws {AchadoError} whatever is wrong with the model or the options
   */
  static open(
    module: WebAssembly.Module,
    model: Uint8Array,
    options: CoreOptions,
    warmup: boolean,
    onPhase: (phase: Phase, done: boolean) => void,
  ): LocalEngine {
    onPhase("compile", false);
    try {
      wasm ??= initSync({ module });
      const engine = new LocalEngine(new Core(model, options), wasm);
      onPhase("compile", true);
      if (warmup) {
        onPhase("warmup", false);
        engine.#classifyPixels({ data: new Uint8Array(4), width: 1, height: 1 }, {});
        onPhase("warmup", true);
      }
      return engine;
    } catch (thrown) {
      throw fromCore(thrown).error;
    }
  }

  get metadata(): ModelMetadata {
    return this.#metadata;
  }

  get simd(): Runtime["simd"] {
    return simdLevel();
  }

  get memoryBytes(): number {
    return this.#wasm.memory.buffer.byteLength;
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
  }

  #classifyPixels(
    { data, width, height }: { data: ArrayLike<number>; width: number; height: number },
    geometry: FrameGeometry,
  ): ClassifierResult {
    // Straight into wasm's memory: the only copy on this side.
    const address = this.#core.frame(data.length);
    new Uint8Array(this.#wasm.memory.buffer, address, data.length).set(data);
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
