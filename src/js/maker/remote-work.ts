// maker.wasm in a worker.
import { AchadoError } from "../errors.js";
import type { HeadDescription, HeadTraining, TrainedHead } from "./maker.js";
import type { CutModel, Rows, Work, WorkRequest, WorkResponse } from "./work.js";

/** A request without its number. */
type Unnumbered<R> = R extends unknown ? Omit<R, "id"> : never;

/** The work in a worker. */
export class RemoteWork implements Work {
  readonly #worker: Worker;
  #nextId = 0;
  #failure: Error | undefined;
  readonly #pending = new Map<
    number,
    { resolve(value: never): void; reject(error: Error): void; onProgress?(share: number): void }
  >();

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<WorkResponse>) => this.#receive(data);
    worker.onerror = (event) => {
      event.preventDefault?.();
      const reason = event.message || "its script did not load";
      this.#fail(new AchadoError("INTERNAL", `the Maker's worker failed: ${reason}`, { reason }));
    };
  }

  static async start(create: () => Worker, module: WebAssembly.Module): Promise<RemoteWork> {
    const work = new RemoteWork(create());
    try {
      await work.#ask<undefined>({ call: "start", module });
      return work;
    } catch (error) {
      work.close();
      throw error;
    }
  }

  cut(model: Uint8Array<ArrayBuffer>): Promise<CutModel> {
    return this.#ask({ call: "cut", model });
  }

  train(
    rows: Rows,
    options: HeadTraining,
    signal: AbortSignal | undefined,
    onProgress: (share: number) => void,
  ): Promise<TrainedHead> {
    const id = this.#nextId;
    const stop = () => this.#worker.postMessage({ id, call: "abort" } satisfies WorkRequest);
    signal?.addEventListener("abort", stop, { once: true });
    const asked = this.#ask<TrainedHead>({ call: "train", rows, options }, onProgress);
    return asked.finally(() => signal?.removeEventListener("abort", stop));
  }

  exportModel(
    { weights, bias }: Pick<TrainedHead, "weights" | "bias">,
    embeddings: Float32Array<ArrayBuffer>,
    description: HeadDescription,
  ): Promise<{ file: Uint8Array<ArrayBuffer>; head: Uint8Array<ArrayBuffer> }> {
    return this.#ask({ call: "export", head: { weights, bias }, embeddings, description });
  }

  close(): void {
    this.#fail(new AchadoError("CLOSED", "this trainer is closed"));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#worker.terminate();
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  #ask<T>(request: Unnumbered<WorkRequest>, onProgress?: (share: number) => void): Promise<T> {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = this.#nextId++;
    return new Promise<T>((resolve, reject) => {
      this.#worker.postMessage({ ...request, id });
      this.#pending.set(id, { resolve, reject, ...(onProgress && { onProgress }) });
    });
  }

  #receive(response: WorkResponse): void {
    const pending = this.#pending.get(response.id);
    if (!pending) return;
    if ("share" in response) return pending.onProgress?.(response.share);
    this.#pending.delete(response.id);
    if ("error" in response) {
      const { code, message, detail } = response.error;
      pending.reject(new AchadoError(code, message, detail));
    } else {
      pending.resolve(response.value as never);
    }
  }
}
