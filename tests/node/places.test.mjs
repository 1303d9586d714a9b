// The package where there is little of a browser or of Node: nothing is asked for at import, values
// of other realms are taken, the process ends by itself.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import vm from "node:vm";
import { build } from "esbuild";
import { createClassifier, createModel, setAssets } from "../../pkg/dist/node.js";
import { open, refused } from "./support.mjs";

const dist = new URL("../../pkg/dist/", import.meta.url);
const file = (name) => readFile(new URL(name, dist));
const small = new URL("../fixtures/small_models/", import.meta.url);
const cat = await readFile(new URL("../fixtures/photos/cat.jpg", import.meta.url));

/** A bundle of an entry as a classic script, which has no address that files are relative to. */
async function classic(entry, format = "iife") {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(`${entry}.js`, dist))],
    bundle: true,
    write: false,
    format,
    globalName: "achado",
    logLevel: "silent",
  });
  return outputFiles[0].text;
}

for (const entry of ["index", "lite", "static"]) {
  test(`achado's ${entry} is evaluated where there is nothing but the language`, async () => {
    // No URL, fetch, Response, TextDecoder, document, caches, navigator.
    const bare = vm.createContext({});
    vm.runInContext(await classic(entry), bare);
    assert.equal(vm.runInContext("typeof achado.createClassifier", bare), "function");
    assert.equal(vm.runInContext("achado.AchadoError.name", bare), "AchadoError");
  });
}

test("a classic script works by what it is given, and says what it needs", async () => {
  const { AbortController, performance, setTimeout, TextDecoder, TextEncoder } = globalThis;
  const few = { AbortController, performance, setTimeout, TextDecoder, TextEncoder };
  const place = vm.createContext({ ...few, WebAssembly });
  vm.runInContext(await classic("index"), place);
  const { achado } = place;
  const model = await readFile(new URL("two_heads.tflite", small)).catch(() => undefined);
  const picture = { data: new Uint8Array(4).fill(255), width: 1, height: 1 };
  const bytes = model ?? (await file("../models/efficientnet-lite0-int8.tflite"));
  const without = await achado.createClassifier({ model: bytes }).catch((error) => error);
  assert.equal(without.name, "AchadoError");
  assert.match(without.message, /does not know where .* give `assets`/);
  const assets = { "simd128.wasm": await file("simd128.wasm") };
  const classifier = await achado.createClassifier({ model: bytes, assets });
  const { classifications } = await classifier.classify(picture);
  assert.ok(classifications.length > 0);
  const { worker, fallbacks } = classifier.runtime;
  assert.deepEqual([worker, fallbacks.length], [false, 0]);
  await classifier.close();
});

test("a CommonJS bundle finds the files of the package", async () => {
  const require = (await import("node:module")).createRequire(import.meta.url);
  const { createClassifier: create, defaultModel } = require("../../pkg/dist/node.cjs");
  const classifier = await create({ model: defaultModel });
  assert.equal((await classifier.classify(cat)).top.categoryName, "Egyptian cat");
  assert.equal(classifier.runtime.worker, true);
  await classifier.close();
});

test("files by `assets`: bytes, compiled, a folder; names that are none", async (t) => {
  const module = await WebAssembly.compile(await file("simd128.wasm"));
  for (const assets of [
    { "simd128.wasm": module },
    { "simd128.wasm": await file("simd128.wasm"), "decode.wasm": await file("decode.wasm") },
    { "simd128.wasm": new Blob([await file("simd128.wasm")]) },
    fileURLToPath(dist),
    dist,
  ]) {
    const options = { assets, threads: 1, worker: false };
    // The folder has no models in it.
    const model = new URL("../models/efficientnet-lite0-int8.tflite", dist).pathname;
    const { top } = await (await open(t, createClassifier, { ...options, model })).classify(cat);
    assert.equal(top.categoryName, "Egyptian cat");
  }
  setAssets("/nowhere/at/all");
  t.after(() => setAssets(undefined));
  const words = /\/nowhere\/at\/all\/.*there is no such file/;
  await refused(createClassifier(), "BACKEND_UNAVAILABLE", words);
  const wrong = (assets, said) => refused(createModel({ assets }), "INVALID_OPTION", said);
  await wrong(
    { "relax.wasm": module },
    /assets: there is no file "relax\.wasm", did you mean "relaxed\.wasm"\?/,
  );
  await wrong({ "relaxed.wasm": 5 }, /relaxed\.wasm needs a URL, bytes or a Blob, .* is Number/);
  await wrong({ "worker.js": module }, /worker\.js needs a URL, bytes or a Blob, is WebAssembly/);
  await wrong(7, /assets: needs the address of a folder/);
  assert.throws(() => setAssets(null), { code: "INVALID_OPTION" });
});

