// What quantize.wasm does, in this thread or in a worker, and the messages between the two.
import { AchadoError, fromCore, fromWire, toWire, type WireError } from "../errors.js";
import type { ModelCall, ModelCalls, ModelWork } from "./model-work.js";

/** The glue around quantize.wasm. */
export type QuantizeGlue = typeof import("../generated/quantize/achado.js");

export type QuantizeRequest = { id: number; call: ModelCall; argument: never };
export type QuantizeResponse = { id: number; value: unknown } | { id: number; error: WireError };

function opened<T>(one: T | undefined): T {
  if (!one) throw new Error("no model was opened");
  return one;
}

/** The work in this thread. */
export class LocalQuantizeWork implements ModelWork {
  readonly #glue: QuantizeGlue;
  #quantizer: InstanceType<QuantizeGlue["Quantizer"]> | undefined;
  #pruner: InstanceType<QuantizeGlue["Pruner"]> | undefined;

  constructor(glue: QuantizeGlue) {
    this.#glue = glue;
  }

  readonly #calls: {
    [C in ModelCall]: (argument: ModelCalls[C][0]) => ModelCalls[C][1];
  } = {
    start: (module) => void this.#glue.initSync({ module }),
    inspect: (model) => this.#glue.inspectModel(model),
    compact: ({ model, to, perChannelDense }) =>
      this.#glue.compactModel(model, to, perChannelDense) as Uint8Array<ArrayBuffer>,
    open: (model) => {
      this.#quantizer?.free();
      this.#quantizer = new this.#glue.Quantizer(model);
      return this.#quantizer.preparation() as Uint8Array<ArrayBuffer>;
    },
    add: (elements) => void opened(this.#quantizer).add(elements),
    finish: (request) => {
      const quantizer = opened(this.#quantizer);
      // What finishes is consumed.
      this.#quantizer = undefined;
      return quantizer.finish(request);
    },
    openPruning: ({ model, ...options }) => {
      this.#pruner?.free();
      this.#pruner = new this.#glue.Pruner(model, options);
      return this.#pruner.preparation() as Uint8Array<ArrayBuffer>;
    },
    addPruning: (elements) => void opened(this.#pruner).add(elements),
    finishPruning: (request) => {
      const pruner = opened(this.#pruner);
      this.#pruner = undefined;
      return pruner.finish(request);
    },
  };

  async call<C extends ModelCall>(name: C, argument: ModelCalls[C][0]) {
    try {
      return this.#calls[name](argument);
    } catch (thrown) {
      throw fromCore(thrown).error;
    }
  }

  close(): void {
    this.#quantizer?.free();
    this.#pruner?.free();
    this.#quantizer = undefined;
    this.#pruner = undefined;
  }
}

/** Answers requests in a worker. */
export function serveQuantizeWork(glue: QuantizeGlue, post: (response: QuantizeResponse) => void) {
  const work = new LocalQuantizeWork(glue);
  return async ({ id, call, argument }: QuantizeRequest): Promise<void> => {
    try {
      post({ id, value: await work.call(call, argument) });
    } catch (thrown) {
      post({ id, error: toWire(fromCore(thrown).error) });
    }
  };
}

/** The work in a worker. */
export class RemoteQuantizeWork implements ModelWork {
  readonly #worker: Worker;
  readonly #pending = new Map<
    number,
    { resolve(value: never): void; reject(error: Error): void }
  >();
  #nextId = 0;
  #failure: Error | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<QuantizeResponse>) => {
      const pending = this.#pending.get(data.id);
      this.#pending.delete(data.id);
      if ("value" in data) return pending?.resolve(data.value as never);
      pending?.reject(fromWire(data.error));
    };
    worker.onerror = (event) => {
      event.preventDefault?.();
      const reason = event.message || "its script did not load";
      this.#fail(new AchadoError("INTERNAL", `the worker failed: ${reason}`));
    };
  }

  call<C extends ModelCall>(name: C, argument: ModelCalls[C][0]) {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    return new Promise<ModelCalls[C][1]>((resolve, reject) => {
      this.#worker.postMessage({ id, call: name, argument });
      this.#pending.set(id, { resolve, reject });
    });
  }

  close(): void {
    this.#fail(new AchadoError("CLOSED", "the work was ended"));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#worker.terminate();
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}
