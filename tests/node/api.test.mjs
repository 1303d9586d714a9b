// The package in Node: the same API as in a browser, on files.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import os from "node:os";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { createClassifier, defaultModel } from "../../pkg/dist/node.js";
import { refused } from "./support.mjs";

const photos = new URL("../fixtures/photos/", import.meta.url);
const fixtures = new URL("../fixtures/default_model/", import.meta.url);
const cat = await readFile(new URL("cat.jpg", photos));

let classifier;
before(async () => {
  classifier = await createClassifier();
});
after(() => classifier.close());

test("the default model gives the very scores that LiteRT gives", async () => {
  const { output, pictures } = JSON.parse(await readFile(new URL("expected.json", fixtures)));
  for (const { input, outputs } of Object.values(pictures)) {
    const { classifications } = await classifier.classify(await readFile(new URL(input, fixtures)));
    const recorded = await readFile(new URL(outputs.default.file, fixtures));
    const [{ categories }] = classifications;
    assert.equal(categories.length, recorded.length);
    for (const { index, score } of categories) {
      assert.equal(score, recorded[index] * output.scale, `${input}, class ${index}`);
    }
  }
});

test("photos are named, by bytes, Blob and pixels", async () => {
  for (const [photo, name] of [
    ["cat.jpg", "Egyptian cat"],
    ["coffee.jpg", "espresso"],
    ["camera.jpg", "tripod"],
  ]) {
    const bytes = await readFile(new URL(photo, photos));
    const { top, timings } = await classifier.classify(bytes);
    assert.equal(top.categoryName, name);
    assert.ok(timings.inference > 0 && timings.preprocess > 0);
    const blob = await classifier.classify(new Blob([bytes]));
    assert.deepEqual(blob.classifications[0].categories[0], top);
    const url = new URL(photo, photos);
    for (const where of [url, url.href, fileURLToPath(url), new Response(bytes)]) {
      assert.deepEqual((await classifier.classify(where)).top, top);
    }
  }
  const grey = { data: new Uint8Array(8 * 4 * 4).fill(128), width: 8, height: 4 };
  assert.equal((await classifier.classify(grey)).classifications[0].categories.length, 1000);
});

test("what the model and the runtime say about themselves", () => {
  const { metadata, runtime } = classifier;
  assert.equal(metadata.name, "EfficientNet-Lite0");
  assert.equal(metadata.labels, 1000);
  assert.deepEqual(metadata.inputs[0].shape, [1, 224, 224, 3]);
  assert.deepEqual(metadata.outputs[0].quantization, { scale: 1 / 256, zeroPoint: 0 });
  const { memoryBytes, ...rest } = runtime;
  assert.deepEqual(rest, {
    backend: "wasm",
    // Node 21 was the first with relaxed SIMD.
    simd: Number.parseInt(process.versions.node, 10) >= 21 ? "relaxed" : "simd128",
    threads: Math.min(4, os.availableParallelism()),
    worker: true,
    fallbacks: [],
  });
  assert.ok(memoryBytes > 5e6);
});

test("one and several threads give the same scores, in a worker thread and without one", async () => {
  const expected = (await classifier.classify(cat)).classifications;
  for (const worker of [true, false]) {
    for (const threads of [1, 2, 3]) {
      const own = await createClassifier({ threads, worker });
      const { runtime } = own;
      assert.deepEqual([runtime.threads, runtime.worker, runtime.fallbacks], [threads, worker, []]);
      assert.deepEqual((await own.classify(cat)).classifications, expected);
      await own.close();
    }
  }
});

test("labels are the caller's, whatever is in them", async (t) => {
  const odd = ["", "\n", "a\0b", "\u{1f408}\u200d\u2b1b", "ação", "\t ", "goldfish"];
  const labels = Array.from({ length: 1000 }, (_, index) => odd[index] ?? `class ${index}`);
  const own = await createClassifier({ labels });
  t.after(() => own.close());
  const { top, classifications } = await own.classify(cat);
  assert.equal(top.categoryName, "class 285");
  const { categories } = classifications[0];
  assert.equal(categories.length, 1000);
  for (const { index, categoryName, displayName } of categories) {
    assert.equal(categoryName, labels[index]);
    assert.equal(displayName, "");
  }
  await own.setOptions({ labels: labels.toReversed() });
  assert.equal((await own.classify(cat)).top.categoryName, labels[999 - 285]);
});