test("values of another realm are what they are", async (t) => {
  const realm = vm.createContext({});
  const foreign = vm.runInContext(
    "({ Uint8Array, Uint8ClampedArray, ArrayBuffer, DataView })",
    realm,
  );
  const bytes = foreign.Uint8Array.from(cat);
  const options = vm.runInContext('({ mean: [127], std: [128], channels: "RGB" })', realm);
  const model = foreign.Uint8Array.from(await file("../models/efficientnet-lite0-int8.tflite"));
  const expected = await open(t, createClassifier, { preprocess: { ...options } });
  const { top } = await expected.classify(cat);
  for (const worker of [true, false]) {
    const classifier = await open(t, createClassifier, { model, preprocess: options, worker });
    assert.deepEqual((await classifier.classify(bytes)).top, top);
    assert.deepEqual((await classifier.classify(bytes.buffer)).top, top);
    assert.deepEqual((await classifier.classify(new foreign.DataView(bytes.buffer))).top, top);
    const pixels = foreign.Uint8ClampedArray.from(new Uint8Array(16).fill(9));
    await classifier.classify({ data: pixels, width: 2, height: 2 });
  }
  const buffers = await open(t, createClassifier, { model: model.buffer });
  assert.equal((await buffers.classify(cat)).top.categoryName, "Egyptian cat");
});

test("no class of the platform is asked by instanceof", async () => {
  const source = new URL("../../src/js/", import.meta.url);
  for (const name of await readdir(source, { recursive: true })) {
    if (!name.endsWith(".ts") || name.startsWith("generated")) continue;
    const text = await readFile(new URL(name, source), "utf8");
    for (const [, asked] of text.matchAll(/instanceof (\w[\w.]*)/g)) {
      assert.match(asked, /^(AchadoError|ImageDataset|UsageError)$/, `${name}: use src/js/kind.ts`);
    }
  }
});

test("a process ends by itself, without close", async () => {
  const run = promisify(execFile);
  for (const options of ["{}", "{ worker: false }", "{ threads: 2 }"]) {
    const script = `
      const { createClassifier } = await import(${JSON.stringify(new URL("node.js", dist).href)});
      const classifier = await createClassifier(${options});
      const { top } = await classifier.classify({ data: new Uint8Array(16).fill(255), width: 2, height: 2 });
      console.log(typeof top.score);`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", script], {
      timeout: 60_000,
    });
    assert.equal(stdout, "number\n");
  }
});

test("other work has its turn between pictures, and an abort takes effect", async (t) => {
  const pixels = { data: new Uint8Array(16).fill(255), width: 2, height: 2 };
  for (const worker of [true, false]) {
    const classifier = await open(t, createClassifier, { worker, threads: 1 });
    let turns = 0;
    const count = () => setImmediate(() => (turns++, timer && count()));
    let timer = true;
    count();
    await classifier.classifyBatch(Array(3).fill(pixels));
    assert.ok(turns > 0, "no turn within a batch");
    turns = 0;
    for (let i = 0; i < 3; i++) await classifier.classify(pixels);
    assert.ok(turns > 0, "no turn between pictures");
    timer = false;
    const signal = AbortSignal.timeout(20);
    await assert.rejects(classifier.classifyBatch(Array(3000).fill(pixels), { signal }), {
      name: "TimeoutError",
    });
  }
});

test("memory that a giant picture took goes back", async (t) => {
  const classifier = await open(t, createClassifier, { threads: 1 });
  const before = classifier.runtime.memoryBytes;
  const expected = await classifier.classify(cat);
  const side = 6000;
  const data = new Uint8Array(4 * side * side).fill(255);
  await classifier.classify({ data, width: side, height: side });
  const { classifications } = await classifier.classify(cat);
  assert.deepEqual(classifications, expected.classifications);
  const grown = classifier.runtime.memoryBytes - before;
  assert.ok(grown < 32e6, `${grown} bytes stay`);
});
