// Small ONNX files, zips and metadata, written here: the tests of files need many that differ in one
// thing each. Field numbers are those of onnx.proto and of APPNOTE 6.3.10.
import zlib from "node:zlib";

const varint = (value) => {
  const bytes = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
};
const int = (field, value) => Buffer.concat([varint(field * 8), varint(value)]);
const span = (field, value) => {
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(value);
  return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes]);
};
const float = (field, value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([varint(field * 8 + 5), bytes]);
};
const bytesOf = (numbers, dtype) =>
  Buffer.from(new (dtype === 7 ? BigInt64Array : Float32Array)(numbers).buffer);

/** Floats (1) or int64 (7); strings (8) come as such. */
export function tensor(name, dims, values, dtype = 1) {
  const data =
    dtype === 8
      ? values.map((text) => span(6, text))
      : [span(9, bytesOf(dtype === 7 ? values.map(BigInt) : values, dtype))];
  return Buffer.concat([...dims.map((dim) => int(1, dim)), int(2, dtype), span(8, name), ...data]);
}

/** Floats whose bytes lie in another file. */
export function externalTensor(name, dims, entries) {
  const pairs = Object.entries(entries).map(([key, value]) =>
    span(13, Buffer.concat([span(1, key), span(2, String(value))])),
  );
  return Buffer.concat([
    ...dims.map((dim) => int(1, dim)),
    int(2, 1),
    span(8, name),
    ...pairs,
    int(14, 1),
  ]);
}

function attribute(name, value) {
  const [kind, parts] =
    typeof value === "number"
      ? [2, [int(3, value)]]
      : value.float !== undefined
        ? [1, [float(2, value.float)]]
        : typeof value[0] === "string"
          ? [8, value.map((text) => span(9, text))]
          : [7, value.map((number) => int(8, number))];
  return Buffer.concat([span(1, name), ...parts, int(20, kind)]);
}

export function node(operator, inputs, outputs, attributes = {}, domain = "") {
  return Buffer.concat([
    ...inputs.map((name) => span(1, name)),
    ...outputs.map((name) => span(2, name)),
    span(4, operator),
    ...Object.entries(attributes).map(([name, value]) => span(5, attribute(name, value))),
    ...(domain ? [span(7, domain)] : []),
  ]);
}

/** A tensor of the graph's surface; dimensions that are texts are open. */
export function value(name, dims, dtype = 1) {
  const shape = dims.map((dim) => span(1, typeof dim === "number" ? int(1, dim) : span(2, dim)));
  const type = span(1, Buffer.concat([int(1, dtype), span(2, Buffer.concat(shape))]));
  return Buffer.concat([span(1, name), span(2, type)]);
}

export function model({ nodes, initializers = [], inputs, outputs, properties = {}, opset = 17 }) {
  const graph = Buffer.concat([
    ...nodes.map((one) => span(1, one)),
    span(2, "t"),
    ...initializers.map((one) => span(5, one)),
    ...inputs.map((one) => span(11, one)),
    ...outputs.map((one) => span(12, one)),
  ]);
  const opsets = [
    ["", opset],
    ["ai.onnx.ml", 3],
  ].map(([domain, version]) => span(8, Buffer.concat([span(1, domain), int(2, version)])));
  const props = Object.entries(properties).map(([key, text]) =>
    span(14, Buffer.concat([span(1, key), span(2, text)])),
  );
  return new Uint8Array(Buffer.concat([int(1, 8), ...opsets, span(7, graph), ...props]));
}

const IDENTITY = [4, 0, 0, 0, 4, 0, 0, 0, 4];

/**
 * Scores of three classes, softmax of 4 * mean color of 32 x 32 pixels; `edit` changes the parts.
 */
export function colors(edit = (parts) => parts) {
  return model(
    edit({
      nodes: [
        node("GlobalAveragePool", ["input"], ["pooled"]),
        node("Flatten", ["pooled"], ["flat"]),
        node("Gemm", ["flat", "W", "B"], ["logits"]),
        node("Softmax", ["logits"], ["scores"], { axis: 1 }),
      ],
      initializers: [tensor("W", [3, 3], IDENTITY), tensor("B", [3], [0, 0, 0])],
      inputs: [value("input", [1, 3, 32, 32])],
      outputs: [value("scores", [1, 3])],
    }),
  );
}

