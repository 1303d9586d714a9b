// What visitors do to the demo page that it was not made for: files that are no pictures, several
// at once, addresses, slow lines, other colours.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import {
  bytes,
  first,
  give,
  isInWindow,
  lookAt,
  MODEL,
  open as openPage,
  photo,
  ready,
  rows,
} from "./page.mjs";
import { cameraFromPicture, launch, PAGE, screenshot } from "./support.mjs";

let browser;
before(async () => {
  browser = await launch({ camera: await cameraFromPicture(photo("camera.jpg")) });
});
after(() => browser?.close());
const open = (t, options) => openPage(t, browser, options);

test("files that are no pictures are called what they are, in sight and with the focus", async (t) => {
  const { page } = await open(t, { viewport: { width: 800, height: 500 } });
  await ready(page);
  const message = page.locator("#message");
  const jpeg = await readFile(photo("cat.jpg"));
  for (const [name, content, words] of [
    ["notes.md", "my notes", /“notes.md” is not a picture that your browser can show/],
    ["empty.jpg", "", /“empty.jpg” is empty: it has 0 bytes/],
    ["cut.jpg", jpeg.subarray(0, 9000), /“cut.jpg” is cut off or damaged/],
    [
      "cut.png",
      Buffer.from("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "latin1"),
      /“cut.png” is cut off or damaged/,
    ],
    ["scan.tif", Buffer.from("II*\0\x08\0\0\0", "latin1"), /“scan.tif” is a TIFF file/],
    ["paper.pdf", "%PDF-1.7", /“paper.pdf” is a PDF file/],
    [
      "phone.heic",
      Buffer.from("\0\0\0\x18ftypheic\0\0\0\0", "latin1"),
      /“phone.heic” is a HEIC file/,
    ],
  ]) {
    await page.setInputFiles("#file", bytes(name, Buffer.from(content), "image/jpeg"));
    await message.filter({ hasText: name }).waitFor();
    assert.match(await message.textContent(), words);
    assert.equal(await page.locator("#empty").isVisible(), true);
    assert.equal(await page.locator("#categories li").count(), 0, "no answer beside it");
  }
  assert.equal(await page.evaluate(() => document.activeElement.id), "message");
  assert.ok(await isInWindow(message));
  assert.equal((await lookAt(page, "cat.jpg"))[0].name, "Egyptian cat");
  assert.equal(await message.isVisible(), false);
});

test("a drawing (SVG) is drawn and named, and said to be one", async (t) => {
  const { page } = await open(t);
  await ready(page);
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 50"><rect width="100" height="50" fill="orange"/></svg>`;
  await page.setInputFiles("#file", bytes("drawing.svg", Buffer.from(svg), "image/svg+xml"));
  assert.ok((await rows(page, "drawing.svg")).length > 0);
  assert.match(
    await page.locator("#picture-note").textContent(),
    /“drawing.svg” is a drawing \(SVG\)/,
  );
});

test("nothing of an old answer stands beside a new picture", async (t) => {
  const { page } = await open(t);
  await ready(page);
  // Before any frame is painted with another picture, the names are gone.
  await page.evaluate(() => {
    globalThis.stale = [];
    const preview = document.querySelector("#preview");
    const shown = preview.src;
    const look = () => {
      const names = [...document.querySelectorAll("#categories .name")].map(
        (one) => one.textContent,
      );
      if (preview.src !== shown && names.includes("espresso")) globalThis.stale.push(names);
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  await lookAt(page, "cat.jpg");
  assert.deepEqual(await page.evaluate(() => globalThis.stale), []);
  // Not by its score alone: a wrong answer to be is called unsure.
  await page.locator("[data-sample=rocket]").click();
  const [top] = await rows(page, "rocket.jpg");
  assert.ok(Number.parseFloat(top.score) < 30, top.score);
  assert.match(await page.locator("#unsure").textContent(), /^Not sure: no answer is above 30%/);
  assert.match(await page.locator("#announcement").textContent(), /^Not sure\. Perhaps /);
  const weight = await first(page).evaluate((name) => getComputedStyle(name).fontWeight);
  assert.equal(weight, "400");
});

test("addresses: a picture of this server, of another, data, and what is none", async (t) => {
  const { page } = await open(t, { expected: [/404/] });
  await ready(page);
  const message = page.locator("#message");
  await give(page, "paste", { text: new URL("samples/cat.jpg", page.url()).href });
  assert.equal((await rows(page, "cat.jpg"))[0].name, "Egyptian cat");
  await give(page, "drop", { text: "https://elsewhere.example/cat.jpg" });
  await message.filter({ hasText: "only fetch from its own server" }).waitFor();
  await give(page, "paste", { text: "/nothing.jpg" });
  await message.filter({ hasText: "no picture at that address" }).waitFor();
  const base64 = (await readFile(photo("cat.jpg"))).toString("base64");
  await give(page, "paste", { text: `data:image/jpeg;base64,${base64}` });
  assert.equal((await rows(page, "pasted picture"))[0].name, "Egyptian cat");
  await give(page, "paste", { text: "no address" });
  await message.filter({ hasText: "no file in what was dropped" }).waitFor();
  // An address of a model is opened as one.
  await give(page, "paste", { text: new URL(MODEL, page.url()).href });
  await page.locator("#model-now").filter({ hasText: "efficientnet-lite0-int8.tflite" }).waitFor();
});

test("many pictures have a table, each with its answer or its reason, to be saved", async (t) => {
  const { page } = await open(t);
  await ready(page);
  const files = [
    "cat.jpg",
    "coffee.jpg",
    { name: 'a "quoted", name.txt.jpg', type: "image/jpeg", buffer: Buffer.from("no picture") },
  ];
  await give(page, "drop", { files });
  await page.locator("#many-status").filter({ hasText: "3 pictures in" }).waitFor();
  const table = await page
    .locator("#many-rows tr")
    .evaluateAll((lines) => lines.map((line) => [...line.cells].map((cell) => cell.textContent)));
  assert.deepEqual(
    table.map(([file]) => file),
    ["cat.jpg", "coffee.jpg", files[2].name],
  );
  assert.equal(table[0][1], "Egyptian cat");
  assert.match(table[1][2], /^\d\d\.\d%$/);
  assert.match(table[2][1], /is not a picture/);
  const [csv] = await Promise.all([page.waitForEvent("download"), page.click("#many-csv")]);
  const lines = (await readFile(await csv.path(), "utf8")).split("\r\n");
  assert.match(lines[0], /^file,label_1,score_1,.*,label_5,score_5,ms,error$/);
  assert.match(lines[1], /^cat\.jpg,Egyptian cat,0\.\d+,/);
  assert.match(lines[3], /^"a ""quoted"", name\.txt\.jpg",,,/);
  const [json] = await Promise.all([page.waitForEvent("download"), page.click("#many-json")]);
  const { pictures } = JSON.parse(await readFile(await json.path(), "utf8"));
  assert.deepEqual(
    pictures.map(({ file }) => file),
    table.map(([file]) => file),
  );
  assert.equal(pictures[1].categories[0].label, "espresso");
  await screenshot(page, "many");
  // A row leads back to its picture, and so does the history.
  await page.getByRole("button", { name: "coffee.jpg" }).click();
  assert.equal((await rows(page, "coffee.jpg"))[0].name, "espresso");
  await page.locator("#history button", { hasText: "Egyptian cat" }).click();
  assert.equal((await rows(page, "cat.jpg"))[0].name, "Egyptian cat");
});

test("a tap on the stage asks for pictures; a drag chooses a part, and keys move it", async (t) => {
  const { page } = await open(t);
  await lookAt(page, "cat.jpg");
  const [chooser] = await Promise.all([
    page.waitForEvent("filechooser"),
    page.locator("#picture").click(),
  ]);
  assert.ok(chooser.isMultiple());
  const whole = await page.locator("#categories").textContent();
  const { x, y, width, height } = await page.locator("#picture").boundingBox();
  await page.mouse.move(x + width / 2 - 20, y + height / 2 - 20);
  await page.mouse.down();
  await page.mouse.move(x + width / 2 + 60, y + height / 2 + 60, { steps: 4 });
  await page.mouse.up();
  await page.waitForFunction((before) => {
    const now = document.querySelector("#categories").textContent;
    return now !== "" && now !== before;
  }, whole);
  const frame = page.locator("#region");
  assert.match(
    await frame.getAttribute("aria-label"),
    /^The part that is looked at: \d+ by \d+ per cent/,
  );
  assert.match(await page.locator("#code").textContent(), /regionOfInterest: \{ left: 0\.\d+/);
  await page.locator("#sees-details summary").click();
  await page.locator('#sees[aria-label*="224 by 224 pixels"]').waitFor();
  await screenshot(page, "region");
  const label = await frame.getAttribute("aria-label");
  await frame.focus();
  await page.keyboard.press("Shift+ArrowRight");
  assert.notEqual(await frame.getAttribute("aria-label"), label);
  await page.keyboard.press("Escape");
  assert.equal(await frame.isVisible(), false);
  await page.waitForFunction(
    (before) => document.querySelector("#categories").textContent === before,
    whole,
  );
});

test("why: the map is brightest where the thing is, and the work can be stopped", async (t) => {
  const { page } = await open(t);
  await ready(page);
  // The cup fills the middle of the sample, and its right quarter is table.
  await page.getByRole("button", { name: "Why?" }).click();
  await page.locator("#heat").waitFor();
  const peak = Number(await page.locator("#heat").getAttribute("data-peak"));
  assert.ok(peak % 9 >= 1 && peak % 9 <= 7, `column ${peak % 9}`);
  assert.match(await page.locator("#why-result").textContent(), /“espresso”.*by up to \d+\.\d%/);
  await screenshot(page, "why");
  // Other answers are as before.
  assert.ok((await lookAt(page, "cat.jpg")).length <= 5);
  assert.equal(await page.locator("#heat").isVisible(), false);
  await page.getByRole("button", { name: "Why?" }).click();
  await page.locator("#why-cancel").click();
  assert.equal(await page.locator("#why-working").isVisible(), false);
  assert.equal((await lookAt(page, "coffee.jpg"))[0].name, "espresso");
});

test("the answer is copied as text and Markdown, and saved as a picture", async (t) => {
  const { page } = await open(t, { permissions: ["clipboard-read", "clipboard-write"] });
  await ready(page);
  const copied = async (button) => {
    await page.getByRole("button", { name: button, exact: true }).click();
    await page.locator("#share-said").filter({ hasText: "Copied" }).waitFor();
    return page.evaluate(() => navigator.clipboard.readText());
  };
  assert.match(await copied("Copy as text"), /^espresso: \d\d\.\d%\ncup: /);
  assert.match(
    await copied("Copy as Markdown"),
    /^\| EfficientNet-Lite0 \| \|\n\| --- \| ---: \|\n\| espresso \| \d\d\.\d% \|/,
  );
  const [picture] = await Promise.all([
    page.waitForEvent("download"),
    page.locator("#share").click(),
  ]);
  assert.equal(picture.suggestedFilename(), "coffee-achado.png");
  const png = await readFile(await picture.path());
  assert.equal(png.toString("latin1", 1, 4), "PNG");
  await page.locator("[data-copies=install]").click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "npm install achado");
});

test("on a slow line the size is known, and the load can be stopped", async (t) => {
  const body = await readFile(new URL(`.${MODEL}`, PAGE));
  // In chunks, without a length, and never to the end.
  const overrides = {
    [MODEL]: (_request, response) => {
      response.writeHead(200, { "Content-Type": "application/octet-stream" });
      response.write(body.subarray(0, 1_500_000));
    },
  };
  const { page } = await open(t, { overrides });
  await page.locator("#status").filter({ hasText: "1.5 of 5.2 MB" }).waitFor();
  assert.ok(
    Math.abs((await page.locator("#progress").evaluate((bar) => bar.value)) - 0.286) < 0.01,
  );
  assert.equal(await page.locator("#answer").getAttribute("aria-busy"), "true");
  await page.locator("#cancel").click();
  await page.locator("#hint").filter({ hasText: "Loading was cancelled" }).waitFor();
  assert.equal(await page.locator("#camera").isDisabled(), true);
  overrides[MODEL] = { file: new URL(`.${MODEL}`, PAGE) };
  await page.getByRole("button", { name: "Back to the model of this page" }).click();
  await page.locator("#camera:enabled").waitFor();
});

test("bars move without a layout, and the camera leaves the page's thread alone", async (t) => {
  const { page } = await open(t, { permissions: ["camera"] });
  await ready(page);
  await page.getByRole("button", { name: "Use the camera" }).click();
  await first(page).filter({ hasText: "tripod" }).waitFor();
  await page
    .locator("#camera-rate")
    .filter({ hasText: /\d\.\d pictures a second, \d+\.\d ms each/ })
    .waitFor();
  assert.match(await page.locator("#code").textContent(), /openCamera.*classifyStream/s);
  const moving = await page
    .locator(".bar span")
    .first()
    .evaluate((bar) => getComputedStyle(bar).transitionProperty);
  assert.equal(moving, "transform");
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  const layouts = async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return metrics.find(({ name }) => name === "LayoutCount").value;
  };
  const before = await layouts();
  await page.waitForTimeout(2000);
  // Eight answers a second at most; a layout in each frame would be sixty.
  const each = ((await layouts()) - before) / 2;
  assert.ok(each < 30, `${each} layouts a second`);
  // A frame that is kept is a picture like others.
  await page.locator("#camera-still").click();
  assert.equal((await rows(page, "camera frame.png"))[0].name, "tripod");
});

test("in forced colours, bars and what is pressed can still be seen", async (t) => {
  const { page } = await open(t, { forcedColors: "active" });
  await ready(page);
  const seen = await page.evaluate(() => {
    const style = (selector) => getComputedStyle(document.querySelector(selector));
    return {
      bar: style(".bar span").backgroundColor,
      ground: style(".bar").backgroundColor,
      border: style(".bar").borderTopWidth,
      pressed: style("[aria-pressed=true]").borderTopWidth,
      other: style("[data-language][aria-pressed=false]").borderTopWidth,
    };
  });
  assert.notEqual(seen.bar, seen.ground);
  assert.equal(seen.border, "1px");
  assert.notEqual(seen.pressed, seen.other);
  await screenshot(page, "forced-colors");
});

test("at 320 pixels nothing breaks inside a number, and all is in one language", async (t) => {
  const { page } = await open(t, { viewport: { width: 320, height: 640 }, locale: "pt-BR" });
  await ready(page);
  const lines = await page.locator("dd.whole").evaluateAll((all) =>
    all.map((one) => {
      const range = document.createRange();
      range.selectNodeContents(one);
      return new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size;
    }),
  );
  assert.deepEqual(
    lines,
    lines.map(() => 1),
  );
  // Names of classes are English and say so; achado's own reasons are said in the page's language.
  assert.equal(await first(page).getAttribute("lang"), "en");
  assert.equal(await page.locator("#announcement span").getAttribute("lang"), "en");
  assert.match(await page.locator("#fallbacks").textContent(), /^Uma só thread/);
  const words = await page.locator("body").innerText();
  for (const word of ["Choose", "the ", "Threads are", "câmera vê", "À espera"]) {
    assert.ok(!words.includes(word), word);
  }
});
