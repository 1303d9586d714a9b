// Frames of a video or camera, always the newest.
import { AchadoError, abortable } from "./errors.js";
import { kindOf, messageOf } from "./kind.js";
import { invalidOption } from "./options.js";
import type { StreamOptions } from "./types.js";

/** What has frames. */
export type FrameSource = HTMLVideoElement | MediaStream;

/** Frame times jitter by a millisecond or so; a limit of 30 must not halve a camera of 30. */
const JITTER_MS = 4;

/**
 * Gives the video's frame each time the consumer asks for one and a new one is there. Frames that
 * come while the consumer works are never seen.
 *
 * @throws {AchadoError} INVALID_OPTION, INVALID_INPUT, INPUT_NOT_READY
 */
export async function* frames(
  source: FrameSource,
  { maxFps, smoothing, signal }: StreamOptions,
): AsyncGenerator<{ image: HTMLVideoElement; timestampMs: number }, void, void> {
  if (maxFps !== undefined && !(maxFps > 0)) {
    throw invalidOption("maxFps", `must be above 0, is ${maxFps}`);
  }
  if (smoothing !== undefined && !(smoothing >= 0 && smoothing < 1)) {
    throw invalidOption("smoothing", `must be from 0 to below 1, is ${smoothing}`);
  }
  signal?.throwIfAborted();
  const ours = !isVideo(source);
  const video = ours ? await play(source, signal) : source;
  try {
    const pause = maxFps === undefined ? 0 : Math.max(0, 1000 / maxFps - JITTER_MS);
    let next = 0;
    for (;;) {
      const timestampMs = await abortable(nextFrame(video, next), signal);
      if (timestampMs === undefined) return;
      next = performance.now() + pause;
      yield { image: video, timestampMs };
    }
  } finally {
    // The stream belongs to the caller, the element to us.
    if (ours) video.srcObject = null;
  }
}

function isVideo(source: FrameSource): source is HTMLVideoElement {
  const kind = kindOf(source);
  if (kind === "HTMLVideoElement") return true;
  if (kind === "MediaStream") return false;
  throw new AchadoError(
    "INVALID_INPUT",
    `${kind} is no stream of frames; give a video element or a MediaStream`,
    { kind },
  );
}

/** A video element that plays a stream, not in the page. */
export async function play(
  stream: MediaStream,
  signal: AbortSignal | undefined,
): Promise<HTMLVideoElement> {
  const video = document.createElement("video");
  // Without these, phones want a gesture or open a player of their own.
  video.muted = true;
  video.playsInline = true;
  video.srcObject = stream;
  try {
    await abortable(video.play(), signal);
    return video;
  } catch (cause) {
    video.srcObject = null;
    signal?.throwIfAborted();
    const reason = messageOf(cause);
    throw new AchadoError(
      "INPUT_NOT_READY",
      `the stream does not play: ${reason}`,
      { reason },
      { cause },
    );
  }
}

/** Waits for a frame that is not shown before `notBefore`: its time in ms; undefined at the end. */
function nextFrame(video: HTMLVideoElement, notBefore: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const finish = (timestampMs: number | undefined) => {
      video.removeEventListener("ended", end);
      video.removeEventListener("emptied", end);
      resolve(timestampMs);
    };
    const end = () => finish(undefined);
    const seen = (now: number, mediaTime: number) => {
      if (now < notBefore) ask();
      else finish(mediaTime * 1000);
    };
    const ask = () => {
      if (typeof video.requestVideoFrameCallback === "function") {
        video.requestVideoFrameCallback((now, { mediaTime }) => seen(now, mediaTime));
      } else {
        // Firefox before 132: every frame of the display, where the video has moved on.
        const before = video.currentTime;
        const look = (now: number) =>
          video.currentTime === before && !video.ended
            ? requestAnimationFrame(look)
            : seen(now, video.currentTime);
        requestAnimationFrame(look);
      }
    };
    if (video.ended) return end();
    video.addEventListener("ended", end);
    video.addEventListener("emptied", end);
    ask();
  });
}
