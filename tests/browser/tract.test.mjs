// ONNX models that tract runs in a page: what is downloaded when, in a worker, without one, and where
// the page has threads.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { ISOLATED, launch, PACKAGE, startServer } from "./support.mjs";

const mounts = {
  "/fixtures/": new URL("../fixtures/", import.meta.url),
  "/test/": new URL("./", import.meta.url),
};
const overrides = {
  "/": { headers: { "Content-Type": "text/html" }, body: "<!doctype html><title>test" },
};
const MODEL = "/fixtures/onnx/einsum.onnx";
const options = { model: MODEL, preprocess: "unit", onnxFallback: "tract" };

/** What ONNX Runtime answers: the end of the .npy file. */
const recorded = await readFile(new URL("../fixtures/onnx/einsum.npy", import.meta.url));
const wanted = [5, 4, 3, 2, 1].map((back) => recorded.readFloatLE(recorded.length - 4 * back));

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

async function open(t, headers = {}) {
  const server = await startServer({ root: PACKAGE, mounts, overrides, headers });
  t.after(() => server.close());
  const page = await browser.newPage();
  t.after(() => page.close());
  await page.goto(server.url);
  return { page, asked: (name) => server.requests.filter(({ path }) => path === name).length };
}

/** Classifies the picture of scripts/onnx/einsum.py, or says why not. */
function classify(page, options) {
  return page.evaluate(async (options) => {
    const { achado, failure, scores } = await import("/test/in-page.mjs");
    let classifier;
    const opening = achado.createClassifier(options).then((made) => {
      classifier = made;
    });
    const failed = await failure(opening);
    if (!classifier) return failed;
    const [width, height] = [24, 16];
    const data = Uint8Array.from({ length: width * height * 4 }, (_, at) => {
      const [x, y] = [Math.floor(at / 4) % width, Math.floor(at / 4 / width)];
      return at % 4 === 3 ? 255 : (x * 9 + y * 4 + (at % 4) * 70) % 256;
    });
    const found = scores(await classifier.classify({ data, width, height }));
    const { runtime } = classifier;
    await classifier.close();
    return { found, runtime };
  }, options);
}

function check({ found, runtime, ...failure }, worker) {
  assert.ok(found, JSON.stringify(failure));
  for (const [at, score] of found.entries()) {
    assert.ok(Math.abs(score - wanted[at]) <= 1e-5, `${found}, wanted ${wanted}`);
  }
  const { backend, threads } = runtime;
  assert.deepEqual([backend, threads, runtime.worker], ["tract", 1, worker]);
  const fallback = runtime.fallbacks.find(({ to }) => to === "tract");
  assert.match(fallback.reason, /BitwiseAnd/);
}

test("tract is downloaded only for a model that needs it, where the caller allows it", async (t) => {
  const { page, asked } = await open(t);
  const { onnxFallback: _, ...without } = options;
  const refused = await classify(page, without);
  assert.equal(refused.code, "UNSUPPORTED_OPERATOR", refused.message);
  assert.match(refused.message, /BitwiseAnd.*onnxFallback: "tract"/);
  const other = await classify(page, { ...options, model: "/fixtures/onnx/colours.onnx" });
  assert.equal(other.runtime?.backend, "wasm", JSON.stringify(other));
  assert.equal(asked("/dist/tract.wasm"), 0);

  check(await classify(page, options), true);
  check(await classify(page, { ...options, worker: false }), false);
  assert.equal(asked("/dist/tract.wasm"), 1, "it is compiled once");
});

test("in an isolated page it runs in one thread, and the fallback says so", async (t) => {
  const { page } = await open(t, ISOLATED);
  for (const worker of [true, false]) {
    const answer = await classify(page, { ...options, threads: 2, worker });
    check(answer, worker);
    const { fallbacks } = answer.runtime;
    const single = fallbacks.find(({ to }) => to === "single");
    assert.match(single?.reason ?? "", /tract runs in one/, JSON.stringify(fallbacks));
  }
});
