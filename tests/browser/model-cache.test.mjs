// The option `cache` and `achado/model-cache` in Chromium.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { launch, PACKAGE, startServer } from "./support.mjs";

const fixtures = new URL("../fixtures/", import.meta.url);
const small = (name) => readFile(new URL(`small_models/${name}.tflite`, fixtures));
const hashOf = (bytes) => `sha256-${createHash("sha256").update(bytes).digest("base64")}`;

const HTML = `<!doctype html><title>cache</title><link rel="icon" href="data:," />
<script type="importmap">{ "imports": { "achado": "/dist/index.js" } }</script>`;

let browser;
let server;
let models;
/** What the server has under /model.tflite, with its ETag, and what was asked of it. */
let served;
before(async () => {
  models = { one: await small("one_picture"), two: await small("two_heads") };
  const model = (request, response) => {
    served.asked.push(request.method);
    if (!served.bytes) return response.destroy();
    const tag = served.tag && { ETag: served.tag };
    response.writeHead(200, { "Content-Length": served.bytes.length, ...tag });
    response.end(request.method === "HEAD" ? undefined : served.bytes);
  };
  const blank = { headers: { "Content-Type": "text/html" }, body: HTML };
  const overrides = { "/": blank, "/model.tflite": model };
  server = await startServer({ root: PACKAGE, overrides, mounts: { "/fixtures/": fixtures } });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

/** A page of a fresh profile, with what the tests ask of it. */
async function open(t) {
  served = { bytes: models.one, tag: '"1"', asked: [] };
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(server.url);
  await page.evaluate(async () => {
    const { createClassifier, createModel, AchadoError } = await import("achado");
    const { modelCache, modelHash } = await import("/dist/model-cache.js");
    /** The number of a model's outputs, and the hashes of updates. */
    const hashes = async () => String((await modelCache.list()).map(({ hash }) => hash).sort());
    const load = async (cache, model = "/model.tflite", changes = false) => {
      const updates = [];
      const onUpdate = ({ hash }) => updates.push(hash);
      const options = typeof cache === "object" ? { ...cache, onUpdate } : cache;
      const before = await hashes();
      const loaded = await createModel({ model, cache: options, worker: false });
      const outputs = loaded.metadata.outputs.length;
      const fallbacks = loaded.runtime.fallbacks.filter(({ from }) => from === "cache");
      await loaded.close();
      // Files are kept behind the back of who loads them.
      const isThere = async () => {
        const now = await hashes();
        const isReplaced = now.length === before.length && before !== "";
        return now !== before && (!isReplaced || updates.length > 0 || cache === true);
      };
      for (let i = 0; changes && i < 400 && !(await isThere()); i++) {
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
      return { outputs, updates, fallbacks };
    };
    Object.assign(globalThis, { createClassifier, AchadoError, modelCache, modelHash, load });
  });
  const load = (cache, model, changes) =>
    page.evaluate((args) => globalThis.load(...args), [cache, model, changes]);
  /** Loads, and waits for what is kept to become another. */
  const change = (cache, model) => load(cache, model, true);
  const list = () => page.evaluate(() => globalThis.modelCache.list());
  return { context, page, load, change, list };
}

test("a kept model is not downloaded again, and opens without a network", async (t) => {
  const { page, load, change, list } = await open(t);
  assert.deepEqual(await load(false), { outputs: 1, updates: [], fallbacks: [] });
  assert.deepEqual(await list(), []);
  await change(true);
  const [{ url, hash, bytes, kind, stored }, ...others] = await list();
  assert.deepEqual(others, []);
  assert.equal(url, `${server.url}/model.tflite`);
  assert.equal(hash, hashOf(models.one));
  assert.equal(bytes, models.one.length);
  assert.equal(kind, "file");
  assert.ok(stored instanceof Date);
  served.asked = [];
  await load(true);
  assert.deepEqual(served.asked, ["HEAD"]);
  // A server that is gone.
  served.bytes = undefined;
  assert.equal((await load(true)).outputs, 1);
  const estimate = await page.evaluate(() => globalThis.modelCache.estimate());
  assert.equal(estimate.files, 1);
  assert.equal(estimate.bytes, models.one.length);
  assert.ok(estimate.quota > 0);
  // By its address as the page has it, or by its hash.
  assert.equal(await page.evaluate(() => globalThis.modelCache.delete("/model.tflite")), true);
  assert.equal(await page.evaluate(() => globalThis.modelCache.delete("/model.tflite")), false);
  await assert.rejects(load(true), /MODEL_FETCH|cannot be fetched/);
});

test("a changed model is taken as the caller says", async (t) => {
  const { load, change } = await open(t);
  const serve = (name, tag) => Object.assign(served, { bytes: models[name], tag, asked: [] });
  await change({ update: "before" });
  serve("two", '"2"');
  assert.deepEqual(await load({ update: "never" }), { outputs: 1, updates: [], fallbacks: [] });
  assert.deepEqual(served.asked, []);
  const after = await change({ update: "after" });
  assert.deepEqual([after.outputs, after.updates], [1, [hashOf(models.two)]]);
  assert.equal((await load({ update: "never" })).outputs, 3);
  serve("one", '"3"');
  const now = await change({ update: "before" });
  assert.deepEqual([now.outputs, now.updates], [1, [hashOf(models.one)]]);
  // A server that says nothing of versions but the length, which differs.
  serve("two", undefined);
  assert.equal((await change({ update: "before" })).outputs, 3);
  // Of the same bytes nobody is told.
  serve("two", '"4"');
  assert.deepEqual((await load({ update: "after" })).updates, []);
});

test("the quota is kept: what was used longest ago goes", async (t) => {
  const { load, change, list } = await open(t);
  const names = async () => (await list()).map(({ url }) => new URL(url).pathname).sort();
  const [one, two] = ["one_picture", "two_heads"].map(
    (name) => `/fixtures/small_models/${name}.tflite`,
  );
  const quotaBytes = models.one.length + models.two.length;
  await change({ quotaBytes }, one);
  await change({ quotaBytes }, two);
  assert.deepEqual(await names(), [one, two]);
  await load({ update: "never" }, one);
  await change({ quotaBytes });
  assert.deepEqual(await names(), [one, "/model.tflite"]);
  // One that has no room at all is loaded all the same.
  assert.equal((await load({ quotaBytes: 10 }, two)).outputs, 3);
  assert.deepEqual(await names(), [one, "/model.tflite"]);
});

test("converted ONNX models are listed and deleted by the hash of their file", async (t) => {
  const { page, list } = await open(t);
  const onnx = await readFile(new URL("onnx/colours.onnx", fixtures));
  await page.evaluate(async () => {
    const model = "/fixtures/onnx/colours.onnx";
    const classifier = await globalThis.createClassifier({
      model,
      preprocess: "unit",
      cache: true,
    });
    await classifier.close();
  });
  await page.waitForFunction(async () => (await globalThis.modelCache.list()).length === 2);
  const found = await list();
  assert.deepEqual(found.map(({ kind }) => kind).sort(), ["converted", "file"]);
  for (const { hash, bytes } of found) {
    assert.equal(hash, hashOf(onnx));
    assert.ok(bytes > 0);
  }
  assert.equal(
    await page.evaluate(async (hash) => globalThis.modelCache.delete(hash), hashOf(onnx)),
    true,
  );
  assert.deepEqual(await list(), []);
});

test("add fetches ahead of time, clear deletes all; other files of the cache are not its own", async (t) => {
  const { page, load, list } = await open(t);
  await page.evaluate(async () => {
    await (await caches.open("of-the-page")).put("/x", new Response("x"));
    await globalThis.modelCache.add("/model.tflite");
  });
  served.bytes = undefined;
  assert.equal((await load(true)).outputs, 1);
  const refused = await page.evaluate(() =>
    globalThis.modelCache
      .add("/nothing.tflite")
      .catch((error) => [error instanceof globalThis.AchadoError, error.code, error.message]),
  );
  assert.deepEqual(refused.slice(0, 2), [true, "MODEL_FETCH"]);
  assert.match(refused[2], /404/);
  await page.evaluate(() => globalThis.modelCache.clear());
  assert.deepEqual(await list(), []);
  assert.deepEqual(await page.evaluate(() => caches.keys()), ["of-the-page"]);
  for (const [cache, words] of [
    ["yes", /cache: must be true, false or an object/],
    [{ update: "sometimes" }, /cache\.update: must be "before", "after" or "never"/],
    [{ quotaBytes: "1 GB" }, /cache\.quotaBytes: must be a number of bytes/],
  ]) {
    await assert.rejects(load(cache), words);
  }
});