test("options: results, threshold, lists, preprocessing; set and taken back", async (t) => {
  const own = await createClassifier({ maxResults: 2 });
  t.after(() => own.close());
  const names = async () =>
    (await own.classify(cat)).classifications[0].categories.map((one) => one.categoryName);
  assert.deepEqual(await names(), ["Egyptian cat", "tiger cat"]);
  await own.setOptions({ categoryDenylist: ["Egyptian cat"] });
  assert.deepEqual((await names())[0], "tiger cat");
  await own.setOptions({ categoryDenylist: undefined, scoreThreshold: 0.4 });
  assert.deepEqual(await names(), ["Egyptian cat"]);
  await own.setOptions({ scoreThreshold: 2 });
  assert.equal((await own.classify(cat)).top, null);
  await own.setOptions({
    scoreThreshold: undefined,
    categoryAllowlist: ["goldfish, Carassius auratus"],
  });
  assert.deepEqual(await names(), ["goldfish, Carassius auratus"]);
  await own.setOptions({ categoryAllowlist: [], preprocess: { fit: "centerCrop" } });
  assert.equal((await names())[0], "Egyptian cat");
  // What is refused leaves the old options in force.
  await refused(own.setOptions({ maxResults: 0 }), "INVALID_OPTION", /maxResults/);
  assert.equal((await names()).length, 2);
  const labels = Array.from({ length: 1000 }, (_, index) => `number ${index}`);
  await own.setOptions({ labels });
  assert.equal((await names())[0], "number 285");
});

test("wrong options are named", async () => {
  const wrong = (options, words) => refused(createClassifier(options), "INVALID_OPTION", words);
  await wrong({ maxResults: Number.NaN }, /maxResults: must be a whole number, is NaN/);
  await wrong({ maxResults: "5" }, /maxResults: must be a number/);
  await wrong({ scoreThreshold: Number.NaN }, /scoreThreshold.*NaN/);
  await wrong({ maxResult: 5 }, /maxResult: there is no such option/);
  await wrong({ labels: ["one"] }, /labels: the model has 1000 classes, the list has 1/);
  await wrong({ labels: [1] }, /labels: must be a list of strings/);
  await wrong({ preprocess: { fit: "fill" } }, /preprocess.fit: must be "stretch" or .* is "fill"/);
  await wrong({ preprocess: { std: [0] } }, /preprocess.std/);
  await wrong({ preprocess: 3 }, /preprocess: must be an object, is 3/);
  await wrong({ categoryAllowlist: "cat" }, /categoryAllowlist: must be an array of strings/);
  await wrong({ categoryAllowlist: ["no such thing"] }, /no such thing/);
  await wrong({ worker: "yes" }, /worker: must be true or false/);
  await wrong({ model: 5 }, /model: needs a URL/);
  await wrong({ wasm: 5 }, /wasm: needs a URL/);
  await wrong({ integrity: "md5-abc" }, /integrity: needs "sha256-"/);
  const frame = (options, words) =>
    refused(classifier.classify(cat, options), "INVALID_OPTION", words);
  await frame({ rotationDegrees: 45 }, /rotationDegrees/);
  await frame({ rotationDegrees: Number.NaN }, /rotationDegrees: must be a whole number/);
  await frame({ regionOfInterest: { left: 0, top: 0, right: 2, bottom: 1 } }, /right/);
  await frame({ regionOfInterest: { left: 0, top: 0, right: 1 } }, /bottom/);
  await frame({ mirror: 1 }, /mirror: must be true or false/);
  await refused(classifier.profile(0), "INVALID_OPTION", /runs/);
});

test("pictures that cannot be used", async () => {
  const wrong = (image, words) => refused(classifier.classify(image), "INVALID_INPUT", words);
  await wrong(new Uint8Array(0), /BMP, GIF, JPEG, PNG or WebP/);
  await wrong(Buffer.from("no picture"), /BMP, GIF, JPEG, PNG or WebP/);
  await wrong(cat.subarray(0, 20000), /Jpeg picture cannot be decoded: it is cut off/);
  const png = await readFile(new URL("cat.png", fixtures));
  await wrong(png.subarray(0, 2000), /Png picture cannot be decoded/);
  await wrong({ data: new Uint8Array(0), width: 0, height: 0 }, /0x0/);
  await wrong({ data: new Uint8Array(4), width: 2, height: 1 }, /needs 8 bytes \(RGBA\), has 4/);
  await wrong({ data: new Uint8Array(4), width: 1.5, height: 1 }, /1.5x1/);
  await wrong({ data: "four", width: 1, height: 1 }, /Uint8ClampedArray or Uint8Array/);
  await wrong("nowhere.jpg", /cannot be fetched from nowhere\.jpg: there is no such file/);
  await wrong(new URL("nowhere.jpg", fixtures), /nowhere\.jpg: there is no such file/);
  await wrong(undefined, /undefined is not a picture/);
  await wrong(null, /null is not a picture/);
  await wrong(5, /number is not a picture/);
  await wrong([], /array is not a picture/);
  // None of them has broken it.
  assert.equal((await classifier.classify(cat)).top.index, 285);
});

