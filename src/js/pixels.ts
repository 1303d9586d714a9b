// From what a page has (elements, frames, files) to a frame for the engine, without drawing twice.
import { fromDisplayP3 } from "./color-space.js";
import type { Drawing, Frame, Pixels } from "./engine.js";
import { AchadoError } from "./errors.js";
import {
  bytesOf,
  isArrayBuffer,
  isBlob,
  isBytes,
  isDomException,
  isError,
  kindOf,
} from "./kind.js";
import { checkNames, type NamesOf } from "./names.js";
import type { ImageInput, RawImage } from "./types.js";

function invalid(message: string, detail: Record<string, unknown> = {}): AchadoError {
  return new AchadoError("INVALID_INPUT", message, detail);
}

const RAW: NamesOf<RawImage> = { data: 1, width: 1, height: 1, colorSpace: 1 };

/** Whether something carries its pixels: `ImageData`, or an object like it. */
export function isRawImage(image: unknown): image is RawImage {
  if (typeof image !== "object" || image === null) return false;
  return isPlain(image) || ("data" in image && "width" in image);
}

/** Whether an object has no class, in whichever realm it was made. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/**
 * Checks pixels that the caller gives.
 *
 * @throws {AchadoError} INVALID_INPUT
 */
export function checkRawImage(image: RawImage): Pixels {
  // Objects of a class have fields of their own, such as those of `ImageData`.
  if (isPlain(image)) checkNames(image, RAW, "field", "INVALID_INPUT", "picture.");
  const { data, width, height, colorSpace = "srgb" } = image;
  if (!Number.isInteger(width) || !Number.isInteger(height) || width <= 0 || height <= 0) {
    throw invalid(`the picture is ${width}x${height} pixels; both sides must be above 0`, {
      width,
      height,
    });
  }
  if (!(isBytes(data) || kindOf(data) === "Uint8ClampedArray")) {
    throw invalid("the picture's data must be a Uint8ClampedArray or Uint8Array of RGBA bytes");
  }
  const needed = width * height * 4;
  if (data.length !== needed) {
    throw invalid(
      `a picture of ${width}x${height} pixels needs ${needed} bytes (RGBA), has ${data.length}`,
      { width, height, needed, found: data.length },
    );
  }
  if (colorSpace !== "srgb" && colorSpace !== "display-p3") {
    const message = `the picture's colorSpace must be "srgb" or "display-p3", is ${String(colorSpace)}`;
    throw invalid(message, { colorSpace });
  }
  // An object's other properties must not travel to the worker.
  return {
    data: colorSpace === "srgb" ? data : fromDisplayP3(data),
    width,
    height,
    // It comes from a canvas.
    alpha: kindOf(image) === "ImageData" ? "page" : "stored",
  };
}

/**
 * Checks that a picture which had to wait is still there: pixels stay the caller's.
 *
 * @throws {AchadoError} INVALID_INPUT
 */
export function checkStillThere(frame: Frame): void {
  if ("data" in frame && frame.data.length !== frame.width * frame.height * 4) {
    throw invalid("the picture's data was transferred or resized before its turn came");
  }
}

/** Closes a frame that nobody uses any more. */
export function release(frame: Frame): void {
  if ("bitmap" in frame) frame.bitmap.close();
}

/**
 * Takes hold of a picture as it is now. A bitmap comes back for all that the browser has to draw:
 * its pixels are read where the engine runs, so that the page does not wait for it.
 *
 * @throws {AchadoError} INVALID_INPUT, INPUT_NOT_READY, TAINTED_CANVAS
 */
export async function toFrame(image: ImageInput): Promise<Frame> {
  if (isArrayBuffer(image)) return toFrame(new Uint8Array(image));
  if (isBytes(image)) {
    // A copy: the caller may change the bytes, and a Blob takes none of shared memory.
    return bitmapOf(new Blob([new Uint8Array(image)]), "encoded picture");
  }
  if (isRawImage(image)) {
    const { data } = image;
    // float16 pixels of wide-gamut canvases
    if (kindOf(data) === "Float16Array") {
      throw invalid("ImageData with float16 pixels; ask getImageData for rgba-unorm8");
    }
    return checkRawImage(image);
  }
  const kind = kindOf(image);
  checkReady(image, kind);
  if (typeof createImageBitmap !== "function") {
    throw invalid(
      `there is no browser here to draw the ${kind}: give the bytes of a picture file, or { data, width, height }`,
      { kind },
    );
  }
  return bitmapOf(image as ImageBitmapSource, kind);
}

