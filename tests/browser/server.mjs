// A static file server for tests: loopback only, correct MIME types, and per-path overrides so that
// a test can make one request fail, stall or answer with the wrong type.
import { readFile, stat } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";

const MIME_TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".jpeg": "image/jpeg",
  ".jpg": "image/jpeg",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".map": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".tflite": "application/octet-stream",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
  ".webp": "image/webp",
};

/** Headers that make a page cross-origin isolated (needed for SharedArrayBuffer). */
export const ISOLATED = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/**
 * Serves a folder on 127.0.0.1.
 *
 * @param {object} options
 * @param {string | URL} options.root Folder to serve; `/` answers with its index.html.
 * @param {number} [options.port] 0 (the default) takes any free port.
 * @param {Record<string, string>} [options.headers] Added to every answer, e.g. {@link ISOLATED}.
 * @param {Record<string, Override | ((request, response) => void)>} [options.overrides]
 *   By URL path (no query). `{ status, headers, body, file, delayMs }` replaces what is on disk
 *   (`status` 200, `body` empty by default; `file` is a path to serve instead); a function takes
 *   over the whole answer. The object may be changed while the server runs.
 * @param {Record<string, string | URL>} [options.mounts]
 *   URL prefix to folder, e.g. `{ "/fixtures/": new URL("../fixtures/", import.meta.url) }`.
 * @returns {Promise<{ url: string, port: number, requests: { method: string, path: string,
 *   status: number }[], close(): Promise<void> }>} `url` has no slash at its end.
 */
export async function startServer({ root, port = 0, headers = {}, overrides = {}, mounts = {} }) {
  const rootPath = toPath(root);
  const mounted = Object.entries(mounts).map(([prefix, folder]) => [prefix, toPath(folder)]);
  const requests = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url, "http://localhost");
    const entry = { method: request.method, path: url.pathname, status: 0 };
    requests.push(entry);
    response.on("finish", () => {
      entry.status = response.statusCode;
    });
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    response.setHeader("Cache-Control", "no-store");
    answer(url.pathname, request, response).catch((error) => {
      if (!response.headersSent) response.writeHead(500);
      response.end(String(error));
    });
  });

  async function answer(pathname, request, response) {
    const override = overrides[pathname];
    if (typeof override === "function") return override(request, response);
    if (override) {
      if (override.delayMs) await new Promise((resolve) => setTimeout(resolve, override.delayMs));
      if (override.file) return sendFile(toPath(override.file), override, request, response);
      response.writeHead(override.status ?? 200, override.headers);
      return response.end(override.body ?? "");
    }
    let folder = rootPath;
    let relative = decodeURIComponent(pathname);
    for (const [prefix, target] of mounted) {
      if (relative.startsWith(prefix)) {
        folder = target;
        relative = relative.slice(prefix.length - 1);
        break;
      }
    }
    if (relative.endsWith("/")) relative += "index.html";
    const file = path.join(folder, path.normalize(relative));
    if (!file.startsWith(folder + path.sep)) {
      response.writeHead(403);
      return response.end("outside of the served folder");
    }
    return sendFile(file, {}, request, response);
  }

  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const taken = server.address().port;
  return {
    url: `http://127.0.0.1:${taken}`,
    port: taken,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function sendFile(file, override, request, response) {
  const info = await stat(file).catch(() => undefined);
  if (!info?.isFile()) {
    response.writeHead(404, { "Content-Type": "text/plain" });
    return response.end("not found");
  }
  response.writeHead(override.status ?? 200, {
    "Content-Type": MIME_TYPES[path.extname(file).toLowerCase()] ?? "application/octet-stream",
    "Content-Length": info.size,
    ...override.headers,
  });
  if (request.method === "HEAD") return response.end();
  response.end(await readFile(file));
}

function toPath(location) {
  return path.resolve(location instanceof URL ? fileURLToPath(location) : location);
}
