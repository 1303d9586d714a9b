// The engine in a worker, as the page sees it.
import type {
  Answers,
  CoreOptions,
  Engine,
  Frame,
  FrameGeometry,
  Launch,
  Phase,
  Request,
  Response,
} from "./engine.js";
import { AchadoError, fromWire } from "./errors.js";
import type { Conversion } from "./onnx.js";
import { inputError } from "./pixels.js";
import { Helpers, type Joined } from "./threads.js";
import type { ClassifierResult, ModelMetadata, OperatorProfile, Runtime } from "./types.js";

/** Whether a view shows all of a buffer that can be sent as it is. */
function isWhole(view: Uint8Array | Uint8ClampedArray): boolean {
  return view.buffer instanceof ArrayBuffer && view.byteLength === view.buffer.byteLength;
}

/** Why a request cannot be sent: options with functions in them, or a picture of another origin. */
function sendError(cause: unknown, request: object): unknown {
  const { frame: _, launch: __, ...options } = request as Record<string, unknown>;
  try {
    structuredClone(options);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return new AchadoError("INVALID_OPTION", `an option is of a wrong kind: ${reason}`, { reason });
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
  readonly #worker: Worker;
  readonly #helpers: Helpers | undefined;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #metadata: ModelMetadata | undefined;
  #simd: Runtime["simd"] = "simd128";
  #memoryBytes = 0;
  #failure: Error | undefined;

  private constructor(worker: Worker, helpers: Helpers | undefined) {
    this.#worker = worker;
    this.#helpers = helpers;
    worker.onmessage = ({ data }: MessageEvent<Response>) => this.#receive(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.close(
        new AchadoError("INTERNAL", `achado's worker failed, please report it: ${event.message}`),
      );
    };
  }

  /**
   * Starts the worker's script and takes hold of it, and those of its helpers, if any.
   *
   * @throws {Error} why no worker can be had here
   */
  static async start(create: () => Worker, helpers: number): Promise<RemoteEngine> {
    const worker = create();
    const team = helpers > 0 ? new Helpers(create, helpers) : undefined;
    await new Promise<void>((resolve, reject) => {
      worker.onmessage = () => resolve();
      worker.onerror = (event) => {
        event.preventDefault?.();
        worker.terminate();
        team?.terminate();
        // Browsers hide why a worker's script did not load.
        reject(new Error(event.message || "its script did not load"));
      };
    });
    return new RemoteEngine(worker, team);
  }

  /**
   * Compiles a model over there, and tells how many helpers share the work. The bytes are moved,
   * not copied, if `owned`.
   */
  async open(
    launch: Launch,
    model: Uint8Array<ArrayBuffer>,
    owned: boolean,
    options: CoreOptions,
    warmup: boolean,
    onPhase: (phase: Phase, done: boolean) => void,
  ): Promise<Joined> {
    // A view would take all of its buffer along.
    const bytes = owned || isWhole(model) ? model : model.slice();
    const transfer = bytes === model && !owned ? [] : [bytes.buffer];
    const request = { call: "open", launch, model: bytes, options, warmup } as const;
    let joined: Promise<Joined> | undefined;
    const onInstance = (generation: number) => {
      if (launch.memory) joined = this.#helpers?.join(launch.module, launch.memory, generation);
    };
    this.#simd = await this.#ask(request, transfer, onPhase, onInstance);
    return (await joined) ?? { helpers: 0 };
  }

  get metadata(): ModelMetadata {
    if (!this.#metadata) throw new Error("no model was opened");
    return this.#metadata;
  }

  get simd(): Runtime["simd"] {
    return this.#simd;
  }

  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  classify(frame: Frame, geometry: FrameGeometry): Promise<ClassifierResult> {
    if (!("data" in frame)) return this.#ask({ call: "classify", frame, geometry }, [frame]);
    const { data, width, height } = frame;
    if (isWhole(data)) return this.#ask({ call: "classify", frame, geometry });
    const own = data.slice();
    return this.#ask({ call: "classify", frame: { data: own, width, height }, geometry }, [
      own.buffer,
    ]);
  }

  async setOptions(options: CoreOptions): Promise<void> {
    await this.#ask({ call: "setOptions", options });
  }

  profile(runs: number): Promise<OperatorProfile[]> {
    return this.#ask({ call: "profile", runs });
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
    }) as Promise<Answers[C]>;
  }

  #receive(response: Response): void {
    if ("ready" in response) return;
    const pending = this.#pending.get(response.id);
    if (!pending) return;
    if ("phase" in response) return pending.onPhase?.(response.phase, response.done);
    if ("generation" in response) return pending.onInstance?.(response.generation);
    this.#pending.delete(response.id);
    if ("error" in response) {
      const error = fromWire(response.error);
      pending.reject(error);
      if (response.crashed) this.close(error);
      return;
    }
    this.#memoryBytes = response.memoryBytes;
    if (response.metadata) this.#metadata = response.metadata;
    pending.resolve(response.value);
  }
}
