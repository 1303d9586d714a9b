// Threads: in isolated pages only, with the same scores, and gone when the classifier is closed.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import binaryen from "binaryen";
import { CORE, ISOLATED, launch, PACKAGE, startServer } from "./support.mjs";

const mounts = {
  "/fixtures/": new URL("../fixtures/", import.meta.url),
  "/test/": new URL("./", import.meta.url),
};
const THREADED_CORE = "/dist/relaxed-threads.wasm";
const HELPER = "/dist/threaded-worker.js";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** An empty page, isolated or not. */
async function open(t, { headers = ISOLATED, overrides = {} } = {}) {
  const html = { headers: { "Content-Type": "text/html" }, body: "<!doctype html><title>test" };
  const server = await startServer({
    root: PACKAGE,
    mounts,
    headers,
    overrides: { "/": html, ...overrides },
  });
  t.after(() => server.close());
  const page = await browser.newPage();
  t.after(() => page.close());
  await page.goto(server.url);
  return { page, server };
}

/** The scores of one picture with these options, and what the runtime says. */
function classify(page, options) {
  return page.evaluate(async (options) => {
    const { achado, inputs, scores } = await import("/test/in-page.mjs");
    const classifier = await achado.createClassifier(options);
    const { imageData } = await inputs("/fixtures/default_model/cat.png");
    const found = [];
    for (let i = 0; i < 5; i++) found.push(scores(await classifier.classify(imageData)));
    const { runtime } = classifier;
    await classifier.close();
    return { found, runtime };
  }, options);
}

/** Waits until the page has no worker left. */
async function noWorkers(page) {
  for (let i = 0; i < 100 && page.workers().length > 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.deepEqual(page.workers(), []);
}

const wasmFiles = (server) =>
  server.requests.map(({ path }) => path).filter((path) => path.endsWith(".wasm"));

for (const worker of [true, false]) {
  const where = worker ? "in workers" : "with the page's own thread";
  test(`1, 2, 3 and 4 threads give the same scores ${where}`, async (t) => {
    const { page, server } = await open(t);
    const single = await classify(page, { worker, threads: 1 });
    assert.equal(single.runtime.threads, 1);
    assert.deepEqual(single.runtime.fallbacks, []);
    assert.deepEqual(wasmFiles(server), [CORE]);
    for (const threads of [2, 3, 4]) {
      const several = await classify(page, { worker, threads });
      assert.equal(several.runtime.threads, threads);
      assert.equal(several.runtime.simd, "relaxed");
      assert.equal(several.runtime.worker, worker);
      assert.deepEqual(several.runtime.fallbacks, []);
      for (const found of several.found) assert.deepEqual(found, single.found[0]);
    }
    assert.deepEqual(wasmFiles(server), [CORE, THREADED_CORE]);
    await noWorkers(page);
  });

  test(`twenty classifiers, one after another, leave nothing behind ${where}`, async (t) => {
    const { page } = await open(t);
    const cycle = (times) =>
      page.evaluate(
        async ({ worker, times }) => {
          const { createClassifier } = await import("/dist/index.js");
          const response = await fetch("/models/efficientnet-lite0-int8.tflite");
          const model = await response.arrayBuffer();
          let bytes = 0;
          for (let i = 0; i < times; i++) {
            const classifier = await createClassifier({ model, worker, threads: 2 });
            await classifier.classify(new ImageData(new Uint8ClampedArray(256).fill(255), 8));
            bytes = classifier.runtime.memoryBytes;
            await classifier.close();
          }
          return bytes;
        },
        { worker, times },
      );
    const first = await cycle(5);
    await noWorkers(page);
    const early = await residentBytes(page);
    const last = await cycle(15);
    await noWorkers(page);
    // The page's own memory may grow once, by a model that no longer fits between two others.
    assert.ok(last - first < 8e6, `WebAssembly memory: ${first} bytes, then ${last}`);
    const late = await residentBytes(page);
    // One classifier holds some 16 MB; fifteen that leaked would hold 240.
    const grown = `${(late - early) / 1e6} MB more`;
    t.diagnostic(grown);
    assert.ok(late - early < 64e6, grown);
  });
}

/** Memory of all renderer processes after collecting garbage, as Linux counts it. */
async function residentBytes(page) {
  const session = await page.context().newCDPSession(page);
  for (let i = 0; i < 3; i++) {
    await session.send("HeapProfiler.collectGarbage");
    await page.waitForTimeout(100);
  }
  const system = await browser.newBrowserCDPSession();
  const { processInfo } = await system.send("SystemInfo.getProcessInfo");
  let bytes = 0;
  for (const { type, id } of processInfo) {
    if (type !== "renderer") continue;
    const status = await readFile(`/proc/${id}/status`, "utf8");
    bytes += 1024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(status)[1]);
  }
  return bytes;
}

