// ONNX models in a page: what is downloaded when, and what a second visit needs.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, PACKAGE, startServer } from "./support.mjs";

const mounts = {
  "/fixtures/": new URL("../fixtures/", import.meta.url),
  "/test/": new URL("./", import.meta.url),
};
const overrides = {
  "/": { headers: { "Content-Type": "text/html" }, body: "<!doctype html><title>test" },
};
const MODEL = "/fixtures/onnx/colours.onnx";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** A page of a visitor who has never been here; `visit` opens a further one of the same visitor. */
async function visitor(t) {
  const server = await startServer({ root: PACKAGE, mounts, overrides });
  t.after(() => server.close());
  const context = await browser.newContext();
  t.after(() => context.close());
  return {
    async visit() {
      const page = await context.newPage();
      await page.goto(server.url);
      server.requests.length = 0;
      return page;
    },
    /** How often files were asked for whose path has these words. */
    asked: (words) => server.requests.filter(({ path }) => path.includes(words)).length,
  };
}

/** Classifies a blue picture in a page. */
function classify(page, options) {
  return page.evaluate(async (options) => {
    const { achado, failure } = await import("/test/in-page.mjs");
    const phases = [];
    const onProgress = ({ phase }) => phases.push(phase);
    let classifier;
    const failed = await failure(
      achado.createClassifier({ ...options, onProgress }).then((made) => {
        classifier = made;
      }),
    );
    if (!classifier) return failed;
    const canvas = new OffscreenCanvas(32, 32);
    const context = canvas.getContext("2d");
    context.fillStyle = "rgb(10 20 230)";
    context.fillRect(0, 0, 32, 32);
    const { top } = await classifier.classify(canvas);
    const { runtime } = classifier;
    await classifier.close();
    return { top, runtime, phases };
  }, options);
}

const options = { model: MODEL, preprocess: "imagenet", labels: ["red", "green", "blue"] };

test("the converter is downloaded for an ONNX model alone, and once", async (t) => {
  const { visit, asked } = await visitor(t);
  const first = await visit();
  const { model: _, preprocess: __, labels: ___, ...none } = options;
  await classify(first, none);
  assert.equal(asked("onnx"), 0, "a .tflite model needs nothing of ONNX");

  const page = await visit();
  const converted = await classify(page, options);
  assert.equal(converted.top?.categoryName, "blue", JSON.stringify(converted));
  assert.ok(converted.phases.includes("convert"));
  assert.equal(converted.runtime.worker, true);
  assert.equal(asked("/onnx.wasm"), 1);
  assert.equal(asked(MODEL), 1);

  const later = await visit();
  const kept = await classify(later, options);
  assert.deepEqual(kept.top, converted.top);
  assert.equal(asked(MODEL), 1, "the model's bytes say whether it is the same");
  assert.equal(asked("/onnx.wasm"), 0, "what was converted is kept");

  // Other bytes are another model.
  const other = await classify(later, {
    ...options,
    model: "/fixtures/onnx/colours.quantized.onnx",
  });
  assert.equal(other.top?.categoryName, "blue");
  assert.equal(asked("/onnx.wasm"), 1);
});

test("without a worker, the page itself converts", async (t) => {
  const { visit } = await visitor(t);
  const { top, runtime } = await classify(await visit(), { ...options, worker: false });
  assert.equal(top?.categoryName, "blue");
  assert.equal(runtime.worker, false);
});

test("what is missing or wrong is said", async (t) => {
  const { visit } = await visitor(t);
  const page = await visit();
  const missing = await classify(page, { model: MODEL });
  assert.equal(missing.code, "METADATA_MISSING", missing.message);
  const wrong = await classify(page, { ...options, preprocess: "imagnet" });
  assert.equal(wrong.code, "INVALID_OPTION", wrong.message);
});

test("convertOnnx gives a .tflite that needs no option", async (t) => {
  const { visit } = await visitor(t);
  const page = await visit();
  const top = await page.evaluate(async (model) => {
    const { achado } = await import("/test/in-page.mjs");
    const labels = ["red", "green", "blue"];
    const bytes = await achado.convertOnnx(model, { labels, preprocess: "imagenet" });
    const classifier = await achado.createClassifier({ model: bytes });
    const data = new Uint8Array(4 * 64).map((_, at) => [20, 240, 30, 255][at % 4]);
    const { top } = await classifier.classify({ data, width: 8, height: 8 });
    await classifier.close();
    return top;
  }, MODEL);
  assert.equal(top.categoryName, "green");
});
