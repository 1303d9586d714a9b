// Pixels in Chromium are those of Node, for each kind of file; canvases with transparency, color spaces
// and limits; memory after a large picture.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { createModel } from "../../pkg/dist/node.js";
import { launch, PACKAGE, startServer } from "./support.mjs";

const folder = new URL("../fixtures/pictures/", import.meta.url);
const mounts = {
  "/pictures/": folder,
  "/test/": new URL("./", import.meta.url),
};
const overrides = {
  "/": { headers: { "Content-Type": "text/html" }, body: "<!doctype html><title>test" },
};

let browser;
let server;
before(async () => {
  browser = await launch();
  server = await startServer({ root: PACKAGE, mounts, overrides });
});
after(async () => {
  await browser?.close();
  server?.close();
});

async function visit(t) {
  const page = await browser.newPage();
  t.after(() => page.close());
  await page.goto(server.url);
  return page;
}

/** What two decoders may differ by: libjpeg-turbo and zune-jpeg in cosines, two engines in profiles. */
const tolerance = (name) => (/^p3|icc|gamma/.test(name) ? 2 : name.endsWith(".jpg") ? 3 : 0);

test("Node and Chromium make the same tensors of each kind of file", async (t) => {
  const names = readdirSync(folder).filter((name) => !name.endsWith(".onnx"));
  const page = await visit(t);
  for (const background of [undefined, "white"]) {
    const preprocess = { preset: "raw", background };
    const model = await createModel({ model: new URL("echo.onnx", folder), preprocess });
    t.after(() => model.close());
    const there = await page.evaluate(
      async ({ names, preprocess }) => {
        const { achado } = await import("/test/in-page.mjs");
        const model = await achado.createModel({ model: "/pictures/echo.onnx", preprocess });
        const all = {};
        for (const name of names) {
          const picture = await (await fetch(`/pictures/${name}`)).blob();
          try {
            const [{ data }] = Object.values(await model.runImage(picture));
            all[name] = [...data];
          } catch (error) {
            all[name] = error.message;
          }
        }
        await model.close();
        return all;
      },
      { names, preprocess },
    );
    for (const name of names) {
      const picture = await readFile(new URL(name, folder));
      const here = await model.runImage(picture).then(
        (tensors) => [...Object.values(tensors)[0].data],
        (error) => error.message,
      );
      if (typeof here === "string") {
        assert.equal(there[name], here, name);
        continue;
      }
      const off = Math.max(...here.map((x, i) => Math.abs(x - there[name][i])));
      assert.ok(off <= tolerance(name), `${name} on ${background}: off by ${off}`);
    }
  }
});

test("a canvas is what a page shows: on white, in any color space, also as ImageData", async (t) => {
  const page = await visit(t);
  const found = await page.evaluate(async () => {
    const { achado, failure } = await import("/test/in-page.mjs");
    const options = { model: "/pictures/echo.onnx", preprocess: "raw" };
    const model = await achado.createModel(options);
    const first = async (picture) => {
      const [{ data }] = Object.values(await model.runImage(picture));
      // The pixels in the corner and in the middle, red, green and blue.
      return [0, 6 * 16 + 8].map((at) => [0, 1, 2].map((c) => data[c * 192 + at]));
    };
    const drawn = (colorSpace, style) => {
      const context = new OffscreenCanvas(16, 12).getContext("2d", { colorSpace });
      context.fillStyle = style;
      context.fillRect(4, 3, 8, 6);
      return context;
    };
    const all = {};
    for (const [name, colorSpace, style] of [
      ["black", "srgb", "black"],
      ["half", "srgb", "rgb(200 0 0 / 50%)"],
      ["wide", "display-p3", "color(display-p3 0.8 0.2 0.2)"],
    ]) {
      const context = drawn(colorSpace, style);
      const pixels = context.getImageData(0, 0, 16, 12);
      all[name] = [await first(context.canvas), await first(pixels)];
    }
    const lost = [
      await failure(model.runImage(drawn("srgb", "transparent").canvas)),
      await failure(model.runImage(drawn("srgb", "white").canvas)),
    ];
    await model.setOptions({ preprocess: { preset: "raw", background: "black" } });
    const onBlack = await first(drawn("srgb", "white").canvas);
    await model.close();
    return { all, lost, onBlack };
  });
  const { black, half, wide } = found.all;
  const white = [255, 255, 255];
  for (const seen of black) assert.deepEqual(seen, [white, [0, 0, 0]]);
  for (const [corner, middle] of half) {
    assert.deepEqual(corner, white);
    const off = middle.map((x, c) => Math.abs(x - [227.5, 127.5, 127.5][c]));
    assert.ok(Math.max(...off) <= 2, String(middle));
  }
  for (const [, middle] of wide) {
    const off = middle.map((x, c) => Math.abs(x - wide[0][1][c]));
    assert.ok(Math.max(...off) <= 2, `${middle}: ${wide[0][1]}`);
  }
  assert.ok(wide[0][1][0] > 215, String(wide[0][1]));
  assert.match(found.lost[0].message, /transparent everywhere/);
  assert.match(found.lost[1].message, /that of the background/);
  assert.deepEqual(found.onBlack, [[0, 0, 0], white]);
});

test("a canvas that stays blank is never answered, and memory goes back after a giant", async (t) => {
  const page = await visit(t);
  const found = await page.evaluate(async () => {
    const { achado, failure } = await import("/test/in-page.mjs");
    const options = { model: "/pictures/rescales.onnx", labels: ["red", "green", "blue"] };
    const red = async (width, height) => {
      const context = new OffscreenCanvas(width, height).getContext("2d");
      context.fillStyle = "red";
      context.fillRect(0, 0, width, height);
      return context.canvas.convertToBlob({ type: "image/jpeg" });
    };
    const large = await red(6000, 4000);
    const inWorker = await achado.createClassifier(options);
    const small = await red(16, 12);
    await inWorker.classify(small);
    const before = inWorker.runtime.memoryBytes;
    const { top } = await inWorker.classify(large);
    const after = inWorker.runtime.memoryBytes;
    await inWorker.close();

    // As a browser whose canvases stay blank above some size.
    const real = OffscreenCanvasRenderingContext2D.prototype.drawImage;
    const limited = (most) => {
      OffscreenCanvasRenderingContext2D.prototype.drawImage = function (...all) {
        if (this.canvas.width * this.canvas.height <= most) real.apply(this, all);
      };
    };
    const here = await achado.createClassifier({ ...options, worker: false });
    limited(1 << 24);
    const within = (await here.classify(large)).top;
    limited(1);
    const blank = await failure(here.classify(large));
    const blankSmall = await failure(here.classify(small));
    OffscreenCanvasRenderingContext2D.prototype.drawImage = real;
    const again = (await here.classify(small)).top;
    await here.close();
    return { before, after, top, within, blank, blankSmall, again };
  });
  for (const top of [found.top, found.within, found.again]) {
    assert.equal(top.categoryName, "red");
    assert.ok(Math.abs(top.score - 0.96466) < 2e-3, String(top.score));
  }
  for (const { code, message } of [found.blank, found.blankSmall]) {
    assert.equal(code, "INVALID_INPUT");
    assert.match(message, /draws nothing on a canvas/);
  }
  assert.ok(found.after < found.before + 32e6, `${found.before} to ${found.after}`);
});
