// `achado/model-cache`: the models that browsers keep, by the option `cache` and converted from ONNX.
import { AchadoError } from "./errors.js";
import {
  addresses,
  BYTES,
  CONVERTED,
  HASH,
  hashOf,
  keep,
  MODELS,
  openStore,
  STORED,
  usedTimes,
} from "./model-store.js";

/** A kept file. */
export interface CachedModel {
  /** Where it came from; of a converted model a text that stands for it. */
  url: string;
  /** `sha256-...`, as `integrity` has it; of a converted model that of the ONNX file. */
  hash: string;
  bytes: number;
  /** As it came (a model, its labels, ...), or what an ONNX file was converted to. */
  kind: "file" | "converted";
  /** When it came; undefined for converted models. */
  stored: Date | undefined;
  /** When it was used last, as far as that is known. */
  used: Date | undefined;
}

/** What {@link modelCache.estimate} gives. */
export interface CacheEstimate {
  /** How many files are kept, and their bytes. */
  files: number;
  bytes: number;
  /** Of all that the page's origin stores, as the browser says. */
  usage: number | undefined;
  quota: number | undefined;
  /** Whether the browser has promised not to remove it when space gets scarce. */
  persisted: boolean;
}

const date = (ms: number) => (Number.isFinite(ms) && ms > 0 ? new Date(ms) : undefined);

async function files(): Promise<CachedModel[]> {
  const store = await openStore("look");
  if (!store) return [];
  const times = await usedTimes(store);
  const found = await Promise.all(
    (await addresses(store)).map(async (url): Promise<CachedModel | undefined> => {
      const response = await store.match(url);
      if (!response) return undefined;
      const { headers } = response;
      return {
        url,
        hash: headers.get(HASH) ?? "",
        bytes: Number(headers.get(BYTES)),
        kind: "file",
        stored: date(Number(headers.get(STORED))),
        used: date(times[url] ?? 0),
      };
    }),
  );
  return found.filter((one) => one !== undefined);
}

async function convertedCaches(): Promise<Cache[]> {
  // Refused in sandboxed frames and some private windows.
  const all: string[] = (await globalThis.caches?.keys().catch(() => [])) ?? [];
  const names = all.filter((name) => CONVERTED.test(name));
  return Promise.all(names.map((name) => caches.open(name)));
}

async function converted(): Promise<CachedModel[]> {
  const found: CachedModel[] = [];
  for (const cache of await convertedCaches()) {
    for (const { url } of await cache.keys()) {
      const response = await cache.match(url);
      if (!response) continue;
      const { size: bytes } = await response.blob();
      const [, hex = ""] = /\/([0-9a-f]{64})\//.exec(url) ?? [];
      const digest = (hex.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16));
      const hash = `sha256-${btoa(String.fromCharCode(...digest))}`;
      found.push({ url, hash, bytes, kind: "converted", stored: undefined, used: undefined });
    }
  }
  return found;
}

/** The models that this browser keeps for this origin. Where there is no Cache Storage it is empty. */
export const modelCache = {
  /** All kept files, those that were used last first. */
  async list(): Promise<CachedModel[]> {
    const all = [...(await files()), ...(await converted())];
    return all.sort((a, b) => Number(b.used ?? 0) - Number(a.used ?? 0));
  },

  /**
   * Fetches a file and keeps it, for a time without a network.
   *
   * @throws {AchadoError} MODEL_FETCH; BACKEND_UNAVAILABLE where nothing can be kept
   */
  async add(
    address: string | URL,
    options: { signal?: AbortSignal | undefined; quotaBytes?: number | undefined } = {},
  ): Promise<void> {
    const store = await openStore();
    if (!store) {
      const message = "there is no Cache Storage here: browsers have it on https and localhost";
      throw new AchadoError("BACKEND_UNAVAILABLE", message, { reason: "no Cache Storage" });
    }
    const url = new URL(address, globalThis.document?.baseURI ?? globalThis.location?.href);
    const { signal = null, quotaBytes = Number.POSITIVE_INFINITY } = options;
    const fail = (message: string, detail: object, cause?: unknown) =>
      new AchadoError("MODEL_FETCH", message, { url: url.href, ...detail }, { cause });
    const response = await fetch(url, { signal }).catch((cause: unknown) => {
      signal?.throwIfAborted();
      throw fail(`the file cannot be fetched from ${url}: ${String(cause)}`, {}, cause);
    });
    if (!response.ok) {
      const { status } = response;
      throw fail(`the file is not at ${url}: the server answers ${status}`, { status });
    }
    const bytes = await response.arrayBuffer();
    await keep(store, url.href, response, bytes, quotaBytes);
    if (!(await store.match(url.href))) {
      throw fail(`there is no room for the ${bytes.byteLength} bytes of ${url}`, {});
    }
  },

  /**
   * Deletes files by their address or their hash.
   *
   * @returns Whether there was one.
   */
  async delete(addressOrHash: string | URL): Promise<boolean> {
    const text = String(addressOrHash);
    const base = globalThis.document?.baseURI ?? globalThis.location?.href;
    const wanted = (await modelCache.list()).filter(
      ({ url, hash }) => hash === text || url === text || url === String(parsed(text, base)),
    );
    const stores = [await openStore("look"), ...(await convertedCaches())];
    for (const { url } of wanted) for (const store of stores) await store?.delete(url);
    return wanted.length > 0;
  },

  /** Deletes all of them. */
  async clear(): Promise<void> {
    const all: string[] = (await globalThis.caches?.keys().catch(() => [])) ?? [];
    for (const name of all) {
      if (name === MODELS || CONVERTED.test(name)) await caches.delete(name);
    }
  },

  /** How much they take, and how much there is. */
  async estimate(): Promise<CacheEstimate> {
    const all = await modelCache.list();
    const storage = globalThis.navigator?.storage as StorageManager | undefined;
    const { usage, quota } = (await storage?.estimate?.().catch(() => undefined)) ?? {};
    return {
      files: all.length,
      bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
      usage,
      quota,
      persisted: (await storage?.persisted?.().catch(() => false)) ?? false,
    };
  },
};

/** The hash of a file's bytes, as {@link CachedModel.hash} has it. */
export const modelHash: (bytes: BufferSource) => Promise<string> = hashOf;

function parsed(text: string, base: string | undefined): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
}
