// Models of the visitors' own on the demo page: opened, asked about, refused, and without a network.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { deflateSync } from "node:zlib";
import {
  bytes,
  first,
  FIXTURES,
  give,
  isInWindow,
  lookAt,
  MODEL,
  open as openPage,
  photo,
  ready,
  rows,
} from "./page.mjs";
import { zip } from "../node/onnx-file.mjs";
import { cameraFromPicture, launch, PAGE, screenshot } from "./support.mjs";

let browser;
before(async () => {
  browser = await launch({ camera: await cameraFromPicture(photo("camera.jpg")) });
});
after(() => browser?.close());
const open = (t, options) => openPage(t, browser, options);

const fixture = (name) => readFile(new URL(name, FIXTURES));
const packaged = () => readFile(new URL(`.${MODEL}`, PAGE));
const use = (page) => page.getByRole("button", { name: "Use this model" }).click();
const inUse = (page, name) => page.locator("#model-now").filter({ hasText: name }).waitFor();
const message = (page) => page.locator("#model-message");

/** A PNG of one colour, 8 x 8. */
function png(red, green, blue) {
  const crc = (data) => {
    let sum = 0xffffffff;
    for (const byte of data) {
      sum ^= byte;
      for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
    }
    return (sum ^ 0xffffffff) >>> 0;
  };
  const chunk = (type, data) => {
    const typed = Buffer.concat([Buffer.from(type), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc(typed));
    return Buffer.concat([length, typed, sum]);
  };
  const header = Buffer.from([0, 0, 0, 8, 0, 0, 0, 8, 8, 2, 0, 0, 0]);
  const row = [0, ...Array.from({ length: 8 }, () => [red, green, blue]).flat()];
  const pixels = deflateSync(Buffer.from(Array.from({ length: 8 }, () => row).flat()));
  const start = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
  return Buffer.concat([
    start,
    chunk("IHDR", header),
    chunk("IDAT", pixels),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

test("a model that fails leaves the old one at work, and says why beside its button", async (t) => {
  const { page } = await open(t, { permissions: ["camera"] });
  await lookAt(page, "cat.jpg");
  const onnx = Buffer.from("\x08\x07\x12\x07pytorch\x1a\x031.9:\x10\x0a\x0e", "latin1");
  for (const [name, content, words] of [
    ["model.onnx", onnx, /This is an ONNX model that cannot be read/],
    ["notes.tflite", Buffer.from("my notes about models"), /not a TensorFlow Lite model/],
    ["cut.tflite", (await packaged()).subarray(0, 100_000), /./],
  ]) {
    await page.setInputFiles("#model-file", bytes(name, content));
    await use(page);
    await message(page).filter({ hasText: words }).waitFor();
    assert.match(await message(page).textContent(), /The model that was in use still is/);
    assert.equal(await page.evaluate(() => document.activeElement.id), "model-message");
    assert.ok(await isInWindow(message(page)), name);
  }
  await screenshot(page, "model-failed");
  // Everything goes on: the answer, another picture, the camera.
  assert.equal(await page.locator("#message").isVisible(), false);
  assert.equal(await first(page).textContent(), "Egyptian cat");
  assert.equal((await lookAt(page, "coffee.jpg"))[0].name, "espresso");
  await page.getByRole("button", { name: "Use the camera" }).click();
  await first(page).filter({ hasText: "tripod" }).waitFor();
  // A model that opens takes over from under a running camera.
  await page.setInputFiles("#model-file", bytes("own.tflite", await packaged()));
  const names = Array.from({ length: 1000 }, (_, index) => `thing ${index}`).join("\n");
  await page.fill("#labels-text", names);
  await use(page);
  await first(page).filter({ hasText: "thing 872" }).waitFor();
  await page.getByRole("button", { name: "Stop the camera" }).click();
});

test("names: too few are said, right ones used, a default is there again", async (t) => {
  const { page } = await open(t);
  await lookAt(page, "cat.jpg");
  await page.setInputFiles("#model-file", bytes("own.tflite", await packaged()));
  await page.setInputFiles("#labels-file", bytes("names.txt", Buffer.from("one\ntwo\n")));
  await use(page);
  await message(page).filter({ hasText: "The names do not fit this model" }).waitFor();
  assert.match(await message(page).locator("p").textContent(), /\b2\b.*\b1000\b|\b1000\b.*\b2\b/);
  const names = Array.from({ length: 1000 }, (_, index) => `thing ${index}`).join("\n");
  await page.setInputFiles("#labels-file", bytes("names.txt", Buffer.from(`${names}\n`)));
  await use(page);
  await first(page).filter({ hasText: "thing 285" }).waitFor();
  // Nobody knows which language they are in.
  assert.equal(await first(page).getAttribute("lang"), "");
  assert.match(await page.locator("#code").textContent(), /model: "\.\/own\.tflite"/);
  assert.match(await page.locator("#code").textContent(), /labels: "\.\/names\.txt"/);
  await page.getByRole("button", { name: "Back to the model of this page" }).click();
  await first(page).filter({ hasText: "Egyptian cat" }).waitFor();
});

test("an ONNX file that does not say how pixels become its input: the page asks", async (t) => {
  const { page } = await open(t);
  await ready(page);
  // A model, a picture and names in one drop.
  const files = [
    { name: "red.png", type: "image/png", buffer: png(255, 30, 30) },
    { name: "colours.onnx", buffer: await fixture("onnx/colours.onnx") },
    { name: "names.txt", type: "text/plain", buffer: Buffer.from("red\ngreen\nblue\n") },
  ];
  await give(page, "drop", { files });
  await page
    .locator("#ask")
    .filter({ hasText: "“colours.onnx” does not say how pixels" })
    .waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "preprocess");
  assert.ok(await isInWindow(page.locator("#preprocess")));
  await screenshot(page, "model-ask");
  // Until it is said, the model before answers.
  await rows(page, "red.png");
  assert.notEqual(await first(page).textContent(), "red");
  const scores = {};
  for (const choice of ["imagenet", "unit"]) {
    await page.selectOption("#preprocess", choice);
    await use(page);
    await inUse(page, "colours.onnx");
    await first(page).filter({ hasText: "red" }).waitFor();
    await page
      .locator("#code")
      .filter({ hasText: `preprocess: "${choice}"` })
      .waitFor();
    scores[choice] = (await rows(page, "red.png"))[0].score;
  }
  // Half of ImageNet's range against all of it: other numbers, other scores.
  assert.notEqual(scores.imagenet, scores.unit);
  // By numbers, the same as by name.
  await page.selectOption("#preprocess", "numbers");
  await page.fill("#mean", "123.675, 116.28, 103.53");
  await page.fill("#deviation", "58.395 57.12 x");
  await use(page);
  await message(page).filter({ hasText: "“58.395 57.12 x” is not one number" }).waitFor();
  await page.fill("#deviation", "58.395 57.12 57.375");
  await page.selectOption("#fit", "centerCrop");
  await use(page);
  await page.locator("#code").filter({ hasText: 'fit: "centerCrop"' }).waitFor();
  assert.equal((await rows(page, "red.png"))[0].score, scores.imagenet);
});

test("a detector, a segmenter and an embedder are called what they are", async (t) => {
  const { page } = await open(t);
  await ready(page);
  for (const [name, words] of [
    ["detector.onnx", /“detector.onnx” is a detector/],
    ["segmenter.onnx", /“segmenter.onnx” is a segmenter/],
  ]) {
    await give(page, "drop", {
      files: [{ name, buffer: await fixture(`page_models/${name}`) }],
    });
    await message(page).filter({ hasText: words }).waitFor();
    // Told how pixels become its input, it is none the more a classifier.
    await page.selectOption("#preprocess", "unit");
    await use(page);
    await message(page).filter({ hasText: words }).waitFor();
    await inUse(page, "EfficientNet-Lite0");
  }
  const embedder = { name: "embedder.onnx", buffer: await fixture("page_models/embedder.onnx") };
  await give(page, "drop", { files: [embedder] });
  await page.locator("#ask").waitFor();
  await page.selectOption("#preprocess", "unit");
  await use(page);
  await page
    .locator("#model-notice")
    .filter({ hasText: "seems to be an embedder: it gives 64 numbers" })
    .waitFor();
  // No bars for what is no share of anything.
  await page.locator("#unsure").filter({ hasText: "raw numbers, no probabilities" }).waitFor();
  assert.equal(await page.locator(".bar").first().isVisible(), false);
  await page.selectOption("#activation", "softmax");
  await use(page);
  await page.locator(".bar").first().waitFor();
  assert.equal(await page.locator("#model-notice").isVisible(), false);
});

test("files that say how pixels become the input are not asked about: zips, configurations", async (t) => {
  const { page } = await open(t);
  await page.setInputFiles("#file", bytes("red.png", png(255, 30, 30), "image/png"));
  await rows(page, "red.png");
  const config = {
    image_mean: [0.485, 0.456, 0.406],
    image_std: [0.229, 0.224, 0.225],
    do_resize: true,
    size: { height: 8, width: 8 },
    resample: 2,
  };
  const model = await fixture("onnx/colours.onnx");
  const described = {
    "net/colours.onnx": model,
    "net/labels.txt": "0 red\n1 green\n2 blue\n",
    "net/preprocessor_config.json": JSON.stringify(config),
  };
  await give(page, "drop", {
    files: [{ name: "exported.zip", buffer: Buffer.from(zip(described)) }],
  });
  await inUse(page, "exported.zip");
  await first(page).filter({ hasText: /^red$/ }).waitFor();
  assert.equal(await page.locator("#ask").isVisible(), false);
  const { score } = (await rows(page, "red.png"))[0];
  // The same, as files beside each other; the numbers of the lines are no part of the names.
  const files = [
    { name: "colours.onnx", buffer: model },
    { name: "preprocessor_config.json", buffer: Buffer.from(JSON.stringify(config)) },
    { name: "names.txt", type: "text/plain", buffer: Buffer.from("0 rot\n1 grün\n2 blau\n") },
  ];
  await give(page, "drop", { files });
  await inUse(page, "colours.onnx");
  await first(page).filter({ hasText: /^rot$/ }).waitFor();
  assert.equal((await rows(page, "red.png"))[0].score, score);
});

test("names that come alone wait for their model; of two models one is taken", async (t) => {
  const { page } = await open(t);
  await ready(page);
  await give(page, "paste", { text: "red\ngreen\nblue" });
  await page.locator("#model-notice").filter({ hasText: "has names of classes" }).waitFor();
  assert.equal(await page.inputValue("#labels-text"), "red\ngreen\nblue");
  const two = ["one.tflite", "two.tflite"].map(async (name) => ({
    name,
    buffer: await packaged(),
  }));
  await give(page, "drop", { files: await Promise.all(two) });
  await page
    .locator("#model-notice")
    .filter({ hasText: "Only one model at a time: “one.tflite”" })
    .waitFor();
  await inUse(page, "one.tflite");
});

test("a model by its address: found, not found, another server's, and stopped", async (t) => {
  const body = await packaged();
  const overrides = {
    "/slow.tflite": (_request, response) => {
      response.writeHead(200, { "Content-Length": body.length });
      response.write(body.subarray(0, 1_000_000));
    },
  };
  const { page } = await open(t, { overrides, expected: [/404/] });
  await ready(page);
  const address = page.getByLabel("or its address on this server");
  for (const [words, answer] of [
    ["nothing.tflite", /There is no model at that address/],
    ["https://elsewhere.example/m.tflite", /only fetch from its own server/],
    ["http://", /“http:\/\/” is no address/],
  ]) {
    await address.fill(words);
    await page.keyboard.press("Enter");
    await message(page).filter({ hasText: answer }).waitFor();
  }
  await address.fill("slow.tflite");
  await page.keyboard.press("Enter");
  await page.locator("#model-status").filter({ hasText: "1.0 of 5.2 MB" }).waitFor();
  await page.locator("#model-cancel").click();
  assert.equal(await page.locator("#model-loading").isVisible(), false);
  assert.equal((await lookAt(page, "cat.jpg"))[0].name, "Egyptian cat");
  await address.fill(`.${MODEL}`);
  await page.keyboard.press("Enter");
  await inUse(page, "efficientnet-lite0-int8.tflite");
});

test("without a network and before anything was kept, the page says so in its own words", async (t) => {
  const { page, context } = await open(t, { expected: [/ERR_INTERNET_DISCONNECTED/, /worker/i] });
  await ready(page);
  await context.setOffline(true);
  // A picture needs nothing that is not there.
  assert.equal((await lookAt(page, "cat.jpg"))[0].name, "Egyptian cat");
  // A model runs, in the page where the worker's script cannot be had, or the page says why not.
  await page.setInputFiles("#model-file", bytes("own.tflite", await packaged()));
  await use(page);
  await page
    .locator("#model-now", { hasText: "own.tflite" })
    .or(message(page).filter({ hasText: "There is no network" }))
    .waitFor();
  // The converter of ONNX files has to be fetched.
  await page.setInputFiles(
    "#model-file",
    bytes("colours.onnx", await fixture("onnx/colours.onnx")),
  );
  await page.selectOption("#preprocess", "unit");
  await use(page);
  await message(page).filter({ hasText: "There is no network" }).waitFor();
  assert.equal((await lookAt(page, "coffee.jpg"))[0].name, "espresso");
});
