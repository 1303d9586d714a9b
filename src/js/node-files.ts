// Files by path, as what is fetched.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { transferableAbortController } from "node:util";

/** `fetch` for paths and `file:` URLs, too. */
export async function fetchAnything(url: string | URL, signal: AbortSignal): Promise<Response> {
  const text = String(url);
  // One letter and a colon is a drive of Windows.
  if (/^[a-z][a-z0-9+.-]+:/i.test(text) && !text.startsWith("file:")) {
    // Test runners replace the global class by one that Node's fetch refuses.
    const own = transferableAbortController();
    signal.addEventListener("abort", () => own.abort(signal.reason), { once: true });
    return fetch(text, { signal: own.signal });
  }
  const file = text.startsWith("file:") ? fileURLToPath(text) : text;
  const bytes = await readFile(file, { signal }).catch((error: NodeJS.ErrnoException) => {
    throw error.code === "ENOENT" ? new Error("there is no such file") : error;
  });
  const headers = {
    "content-length": String(bytes.byteLength),
    ...(file.endsWith(".wasm") && { "content-type": "application/wasm" }),
  };
  return new Response(bytes, { headers });
}