test("a turned picture, turned back, is the same", async () => {
  const { data, width, height } = { data: new Uint8Array(224 * 224 * 4), width: 224, height: 224 };
  for (let i = 0; i < data.length; i++) data[i] = (i * 2654435761) >>> 24;
  const turned = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      // A quarter counter-clockwise: what is at (x, y) goes to (y, width - 1 - x).
      turned.set(
        data.subarray((y * width + x) * 4, (y * width + x) * 4 + 4),
        ((width - 1 - x) * width + y) * 4,
      );
    }
  }
  const upright = await classifier.classify({ data, width, height });
  const back = await classifier.classify({ data: turned, width, height }, { rotationDegrees: 90 });
  assert.deepEqual(back.classifications, upright.classifications);
});

test("models by path, URL, bytes, Blob, Response and stream, with progress and integrity", async () => {
  const bytes = await readFile(defaultModel);
  const integrity = `sha256-${createHash("sha256").update(bytes).digest("base64")}`;
  const sources = {
    path: defaultModel.pathname,
    URL: defaultModel,
    Buffer: bytes,
    ArrayBuffer: new Uint8Array(bytes).buffer,
    Blob: new Blob([bytes]),
    Response: new Response(bytes),
    stream: new Blob([bytes]).stream(),
  };
  for (const [kind, model] of Object.entries(sources)) {
    const phases = [];
    const own = await createClassifier({
      model,
      integrity,
      maxResults: 1,
      onProgress: ({ phase, loaded, total }) => phases.push(`${phase} ${loaded}/${total}`),
    });
    assert.equal((await own.classify(cat)).top.index, 285, kind);
    assert.ok(
      phases.includes(
        `model ${bytes.length}/${kind === "Response" || kind === "stream" ? undefined : bytes.length}`,
      ),
      `${kind}: ${phases}`,
    );
    assert.deepEqual(phases.slice(-4), ["compile 0/1", "compile 1/1", "warmup 0/1", "warmup 1/1"]);
    await own.close();
  }
  const other = `sha256-${createHash("sha256").update("other").digest("base64")}`;
  const error = await refused(
    createClassifier({ model: bytes, integrity: other }),
    "MODEL_INTEGRITY",
    /another file/,
  );
  assert.equal(error.detail.found, integrity);
});

test("a model in pieces: by streams of bytes or of arrays, of any announced length", async () => {
  const bytes = await readFile(defaultModel);
  const pieces = (type) => {
    let at = 0;
    return new ReadableStream({
      type,
      pull(controller) {
        const piece = new Uint8Array(bytes.subarray(at, at + 1_234_567));
        at += piece.length;
        if (piece.length > 0) return controller.enqueue(piece);
        controller.close();
        controller.byobRequest?.respond(0);
      },
    });
  };
  const announced = [undefined, 5, bytes.length - 1, bytes.length, bytes.length + 1];
  for (const type of ["bytes", undefined]) {
    for (const length of announced) {
      const headers = length === undefined ? {} : { "Content-Length": String(length) };
      const model = new Response(pieces(type), { headers });
      const own = await createClassifier({ model, maxResults: 1 });
      assert.equal((await own.classify(cat)).top.index, 285, `${type} ${length}`);
      await own.close();
    }
    const broken = new ReadableStream({
      type,
      pull: (controller) => controller.error(new Error("the cable is out")),
    });
    await refused(
      createClassifier({ model: broken }),
      "MODEL_FETCH",
      /broke off.*the cable is out/,
    );
  }
});

