// WebGPU on Chromium's software adapter: its numbers are those of the CPU, and where they are not, or
// where the GPU is lost, the CPU answers.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { casesOf } from "./conformance-cases.mjs";
import { launch, PACKAGE, startServer } from "./support.mjs";

const blank = { headers: { "Content-Type": "text/html" }, body: "<!doctype html><title>test" };
const mounts = {
  "/fixtures/": new URL("../fixtures/", import.meta.url),
  "/model/": new URL("../../crates/maker/tests/", import.meta.url),
  "/test/": new URL("./", import.meta.url),
};
const WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

let server;
let browser;
before(async () => {
  server = await startServer({ root: PACKAGE, overrides: { "/": blank }, mounts });
  browser = await launch({ args: WEBGPU });
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

/** Single operators: the first case of a shape class each, as TensorFlow Lite's types have them. */
const OPERATORS = {
  CONV_2D: 67,
  DEPTHWISE_CONV_2D: 67,
  FULLY_CONNECTED: 31,
  ADD: 53,
  MUL: 53,
  AVERAGE_POOL_2D: 31,
  MEAN: 41,
  CONCATENATION: 31,
  PAD: 31,
  RESHAPE: 8,
  SOFTMAX: 31,
  TRANSPOSE: 23,
  RESIZE_BILINEAR: 61,
};

test("operators give the CPU's bytes, or within a ten thousandth its floats", async (t) => {
  const models = [];
  for (const [operator, step] of Object.entries(OPERATORS)) {
    const cases = (await casesOf(operator)).filter(({ model }) => model.length > 0);
    for (const { name, dtype, model } of cases.filter((_, index) => index % step === 0)) {
      models.push({ name: `${operator} ${name} ${dtype}`, model: model.toString("base64") });
    }
  }
  const found = await inPage(
    t,
    async (models) => {
      const { achado } = await import("/test/in-page.mjs");
      const found = [];
      for (const { name, model } of models) {
        const bytes = Uint8Array.from(atob(model), (letter) => letter.charCodeAt(0));
        const options = { worker: false, warmup: false, threads: 1 };
        const opened = await achado.createModel({ model: bytes, backend: "webgpu", ...options });
        const { backend, fallbacks } = opened.runtime;
        found.push({ name, backend, reasons: fallbacks.map(({ reason }) => reason) });
        await opened.close();
      }
      return found;
    },
    models,
  );
  const onGpu = found.filter(({ backend }) => backend === "webgpu");
  for (const { name, backend, reasons } of found) {
    const says =
      backend === "webgpu" ? reasons.length === 0 : /not supported on WebGPU$/.test(reasons[0]);
    assert.ok(says, `${name}: ${reasons}`);
  }
  assert.ok(onGpu.length >= found.length / 3, `${onGpu.length} of ${found.length}`);
});

for (const [file, backend] of Object.entries({
  "mobilenet_v2.onnx": "webgpu",
  "mobilenet_v3.onnx": "webgpu",
  "convnext_tiny.onnx": "webgpu",
  "vit.onnx": "webgpu",
})) {
  test(`${file} runs in a worker on ${backend} and answers as on the CPU`, async (t) => {
    const found = await inPage(
      t,
      async (file) => {
        const { achado } = await import("/test/in-page.mjs");
        const answers = [];
        for (const backend of [undefined, "webgpu"]) {
          const model = await achado.createModel({
            model: `/fixtures/onnx/${file}`,
            backend,
            threads: 1,
          });
          const { inputs } = model.metadata;
          const runs = [];
          for (const seed of [3, 5]) {
            const tensors = {};
            for (const { name, shape, dtype } of inputs) {
              const size = shape.reduce((a, b) => a * b, 1);
              const wave = (_, i) => Math.sin(i * seed * 0.37);
              tensors[name] =
                dtype === "float32"
                  ? Float32Array.from({ length: size }, wave)
                  : Uint8Array.from({ length: size }, (_, i) => (i * seed * 31) & 255);
            }
            const outputs = Object.values(await model.run(tensors));
            runs.push(outputs.map(({ data }) => [...data].map(Number)));
          }
          const { runtime } = model;
          answers.push({
            runs,
            runtime: { ...runtime, fallbacks: runtime.fallbacks.map((f) => f.reason) },
          });
          await model.close();
        }
        return answers;
      },
      file,
    );
    const [cpu, gpu] = found;
    assert.equal(cpu.runtime.backend, "wasm");
    assert.equal(gpu.runtime.backend, backend, String(gpu.runtime.fallbacks));
    assert.match(gpu.runtime.adapter, /swiftshader/);
    assert.ok(gpu.runtime.worker);
    for (const [i, run] of cpu.runs.entries()) {
      for (const [j, output] of run.entries()) {
        const largest = Math.max(...output.map(Math.abs));
        const other = gpu.runs[i][j];
        assert.ok(output.every((x, k) => Math.abs(x - other[k]) <= 1e-4 * largest));
      }
    }
  });
}

test("a network of int8 gives the CPU's bytes in a worker, with its tail on the CPU", async (t) => {
  const found = await inPage(t, async () => {
    const { achado } = await import("/test/in-page.mjs");
    const { quantizeModel, QuantizationConfig } = await import("/dist/quantize.js");
    const picture = (seed) => {
      const data = Uint8Array.from({ length: 64 * 64 * 4 }, (_, i) =>
        i % 4 === 3 ? 255 : (i * seed + (i >> 8)) & 255,
      );
      return { data, width: 64, height: 64 };
    };
    const config = QuantizationConfig.forInt8([1, 2, 3, 4, 5, 6].map((i) => picture(i * 3)));
    const preprocess = "symmetric";
    const { model } = await quantizeModel("/model/quantize.tflite", { config, preprocess });
    const answers = [];
    for (const backend of ["wasm", "webgpu"]) {
      const opened = await achado.createModel({ model, backend, preprocess, threads: 1 });
      const runs = [];
      for (const seed of [7, 11, 13]) {
        const outputs = Object.values(await opened.runImage(picture(seed)));
        runs.push(outputs.map(({ dtype, data }) => [dtype, ...data]));
      }
      const { runtime } = opened;
      const reasons = runtime.fallbacks.map(({ reason }) => reason);
      answers.push({ backend: runtime.backend, reasons, runs });
      await opened.close();
    }
    return answers;
  });
  const [cpu, gpu] = found;
  assert.equal(gpu.backend, "webgpu", String(gpu.reasons));
  assert.match(cpu.runs[0][0][0], /int8/);
  assert.notDeepEqual(cpu.runs[0], cpu.runs[1]);
  assert.deepEqual(gpu.runs, cpu.runs);
});

test("without the option nothing of it is loaded, and no GPU is asked for", async (t) => {
  const before = server.requests.length;
  const found = await inPage(t, async () => {
    let asked = 0;
    const { gpu } = navigator;
    Object.defineProperty(navigator, "gpu", { get: () => (asked++, gpu) });
    const { achado } = await import("/test/in-page.mjs");
    const model = "/fixtures/onnx/mobilenet_v2.onnx";
    const opened = await achado.createModel({ model, worker: false });
    await opened.close();
    const explicit = await achado.createModel({ model, worker: false, backend: "wasm" });
    const { backend, fallbacks } = explicit.runtime;
    await explicit.close();
    return { asked, backend, gpus: fallbacks.filter(({ from }) => from === "webgpu").length };
  });
  assert.deepEqual(found, { asked: 0, backend: "wasm", gpus: 0 });
  const files = server.requests.slice(before).map(({ path }) => path);
  assert.ok(!files.some((path) => /gpu/.test(path)), String(files));
});

test("auto stays on the CPU where the adapter is software, and says so", async (t) => {
  const found = await inPage(t, async () => {
    const { achado, failure } = await import("/test/in-page.mjs");
    const model = "/fixtures/onnx/mobilenet_v2.onnx";
    const opened = await achado.createModel({ model, backend: "auto" });
    while (opened.runtime.fallbacks.every(({ from }) => from !== "webgpu")) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const { backend, fallbacks } = opened.runtime;
    await opened.close();
    const wrong = await failure(achado.createModel({ model, backend: "cuda" }));
    return { backend, reasons: fallbacks.filter(({ from }) => from === "webgpu"), wrong };
  });
  assert.equal(found.backend, "wasm");
  assert.deepEqual(
    found.reasons.map(({ to }) => to),
    ["wasm"],
  );
  assert.match(found.reasons[0].reason, /computes on the processor \(google swiftshader\)/);
  assert.equal(found.wrong.message, 'backend: must be "auto", "wasm" or "webgpu", is cuda');
});

/** Faults of drivers, as functions that a page runs before the model is opened. */
const FAULTS = {
  "a product that is off by a thousandth": () => {
    const create = GPUDevice.prototype.createShaderModule;
    GPUDevice.prototype.createShaderModule = function ({ code }) {
      return create.call(this, { code: code.replaceAll("+ bias", "* 1.001 + bias") });
    };
  },
  "padding on the wrong side": () => {
    const create = GPUDevice.prototype.createShaderModule;
    GPUDevice.prototype.createShaderModule = function ({ code }) {
      return create.call(this, { code: code.replaceAll("- p.pad_left", "- p.pad_left - 1u") });
    };
  },
  zeros: () => {
    const map = GPUBuffer.prototype.getMappedRange;
    GPUBuffer.prototype.getMappedRange = function () {
      return new ArrayBuffer(map.call(this).byteLength);
    };
  },
  "not a number": () => {
    const map = GPUBuffer.prototype.getMappedRange;
    GPUBuffer.prototype.getMappedRange = function () {
      return new Float32Array(map.call(this).byteLength / 4).fill(NaN).buffer;
    };
  },
  "a buffer that keeps what the first run wrote": () => {
    const write = GPUQueue.prototype.writeBuffer;
    const seen = new Map();
    GPUQueue.prototype.writeBuffer = function (buffer, offset, ...rest) {
      const count = (seen.get(buffer) ?? 0) + 1;
      seen.set(buffer, count);
      if (count === 1) write.call(this, buffer, offset, ...rest);
    };
  },
  "a second run that is wrong": () => {
    const map = GPUBuffer.prototype.getMappedRange;
    let runs = 0;
    GPUBuffer.prototype.getMappedRange = function () {
      const range = map.call(this).slice(0);
      if (++runs === 4) new Float32Array(range)[0] += 1;
      return range;
    };
  },
  "a shader that does not compile": () => {
    const create = GPUDevice.prototype.createShaderModule;
    GPUDevice.prototype.createShaderModule = function () {
      return create.call(this, { code: "fn main( {" });
    };
  },
};

for (const [fault, seed] of Object.entries(FAULTS)) {
  test(`the check before the GPU is trusted finds ${fault}`, async (t) => {
    const found = await inPage(
      t,
      async ([seed, model]) => {
        new Function(`(${seed})()`)();
        const { achado } = await import("/test/in-page.mjs");
        const opened = await achado.createModel({ model, backend: "webgpu", worker: false });
        const { backend, fallbacks } = opened.runtime;
        const reasons = fallbacks.filter(({ from }) => from === "webgpu");
        await opened.close();
        return { backend, reasons: reasons.map(({ reason }) => reason) };
      },
      [
        String(seed),
        `/fixtures/onnx/${fault.startsWith("padding") ? "mobilenet_v2" : "colours"}.onnx`,
      ],
    );
    assert.equal(found.backend, "wasm");
    assert.equal(found.reasons.length, 1, String(found.reasons));
    const expected = fault.includes("compile")
      ? /./
      : /computes other numbers: for test input [12], run [12], element \d+ of output/;
    assert.match(found.reasons[0], expected);
  });
}

test("a GPU that is lost at any moment loses no call", async (t) => {
  const found = await inPage(t, async () => {
    const { achado } = await import("/test/in-page.mjs");
    let device;
    const request = GPUAdapter.prototype.requestDevice;
    GPUAdapter.prototype.requestDevice = async function (...rest) {
      device = await request.apply(this, rest);
      return device;
    };
    const options = { model: "/fixtures/onnx/colours.onnx", worker: false, threads: 1 };
    const cpu = await achado.createModel(options);
    const gpu = await achado.createModel({ ...options, backend: "webgpu" });
    const [{ name, shape }] = gpu.metadata.inputs;
    const size = shape.reduce((a, b) => a * b, 1);
    const input = (n) => ({
      [name]: Float32Array.from({ length: size }, (_, i) => Math.sin(i * n)),
    });
    const backends = new Set();
    let worst = 0;
    for (let n = 1; n <= 24; n++) {
      const pending = gpu.run(input(n));
      backends.add(gpu.runtime.backend);
      if (n % 6 === 3) {
        // In mid-run, and at other moments of it.
        await new Promise((resolve) => setTimeout(resolve, n));
        device.destroy();
      }
      const [[a], [b]] = [await pending, await cpu.run(input(n))].map((outputs) =>
        Object.values(outputs),
      );
      const largest = Math.max(...b.data.map(Math.abs));
      worst = Math.max(worst, ...a.data.map((x, i) => Math.abs(x - b.data[i]) / largest));
    }
    const { backend, fallbacks } = gpu.runtime;
    await gpu.close();
    await cpu.close();
    const losses = fallbacks.filter(({ reason }) => reason.includes("the GPU was lost"));
    return { worst, backend, backends: [...backends].sort(), losses: losses.length };
  });
  assert.ok(found.worst <= 1e-4, String(found.worst));
  assert.deepEqual(found.backends, ["wasm", "webgpu"]);
  // After the third it is left alone.
  assert.ok(found.losses >= 1 && found.losses <= 3, String(found.losses));
});

test("pictures are classified on the GPU, one by one and in batches", async (t) => {
  const found = await inPage(t, async () => {
    const { achado, scores } = await import("/test/in-page.mjs");
    const model = "/fixtures/onnx/colours.onnx";
    const options = { model, preprocess: "unit", threads: 1 };
    const picture = (seed) => {
      const data = Uint8Array.from({ length: 32 * 32 * 4 }, (_, i) =>
        i % 4 === 3 ? 255 : (i * seed) & 255,
      );
      return { data, width: 32, height: 32 };
    };
    const answers = [];
    for (const backend of ["wasm", "webgpu"]) {
      const classifier = await achado.createClassifier({ ...options, backend });
      const one = await classifier.classify(picture(3));
      const all = await classifier.classifyBatch([picture(3), picture(7)]);
      const vector = await classifier.embed(picture(3)).then(
        (v) => [...v],
        (error) => error.code,
      );
      answers.push({
        backend: classifier.runtime.backend,
        reasons: classifier.runtime.fallbacks.map(({ reason }) => reason),
        scores: [one, ...all].map(scores),
        vector,
        inference: one.timings.inference,
      });
      await classifier.close();
    }
    return answers;
  });
  const [cpu, gpu] = found;
  assert.equal(gpu.backend, "webgpu", String(gpu.reasons));
  assert.ok(gpu.inference > 0);
  assert.deepEqual(gpu.vector, cpu.vector);
  for (const [i, scores] of cpu.scores.entries()) {
    assert.ok(scores.every((score, k) => Math.abs(score - gpu.scores[i][k]) <= 1e-4));
  }
});

test("opening and closing leaves nothing behind", async (t) => {
  const found = await inPage(t, async () => {
    const { achado } = await import("/test/in-page.mjs");
    let [made, destroyed] = [0, 0];
    const { createBuffer } = GPUDevice.prototype;
    GPUDevice.prototype.createBuffer = function (...rest) {
      made++;
      return createBuffer.apply(this, rest);
    };
    const { destroy } = GPUBuffer.prototype;
    GPUBuffer.prototype.destroy = function () {
      destroyed++;
      return destroy.call(this);
    };
    let groups = 0;
    const { createBindGroup } = GPUDevice.prototype;
    GPUDevice.prototype.createBindGroup = function (...rest) {
      groups++;
      return createBindGroup.apply(this, rest);
    };
    const model = "/fixtures/onnx/colours.onnx";
    const perRun = [];
    for (let i = 0; i < 3; i++) {
      const opened = await achado.createModel({
        model,
        backend: "webgpu",
        worker: false,
        threads: 1,
      });
      const [{ name, shape }] = opened.metadata.inputs;
      const tensor = new Float32Array(shape.reduce((a, b) => a * b, 1));
      const before = made + groups;
      for (let run = 0; run < 10; run++) await opened.run({ [name]: tensor });
      perRun.push(made + groups - before);
      await opened.close();
    }
    return { made, destroyed, perRun };
  });
  assert.ok(found.made >= 18);
  assert.equal(found.destroyed, found.made);
  assert.deepEqual(found.perRun, [0, 0, 0]);
});
