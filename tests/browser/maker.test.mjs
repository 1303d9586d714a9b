// The Maker page with pictures of two kinds: train, correct, export, open the export elsewhere.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { deflateSync } from "node:zlib";
import {
  cameraFromPicture,
  launch,
  PAGE,
  REPOSITORY,
  screenshot,
  startServer,
} from "./support.mjs";

/** Any built page: `ACHADO_PAGE` names another folder. */
const root = process.env.ACHADO_PAGE ?? PAGE;
/** Its sides are even numbers, as the fake camera wants them. */
const SCENE = new URL("tests/fixtures/photos/camera.jpg", REPOSITORY);

let server;
let browser;

before(async () => {
  server = await startServer({ root });
  browser = await launch({ camera: await cameraFromPicture(SCENE) });
});

after(async () => {
  await browser?.close();
  await server?.close();
});

const SIDE = 64;

/** A PNG of 8-bit RGB. */
function png(pixel) {
  const rows = Buffer.alloc(SIDE * (1 + 3 * SIDE));
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) rows.set(pixel(x, y), y * (1 + 3 * SIDE) + 1 + 3 * x);
  }
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const out = Buffer.alloc(8 + body.length);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc(body), 4 + body.length);
    return out;
  };
  const header = Buffer.from([0, 0, 0, SIDE, 0, 0, 0, SIDE, 8, 2, 0, 0, 0]);
  const start = Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]);
  const parts = [
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ];
  return Buffer.concat([start, ...parts]);
}

function crc(bytes) {
  let value = -1;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return (value ^ -1) >>> 0;
}

/** Stripes and dots, each number another one. */
const KINDS = {
  stripes: (number) =>
    png((x, y) => ((x + 5 * number) % 16 < 8 ? [200, 40, 40] : [250, 240, 230 - number])),
  dots: (number) =>
    png((x, y) =>
      (((x + number) % 12) - 6) ** 2 + (((y + number) % 12) - 6) ** 2 < 16
        ? [30, 60, 200]
        : [240, 250, 220 + number],
    ),
};

const files = (kind, count, from = 0) =>
  Array.from({ length: count }, (_, at) => ({
    name: `${kind}-${from + at}.png`,
    mimeType: "image/png",
    buffer: KINDS[kind](from + at),
  }));

async function open(context, address = "/maker.html?lang=en") {
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (told) => told.type() === "error" && errors.push(told.text()));
  await page.goto(server.url + address);
  return { page, errors };
}

async function addClass(page, at, name, pictures) {
  await page.click("#add-class");
  const input = page.locator(".class-column").nth(at).locator(".class-head input");
  await input.fill(name);
  await input.press("Enter");
  await page.locator(".class-column").nth(at).locator("input[type=file]").setInputFiles(pictures);
}

const trainedOn = (page, count) =>
  page.waitForFunction(
    (words) => document.getElementById("status").textContent.includes(words),
    `Trained on ${count} pictures`,
    { timeout: 90_000 },
  );

test("pictures become a file that answers alike elsewhere, and stay after a reload", async () => {
  const context = await browser.newContext({ acceptDownloads: true });
  const { page, errors } = await open(context);
  await addClass(page, 0, "stripes", files("stripes", 6));
  await addClass(page, 1, "dots", files("dots", 6));
  await trainedOn(page, 12);
  assert.match(await page.textContent("#accuracy"), /named right/);
  assert.match(
    await page.textContent("#warnings"),
    /Few pictures: dots, stripes|Few pictures: stripes, dots/,
  );

  // A picture in the wrong class is found, moved, and undone.
  await page
    .locator(".class-column")
    .nth(0)
    .locator("input[type=file]")
    .setInputFiles(files("dots", 1, 20));
  await trainedOn(page, 13);
  await page.locator("#confusion button").first().click();
  await page.waitForSelector(".mistake-list select");
  await screenshot(page, "maker-desktop");
  await page.locator(".mistake-list select").first().selectOption("dots");
  await page.waitForFunction(() =>
    document.querySelectorAll(".class-column")[1].textContent.includes("7 pictures"),
  );
  await trainedOn(page, 13);
  await page.click("#undo");
  await page.click("#undo");
  await trainedOn(page, 12);

  await page.setInputFiles("#try", files("dots", 1, 40)[0]);
  await page.waitForSelector("#scores li");
  assert.match(await page.locator("#scores li").first().textContent(), /^dots/);

  await page.fill("#name", "stripes or dots");
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
  assert.equal(download.suggestedFilename(), "stripes-or-dots.tflite");
  const file = await readFile(await download.path());
  assert.ok(file.length < 4_200_000);
  assert.match(await page.textContent("#exported"), /opened again and checked: 20 of 20/);
  assert.match(await page.textContent("#code"), /model: "stripes-or-dots\.tflite"/);

  // The same answers from the file alone.
  const pictures = [...files("stripes", 3, 50), ...files("dots", 3, 50)].map(({ buffer }) => [
    ...buffer,
  ]);
  const answers = await page.evaluate(
    async ({ bytes, pictures }) => {
      const { createClassifier } = await import("./achado/dist/index.js");
      const classifier = await createClassifier({ model: new Uint8Array(bytes) });
      const tops = [];
      for (const picture of pictures) {
        const { top } = await classifier.classify(new Blob([new Uint8Array(picture)]));
        tops.push(top.categoryName);
      }
      await classifier.close();
      return tops;
    },
    { bytes: [...file], pictures },
  );
  assert.deepEqual(answers, ["stripes", "stripes", "stripes", "dots", "dots", "dots"]);

  // Another tab has all of it.
  await page.waitForFunction(
    () => document.getElementById("kept").textContent === "Kept on this device.",
  );
  await page.close();
  const again = await open(context, "/maker.html?lang=pt");
  await again.page.waitForSelector(".class-column >> nth=1");
  assert.match(await again.page.textContent("#kept"), /de volta|Guardado/);
  assert.equal(await again.page.locator(".thumbs img").count(), 12);
  assert.match(await again.page.textContent("h1"), /Ensine/);
  assert.deepEqual([...errors, ...again.errors], []);
  await context.close();
});

test("the camera records while its button is held, and answers live", async () => {
  const context = await browser.newContext({
    colorScheme: "dark",
    viewport: { width: 390, height: 844 },
  });
  const { page, errors } = await open(context);
  await page.click("#add-class");
  const record = page.locator(".record");
  await record.dispatchEvent("pointerdown");
  // However long the camera takes to open.
  await page.waitForFunction(() => document.getElementById("video").currentTime > 1);
  await record.dispatchEvent("pointerup");
  await page.waitForFunction(() => document.querySelectorAll(".thumbs img").length >= 2);
  await addClass(page, 1, "dots", files("dots", 5));
  await page.waitForFunction(
    () => document.querySelector("#scores li")?.textContent.startsWith("Class 1"),
    undefined,
    { timeout: 90_000 },
  );
  assert.match(await page.textContent("#warnings"), /one recording/);
  await screenshot(page, "maker-phone-dark");
  await page.click("#camera");
  assert.deepEqual(errors, []);
  await context.close();
});
