// achado/quantize in Node, and the command: float models become smaller, and say what it cost.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "node:test";
import { convertOnnx, createModel } from "../../pkg/dist/node.js";
import { QuantizationConfig, quantizeModel } from "../../pkg/dist/quantize-node.js";

const MODEL = "crates/maker/tests/quantize.tflite";
const ONNX = "tests/fixtures/onnx/mobilenet_v2.onnx";
const SIZE = 24;

/** Pictures of noise, each with a color of its own. */
function pictures(count, size = SIZE) {
  return Array.from({ length: count }, (_, seed) => {
    const data = new Uint8ClampedArray(size * size * 4);
    for (let i = 0; i < data.length; i++) {
      const noise = (((i + 1) * (seed + 7) * 40503) >>> 5) & 127;
      data[i] = i % 4 === 3 ? 255 : noise + (seed % 3 === i % 4 ? 128 : 0);
    }
    return { data, width: size, height: size };
  });
}

const preprocess = "symmetric";

test("int8 answers as the float model does, and reports how far each layer is off", async () => {
  const seen = [];
  const { model, report, sizes, skipped } = await quantizeModel(MODEL, {
    config: QuantizationConfig.forInt8(pictures(16)),
    preprocess,
    onProgress: ({ phase, done, total }) => seen.push([phase, done, total]),
  });
  assert.deepEqual(skipped, []);
  assert.equal(sizes.quantizedBytes, model.byteLength);
  assert.equal(sizes.floatBytes, readFileSync(MODEL).byteLength);
  assert.equal(report.pictures, 16);
  assert.equal(report.compared, 8);
  assert.ok(report.agreement >= 0.75, `${report.agreement}`);
  assert.deepEqual(report.floatOperators, []);
  for (const layer of report.layers) assert.ok(layer.snrDb > 15, JSON.stringify(layer));
  assert.deepEqual(seen[0], ["pictures", 0, 16]);
  assert.deepEqual(seen.at(-1), ["quantizing", 16, 16]);

  const float = await createModel({ model: MODEL, preprocess });
  const int8 = await createModel({ model, preprocess });
  assert.equal(int8.metadata.inputs[0].dtype, "uint8");
  const [picture] = pictures(1);
  const [a] = Object.values(await float.runImage(picture));
  const [b] = Object.values(await int8.runImage(picture));
  b.data.forEach((score, i) => assert.ok(Math.abs(score / 256 - a.data[i]) < 0.08, `${i}`));
  await Promise.all([float.close(), int8.close()]);
});

test("the same pictures give the same bytes", async () => {
  const once = () =>
    quantizeModel(MODEL, { config: QuantizationConfig.forInt8(pictures(6)), preprocess });
  const [a, b] = [await once(), await once()];
  assert.deepEqual(a.model, b.model);
});

test("ONNX models are quantized, too", async () => {
  const { report, sizes } = await quantizeModel(ONNX, {
    config: QuantizationConfig.forInt8(pictures(6, 64)),
    preprocess: "imagenet",
    ioType: "float32",
  });
  assert.ok(report.layers.length > 10);
  assert.ok(sizes.quantizedBytes < 0.8 * sizes.floatBytes, JSON.stringify(sizes));
});

test("float16 and 8-bit weights need no pictures", async () => {
  const half = await quantizeModel(ONNX, { config: QuantizationConfig.forFloat16() });
  assert.equal(half.report, undefined);
  assert.ok(half.sizes.quantizedBytes < 0.7 * half.sizes.floatBytes);
  for (const config of [QuantizationConfig.forDynamic(), QuantizationConfig.forInt8Weights()]) {
    const { sizes } = await quantizeModel(ONNX, { config });
    assert.ok(sizes.quantizedBytes < sizes.floatBytes);
  }
});

