// Tensors of callers: copied, checked against the model's inputs, and back into typed arrays.
import { AchadoError } from "./errors.js";
import { kindOf } from "./kind.js";
import type { ModelMetadata, Tensor, TensorData, TensorInfo } from "./types.js";

/** A tensor on its way to the engine: which input, and its elements in a buffer of their own. */
export interface WireTensor {
  index: number;
  data: TensorData;
}

/** The array of each element type. */
const ARRAYS = {
  float32: Float32Array,
  float16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
} as const;

const BYTES = new Set(["Uint8Array", "Uint8ClampedArray"]);

function arrayOf(dtype: string) {
  return ARRAYS[dtype as keyof typeof ARRAYS];
}

/** The elements in a buffer, which is not copied. */
export function viewOf(dtype: string, buffer: ArrayBuffer): TensorData {
  return new (arrayOf(dtype))(buffer);
}

function invalid(message: string, detail: Record<string, unknown> = {}): AchadoError {
  return new AchadoError("INVALID_INPUT", message, detail);
}

/**
 * Copies of a caller's arrays, by name.
 *
 * @throws {AchadoError} INVALID_INPUT for what is no object of typed arrays
 */
export function ownTensors(tensors: unknown): Map<string, TensorData> {
  if (typeof tensors !== "object" || tensors === null || ArrayBuffer.isView(tensors)) {
    throw invalid(
      "tensors must be an object of typed arrays by the names of the inputs, such as { input: new Float32Array(…) }",
    );
  }
  const own = new Map<string, TensorData>();
  for (const [name, data] of Object.entries(tensors)) {
    if (!ArrayBuffer.isView(data) || kindOf(data) === "DataView") {
      throw invalid(`input "${name}" needs a typed array, is ${kindOf(data)}`, { tensor: name });
    }
    // Clamped or not, bytes are bytes; a Buffer's slice would share its memory.
    const bytes = BYTES.has(kindOf(data));
    own.set(name, bytes ? new Uint8Array(data as Uint8Array) : (data as TensorData).slice());
  }
  return own;
}

/**
 * Finds the input of each tensor. All inputs are needed, but for the one that the picture goes to.
 *
 * @throws {AchadoError} INVALID_INPUT
 */
export function readTensors(
  { inputs, pictureInput }: ModelMetadata,
  tensors: ReadonlyMap<string, TensorData>,
  hasPicture: boolean,
): WireTensor[] {
  const wanted = new Map<string, number>();
  for (const [index, { name }] of inputs.entries()) {
    if (!hasPicture || index !== pictureInput) wanted.set(name, index);
  }
  const list = [...wanted.keys()].map((name) => `"${name}"`).join(", ") || "none";
  const given: WireTensor[] = [];
  for (const [name, data] of tensors) {
    const index = wanted.get(name);
    if (index === undefined) {
      throw invalid(`there is no input "${name}" to give; there are ${list}`, { tensor: name });
    }
    check(inputs[index] as TensorInfo, data);
    wanted.delete(name);
    given.push({ index, data });
  }
  for (const name of wanted.keys()) {
    throw invalid(`input "${name}" is missing; the inputs to give are ${list}`, { tensor: name });
  }
  return given;
}

function check({ name, dtype, shape }: TensorInfo, data: TensorData): void {
  const array = arrayOf(dtype);
  const detail = { tensor: name, dtype };
  // By name: arrays of another window are as good.
  if (kindOf(data) !== array.name) {
    throw invalid(
      `input "${name}" is ${dtype}: give a ${array.name}, not a ${kindOf(data)}`,
      detail,
    );
  }
  const needed = shape.reduce((count, size) => count * size, 1);
  if (data.length !== needed) {
    throw invalid(
      `input "${name}" of shape [${shape.join(", ")}] needs ${needed} elements, has ${data.length}`,
      { ...detail, needed, found: data.length },
    );
  }
}

/**
 * The real numbers that a quantised tensor stands for: `scale * (q - zeroPoint)`. Numbers of other
 * tensors stay as they are.
 */
export function dequantize({ data, quantization }: Tensor): Float32Array<ArrayBuffer> {
  const { scale, zeroPoint } = quantization ?? { scale: 1, zeroPoint: 0 };
  return Float32Array.from(
    data as ArrayLike<number | bigint>,
    (q) => scale * (Number(q) - zeroPoint),
  );
}
