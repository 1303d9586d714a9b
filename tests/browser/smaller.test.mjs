// The pages "Make it smaller" and "Look inside": a model and pictures in, variants and layers out.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { launch, PAGE, screenshot, startServer } from "./support.mjs";

const file = (path) => new URL(`../../${path}`, import.meta.url).pathname;
const MODEL = file("crates/maker/tests/quantize.tflite");
const PHOTOS = ["camera", "cat", "coffee", "rocket"].map((name) =>
  file(`tests/fixtures/photos/${name}.jpg`),
);

let browser, server;
before(async () => {
  browser = await launch();
  server = await startServer({ root: PAGE });
});
after(async () => {
  await browser?.close();
  server?.close();
});

async function open(address, options = {}) {
  const page = await browser.newPage(options);
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (line) => line.type() === "error" && errors.push(line.text()));
  await page.goto(new URL(address, server.url).href);
  return { page, errors };
}

const cells = (page, selector) =>
  page.$$eval(`${selector} tbody tr`, (rows) =>
    rows.map((row) => [...row.children].map((cell) => cell.textContent.trim())),
  );

test("a model becomes smaller ones, with sizes, times and agreement; each is saved", async () => {
  const { page, errors } = await open("smaller.html?lang=en");
  assert.equal(await page.getAttribute("nav [aria-current]", "href"), "./smaller.html");
  await page.setInputFiles("#model", MODEL);
  await page.setInputFiles("#pictures", [...PHOTOS, ...PHOTOS]);
  assert.match(await page.textContent("#given"), /quantize\.tflite, 8 pictures, 0 of them/);
  await page.selectOption("#preprocess", "symmetric");
  await page.selectOption("#target", "0.1");
  await page.click("#start");
  await page.waitForFunction(() => document.querySelector("#status").textContent === "Done.");
  const rows = await cells(page, "#variants");
  assert.deepEqual(
    rows.map(([name]) => name),
    ["float", "float16", "8-bit weights", "int8", "pruned channels", "pruned weights"],
  );
  for (const row of rows) {
    assert.equal(row.length, 7, row.join());
    assert.match(row[4], /^\d+%$/, row.join());
  }
  assert.equal(rows[0][4], "100%");
  const sizes = rows.map(([, size]) => Number(size));
  assert.ok(sizes[1] < sizes[0] && sizes[3] < sizes[0], sizes.join());
  assert.equal(await page.locator("#plot circle").count(), 6);
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.click("#variants tr:nth-child(4) button"),
  ]);
  assert.equal(download.suggestedFilename(), "quantize-int8.tflite");
  const saved = readFileSync(await download.path());
  assert.equal(saved.toString("latin1", 4, 8), "TFL3");
  await screenshot(page, "smaller-desktop");
  await page.click('[data-language="pt"]');
  assert.match(await page.textContent("#variants thead"), /acertos/);
  assert.equal((await cells(page, "#variants"))[4][0], "canais podados");
  assert.deepEqual(errors, []);
  await page.close();
});

test("what cannot be made says why, and the others are made", async () => {
  const { page } = await open("smaller.html?lang=en");
  const INT8 = file("models/efficientnet-lite0-int8.tflite");
  await page.setInputFiles("#model", INT8);
  await page.click("#start");
  await page.waitForFunction(() => document.querySelector("#status").textContent === "Done.");
  const rows = await cells(page, "#variants");
  assert.match(rows[1][1], /quantized already/);
  assert.match(rows[3][1], /needs pictures/);
  assert.equal(rows[0].length, 7);
  await page.close();
});

test("a layer is found, chosen and shown with its histogram", async () => {
  for (const [name, options] of [
    ["desktop", { viewport: { width: 1280, height: 900 } }],
    ["phone-dark", { viewport: { width: 390, height: 844 }, colorScheme: "dark" }],
  ]) {
    const { page, errors } = await open("inspect.html?lang=en", options);
    await page.setInputFiles("#model", MODEL);
    await page.waitForSelector("#layers tbody tr");
    const all = await cells(page, "#layers");
    assert.match(await page.textContent("#summary"), /float32/);
    await page.fill("#search", "depthwise");
    const found = await cells(page, "#layers");
    assert.ok(found.length > 0 && found.length < all.length);
    assert.ok(found.every(([, operator]) => operator === "DEPTHWISE_CONV_2D"));
    await page.click("#layers tbody tr:first-child button");
    assert.match(await page.textContent("#layer"), /depth_multiplier: 1/);
    const bars = await page.locator("#tensors .histogram rect").count();
    assert.ok(bars >= 48, `${bars}`);
    const { scroll, width } = await page.evaluate(() => ({
      scroll: document.documentElement.scrollWidth,
      width: document.documentElement.clientWidth,
    }));
    assert.ok(scroll <= width, `${name}: ${scroll} wider than ${width}`);
    await screenshot(page, `inspect-${name}`);
    assert.deepEqual(errors, []);
    await page.close();
  }
});

test("on a phone nothing is wider than the window", async () => {
  const options = { viewport: { width: 390, height: 844 }, colorScheme: "dark" };
  const { page } = await open("smaller.html?lang=pt", options);
  await page.setInputFiles("#model", MODEL);
  await page.setInputFiles("#pictures", PHOTOS);
  await page.selectOption("#preprocess", "symmetric");
  await page.click("#start");
  await page.waitForFunction(() => document.querySelector("#status").textContent === "Pronto.");
  const sizes = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return [scrollWidth, clientWidth];
  });
  assert.ok(sizes[0] <= sizes[1], sizes.join());
  await screenshot(page, "smaller-phone-dark");
  await page.close();
});