test("models that are none, or are not there", async () => {
  const wrong = (model, code, words) => refused(createClassifier({ model }), code, words);
  const bytes = await readFile(defaultModel);
  await wrong("nowhere.tflite", "MODEL_FETCH", /nowhere\.tflite: there is no such file/);
  await wrong("http://127.0.0.1:1/m.tflite", "MODEL_FETCH", /127\.0\.0\.1:1/);
  await wrong(new Uint8Array(0), "MODEL_FORMAT", /./);
  await wrong(cat, "MODEL_FORMAT", /not a \.tflite/);
  await wrong(bytes.subarray(0, bytes.length >> 1), "MODEL_FORMAT", /./);
  // The beginning of every ONNX file: ir_version, then producer_name.
  const onnx = Buffer.from("\x08\x07\x12\x07pytorch\x1a\x031.9:\x10\x0a\x0e", "latin1");
  await wrong(onnx, "MODEL_FORMAT", /ONNX/);
  const used = new Response(bytes);
  await used.arrayBuffer();
  await wrong(used, "INVALID_OPTION", /has been read already/);
  await wrong(new Response("gone", { status: 410 }), "MODEL_FETCH", /410/);
});

test("aborting rejects with the signal's reason; closing with CLOSED", async () => {
  const aborted = AbortSignal.abort();
  await assert.rejects(createClassifier({ signal: aborted }), { name: "AbortError" });
  await assert.rejects(classifier.classify(cat, { signal: aborted }), { name: "AbortError" });
  const reason = new Error("another reason");
  const controller = new AbortController();
  const waiting = createClassifier({ signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(waiting, reason);

  const own = await createClassifier();
  const pending = own.classify(cat);
  await own.close();
  await own.close();
  await refused(pending, "CLOSED", /closed/);
  await refused(own.classify(cat), "CLOSED", /closed/);
  await refused(own.setOptions({ maxResults: 1 }), "CLOSED", /closed/);
  await refused(own.profile(), "CLOSED", /closed/);
});

test("a failed load is not remembered", async () => {
  const wasm = new URL("../../pkg/dist/nowhere.wasm", import.meta.url);
  for (let time = 0; time < 2; time++) {
    const error = await refused(createClassifier({ wasm }), "BACKEND_UNAVAILABLE", /nowhere\.wasm/);
    assert.equal(error.detail.url, wasm.href);
  }
  const right = new URL("../../pkg/dist/simd128.wasm", import.meta.url);
  const own = await createClassifier({ wasm: right, maxResults: 1 });
  assert.equal((await own.classify(cat)).top.index, 285);
  await own.close();
});

test("the profile names each operator and its kernel", async () => {
  const operators = await classifier.profile(2);
  assert.ok(operators.length > 50);
  const shares = operators.reduce((sum, { share }) => sum + share, 0);
  assert.ok(Math.abs(shares - 1) < 1e-6, `shares sum to ${shares}`);
  const names = new Set(operators.map(({ operator }) => operator));
  assert.ok(names.has("CONV_2D") && names.has("DEPTHWISE_CONV_2D"), [...names].join());
  for (const { kernel, name, medianMs } of operators) {
    assert.ok(kernel !== "" && name !== "" && medianMs >= 0);
  }
});

test("a batch is answered in order, and many calls at once are queued", async () => {
  const bytes = await Promise.all(
    ["cat.jpg", "coffee.jpg", "camera.jpg"].map((name) => readFile(new URL(name, photos))),
  );
  const batch = await classifier.classifyBatch(bytes);
  assert.deepEqual(
    batch.map(({ top }) => top.categoryName),
    ["Egyptian cat", "espresso", "tripod"],
  );
  const at_once = await Promise.all(bytes.map((one) => classifier.classify(one)));
  assert.deepEqual(
    at_once.map(({ top }) => top),
    batch.map(({ top }) => top),
  );
});

test("there is no camera, which is said", async () => {
  const { openCamera } = await import("../../pkg/dist/node.js");
  await refused(openCamera(), "CAMERA_DENIED", /https or localhost/);
});

test("importing either entry does nothing but define", async () => {
  const before = Object.getOwnPropertyNames(globalThis);
  for (const entry of ["index", "node", "static", "lite"]) {
    const exported = await import(`../../pkg/dist/${entry}.js`);
    const names = Object.keys(exported).filter((name) => name !== "defaultModel");
    assert.equal("defaultModel" in exported, entry !== "lite");
    assert.deepEqual(names.sort(), [
      "AchadoError",
      "convertOnnx",
      "cosineSimilarity",
      "createClassifier",
      "createModel",
      "dequantize",
      "openCamera",
      "setAssets",
    ]);
  }
  assert.deepEqual(Object.getOwnPropertyNames(globalThis), before);
});
