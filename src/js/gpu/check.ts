// Whether a GPU computes what the CPU computes.

/** Of the largest magnitude of an output: float32 sums are ordered differently on a GPU. */
const TOLERANCE = 1e-4;

/** The first difference between an output of the CPU and one of the GPU; undefined if they agree. */
export function difference(
  name: string,
  dtype: string,
  cpu: Uint8Array,
  gpu: Uint8Array,
): string | undefined {
  if (cpu.length !== gpu.length) {
    return `output "${name}" has ${gpu.length} bytes, on the CPU ${cpu.length}`;
  }
  if (dtype !== "float32") {
    const at = cpu.findIndex((byte, index) => byte !== gpu[index]);
    return at < 0
      ? undefined
      : `byte ${at} of output "${name}" is ${gpu[at]}, on the CPU ${cpu[at]}`;
  }
  const [a, b] = [floats(cpu), floats(gpu)];
  const largest = a.reduce(
    (most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most),
    0,
  );
  const allowed = TOLERANCE * largest;
  const agrees = (x: number, y: number) => Object.is(x, y) || x === y || Math.abs(x - y) <= allowed;
  const at = a.findIndex((x, index) => !agrees(x, b[index] as number));
  return at < 0 ? undefined : `element ${at} of output "${name}" is ${b[at]}, on the CPU ${a[at]}`;
}

function floats(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.slice().buffer);
}

/** Pixels with edges and gradients in all colors, which are others for another seed. */
export function testPicture(side: number, seed: number): Uint8Array<ArrayBuffer> {
  const pixels = new Uint8Array(side * side * 4);
  let state = seed;
  for (let at = 0; at < pixels.length; at += 4) {
    const [x, y] = [(at >> 2) % side, Math.floor((at >> 2) / side)];
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const noise = state >>> 27;
    const isInside = (x - side / 2) ** 2 + (y - side / (2 + (seed % 3))) ** 2 < (side / 3) ** 2;
    pixels[at] = ((x * 255) / side + noise) & 255;
    pixels[at + 1] = isInside ? 200 - noise : (y * 200) / side + noise;
    pixels[at + 2] = ((x ^ y) * (seed % 7)) & 255;
    pixels[at + 3] = 255;
  }
  return pixels;
}

/** Elements for an input that takes no pictures: floats from -1 to 1, or any bytes. */
export function testElements(dtype: string, bytes: number, seed: number): Uint8Array<ArrayBuffer> {
  let state = seed;
  const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0);
  if (dtype !== "float32") return Uint8Array.from({ length: bytes }, () => next() >>> 24);
  const elements = Float32Array.from({ length: bytes / 4 }, () => next() / 2 ** 31 - 1);
  return new Uint8Array(elements.buffer);
}
