// Bytes of models and label files, from wherever they are.
import { AchadoError } from "./errors.js";
import {
  bytesOf,
  isArrayBuffer,
  isBlob,
  isBytes,
  isError,
  isPlace,
  isResponse,
  isStream,
  kindOf,
  messageOf,
} from "./kind.js";
import type { ModelSource, Progress } from "./types.js";

/** Like the global `fetch`; in Node it also takes paths and `file:` URLs. */
export type Fetch = (url: string | URL, signal: AbortSignal) => Promise<Response>;

type FetchCode = "MODEL_FETCH" | "BACKEND_UNAVAILABLE" | "INVALID_INPUT";

/**
 * Fetches, with what can go wrong said in words.
 *
 * @param what For the message: "the model", "the labels".
 * @param remedy What to do where the file is not there.
 * @throws {AchadoError} `code`, with `url` and `status` or the reason.
 */
export async function fetchOk(
  fetch: Fetch,
  url: string | URL,
  what: string,
  code: FetchCode,
  signal: AbortSignal,
  remedy?: string,
): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, signal);
  } catch (cause) {
    signal.throwIfAborted();
    const reason = messageOf(cause);
    // Browsers say no more than that: a TypeError.
    const hint =
      isError(cause) && cause.name === "TypeError"
        ? "; check the address, the network, and for another origin CORS and the page's Content-Security-Policy"
        : "";
    const advice = remedy && !hint ? `; ${remedy}` : "";
    throw new AchadoError(
      code,
      `${what} cannot be fetched from ${url}: ${reason}${hint}${advice}`,
      { url: String(url), reason },
      { cause },
    );
  }
  checkStatus(response, what, code, url, remedy);
  return response;
}

function checkStatus(
  response: Response,
  what: string,
  code: FetchCode,
  url: string | URL = response.url,
  remedy?: string,
): void {
  if (response.ok) return;
  const status = `${response.status} ${response.statusText}`.trim();
  const advice = remedy ? `; ${remedy}` : "";
  throw new AchadoError(code, `${what} is not at ${url}: the server answers ${status}${advice}`, {
    url: String(url),
    status: response.status,
  });
}

/**
 * The bytes of a model. They are the caller's own where the caller gave bytes: do not transfer them
 * unless `owned`.
 *
 * @throws {AchadoError} MODEL_FETCH, MODEL_INTEGRITY, INVALID_OPTION
 */
export async function readModel(
  source: ModelSource,
  fetch: Fetch,
  integrity: string | Readonly<Record<string, string>> | undefined,
  signal: AbortSignal,
  onProgress: ((progress: Progress) => void) | undefined,
  remedy?: string,
  what = MODEL,
  report?: Report,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; owned: boolean }> {
  const progress = (loaded: number, total?: number) =>
    onProgress?.(
      total === undefined ? { phase: "model", loaded } : { phase: "model", loaded, total },
    );

  const made = await readSource(source, what, fetch, signal, report ?? progress, remedy);
  const hash = typeof integrity === "object" ? integrity.model : integrity;
  if (hash !== undefined) await checkIntegrity(made.bytes, hash, what);
  return made;
}

type Report = (loaded: number, total?: number) => void;

/** What is read: for messages, and the option that it comes from. */
export interface What {
  words: string;
  option: string;
}

const MODEL: What = { words: "the model", option: "model" };

/**
 * The bytes of a source.
 *
 * @throws {AchadoError} MODEL_FETCH, INVALID_OPTION
 */
export async function readSource(
  source: ModelSource,
  what: What,
  fetch: Fetch,
  signal: AbortSignal,
  progress: Report,
  remedy?: string,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; owned: boolean }> {
  if (isPlace(source)) {
    const response = await fetchOk(fetch, source, what.words, "MODEL_FETCH", signal, remedy);
    return {
      bytes: await readResponse(response, source, what, signal, progress, remedy),
      owned: true,
    };
  }
  if (isResponse(source)) {
    checkStatus(source, what.words, "MODEL_FETCH");
    if (source.bodyUsed) throw usedUp("Response", what);
    return { bytes: await readResponse(source, source.url, what, signal, progress), owned: true };
  }
  if (isStream(source)) {
    if (source.locked) throw usedUp("ReadableStream", what);
    return { bytes: await readStream(source, undefined, what, signal, progress), owned: true };
  }
  if (isBlob(source)) {
    // jsdom's have no stream.
    if (typeof source.stream !== "function") return { bytes: await bytesOf(source), owned: true };
    return {
      bytes: await readStream(source.stream(), source.size, what, signal, progress),
      owned: true,
    };
  }
  const bytes = bytesIn(source);
  if (!bytes) {
    throw new AchadoError(
      "INVALID_OPTION",
      `${what.option}: needs a URL, ArrayBuffer, Uint8Array, Blob, Response or ReadableStream, is ${kindOf(source)}`,
      { option: what.option },
    );
  }
  progress(bytes.byteLength, bytes.byteLength);
  // Bytes in shared memory could change while they are read, and cannot be hashed.
  const shared = !isArrayBuffer(bytes.buffer);
  return shared
    ? { bytes: new Uint8Array(bytes), owned: true }
    : { bytes: bytes as Uint8Array<ArrayBuffer>, owned: false };
}

/** What a buffer or any view of one holds. */
function bytesIn(source: unknown): Uint8Array | undefined {
  if (isBytes(source)) return source;
  if (ArrayBuffer.isView(source)) {
    return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  }
  const kind = kindOf(source);
  const isBuffer = kind === "ArrayBuffer" || kind === "SharedArrayBuffer";
  return isBuffer ? new Uint8Array(source as ArrayBuffer) : undefined;
}

