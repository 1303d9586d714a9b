// achado/quantize in a page: in a worker, downloaded when it is asked for.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, PACKAGE, startServer } from "./support.mjs";

const mounts = { "/model/": new URL("../../crates/maker/tests/", import.meta.url) };
const overrides = {
  "/": { headers: { "Content-Type": "text/html" }, body: "<!doctype html><title>test" },
};

let browser, server;
before(async () => {
  browser = await launch();
  server = await startServer({ root: PACKAGE, mounts, overrides });
});
after(async () => {
  await browser?.close();
  server?.close();
});

test("a float model becomes int8 in a worker, and an abort ends it", async () => {
  const page = await browser.newPage();
  await page.goto(server.url);
  const found = await page.evaluate(async () => {
    const { quantizeModel, QuantizationConfig } = await import("/dist/quantize.js");
    const pictures = Array.from({ length: 8 }, (_, i) => {
      const canvas = new OffscreenCanvas(48, 40);
      const context = canvas.getContext("2d");
      for (let y = 0; y < 40; y++) {
        context.fillStyle = `rgb(${(y * (i + 3) * 7) % 256} ${(y * 31 + i * 60) % 256} ${i * 30})`;
        context.fillRect(0, y, 48, 1);
      }
      return canvas;
    });
    const options = { config: QuantizationConfig.forInt8(pictures), preprocess: "symmetric" };
    const url = "/model/quantize.tflite";
    const { model, report } = await quantizeModel(url, options);
    const stop = new AbortController();
    const onProgress = ({ done }) => done === 3 && stop.abort();
    const aborted = await quantizeModel(url, { ...options, onProgress, signal: stop.signal }).then(
      () => "done",
      ({ name }) => name,
    );
    return {
      bytes: model.byteLength,
      mark: String.fromCharCode(...model.slice(4, 8)),
      report,
      aborted,
    };
  });
  assert.equal(found.mark, "TFL3");
  assert.equal(found.report.compared, 4);
  assert.ok(found.report.layers.every(({ snrDb }) => snrDb > 15));
  assert.equal(found.aborted, "AbortError");
  assert.ok(server.requests.some(({ path }) => path.includes("quantize-worker.js")));
  await page.close();
});