test("what cannot be done is refused by name", async () => {
  const config = QuantizationConfig.forInt8(pictures(2));
  const refused = (model, options, code, text) =>
    assert.rejects(quantizeModel(model, { preprocess, ...options }), (error) => {
      assert.equal(error.code, code, error.message);
      assert.match(error.message, text);
      return true;
    });
  await refused(MODEL, { config, exlude: [] }, "INVALID_OPTION", /exlude.*did you mean "exclude"/);
  await refused(MODEL, {}, "INVALID_OPTION", /config: needs QuantizationConfig/);
  await refused(MODEL, { config, exclude: ["nothing"] }, "INVALID_OPTION", /no operator is called/);
  await refused(MODEL, { config, maxDrop: -1 }, "INVALID_OPTION", /maxDrop: must be percent/);
  const one = QuantizationConfig.forInt8(pictures(1));
  await refused(MODEL, { config: one }, "INVALID_INPUT", /some 100 pictures/);
  const none = QuantizationConfig.forInt8([]);
  await refused(MODEL, { config: none }, "INVALID_INPUT", /there are 0/);
  const { model } = await quantizeModel(MODEL, { config, preprocess });
  await refused(model, { config }, "INVALID_OPTION", /quantized already/);
  await refused(MODEL, { config, preprocess: undefined }, "METADATA_MISSING", /preprocess/);
  assert.throws(() => QuantizationConfig.forInt8([], { range: "mse" }), /did you mean "ranges"/);
  const aborted = quantizeModel(MODEL, { config, preprocess, signal: AbortSignal.abort() });
  await assert.rejects(aborted, { name: "AbortError" });
});

test("the command writes the file and says what it cost", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "achado-quantize-"));
  const run = (...args) =>
    spawnSync(process.execPath, ["pkg/bin/achado.js", "quantize", ...args], { encoding: "utf8" });
  const out = path.join(folder, "out.tflite");
  const { stdout, stderr, status } = run(
    ...[MODEL, "-o", out, "--calibration", "tests/fixtures/photos"],
    ...["--preprocess", "symmetric", "--compare"],
  );
  assert.equal(status, 0, stderr);
  assert.match(stdout, /out\.tflite: \d+ bytes, [\d.]+ % of \d+/);
  assert.match(stdout, /pictures held back get the float model's class/);
  assert.match(stdout, /CONV_2D .* functional_1/);
  assert.ok(readFileSync(out).byteLength > 1000);
  assert.equal(run(MODEL, "-o", out).status, 2);
  assert.match(run(MODEL, "-o", out).stderr, /int8 needs --calibration DIR/);
  writeFileSync(path.join(folder, "empty.txt"), "");
  assert.match(run(MODEL, "-o", out, "--calibration", folder).stderr, /no pictures/);
  const half = run(MODEL, "-o", out, "--to", "float16");
  assert.equal(half.status, 0, half.stderr);
  assert.match(
    execFileSync(process.execPath, ["pkg/bin/achado.js", "--help"], { encoding: "utf8" }),
    /quantize/,
  );
});

test("the input's scale is that of the file's normalization, whatever the pictures show", async () => {
  // The file says nothing: a converted ONNX model does.
  const shown = pictures(6, 64).map(({ data, ...rest }) => ({
    ...rest,
    data: data.map((value, i) => (i % 4 === 3 ? 255 : 90 + value / 8)),
  }));
  const file = await convertOnnx(ONNX, { preprocess: "symmetric" });
  const config = QuantizationConfig.forInt8(shown);
  const scaleOf = async (options) => {
    const { model } = await quantizeModel(file, { config, ...options });
    const opened = await createModel({ model, preprocess: "symmetric" });
    const { scale } = opened.metadata.inputs[0].quantization;
    await opened.close();
    return scale;
  };
  // -1 to 1 in 255 steps.
  assert.ok(Math.abs((await scaleOf({})) - 2 / 255) < 1e-6);
  // Other numbers than the file says are measured.
  assert.ok((await scaleOf({ preprocess: "symmetric" })) < 1.5 / 255);
});
