// What can go wrong while the package loads or runs, and what the user is told.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import binaryen from "binaryen";
import { CORE, launch, PACKAGE, startServer } from "./support.mjs";

const mounts = {
  "/fixtures/": new URL("../fixtures/", import.meta.url),
  "/test/": new URL("./", import.meta.url),
};
const html = (body = "<!doctype html><title>test") => ({
  headers: { "Content-Type": "text/html" },
  body,
});
const wasm = await readFile(new URL(`.${CORE}`, PACKAGE));
const modelPath = "/models/efficientnet-lite0-int8.tflite";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/**
 * Serves the package with some answers changed, and classifies a photo in a page.
 *
 * @returns {Promise<{ outcome: object, requests: object[] }>} What `classify` gave, or the failure.
 */
async function attempt(t, { overrides = {}, headers, options = {}, before, twice } = {}) {
  const answers = { "/": html(), ...overrides };
  const server = await startServer({ root: PACKAGE, mounts, overrides: answers, headers });
  t.after(() => server.close());
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  if (before) await page.addInitScript(before);
  await page.goto(server.url);
  const run = () =>
    page.evaluate(async (options) => {
      const { achado, failure, inputs } = await import("/test/in-page.mjs");
      const progress = [];
      const onProgress = ({ phase, loaded, total }) => progress.push([phase, loaded, total]);
      let classifier;
      const failed = await failure(
        // Why there are no more is threads.test.mjs's.
        achado.createClassifier({ threads: 1, ...options, onProgress }).then((made) => {
          classifier = made;
        }),
      );
      if (!classifier) return { ...failed, progress };
      const { blob } = await inputs("/fixtures/photos/cat.jpg");
      const { top } = await classifier.classify(blob);
      const { runtime } = classifier;
      await classifier.close();
      return { top, runtime, progress };
    }, options);
  const outcome = await run();
  if (!twice) return { outcome, requests: server.requests };
  Object.assign(answers, twice);
  return { outcome, again: await run(), requests: server.requests };
}

/** Asserts what a failed attempt says. */
function says({ outcome }, code, words) {
  assert.equal(outcome.code, code, outcome.message);
  assert.match(outcome.message, words);
  assert.equal(outcome.name, "AchadoError");
}

/** Asserts that it worked after all. */
function names({ outcome }) {
  assert.equal(outcome.top?.categoryName, "Egyptian cat", JSON.stringify(outcome));
  return outcome.runtime;
}

test("progress tells each phase, and the model's bytes", async (t) => {
  const { outcome } = await attempt(t);
  names({ outcome });
  const phases = outcome.progress.map(([phase]) => phase);
  assert.deepEqual([...new Set(phases)].sort(), ["compile", "model", "warmup", "wasm"]);
  const model = outcome.progress.filter(([phase]) => phase === "model");
  const size = (await readFile(new URL(`.${modelPath}`, PACKAGE))).length;
  assert.deepEqual(model[0], ["model", 0, size]);
  assert.deepEqual(model.at(-1), ["model", size, size]);
  assert.deepEqual(outcome.progress.slice(-2), [
    ["warmup", 0, 1],
    ["warmup", 1, 1],
  ]);
});

test("a wasm file that is not there, and then is", async (t) => {
  const { outcome, again } = await attempt(t, {
    overrides: { [CORE]: { status: 404, body: "gone" } },
    twice: { [CORE]: undefined },
  });
  says({ outcome }, "BACKEND_UNAVAILABLE", /wasm file is not at .*relaxed\.wasm: .* 404/);
  assert.equal(outcome.detail.status, 404);
  names({ outcome: again });
});

test("a wasm file of the wrong MIME type works, and is mentioned", async (t) => {
  for (const type of ["application/octet-stream", ""]) {
    const answer = { headers: type ? { "Content-Type": type } : {}, body: wasm };
    const runtime = names(await attempt(t, { overrides: { [CORE]: answer } }));
    assert.equal(runtime.fallbacks.length, 1);
    assert.match(runtime.fallbacks[0].reason, /^WASM_MIME: .*application\/wasm/);
  }
});

test("a web page in place of the wasm file is WASM_MIME", async (t) => {
  const overrides = { [CORE]: html("<!doctype html><h1>not found</h1>") };
  says(await attempt(t, { overrides }), "WASM_MIME", /not WebAssembly: .* text\/html/);
});

