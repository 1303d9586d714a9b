// Models beyond one list of labels: raw tensors, heads, logits, batches, shapes, embeddings.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import {
  cosineSimilarity,
  createClassifier,
  createModel,
  dequantize,
} from "../../pkg/dist/node.js";
import { refused } from "./support.mjs";

const small = (name) => new URL(`../fixtures/small_models/${name}.tflite`, import.meta.url);
const photo = (name) => readFile(new URL(`../fixtures/photos/${name}.jpg`, import.meta.url));

/** A picture of one colour. */
const flat = (r, g, b) => ({ data: Uint8Array.from([r, g, b, 255]), width: 1, height: 1 });
const RED = flat(255, 0, 0);
const BLUE = flat(0, 0, 255);
const GREY = flat(51, 51, 51);

/** Asserts that numbers are alike but for float32's rounding. */
function near(found, expected) {
  assert.equal(found.length, expected.length);
  for (const [i, value] of expected.entries()) {
    assert.ok(Math.abs(found[i] - value) < 1e-6, `${i}: ${found[i]}, should be ${value}`);
  }
}

test("tensors go in by name and come out as typed arrays", async (t) => {
  const model = await createModel({ model: small("tensors") });
  t.after(() => model.close());
  assert.deepEqual(
    model.metadata.inputs.map(({ name, dtype, shape }) => [name, dtype, shape]),
    [
      ["a", "float32", [2, 3]],
      ["b", "float32", [3]],
      ["c", "int64", [2]],
    ],
  );
  assert.equal(model.metadata.pictureInput, null);
  assert.deepEqual(model.metadata.heads, []);
  const a = Float32Array.of(1, 2, 3, 4, 5, 6);
  const b = new Float32Array([9, 10, 20, 30, 9]).subarray(1, 4);
  const c = BigInt64Array.of(-5n, 2n ** 60n);
  const { sum, bytes, same } = await model.run({ c, a, b });
  assert.deepEqual(sum.data, Float32Array.of(11, 22, 33, 14, 25, 36));
  assert.deepEqual(sum.shape, [2, 3]);
  assert.deepEqual(bytes.data, Int8Array.of(21, 43, 65, 27, 49, 71));
  assert.deepEqual(bytes.quantization, { scale: 0.5, zeroPoint: -1 });
  assert.deepEqual(dequantize(bytes), sum.data);
  assert.deepEqual(same.data, c);
  assert.deepEqual(dequantize(same), Float32Array.from([-5, 2 ** 60]));
  // The caller's arrays are still there, and what came out is the caller's.
  assert.deepEqual([a.length, b.length, c.length], [6, 3, 2]);
  const pending = model.run({ a, b, c });
  a.fill(0);
  assert.deepEqual((await pending).sum.data, Float32Array.of(11, 22, 33, 14, 25, 36));
  const zero = await model.run({ a, b, c });
  assert.deepEqual(zero.sum.data, Float32Array.of(10, 20, 30, 10, 20, 30));
  assert.equal(sum.data[0], 11);
});

test("tensors that do not fit are named", async (t) => {
  const model = await createModel({ model: small("tensors") });
  t.after(() => model.close());
  const [a, b, c] = [new Float32Array(6), new Float32Array(3), new BigInt64Array(2)];
  const wrong = (tensors, words) => refused(model.run(tensors), "INVALID_INPUT", words);
  await wrong({ a, b }, /input "c" is missing; the inputs to give are "a", "b", "c"/);
  await wrong({ a, b, c, d: a }, /no input "d" to give; there are "a", "b", "c"/);
  await wrong({ a: b, b, c }, /input "a" of shape \[2, 3\] needs 6 elements, has 3/);
  await wrong(
    { a: new Float64Array(6), b, c },
    /"a" is float32: give a Float32Array, not a Float64/,
  );
  await wrong(
    { a, b, c: new Int32Array(2) },
    /"c" is int64: give a BigInt64Array, not a Int32Array/,
  );
  await wrong({ a: [1, 2, 3, 4, 5, 6], b, c }, /input "a" needs a typed array, is Array/);
  await wrong({ a: new DataView(new ArrayBuffer(24)), b, c }, /needs a typed array, is DataView/);
  await wrong(a, /object of typed arrays/);
  await wrong(undefined, /object of typed arrays/);
  await refused(model.runImage(RED), "UNSUPPORTED_TYPE", /has shape \[2, 3\]/);
  await assert.rejects(model.run({ a, b, c }, { signal: AbortSignal.abort() }), {
    name: "AbortError",
  });
  assert.equal((await model.run({ a, b, c })).sum.data.length, 6);
  await model.close();
  await refused(model.run({ a, b, c }), "CLOSED", /closed/);
});

test("models that are opened for tensors refuse options of classifiers", async () => {
  const wrong = (options, words) => refused(createModel(options), "INVALID_OPTION", words);
  await wrong({ maxResults: 3 }, /maxResults: there is no such option; there are model, /);
  await wrong({ batchSize: 3 }, /batchSize: there is no such option/);
  await wrong({ preprocess: { fit: "covered" } }, /preprocess.fit/);
  await refused(
    createClassifier({ model: small("tensors") }),
    "UNSUPPORTED_TYPE",
    /has 3 inputs; a classifier has one/,
  );
});

