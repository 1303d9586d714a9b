// The camera, opened and closed.
import { AchadoError, abortable } from "./errors.js";
import { isError } from "./kind.js";
import { checkCall } from "./options.js";
import { play } from "./stream.js";
import type { Camera, CameraOptions } from "./types.js";

/**
 * Asks for the camera and plays it into a video element.
 *
 * @throws {AchadoError} INVALID_OPTION; CAMERA_DENIED, with the browser's `reason` in `detail`
 */
export async function openCamera(options: CameraOptions = {}): Promise<Camera> {
  checkCall("camera", options);
  const { facingMode = "environment", deviceId, width, height, signal } = options;
  signal?.throwIfAborted();
  const devices = globalThis.navigator?.mediaDevices;
  if (!devices) {
    throw denied(
      "no camera here: browsers give it to pages on https or localhost only",
      "insecure",
    );
  }
  const size = {
    ...(width !== undefined && { width: { ideal: width } }),
    ...(height !== undefined && { height: { ideal: height } }),
  };
  const which = deviceId === undefined ? { facingMode } : { deviceId: { exact: deviceId } };
  const asked = devices.getUserMedia({ audio: false, video: { ...which, ...size } });
  const stop = (stream: MediaStream) => {
    for (const track of stream.getTracks()) track.stop();
  };
  let stream: MediaStream;
  try {
    stream = await abortable(asked, signal);
  } catch (cause) {
    // The user may still say yes to a question that nobody waits for.
    asked.then(stop, () => {});
    signal?.throwIfAborted();
    const name = isError(cause) ? cause.name : "";
    throw denied(REASONS[name] ?? `the camera does not open: ${String(cause)}`, name, cause);
  }
  try {
    const video = await play(stream, signal);
    const close = () => {
      stop(stream);
      video.srcObject = null;
    };
    return { video, stream, close };
  } catch (error) {
    stop(stream);
    throw error;
  }
}

const REASONS: Record<string, string> = {
  NotAllowedError: "the camera was not allowed; change it in the browser's settings for this page",
  NotFoundError: "there is no camera",
  NotReadableError: "the camera is used by another program",
  OverconstrainedError: "no camera fits the asked facingMode, deviceId and size",
};

function denied(message: string, reason: string, cause?: unknown): AchadoError {
  return new AchadoError("CAMERA_DENIED", message, { reason }, { cause });
}
