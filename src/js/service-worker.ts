// `achado/service-worker`: files that a service worker keeps, so that pages work with the network cut.
// `registerOffline` is for the page, the rest for the worker.

/** The part of a service worker's events that is used; pages know no types of them. */
interface Extendable extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface Fetching extends Extendable {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}
interface Told extends Extendable {
  readonly data: unknown;
  readonly ports: readonly MessagePort[];
}
interface Scope {
  readonly location: Location;
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(type: "install" | "activate", listener: (event: Extendable) => void): void;
  addEventListener(type: "fetch", listener: (event: Fetching) => void): void;
  addEventListener(type: "message", listener: (event: Told) => void): void;
}

/** What both kinds of keeping take. */
export interface OfflineOptions {
  /** The folder whose files are kept. Default: that of the service worker's script. */
  root?: string | URL | undefined;
  /** Of the names of caches. */
  prefix?: string | undefined;
}

/** What {@link offlineFiles} takes. */
export interface OfflineFilesOptions extends OfflineOptions {
  /** The files of this build below the root, with the SHA-256 of each in hexadecimal digits. */
  files: Readonly<Record<string, string>>;
  /** Those that are fetched at once; others are kept when they are used. Default: all. */
  shell?: readonly string[] | undefined;
}

/** What {@link offlineVisited} takes. */
export interface OfflineVisitedOptions extends OfflineOptions {
  /** Another one begins anew. */
  version?: string | undefined;
}

/** A service worker's work; `listen` does all of it, the others are for handlers of one's own. */
export interface Offline {
  /** To wait for in `install`. */
  install(): Promise<void>;
  /** To wait for in `activate`: older caches go, open pages are taken over. */
  activate(): Promise<void>;
  /**
   * Answers a `fetch` event by `respondWith`.
   *
   * @returns Whether it was one of the files; others are the caller's.
   */
  respond(event: Event): boolean;
  /**
   * Keeps further files now.
   *
   * @returns How many of the addresses are files of its own.
   * @throws {Error} for the first that cannot be had
   */
  keep(addresses: readonly string[]): Promise<number>;
  /**
   * Listens to all events, and to messages of pages: `{ keep: addresses }` is answered by `{ kept }` or
   * `{ error }`, `{ activate: true }` lets a newer worker take over.
   */
  listen(): void;
}

/** Stored with each file; what the server sent of lengths and codings is of other bytes. */
const HASH = "x-achado-sha256";

const scope = () => self as unknown as Scope;

async function sha256(bytes: Uint8Array<ArrayBuffer> | ArrayBuffer): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function rootOf({ root }: OfflineOptions): URL {
  return new URL(root ?? "./", scope().location.href);
}

/** A file below a folder, without its query; undefined for others. */
function below(root: URL, url: string): string | undefined {
  const { origin, pathname } = new URL(url);
  if (origin !== root.origin || !pathname.startsWith(root.pathname)) return undefined;
  try {
    const name = decodeURIComponent(pathname.slice(root.pathname.length));
    return name === "" || name.endsWith("/") ? `${name}index.html` : name;
  } catch {
    return undefined;
  }
}

/** A file's bytes under headers that are true of them. */
function stored(bytes: ArrayBuffer, came: Headers, hash: string): Response {
  const headers = new Headers(came);
  for (const wrong of ["content-encoding", "content-length", "vary"]) headers.delete(wrong);
  headers.set(HASH, hash);
  return new Response(bytes, { headers });
}

async function deleteOthers(prefix: string, current: string): Promise<void> {
  const old = (await caches.keys()).filter((key) => key.startsWith(prefix) && key !== current);
  await Promise.all(old.map((key) => caches.delete(key)));
}