test("by itself it takes as many threads as there are processors, up to four", async (t) => {
  const { page } = await open(t);
  const { runtime } = await classify(page, {});
  const processors = await page.evaluate(() => navigator.hardwareConcurrency);
  assert.equal(runtime.threads, Math.min(processors, 4));
});

test("without isolation there is one thread, and a reason", async (t) => {
  const { page, server } = await open(t, { headers: {} });
  for (const threads of [undefined, "auto", 2]) {
    const { runtime } = await classify(page, { threads });
    assert.equal(runtime.threads, 1);
    assert.equal(runtime.fallbacks.length, 1);
    const [{ from, to, reason }] = runtime.fallbacks;
    assert.deepEqual([from, to], ["threads", "single"]);
    assert.match(reason, /not cross-origin isolated.*Cross-Origin-Embedder-Policy/);
  }
  assert.deepEqual(wasmFiles(server), [CORE]);
});

test("a helper that does not start is done without, and mentioned", async (t) => {
  for (const worker of [true, false]) {
    let asked = 0;
    const script = await readFile(new URL(`.${HELPER}`, PACKAGE));
    const answer = (_, response) => {
      asked += 1;
      // The worker that runs the model gets it, its helpers do not.
      const ok = worker && asked === 1;
      response.writeHead(ok ? 200 : 404, { ...ISOLATED, "Content-Type": "text/javascript" });
      response.end(ok ? script : "");
    };
    const { page } = await open(t, { overrides: { [HELPER]: answer } });
    const { runtime, found } = await classify(page, { worker, threads: 3 });
    assert.equal(runtime.threads, 1);
    assert.equal(runtime.worker, worker);
    const [{ from, to, reason }] = runtime.fallbacks;
    assert.deepEqual([from, to], ["threads", "single"]);
    assert.match(reason, /a helper did not start/);
    assert.equal(found.length, 5);
  }
});

test("shared memory that cannot be had is a reason, too", async (t) => {
  const { page, server } = await open(t);
  await page.evaluate(() => {
    WebAssembly.Memory = class {
      constructor() {
        throw new RangeError("could not allocate memory");
      }
    };
  });
  const { runtime } = await classify(page, { threads: 2 });
  assert.equal(runtime.threads, 1);
  assert.match(runtime.fallbacks[0].reason, /no shared memory: could not allocate/);
  assert.deepEqual(wasmFiles(server), [CORE]);
});

test("a wasm file of one's own decides about threads", async (t) => {
  const { page } = await open(t);
  const single = await classify(page, { wasm: CORE, threads: 2 });
  assert.equal(single.runtime.threads, 1);
  assert.match(single.runtime.fallbacks[0].reason, /the given wasm file has none/);
  const several = await classify(page, { wasm: THREADED_CORE, threads: 2 });
  assert.equal(several.runtime.threads, 2);
  assert.deepEqual(several.found, single.found);

  const { page: other } = await open(t, { headers: {} });
  const failed = await other.evaluate(async (wasm) => {
    const { achado, failure } = await import("/test/in-page.mjs");
    return failure(achado.createClassifier({ wasm }));
  }, THREADED_CORE);
  assert.equal(failed.code, "BACKEND_UNAVAILABLE");
  assert.match(
    failed.message,
    /one with threads; give one without: the page is not cross-origin isolated/,
  );
});

