// The page's side: which engine runs on a GPU, and what is told of it.
import type { Acceleration, Engine } from "../engine.js";
import type { Opened } from "../opening.js";

/** A GPU that is lost this often is left alone. */
const MOST_LOSSES = 3;

/**
 * Brings the engine to a GPU and follows it: after a loss anew. Resolves when it is settled for the
 * first time; what keeps it on the processor is among the fallbacks.
 */
export async function follow(
  opened: Opened,
  request: Omit<Acceleration, "model">,
  model: () => Promise<ArrayBuffer>,
  losses = 0,
): Promise<void> {
  const { engine, fallbacks } = opened;
  const stay = (reason: string) => {
    opened.backend = "wasm";
    opened.adapter = undefined;
    fallbacks.push({ from: "webgpu", to: "wasm", reason });
  };
  opened.backend = "wasm";
  opened.adapter = undefined;
  try {
    const bytes = new Uint8Array(await model());
    const { adapter } = await engine.accelerate({ ...request, model: bytes });
    if (!isCurrent(opened, engine)) return;
    opened.backend = "webgpu";
    opened.adapter = adapter;
  } catch (cause) {
    const { message = String(cause) } = cause as { message?: string };
    if (isCurrent(opened, engine)) stay(message);
    return;
  }
  engine.lost().then(
    (reason) => {
      if (!isCurrent(opened, engine)) return undefined;
      stay(`the GPU was lost: ${reason}`);
      return losses + 1 < MOST_LOSSES ? follow(opened, request, model, losses + 1) : undefined;
    },
    () => {},
  );
}

/** Whether it has not been closed or made anew: then nobody asks for it. */
function isCurrent(opened: Opened, engine: Engine): boolean {
  return opened.engine === engine && engine.failure === undefined;
}
