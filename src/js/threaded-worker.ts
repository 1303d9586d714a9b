// The script of the workers of a model that runs in several threads: the one that runs it, which
// gets requests, and its helpers, which are told once to help.
import type { Request } from "./engine.js";
import { fromCore } from "./errors.js";
import * as glue from "./generated/relaxed-threads/achado.js";
import { post, serve } from "./serve.js";
import type { HelpRequest, HelpResponse } from "./threads.js";

const respond: (message: HelpResponse) => void = post;

function help({ module, memory, thread, generation, stackBytes }: HelpRequest): void {
  let wasm: glue.InitOutput;
  try {
    wasm = glue.initSync({ module, memory, thread_stack_size: stackBytes });
  } catch (thrown) {
    respond({ helping: false, reason: fromCore(thrown).error.message });
    return;
  }
  respond({ helping: true });
  try {
    // Until this generation is dismissed: this worker gets no further message.
    glue.help(thread, generation);
  } catch (thrown) {
    glue.helperFailed();
    throw thrown;
  }
  // Its stack, in the memory that others go on to use.
  wasm.__wbindgen_thread_destroy();
  self.close();
}

self.onmessage = ({ data: request }: MessageEvent<Request | HelpRequest>) =>
  request.call === "help" ? help(request) : serve(glue, request);

post({ ready: true });
