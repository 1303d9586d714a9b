// ONNX models with an operator that achado lacks, in Node: refused, or run by tract where that is
// allowed.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { AchadoError, createClassifier, createModel } from "../../pkg/dist/node.js";
import { open } from "./support.mjs";

const fixture = (name) => fileURLToPath(new URL(`../fixtures/onnx/${name}`, import.meta.url));
const model = fixture("einsum.onnx");
const file = await readFile(model);
const recorded = await readFile(fixture("einsum.npy"));
const [width, height, classes] = [24, 16, 5];
/** What ONNX Runtime answers: the end of the .npy file. */
const wanted = Array.from({ length: classes }, (_, at) =>
  recorded.readFloatLE(recorded.length - 4 * (classes - at)),
);
const labels = ["one", "two", "three", "four", "five"];
const allowed = { model, preprocess: "unit", onnxFallback: "tract" };

/** A colour of the picture of scripts/onnx/einsum.py. */
const byte = (x, y, channel) => (x * 9 + y * 4 + channel * 70) % 256;
const picture = {
  data: Uint8Array.from({ length: width * height * 4 }, (_, at) => {
    const pixel = Math.floor(at / 4);
    return at % 4 === 3 ? 255 : byte(pixel % width, Math.floor(pixel / width), at % 4);
  }),
  width,
  height,
};

function near(found, message) {
  assert.equal(found.length, classes, message);
  for (const [at, score] of found.entries()) {
    assert.ok(Math.abs(score - wanted[at]) <= 1e-5, `${message}: ${found}, wanted ${wanted}`);
  }
}

function scores({ classifications: [{ categories }] }) {
  const byClass = [];
  for (const { index, score } of categories) byClass[index] = score;
  return byClass;
}

/** A model that is closed when the test is over. */

async function refused(promise, code, words) {
  const error = await promise.then(
    () => assert.fail(`${code} was expected`),
    (error) => error,
  );
  assert.ok(error instanceof AchadoError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, words);
  assert.doesNotMatch(error.message, /unreachable/);
  return error;
}

test("without the option the operator is named, and the option", async () => {
  const { onnxFallback: _, ...options } = allowed;
  const words = /node 3 "order" \(BitwiseAnd, opset 18\).*; onnxFallback: "tract"/;
  const error = await refused(createClassifier(options), "UNSUPPORTED_OPERATOR", words);
  assert.equal(error.detail.operator, "BitwiseAnd");
  assert.match(error.detail.hint, /onnxFallback/);
});

test("with it tract answers as ONNX Runtime does, and the runtime says so", async (t) => {
  const classifier = await open(t, createClassifier, { ...allowed, labels, batchSize: 2 });
  const result = await classifier.classify(picture);
  near(scores(result), "classify");
  assert.equal(result.top.categoryName, "five");
  const { backend, threads, fallbacks } = classifier.runtime;
  assert.deepEqual([backend, threads], ["tract", 1]);
  const [fallback, batches] = fallbacks.filter(({ from }) => from !== "threads");
  assert.deepEqual([fallback.from, fallback.to], ["wasm", "tract"]);
  assert.match(fallback.reason, /"order" \(BitwiseAnd, opset 18\)/);
  assert.equal(batches.to, "one by one");
  assert.equal(classifier.metadata.heads[0].activation, "softmax");

  const several = await classifier.classifyBatch([picture, picture, picture]);
  for (const one of several) near(scores(one), "classifyBatch");
  await classifier.setOptions({ maxResults: 1 });
  assert.equal((await classifier.classify(picture)).classifications[0].categories.length, 1);
  const [line, ...others] = await classifier.profile(2);
  assert.deepEqual([line.operator, line.share, others.length], ["tract", 1, 0]);
  // Scores are no embedding, and tract keeps no features before its last layer.
  await refused(classifier.embed(picture), "UNSUPPORTED_TYPE", /no last dense layer/);
});

test("tensors have the names, shapes and order of the file", async (t) => {
  const opened = await open(t, createModel, { ...allowed, model: file });
  const { inputs, outputs, pictureInput } = opened.metadata;
  assert.equal(pictureInput, 0);
  assert.deepEqual(
    inputs.map(({ name, shape, shapeSignature, dtype }) => [name, shape, shapeSignature, dtype]),
    [["pixels", [1, 3, height, width], [-1, 3, height, width], "float32"]],
  );
  assert.deepEqual([outputs[0].name, outputs[0].shape], ["scores", [1, classes]]);
  const pixels = Float32Array.from({ length: 3 * height * width }, (_, at) => {
    const row = Math.floor(at / width);
    return byte(at % width, row % height, Math.floor(row / height)) / 255;
  });
  near((await opened.run({ pixels })).scores.data, "run");
  near((await opened.runImage(picture)).scores.data, "runImage");
});

test("a model that achado converts is not given to tract", async (t) => {
  const options = { ...allowed, model: fixture("colours.onnx") };
  const classifier = await open(t, createClassifier, options);
  assert.deepEqual([classifier.runtime.backend, classifier.runtime.fallbacks], ["wasm", []]);
});

test("other values of the option, damaged files and wrong options are errors of their own", async () => {
  const other = createClassifier({ ...allowed, onnxFallback: "onnxruntime" });
  await refused(other, "INVALID_OPTION", /onnxFallback: must be "tract", is onnxruntime/);
  const cut = createClassifier({ ...allowed, model: file.subarray(0, file.length - 40) });
  await refused(cut, "MODEL_FORMAT", /truncated or damaged/);
  const few = createClassifier({ ...allowed, labels: ["one"] });
  await refused(few, "INVALID_OPTION", /5 classes, the list has 1/);
  const unsaid = createClassifier({ model, onnxFallback: "tract" });
  await refused(unsaid, "METADATA_MISSING", /preprocess/);
});

/** Bytes of the model with another word of the same length. */
function replaced(word, by) {
  const bytes = Buffer.from(file);
  for (let at = bytes.indexOf(word); at >= 0; at = bytes.indexOf(word)) bytes.write(by, at);
  return bytes;
}

test("what neither runs has both reasons", async () => {
  const unknown = createClassifier({ ...allowed, model: replaced("BitwiseAnd", "BitwiseAne") });
  const words = /"order" \(BitwiseAne, opset 18\).*and tract does not run the model: .*BitwiseAne/;
  const error = await refused(unknown, "UNSUPPORTED_OPERATOR", words);
  assert.match(error.detail.tract, /no operator "BitwiseAne"/);
  const equation = createClassifier({ ...allowed, model: replaced("bchw,kc->bk", "bchw,kc=>bk") });
  await refused(equation, "UNSUPPORTED_OPERATOR", /and tract does not run the model/);
});