test("a damaged wasm file does not compile", async (t) => {
  const body = Buffer.from(wasm);
  body.fill(0xff, 60, 90);
  const overrides = {
    [CORE]: { headers: { "Content-Type": "application/wasm" }, body },
  };
  says(await attempt(t, { overrides }), "BACKEND_UNAVAILABLE", /does not compile/);
});

test("a Content-Security-Policy without 'wasm-unsafe-eval' is named", async (t) => {
  const headers = { "Content-Security-Policy": "script-src 'self' 'unsafe-inline'" };
  says(await attempt(t, { headers }), "CSP_BLOCKED", /add 'wasm-unsafe-eval' to script-src/);
});

test("'self' and 'wasm-unsafe-eval' are enough of a policy", async (t) => {
  const headers = {
    "Content-Security-Policy":
      "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; img-src blob:",
  };
  const runtime = names(await attempt(t, { headers }));
  assert.equal(runtime.worker, true);
});

test("a page that requires Trusted Types allows achado's policy, and has its worker", async (t) => {
  const allowed = "require-trusted-types-for 'script'; trusted-types achado";
  const runtime = names(await attempt(t, { headers: { "Content-Security-Policy": allowed } }));
  assert.equal(runtime.worker, true, JSON.stringify(runtime.fallbacks));
  const refused = "require-trusted-types-for 'script'; trusted-types 'none'";
  const without = names(await attempt(t, { headers: { "Content-Security-Policy": refused } }));
  assert.equal(without.worker, false);
  assert.match(without.fallbacks[0].reason, /TrustedScriptURL.*allow the policy "achado"/);
});

test("a browser without SIMD gets a plain sentence", async (t) => {
  const before = () => {
    WebAssembly.validate = () => false;
  };
  const { outcome } = await attempt(t, { before });
  says({ outcome }, "WASM_UNSUPPORTED", /no WebAssembly SIMD; achado needs Chrome/);
});

test("a browser without relaxed SIMD loads the other core", async (t) => {
  const before = () => {
    const { validate } = WebAssembly;
    // i16x8.relaxed_dot_i8x16_i7x16_s
    const isRelaxed = (bytes) => String(bytes).includes("253,146,2");
    WebAssembly.validate = (bytes) => !isRelaxed(bytes) && validate(bytes);
  };
  const attempted = await attempt(t, { before });
  assert.equal(names(attempted).simd, "simd128");
  const wasm = attempted.requests.map(({ path }) => path).filter((path) => /\.wasm$/.test(path));
  assert.deepEqual(wasm, ["/dist/simd128.wasm"]);
});

test("a policy without workers, or a missing script: the main thread works, and says why", async (t) => {
  const headers = { "Content-Security-Policy": "worker-src 'none'" };
  const overrides = { "/dist/worker.js": { status: 404 } };
  for (const place of [{ headers }, { overrides }]) {
    const runtime = names(await attempt(t, place));
    assert.equal(runtime.worker, false);
    assert.equal(runtime.fallbacks.length, 1);
    assert.match(runtime.fallbacks[0].reason, /^no worker: ./);
  }
});

test("a package on another origin works, in a worker, also for a sandboxed frame", async (t) => {
  const cors = { "Access-Control-Allow-Origin": "*" };
  const elsewhere = await startServer({ root: PACKAGE, headers: cors });
  t.after(() => elsewhere.close());
  const server = await startServer({ root: PACKAGE, mounts, overrides: { "/": html() } });
  t.after(() => server.close());
  const page = await browser.newPage();
  t.after(() => page.close());
  await page.goto(server.url);
  const { top, runtime } = await page.evaluate(async (origin) => {
    const { createClassifier } = await import(`${origin}/dist/index.js`);
    const classifier = await createClassifier();
    const photo = await (await fetch("/fixtures/photos/cat.jpg")).blob();
    return { top: (await classifier.classify(photo)).top, runtime: classifier.runtime };
  }, elsewhere.url);
  assert.equal(top.categoryName, "Egyptian cat");
  assert.equal(runtime.worker, true, JSON.stringify(runtime.fallbacks));

  // Of an opaque origin: without caches, storage and scripts of an origin of its own.
  const framed = await page.evaluate(
    (origin) =>
      new Promise((resolve) => {
        addEventListener("message", ({ data }) => resolve(data), { once: true });
        const frame = document.createElement("iframe");
        frame.sandbox = "allow-scripts";
        frame.srcdoc = `<script type="module">
          import { createClassifier } from "${origin}/dist/index.js";
          const run = async () => {
            const classifier = await createClassifier();
            const { top } = await classifier.classify(new ImageData(new Uint8ClampedArray(256).fill(255), 8));
            const { worker, fallbacks } = classifier.runtime;
            return { score: top.score, worker, fallbacks };
          };
          run().catch(({ name, message }) => ({ name, message })).then((told) =>
            parent.postMessage(told, "*"));
        </script>`;
        document.body.append(frame);
      }),
    elsewhere.url,
  );
  assert.ok(framed.score > 0, JSON.stringify(framed));
  assert.equal(framed.worker, true, JSON.stringify(framed.fallbacks));
});

