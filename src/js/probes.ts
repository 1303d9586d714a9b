// What this engine's WebAssembly can do, asked by validating modules of one function each. Nothing
// is compiled, so a Content-Security-Policy has no say in it.

/** `() -> v128` with `body`: header, type section, function section, code section. */
function isValid(body: readonly number[]): boolean {
  const code = [0, ...body, 0x0b]; // no locals; end
  return WebAssembly.validate(
    new Uint8Array([
      ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // "\0asm", version 1
      ...[1, 5, 1, 0x60, 0, 1, 0x7b], // one type: () -> v128
      ...[3, 2, 1, 0], // one function of it
      ...[10, code.length + 2, 1, code.length, ...code],
    ]),
  );
}

/** `i8x16.splat(i32.const 0)` */
const ZEROS = [0x41, 0, 0xfd, 0x0f];

/** The 128-bit instructions: Chrome 91, Firefox 89, Safari 16.4, Node 16. */
export function hasSimd(): boolean {
  if (typeof WebAssembly !== "object") return false;
  return isValid([...ZEROS, 0xfd, 0x62]); // i8x16.popcnt
}

/** Those whose results may differ between processors, chosen for speed: Chrome 114, Node 22. */
export function hasRelaxedSimd(): boolean {
  return isValid([...ZEROS, ...ZEROS, 0xfd, 0x92, 0x02]); // i16x8.relaxed_dot_i8x16_i7x16_s
}

/** Atomic instructions, which memory that threads share needs: Chrome 74, Firefox 79, Safari 15.2. */
export function hasAtomics(): boolean {
  return isValid([0xfe, 0x03, 0x00, ...ZEROS]); // atomic.fence
}
