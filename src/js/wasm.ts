// Finding, fetching and compiling the core's WebAssembly.
import { AchadoError } from "./errors.js";
import { remedy, type Files } from "./assets.js";
import { type Fetch, fetchOk } from "./fetching.js";
import { bytesOf, isArrayBuffer, isBlob, isModule, isPlace, messageOf } from "./kind.js";
import { hasRelaxedSimd, hasSimd } from "./probes.js";
import type { Asset, AssetName, Fallback, Progress, WasmSource } from "./types.js";

/** Modules by address; only those that compiled. */
const compiled = new Map<string, WebAssembly.Module>();

/** The same of bytes that were given, for as long as somebody has those. */
const compiledBytes = new WeakMap<object, Promise<WebAssembly.Module>>();

/**
 * The compiled core. A module can be sent to workers, and is compiled once for each address.
 *
 * @param source In place of the one among `files`; decides about threads by itself.
 * @param fallbacks Gets an entry if the server's MIME type keeps the browser from compiling while
 *   the file is downloaded.
 * @throws {AchadoError} WASM_UNSUPPORTED, WASM_MIME, CSP_BLOCKED, BACKEND_UNAVAILABLE
 */
export async function compileCore(
  source: WasmSource | undefined,
  files: Files,
  threaded: boolean,
  fetch: Fetch,
  signal: AbortSignal,
  onProgress: (progress: Progress) => void,
  fallbacks: Fallback[],
): Promise<WebAssembly.Module> {
  if (!hasSimd()) {
    throw new AchadoError(
      "WASM_UNSUPPORTED",
      "this browser has no WebAssembly SIMD; achado needs Chrome or Edge 94, Firefox 114, Safari 16.4, Node 20 or later",
    );
  }
  onProgress({ phase: "wasm", loaded: 0 });
  // Only the chosen one is downloaded.
  const chosen = source ?? files.find(coreFor(files, threaded));
  const module = await compileFile(chosen, fetch, signal, fallbacks);
  onProgress({ phase: "wasm", loaded: 1, total: 1 });
  return module;
}

/** The fastest core that runs here; of those that the caller named, if any. */
function coreFor(files: Files, threaded: boolean): AssetName {
  const simd128 = threaded ? "simd128-threads.wasm" : "simd128.wasm";
  if (!hasRelaxedSimd()) return simd128;
  const relaxed = threaded ? "relaxed-threads.wasm" : "relaxed.wasm";
  return files.named([relaxed, simd128]) ?? relaxed;
}

/** Whether a core is one with threads: they import their memory, the others bring it. */
export function isThreaded(module: WebAssembly.Module): boolean {
  return WebAssembly.Module.imports(module).some(({ kind }) => kind === "memory");
}

/**
 * The module of a wasm file; compiled once for each address.
 *
 * @throws {AchadoError} WASM_MIME, CSP_BLOCKED, BACKEND_UNAVAILABLE, INVALID_OPTION
 */
export async function compileFile(
  source: Asset,
  fetch: Fetch,
  signal: AbortSignal,
  fallbacks: Fallback[],
): Promise<WebAssembly.Module> {
  if (isModule(source)) return source;
  if (!isPlace(source)) return compileBytes(source);
  const known = compiled.get(String(source));
  if (known) return known;
  const response = await fetchOk(
    fetch,
    source,
    "achado's wasm file",
    "BACKEND_UNAVAILABLE",
    signal,
    remedy(source),
  );
  const module = await compileResponse(response, source, fallbacks);
  signal.throwIfAborted();
  compiled.set(String(source), module);
  return module;
}

function compileBytes(source: BufferSource | Blob): Promise<WebAssembly.Module> {
  if (!isBlob(source) && !isArrayBuffer(source) && !ArrayBuffer.isView(source)) {
    throw new AchadoError(
      "INVALID_OPTION",
      "wasm: needs a URL, an ArrayBuffer, a view of one, or a WebAssembly.Module",
      { option: "wasm" },
    );
  }
  let module = compiledBytes.get(source);
  if (!module) {
    const compile = async () => {
      const bytes = isBlob(source) ? await bytesOf(source) : source;
      return WebAssembly.compile(bytes).catch((cause) => {
        throw compileError(cause, "the given bytes");
      });
    };
    module = compile();
    compiledBytes.set(source, module);
    module.catch(() => compiledBytes.delete(source));
  }
  return module;
}

async function compileResponse(
  response: Response,
  url: string | URL,
  fallbacks: Fallback[],
): Promise<WebAssembly.Module> {
  const type = (response.headers.get("content-type") ?? "").split(";")[0]?.trim() ?? "";
  if (type.toLowerCase() === "application/wasm") {
    try {
      // The response as it came: browsers keep the machine code with it in their cache, so its
      // bytes are not counted on the way.
      return await WebAssembly.compileStreaming(response);
    } catch (cause) {
      throw compileError(cause, url);
    }
  }
  const bytes = new Uint8Array(await response.arrayBuffer());
  const sent = type === "" ? "no MIME type" : `the MIME type ${type}`;
  if (!(bytes[0] === 0 && bytes[1] === 0x61 && bytes[2] === 0x73 && bytes[3] === 0x6d)) {
    throw new AchadoError(
      "WASM_MIME",
      `${url} is not WebAssembly: the server sends ${sent}; check that the package's .wasm files are served, as application/wasm; ${remedy(url)}`,
      { url: String(url), type },
    );
  }
  const module = await WebAssembly.compile(bytes).catch((cause) => {
    throw compileError(cause, url);
  });
  fallbacks.push({
    from: "streaming compilation",
    to: "compilation after the download",
    reason: `WASM_MIME: the server sends ${sent} for ${url}; application/wasm starts faster`,
  });
  return module;
}

function compileError(cause: unknown, url: string | URL): AchadoError {
  const reason = messageOf(cause);
  if (/content security policy|unsafe-eval|\bCSP\b/i.test(reason)) {
    return new AchadoError(
      "CSP_BLOCKED",
      "the page's Content-Security-Policy forbids WebAssembly; add 'wasm-unsafe-eval' to script-src",
      { reason },
      { cause },
    );
  }
  // Cloudflare's workers compile nothing while they run.
  const hint = /disallowed by embedder/.test(reason)
    ? "; import the .wasm file as a module, and give that as `wasm`"
    : "";
  return new AchadoError(
    "BACKEND_UNAVAILABLE",
    `achado's wasm file does not compile (${url}): ${reason}${hint}`,
    { url: String(url), reason },
    { cause },
  );
}
