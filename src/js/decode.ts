// Encoded pictures become pixels, where no browser does it: by a wasm file of its own.
import { AchadoError, fromCore } from "./errors.js";
import { isError } from "./kind.js";
import type { RawImage } from "./types.js";

type Decode = typeof import("./generated/decode/achado.js").decodeImage;
let decoder: Promise<Decode> | undefined;

/** Loaded with the first picture; a failure is not kept. */
function load(module: WebAssembly.Module): Promise<Decode> {
  decoder ??= (async () => {
    const { decodeImage, initSync } = await import("./generated/decode/achado.js");
    initSync({ module });
    return decodeImage;
  })().catch((error) => {
    decoder = undefined;
    throw error;
  });
  return decoder;
}

/**
 * The pixels of a BMP, GIF, JPEG, PNG or WebP file.
 *
 * @param module What decode.wasm was compiled to.
 * @throws {AchadoError} INVALID_INPUT, OUT_OF_MEMORY
 */
export async function decode(module: WebAssembly.Module, file: Uint8Array): Promise<RawImage> {
  const decodeImage = await load(module);
  try {
    return decodeImage(file);
  } catch (thrown) {
    if (!isError(thrown) || thrown.name === "RuntimeError") throw fromCore(thrown).error;
    throw new AchadoError("INVALID_INPUT", thrown.message);
  }
}
