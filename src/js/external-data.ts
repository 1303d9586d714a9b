// ONNX models whose weights lie in other files: they are put into the model, which is then as any
// other. Loaded with the first such model.
//
// It shares nothing with the modules that the page begins with: what it needs of them is given.
import type { Fail } from "./bundle.js";

type Bytes = Uint8Array<ArrayBuffer>;

/** The messages of `onnx.proto` that hold tensors at some depth, by field. */
type Kind = "model" | "graph" | "node" | "attribute" | "tensor";
const INNER: Record<Kind, Partial<Record<number, Kind>>> = {
  model: { 7: "graph" },
  graph: { 1: "node", 5: "tensor" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "graph", 10: "tensor", 11: "graph" },
  tensor: {},
};
/** Graphs within graphs. */
const MAX_DEPTH = 64;
/** A message of protobuf is no longer, and neither is what wasm's memory takes. */
const MAX_BYTES = 2 ** 31 - 1;

interface Field {
  number: number;
  type: number;
  /** Of the field with its tag, of its value, and of what follows. */
  start: number;
  value: number;
  end: number;
}

/** Where a tensor's elements are: `length` is up to the file's end where it is not said. */
interface Place {
  tensor: string;
  location: string;
  offset: number;
  length: number | undefined;
}

/**
 * The model with its weights inside.
 *
 * @param read The bytes of a file by the name that the model has for it: a path without `..`.
 */
export async function embed(
  onnx: Bytes,
  read: (location: string) => Promise<Uint8Array>,
  fail: Fail,
): Promise<Bytes> {
  const places: Place[] = [];
  visit(onnx, 0, onnx.byteLength, "model", places, fail, 0);
  const files = new Map<string, Uint8Array>();
  for (const { tensor, location } of places) {
    checkLocation(tensor, location, fail);
    files.set(location, new Uint8Array(0));
  }
  // One after the other: the progress of several at once would be none.
  for (const location of files.keys()) files.set(location, await read(location));

  const parts: Uint8Array[] = [];
  write(onnx, 0, onnx.byteLength, "model", parts);
  const size = parts.reduce((sum, part) => sum + part.byteLength, 0);
  if (size > MAX_BYTES) {
    throw fail(
      "MODEL_FORMAT",
      `the model has ${size} bytes with its weights; ${MAX_BYTES} are the most`,
    );
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;

  /** Copies a message, and gives the length of the copy. */
  function write(from: Bytes, start: number, end: number, kind: Kind, out: Uint8Array[]): number {
    const place = kind === "tensor" ? placeOf(from, start, end, fail) : undefined;
    let length = 0;
    const push = (part: Uint8Array) => {
      out.push(part);
      length += part.byteLength;
    };
    for (const field of fields(from, start, end, fail)) {
      const inner = INNER[kind][field.number];
      if (inner && field.type === 2) {
        const within: Uint8Array[] = [];
        const size = write(from, field.value, field.end, inner, within);
        push(varint((field.number << 3) | 2));
        push(varint(size));
        for (const part of within) push(part);
      } else if (!place || (field.number !== 13 && field.number !== 14 && field.number !== 9)) {
        push(from.subarray(field.start, field.end));
      }
    }
    if (place) {
      const data = slice(place);
      push(varint((9 << 3) | 2));
      push(varint(data.byteLength));
      push(data);
    }
    return length;
  }

  function slice({ tensor, location, offset, length }: Place): Uint8Array {
    const file = files.get(location) as Uint8Array;
    const end = length === undefined ? file.byteLength : offset + length;
    if (offset > file.byteLength || end > file.byteLength) {
      const message = `tensor "${tensor}" needs bytes ${offset} to ${end} of "${location}", which has ${file.byteLength}: it is truncated, or belongs to another model`;
      throw fail("MODEL_FORMAT", message, {
        tensor,
        location,
        needed: end,
        found: file.byteLength,
      });
    }
    return file.subarray(offset, end);
  }
}

/** The location of each file, or an error: a model must not read what lies elsewhere. */
function checkLocation(tensor: string, location: string, fail: Fail): void {
  // A scheme or drive, an absolute path, a backslash, a way up.
  if (location === "" || /^[a-z][a-z0-9+.-]*:|^\/|[\\\0]|(^|\/)\.\.(\/|$)/i.test(location)) {
    const message = `tensor "${tensor}": its elements lie in "${location}", which is no file beside the model or below its folder`;
    throw fail("MODEL_FORMAT", message, { tensor, location });
  }
}

/** Adds the places of all tensors whose elements are elsewhere. */
function visit(
  onnx: Bytes,
  start: number,
  end: number,
  kind: Kind,
  places: Place[],
  fail: Fail,
  depth: number,
): void {
  if (depth > MAX_DEPTH) throw fail("MODEL_FORMAT", "the ONNX model nests too deep");
  if (kind === "tensor") {
    const place = placeOf(onnx, start, end, fail);
    if (place) places.push(place);
    return;
  }
  for (const field of fields(onnx, start, end, fail)) {
    const inner = INNER[kind][field.number];
    if (inner && field.type === 2) {
      visit(onnx, field.value, field.end, inner, places, fail, depth + 1);
    }
  }
}

function placeOf(onnx: Bytes, start: number, end: number, fail: Fail): Place | undefined {
  let isExternal = false;
  let tensor = "";
  const entries: Record<string, string> = {};
  for (const { number, type, value, end: last } of fields(onnx, start, end, fail)) {
    if (number === 8 && type === 2) tensor = textOf(onnx, value, last);
    if (number === 14 && type === 0) isExternal = onnx[value] === 1;
    if (number === 13 && type === 2) {
      let [key, text] = ["", ""];
      for (const part of fields(onnx, value, last, fail)) {
        if (part.number === 1) key = textOf(onnx, part.value, part.end);
        if (part.number === 2) text = textOf(onnx, part.value, part.end);
      }
      entries[key] = text;
    }
  }
  if (!isExternal && entries.location === undefined) return undefined;
  const count = (key: string) => {
    const text = entries[key];
    if (text === undefined) return undefined;
    const number = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(number)) {
      const message = `tensor "${tensor}": its ${key} in another file is "${text}"`;
      throw fail("MODEL_FORMAT", message, { tensor });
    }
    return number;
  };
  const location = (entries.location ?? "").replace(/^(\.\/)+/, "");
  return { tensor, location, offset: count("offset") ?? 0, length: count("length") };
}

function textOf(onnx: Bytes, start: number, end: number): string {
  return new TextDecoder().decode(onnx.subarray(start, end));
}

/** The fields of a message in their order. */
function* fields(onnx: Bytes, start: number, end: number, fail: Fail): Generator<Field> {
  let at = start;
  const damaged = () => {
    const message = `this ONNX model cannot be read: a field at offset ${at} ends outside of its message`;
    return fail("MODEL_FORMAT", message, { offset: at });
  };
  const number = () => {
    let [value, factor] = [0, 1];
    for (;;) {
      const byte = onnx[at++];
      if (byte === undefined || at > end || factor > 2 ** 63) throw damaged();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      factor *= 128;
    }
  };
  while (at < end) {
    const begin = at;
    const tag = number();
    const type = tag % 8;
    let value = at;
    if (type === 0) number();
    else if (type === 1) at += 8;
    else if (type === 5) at += 4;
    else if (type === 2) {
      const length = number();
      value = at;
      at += length;
    } else throw damaged();
    if (at > end) throw damaged();
    yield { number: Math.floor(tag / 8), type, start: begin, value, end: at };
  }
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Uint8Array.from([...bytes, value]);
}
