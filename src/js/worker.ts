// The script of the worker that runs a model in one thread, or converts one.
import type { Request } from "./engine.js";
import * as onnxGlue from "./generated/onnx/achado.js";
import * as glue from "./generated/simd128/achado.js";
import { convertHere } from "./onnx-here.js";
import { post, serve } from "./serve.js";

const host = { post, glue, convert: convertHere.bind(undefined, onnxGlue) };

self.onmessage = ({ data: request }: MessageEvent<Request>) => serve(host, request);

post({ ready: true });
