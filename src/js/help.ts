// What a helper of a model's thread does.
import { fromCore } from "./errors.js";
import type { ThreadedGlue } from "./local.js";
import type { Post } from "./serve.js";
import type { HelpRequest, HelpResponse } from "./threads.js";

/**
 * Takes part in the work of an instance until its helpers are dismissed: this thread gets no further
 * message.
 *
 * @param end Ends the thread.
 */
export function help(
  { post, glue }: { post: Post; glue: ThreadedGlue },
  { module, memory, thread, generation, stackBytes }: HelpRequest,
  end: () => void,
): void {
  const respond: (message: HelpResponse) => void = post;
  let wasm: ReturnType<ThreadedGlue["initSync"]>;
  try {
    wasm = glue.initSync({ module, memory, thread_stack_size: stackBytes });
  } catch (thrown) {
    respond({ helping: false, reason: fromCore(thrown).error.message });
    return;
  }
  respond({ helping: true });
  try {
    glue.help(thread, generation);
  } catch (thrown) {
    glue.helperFailed();
    throw thrown;
  }
  // Its stack, in the memory that others go on to use.
  wasm.__wbindgen_thread_destroy();
  end();
}
