// Tensors, embeddings and batches in a page, whose worker has a memory of its own.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, PACKAGE, startServer } from "./support.mjs";

const fixtures = new URL("../fixtures/", import.meta.url);
const blank = { headers: { "Content-Type": "text/html" }, body: "<!doctype html><title>test" };
const mounts = { "/fixtures/": fixtures, "/test/": new URL("./", import.meta.url) };

let server;
let browser;
before(async () => {
  server = await startServer({ root: PACKAGE, overrides: { "/": blank }, mounts });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

/** Runs a function in a fresh page; whatever the page complains about fails the test. */
async function inPage(t, work, argument) {
  const page = await browser.newPage();
  t.after(() => page.close());
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(server.url);
  const result = await page.evaluate(work, argument);
  assert.deepEqual(complaints, []);
  return result;
}

for (const worker of [true, false]) {
  const where = worker ? "in a worker" : "in the page";

  test(`tensors go in and come out ${where}, and the caller keeps its own`, async (t) => {
    const found = await inPage(
      t,
      async (worker) => {
        const { achado, failure } = await import("/test/in-page.mjs");
        const model = await achado.createModel({
          model: "/fixtures/small_models/tensors.tflite",
          worker,
        });
        const whole = Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7);
        const a = whole.subarray(1, 7);
        const b = Float32Array.of(10, 20, 30);
        const c = BigInt64Array.of(7n, -7n);
        const pending = model.run({ a, b, c });
        whole.fill(0);
        const { sum, bytes, same } = await pending;
        const again = await model.run({ a, b, c });
        const lengths = [whole.length, b.length, c.length];
        const ofBlob = await failure(model.run({ a: new Blob(), b, c }));
        const short = await failure(model.run({ a: b, b, c }));
        const pixels = new ImageData(new Uint8ClampedArray(16).fill(255), 2);
        const noPicture = await failure(model.runImage(pixels));
        await model.close();
        const closed = await failure(model.run({ a, b, c }));
        return {
          sum: [...sum.data],
          bytes: [...achado.dequantize(bytes)],
          same: [...same.data].map(String),
          again: [...again.sum.data],
          // Not a view of wasm's memory.
          sizes: [sum.data.buffer.byteLength, same.data.buffer.byteLength],
          lengths,
          codes: [ofBlob, short, noPicture, closed].map(({ code }) => code),
          message: short.message,
          runtime: model.runtime.worker,
        };
      },
      worker,
    );
    assert.deepEqual(found.sum, [11, 22, 33, 14, 25, 36]);
    assert.deepEqual(found.bytes, found.sum);
    assert.deepEqual(found.same, ["7", "-7"]);
    assert.deepEqual(found.again, [10, 20, 30, 10, 20, 30]);
    assert.deepEqual(found.sizes, [24, 16]);
    assert.deepEqual(found.lengths, [8, 3, 2]);
    assert.deepEqual(found.codes, ["INVALID_INPUT", "INVALID_INPUT", "UNSUPPORTED_TYPE", "CLOSED"]);
    assert.match(found.message, /input "a" of shape \[2, 3\] needs 6 elements, has 3/);
    assert.equal(found.runtime, worker);
  });

  test(`a picture gives tensors, an embedding and, in a batch, scores ${where}`, async (t) => {
    const found = await inPage(
      t,
      async (worker) => {
        const { achado, inputs } = await import("/test/in-page.mjs");
        const model = "/fixtures/small_models/two_heads.tflite";
        const classifier = await achado.createClassifier({ model, worker, batchSize: 2 });
        const { canvas, bitmap, raw, view, blob } = await inputs("/fixtures/default_model/cat.png");
        const { features, kind } = await classifier.runImage(canvas);
        const embedding = await classifier.embed(raw);
        const pictures = [canvas, view, raw, bitmap, blob];
        const together = await classifier.classifyBatch(pictures);
        const alone = await classifier.classify(canvas);
        const large = await achado.createClassifier({ worker });
        const options = { l2Normalize: true, quantize: true };
        const quantized = await large.embed(canvas, options);
        const plain = await large.embed(blob, { l2Normalize: true });
        const all = [classifier.runtime.fallbacks, large.runtime.fallbacks].flat();
        return {
          features: [...features.data],
          kind: [...kind.data],
          embedding: [...embedding],
          together: together.map(({ classifications }) => classifications),
          alone: alone.classifications,
          likeness: achado.cosineSimilarity(quantized, plain),
          kinds: [quantized, plain].map((one) => one.constructor.name),
          length: plain.length,
          fallbacks: all.map(({ from }) => from),
          // The caller's pixels stay.
          pixels: [raw.data.length, view.data.length],
        };
      },
      worker,
    );
    assert.equal(found.features.length, 3);
    assert.deepEqual(found.embedding, found.features);
    for (const classifications of found.together) {
      assert.deepEqual(classifications, found.alone);
    }
    assert.equal(found.together.length, 5);
    const [{ categories }] = found.alone;
    assert.ok(Math.abs(categories[0].score - Math.max(...found.kind)) < 1e-6);
    assert.ok(found.likeness > 0.99, String(found.likeness));
    assert.deepEqual(found.kinds, ["Int8Array", "Float32Array"]);
    assert.equal(found.length, 1280);
    assert.ok(!found.fallbacks.includes("batches of 2"));
    assert.ok(found.pixels[0] > 0 && found.pixels[0] === found.pixels[1]);
  });
}
