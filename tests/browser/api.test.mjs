// The package in a page, as a browser's user calls it.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { CORE, cameraFromPicture, launch, PACKAGE, startServer } from "./support.mjs";

const fixtures = new URL("../fixtures/", import.meta.url);
const blank = { headers: { "Content-Type": "text/html" }, body: "<!doctype html><title>test" };
const mounts = { "/fixtures/": fixtures, "/test/": new URL("./", import.meta.url) };

let server;
let elsewhere;
let browser;
before(async () => {
  const slow = { file: new URL("photos/coffee.jpg", fixtures), delayMs: 6000 };
  const overrides = { "/": blank, "/slow.jpg": slow };
  server = await startServer({ root: PACKAGE, overrides, mounts });
  // Another origin that allows nobody to read its pictures.
  elsewhere = await startServer({ root: fixtures });
  const camera = await cameraFromPicture(new URL("photos/camera.jpg", fixtures));
  browser = await launch({ camera });
});
after(async () => {
  await browser?.close();
  await server?.close();
  await elsewhere?.close();
});

/** Runs a function in a fresh page; whatever the page complains about fails the test. */
async function inPage(t, work, argument) {
  const context = await browser.newContext({ permissions: ["camera"] });
  t.after(() => context.close());
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(server.url);
  const result = await page.evaluate(work, argument);
  assert.deepEqual(complaints, []);
  return result;
}

/** LiteRT's scores for a picture of the fixtures. */
async function recorded(name) {
  const { output, pictures } = JSON.parse(
    await readFile(new URL("default_model/expected.json", fixtures)),
  );
  const bytes = await readFile(
    new URL(`default_model/${pictures[name].outputs.default.file}`, fixtures),
  );
  return [...bytes].map((byte) => byte * output.scale);
}

