// Encoded pictures become pixels, where no browser does it: by a wasm file of its own.
import { AchadoError, fromCore } from "./errors.js";
import * as glue from "./generated/decode/achado.js";
import { isError } from "./kind.js";
import type { RawImage } from "./types.js";

/** Which pkg-config/bundle.mjs adds: the next picture has an instance of its own. */
const { forget } = glue as typeof glue & { forget(): void };

/** An instance that has grown beyond it, by a giant picture, is not kept: memory never shrinks. */
const MOST_KEPT_BYTES = 1 << 26;

/**
 * The pixels of a BMP, GIF, JPEG, PNG or WebP file.
 *
 * @param module What decode.wasm was compiled to.
 * @throws {AchadoError} INVALID_INPUT, OUT_OF_MEMORY
 */
export function decode(module: WebAssembly.Module, file: Uint8Array): RawImage {
  const { memory } = glue.initSync({ module });
  let isBroken = true;
  try {
    const pixels = glue.decodeImage(file);
    isBroken = false;
    return pixels;
  } catch (thrown) {
    if (!isError(thrown) || thrown.name === "RuntimeError") throw fromCore(thrown).error;
    isBroken = false;
    throw new AchadoError("INVALID_INPUT", thrown.message);
  } finally {
    if (isBroken || memory.buffer.byteLength > MOST_KEPT_BYTES) forget();
  }
}
