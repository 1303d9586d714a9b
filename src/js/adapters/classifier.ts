// A classifier as frameworks have it: a state that changes, and an end.
import { createClassifier } from "../index.js";
import { hold, keyOf, type Open, retry } from "../shared.js";
import type { ClassifierOptions, ImageClassifier, Progress } from "../types.js";

/** Options of `createClassifier`; what the component itself says is not among them. */
export type SharedOptions = Omit<ClassifierOptions, "signal" | "onProgress">;

/** A classifier on its way. */
export type ClassifierState =
  | { status: "loading"; classifier: undefined; error: undefined; progress: Progress | undefined }
  | { status: "ready"; classifier: ImageClassifier; error: undefined; progress: undefined }
  | { status: "error"; classifier: undefined; error: Error; progress: undefined };

/** Before anything is known. */
export const LOADING: ClassifierState = {
  status: "loading",
  classifier: undefined,
  error: undefined,
  progress: undefined,
};

/** Equal options share a model. */
export const classifierKey = (options: SharedOptions) => `classifier ${keyOf(options)}`;

export function opening(options: SharedOptions): Open {
  return (onProgress) => createClassifier({ ...options, onProgress });
}

/**
 * Opens a classifier, or shares the one that others have opened with equal options.
 *
 * @returns What ends it.
 */
export function watchClassifier(
  options: SharedOptions,
  onState: (state: ClassifierState) => void,
): () => void {
  let ended = false;
  const tell = (state: ClassifierState) => {
    if (!ended) onState(state);
  };
  const held = hold(classifierKey(options), opening(options), (progress) =>
    tell({ ...LOADING, status: "loading", progress } as ClassifierState),
  );
  const none = { error: undefined, progress: undefined };
  held.model.then(
    (classifier) => tell({ status: "ready", classifier, ...none }),
    (error: Error) => tell({ ...none, status: "error", classifier: undefined, error }),
  );
  return () => {
    ended = true;
    held.release();
  };
}

/** Makes the next {@link watchClassifier} try again what has failed. */
export function forgetFailure(options: SharedOptions): void {
  retry(classifierKey(options));
}