test("models that are not there, or are something else", async (t) => {
  const model = (answer) => ({ overrides: { [modelPath]: answer } });
  const missing = await attempt(t, model({ status: 404 }));
  says(missing, "MODEL_FETCH", /the model is not at .*\.tflite: the server answers 404/);
  assert.equal(missing.outcome.detail.status, 404);
  says(await attempt(t, model(html())), "MODEL_FETCH", /the server sends a web page/);
  says(await attempt(t, model({ body: "no model at all" })), "MODEL_FORMAT", /not a \.tflite/);
  const onnx = Buffer.from("\x08\x07\x12\x07pytorch\x1a\x031.9:\x10\x0a\x0e", "latin1");
  says(await attempt(t, model({ body: onnx })), "MODEL_FORMAT", /ONNX/);
  const cut = (_, response) => {
    response.writeHead(200, { "Content-Length": 5_000_000 });
    response.write(Buffer.alloc(1000));
    setTimeout(() => response.destroy(), 100);
  };
  says(await attempt(t, model(cut)), "MODEL_FETCH", /broke off after 1000 bytes/);
  const unreachable = await attempt(t, { options: { model: "http://127.0.0.1:1/m.tflite" } });
  says(unreachable, "MODEL_FETCH", /cannot be fetched from http:\/\/127\.0\.0\.1:1.*CORS/);
});

test("the wasm and the model are downloaded at the same time", async (t) => {
  // Each is answered only when the other has been asked for.
  const asked = {};
  const both = ["wasm", "model"].map(
    (name) =>
      new Promise((resolve) => {
        asked[name] = resolve;
      }),
  );
  const answer = (name, file, type) => async (_, response) => {
    asked[name]();
    await Promise.all(both);
    response.writeHead(200, { "Content-Type": type });
    response.end(await readFile(new URL(file, PACKAGE)));
  };
  const overrides = {
    [CORE]: answer("wasm", `.${CORE}`, "application/wasm"),
    [modelPath]: answer("model", `.${modelPath}`, "application/octet-stream"),
  };
  names(await attempt(t, { overrides }));
});

test("what is made ready while the model is on its way changes no score", async (t) => {
  const slow = { file: new URL(`.${modelPath}`, PACKAGE), delayMs: 1000 };
  const primed = await attempt(t, { overrides: { [modelPath]: slow } });
  const plain = await attempt(t, { options: { worker: false } });
  assert.equal(names(primed).worker, true);
  assert.deepEqual(primed.outcome.top, plain.outcome.top);
});

test("a wrong model address stops the other downloads", async (t) => {
  const stalled = { file: new URL(`.${CORE}`, PACKAGE), delayMs: 5000 };
  const start = performance.now();
  const overrides = { [modelPath]: { status: 404 }, [CORE]: stalled };
  says(await attempt(t, { overrides }), "MODEL_FETCH", /404/);
  assert.ok(performance.now() - start < 4500);
});

/** The core, changed so that classifying a picture 13 pixels wide is a trap. */
function trappingWasm() {
  const module = binaryen.readBinary(wasm);
  const { BulkMemory, Multivalue, NontrappingFPToInt, ReferenceTypes } = binaryen.Features;
  const { RelaxedSIMD, SIMD128, SignExt } = binaryen.Features;
  module.setFeatures(
    BulkMemory | Multivalue | NontrappingFPToInt | ReferenceTypes | RelaxedSIMD | SIMD128 | SignExt,
  );
  const exported = module.getExport("core_classify");
  const name = binaryen.getExportInfo(exported).value;
  const info = binaryen.getFunctionInfo(module.getFunction(name));
  // (this, width, height, options)
  const width = module.local.get(1, binaryen.i32);
  const trap = module.if(module.i32.eq(width, module.i32.const(13)), module.unreachable());
  binaryen.Function(module.getFunction(name)).body = module.block(null, [trap, info.body]);
  return Buffer.from(module.emitBinary());
}

