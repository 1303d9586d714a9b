// The worker's script: one engine, driven by messages.
import type { Request, Response } from "./engine.js";
import { fromCore, toWire } from "./errors.js";
import { LocalEngine } from "./local.js";
import { convertHere } from "./onnx-here.js";

let engine: LocalEngine | undefined;

// `self` is typed as a window; a worker's postMessage takes a message alone.
const post = (message: Response) => (self.postMessage as (message: Response) => void)(message);

async function answer(request: Request): Promise<unknown> {
  if (request.call === "open") {
    const { id, module, model, options, warmup } = request;
    engine = LocalEngine.open(module, model, options, warmup, (phase, done) =>
      post({ id, phase, done }),
    );
    return engine.simd;
  }
  if (request.call === "convert") {
    return convertHere(request.module, request.onnx, request.conversion);
  }
  if (!engine) throw new Error("the worker has no model");
  switch (request.call) {
    case "classify":
      return engine.classify(request.frame, request.geometry);
    case "setOptions":
      return engine.setOptions(request.options);
    case "profile":
      return engine.profile(request.runs);
  }
}

self.onmessage = async ({ data: request }: MessageEvent<Request>) => {
  const { id } = request;
  try {
    const value = await answer(request);
    const metadata = request.call === "open" || request.call === "setOptions";
    post({
      id,
      value,
      memoryBytes: engine?.memoryBytes ?? 0,
      ...(metadata && engine && { metadata: engine.metadata }),
    });
  } catch (thrown) {
    const { error, crashed } = fromCore(thrown);
    post({ id, error: toWire(error), crashed: crashed || engine?.failure !== undefined });
  }
};

post({ ready: true });
