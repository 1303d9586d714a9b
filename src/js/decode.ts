// Encoded pictures become pixels, where no browser does it: by a wasm file of its own.
import { AchadoError, fromCore } from "./errors.js";
import type { RawImage } from "./types.js";

/** crates/decode/src/shell.rs: numbers in and out, so that it needs no glue. */
interface Exports {
  readonly memory: WebAssembly.Memory;
  room(bytes: number): number;
  decodeFile(): number;
  place(): number;
  length(): number;
  width(): number;
  height(): number;
}

/** Memory of WebAssembly does not shrink: an instance with more is used once. */
const MOST_KEPT_BYTES = 1 << 26;

let kept: { module: WebAssembly.Module; exports: Exports } | undefined;

function instantiate(module: WebAssembly.Module): Exports {
  if (kept?.module === module) return kept.exports;
  const imports: Record<string, Record<string, () => never>> = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    // What wasm-bindgen adds throws, if anything.
    (imports[from] ??= {})[name] = () => {
      throw new Error(`decode.wasm asked for ${name}`);
    };
  }
  const exports = new WebAssembly.Instance(module, imports).exports as unknown as Exports;
  kept = { module, exports };
  return exports;
}

/**
 * The pixels of a BMP, GIF, JPEG, PNG or WebP file, in sRGB and the right way up.
 *
 * @param module What decode.wasm was compiled to.
 * @throws {AchadoError} INVALID_INPUT, OUT_OF_MEMORY
 */
export function decode(module: WebAssembly.Module, file: Uint8Array): RawImage {
  try {
    const wasm = instantiate(module);
    const address = wasm.room(file.length);
    if (address === 0) {
      throw new AchadoError(
        "OUT_OF_MEMORY",
        `there is no memory for a file of ${file.length} bytes`,
      );
    }
    new Uint8Array(wasm.memory.buffer, address, file.length).set(file);
    const isPicture = wasm.decodeFile() !== 0;
    const answer = new Uint8ClampedArray(
      wasm.memory.buffer,
      wasm.place() >>> 0,
      wasm.length() >>> 0,
    );
    const { memory } = wasm;
    if (!isPicture) {
      throw new AchadoError("INVALID_INPUT", new TextDecoder().decode(answer));
    }
    const [width, height] = [wasm.width(), wasm.height()];
    const isLarge = memory.buffer.byteLength > MOST_KEPT_BYTES;
    // The last pixels of an instance that nobody else uses need no copy.
    if (isLarge) kept = undefined;
    return { data: isLarge ? answer : answer.slice(), width, height };
  } catch (thrown) {
    // After a trap nothing in there can be relied on.
    if (!(thrown instanceof AchadoError)) kept = undefined;
    throw thrown instanceof AchadoError ? thrown : fromCore(thrown).error;
  } finally {
    if (kept && kept.exports.memory.buffer.byteLength > MOST_KEPT_BYTES) kept = undefined;
  }
}
