// Memory in which pixels go to a worker and come back to be filled again.
import type { Frame, Request } from "./engine.js";

/** The most that is kept from one picture to the next: 4 million pixels. */
const MOST_KEPT_BYTES = 1 << 24;

/**
 * Copies the caller's pixels for a worker. Memory that is new to the process takes the system longer
 * than the copy, and a message that is not moved is copied twice. A call with MobileNet V2 int8 and a
 * picture of 1280 x 720: 8.4 -> 5.6 ms, of which the network takes 3.9; 640 x 480 5.9 -> 4.9, 224 x
 * 224 4.4 -> 4.3 (medians in Chromium 156, `cargo xtask bench --package --model FILE --threads 1
 * --rounds 20 --starts 0 --picture 1280x720 --against OLD`).
 */
export class PictureMemory {
  #kept: ArrayBuffer | undefined;

  /** A picture to post, and what is moved with it: bitmaps themselves. */
  sendable(frame: Frame): { own: Frame; transfer: Transferable[] } {
    if ("encoded" in frame) return { own: frame, transfer: [frame.encoded.buffer] };
    if (!("data" in frame)) return { own: frame, transfer: [frame.bitmap] };
    const { data: pixels, ...rest } = frame;
    const data = this.#bytes(pixels.byteLength);
    data.set(pixels);
    return { own: { data, ...rest }, transfer: [data.buffer] };
  }

  #bytes(length: number): Uint8Array<ArrayBuffer> {
    const kept = this.#kept;
    if (!kept || kept.byteLength < length) return new Uint8Array(length);
    // Somebody else's until it comes back.
    this.#kept = undefined;
    return new Uint8Array(kept, 0, length);
  }

  /** Takes back what {@link sentPixels} found. */
  keep(buffers: ArrayBuffer[]): void {
    for (const buffer of buffers) {
      const isLarger = buffer.byteLength > (this.#kept?.byteLength ?? 0);
      if (isLarger && buffer.byteLength <= MOST_KEPT_BYTES) this.#kept = buffer;
    }
  }
}

/** The memory of the pixels that came with a request. */
export function sentPixels(request: Request): ArrayBuffer[] {
  return framesOf(request).flatMap((frame) =>
    "data" in frame ? [frame.data.buffer as ArrayBuffer] : [],
  );
}

function framesOf(request: Request): Frame[] {
  switch (request.call) {
    case "classify":
    case "embed":
      return [request.frame];
    case "classifyBatch":
      return request.frames;
    case "run":
      return request.picture ? [request.picture.frame] : [];
    default:
      return [];
  }
}
