// What a worker does: one engine, driven by messages.
import type { Answers, Phase, Request, Response, ResultNumbers } from "./engine.js";
import { fromCore, toWire } from "./errors.js";
import { type Glue, LocalEngine, type ThreadedGlue } from "./local.js";
import type { Conversion } from "./onnx.js";
import { sentPixels } from "./picture-memory.js";
import type { TensorData } from "./types.js";

/** To the thread that started this one. */
export type Post = (message: unknown, transfer?: Transferable[]) => void;

/** `self` is typed as a window; a worker's postMessage takes a message alone. */
export const post: Post = (message, transfer = []) => {
  (self.postMessage as (message: unknown, transfer: Transferable[]) => void)(message, transfer);
};

let engine: LocalEngine | undefined;

/** Whether a model is wanted: from then on all time is its own. */
let isWanted = false;

/** Takes steps in tasks of their own, so that requests come in between, until one wants a model. */
function prime(steps: Generator<undefined>): void {
  const { port1, port2 } = new MessageChannel();
  const next = () => port2.postMessage(undefined);
  const isDone = () => {
    try {
      return steps.next().done;
    } catch {
      // It fails again when a model is opened, and is told then.
      return true;
    }
  };
  port1.onmessage = () => {
    if (!isWanted && !isDone()) return next();
    steps.return(undefined);
    port1.close();
  };
  next();
}

/** Conversion of ONNX models, in the workers that do it. */
type Convert = (
  module: WebAssembly.Module,
  onnx: Uint8Array,
  conversion: Conversion,
) => Uint8Array<ArrayBuffer>;

/** What a worker has to answer with. */
export interface Host {
  readonly post: Post;
  readonly glue: Glue;
  readonly convert?: Convert;
  /** Where files come to be decoded: puts pixels in place of them. */
  readonly decode?: (request: Request) => Promise<Request>;
}

async function answer({ post, glue, convert }: Host, request: Request): Promise<unknown> {
  const respond: (message: Response) => void = post;
  if (request.call === "prepare") {
    if ("Primer" in glue && glue.Primer) {
      prime(LocalEngine.prepare(glue, glue.Primer, request.module));
    }
    return undefined;
  }
  isWanted = true;
  if (request.call === "open") {
    const { id, launch, model, options, warmup } = request;
    const onPhase = (phase: Phase, done: boolean) => respond({ id, phase, done });
    const onInstance = (core: ThreadedGlue) => {
      respond({ id, generation: core.helperGeneration() });
      return undefined;
    };
    engine = LocalEngine.open(glue, launch, model, options, warmup, onPhase, onInstance);
    const { simd, batchSize, batchRefusal } = engine;
    return { simd, batchSize, batchRefusal, model } satisfies Answers["open"];
  }
  if (request.call === "convert") {
    if (!convert) throw new Error("the worker does not convert");
    return convert(request.module, request.onnx, request.conversion);
  }
  if (!engine) throw new Error("the worker has no model");
  switch (request.call) {
    case "classify":
      return engine.classify(request.frame, request.geometry);
    case "classifyBatch":
      return engine.classifyBatch(request.frames, request.geometry);
    case "run":
      return engine.run(request.tensors, request.picture);
    case "embed":
      return engine.embed(request.frame, request.geometry);
    case "setOptions":
      return engine.setOptions(request.options);
    case "profile":
      return engine.profile(request.runs);
    case "accelerate":
      return engine.accelerate(request.request);
    case "lost":
      return engine.lost();
  }
}

/** What is moved with an answer, not copied once more. */
function moved(request: Request, value: unknown): ArrayBufferView[] {
  if (request.call === "open") return [request.model];
  if (request.call === "run") return value as TensorData[];
  const isResult = request.call === "classify" || request.call === "classifyBatch";
  return isResult ? [value as ResultNumbers] : [];
}

/** Answers a request, whatever comes of it. */
export async function serve(host: Host, request: Request): Promise<void> {
  const respond: (message: Response, transfer: Transferable[]) => void = host.post;
  const { id } = request;
  const pixels = sentPixels(request);
  try {
    const value = await answer(host, (await host.decode?.(request)) ?? request);
    const described = request.call === "open" || request.call === "setOptions";
    const response: Response = {
      id,
      pixels,
      value,
      memoryBytes: engine?.memoryBytes ?? 0,
      ...(described && engine && { description: engine.description }),
    };
    const buffers = moved(request, value).map(({ buffer }) => buffer as ArrayBuffer);
    respond(response, [...buffers, ...pixels]);
  } catch (thrown) {
    const { error, crashed } = fromCore(thrown);
    const isBroken = crashed || engine?.failure !== undefined;
    respond({ id, pixels, error: toWire(error), crashed: isBroken }, pixels);
  }
}
