// The engine in a worker, as the page sees it.
import type {
  Accelerated,
  Acceleration,
  Answers,
  CoreFacts,
  CoreOptions,
  Description,
  EmbedGeometry,
  Engine,
  Frame,
  FrameGeometry,
  Launch,
  Phase,
  Request,
  Response,
  ResultNumbers,
  WirePicture,
} from "./engine.js";
import { AchadoError, fromWire } from "./errors.js";
import { isArrayBuffer, messageOf } from "./kind.js";
import type { Conversion } from "./onnx.js";
import { PictureMemory } from "./picture-memory.js";
import { inputError } from "./pixels.js";
import type { WorkerLike } from "./platform.js";
import type { Names } from "./results.js";
import type { WireTensor } from "./tensors.js";
import { Helpers, type Joined } from "./threads.js";
import type { ModelMetadata, OperatorProfile, Runtime, TensorData } from "./types.js";

/** Whether a view shows all of a buffer that can be sent as it is. */
function isWhole(view: Uint8Array | Uint8ClampedArray): boolean {
  return isArrayBuffer(view.buffer) && view.byteLength === view.buffer.byteLength;
}

/** Why a request cannot be sent: options with functions in them, or a picture of another origin. */
function sendError(cause: unknown, request: object): unknown {
  const {
    frame: _,
    frames: __,
    picture: ___,
    launch: ____,
    ...options
  } = request as Record<string, unknown>;
  try {
    structuredClone(options);
  } catch (error) {
    const reason = messageOf(error);
    return new AchadoError("INVALID_OPTION", `an option is of a wrong kind: ${reason}`, { reason });
  }
  // What comes with it is no picture.
  if ("launch" in request) {
    const reason = messageOf(cause);
    return new AchadoError(
      "BACKEND_UNAVAILABLE",
      `the worker cannot be given the core: ${reason}; \`worker: false\` does without`,
      { reason },
    );
  }
  return inputError(cause);
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: unknown): void;
  onPhase?: ((phase: Phase, done: boolean) => void) | undefined;
  onInstance?: ((generation: number) => void) | undefined;
}

/** A model in a worker of its own: closing or crashing takes nothing else with it. */
export class RemoteEngine implements Engine {
  readonly #worker: WorkerLike;
  readonly #helpers: Helpers | undefined;
  readonly #pending = new Map<number, Pending>();
  readonly #pictures = new PictureMemory();
  #nextId = 1;
  #description: Description | undefined;
  #facts: CoreFacts = { simd: "simd128", batchSize: 1, batchRefusal: undefined };
  #memoryBytes = 0;
  #failure: Error | undefined;

  /** When the worker's script runs; rejects with why it does not. */
  readonly ready: Promise<void>;
  /** What settles {@link ready}, until the script runs. */
  #starting: { resolve(): void; reject(error: Error): void } | undefined;

  /**
   * Starts the worker's script, and those of its helpers, if any.
   *
   * @throws {Error} why no worker can be had here
   */
  constructor(create: () => WorkerLike, helpers: number) {
    this.ready = new Promise<void>((resolve, reject) => {
      this.#starting = { resolve, reject };
    });
    // For those who close it before they wait.
    this.ready.catch(() => {});
    this.#worker = create();
    this.#worker.onmessage = ({ data }: MessageEvent<Response>) => this.#receive(data);
    this.#worker.onerror = (event) => {
      event.preventDefault?.();
      // Browsers hide why a worker's script did not load.
      const { message = "" } = event;
      const early = new Error(message || "its script did not load");
      const crash = `achado's worker failed, please report it: ${message}`;
      this.close(this.#starting ? early : new AchadoError("INTERNAL", crash));
    };
    this.#helpers = helpers > 0 ? new Helpers(create, helpers) : undefined;
  }

  /**
   * The same when its script runs.
   *
   * @throws {Error} why no worker can be had here
   */
  static async start(create: () => WorkerLike, helpers: number): Promise<RemoteEngine> {
    const engine = new RemoteEngine(create, helpers);
    await engine.ready;
    return engine;
  }

  /**
   * Gets the core ready while the model is on its way, as soon as the script runs. What fails is
   * told by {@link open}.
   */
  prepare(module: WebAssembly.Module): void {
    this.#ask({ call: "prepare", module }).catch(() => {});
  }

  /**
   * Compiles a model over there, and tells how many helpers share the work. The bytes are moved,
   * not copied, if `owned`; they come back for whoever needs them later.
   */
  async open(
    launch: Launch,
    model: Uint8Array<ArrayBuffer>,
    owned: boolean,
    options: CoreOptions,
    warmup: boolean,
    onPhase: (phase: Phase, done: boolean) => void,
  ): Promise<Joined & { model: Uint8Array<ArrayBuffer> }> {
    // A view would take all of its buffer along.
    const bytes = owned || isWhole(model) ? model : new Uint8Array(model);
    const transfer = bytes === model && !owned ? [] : [bytes.buffer];
    const request = { call: "open", launch, model: bytes, options, warmup } as const;
    let joined: Promise<Joined> | undefined;
    const onInstance = (generation: number) => {
      if (launch.memory) joined = this.#helpers?.join(launch.module, launch.memory, generation);
    };
    const { model: returned, ...facts } = await this.#ask(request, transfer, onPhase, onInstance);
    this.#facts = facts;
    return { ...((await joined) ?? { helpers: 0 }), model: returned };
  }

