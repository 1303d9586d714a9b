// A camera that is classified, as frameworks have it.
import { openCamera } from "../index.js";
import type { CameraOptions, ClassifierResult, ImageClassifier, StreamOptions } from "../types.js";

/** Options of `openCamera` and `classifyStream`. */
export type WatchOptions = Omit<CameraOptions, "signal"> & Omit<StreamOptions, "signal">;

/** A camera on its way. */
export interface CameraState {
  status: "off" | "starting" | "running" | "error";
  /** Of the last frame. */
  result: ClassifierResult | null;
  error: Error | undefined;
}

export const OFF: CameraState = { status: "off", result: null, error: undefined };

/**
 * Opens the camera and classifies its frames until it is ended.
 *
 * @param onStream Is given what a video element of the page shows as its `srcObject`.
 * @returns What ends it.
 */
export function watchCamera(
  classifier: ImageClassifier,
  options: WatchOptions,
  onState: (state: CameraState) => void,
  onStream: (stream: MediaStream | null) => void,
): () => void {
  const ending = new AbortController();
  const { signal } = ending;
  const tell = (state: CameraState) => {
    if (!signal.aborted) onState(state);
  };
  const run = async () => {
    tell({ ...OFF, status: "starting" });
    const { facingMode, deviceId, width, height, ...stream } = options;
    const camera = await openCamera({ facingMode, deviceId, width, height, signal });
    try {
      onStream(camera.stream);
      for await (const result of classifier.classifyStream(camera.video, { ...stream, signal })) {
        tell({ status: "running", result, error: undefined });
      }
    } finally {
      camera.close();
      if (!signal.aborted) onStream(null);
    }
  };
  run().then(
    () => tell(OFF),
    (error: Error) => tell({ status: "error", result: null, error }),
  );
  return () => {
    onStream(null);
    ending.abort();
  };
}

/** Shows a camera in a video element of the page. */
export function showStream(video: HTMLVideoElement | null, stream: MediaStream | null): void {
  if (!video) return;
  video.muted = true;
  video.playsInline = true;
  video.srcObject = stream;
  // Refused where the element was taken away meanwhile.
  if (stream) video.play().catch(() => {});
}