test("the number of threads changes by setOptions; a wrong one is named", async (t) => {
  const { page } = await open(t);
  const { counts, failed } = await page.evaluate(async () => {
    const { achado, failure } = await import("/test/in-page.mjs");
    const classifier = await achado.createClassifier({ threads: 1 });
    const counts = [classifier.runtime.threads];
    for (const threads of [3, 1, 2]) {
      await classifier.setOptions({ threads });
      await classifier.classify(new ImageData(new Uint8ClampedArray(64).fill(255), 4));
      counts.push(classifier.runtime.threads);
    }
    const failed = [];
    for (const threads of [0, 1.5, -1, 33, "two"]) {
      failed.push(await failure(classifier.setOptions({ threads })));
    }
    await classifier.close();
    return { counts, failed };
  });
  assert.deepEqual(counts, [1, 3, 1, 2]);
  for (const { code, message } of failed) {
    assert.equal(code, "INVALID_OPTION");
    assert.match(message, /^threads: must be "auto" or a whole number from 1 to 32, is /);
  }
  await noWorkers(page);
});

/** The core with threads, changed so that helpers trap as soon as they take part in a job. */
async function trappingHelpers() {
  const module = binaryen.readBinary(await readFile(new URL(`.${THREADED_CORE}`, PACKAGE)));
  const names = ["BulkMemory", "Multivalue", "NontrappingFPToInt", "ReferenceTypes"];
  names.push("Atomics", "MutableGlobals", "RelaxedSIMD", "SIMD128", "SignExt");
  module.setFeatures(names.reduce((sum, name) => sum | binaryen.Features[name], 0));
  // Globals are each instance's own, and a job is called by its address.
  module.addGlobal("helps", binaryen.i32, true, module.i32.const(0));
  const prepend = (name, first) => {
    const { body } = binaryen.getFunctionInfo(module.getFunction(name));
    binaryen.Function(module.getFunction(name)).body = module.block(null, [first, body]);
  };
  const trap = () => module.if(module.global.get("helps", binaryen.i32), module.unreachable());
  const called = new Set();
  for (let i = 0; i < module.getNumElementSegments(); i++) {
    const { data } = binaryen.getElementSegmentInfo(module.getElementSegmentByIndex(i));
    for (const name of data) called.add(name);
  }
  for (const name of called) {
    const { module: imported } = binaryen.getFunctionInfo(module.getFunction(name));
    if (!imported) prepend(name, trap());
  }
  const help = binaryen.getExportInfo(module.getExport("help")).value;
  prepend(help, module.global.set("helps", module.i32.const(1)));
  return Buffer.from(module.emitBinary());
}

test("a helper that traps makes the call reject, and nothing waits for it", async (t) => {
  const wasm = (await trappingHelpers()).toString("base64");
  for (const worker of [true, false]) {
    const { page } = await open(t);
    const failed = await page.evaluate(
      async ({ wasm, worker }) => {
        const { achado, failure } = await import("/test/in-page.mjs");
        const bytes = Uint8Array.from(atob(wasm), (character) => character.charCodeAt(0));
        let classifier;
        const open = async () => {
          classifier = await achado.createClassifier({ wasm: bytes, worker, threads: 2 });
        };
        // It may take part in warming up, or later: when it is awake before the work is done.
        let failed = await failure(open());
        for (let i = 0; i < 1000 && failed.code === "none"; i++) {
          failed = await failure(
            classifier.classify(new ImageData(new Uint8ClampedArray(16384).fill(255), 64)),
          );
        }
        await classifier?.close();
        return failed;
      },
      { wasm, worker },
    );
    assert.equal(failed.code, "INTERNAL", failed.message);
    assert.match(failed.message, /a thread of the pool failed/);
    await noWorkers(page);
  }
});

test("a load that is aborted at any time leaves no worker", async (t) => {
  const { page } = await open(t);
  for (const worker of [true, false]) {
    for (const phase of ["none", "wasm", "model", "compile", "warmup"]) {
      const failed = await page.evaluate(
        async ({ worker, phase }) => {
          const { achado, failure } = await import("/test/in-page.mjs");
          const aborter = new AbortController();
          const onProgress = (now) => now.phase === phase && aborter.abort();
          const { signal } = aborter;
          const loading = achado.createClassifier({ worker, threads: 2, signal, onProgress });
          if (phase === "none") setTimeout(() => aborter.abort(), 20);
          return failure(loading);
        },
        { worker, phase },
      );
      assert.equal(failed.name, "AbortError", `${phase}: ${failed.message}`);
      await noWorkers(page);
    }
  }
});
