// The script of the worker that quantizes models.
import * as glue from "./generated/quantize/achado.js";
import {
  type QuantizeRequest,
  type QuantizeResponse,
  serveQuantizeWork,
} from "./maker/quantize-work.js";

// `self` is typed as a window; a worker's postMessage takes a message alone.
const post = self.postMessage as (response: QuantizeResponse) => void;
const answer = serveQuantizeWork(glue, post);

self.onmessage = ({ data }: MessageEvent<QuantizeRequest>) => answer(data);
