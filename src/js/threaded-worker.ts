// The script of the workers of a model that runs in several threads: the one that runs it, which
// gets requests, and its helpers, which are told once to help.
import type { Request } from "./engine.js";
import * as glue from "./generated/relaxed-threads/achado.js";
import { help } from "./help.js";
import { post, serve } from "./serve.js";
import type { HelpRequest } from "./threads.js";

const host = { post, glue };

self.onmessage = ({ data: request }: MessageEvent<Request | HelpRequest>) =>
  request.call === "help" ? help(host, request, () => self.close()) : serve(host, request);

post({ ready: true });
