// `achado/vue`: composables.
import {
  type MaybeRefOrGetter,
  onScopeDispose,
  type Ref,
  type ShallowRef,
  shallowRef,
  toValue,
  watch,
} from "vue";
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
  type SharedOptions,
  watchClassifier,
} from "./adapters/classifier.js";
import { keyOf } from "./shared.js";
import type { ImageClassifier } from "./types.js";

export type { CameraState, ClassifierState, SharedOptions, WatchOptions };

/** A classifier for as long as the component is there. Components with equal options share one. */
export function useClassifier(options: MaybeRefOrGetter<SharedOptions> = {}): {
  state: Readonly<ShallowRef<ClassifierState>>;
  /** Tries again what has failed. */
  retry: () => void;
} {
  const state = shallowRef<ClassifierState>(LOADING);
  const attempt = shallowRef(0);
  let end = () => {};
  const begin = () => {
    end();
    state.value = LOADING;
    // On a server nothing is opened.
    if (typeof window === "undefined") return;
    end = watchClassifier(toValue(options), (next) => {
      state.value = next;
    });
  };
  watch([() => classifierKey(toValue(options)), attempt], begin, { immediate: true });
  onScopeDispose(() => end());
  const retry = () => {
    forgetFailure(toValue(options));
    attempt.value += 1;
  };
  return { state, retry };
}

/** What {@link useCamera} takes. */
export interface UseCameraOptions extends WatchOptions {
  /** Whether the camera runs. Default: true. */
  enabled?: boolean | undefined;
}

/**
 * The camera's picture and what it shows, while there is a classifier and the component.
 *
 * @returns Its state, and a ref for the `<video>` that shows it.
 */
export function useCamera(
  classifier: MaybeRefOrGetter<ImageClassifier | undefined>,
  options: MaybeRefOrGetter<UseCameraOptions> = {},
): { state: Readonly<ShallowRef<CameraState>>; video: Ref<HTMLVideoElement | null> } {
  const state = shallowRef<CameraState>(OFF);
  const video = shallowRef<HTMLVideoElement | null>(null);
  let stream: MediaStream | null = null;
  let end = () => {};
  const begin = () => {
    end();
    end = () => {};
    state.value = OFF;
    const model = toValue(classifier);
    const { enabled = true, ...rest } = toValue(options);
    if (!model || !enabled) return;
    end = watchCamera(
      model,
      rest,
      (next) => {
        state.value = next;
      },
      (fresh) => {
        stream = fresh;
        showStream(video.value, fresh);
      },
    );
  };
  watch([() => toValue(classifier), () => keyOf(toValue(options))], begin, { immediate: true });
  watch(video, (element) => showStream(element, stream), { flush: "post" });
  onScopeDispose(() => end());
  return { state, video };
}