test("each head has its name, labels and categories; other outputs are left out", async (t) => {
  const classifier = await createClassifier({ model: small("two_heads") });
  t.after(() => classifier.close());
  assert.deepEqual(classifier.metadata.heads, [
    { headIndex: 1, headName: "kind", classes: 2, labels: 2, activation: "softmax" },
    { headIndex: 2, headName: "tone", classes: 2, labels: 2, activation: "none" },
  ]);
  assert.deepEqual(classifier.metadata.inputs[0].shapeSignature, [-1, 2, 2, 3]);
  const { classifications, top } = await classifier.classify(RED);
  const [kind, tone] = classifications;
  assert.deepEqual(
    [kind.headIndex, kind.headName, tone.headIndex, tone.headName],
    [1, "kind", 2, "tone"],
  );
  assert.deepEqual(
    kind.categories.map((one) => one.categoryName),
    ["cat", "dog"],
  );
  near(
    kind.categories.map((one) => one.score),
    [Math.E / (Math.E + 1), 1 / (Math.E + 1)],
  );
  assert.equal(top.categoryName, "cat");
  // Logits, as the model gives them.
  assert.deepEqual(
    tone.categories.map((one) => [one.categoryName, one.score]),
    [
      ["warm", 1],
      ["cold", -1],
    ],
  );
  await classifier.setOptions({ activation: "sigmoid" });
  const after = (await classifier.classify(RED)).classifications;
  assert.deepEqual(after[0].categories, kind.categories);
  near(
    after[1].categories.map((one) => one.score),
    [1 / (1 + Math.exp(-1)), 1 / (1 + Math.exp(1))],
  );
  await classifier.setOptions({ activation: "softmax", heads: ["tone"] });
  const [only, ...others] = (await classifier.classify(BLUE)).classifications;
  assert.deepEqual([others.length, only.headName], [0, "tone"]);
  near(
    only.categories.map((one) => one.score),
    [1 / (1 + Math.exp(-2)), 1 / (1 + Math.exp(2))],
  );
  assert.equal(only.categories[0].categoryName, "cold");
  const wrong = (options, words) =>
    refused(classifier.setOptions(options), "INVALID_OPTION", words);
  await wrong({ heads: ["colour"] }, /no output "colour"; it has "features", "kind", "tone"/);
  await wrong({ heads: ["kind"] }, /activation: the model ends in a softmax already/);
  await wrong({ heads: "kind" }, /heads: must be an array of strings/);
  await wrong({ activation: "relu" }, /activation: must be "none" or "softmax" or "sigmoid"/);
  assert.equal((await classifier.classify(BLUE)).classifications.length, 1);
});

test("a batch gives what one by one gives, and a graph that takes one picture says so", async (t) => {
  const pictures = [RED, BLUE, GREY, flat(1, 2, 3), flat(200, 100, 50), RED, GREY];
  const answers = async (options) => {
    const classifier = await createClassifier(options);
    t.after(() => classifier.close());
    const results = await classifier.classifyBatch(pictures, { mirror: true });
    for (const { timings } of results) assert.ok(timings.inference >= 0 && timings.preprocess >= 0);
    const { fallbacks } = classifier.runtime;
    return {
      fallbacks,
      found: results.map(({ classifications, top }) => ({ classifications, top })),
    };
  };
  for (const name of ["two_heads", "one_picture"]) {
    const alone = await answers({ model: small(name) });
    const together = await answers({ model: small(name), batchSize: 3 });
    assert.equal(alone.found.length, pictures.length);
    assert.deepEqual(together.found, alone.found);
    assert.deepEqual(alone.fallbacks, []);
    if (name === "two_heads") assert.deepEqual(together.fallbacks, []);
    else {
      const [{ from, to, reason }] = together.fallbacks;
      assert.deepEqual([from, to], ["batches of 3", "one by one"]);
      assert.match(reason, /RESHAPE/);
    }
  }
  await refused(createClassifier({ batchSize: 0 }), "INVALID_OPTION", /batchSize: must be a whole/);
  await refused(createClassifier({ batchSize: 65 }), "INVALID_OPTION", /from 1 to 64, is 65/);
  const classifier = await createClassifier({ model: small("two_heads"), batchSize: 2 });
  t.after(() => classifier.close());
  const broken = { data: new Uint8Array(3), width: 1, height: 1 };
  await refused(classifier.classifyBatch([RED, broken]), "INVALID_INPUT", /needs 4 bytes/);
  await refused(
    classifier.classifyBatch([RED, BLUE], { rotationDegrees: 1 }),
    "INVALID_OPTION",
    /rotationDegrees/,
  );
  assert.equal((await classifier.classifyBatch([RED, BLUE])).length, 2);
});

