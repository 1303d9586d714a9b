// achado/inspect in Node, and the command: what models are made of.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "node:test";
import { inspectModel } from "../../pkg/dist/inspect-node.js";
import { QuantizationConfig, quantizeModel } from "../../pkg/dist/quantize-node.js";

const MODEL = "crates/maker/tests/quantize.tflite";
const ONNX = "tests/fixtures/onnx/mobilenet_v3.onnx";
const DEFAULT = "models/efficientnet-lite0-int8.tflite";

/** Multiplications of a convolution, counted another way: taps of each result. */
function products({ operator, inputs, outputs }, tensors) {
  const size = (id) => tensors[id].shape.reduce((a, b) => a * b, 1);
  const weights = tensors[inputs[1]]?.shape ?? [];
  if (operator === "CONV_2D") return size(outputs[0]) * weights[1] * weights[2] * weights[3];
  if (operator === "DEPTHWISE_CONV_2D") return size(outputs[0]) * weights[1] * weights[2];
  if (operator === "FULLY_CONNECTED") return weights[0] * weights[1];
  return 0;
}

test("a float model has its operators, sizes, multiplications and times", async () => {
  const found = await inspectModel(MODEL, { runs: 3 });
  assert.equal(found.format, "tflite");
  assert.equal(found.fileBytes, readFileSync(MODEL).byteLength);
  assert.equal(found.precision, "float32");
  assert.equal(found.problem, null);
  assert.equal(found.measured.runs, 3);
  const { operators, tensors, totals } = found;
  for (const one of operators) {
    if (/CONV|FULLY/.test(one.operator)) assert.equal(one.macs, products(one, tensors), one.name);
    // Each is measured, or computed with another or at load.
    assert.notEqual(one.kernel === null, one.computedIn === null, JSON.stringify(one));
  }
  assert.ok(
    operators.some(
      ({ operator, attributes }) => operator === "CONV_2D" && /stride/.test(attributes),
    ),
  );
  const shares = operators.reduce((sum, { share }) => sum + (share ?? 0), 0);
  assert.ok(Math.abs(shares - 1) < 1e-6, `${shares}`);
  assert.equal(
    totals.macs,
    operators.reduce((sum, { macs }) => sum + macs, 0),
  );
  const weights = tensors.filter(({ statistics }) => statistics);
  assert.ok(weights.length > 5);
  for (const { statistics, shape } of weights) {
    const elements = shape.reduce((a, b) => a * b, 1);
    assert.equal(
      statistics.histogram.reduce((a, b) => a + b, 0),
      elements,
    );
    assert.ok(statistics.min <= statistics.mean && statistics.mean <= statistics.max);
  }
});

test("an int8 model has its quantization, labels and normalization", async () => {
  const found = await inspectModel(DEFAULT, { runs: 0 });
  assert.match(found.precision, /^(u?int8|mixed)$/);
  assert.equal(found.labels.length, 1000);
  assert.equal(found.metadata.inputs[0].normalization.mean.length, 1);
  const input = found.tensors[found.inputs[0]];
  assert.deepEqual(input.shape, [1, 224, 224, 3]);
  assert.equal(input.quantization.scale.length, 1);
  assert.ok(found.tensors.some(({ scales }) => scales > 1));
  assert.equal(found.measured, null);
  assert.ok(found.totals.macs > 300e6 && found.totals.macs < 500e6, `${found.totals.macs}`);
});

test("ONNX models are described as what they become", async () => {
  const found = await inspectModel(ONNX, { runs: 1 });
  assert.equal(found.format, "onnx");
  assert.equal(found.fileBytes, readFileSync(ONNX).byteLength);
  assert.ok(found.operators.some(({ operator }) => operator === "DEPTHWISE_CONV_2D"));
  assert.ok(found.totals.runMs > 0);
});

