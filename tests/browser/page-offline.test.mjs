// The demo page without a network: after one visit all pages work, and a newer build is taken when
// the visitor says so.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { bytes, FIXTURES, lookAt, open as openPage, ready } from "./page.mjs";
import { launch, PAGE, screenshot } from "./support.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());
const open = (t, options) => openPage(t, browser, { serviceWorkers: "allow", ...options });
const kept = (page) => page.locator("#offline[data-ready=true]").waitFor();

test("after one visit both pages work with the network cut and the server gone", async (t) => {
  const { page, server, context } = await open(t);
  await kept(page);
  assert.match(await page.locator("#offline").textContent(), /works without a network/);
  const visited = new Set(server.requests.map(({ path }) => path));
  // What nobody needs is not fetched: other cores, threads, tract.
  for (const path of visited) {
    assert.doesNotMatch(path, /simd128|threads\.wasm|tract|decode|cli\.js|\.map$/);
  }
  await context.setOffline(true);
  await server.close();
  await page.reload();
  assert.equal((await lookAt(page, "cat.jpg"))[0].name, "Egyptian cat");
  await page.locator("[data-sample=camera]").click();
  await page.locator("#categories li", { hasText: "tripod" }).waitFor();
  // Models of the visitor's own, an ONNX one with its converter.
  const model = await readFile(new URL("achado/models/efficientnet-lite0-int8.tflite", PAGE));
  const onnx = await readFile(new URL("onnx/colours.onnx", FIXTURES));
  for (const [name, content] of [
    ["own.tflite", model],
    ["colours.onnx", onnx],
  ]) {
    await page.setInputFiles("#model-file", bytes(name, content));
    if (name.endsWith(".onnx")) await page.selectOption("#preprocess", "imagenet");
    await page.getByRole("button", { name: "Use this model" }).click();
    await page.locator("#model-now").filter({ hasText: name }).waitFor();
  }
  await page.goto(`${server.url}/bench.html?rounds=1&roundMs=1&warmUpMs=1`);
  await page.click("#start");
  await page.locator("#status").filter({ hasText: "Done." }).waitFor();
  assert.match(await page.locator("#rows td").nth(2).textContent(), /^\d+\.\d$/);
  await screenshot(page, "offline-bench");
  await page.goto(`${server.url}/maker.html`);
  assert.equal(await page.locator("h1").textContent(), "Teach it your own");
  const wasm = await page.evaluate(async () => (await fetch("./achado/dist/maker.wasm")).status);
  assert.equal(wasm, 200);
});

test("after the benchmark alone: what it used is there, and until then the page says what is not", async (t) => {
  const path = "/bench.html?rounds=1&roundMs=1&warmUpMs=1";
  const { page, server, context } = await open(t, { path, expected: [/ERR_FAILED/, /worker/i] });
  await kept(page);
  await context.setOffline(true);
  await page.goto(`${server.url}/index.html`);
  await page.locator("#message").filter({ hasText: "There is no network" }).waitFor();
  await context.setOffline(false);
  await page.goto(server.url + path);
  await page.click("#start");
  await page.locator("#status").filter({ hasText: "Done." }).waitFor();
  await page.locator("#offline[data-kept=measured]").waitFor({ state: "attached" });
  await context.setOffline(true);
  await page.goto(`${server.url}/index.html`);
  assert.equal((await lookAt(page, "cat.jpg"))[0].name, "Egyptian cat");
});

test("a newer build is offered, and replaces the old one when it is wanted", async (t) => {
  const overrides = {};
  const { page } = await open(t, { overrides });
  await kept(page);
  assert.equal(await page.locator("#update").isVisible(), false);
  // As the build would have made it: another page, and a worker that knows its hash.
  const text = async (name) => readFile(new URL(name, PAGE), "utf8");
  const html = (await text("index.html")).replace("<main>", '<main data-build="newer">');
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(html));
  const hash = Buffer.from(digest).toString("hex");
  const worker = (await text("sw.js")).replace(/("index\.html":)"[0-9a-f]{64}"/, `$1"${hash}"`);
  assert.ok(worker.includes(hash));
  overrides["/index.html"] = { headers: { "Content-Type": "text/html" }, body: html };
  overrides["/"] = overrides["/index.html"];
  overrides["/sw.js"] = { headers: { "Content-Type": "text/javascript" }, body: worker };
  await page.reload();
  assert.equal(await page.locator("main").getAttribute("data-build"), null, "still the old one");
  await page.locator("#update").click();
  await page.locator('main[data-build="newer"]').waitFor();
  await ready(page);
  assert.equal((await lookAt(page, "cat.jpg"))[0].name, "Egyptian cat");
});

test("the manifest is one by which browsers install the page", async (t) => {
  const { page, context } = await open(t);
  await kept(page);
  const session = await context.newCDPSession(page);
  const { errors, data } = await session.send("Page.getAppManifest");
  assert.deepEqual(errors, []);
  const { icons, start_url, display } = JSON.parse(data);
  assert.equal(display, "standalone");
  assert.equal(start_url, "./");
  for (const { src, sizes } of icons) {
    const size = await page.evaluate(async (src) => {
      const image = new Image();
      image.src = src;
      await image.decode();
      return `${image.naturalWidth}x${image.naturalHeight}`;
    }, src);
    if (sizes !== "any") assert.equal(size, sizes);
  }
  const { installabilityErrors } = await session.send("Page.getInstallabilityErrors");
  // Playwright's pages are all in private windows.
  const left = installabilityErrors.filter(({ errorId }) => errorId !== "in-incognito");
  assert.deepEqual(left, []);
});
