// Runs inside the page: one runtime with one model. The driver calls these by name.
import { tell } from "../browser/telling.mjs";

const state = {};
const now = () => performance.now();

/** A fixed loop of integer work: how much of the processor is ours at the moment. In ms. */
function calibrate() {
  const start = now();
  let value = 1;
  for (let i = 0; i < 1e7; i++)
    value = (Math.imul(value, 1664525) + 1013904223 + (value >>> 7)) | 0;
  state.sink = value;
  return now() - start;
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

const buffer = async (url) => {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${response.status} for ${url}`);
  return response.arrayBuffer();
};

/** RGB bytes of each input picture. */
async function pixelsOf(inputs) {
  if (inputs.floats) {
    const floats = new Float32Array(await buffer(inputs.floats));
    const size = floats.length / inputs.count;
    return Array.from({ length: inputs.count }, (_, picture) =>
      Uint8Array.from(floats.subarray(picture * size, (picture + 1) * size), (x) =>
        Math.round(x * 127.5 + 127.5),
      ),
    );
  }
  return Promise.all(
    inputs.pictures.map(async (url) => {
      const bitmap = await createImageBitmap(new Blob([await buffer(url)]));
      const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(bitmap, 0, 0);
      const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
      return data.filter((_, i) => i % 4 !== 3);
    }),
  );
}

/** The model's input tensor for a picture, in its own layout and type. */
function tensorOf(pixels, { layout, inDtype, inQ }) {
  if (inDtype === "uint8") return Uint8Array.from(pixels);
  // As a network of the Inception family wants it: -1 to 1.
  let real = Float32Array.from(pixels, (x) => x / 127.5 - 1);
  if (layout === "nchw") {
    const plane = real.length / 3;
    real = Float32Array.from(real, (_, i) => real[(i % plane) * 3 + Math.floor(i / plane)]);
  }
  if (inDtype === "float32") return real;
  const [scale, zeroPoint] = inQ;
  return Int8Array.from(real, (x) => {
    const value = Math.fround(x / Math.fround(scale));
    const rounded = Math.abs(value % 1) === 0.5 ? 2 * Math.round(value / 2) : Math.round(value);
    return Math.max(-128, Math.min(127, rounded + zeroPoint));
  });
}

/** The picture as browsers have it. */
function imageOf(pixels) {
  const side = Math.sqrt(pixels.length / 3);
  const image = new ImageData(side, side);
  for (let i = 0; i < side * side; i++) {
    for (let c = 0; c < 3; c++) image.data[i * 4 + c] = pixels[i * 3 + c];
    image.data[i * 4 + 3] = 255;
  }
  return image;
}

/** A picture as the runtime takes it, made ready before any clock starts. */
function inputOf(pixels, takes, artifact) {
  return takes === "image" ? imageOf(pixels) : tensorOf(pixels, artifact);
}

function scoresOf(output, { outQ }) {
  if (output instanceof Float32Array) return output;
  const [scale, zeroPoint] = outQ;
  return Float32Array.from(output, (x) => (x - zeroPoint) * scale);
}

/** The index of the best score; NaN, which stands for a score that was not given, is never it. */
export function best(scores) {
  let found = -1;
  for (let i = 0; i < scores.length; i++) {
    if (scores[i] > (scores[found] ?? -Infinity)) found = i;
  }
  return found;
}

/** Starts the runtime, loads the model, and runs it once. */
export async function load({ adapter, takes, options, model, inputs }) {
  const { create } = await import(adapter);
  const pixels = await pixelsOf(inputs);
  const bytes = new Uint8Array(await buffer(model));
  const start = now();
  state.session = await create(bytes, options);
  const loaded = now();
  state.artifact = options.artifact;
  state.inputs = pixels.map((picture) => inputOf(picture, takes, options.artifact));
  await state.session.run(state.inputs[0]);
  return { loadMs: loaded - start, ...(state.session.info?.() ?? {}) };
}

/** Every output beside what is expected of it. */
export async function check({ expected, scale }) {
  const bytes = await buffer(expected);
  // Scores as floats, or as bytes of a quantised output.
  const wanted = scale
    ? Float32Array.from(new Uint8Array(bytes), (x) => x * scale)
    : new Float32Array(bytes);
  const size = wanted.length / state.inputs.length;
  const result = { top1: 0, of: state.inputs.length, largestDifference: 0 };
  for (const [index, input] of state.inputs.entries()) {
    const want = wanted.subarray(index * size, (index + 1) * size);
    const scores = scoresOf(await state.session.run(input), state.artifact);
    if (scores.length !== size) throw new Error(`${scores.length} scores, not ${size}`);
    result.top1 += want[best(scores)] === want[best(want)] ? 1 : 0;
    for (let i = 0; i < size; i++) {
      const difference = Math.abs(scores[i] - want[i]);
      // A runtime that gives the best few only leaves the others as NaN.
      if (difference > result.largestDifference) result.largestDifference = difference;
    }
  }
  return result;
}

/** Runs for at least so many times and ms. */
export async function timed({ runs, ms }) {
  const { session } = state;
  const [input] = state.inputs;
  const times = [];
  const inference = [];
  const before = calibrate();
  const begin = now();
  while (times.length < runs || now() - begin < ms) {
    const start = now();
    await session.run(input);
    times.push(now() - start);
    if (session.inferenceMs) inference.push(session.inferenceMs());
  }
  return {
    runs: times.length,
    median: median(times),
    min: Math.min(...times),
    inference: inference.length ? median(inference) : undefined,
    calibration: Math.max(before, calibrate()),
  };
}

/** From nothing to the index of the first label: everything comes over the network. */
export async function start({ adapter, takes, options, model, inputs }) {
  const [pixels] = await pixelsOf(inputs);
  const input = inputOf(pixels, takes, options.artifact);
  const before = calibrate();
  const { start: run } = await import(adapter);
  const begin = now();
  const { label, importedAt } = await run(model, input, options);
  return { label, ms: now() - begin, importMs: importedAt - begin, calibration: before };
}

/** The same in a page that nobody drives. */
export function startAlone(task) {
  return tell(() => start(task));
}