test("8-bit weights and float16 are told apart", async () => {
  const precisionOf = async (config) => {
    const { model } = await quantizeModel(ONNX, { config });
    return (await inspectModel(model, { runs: 0 })).precision;
  };
  assert.equal(await precisionOf(QuantizationConfig.forFloat16()), "float16");
  assert.equal(await precisionOf(QuantizationConfig.forDynamic()), "8-bit weights");
});

/** The file with the code of one builtin operator changed everywhere. */
function withOperator(from, to) {
  const bytes = readFileSync(MODEL);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const root = view.getUint32(0, true);
  const field = (table, at) => {
    const vtable = table - view.getInt32(table, true);
    const offset =
      4 + 2 * at < view.getUint16(vtable, true) ? view.getUint16(vtable + 4 + 2 * at, true) : 0;
    return offset ? table + offset : 0;
  };
  const at = (place) => place + view.getUint32(place, true);
  const codes = at(field(root, 1));
  let changed = 0;
  for (let i = 0; i < view.getUint32(codes, true); i++) {
    const code = at(codes + 4 + 4 * i);
    const [old, now] = [field(code, 0), field(code, 3)];
    if (!old || view.getInt8(old) !== from) continue;
    view.setInt8(old, to);
    if (now) view.setInt32(now, to, true);
    changed += 1;
  }
  assert.ok(changed > 0);
  return bytes;
}

const [SOFTMAX, UNIQUE, WHILE] = [25, 103, 119];

test("a model that cannot be run is described, and says why", async () => {
  const found = await inspectModel(withOperator(SOFTMAX, UNIQUE));
  assert.equal(found.problem.code, "UNSUPPORTED_OPERATOR");
  assert.match(found.problem.message, /UNIQUE/);
  assert.equal(found.measured, null);
  const missing = found.operators.filter((one) => one.missing);
  assert.deepEqual(
    missing.map(({ operator }) => operator),
    ["UNIQUE"],
  );
  assert.ok(found.operators.length > 5 && found.tensors.length > 10);
  const loops = await inspectModel(withOperator(SOFTMAX, WHILE));
  assert.match(loops.problem.message, /Control flow/);
});

test("what is no model is refused", async () => {
  const refused = (model, options, code, text) =>
    assert.rejects(inspectModel(model, options), (error) => {
      assert.equal(error.code, code, error.message);
      assert.match(error.message, text);
      return true;
    });
  await refused(new Uint8Array(100), {}, "MODEL_FORMAT", /./);
  const cut = readFileSync(MODEL).subarray(0, 3000);
  await refused(cut, {}, "MODEL_FORMAT", /./);
  await refused(MODEL, { run: 3 }, "INVALID_OPTION", /did you mean "runs"/);
  await refused(MODEL, { runs: 1.5 }, "INVALID_OPTION", /whole number/);
  const aborted = inspectModel(MODEL, { signal: AbortSignal.abort() });
  await assert.rejects(aborted, { name: "AbortError" });
});

test("the command prints tables, or all as JSON", () => {
  const run = (...args) =>
    spawnSync(process.execPath, ["pkg/bin/achado.js", "inspect", ...args], { encoding: "utf8" });
  const { stdout, stderr, status } = run(MODEL, "--runs", "2");
  assert.equal(status, 0, stderr);
  assert.match(stdout, /quantize\.tflite: tflite, \d+ bytes, float32/);
  assert.match(stdout, /^input .* float32 \[1, 24, 24, 3\]$/m);
  assert.match(stdout, /CONV_2D .* ms/s);
  assert.match(stdout, /ms on this device/);
  const json = JSON.parse(run(MODEL, "--json", "--runs", "0").stdout);
  assert.equal(json.operators[0].index, 0);
  const file = path.join(mkdtempSync(path.join(tmpdir(), "achado-inspect-")), "loop.tflite");
  writeFileSync(file, withOperator(SOFTMAX, WHILE));
  const broken = run(file);
  assert.equal(broken.status, 1);
  assert.match(broken.stdout, /cannot be run: .*WHILE/);
  assert.match(broken.stdout, /missing/);
  assert.equal(run().status, 2);
});