test("the default model answers a batch with the scores of one by one", async (t) => {
  const pictures = await Promise.all(["cat", "coffee", "camera"].map(photo));
  const classifier = await createClassifier({ batchSize: 3 });
  t.after(() => classifier.close());
  assert.deepEqual(classifier.runtime.fallbacks, []);
  const together = await classifier.classifyBatch(pictures);
  for (const [i, picture] of pictures.entries()) {
    const alone = await classifier.classify(picture);
    assert.deepEqual(together[i].classifications, alone.classifications);
  }
});

test("inputs take other shapes where the graph allows it", async (t) => {
  const model = small("two_heads");
  const classifier = await createClassifier({ model, inputShapes: { image: [1, 4, 6, 3] } });
  t.after(() => classifier.close());
  assert.deepEqual(classifier.metadata.inputs[0].shape, [1, 4, 6, 3]);
  assert.equal((await classifier.classify(BLUE)).top.categoryName, "dog");
  await classifier.setOptions({ inputShapes: { image: [1, 3, 3, 3] }, batchSize: 2 });
  assert.deepEqual(classifier.metadata.inputs[0].shape, [1, 3, 3, 3]);
  // Other options leave the shapes as they are.
  await classifier.setOptions({ maxResults: 1 });
  assert.deepEqual(classifier.metadata.inputs[0].shape, [1, 3, 3, 3]);
  const many = await createModel({ model, inputShapes: { image: [2, 2, 2, 3] } });
  t.after(() => many.close());
  const image = Float32Array.from({ length: 24 }, (_, i) => (i < 12 ? 1 : 2));
  const { features } = await many.run({ image });
  assert.deepEqual([features.shape, features.data], [[2, 3], Float32Array.of(1, 1, 1, 2, 2, 2)]);
  const wrong = (name, inputShapes, words) =>
    refused(createModel({ model: small(name), inputShapes }), "INVALID_OPTION", words);
  await wrong(
    "one_picture",
    { image: [2, 2, 2, 3] },
    /inputShapes: the model does not allow them.*RESHAPE/,
  );
  await wrong("one_picture", { picture: [1, 2, 2, 3] }, /no input "picture"; it has "image"/);
  await wrong("one_picture", { image: [2, 2, 3] }, /cannot have shape \[2, 2, 3\]/);
  await wrong("one_picture", { image: [0, 2, 2, 3] }, /inputShapes: must be an object of names/);
});

test("embeddings: of a vector beside the scores, of what the last layer reads, of photos", async (t) => {
  const heads = await createModel({ model: small("two_heads") });
  t.after(() => heads.close());
  near(await heads.embed(GREY), [0.2, 0.2, 0.2]);
  const outputs = await heads.runImage(GREY);
  assert.deepEqual(Object.keys(outputs), ["features", "kind", "tone"]);
  near(outputs.features.data, [0.2, 0.2, 0.2]);
  const scores = await createClassifier({ model: small("one_picture") });
  t.after(() => scores.close());
  near(await scores.embed(GREY), [0.2, 0.2, 0.2]);
  near(await scores.embed(GREY, { l2Normalize: true }), Array(3).fill(1 / Math.sqrt(3)));
  const bytes = await scores.embed(GREY, { l2Normalize: true, quantize: true });
  assert.deepEqual(bytes, Int8Array.of(74, 74, 74));
  await refused(scores.embed(GREY, { l2Normalize: 1 }), "INVALID_OPTION", /l2Normalize/);

  const classifier = await createClassifier();
  t.after(() => classifier.close());
  const cat = await photo("cat");
  const embed = (picture, options) => classifier.embed(picture, { l2Normalize: true, ...options });
  const whole = await embed(cat);
  assert.ok(whole instanceof Float32Array);
  assert.equal(whole.length, 1280);
  near([whole.reduce((sum, x) => sum + x * x, 0)], [1]);
  const part = await embed(cat, {
    regionOfInterest: { left: 0.05, top: 0.05, right: 0.95, bottom: 0.95 },
  });
  const other = await embed(await photo("coffee"));
  assert.ok(cosineSimilarity(whole, part) > cosineSimilarity(whole, other) + 0.2);
  const quantised = await embed(cat, { quantize: true });
  assert.ok(quantised instanceof Int8Array);
  assert.ok(cosineSimilarity(whole, quantised) > 0.99);
  // Embedding leaves the scores as they are.
  assert.equal((await classifier.classify(cat)).top.index, 285);
});

test("cosine similarity", () => {
  near([cosineSimilarity([1, 0], [0, 2])], [0]);
  near([cosineSimilarity(Float32Array.of(1, 2), Int8Array.of(2, 4))], [1]);
  near([cosineSimilarity([3, 4], [-3, -4])], [-1]);
  for (const [a, b] of [
    [[1], [1, 2]],
    [[], []],
    [
      [0, 0],
      [1, 0],
    ],
  ]) {
    assert.throws(() => cosineSimilarity(a, b), { code: "INVALID_INPUT" });
  }
});