  get metadata(): ModelMetadata {
    return this.#described.metadata;
  }

  get names(): Names[] {
    return this.#described.names;
  }

  get complaint(): string | undefined {
    return this.#described.complaint;
  }

  get #described(): Description {
    if (!this.#description) throw new Error("no model was opened");
    return this.#description;
  }

  get simd(): Runtime["simd"] {
    return this.#facts.simd;
  }

  get batchSize(): number {
    return this.#facts.batchSize;
  }

  get batchRefusal(): string | undefined {
    return this.#facts.batchRefusal;
  }

  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  classify(frame: Frame, geometry: FrameGeometry): Promise<ResultNumbers> {
    const { own, transfer } = this.#pictures.sendable(frame);
    return this.#ask({ call: "classify", frame: own, geometry }, transfer);
  }

  classifyBatch(frames: Frame[], geometry: FrameGeometry): Promise<ResultNumbers> {
    const sent = frames.map((frame) => this.#pictures.sendable(frame));
    const transfer = sent.flatMap((one) => one.transfer);
    const own = sent.map((one) => one.own);
    return this.#ask({ call: "classifyBatch", frames: own, geometry }, transfer);
  }

  run(tensors: WireTensor[], picture?: WirePicture): Promise<TensorData[]> {
    const sent = picture && this.#pictures.sendable(picture.frame);
    const transfer = tensors.map(({ data }): Transferable => data.buffer as ArrayBuffer);
    transfer.push(...(sent?.transfer ?? []));
    const own = picture && sent && { frame: sent.own, geometry: picture.geometry };
    return this.#ask({ call: "run", tensors, picture: own }, transfer);
  }

  embed(
    frame: Frame,
    geometry: EmbedGeometry,
  ): Promise<Float32Array<ArrayBuffer> | Int8Array<ArrayBuffer>> {
    const { own, transfer } = this.#pictures.sendable(frame);
    return this.#ask({ call: "embed", frame: own, geometry }, transfer);
  }

  async setOptions(options: CoreOptions): Promise<void> {
    await this.#ask({ call: "setOptions", options });
  }

  profile(runs: number): Promise<OperatorProfile[]> {
    return this.#ask({ call: "profile", runs });
  }

  accelerate(request: Acceleration): Promise<Accelerated> {
    return this.#ask({ call: "accelerate", request });
  }

  lost(): Promise<string> {
    return this.#ask({ call: "lost" });
  }

  /** Converts an ONNX model over there. */
  convert(
    module: WebAssembly.Module,
    onnx: Uint8Array<ArrayBuffer>,
    conversion: Conversion,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return this.#ask({ call: "convert", module, onnx, conversion });
  }

  close(error: Error): void {
    this.#failure ??= error;
    this.#starting?.reject(error);
    this.#worker.terminate();
    this.#helpers?.terminate();
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  #ask<C extends Request["call"]>(
    request: Extract<Request, { call: C }> extends infer R ? Omit<R, "id"> & { call: C } : never,
    transfer: Transferable[] = [],
    onPhase?: (phase: Phase, done: boolean) => void,
    onInstance?: (generation: number) => void,
  ): Promise<Answers[C]> {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    return new Promise<unknown>((resolve, reject) => {
      try {
        this.#worker.postMessage({ ...request, id }, transfer);
      } catch (cause) {
        return reject(sendError(cause, request));
      }
      this.#pending.set(id, { resolve, reject, onPhase, onInstance });
      this.#worker.ref?.();
    }) as Promise<Answers[C]>;
  }

  #receive(response: Response): void {
    if ("ready" in response) {
      this.#starting?.resolve();
      this.#starting = undefined;
      if (this.#pending.size === 0) this.#worker.unref?.();
      return;
    }
    const pending = this.#pending.get(response.id);
    if (!pending) return;
    if ("phase" in response) return pending.onPhase?.(response.phase, response.done);
    if ("generation" in response) return pending.onInstance?.(response.generation);
    this.#pending.delete(response.id);
    // Without requests it keeps no process from ending.
    if (this.#pending.size === 0) this.#worker.unref?.();
    this.#pictures.keep(response.pixels);
    if ("error" in response) {
      const error = fromWire(response.error);
      pending.reject(error);
      if (response.crashed) this.close(error);
      return;
    }
    this.#memoryBytes = response.memoryBytes;
    if (response.description) this.#description = response.description;
    pending.resolve(response.value);
  }
}
