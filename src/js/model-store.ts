// Models that are kept in Cache Storage, by address and hash. Loaded with the first `cache` option.
//
// It shares nothing with the modules that the page begins with: what it needs of them is given.
import type { Fail } from "./bundle.js";
import type { CacheOptions, Fallback } from "./types.js";

/** Files as they came from their addresses. */
export const MODELS = "achado-models-1";
/** What ONNX files were converted to, as `onnx.ts` keeps it. */
export const CONVERTED = /^achado-onnx-/;

/** Headers of a kept file: the SHA-256 as `integrity` has it, when it came, and how long it is. */
export const [HASH, STORED, BYTES] = ["x-achado-sha256", "x-achado-stored", "x-achado-bytes"];
/** What a server says of a file's version. */
const VALIDATORS = ["etag", "last-modified", "content-length"];
/** When each file was used last: an entry of its own, or each use would write a file anew. */
const USED = "https://achado.invalid/used";

/** Of all models together, unless the caller says otherwise. */
const QUOTA_BYTES = 512 << 20;

type Fetch = (url: string | URL, signal: AbortSignal) => Promise<Response>;

/** The kept files; undefined where there is no Cache Storage, and no file where none is to be made. */
export async function openStore(make: "make" | "look" = "make"): Promise<Cache | undefined> {
  try {
    if (!globalThis.caches || !globalThis.crypto?.subtle) return undefined;
    if (make === "look" && !(await caches.has(MODELS))) return undefined;
    return await caches.open(MODELS);
  } catch {
    // Refused in sandboxed frames and some private windows.
    return undefined;
  }
}

/** The SHA-256 of bytes, as `integrity` has it. */
export async function hashOf(bytes: BufferSource): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return `sha256-${btoa(String.fromCharCode(...digest))}`;
}

/** When files were used, by address. */
export async function usedTimes(store: Cache): Promise<Record<string, number>> {
  const found = await store.match(USED).catch(() => undefined);
  return found ? ((await found.json().catch(() => ({}))) as Record<string, number>) : {};
}

async function noteUse(store: Cache, url: string): Promise<void> {
  const times = { ...(await usedTimes(store)), [url]: Date.now() };
  await store.put(USED, new Response(JSON.stringify(times))).catch(() => {});
}

/** The kept files' addresses, without what is ours. */
export async function addresses(store: Cache): Promise<string[]> {
  return (await store.keys()).map(({ url }) => url).filter((url) => url !== USED);
}

/**
 * Removes the files that were used longest ago until there is room for `needed` bytes at an address.
 *
 * @returns Whether they have.
 */
async function makeRoom(
  store: Cache,
  own: string,
  needed: number,
  quota: number,
): Promise<boolean> {
  if (needed > quota) return false;
  const times = await usedTimes(store);
  const kept = await Promise.all(
    (await addresses(store))
      .filter((url) => url !== own)
      .map(async (url) => {
        const bytes = Number((await store.match(url))?.headers.get(BYTES) ?? 0);
        return { url, bytes, used: times[url] ?? 0 };
      }),
  );
  kept.sort((a, b) => b.used - a.used);
  let sum = kept.reduce((total, { bytes }) => total + bytes, needed);
  for (let oldest = kept.pop(); sum > quota && oldest; oldest = kept.pop()) {
    await store.delete(oldest.url);
    sum -= oldest.bytes;
  }
  return true;
}

/** Keeps a file as it came; does nothing where there is no room. */
export async function keep(
  store: Cache,
  url: string,
  { headers: came }: Response,
  bytes: ArrayBuffer,
  quota: number,
): Promise<string> {
  const hash = await hashOf(bytes);
  const headers = new Headers({ [HASH]: hash, [STORED]: String(Date.now()) });
  headers.set(BYTES, String(bytes.byteLength));
  for (const name of ["content-type", "etag", "last-modified"]) {
    const value = came.get(name);
    if (value !== null) headers.set(name, value);
  }
  const length = came.has("content-encoding") ? null : came.get("content-length");
  headers.set("content-length", length ?? String(bytes.byteLength));
  try {
    if (!(await makeRoom(store, url, bytes.byteLength, quota))) {
      // The old one is out of date.
      await store.delete(url);
      return hash;
    }
    await store.put(url, new Response(bytes, { headers }));
    await noteUse(store, url);
  } catch {
    // No room in the browser: it is fetched again next time.
  }
  return hash;
}

/** Whether the server has another file by now; undefined where it does not say, or is not there. */
async function isChanged(url: string, kept: Response, signal: AbortSignal) {
  try {
    const now = await fetch(url, { method: "HEAD", cache: "no-cache", signal });
    if (!now.ok) return undefined;
    const said = VALIDATORS.filter((name) => {
      const isLength = name === "content-length";
      return now.headers.has(name) && kept.headers.has(name) && !(isLength && isEncoded(now));
    });
    if (said.length === 0) return undefined;
    return said.some((name) => now.headers.get(name) !== kept.headers.get(name));
  } catch {
    return undefined;
  }
}

