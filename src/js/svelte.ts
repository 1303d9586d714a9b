// `achado/svelte`: stores, for Svelte 4 and 5; they have the contract of Svelte's own and need none of it.
import {
  type CameraState,
  OFF,
  showStream,
  watchCamera,
  type WatchOptions,
} from "./adapters/camera.js";
import {
  type ClassifierState,
  forgetFailure,
  LOADING,
  type SharedOptions,
  watchClassifier,
} from "./adapters/classifier.js";
import type { ImageClassifier } from "./types.js";

export type { CameraState, ClassifierState, SharedOptions, WatchOptions };

/** A store that can be read: `$store`. */
export interface Readable<T> {
  subscribe(run: (value: T) => void): () => void;
}

/** A store that begins with its first reader and ends with the last. */
function store<T>(initial: T, begin: (set: (value: T) => void) => () => void) {
  const readers = new Set<(value: T) => void>();
  let value = initial;
  let end: (() => void) | undefined;
  const set = (next: T) => {
    value = next;
    for (const reader of [...readers]) reader(next);
  };
  const restart = () => {
    end?.();
    set(initial);
    end = readers.size > 0 ? begin(set) : undefined;
  };
  const subscribe = (run: (value: T) => void) => {
    const reader = (next: T) => run(next);
    readers.add(reader);
    run(value);
    // On a server nothing begins.
    if (readers.size === 1 && typeof window !== "undefined") end = begin(set);
    return () => {
      readers.delete(reader);
      if (readers.size > 0) return;
      end?.();
      end = undefined;
      value = initial;
    };
  };
  return { subscribe, restart };
}

/** A classifier while somebody reads the store. Stores of equal options share one. */
export function useClassifier(
  options: SharedOptions = {},
): Readable<ClassifierState> & { retry(): void } {
  const { subscribe, restart } = store<ClassifierState>(LOADING, (set) =>
    watchClassifier(options, set),
  );
  const retry = () => {
    forgetFailure(options);
    restart();
  };
  return { subscribe, retry };
}

/**
 * The camera's picture and what it shows, from `start()` to `stop()`, while somebody reads the store.
 * `video` is an action for the element that shows it: `<video use:camera.video>`.
 */
export function useCamera(
  classifier: Readable<ClassifierState>,
  options: WatchOptions = {},
): Readable<CameraState> & {
  start(): void;
  stop(): void;
  video(element: HTMLVideoElement): { destroy(): void };
} {
  let wanted = false;
  let shown: HTMLVideoElement | null = null;
  let stream: MediaStream | null = null;
  const { subscribe, restart } = store<CameraState>(OFF, (set) => {
    let model: ImageClassifier | undefined;
    let end = () => {};
    const unsubscribe = classifier.subscribe((state) => {
      if (state.classifier === model) return;
      model = state.classifier;
      end();
      end = () => {};
      set(OFF);
      if (!model || !wanted) return;
      end = watchCamera(model, options, set, (fresh) => {
        stream = fresh;
        showStream(shown, fresh);
      });
    });
    return () => {
      unsubscribe();
      end();
    };
  });
  const turn = (on: boolean) => {
    wanted = on;
    restart();
  };
  return {
    subscribe,
    start: () => turn(true),
    stop: () => turn(false),
    video(element) {
      shown = element;
      showStream(element, stream);
      const destroy = () => {
        if (shown === element) shown = null;
      };
      return { destroy };
    },
  };
}