function checkReady(image: unknown, kind: string): void {
  switch (kind) {
    case "HTMLVideoElement": {
      const { readyState, videoWidth, videoHeight } = image as HTMLVideoElement;
      // 2 is HAVE_CURRENT_DATA.
      if (readyState < 2 || videoWidth === 0 || videoHeight === 0) {
        throw new AchadoError(
          "INPUT_NOT_READY",
          "the video has no frame yet; wait for its loadeddata event",
          { readyState },
        );
      }
      return;
    }
    case "HTMLImageElement": {
      const { complete, naturalWidth, currentSrc, src } = image as HTMLImageElement;
      const url = currentSrc || src;
      if (url === "") throw new AchadoError("INPUT_NOT_READY", "the img element has no src yet");
      if (!complete) {
        throw new AchadoError(
          "INPUT_NOT_READY",
          `the img element has not loaded yet; await its decode(): ${url}`,
          { url },
        );
      }
      if (naturalWidth === 0) throw invalid(`the img element could not load ${url}`, { url });
      return;
    }
    case "VideoFrame": {
      const { codedWidth, format } = image as VideoFrame;
      if (codedWidth === 0 && format === null) throw invalid("the VideoFrame is closed already");
      return;
    }
    case "HTMLCanvasElement":
    case "OffscreenCanvas":
    case "ImageBitmap": {
      const { width, height } = image as { width: number; height: number };
      if (width === 0 || height === 0) {
        throw invalid(
          `the ${kind} is ${width}x${height} pixels; ${kind === "ImageBitmap" ? "was it closed or transferred?" : "both sides must be above 0"}`,
          { width, height },
        );
      }
      return;
    }
    case "Blob":
    case "File":
      return;
    default:
      throw invalid(
        `${/^[A-Z][a-z]+$/.test(kind) ? kind.toLowerCase() : kind} is not a picture; give an img, canvas, video, ImageBitmap, ImageData, VideoFrame, Blob, bytes or a URL`,
        { kind },
      );
  }
}

/** Whether a file has no alpha, by its first bytes: looking for it in pixels would take time. */
async function isJpeg(file: Blob): Promise<boolean> {
  const [first, second] = await bytesOf(file.slice(0, 2));
  return first === 0xff && second === 0xd8;
}

async function bitmapOf(source: ImageBitmapSource, kind: string): Promise<Drawing> {
  try {
    if (!isBlob(source) || (await isJpeg(source))) {
      return { bitmap: await createImageBitmap(source), alpha: "page" };
    }
    const bitmap = await createImageBitmap(source, { premultiplyAlpha: "none" });
    return { bitmap, alpha: "stored" };
  } catch (cause) {
    if (isDomException(cause) && cause.name === "InvalidStateError") {
      throw new AchadoError(
        "INVALID_INPUT",
        isBlob(source)
          ? `the file is not a picture that this browser can decode${source.type && `: its type is ${source.type}`}`
          : `the ${kind} cannot be drawn: ${cause.message}`,
        { kind },
        { cause },
      );
    }
    throw inputError(cause);
  }
}

/** What a failure to read pixels or to send them to the worker means. */
export function inputError(cause: unknown): unknown {
  const name = isDomException(cause) ? cause.name : "";
  // Reading is a SecurityError; moving a bitmap of another origin to a worker a DataCloneError.
  if (name === "SecurityError" || name === "DataCloneError") {
    return new AchadoError(
      "TAINTED_CANVAS",
      'the picture comes from another origin that does not allow reading it; load it with crossorigin="anonymous" from a server that sends Access-Control-Allow-Origin',
      {},
      { cause },
    );
  }
  if (cause instanceof AchadoError || !isError(cause)) return cause;
  return new AchadoError(
    "INVALID_INPUT",
    `the picture cannot be read: ${cause.message}`,
    {},
    { cause },
  );
}