/** The same with its weights in other files, and these. */
export function withExternalData(location = "m.onnx.data", change = {}) {
  const data = new Uint8Array(bytesOf([...IDENTITY, 0, 0, 0], 1));
  const at = (offset, length) => ({ location, offset, length, ...change });
  const bytes = colors((parts) => ({
    ...parts,
    initializers: [externalTensor("W", [3, 3], at(0, 36)), externalTensor("B", [3], at(36, 12))],
  }));
  return { bytes, data };
}

/** One score for red: a sigmoid of 8 * red - 4, or its logit. */
export function oneScore(end = "Sigmoid") {
  return colors((parts) => ({
    ...parts,
    nodes: [
      ...parts.nodes.slice(0, 2),
      node("Gemm", ["flat", "W", "B"], [end ? "logit" : "score"]),
      ...(end ? [node(end, ["logit"], ["score"], end === "Softmax" ? { axis: 1 } : {})] : []),
    ],
    initializers: [tensor("W", [3, 1], [8, 0, 0]), tensor("B", [1], [-4])],
    outputs: [value("score", [1, 1])],
  }));
}

/** Black or white: softmax of -+(8 * mean - 4) of an input of any shape. */
export function blackOrWhite(shape, dtype = 1) {
  const casts = dtype === 1 ? [] : [node("Cast", ["input"], ["real"], { to: 1 })];
  const count = shape.reduce((product, side) => product * side, 1);
  return model({
    nodes: [
      ...casts,
      node("Reshape", [casts.length > 0 ? "real" : "input", "row"], ["flat"]),
      node("Gemm", ["flat", "W", "B"], ["logits"]),
      node("Softmax", ["logits"], ["scores"], { axis: 1 }),
    ],
    initializers: [
      tensor("row", [2], [1, count], 7),
      tensor(
        "W",
        [count, 2],
        Array.from({ length: 2 * count }, (_, at) => (at % 2 ? 8 : -8) / count),
      ),
      tensor("B", [2], [4, -4]),
    ],
    inputs: [value("input", shape, dtype)],
    outputs: [value("scores", [1, 2])],
  });
}

/** A picture of one color. */
export function picture([red, green, blue], width = 32, height = 32) {
  const data = new Uint8Array(width * height * 4);
  for (let at = 0; at < data.length; at += 4) data.set([red, green, blue, 255], at);
  return { data, width, height };
}

/** Green, with a red square in the middle of a wide picture. */
export function wide() {
  const [width, height] = [128, 32];
  const image = picture([0, 255, 0], width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 48; x < 80; x++) image.data.set([255, 0, 0, 255], (y * width + x) * 4);
  }
  return image;
}

/** A zip; contents that are `[size, bytes]` claim another size. */
export function zip(files, { deflate = false } = {}) {
  const [parts, directory] = [[], []];
  let offset = 0;
  for (const [name, content] of Object.entries(files)) {
    const [claimed, raw] = Array.isArray(content) ? content : [undefined, content];
    const bytes = Buffer.from(raw);
    const packed = deflate ? zlib.deflateRawSync(bytes) : bytes;
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(deflate ? 8 : 0, 4);
    common.writeUInt32LE(crcOf(bytes), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(claimed ?? bytes.length, 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), common, Buffer.from(name), packed]);
    const more = Buffer.alloc(14);
    more.writeUInt32LE(offset, 10);
    directory.push(Buffer.from("PK\x01\x02\x14\0"), common, more, Buffer.from(name));
    parts.push(local);
    offset += local.length;
  }
  const list = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  const count = Object.keys(files).length;
  end.writeUInt16LE(count, 8);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(list.length, 12);
  end.writeUInt32LE(offset, 16);
  return new Uint8Array(Buffer.concat([...parts, list, end]));
}

/** CRC-32, which not every Node 20 has. */
function crcOf(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** A model whose zip at the end holds another label file; offsets count from the zip's beginning. */
export function withLabelFile(tflite, files) {
  const end = Buffer.from(tflite).lastIndexOf("PK\x05\x06", undefined, "latin1");
  const start = end < 0 ? tflite.length : Buffer.from(tflite).readUInt32LE(end + 16);
  const first = Buffer.from(tflite).indexOf("PK\x03\x04", 0, "latin1");
  const cut = end < 0 ? tflite.length : Math.min(first, start);
  return new Uint8Array(Buffer.concat([Buffer.from(tflite).subarray(0, cut), zip(files)]));
}
