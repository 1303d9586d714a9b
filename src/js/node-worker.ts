// The script of Node's workers, all kinds in one: files are at hand there.
import { parentPort } from "node:worker_threads";
import { decode } from "./decode.js";
import type { Frame, Request } from "./engine.js";
import * as onnxGlue from "./generated/onnx/achado.js";
import * as threaded from "./generated/relaxed-threads/achado.js";
import * as single from "./generated/simd128/achado.js";
import { help } from "./help.js";
import { convertHere } from "./onnx-here.js";
import { type Host, type Post, serve } from "./serve.js";
import type { HelpRequest } from "./threads.js";

const port = parentPort as NonNullable<typeof parentPort>;
const post: Post = (message, transfer) =>
  port.postMessage(message, transfer as Parameters<typeof port.postMessage>[1]);
const convert = convertHere.bind(undefined, onnxGlue);

/** Which glue the first model asked for: a worker has one. */
let glue: Host["glue"] | undefined;

function pixels(frame: Frame): Frame {
  return "encoded" in frame ? decode(frame.decoder, frame.encoded) : frame;
}

/** Puts pixels in place of files. */
async function decodeFrames(request: Request): Promise<Request> {
  switch (request.call) {
    case "classify":
    case "embed":
      return { ...request, frame: pixels(request.frame) };
    case "classifyBatch":
      return { ...request, frames: request.frames.map(pixels) };
    case "run": {
      const { picture } = request;
      if (!picture) return request;
      return { ...request, picture: { ...picture, frame: pixels(picture.frame) } };
    }
    default:
      return request;
  }
}

port.on("message", (request: Request | HelpRequest) => {
  if (request.call === "help") {
    help({ post, glue: threaded }, request, () => port.close());
    return;
  }
  if (request.call === "open") glue = request.launch.memory ? threaded : single;
  serve({ post, glue: glue ?? single, convert, decode: decodeFrames }, request);
});

post({ ready: true });
