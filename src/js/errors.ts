// One error class with a stable code; how errors cross into it from wasm and between threads.
import { isError, messageOf } from "./kind.js";

/** Stable from release to release, by who is at fault. */
export type ErrorCode =
  // the file
  | "MODEL_FETCH"
  | "MODEL_INTEGRITY"
  | "MODEL_FORMAT"
  // us
  | "UNSUPPORTED_OPERATOR"
  | "UNSUPPORTED_TYPE"
  | "INTERNAL"
  // the caller
  | "INVALID_OPTION"
  | "INVALID_INPUT"
  | "INPUT_NOT_READY"
  | "TAINTED_CANVAS"
  | "METADATA_MISSING"
  | "NOT_ENOUGH_DATA"
  | "CLOSED"
  // the place
  | "BACKEND_UNAVAILABLE"
  | "CAMERA_DENIED"
  | "WASM_UNSUPPORTED"
  | "WASM_MIME"
  | "CSP_BLOCKED"
  | "OUT_OF_MEMORY";

/** What every call of achado rejects with, unless it was aborted. */
export class AchadoError extends Error {
  /** Who is at fault. */
  readonly code: ErrorCode;
  /** The facts of the message, for programs: `url`, `status`, `tensor`, `operator`, ... */
  readonly detail: Record<string, unknown>;

  constructor(
    code: ErrorCode,
    message: string,
    detail: Record<string, unknown> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "AchadoError";
    this.code = code;
    this.detail = detail;
  }
}

// Minifiers shorten the class's own name. As a static field it would be read-only for compilers that
// turn fields into assignments, as Next's does.
Object.defineProperty(AchadoError, "name", { value: "AchadoError" });

/** An error between threads: structured cloning would make a plain `Error` of the class. */
export interface WireError {
  code: ErrorCode;
  message: string;
  detail: Record<string, unknown>;
}

/** What a thread sends. */
export function toWire({ code, message, detail }: AchadoError): WireError {
  return { code, message, detail };
}

/** What the other thread throws. */
export function fromWire({ code, message, detail }: WireError): AchadoError {
  return new AchadoError(code, message, detail);
}

/** An error out of wasm, and whether the instance that it came from can still be used. */
export interface CoreFailure {
  error: AchadoError;
  crashed: boolean;
}

/**
 * Says what a thrown value from wasm means.
 *
 * - The shell throws `{ code, message, detail }`; its panic hook the same with `crashed: true`.
 * - A failed allocation aborts without a panic: the trap `unreachable` alone.
 * - Every other `RuntimeError` is ours: a stack overflow, an access out of bounds.
 */
export function fromCore(thrown: unknown): CoreFailure {
  if (thrown instanceof AchadoError) return { error: thrown, crashed: false };
  if (isThrownByShell(thrown)) return { error: fromWire(thrown), crashed: thrown.crashed === true };
  const text = messageOf(thrown);
  if (isError(thrown) && thrown.name === "RuntimeError" && /unreachable/.test(text)) {
    const message =
      "WebAssembly could not get the memory that it needs; use a smaller picture or model";
    return { error: new AchadoError("OUT_OF_MEMORY", message), crashed: true };
  }
  const error = new AchadoError(
    "INTERNAL",
    `achado failed inside, please report it: ${text}`,
    {},
    { cause: thrown },
  );
  return { error, crashed: true };
}

function isThrownByShell(thrown: unknown): thrown is WireError & { crashed?: boolean } {
  return typeof thrown === "object" && thrown !== null && "code" in thrown && "detail" in thrown;
}

/** Rejects with the signal's reason as soon as it is aborted; else as the promise does. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) {
      // Nobody waits for it any more.
      promise.catch(() => {});
      return stop();
    }
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
