// Models that several users of a page hold at once: opened once, closed after the last has let go.
import type { ImageClassifier, Progress } from "./types.js";

/**
 * How long a model without users is kept, and an error told again: components are taken away and put
 * back at once, by React's strict mode and by moving an element.
 */
const IDLE_MS = 1000;

/** The same for one that somebody waits for who cannot say so: React's suspended components. */
const WAITING_MS = 30_000;

/** Opens a model, and tells how far it is. */
export type Open = (onProgress: (progress: Progress) => void) => Promise<ImageClassifier>;

interface Entry {
  readonly model: Promise<ImageClassifier>;
  /** What became of it. */
  settled: { model: ImageClassifier } | { error: unknown } | undefined;
  progress: Progress | undefined;
  readonly listeners: Set<(progress: Progress) => void>;
  users: number;
  timer?: ReturnType<typeof setTimeout>;
}

const entries = new Map<string, Entry>();

/** A hold on a shared model. */
export interface Hold {
  readonly model: Promise<ImageClassifier>;
  /** Lets go, after a while or at once; a second time does nothing. */
  release(when?: "now"): void;
}

function entryOf(key: string, open: Open): Entry {
  const known = entries.get(key);
  if (known) return known;
  const listeners: Entry["listeners"] = new Set();
  const tell = (progress: Progress) => {
    entry.progress = progress;
    for (const listener of listeners) listener(progress);
  };
  // Later than the entry, of which it tells at once.
  const model = Promise.resolve().then(() => open(tell));
  const entry: Entry = { model, settled: undefined, progress: undefined, listeners, users: 0 };
  entries.set(key, entry);
  model.then(
    (model) => {
      entry.settled = { model };
      if (entry.users === 0) entry.timer ??= later(() => close(key, entry), WAITING_MS);
    },
    (error: unknown) => {
      entry.settled = { error };
      later(() => forget(key, entry), IDLE_MS);
    },
  );
  return entry;
}

/** In Node the process may end meanwhile. */
function later(work: () => void, ms: number): ReturnType<typeof setTimeout> {
  const timer = setTimeout(work, ms);
  (timer as { unref?: () => void }).unref?.();
  return timer;
}

function forget(key: string, entry: Entry | undefined = entries.get(key)): void {
  if (entries.get(key) === entry) entries.delete(key);
}

function close(key: string, entry: Entry): void {
  forget(key, entry);
  entry.model.then((model) => model.close()).catch(() => {});
}

/**
 * A model by a key that stands for all of its options; one that could not be opened is tried again
 * by those who ask later.
 */
export function hold(
  key: string,
  open: Open,
  onProgress: (progress: Progress) => void = () => {},
): Hold {
  const entry = entryOf(key, open);
  clearTimeout(entry.timer);
  entry.users += 1;
  entry.listeners.add(onProgress);
  if (entry.progress) onProgress(entry.progress);
  let released = false;
  const release = (when?: "now") => {
    if (released) return;
    released = true;
    entry.listeners.delete(onProgress);
    entry.users -= 1;
    if (entry.users > 0) return;
    if (when === "now") close(key, entry);
    else entry.timer = later(() => close(key, entry), IDLE_MS);
  };
  return { model: entry.model, release };
}

/** Makes the next who asks open it anew. */
export function retry(key: string): void {
  const entry = entries.get(key);
  if (entry?.settled && "error" in entry.settled) forget(key, entry);
}

/**
 * The model if it is there, for who cannot wait.
 *
 * @throws the promise of it until it is there, as React's Suspense takes it; then its error
 */
export function peek(key: string, open: Open): ImageClassifier {
  const entry = entryOf(key, open);
  if (!entry.settled) throw entry.model;
  if (entry.users === 0) {
    clearTimeout(entry.timer);
    entry.timer = later(() => close(key, entry), WAITING_MS);
  }
  if ("error" in entry.settled) throw entry.settled.error;
  return entry.settled.model;
}

/**
 * A text that stands for options: equal where these are; addresses count as texts. Objects that have no text, such as bytes and
 * functions, count by identity.
 */
export function keyOf(options: object): string {
  return JSON.stringify(options, (_, value: unknown) => {
    const isPlain =
      typeof value !== "function" &&
      (typeof value !== "object" ||
        value === null ||
        Array.isArray(value) ||
        Object.getPrototypeOf(value) === Object.prototype);
    return isPlain ? value : `#${identity(value as object)}`;
  });
}

const identities = new WeakMap<object, number>();
let lastIdentity = 0;

function identity(value: object): number {
  const known = identities.get(value) ?? (lastIdentity += 1);
  identities.set(value, known);
  return known;
}
