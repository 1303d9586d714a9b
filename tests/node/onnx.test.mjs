// ONNX models in Node: classified, and converted to .tflite.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { convertOnnx, createClassifier } from "../../pkg/dist/node.js";
import { refused } from "./support.mjs";

const fixture = (name) => fileURLToPath(new URL(`../fixtures/onnx/${name}`, import.meta.url));
const labels = ["red", "green", "blue"];

/** A picture of one colour. */
function plain(...rgb) {
  const data = Uint8Array.from({ length: 16 * 16 * 4 }, (_, at) => [...rgb, 255][at % 4]);
  return { data, width: 16, height: 16 };
}

/** What `colours.onnx` answers, by its own definition. */
function expected(mean, std, ...pixel) {
  const logits = pixel.map((x, at) => 4 * Math.max(0, (x - mean[at]) / std[at] + 2));
  const powers = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
  return powers.map((power) => power / powers.reduce((a, b) => a + b));
}

/** A classifier that is closed when the test is over. */
async function open(t, options) {
  const classifier = await createClassifier(options);
  t.after(() => classifier.close());
  return classifier;
}

async function scores(classifier, picture) {
  const { classifications } = await classifier.classify(picture);
  const byClass = [];
  for (const { index, score } of classifications[0].categories) byClass[index] = score;
  return byClass;
}

function near(found, wanted, tolerance, message) {
  assert.equal(found.length, wanted.length, message);
  for (const [at, score] of found.entries()) {
    assert.ok(Math.abs(score - wanted[at]) <= tolerance, `${message}: ${found}, wanted ${wanted}`);
  }
}

const PRESETS = {
  imagenet: [
    [123.675, 116.28, 103.53],
    [58.395, 57.12, 57.375],
  ],
  unit: [
    [0, 0, 0],
    [255, 255, 255],
  ],
  symmetric: [
    [127.5, 127.5, 127.5],
    [127.5, 127.5, 127.5],
  ],
};

for (const [preprocess, [mean, std]] of Object.entries(PRESETS)) {
  test(`an ONNX model is classified with the preset ${preprocess}`, async (t) => {
    const model = fixture("colours.onnx");
    const classifier = await open(t, { model, preprocess, labels });
    for (const pixel of [
      [250, 30, 40],
      [20, 200, 90],
      [128, 128, 129],
    ]) {
      const found = await scores(classifier, plain(...pixel));
      near(found, expected(mean, std, ...pixel), 1e-5, `${preprocess} of ${pixel}`);
    }
    const { top } = await classifier.classify(plain(10, 20, 230));
    assert.equal(top.categoryName, "blue");
  });
}

test("caffe-bgr takes blue first", async (t) => {
  const model = fixture("colours.onnx");
  const classifier = await open(t, { model, preprocess: "caffe-bgr" });
  const [r, g, b] = [104, 118, 125];
  const wanted = expected([104, 117, 123], [1, 1, 1], b, g, r);
  near(await scores(classifier, plain(r, g, b)), wanted, 1e-5, "blue, green, red");
});

test("own mean and std do what the preset of the same numbers does", async (t) => {
  const [mean, std] = PRESETS.imagenet;
  const model = await readFile(fixture("colours.onnx"));
  const classifier = await open(t, { model, preprocess: { mean, std } });
  const found = await scores(classifier, plain(1, 2, 3));
  near(found, expected(mean, std, 1, 2, 3), 1e-5, "own numbers");
});

test("a quantised ONNX model runs as integers", async (t) => {
  const model = fixture("colours.quantized.onnx");
  const classifier = await open(t, { model, preprocess: "imagenet", labels });
  const [mean, std] = PRESETS.imagenet;
  const pixel = [180, 60, 120];
  // Steps of 0.025 at the input and behind the convolution, times 4.
  near(await scores(classifier, plain(...pixel)), expected(mean, std, ...pixel), 0.05, "quantised");
  const profile = await classifier.profile(1);
  const convolution = profile.find(({ operator }) => operator === "CONV_2D");
  assert.doesNotMatch(convolution.kernel, /f32/, JSON.stringify(profile));
});

test("nobody says how to normalise: METADATA_MISSING; a wrong name: INVALID_OPTION", async () => {
  const model = fixture("colours.onnx");
  const error = await refused(createClassifier({ model }), "METADATA_MISSING", /preprocess/);
  assert.match(error.message, /mean/);
  const wrong = createClassifier({ model, preprocess: "imagnet" });
  await refused(wrong, "INVALID_OPTION", /raw, unit, symmetric, imagenet, caffe-bgr/);
});

test("what PyTorch exports is classified", async (t) => {
  for (const name of ["mobilenet_v3", "vit"]) {
    const model = fixture(`${name}.onnx`);
    const classifier = await open(t, { model, preprocess: "imagenet" });
    const { classifications } = await classifier.classify(plain(200, 100, 50));
    assert.equal(classifications[0].categories.length, 10, name);
  }
});

test("convertOnnx gives a .tflite that says its labels and normalisation", async (t) => {
  const onnx = fixture("colours.onnx");
  const tflite = await convertOnnx(onnx, { labels, preprocess: "imagenet" });
  assert.equal(Buffer.from(tflite.subarray(4, 8)).toString(), "TFL3");
  // No option says it: the file does.
  const classifier = await open(t, { model: tflite });
  const { top } = await classifier.classify(plain(20, 230, 30));
  assert.equal(top.categoryName, "green");
  const [mean, std] = PRESETS.imagenet;
  const found = await scores(classifier, plain(9, 99, 199));
  near(found, expected(mean, std, 9, 99, 199), 1e-5, "converted");
});

test("convertOnnx refuses what is no ONNX model, and options that do not fit", async () => {
  const tflite = new URL("../../pkg/models/efficientnet-lite0-int8.tflite", import.meta.url);
  await refused(convertOnnx(tflite), "MODEL_FORMAT", /not an ONNX model/);
  const model = fixture("colours.onnx");
  await refused(convertOnnx(model, { labels: ["one"] }), "INVALID_OPTION", /labels/);
  const shapes = convertOnnx(model, { inputShapes: { other: [1, 3, 8, 8] } });
  await refused(shapes, "INVALID_OPTION", /other/);
  await refused(convertOnnx(model, { label: [] }), "INVALID_OPTION", /no such option/);
  const aborted = convertOnnx(model, { signal: AbortSignal.abort() });
  await assert.rejects(aborted, { name: "AbortError" });
});
