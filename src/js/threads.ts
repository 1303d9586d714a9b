// Helpers of the thread that runs a model: workers with the same module on the same memory.
import { messageOf } from "./kind.js";
import { hasAtomics } from "./probes.js";
import type { Platform, WorkerLike } from "./platform.js";
import type { ClassifierOptions, Fallback } from "./types.js";

/** More threads than that gain little on the networks that classify pictures. */
const AUTO_THREADS = 4;

/** In pages of 64 KiB. The threaded cores are linked for 2 MiB and a page to 1 GiB (xtask/src/wasm.rs). */
const MEMORY = { initial: 40, maximum: 16_384, shared: true };

/** Of each helper, in bytes; the kernels' buffers are not on the stack. */
const STACK_BYTES = 256 * 1024;

/** How many threads to use, and why they are fewer than were asked for. */
export interface ThreadPlan {
  readonly threads: number;
  readonly reason?: string;
}

/** Decides before anything is downloaded: threads need another core. */
export function planThreads(
  wanted: ClassifierOptions["threads"],
  { processors, sharingProblem }: Pick<Platform, "processors" | "sharingProblem">,
): ThreadPlan {
  const automatic = wanted === undefined || wanted === "auto";
  const threads = automatic ? Math.min(processors(), AUTO_THREADS) : wanted;
  if (threads === 1) return { threads };
  const reason = sharingProblem();
  return reason === undefined ? { threads } : { threads: 1, reason };
}

/** Why threads cannot share memory in a browser, if they cannot. */
export function pageSharingProblem(): string | undefined {
  if (typeof Worker !== "function") return "there are no workers here";
  if (globalThis.crossOriginIsolated !== true) {
    const headers = "Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy";
    return `the page is not cross-origin isolated; threads need the headers ${headers}: require-corp`;
  }
  return memorySharingProblem();
}

/** The same of WebAssembly itself. */
export function memorySharingProblem(): string | undefined {
  if (!hasAtomics()) return "there are no WebAssembly threads here";
  memoryProblem ??= tryMemory();
  return memoryProblem === "" ? undefined : memoryProblem;
}

/** Why there is no shared memory here, or nothing; asked once, since each reserves addresses. */
let memoryProblem: string | undefined;

function tryMemory(): string {
  try {
    // WebKitGTK makes it, but gives it to no other thread.
    const { port1 } = new MessageChannel();
    port1.postMessage(sharedMemory());
    port1.close();
    return "";
  } catch (cause) {
    return `no shared memory: ${messageOf(cause)}`;
  }
}

/** The entry of `runtime.fallbacks` for threads that are not there. */
export function threadFallback(threads: number, reason: string): Fallback {
  return { from: "threads", to: threads === 1 ? "single" : `${threads} threads`, reason };
}

/** Memory for one instance and its helpers. Reserves addresses; the system gives pages as used. */
export function sharedMemory(): WebAssembly.Memory {
  return new WebAssembly.Memory(MEMORY);
}

/** Whether this thread may sleep until another wakes it: all may but a page's. */
export function maySleep(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1);
    return true;
  } catch {
    return false;
  }
}

/** To a helper. */
export interface HelpRequest {
  call: "help";
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  /** 1 or more; no two helpers of a memory have the same. */
  thread: number;
  generation: number;
  stackBytes: number;
}

/** From a helper, after `{ ready: true }`: whether it is about to help. */
export type HelpResponse = { helping: true } | { helping: false; reason: string };

/** How many helpers share the work, and why others do not. */
export interface Joined {
  readonly helpers: number;
  readonly reason?: string;
}

/** Helpers of one memory. */
export class Helpers {
  readonly #workers: WorkerLike[] = [];
  /** By helper: its script runs. */
  readonly #loaded: Promise<WorkerLike>[] = [];

  /** Starts the scripts of so many helpers. What fails is told by `join`. */
  constructor(create: () => WorkerLike, count: number) {
    const start = async () => {
      const worker = create();
      this.#workers.push(worker);
      await answerOf(worker);
      return worker;
    };
    for (let i = 0; i < count; i++) {
      const loaded = start();
      loaded.catch(() => {});
      this.#loaded.push(loaded);
    }
  }

  /** Lets them share the work of a memory whose first instance is there. Never rejects. */
  async join(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    generation: number,
  ): Promise<Joined> {
    const outcomes = await Promise.all(
      this.#loaded.map(async (loaded, index) => {
        try {
          const worker = await loaded;
          const answer = answerOf(worker);
          const request = { call: "help", module, memory, thread: index + 1, generation } as const;
          worker.postMessage({ ...request, stackBytes: STACK_BYTES } satisfies HelpRequest);
          const response = (await answer) as HelpResponse;
          // Nobody waits for it but the thread that it helps.
          worker.unref?.();
          return response.helping ? undefined : response.reason;
        } catch (cause) {
          return messageOf(cause);
        }
      }),
    );
    const reasons = outcomes.filter((reason) => reason !== undefined);
    const helpers = outcomes.length - reasons.length;
    return reasons[0] === undefined ? { helpers } : { helpers, reason: reasons[0] };
  }

  /** Only where nothing more is run on the memory: it ends them wherever they are. */
  terminate(): void {
    for (const worker of this.#workers) worker.terminate();
  }
}

/** Helpers of this thread's instance, which all its models share. */
let team: { joined: Promise<Joined>; users: number } | undefined;

/** Takes part in the team of this thread's instance; the first one's wish says how large it is. */
export function joinTeam(
  create: () => WorkerLike,
  count: number,
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  core: { helperGeneration(): number; dismissHelpers(): void },
): { joined: Promise<Joined>; leave: () => void } {
  team ??= {
    joined: new Helpers(create, count).join(module, memory, core.helperGeneration()),
    users: 0,
  };
  const mine = team;
  mine.users += 1;
  const leave = () => {
    mine.users -= 1;
    if (mine.users > 0) return;
    team = undefined;
    // They free their stacks and end: the memory goes on being used.
    core.dismissHelpers();
  };
  return { joined: mine.joined, leave };
}

/** A worker's next message, or why there is none. */
function answerOf(worker: WorkerLike): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent) => resolve(data);
    worker.onerror = (event) => {
      event.preventDefault?.();
      worker.terminate();
      // Browsers hide why a worker's script did not load.
      reject(new Error(`a helper did not start: ${event.message || "its script did not load"}`));
    };
  });
}