function listening(offline: Omit<Offline, "listen">): Offline {
  const listen = () => {
    const worker = scope();
    worker.addEventListener("install", (event) => event.waitUntil(offline.install()));
    worker.addEventListener("activate", (event) => event.waitUntil(offline.activate()));
    worker.addEventListener("fetch", (event) => void offline.respond(event));
    worker.addEventListener("message", (event) => {
      const { keep, activate } = (event.data ?? {}) as { keep?: string[]; activate?: boolean };
      if (activate) event.waitUntil(worker.skipWaiting());
      if (!keep) return;
      const answerTo = event.ports[0];
      event.waitUntil(
        offline.keep(keep).then(
          (kept) => answerTo?.postMessage({ kept }),
          (error: unknown) => answerTo?.postMessage({ error: String(error) }),
        ),
      );
    });
  };
  return { ...offline, listen };
}

/**
 * Keeps the files of a build, each known by its hash. A new build is another set of hashes, kept beside
 * the old one until a page asks for it; files that are the same are not fetched again.
 */
export function offlineFiles(options: OfflineFilesOptions): Offline {
  const { files, shell = Object.keys(options.files), prefix = "achado-files-" } = options;
  const root = rootOf(options);
  let naming: Promise<string> | undefined;
  /** The name of this build's cache: a hash of all hashes. */
  const cacheName = () =>
    (naming ??= sha256(new TextEncoder().encode(JSON.stringify(files))).then(
      (hash) => prefix + hash.slice(0, 16),
    ));
  const nameOf = (url: string): string | undefined => {
    const name = below(root, url);
    return name !== undefined && Object.hasOwn(files, name) ? name : undefined;
  };

  /** A file as this build knows it: from its own cache, or from an earlier build's. */
  async function kept(name: string): Promise<Response | undefined> {
    const current = await cacheName();
    const others = (await caches.keys()).filter((key) => key.startsWith(prefix) && key !== current);
    for (const cacheName of [current, ...others]) {
      const found = await caches.match(new URL(name, root).href, { cacheName });
      if (found?.headers.get(HASH) === files[name]) return found;
    }
    return undefined;
  }

  /** Puts a response into this build's cache if its bytes are those of this build. */
  async function keep(name: string, response: Response): Promise<boolean> {
    if (!response.ok) return false;
    const bytes = await response.arrayBuffer();
    const hash = await sha256(bytes);
    if (hash !== files[name]) return false;
    const cache = await caches.open(await cacheName());
    await cache.put(new URL(name, root).href, stored(bytes, response.headers, hash));
    return true;
  }

  /** Keeps files that are not kept yet; fails with the first that cannot be had. */
  async function keepAll(names: Iterable<string>): Promise<void> {
    const cache = await caches.open(await cacheName());
    await Promise.all(
      [...names].map(async (name) => {
        const url = new URL(name, root).href;
        if (await cache.match(url)) return;
        // `no-cache` asks the server whether the browser's own copy is still right.
        const response = (await kept(name)) ?? (await fetch(url, { cache: "no-cache" }));
        if (!(await keep(name, response))) throw new Error(`${name} is not the file of this build`);
      }),
    );
  }

  /** What an earlier build had kept beyond the shell, as far as this one still has such files. */
  async function keptBefore(): Promise<string[]> {
    const names: string[] = [];
    for (const key of await caches.keys()) {
      if (!key.startsWith(prefix)) continue;
      for (const { url } of await (await caches.open(key)).keys()) {
        const name = nameOf(url);
        if (name !== undefined) names.push(name);
      }
    }
    return names;
  }

  return listening({
    install: async () => keepAll(new Set([...shell, ...(await keptBefore())])),
    async activate() {
      await deleteOthers(prefix, await cacheName());
      await scope().clients.claim();
    },
    respond(event) {
      const { request } = event as Fetching;
      const name = request.method === "GET" ? nameOf(request.url) : undefined;
      if (name === undefined) return false;
      const answering = kept(name)
        .catch(() => undefined)
        .then((found) => found ?? fetch(request));
      const { respondWith, waitUntil } = bound(event as Fetching);
      respondWith(answering.then((response) => response.clone()));
      // Once used, a file is there offline, too.
      waitUntil(
        answering.then(
          async (response) => {
            if (!response.headers.has(HASH)) await keep(name, response);
          },
          () => {},
        ),
      );
      return true;
    },
    async keep(addresses) {
      const names = addresses.map(nameOf).filter((name) => name !== undefined);
      await keepAll(names);
      return names.length;
    },
  });
}

