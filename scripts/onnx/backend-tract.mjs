// Which of the ONNX project's backend tests tract runs right:
//
//   node scripts/onnx/backend-tract.mjs    writes tests/fixtures/onnx/backend-tract.txt
//
// Needs the built package, pkg/, or ACHADO_PKG=FOLDER, and beside it in ACHADO_ONNX_REPORT the report
// that `cargo test --test onnx_backend` writes to the file of that name: tract is asked about the cases
// that the engine refuses, in both forms of tests/onnx_backend. A line is a form and a name.
import { readFileSync, writeFileSync } from "node:fs";
import { inflateSync } from "node:zlib";

const root = new URL("../../", import.meta.url);
const entry = new URL(`${process.env.ACHADO_PKG ?? new URL("pkg", root).pathname}/dist/node.js`, root);
const { createModel } = await import(entry);

const bytes = inflateSync(readFileSync(new URL("tests/fixtures/onnx/backend.bin", root)).subarray(4));
let at = 0;
const number = () => bytes.readUInt32LE((at += 4) - 4);
const blobs = Array.from({ length: number() }, () => {
  const length = number();
  return bytes.subarray(at, (at += length));
});
const tensors = () =>
  Array.from({ length: number() }, () => {
    const kind = number();
    const shape = Array.from({ length: number() }, number);
    return { kind, shape, data: blobs[number()] };
  });
const cases = Array.from({ length: number() }, () => ({
  name: blobs[number()].toString(),
  model: blobs[number()],
  inputs: tensors(),
  outputs: tensors(),
}));

function* fields(message) {
  let place = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[place++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(value);
    }
  };
  while (place < message.length) {
    const start = place;
    const tag = varint();
    let value = Buffer.alloc(0);
    if ((tag & 7) === 0) varint();
    else {
      const length = { 1: 8, 5: 4 }[tag & 7] ?? varint();
      value = message.subarray(place, (place += length));
    }
    yield { number: tag >> 3, value, whole: message.subarray(start, place) };
  }
}

function put(field, value) {
  const varint = (rest) => {
    const out = [];
    for (; rest >= 0x80; rest = Math.floor(rest / 128)) out.push((rest % 128) | 0x80);
    return [...out, rest];
  };
  if (typeof value === "number") return Buffer.from([...varint(field << 3), ...varint(value)]);
  return Buffer.concat([Buffer.from([...varint((field << 3) | 2), ...varint(value.length)]), value]);
}

const nameOf = (message, field) =>
  [...fields(message)].find((one) => one.number === field)?.value.toString() ?? "";
const graphOf = (model) => [...fields(model)].find((one) => one.number === 7).value;

function inputsOf(model) {
  const graph = [...fields(graphOf(model))];
  const known = graph.filter((one) => one.number === 5).map((one) => nameOf(one.value, 8));
  const names = graph.filter((one) => one.number === 11).map((one) => nameOf(one.value, 1));
  return names.filter((name) => !known.includes(name));
}

function withConstants(model, constants) {
  const isConstant = (name) => constants.some((one) => one.name === name);
  const kept = [...fields(graphOf(model))].filter(
    (one) => one.number !== 11 || !isConstant(nameOf(one.value, 1)),
  );
  const added = constants.map(({ name, kind, shape, data }) => {
    const dims = shape.map((size) => put(1, size));
    return put(5, Buffer.concat([...dims, put(2, kind), put(8, Buffer.from(name)), put(9, data)]));
  });
  const graph = Buffer.concat([...kept.map((one) => one.whole), ...added]);
  const parts = [...fields(model)].map((one) => (one.number === 7 ? put(7, graph) : one.whole));
  return Buffer.concat(parts);
}

const ARRAYS = { 1: Float32Array, 2: Uint8Array, 3: Int8Array, 4: Uint16Array, 5: Int16Array, 6: Int32Array, 7: BigInt64Array, 9: Uint8Array, 11: Float64Array, 12: Uint32Array, 13: BigUint64Array };
const TYPES = { 1: "float32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16" };

function half(bits) {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

function numbers(kind, data) {
  const own = new Uint8Array(data).buffer;
  if (kind === 10) return Array.from(new Uint16Array(own), half);
  return Array.from(new ARRAYS[kind](own), Number);
}

function isRight(expected, found) {
  const real = [1, 10, 11].includes(expected.kind);
  if (String(expected.shape) !== String(found.shape)) return false;
  const wanted = numbers(expected.kind, expected.data);
  const values = found.dtype === "float16" ? Array.from(found.data, half) : Array.from(found.data, Number);
  return wanted.every((b, index) => {
    const a = values[index];
    if (Object.is(a, b) || a === b || (Number.isNaN(a) && Number.isNaN(b))) return true;
    return real && Math.abs(a - b) <= 1e-3 * Math.abs(b) + 1e-5;
  });
}

async function run(one, form) {
  const given = inputsOf(one.model).map((name, index) => ({ name, ...one.inputs[index] }));
  const constants = form === "Constants" ? given.slice(1) : [];
  const inputs = given.slice(0, given.length - constants.length);
  const model = withConstants(one.model, constants);
  const inputShapes = Object.fromEntries(inputs.map(({ name, shape }) => [name, shape]));
  const opened = await createModel({
    model: new Uint8Array(model),
    onnxFallback: "tract",
    inputShapes,
    worker: false,
    threads: 1,
  });
  try {
    if (opened.runtime.backend !== "tract") return "engine";
    const tensors = {};
    for (const [index, { name, kind, data }] of inputs.entries()) {
      const info = opened.metadata.inputs[index];
      if (info.dtype !== TYPES[kind]) return "type";
      const own = new Uint8Array(data).buffer;
      tensors[name] = kind === 10 ? new Uint16Array(own) : new ARRAYS[kind](own);
    }
    const outputs = await opened.run(tensors);
    const all = Array.isArray(outputs) ? outputs : (outputs.outputs ?? Object.values(outputs));
    return one.outputs.every((expected, index) => isRight(expected, all[index])) ? "right" : "wrong";
  } finally {
    opened.close?.();
  }
}

const report = readFileSync(process.env.ACHADO_ONNX_REPORT, "utf8").split("\n");
const rows = report.map((line) => line.split("\t"));
const refused = new Set(
  rows.filter(([, kind]) => kind === "refused").map(([form, , name]) => `${form} ${name}`),
);
const lines = [];
const counts = {};
for (const one of cases) {
  for (const form of ["AsItIs", "Constants"]) {
    if (!refused.has(`${form} ${one.name}`)) continue;
    const outcome = await run(one, form).catch((error) => error.code ?? "error");
    counts[outcome] = (counts[outcome] ?? 0) + 1;
    if (outcome === "right") lines.push(`${form} ${one.name}\n`);
    if (outcome === "wrong") console.log(`wrong: ${form} ${one.name}`);
  }
}
writeFileSync(new URL("tests/fixtures/onnx/backend-tract.txt", root), lines.join(""));
console.log(JSON.stringify(counts));
