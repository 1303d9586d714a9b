// Finding, fetching and compiling the core's WebAssembly.
import { AchadoError } from "./errors.js";
import { type Fetch, fetchOk } from "./fetching.js";
import { hasRelaxedSimd, hasSimd } from "./probes.js";
import type { Fallback, Progress, Runtime, WasmSource } from "./types.js";

/** The cores by what they need. Bundlers recognise this form and keep the files by the script. */
const CORES: Record<Runtime["simd"], { single: URL; threaded: URL }> = {
  simd128: {
    single: new URL("./simd128.wasm", import.meta.url),
    threaded: new URL("./simd128-threads.wasm", import.meta.url),
  },
  relaxed: {
    single: new URL("./relaxed.wasm", import.meta.url),
    threaded: new URL("./relaxed-threads.wasm", import.meta.url),
  },
};

/** Modules by address; only those that compiled. */
const compiled = new Map<string, WebAssembly.Module>();

/**
 * The compiled core. A module can be sent to workers, and is compiled once for each address.
 *
 * @param source In place of the package's own; decides about threads by itself.
 * @param fallbacks Gets an entry if the server's MIME type keeps the browser from compiling while
 *   the file is downloaded.
 * @throws {AchadoError} WASM_UNSUPPORTED, WASM_MIME, CSP_BLOCKED, BACKEND_UNAVAILABLE
 */
export async function compileCore(
  source: WasmSource | undefined,
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
  const { single, threaded: shared } = CORES[hasRelaxedSimd() ? "relaxed" : "simd128"];
  const chosen = source ?? (threaded ? shared : single);
  const module = await compileFile(chosen, fetch, signal, fallbacks);
  onProgress({ phase: "wasm", loaded: 1, total: 1 });
  return module;
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
  source: WasmSource,
  fetch: Fetch,
  signal: AbortSignal,
  fallbacks: Fallback[],
): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  if (typeof source !== "string" && !(source instanceof URL)) {
    if (!(source instanceof ArrayBuffer) && !ArrayBuffer.isView(source)) {
      throw new AchadoError(
        "INVALID_OPTION",
        "wasm: needs a URL, an ArrayBuffer, a view of one, or a WebAssembly.Module",
        { option: "wasm" },
      );
    }
    return WebAssembly.compile(source).catch((cause) => {
      throw compileError(cause, "the given bytes");
    });
  }
  const known = compiled.get(String(source));
  if (known) return known;
  const response = await fetchOk(
    fetch,
    source,
    "achado's wasm file",
    "BACKEND_UNAVAILABLE",
    signal,
  );
  const module = await compileResponse(response, source, fallbacks);
  signal.throwIfAborted();
  compiled.set(String(source), module);
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
      `${url} is not WebAssembly: the server sends ${sent}; check that the package's .wasm files are served, as application/wasm`,
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
  const reason = cause instanceof Error ? cause.message : String(cause);
  if (/content security policy|unsafe-eval|\bCSP\b/i.test(reason)) {
    return new AchadoError(
      "CSP_BLOCKED",
      "the page's Content-Security-Policy forbids WebAssembly; add 'wasm-unsafe-eval' to script-src",
      { reason },
      { cause },
    );
  }
  return new AchadoError(
    "BACKEND_UNAVAILABLE",
    `achado's wasm file does not compile (${url}): ${reason}`,
    { url: String(url), reason },
    { cause },
  );
}