function bound(event: Fetching) {
  return {
    respondWith: (response: Promise<Response>) => event.respondWith(response),
    waitUntil: (work: Promise<unknown>) => event.waitUntil(work),
  };
}

/** Large files of the package, which change with its version alone. */
const LARGE = /^(?:relaxed|simd128|onnx|tract|maker|quantize)(?:-threads)?\.wasm$/;

/**
 * Keeps whatever pages of this origin have used, without a list: the network goes first, and what was
 * kept is the answer where it is cut. WebAssembly files of achado come from the cache once they are
 * there. Nothing is kept of other origins.
 */
export function offlineVisited(options: OfflineVisitedOptions = {}): Offline {
  const { version = "1", prefix = "achado-visited-" } = options;
  const root = rootOf(options);
  const name = prefix + version;
  const isOwn = (url: string) => below(root, url) !== undefined;

  async function put(url: string, response: Response): Promise<void> {
    // 200 alone: parts of a file are no file.
    if (response.status !== 200 || response.redirected) return;
    const bytes = await response.arrayBuffer();
    await (await caches.open(name)).put(url, stored(bytes, response.headers, await sha256(bytes)));
  }

  async function answer(request: Request): Promise<Response> {
    const cache = await caches.open(name);
    const find = (ignoreSearch: boolean) => cache.match(request.url, { ignoreSearch });
    const file = new URL(request.url).pathname.split("/").at(-1) ?? "";
    if (LARGE.test(file)) {
      const found = await find(false);
      if (found) return found;
    }
    try {
      return await fetch(request);
    } catch (error) {
      const isPage = request.mode === "navigate";
      const found = (await find(false)) ?? (isPage ? await find(true) : undefined);
      if (found) return found;
      throw error;
    }
  }

  return listening({
    install: async () => {},
    async activate() {
      await deleteOthers(prefix, name);
      await scope().clients.claim();
    },
    respond(event) {
      const { request } = event as Fetching;
      if (request.method !== "GET" || !isOwn(request.url)) return false;
      const answering = answer(request);
      const { respondWith, waitUntil } = bound(event as Fetching);
      respondWith(answering.then((response) => response.clone()));
      waitUntil(
        answering
          .then(async (response) => {
            if (!response.headers.has(HASH)) await put(request.url, response);
          })
          .catch(() => {}),
      );
      return true;
    },
    async keep(addresses) {
      const own = [...new Set(addresses)].filter(isOwn);
      const cache = await caches.open(name);
      await Promise.all(
        own.map(async (url) => {
          if (await cache.match(url)) return;
          const response = await fetch(url);
          if (response.ok) await put(url, response);
        }),
      );
      return own.length;
    },
  });
}

/**
 * In the page: registers a service worker and gives it what the page has used so far, which came before
 * the worker was there. Call it when the model has opened.
 *
 * @param script `offline.js` of the package, copied to the root of what is to work offline, or one of
 *   one's own that calls `listen`.
 * @returns How many files are kept; 0 where there are no service workers.
 * @throws {Error} where the script cannot be registered or a file cannot be kept
 */
export async function registerOffline(
  script: string | URL = "/offline.js",
  further: readonly (string | URL)[] = [],
): Promise<number> {
  const workers = globalThis.navigator?.serviceWorker as ServiceWorkerContainer | undefined;
  if (!workers || !isSecureContext) return 0;
  await workers.register(script);
  const { active } = await workers.ready;
  if (!active) return 0;
  const used = performance.getEntriesByType("resource").map(({ name }) => name);
  const others = further.map((one) => new URL(one, location.href).href);
  const page = location.href.split("#")[0] as string;
  const { port1, port2 } = new MessageChannel();
  const answered = new Promise<{ kept?: number; error?: string }>((resolve) => {
    port1.onmessage = ({ data }) => resolve(data as { kept?: number; error?: string });
  });
  active.postMessage({ keep: [page, ...used, ...others] }, [port2]);
  const { kept = 0, error } = await answered;
  port1.close();
  if (error !== undefined) throw new Error(error);
  return kept;
}
