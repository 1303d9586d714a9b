// pruneModel in Node, and the command: float models become smaller without training.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "node:test";
import { brotliCompressSync } from "node:zlib";
import { inspectModel } from "../../pkg/dist/inspect-node.js";
import { createModel } from "../../pkg/dist/node.js";
import { pruneModel, QuantizationConfig, quantizeModel } from "../../pkg/dist/quantize-node.js";

const MODEL = "crates/maker/tests/quantize.tflite";
const ONNX = "tests/fixtures/onnx/mobilenet_v2.onnx";

/** Stripes, each picture with colors of its own. */
function pictures(count, size = 24) {
  return Array.from({ length: count }, (_, seed) => {
    const data = new Uint8ClampedArray(size * size * 4);
    for (let i = 0; i < data.length; i++) {
      const [x, y] = [(i >> 2) % size, Math.floor((i >> 2) / size)];
      const wave = Math.sin(x * (0.2 + seed * 0.03) + seed) + Math.cos(y * 0.3 + (i % 4) * seed);
      data[i] = i % 4 === 3 ? 255 : 128 + 60 * wave;
    }
    return { data, width: size, height: size };
  });
}

const preprocess = "symmetric";

test("channels are cut: fewer multiplications, the same interface", async () => {
  const seen = [];
  const { model, sizes, report, skipped } = await pruneModel(MODEL, {
    method: "channels",
    target: 0.1,
    dataset: pictures(20),
    preprocess,
    onProgress: ({ phase, done, total }) => seen.push([phase, done, total]),
  });
  assert.deepEqual(skipped, []);
  assert.deepEqual(
    [report.pictures, report.compared, sizes.prunedBytes],
    [20, 4, model.byteLength],
  );
  assert.ok(sizes.prunedBytes < sizes.floatBytes);
  assert.ok(report.reached >= 0.1);
  assert.ok(Math.abs(1 - report.macs.after / report.macs.before - report.reached) < 1e-9);
  assert.ok(report.agreement >= 0 && report.agreement <= 1);
  assert.deepEqual(seen.at(-1), ["pruning", 20, 20]);
  const inside = await inspectModel(model, { runs: 0 });
  assert.equal(inside.totals.macs, report.macs.after);
  const [float, pruned] = await Promise.all(
    [MODEL, model].map((one) => createModel({ model: one, preprocess })),
  );
  assert.deepEqual(pruned.metadata.inputs, float.metadata.inputs);
  assert.deepEqual(pruned.metadata.outputs, float.metadata.outputs);
  await Promise.all([float.close(), pruned.close()]);
});

test("weights become zero: a smaller download of an ONNX model", async () => {
  const { model, report } = await pruneModel(ONNX, {
    method: "weights",
    target: 0.5,
    dataset: pictures(10, 64),
    preprocess: "imagenet",
  });
  assert.ok(report.reached >= 0.5);
  const { totals } = await inspectModel(model, { runs: 0 });
  assert.ok(totals.sparsity > 0.4, `${totals.sparsity}`);
  const { model: float } = await quantizeModel(ONNX, { config: QuantizationConfig.forFloat16() });
  assert.ok(float.byteLength > 0);
  const share = brotliCompressSync(model).byteLength / model.byteLength;
  assert.ok(share < 0.65, `${share}`);
});

test("what cannot be done is refused by name, with the best that was found", async () => {
  const dataset = pictures(4);
  const options = { method: "channels", target: 0.1, dataset, preprocess };
  const refused = (change, code, text, model = MODEL) =>
    assert.rejects(pruneModel(model, { ...options, ...change }), (error) => {
      assert.equal(error.code, code, error.message);
      assert.match(error.message, text);
      return true;
    });
  await refused({ method: "layers" }, "INVALID_OPTION", /method: must be "channels" or "weights"/);
  await refused({ target: 25 }, "INVALID_OPTION", /target: must be a share/);
  await refused({ dataset: undefined }, "INVALID_OPTION", /dataset: needs pictures/);
  await refused({ datset: dataset }, "INVALID_OPTION", /did you mean "dataset"/);
  await refused({ exclude: ["nothing"] }, "INVALID_OPTION", /no operator is called "nothing"/);
  await refused({ dataset: [] }, "NOT_ENOUGH_DATA", /some 100 pictures/);
  await refused({ dataset: pictures(1) }, "NOT_ENOUGH_DATA", /there is 1/);
  await refused({ maxDrop: 5 }, "NOT_ENOUGH_DATA", /every fifth/);
  await refused({ maxDrop: 101 }, "INVALID_OPTION", /maxDrop: must be percent/);
  await refused({ preprocess: undefined }, "METADATA_MISSING", /preprocess/);
  const { model } = await quantizeModel(MODEL, {
    config: QuantizationConfig.forInt8(dataset),
    preprocess,
  });
  await refused({}, "INVALID_OPTION", /quantized already/, model);
  await assert.rejects(pruneModel(MODEL, { ...options, target: 0.98 }), ({ code, detail }) => {
    assert.equal(code, "INVALID_OPTION");
    assert.ok(detail.best > 0 && detail.best < 0.98, JSON.stringify(detail));
    return true;
  });
  await assert.rejects(pruneModel(MODEL, { ...options, signal: AbortSignal.abort() }), {
    name: "AbortError",
  });
});

test("the command writes the file and says what it cost", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "achado-prune-"));
  const run = (...args) =>
    spawnSync(process.execPath, ["pkg/bin/achado.js", "prune", ...args], { encoding: "utf8" });
  const out = path.join(folder, "out.tflite");
  const given = [MODEL, "-o", out, "--calibration", "tests/fixtures/photos"];
  const { stdout, stderr, status } = run(...given, "--preprocess", "symmetric", "--target", "10%");
  assert.equal(status, 0, stderr);
  assert.match(stdout, /out\.tflite: \d+ bytes, [\d.]+ % of \d+/);
  assert.match(stdout, /of the multiplications are gone/);
  assert.ok(readFileSync(out).byteLength > 1000);
  assert.equal(run(MODEL, "-o", out).status, 2);
  assert.equal(run(...given, "--target", "1.5").status, 2);
});