test("no worker is left of a model that is not there, and none comes later", async (t) => {
  const server = await startServer({ root: PACKAGE, mounts, overrides: { "/": html() } });
  t.after(() => server.close());
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(server.url);
  const found = await page.evaluate(async (core) => {
    const { achado, failure } = await import("/test/in-page.mjs");
    const make = (options) =>
      failure(achado.createClassifier({ model: "/nowhere.tflite", threads: 1, ...options }));
    const early = await make({});
    // Compiled, and so known to have no threads, when the model has failed.
    const wasm = await (await fetch(core)).arrayBuffer();
    const { compile } = WebAssembly;
    let compiled;
    WebAssembly.compile = async (bytes) => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      compiled = compile(bytes);
      return compiled;
    };
    const late = await make({ wasm });
    const wasFirst = compiled === undefined;
    while (!compiled) await new Promise((resolve) => setTimeout(resolve, 10));
    await compiled;
    await new Promise((resolve) => setTimeout(resolve, 200));
    return { codes: [early.code, late.code], wasFirst };
  }, CORE);
  assert.deepEqual(found, { codes: ["MODEL_FETCH", "MODEL_FETCH"], wasFirst: true });
  assert.equal(page.workers().length, 0);
});

test("after a trap the call rejects with a code, and the next call has a new worker", async (t) => {
  const server = await startServer({ root: PACKAGE, mounts, overrides: { "/": html() } });
  t.after(() => server.close());
  const page = await browser.newPage();
  t.after(() => page.close());
  await page.goto(server.url);
  const bytes = trappingWasm().toString("base64");
  // The bytes for a new worker lie in a Blob after a second.
  for (const [worker, afterMs] of [
    [true, 0],
    [true, 1500],
    [false, 0],
  ]) {
    const { trapped, queued, next, other } = await page.evaluate(
      async ({ bytes, worker, afterMs }) => {
        const { achado, failure, inputs } = await import("/test/in-page.mjs");
        const wasm = Uint8Array.from(atob(bytes), (character) => character.charCodeAt(0));
        const options = { wasm, worker, maxResults: 1, categoryDenylist: ["Egyptian cat"] };
        const classifier = await achado.createClassifier(options);
        const another = await achado.createClassifier(options);
        const { blob } = await inputs("/fixtures/photos/cat.jpg");
        await new Promise((resolve) => setTimeout(resolve, afterMs));
        const first = classifier.classify(new ImageData(new Uint8ClampedArray(52).fill(255), 13));
        const second = classifier.classify(blob);
        const name = async (call) => {
          const failed = await failure(call);
          return failed.code === "none" ? (await call).top.categoryName : failed;
        };
        return {
          trapped: await failure(first),
          queued: await name(second),
          next: await name(classifier.classify(blob)),
          other: await name(another.classify(blob)),
        };
      },
      { bytes, worker, afterMs },
    );
    assert.equal(trapped.code, "OUT_OF_MEMORY", trapped.message);
    assert.doesNotMatch(trapped.message, /unreachable/);
    if (worker) {
      assert.equal(queued, "tiger cat");
      assert.equal(next, "tiger cat", "the new worker has the options of the old one");
    } else {
      assert.equal(queued.code, "OUT_OF_MEMORY");
      assert.match(next.message, /broke in an earlier call, create a new one/);
    }
    assert.equal(other, "tiger cat", "another classifier is not touched");
  }
});

test("a large picture goes through in bands, and its memory does not grow from call to call", async (t) => {
  const server = await startServer({ root: PACKAGE, mounts, overrides: { "/": html() } });
  t.after(() => server.close());
  const page = await browser.newPage();
  t.after(() => page.close());
  await page.goto(server.url);
  const { top, small } = await page.evaluate(async () => {
    const { achado, inputs } = await import("/test/in-page.mjs");
    const classifier = await achado.createClassifier({ worker: false });
    const { blob } = await inputs("/fixtures/photos/cat.jpg");
    // One large photo must not hold its memory for ever: 64 MB, then small ones.
    const large = new ImageData(new Uint8ClampedArray(67108864).fill(255), 4096);
    await classifier.classify(large);
    const before = classifier.runtime.memoryBytes;
    for (let i = 0; i < 3; i++) await classifier.classify(large);
    return {
      top: (await classifier.classify(blob)).top,
      small: classifier.runtime.memoryBytes - before,
    };
  });
  assert.equal(top.categoryName, "Egyptian cat");
  assert.equal(small, 0, "the memory grows from picture to picture");
});
