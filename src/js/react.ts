// `achado/react`: hooks, safe in strict mode and with Suspense.
import { type RefCallback, useCallback, useEffect, useRef, useState } from "react";
import {
  type CameraState,
  OFF,
  showStream,
  watchCamera,
  type WatchOptions,
} from "./adapters/camera.js";
import {
  type ClassifierState,
  classifierKey,
  forgetFailure,
  LOADING,
  opening,
  type SharedOptions,
  watchClassifier,
} from "./adapters/classifier.js";
import { hold, keyOf, peek } from "./shared.js";
import type { ImageClassifier } from "./types.js";

export type { CameraState, ClassifierState, SharedOptions, WatchOptions };

/** What {@link useClassifier} gives. */
export type UsedClassifier = ClassifierState & {
  /** Tries again what has failed. */
  retry: () => void;
};

/**
 * A classifier for as long as the component is there. Components with equal options share one; other
 * options open another.
 */
export function useClassifier(options: SharedOptions = {}): UsedClassifier {
  const key = classifierKey(options);
  const [attempt, setAttempt] = useState(0);
  const [known, setKnown] = useState({ key, attempt, state: LOADING });
  useEffect(
    () => watchClassifier(options, (state) => setKnown({ key, attempt, state })),
    // `key` stands for the options, whose object may be new each time.
    [key, attempt],
  );
  const retry = useCallback(() => {
    forgetFailure(options);
    setAttempt((last) => last + 1);
  }, [key]);
  const isOld = known.key !== key || known.attempt !== attempt;
  return { ...(isOld ? LOADING : known.state), retry };
}

/**
 * The same with Suspense: the component waits until the model is there, and an error goes to the next
 * error boundary, which tries again when it is reset. On a server it throws, so that React leaves the
 * next boundary to the browser.
 */
export function useSuspenseClassifier(options: SharedOptions = {}): ImageClassifier {
  if (typeof window === "undefined") {
    throw new Error("achado: useSuspenseClassifier waits for the browser");
  }
  const key = classifierKey(options);
  const classifier = peek(key, opening(options));
  useEffect(() => {
    const held = hold(key, opening(options));
    held.model.catch(() => {});
    return () => held.release();
  }, [key]);
  return classifier;
}

/** What {@link useCamera} takes. */
export interface UseCameraOptions extends WatchOptions {
  /** Whether the camera runs. Default: true. */
  enabled?: boolean | undefined;
}

/** What {@link useCamera} gives. */
export interface UsedCamera extends CameraState {
  /** For the `<video>` that shows the camera. */
  ref: RefCallback<HTMLVideoElement>;
}

/**
 * The camera's picture and what it shows, from the time that there is a classifier until the component
 * is gone or `enabled` is false.
 */
export function useCamera(
  classifier: ImageClassifier | undefined,
  { enabled = true, ...options }: UseCameraOptions = {},
): UsedCamera {
  const [state, setState] = useState(OFF);
  const video = useRef<HTMLVideoElement | null>(null);
  const stream = useRef<MediaStream | null>(null);
  const key = keyOf(options);
  useEffect(() => {
    if (!classifier || !enabled) return undefined;
    const end = watchCamera(classifier, options, setState, (fresh) => {
      stream.current = fresh;
      showStream(video.current, fresh);
    });
    return () => {
      end();
      setState(OFF);
    };
  }, [classifier, enabled, key]);
  const ref = useCallback((element: HTMLVideoElement | null) => {
    video.current = element;
    showStream(element, stream.current);
  }, []);
  return { ...state, ref };
}