const isEncoded = ({ headers }: Response) => headers.has("content-encoding");

interface Settings {
  readonly update: "before" | "after" | "never";
  readonly quotaBytes: number;
  readonly onUpdate: ((update: { url: string; hash: string }) => void) | undefined;
}

/** @throws {AchadoError} INVALID_OPTION */
function settingsOf(options: unknown, fail: Fail): Settings {
  const refuse = (name: string, needs: string, value: unknown) =>
    fail("INVALID_OPTION", `${name}: must be ${needs}, is ${String(value)}`, { option: name });
  if (options !== true && (typeof options !== "object" || options === null)) {
    throw refuse("cache", "true, false or an object", options);
  }
  const given = (options === true ? {} : options) as Record<string, unknown>;
  const { update = "before", quotaBytes = QUOTA_BYTES, onUpdate } = given;
  if (update !== "before" && update !== "after" && update !== "never") {
    throw refuse("cache.update", '"before", "after" or "never"', update);
  }
  if (typeof quotaBytes !== "number" || !(quotaBytes >= 0)) {
    throw refuse("cache.quotaBytes", "a number of bytes", quotaBytes);
  }
  if (onUpdate !== undefined && typeof onUpdate !== "function") {
    throw refuse("cache.onUpdate", "a function", onUpdate);
  }
  return { update, quotaBytes, onUpdate: onUpdate as Settings["onUpdate"] };
}

/**
 * A `fetch` that looks among the kept files first, and keeps what it fetches.
 *
 * @param fallbacks Is told where nothing can be kept.
 * @throws {AchadoError} INVALID_OPTION
 */
export async function cachingFetch(
  options: boolean | CacheOptions,
  network: Fetch,
  fail: Fail,
  fallbacks: Fallback[],
): Promise<Fetch> {
  const settings = settingsOf(options, fail);
  const store = await openStore();
  if (!store) {
    const reason = "there is no Cache Storage here: browsers have it on https and localhost";
    fallbacks.push({ from: "cache", to: "network", reason });
    return network;
  }
  return async (place, signal) => {
    const url = new URL(place, globalThis.document?.baseURI ?? globalThis.location?.href);
    url.hash = "";
    if (!/^https?:$/.test(url.protocol)) return network(place, signal);
    const kept = await store.match(url.href).catch(() => undefined);
    if (kept) {
      const use = () => {
        void noteUse(store, url.href);
        return kept;
      };
      if (settings.update === "never") return use();
      if (settings.update === "after") {
        void renew(store, url.href, kept, settings);
        return use();
      }
      const changed = await isChanged(url.href, kept, signal);
      if (changed === false) return use();
      if (changed === undefined) {
        // The network is cut, or the server says nothing of versions: it sends the file again.
        const fresh = await network(place, signal).catch(() => undefined);
        signal.throwIfAborted();
        if (!fresh?.ok) return use();
        return keeping(store, url.href, fresh, settings, kept.headers.get(HASH));
      }
    }
    const fresh = await network(place, signal);
    return keeping(store, url.href, fresh, settings, kept?.headers.get(HASH));
  };
}

/** Gives a response on, and keeps its bytes when they are there. */
function keeping(
  store: Cache,
  url: string,
  response: Response,
  { quotaBytes, onUpdate }: Settings,
  before?: string | null,
): Response {
  const isPage = response.headers.get("content-type")?.startsWith("text/html");
  if (!response.ok || isPage || response.type === "opaque") return response;
  const copy = response.clone();
  copy.arrayBuffer().then(
    async (bytes) => {
      const hash = await keep(store, url, copy, bytes, quotaBytes);
      if (before && hash !== before) onUpdate?.({ url, hash });
    },
    // It broke off; who reads it says so.
    () => {},
  );
  return response;
}

/** Takes a newer file for the next time. */
async function renew(store: Cache, url: string, kept: Response, settings: Settings): Promise<void> {
  const { signal } = new AbortController();
  if ((await isChanged(url, kept, signal)) === false) return;
  const fresh = await fetch(url, { cache: "no-cache" }).catch(() => undefined);
  if (!fresh?.ok || fresh.headers.get("content-type")?.startsWith("text/html")) return;
  const bytes = await fresh.arrayBuffer().catch(() => undefined);
  if (!bytes) return;
  const before = kept.headers.get(HASH);
  if ((await hashOf(bytes)) === before) return;
  const hash = await keep(store, url, fresh, bytes, settings.quotaBytes);
  settings.onUpdate?.({ url, hash });
}