for (const worker of [true, false]) {
  const where = worker ? "in a worker" : "in the page";

  test(`every kind of picture gives LiteRT's scores ${where}`, async (t) => {
    const { kinds, runtime } = await inPage(
      t,
      async (worker) => {
        const { achado, inputs, scores } = await import("/test/in-page.mjs");
        const classifier = await achado.createClassifier({ worker, threads: 1 });
        const kinds = {};
        for (const [kind, image] of Object.entries(
          await inputs("/fixtures/default_model/cat.png"),
        )) {
          kinds[kind] = scores(await classifier.classify(image));
          // A picture stays the caller's: it can be used again.
          kinds[`${kind} again`] = scores(await classifier.classify(image));
        }
        return { kinds, runtime: classifier.runtime };
      },
      worker,
    );
    const expected = await recorded("cat");
    assert.equal(Object.keys(kinds).length, 22);
    for (const [kind, found] of Object.entries(kinds)) assert.deepEqual(found, expected, kind);
    const { memoryBytes, ...rest } = runtime;
    assert.deepEqual(rest, { backend: "wasm", simd: "relaxed", threads: 1, worker, fallbacks: [] });
    assert.ok(memoryBytes > 5e6 && memoryBytes < 64e6, `${memoryBytes} bytes`);
  });

  test(`a video is named ${where}`, async (t) => {
    const top = await inPage(
      t,
      async (worker) => {
        const { achado, inputs, videoOf } = await import("/test/in-page.mjs");
        const classifier = await achado.createClassifier({ worker });
        const { canvas } = await inputs("/fixtures/photos/cat.jpg");
        const { video, stop } = await videoOf(canvas);
        const { top } = await classifier.classify(video);
        stop();
        return top;
      },
      worker,
    );
    assert.equal(top.categoryName, "Egyptian cat");
  });

  test(`pictures that cannot be used are refused ${where}, and break nothing`, async (t) => {
    const failures = await inPage(
      t,
      async ({ worker, elsewhere }) => {
        const { achado, failure, inputs, scores } = await import("/test/in-page.mjs");
        const classifier = await achado.createClassifier({ worker, batchSize: 2 });
        const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
        const foreign = make("img", { src: `${elsewhere}/photos/cat.jpg` });
        await foreign.decode();
        const tainted = make("canvas", { width: 8, height: 8 });
        tainted.getContext("2d").drawImage(foreign, 0, 0);
        const closed = await createImageBitmap(new ImageData(2, 2));
        closed.close();
        const drawn = make("canvas", { width: 2, height: 2 });
        drawn.getContext("2d").fillRect(0, 0, 2, 2);
        const frame = new VideoFrame(drawn, { timestamp: 0 });
        frame.close();
        const broken = make("img", { src: "/fixtures/photos/README.md" });
        await broken.decode().catch(() => {});
        const images = {
          tainted,
          foreign,
          "zero canvas": make("canvas", { width: 0, height: 5 }),
          "no frame": make("video"),
          "no src": make("img"),
          loading: make("img", { src: "/slow.jpg" }),
          broken,
          "closed bitmap": closed,
          "closed frame": frame,
          text: new Blob(["no picture"], { type: "text/plain" }),
          "zero pixels": { data: new Uint8Array(0), width: 0, height: 0 },
          "too few": { data: new Uint8Array(3), width: 1, height: 1 },
          div: make("div"),
          address: "/nothing.jpg",
          nothing: undefined,
        };
        const failures = {};
        for (const [name, image] of Object.entries(images)) {
          failures[name] = await failure(classifier.classify(image));
        }
        failures.rotation = await failure(classifier.classify(drawn, { rotationDegrees: 45 }));
        failures.function = await failure(classifier.classify(drawn, { mirror: () => true }));
        const [first, moved] = [
          new ImageData(new Uint8ClampedArray(324).fill(255), 9),
          new ImageData(new Uint8ClampedArray(324).fill(255), 9),
        ];
        const before = classifier.classify(first);
        const waiting = failure(classifier.classify(moved));
        const group = failure(classifier.classifyBatch([moved, first]));
        structuredClone(moved.data.buffer, { transfer: [moved.data.buffer] });
        await before;
        failures.moved = await waiting;
        failures["moved of a group"] = await group;
        const { blob } = await inputs("/fixtures/default_model/cat.png");
        failures.afterwards = scores(await classifier.classify(blob)).indexOf(
          Math.max(...scores(await classifier.classify(blob))),
        );
        return failures;
      },
      { worker, elsewhere: elsewhere.url },
    );
    const { afterwards, ...refused } = failures;
    assert.equal(afterwards, 285);
    for (const [name, [code, words]] of Object.entries({
      tainted: ["TAINTED_CANVAS", /another origin.*crossorigin="anonymous"/],
      foreign: ["TAINTED_CANVAS", /another origin.*crossorigin="anonymous"/],
      "zero canvas": ["INVALID_INPUT", /HTMLCanvasElement is 0x5 pixels/],
      "no frame": ["INPUT_NOT_READY", /loadeddata/],
      "no src": ["INPUT_NOT_READY", /no src/],
      loading: ["INPUT_NOT_READY", /decode\(\)/],
      broken: ["INVALID_INPUT", /could not load .*README\.md/],
      "closed bitmap": ["INVALID_INPUT", /ImageBitmap is 0x0.*closed or transferred/],
      "closed frame": ["INVALID_INPUT", /VideoFrame is closed/],
      text: [
        "INVALID_INPUT",
        /not a picture that this browser can decode: its type is text\/plain/,
      ],
      "zero pixels": ["INVALID_INPUT", /0x0/],
      "too few": ["INVALID_INPUT", /needs 4 bytes \(RGBA\), has 3/],
      div: ["INVALID_INPUT", /HTMLDivElement is not a picture/],
      address: ["INVALID_INPUT", /nothing\.jpg/],
      nothing: ["INVALID_INPUT", /undefined is not a picture/],
      rotation: ["INVALID_OPTION", /rotationDegrees/],
      moved: ["INVALID_INPUT", /transferred or resized before its turn/],
      "moved of a group": ["INVALID_INPUT", /transferred or resized before its turn/],
      function: ["INVALID_OPTION", worker ? /an option is of a wrong kind/ : /mirror/],
    })) {
      const { name: kind, code: found, message } = refused[name];
      assert.equal(found, code, `${name}: ${message}`);
      assert.equal(kind, "AchadoError");
      assert.match(message, words, name);
    }
  });

  test(`aborting and closing ${where}`, async (t) => {
    const results = await inPage(
      t,
      async (worker) => {
        const { achado, failure, inputs } = await import("/test/in-page.mjs");
        const classifier = await achado.createClassifier({ worker, maxResults: 1 });
        const { blob } = await inputs("/fixtures/photos/cat.jpg");
        const results = {};
        const abort = async (reason, options = {}) => {
          const controller = new AbortController();
          const call = classifier.classify(blob, { ...options, signal: controller.signal });
          controller.abort(reason);
          return failure(call);
        };
        results.before = await failure(classifier.classify(blob, { signal: AbortSignal.abort() }));
        results.during = await abort();
        results.reason = await abort(new TypeError("mine"));
        results.after = (await classifier.classify(blob)).top.categoryName;
        const pending = failure(classifier.classify(blob));
        await classifier.close();
        await classifier.close();
        results.pending = await pending;
        results.closed = await failure(classifier.classify(blob));
        results.options = await failure(classifier.setOptions({ maxResults: 2 }));
        const loading = new AbortController();
        const load = failure(achado.createClassifier({ worker, signal: loading.signal }));
        loading.abort();
        results.load = await load;
        return results;
      },
      worker,
    );
    for (const name of ["before", "during", "load"]) assert.equal(results[name].name, "AbortError");
    assert.equal(results.reason.message, "mine");
    assert.equal(results.after, "Egyptian cat");
    for (const name of ["pending", "closed", "options"]) assert.equal(results[name].code, "CLOSED");
  });

  test(`a stream gives the newest frames ${where}, smoothed, until it is left`, async (t) => {
    const { names, times, calm, aborted, wrong, running } = await inPage(
      t,
      async (worker) => {
        const { achado, failure, inputs, videoOf } = await import("/test/in-page.mjs");
        const classifier = await achado.createClassifier({ worker, maxResults: 1 });
        const cat = (await inputs("/fixtures/photos/cat.jpg")).canvas;
        const { video, stop } = await videoOf(cat);

        const names = [];
        const times = [];
        for await (const { top, timestampMs } of classifier.classifyStream(video, { maxFps: 5 })) {
          names.push(top.categoryName);
          times.push(timestampMs);
          if (names.length === 4) break;
        }

        // The picture changes; with most of the past kept, the answer does not at once.
        const calm = [];
        const coffee = (await inputs("/fixtures/photos/coffee.jpg")).canvas;
        for await (const { top } of classifier.classifyStream(video, { smoothing: 0.9 })) {
          calm.push(top.categoryName);
          cat.getContext("2d").drawImage(coffee, 0, 0, cat.width, cat.height);
          if (top.categoryName === "espresso" || calm.length === 60) break;
        }

        const controller = new AbortController();
        setTimeout(() => controller.abort(), 100);
        const aborted = await failure(
          (async () => {
            const stream = classifier.classifyStream(video.srcObject, {
              signal: controller.signal,
            });
            for await (const result of stream) void result;
          })(),
        );
        const running = video.srcObject.getTracks().map((track) => track.readyState);
        const wrong = [];
        for (const options of [{ maxFps: 0 }, { maxFps: Number.NaN }, { smoothing: 1 }]) {
          wrong.push(await failure(classifier.classifyStream(video, options).next()));
        }
        wrong.push(await failure(classifier.classifyStream(cat).next()));
        stop();
        return { names, times, calm, aborted, wrong, running };
      },
      worker,
    );
    assert.deepEqual(names, Array(4).fill("Egyptian cat"));
    times.reduce((before, now) => {
      assert.ok(now > before, `frame times ${times}`);
      return now;
    });
    // 5 a second: three times 200 ms, less what frames jitter. Answers may be late, frames not.
    assert.ok(times[3] - times[0] > 400, `frame times ${times}`);
    assert.equal(calm.at(-1), "espresso");
    assert.ok(calm.filter((name) => name !== "espresso").length >= 3, `changed at once: ${calm}`);
    assert.equal(aborted.name, "AbortError");
    assert.deepEqual(running, ["live"], "the stream is the caller's and goes on");
    const codes = wrong.map(({ code }) => code);
    assert.deepEqual(codes, [...Array(3).fill("INVALID_OPTION"), "INVALID_INPUT"]);
  });
}