function usedUp(kind: string, { option }: What): AchadoError {
  return new AchadoError(
    "INVALID_OPTION",
    `${option}: this ${kind} has been read already; give a fresh one`,
    { option },
  );
}

async function readResponse(
  response: Response,
  url: string | URL,
  what: What,
  signal: AbortSignal,
  progress: Report,
  remedy?: string,
): Promise<Uint8Array<ArrayBuffer>> {
  // The length of compressed bytes says nothing about those that are counted here.
  const encoded = response.headers.has("content-encoding");
  const length = Number(response.headers.get("content-length") ?? Number.NaN);
  const total = !encoded && Number.isSafeInteger(length) && length > 0 ? length : undefined;
  const body = response.body ?? new Blob([]).stream();
  const bytes = await readStream(body, total, what, signal, progress);
  const type = response.headers.get("content-type") ?? "";
  // Servers of single-page applications answer every wrong address with their index.html.
  if (type.startsWith("text/html") && bytes[0] === 0x3c) {
    throw new AchadoError(
      "MODEL_FETCH",
      `${what.words} is not at ${url}: the server sends a web page (${type})${remedy ? `; ${remedy}` : ""}`,
      { url: String(url), status: response.status, type },
    );
  }
  return bytes;
}

/** Of a stream's bytes before any have come: where no size is announced, and at most. */
const [FIRST_BYTES, MOST_BYTES] = [1 << 20, 1 << 26];

/** Of a piece that has no place yet. */
const PIECE_BYTES = 1 << 16;

/** Reads the next piece; streams of bytes put it into the view that they are given. */
interface Reader {
  read(into: Uint8Array<ArrayBuffer>): Promise<ReadableStreamReadResult<Uint8Array>>;
  cancel(reason: unknown): Promise<void>;
}

/** A stream's reader, and whether that is one for bytes, as bodies have in most browsers. */
function readerOf(stream: ReadableStream<Uint8Array>): [Reader, boolean] {
  try {
    return [stream.getReader({ mode: "byob" }), true];
  } catch {
    return [stream.getReader(), false];
  }
}

/**
 * All bytes of a stream, in an array of the announced size, which is only a hint.
 *
 * So 14 MB took Chromium's page 40 ms of processor time, 54 by a reader that makes an array of each
 * piece, and 95 by `arrayBuffer()`.
 */
async function readStream(
  stream: ReadableStream<Uint8Array>,
  total: number | undefined,
  what: What,
  signal: AbortSignal,
  progress: Report,
): Promise<Uint8Array<ArrayBuffer>> {
  const [reader, readsInto] = readerOf(stream);
  const stop = () => void reader.cancel(signal.reason).catch(() => {});
  signal.addEventListener("abort", stop, { once: true });
  let bytes = new Uint8Array(Math.min(total ?? FIRST_BYTES, MOST_BYTES));
  let loaded = 0;
  try {
    progress(0, total);
    for (;;) {
      const inPlace = readsInto && loaded < bytes.byteLength;
      const room = readsInto && !inPlace ? new Uint8Array(PIECE_BYTES) : bytes.subarray(loaded);
      const { done, value } = await reader.read(room);
      signal.throwIfAborted();
      // The buffer was moved there and comes back.
      if (inPlace && value) bytes = new Uint8Array(value.buffer as ArrayBuffer);
      if (done) break;
      const needed = loaded + value.byteLength;
      if (needed > bytes.byteLength) {
        const larger = new Uint8Array(Math.max(needed, 2 * bytes.byteLength));
        larger.set(bytes.subarray(0, loaded));
        bytes = larger;
      }
      if (!inPlace) bytes.set(value, loaded);
      loaded = needed;
      progress(loaded, total === undefined ? undefined : Math.max(total, loaded));
    }
  } catch (cause) {
    signal.throwIfAborted();
    const reason = messageOf(cause);
    throw new AchadoError(
      "MODEL_FETCH",
      `${what.words} broke off after ${loaded} bytes: ${reason}`,
      { loaded, reason },
      { cause },
    );
  } finally {
    signal.removeEventListener("abort", stop);
  }
  return loaded === bytes.byteLength ? bytes : bytes.slice(0, loaded);
}

async function checkIntegrity(
  bytes: Uint8Array<ArrayBuffer>,
  integrity: string,
  { words }: What,
): Promise<void> {
  const wanted = /^sha256-([A-Za-z0-9+/]{43}=)$/.exec(integrity)?.[1];
  if (!wanted) {
    throw new AchadoError(
      "INVALID_OPTION",
      `integrity: needs "sha256-" and 44 characters of base64, is "${integrity}"`,
      { option: "integrity" },
    );
  }
  if (!globalThis.crypto?.subtle) {
    throw new AchadoError(
      "MODEL_INTEGRITY",
      "integrity cannot be checked here: browsers hash only on https and localhost",
    );
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const found = btoa(String.fromCharCode(...digest));
  if (found !== wanted) {
    throw new AchadoError(
      "MODEL_INTEGRITY",
      `${words} is another file than was asked for: needs sha256-${wanted}, has sha256-${found}`,
      { wanted: integrity, found: `sha256-${found}`, bytes: bytes.byteLength },
    );
  }
}

/**
 * Class names: a list, or the bytes of a label file, whose format the core tells by its content.
 *
 * @throws {AchadoError} MODEL_FETCH, INVALID_OPTION
 */
export async function readLabels(
  source: readonly string[] | ModelSource | undefined,
  fetch: Fetch,
  signal: AbortSignal,
): Promise<string[] | Uint8Array<ArrayBuffer> | undefined> {
  if (source === undefined) return undefined;
  if (Array.isArray(source)) return source as string[];
  const what = { words: "the label file", option: "labels" };
  const { bytes } = await readSource(source as ModelSource, what, fetch, signal, () => {});
  return bytes;
}
