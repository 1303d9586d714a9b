// The service worker: keeps the page's files, each known by its hash, so that the page works with
// the network cut. A new build is another set of hashes, kept beside the old one until the page
// asks for it; files that are the same are not fetched again.

/** Each file of the page, relative to this script, with its SHA-256. Filled in by the build. */
declare const FILES: Readonly<Record<string, string>>;
/** Those without which no page opens; others are kept when a page has used them. */
declare const SHELL: readonly string[];

// The page's own types know no service workers.
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
const worker = self as unknown as {
  readonly location: Location;
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(type: "install" | "activate", listener: (event: Extendable) => void): void;
  addEventListener(type: "fetch", listener: (event: Fetching) => void): void;
  addEventListener(type: "message", listener: (event: Told) => void): void;
};

const ROOT = new URL("./", worker.location.href);
const PREFIX = "achado-page-";
/** Stored with each file; what the browser sent of lengths and codings is of other bytes. */
const HASH = "x-achado-sha256";

/** The name of this build's cache: a hash of all hashes. */
let naming: Promise<string> | undefined;
function cacheName(): Promise<string> {
  naming ??= sha256(new TextEncoder().encode(JSON.stringify(FILES))).then(
    (hash) => PREFIX + hash.slice(0, 16),
  );
  return naming;
}

async function sha256(bytes: Uint8Array<ArrayBuffer> | ArrayBuffer): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The name in FILES that a request is for. */
function nameOf(url: string): string | undefined {
  const { origin, pathname } = new URL(url);
  if (origin !== ROOT.origin || !pathname.startsWith(ROOT.pathname)) return undefined;
  const name = decodeURIComponent(pathname.slice(ROOT.pathname.length));
  const file = name === "" || name.endsWith("/") ? `${name}index.html` : name;
  return Object.hasOwn(FILES, file) ? file : undefined;
}

/** A file as this build knows it: from its own cache, or from an earlier build's. */
async function kept(name: string): Promise<Response | undefined> {
  const current = await cacheName();
  const others = (await caches.keys()).filter((key) => key.startsWith(PREFIX) && key !== current);
  for (const cacheName of [current, ...others]) {
    const found = await caches.match(new URL(name, ROOT).href, { cacheName });
    if (found?.headers.get(HASH) === FILES[name]) return found;
  }
  return undefined;
}

/** Puts a response into this build's cache if its bytes are those of this build. */
async function keep(name: string, response: Response): Promise<boolean> {
  if (!response.ok) return false;
  const bytes = await response.arrayBuffer();
  const hash = await sha256(bytes);
  if (hash !== FILES[name]) return false;
  const headers = new Headers(response.headers);
  for (const wrong of ["content-encoding", "content-length", "vary"]) headers.delete(wrong);
  headers.set(HASH, hash);
  const cache = await caches.open(await cacheName());
  await cache.put(new URL(name, ROOT).href, new Response(bytes, { headers }));
  return true;
}

/** Keeps files that are not kept yet; fails with the first that cannot be had. */
async function keepAll(names: Iterable<string>): Promise<void> {
  const cache = await caches.open(await cacheName());
  await Promise.all(
    [...names].map(async (name) => {
      const url = new URL(name, ROOT).href;
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
    if (!key.startsWith(PREFIX)) continue;
    for (const { url } of await (await caches.open(key)).keys()) {
      const name = nameOf(url);
      if (name !== undefined) names.push(name);
    }
  }
  return names;
}

async function answer(request: Request, name: string): Promise<Response> {
  const found = await kept(name).catch(() => undefined);
  if (found) return found;
  return fetch(request);
}

worker.addEventListener("install", (event) => {
  event.waitUntil(keptBefore().then((before) => keepAll(new Set([...SHELL, ...before]))));
});

worker.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      const current = await cacheName();
      const old = (await caches.keys()).filter((key) => key.startsWith(PREFIX) && key !== current);
      await Promise.all(old.map((key) => caches.delete(key)));
      await worker.clients.claim();
    })(),
  );
});

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  const name = request.method === "GET" ? nameOf(request.url) : undefined;
  if (name === undefined) return;
  const answering = answer(request, name);
  event.respondWith(answering.then((response) => response.clone()));
  // Once used, a file is there offline, too.
  event.waitUntil(
    answering.then(
      async (response) => {
        if (!response.headers.has(HASH)) await keep(name, response);
      },
      () => {},
    ),
  );
});

/** `{ keep: addresses }` keeps these files, too, and answers; `{ activate: true }` takes over. */
worker.addEventListener("message", (event) => {
  const { keep: addresses, activate } = event.data as { keep?: string[]; activate?: boolean };
  if (activate) event.waitUntil(worker.skipWaiting());
  if (!addresses) return;
  const names = addresses.map(nameOf).filter((name) => name !== undefined);
  const answerTo = event.ports[0];
  event.waitUntil(
    keepAll(names).then(
      () => answerTo?.postMessage({ kept: names.length }),
      (error: unknown) => answerTo?.postMessage({ error: String(error) }),
    ),
  );
});
