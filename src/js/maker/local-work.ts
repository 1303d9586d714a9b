// maker.wasm in this thread.
import { AchadoError, type WireError } from "../errors.js";
import { isError, messageOf } from "../kind.js";
import type { HeadDescription, HeadTraining, TrainedHead } from "./maker.js";
import {
  type CutModel,
  pause,
  type Rows,
  type Work,
  type WorkRequest,
  type WorkResponse,
} from "./work.js";

/** The glue around maker.wasm. */
export type Glue = typeof import("../generated/maker/achado.js");

/** How long the thread is busy before it looks for messages. */
const SLICE_MS = 12;

/** What a thrown value from maker.wasm means. */
function fromWasm(thrown: unknown): Error {
  if (thrown instanceof AchadoError) return thrown;
  if (typeof thrown === "object" && thrown !== null && "code" in thrown && "detail" in thrown) {
    const { code, message, detail } = thrown as WireError;
    return new AchadoError(code, message, detail);
  }
  const text = messageOf(thrown);
  if (isError(thrown) && thrown.name === "RuntimeError" && /unreachable/.test(text)) {
    return new AchadoError("OUT_OF_MEMORY", "WebAssembly has no room for so many pictures");
  }
  if (isError(thrown) && thrown.name === "AbortError") return thrown;
  const message = `achado failed inside, please report it: ${text}`;
  return new AchadoError("INTERNAL", message, {}, { cause: thrown });
}

/** The work in this thread. */
export class LocalWork implements Work {
  readonly #glue: Glue;
  #base: InstanceType<Glue["Base"]> | undefined;

  constructor(glue: Glue, module: WebAssembly.Module) {
    glue.initSync({ module });
    this.#glue = glue;
  }

  async cut(model: Uint8Array<ArrayBuffer>): Promise<CutModel> {
    try {
      const base = new this.#glue.Base(model);
      this.#base?.free();
      this.#base = base;
      return {
        model: base.write() as Uint8Array<ArrayBuffer>,
        features: base.features(),
        dtype: base.dtype(),
        described: base.described(),
      };
    } catch (thrown) {
      throw fromWasm(thrown);
    }
  }

  async train(
    { embeddings, features, labels, sessions, classes }: Rows,
    options: HeadTraining,
    signal: AbortSignal | undefined,
    onProgress: (share: number) => void,
  ): Promise<TrainedHead> {
    let training: InstanceType<Glue["Training"]> | undefined;
    try {
      training = new this.#glue.Training(embeddings, features, labels, sessions, classes, options);
      for (let more = true; more;) {
        const until = performance.now() + SLICE_MS;
        do more = training.advance();
        while (more && performance.now() < until);
        onProgress(training.progress());
        await pause();
        signal?.throwIfAborted();
      }
      const finished = training;
      training = undefined;
      return finished.finish();
    } catch (thrown) {
      signal?.throwIfAborted();
      throw fromWasm(thrown);
    } finally {
      training?.free();
    }
  }

  async exportModel(
    { weights, bias }: Pick<TrainedHead, "weights" | "bias">,
    embeddings: Float32Array<ArrayBuffer>,
    description: HeadDescription,
  ): Promise<{ file: Uint8Array<ArrayBuffer>; head: Uint8Array<ArrayBuffer> }> {
    try {
      if (!this.#base) throw new Error("no network was cut");
      const file = this.#base.export(
        weights,
        bias,
        embeddings,
        description,
      ) as Uint8Array<ArrayBuffer>;
      return { file, head: this.#glue.headOnly(file) as Uint8Array<ArrayBuffer> };
    } catch (thrown) {
      throw fromWasm(thrown);
    }
  }

  close(): void {
    this.#base?.free();
    this.#base = undefined;
  }
}

/** Answers requests in a worker. */
export function serveWork(glue: Glue, post: (response: WorkResponse) => void) {
  let work: LocalWork | undefined;
  const running = new Map<number, AbortController>();
  const answer = async (request: Exclude<WorkRequest, { call: "abort" }>): Promise<unknown> => {
    if (request.call === "start") {
      work = new LocalWork(glue, request.module);
      return undefined;
    }
    if (!work) throw new Error("the worker was not started");
    const { id } = request;
    switch (request.call) {
      case "cut":
        return work.cut(request.model);
      case "train": {
        const stop = new AbortController();
        running.set(id, stop);
        const onProgress = (share: number) => post({ id, share });
        const trained = work.train(request.rows, request.options, stop.signal, onProgress);
        return trained.finally(() => running.delete(id));
      }
      case "export":
        return work.exportModel(request.head, request.embeddings, request.description);
    }
  };
  return async (request: WorkRequest): Promise<void> => {
    const { id } = request;
    if (request.call === "abort") return running.get(id)?.abort();
    try {
      post({ id, value: await answer(request) });
    } catch (thrown) {
      const { code, message, detail } = fromWasm(thrown) as AchadoError;
      post({ id, error: { code: code ?? "INTERNAL", message, detail: detail ?? {} } });
    }
  };
}