test("the camera opens, is named and closes", async (t) => {
  const { size, top, ended, aborted } = await inPage(t, async () => {
    const { achado, failure } = await import("/test/in-page.mjs");
    const classifier = await achado.createClassifier({ maxResults: 1 });
    const camera = await achado.openCamera({ width: 512, height: 512 });
    const { value } = await classifier.classifyStream(camera.video).next();
    const size = [camera.video.videoWidth, camera.video.videoHeight];
    camera.close();
    const ended = camera.stream.getTracks().map((track) => track.readyState);
    const aborted = await failure(achado.openCamera({ signal: AbortSignal.abort() }));
    return { size, top: value.top, ended, aborted };
  });
  assert.deepEqual(size, [512, 512]);
  assert.equal(top.categoryName, "tripod");
  assert.deepEqual(ended, ["ended"]);
  assert.equal(aborted.name, "AbortError");
});

test("without a camera, or without leave, it is CAMERA_DENIED", async (t) => {
  const alone = await launch();
  t.after(() => alone.close());
  const page = await alone.newPage();
  await page.goto(server.url);
  const { code, detail } = await page.evaluate(async () => {
    const { achado, failure } = await import("/test/in-page.mjs");
    return failure(achado.openCamera());
  });
  assert.equal(code, "CAMERA_DENIED");
  assert.match(detail.reason, /NotFoundError|NotAllowedError/);
});

test("pixels go to the worker in memory that is filled again", async (t) => {
  const { sent, found, same } = await inPage(t, async () => {
    const { achado, scores } = await import("/test/in-page.mjs");
    const sent = [];
    const post = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function (message, transfer = []) {
      if (message.call === "classify") sent.push(transfer.map(({ byteLength }) => byteLength));
      return post.call(this, message, transfer);
    };
    const there = await achado.createClassifier({ threads: 1 });
    const here = await achado.createClassifier({ worker: false });
    const noise = (width, height, buffer = new ArrayBuffer(width * height * 4)) => {
      const data = new Uint8ClampedArray(buffer, buffer.byteLength - width * height * 4);
      for (let i = 0; i < data.length; i++) data[i] = (i * width * 31) >> 3;
      return { data, width, height };
    };
    const small = noise(50, 40);
    // A view of more; then more than is kept.
    const part = noise(70, 60, new ArrayBuffer(1 << 20));
    const found = [];
    for (const picture of [small, part, small, noise(2049, 2049), small, small]) {
      const [a, b] = await Promise.all([there, here].map((one) => one.classify(picture)));
      found.push(JSON.stringify(scores(a)) === JSON.stringify(scores(b)));
    }
    const same = small.data.every((byte, i) => byte === noise(50, 40).data[i]);
    return { sent, found, same };
  });
  assert.deepEqual(sent, [[8000], [16800], [16800], [16793604], [16800], [16800]]);
  assert.ok(found.every((isEqual) => isEqual));
  assert.ok(same, "the caller's pixels are as they were");
});

test("options change while it runs, also the model and the thread", async (t) => {
  const { counts, workers, failed, still } = await inPage(t, async () => {
    const { achado, failure, inputs } = await import("/test/in-page.mjs");
    const classifier = await achado.createClassifier({ maxResults: 3 });
    const { blob } = await inputs("/fixtures/photos/cat.jpg");
    const count = async () =>
      (await classifier.classify(blob)).classifications[0].categories.length;
    const counts = [await count()];
    await classifier.setOptions({ maxResults: 1 });
    counts.push(await count());
    const workers = [classifier.runtime.worker];
    await classifier.setOptions({ worker: false });
    workers.push(classifier.runtime.worker);
    counts.push(await count());
    await classifier.setOptions({ maxResults: undefined, model: achado.defaultModel });
    counts.push(await count());
    const failed = await failure(classifier.setOptions({ model: "/nowhere.tflite" }));
    return { counts, workers, failed, still: await count() };
  });
  assert.deepEqual(counts, [3, 1, 1, 1000]);
  assert.deepEqual(workers, [true, false]);
  assert.equal(failed.code, "MODEL_FETCH");
  assert.equal(still, 1000);
});

test("nothing is fetched but the package and the model, and several classifiers share the wasm", async (t) => {
  const from = server.requests.length;
  await inPage(t, async () => {
    const achado = await import("/dist/index.js");
    const first = await achado.createClassifier();
    const second = await achado.createClassifier();
    await Promise.all(
      [first, second].map((one) =>
        one.classify(new ImageData(new Uint8ClampedArray(64).fill(255), 4)),
      ),
    );
  });
  const paths = server.requests.slice(from).map(({ path }) => path);
  const wasm = paths.filter((path) => path.endsWith(".wasm"));
  assert.deepEqual(wasm, [CORE]);
  for (const path of paths) {
    assert.match(path, /^\/$|^\/dist\/[\w-]+\.(js|wasm)$|^\/models\/[\w-]+\.tflite$|favicon/);
  }
});

test("two thousand runs take no more memory than a hundred, and less than 24 MB", async (t) => {
  for (const [worker, runs] of [
    [true, 2000],
    [false, 200],
  ]) {
    const sizes = await inPage(
      t,
      async ({ worker, runs }) => {
        const { createClassifier } = await import("/dist/index.js");
        const classifier = await createClassifier({ worker });
        const sizes = [];
        for (let run = 1; run <= runs; run++) {
          await classifier.classify(new ImageData(new Uint8ClampedArray(16384).fill(255), 64));
          if (run === 100 || run === runs) sizes.push(classifier.runtime.memoryBytes);
        }
        return sizes;
      },
      { worker, runs },
    );
    assert.equal(sizes[1], sizes[0]);
    assert.ok(sizes[1] < 24e6, `${sizes[1]} bytes`);
  }
});
