// The demo page, as its visitors use it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  DESKTOP,
  first,
  give,
  hasNoHorizontalScroll,
  lookAt,
  MODEL,
  open as openPage,
  PHONE,
  photo,
  ready,
  rows,
} from "./page.mjs";
import { CORE, cameraFromPicture, launch, PAGE, screenshot, startServer } from "./support.mjs";

let browser;
before(async () => {
  browser = await launch({ camera: await cameraFromPicture(photo("camera.jpg")) });
});
after(() => browser?.close());
const open = (t, options) => openPage(t, browser, options);

test("a photo is named: five categories with bars, times, and what runs", async (t) => {
  const { page, server } = await open(t);
  // A sample is named without a click.
  assert.equal((await rows(page, "coffee.jpg"))[0].name, "espresso");
  assert.match(await page.locator("#picture-note").textContent(), /^This is a sample picture/);
  const found = await lookAt(page, "coffee.jpg");
  assert.equal(await page.locator("#picture-note").isVisible(), false);
  assert.equal(found[0].name, "espresso");
  assert.match(found[0].score, /^\d\d\.\d%$/);
  assert.ok(found.length >= 3 && found.length <= 5);
  await page.waitForTimeout(400); // The bars grow.
  const start = await page
    .locator(".bar")
    .first()
    .evaluate((bar) => bar.getBoundingClientRect().left);
  const bars = (await rows(page, "coffee.jpg")).map(({ bar }) => bar - start);
  assert.deepEqual(
    bars,
    [...bars].sort((a, b) => b - a),
  );
  assert.ok(bars[0] > 5 * bars[1]);
  // What is listed sums up to what is called the sum.
  let sum = 0;
  for (const step of ["decode", "preprocess", "inference", "postprocess"]) {
    const time = await page.locator(`#time-${step}`).textContent();
    assert.match(time, /^(< )?\d+\.\d\sms$/);
    sum += time.startsWith("<") ? 0 : Number.parseFloat(time);
  }
  assert.equal(await page.locator("#time-total").textContent(), `${sum.toFixed(1)}\u00a0ms`);
  const runtime = await page.locator("#runtime").textContent();
  for (const word of ["EfficientNet-Lite0", "relaxed", "Threads1", "a worker", "224 × 224 × 3"]) {
    assert.ok(runtime.includes(word), `${word} in ${runtime}`);
  }
  assert.match(await page.locator("#announcement").textContent(), /^Most likely espresso, \d/);
  await screenshot(page, "desktop");

  // Another one replaces it, by dropping and by pasting.
  await give(page, "drop", { files: ["cat.jpg"] });
  await first(page).filter({ hasText: "Egyptian cat" }).waitFor();
  await give(page, "paste", { files: ["coffee.jpg"] });
  await first(page).filter({ hasText: "espresso" }).waitFor();

  for (const { path, status } of server.requests) assert.ok(status < 400, `${status} for ${path}`);
});

test("it runs from any folder", async (t) => {
  const mounts = { "/some/folder/deep/": PAGE };
  const overrides = { "/": { status: 404 }, "/main.js": { status: 404 } };
  const { page } = await open(t, { mounts, overrides, path: "/some/folder/deep/" });
  await ready(page);
  assert.equal((await lookAt(page, "cat.jpg"))[0].name, "Egyptian cat");
});

test("a photo that comes before the model has loaded is named afterwards", async (t) => {
  const file = new URL(`.${MODEL}`, PAGE);
  const { page } = await open(t, { overrides: { [MODEL]: { file, delayMs: 1500 } } });
  await page.setInputFiles("#file", photo("cat.jpg"));
  assert.match(await page.locator("#status").textContent(), /Fetching/);
  assert.equal((await rows(page, "cat.jpg"))[0].name, "Egyptian cat");
});

test("the camera is named while it runs, and stops", async (t) => {
  const { page } = await open(t, { permissions: ["camera"] });
  await ready(page);
  await page.getByRole("button", { name: "Use the camera" }).click();
  await first(page).filter({ hasText: "tripod" }).waitFor();
  assert.equal(await page.locator("#picture video").count(), 1);
  await screenshot(page, "camera");
  const stop = page.getByRole("button", { name: "Stop the camera" });
  await stop.click();
  await page.getByRole("button", { name: "Use the camera" }).waitFor();
  assert.equal(await page.locator("#picture video").count(), 0);
  // What it saw is no answer for the empty stage.
  assert.equal(await page.locator("#categories").isVisible(), false);
  assert.equal(await page.locator("#categories li").count(), 0);
  assert.equal(await page.locator("#timings").isVisible(), false);
  // A picture in place of a running camera.
  await page.getByRole("button", { name: "Use the camera" }).click();
  await page.locator("#picture video").waitFor();
  await page.setInputFiles("#file", photo("coffee.jpg"));
  await first(page).filter({ hasText: "espresso" }).waitFor();
  assert.equal(await page.locator("#picture video").count(), 0);
  assert.equal(await page.locator("#message").isVisible(), false);
});

test("without leave, the camera says so", async (t) => {
  const alone = await launch();
  t.after(() => alone.close());
  const server = await startServer({ root: PAGE });
  t.after(() => server.close());
  const page = await alone.newPage({ locale: "en" });
  await page.goto(server.url);
  await ready(page);
  await page.locator("#camera").click();
  const message = page.getByRole("alert");
  await message.filter({ hasText: /camera/ }).waitFor();
  assert.match(await message.textContent(), /There is no camera|The camera was not allowed/);
  await page.getByRole("button", { name: "Use the camera" }).waitFor();
});

test("both languages: by the browser, by hand, remembered", async (t) => {
  const { page } = await open(t, { locale: "pt-BR" });
  await ready(page);
  assert.equal(await page.title(), "achado: o que esta imagem mostra?");
  assert.equal(await page.getAttribute("html", "lang"), "pt-BR");
  assert.match((await lookAt(page, "cat.jpg"))[0].score, /^\d\d,\d%$/);
  assert.match(await page.locator("#announcement").textContent(), /^Mais provável: Egyptian cat/);
  await page.waitForTimeout(400);
  await screenshot(page, "portuguese");

  const english = page.getByRole("button", { name: "English" });
  await english.click();
  assert.equal(await english.getAttribute("aria-pressed"), "true");
  assert.equal(await page.getAttribute("html", "lang"), "en");
  assert.equal(await page.locator("h1").textContent(), "What does this picture show?");
  assert.match((await rows(page, "cat.jpg"))[0].score, /^\d\d\.\d%$/);
  await page.reload();
  assert.equal(await page.getAttribute("html", "lang"), "en");

  // No text is left in the other language.
  const texts = async () =>
    page.locator("[data-text]").evaluateAll((all) => all.map((one) => one.textContent.trim()));
  const inEnglish = await texts();
  await page.getByRole("button", { name: "Português" }).click();
  const inPortuguese = await texts();
  inEnglish.forEach((text, index) => assert.notEqual(text, inPortuguese[index]));
});

test("a missing model, a 404 wasm, something else in its place: each says what to do", async (t) => {
  const cases = {
    model: [{ [MODEL]: { status: 404 } }, /The model is missing: the server answers 404/],
    "model-page": [
      { [MODEL]: { headers: { "Content-Type": "text/html" }, body: "<html>" } },
      /The model is missing/,
    ],
    wasm: [{ [`/achado${CORE}`]: { status: 404 } }, /program file could not be loaded/],
    "wasm-page": [
      { [`/achado${CORE}`]: { headers: { "Content-Type": "text/html" }, body: "<html>" } },
      /something else in place of the program/,
    ],
  };
  for (const [name, [overrides, words]] of Object.entries(cases)) {
    const { page } = await open(t, { overrides, expected: [/404/] });
    const message = page.getByRole("alert");
    await message.waitFor();
    assert.match(await message.textContent(), words);
    assert.equal(await page.locator("#loading").isVisible(), false);
    assert.equal(await page.locator("#camera").isDisabled(), true);
    await page.getByText("Details").click();
    assert.match(await message.locator("code").textContent(), /^[A-Z_]+: ./);
    await screenshot(page, `error-${name}`);
    await page.getByRole("button", { name: "Português" }).click();
    assert.match(await message.textContent(), /modelo|programa/);
  }
});

test("by keyboard alone, with the focus always to be seen", async (t) => {
  const { page } = await open(t);
  // Asked for early: the browser needs a moment before it tells of file choosers.
  const chooser = page.waitForEvent("filechooser");
  await ready(page);
  const seen = [];
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press("Tab");
    const { body, id, label, outline } = await page.evaluate(() => {
      const { activeElement } = document;
      // A file input shows its focus on the label after it.
      const shown =
        activeElement.type === "file" ? activeElement.nextElementSibling : activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(shown);
      return {
        body: activeElement === document.body,
        id: activeElement.id || activeElement.dataset.language || activeElement.className,
        label:
          activeElement.labels?.[0]?.textContent ??
          (activeElement.ariaLabel ||
            activeElement.querySelector("img")?.alt ||
            activeElement.textContent),
        outline: outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2,
      };
    });
    if (body) break;
    seen.push(id);
    assert.ok(outline, `the focus on ${id} cannot be seen`);
    assert.notEqual(label.trim(), "", `${id} has no name`);
  }
  for (const id of [
    "skip",
    "en",
    "pt",
    "file",
    "camera",
    "region-toggle",
    "why",
    "model-file",
    "labels-file",
  ]) {
    assert.ok(seen.includes(id), `${id} in ${seen}`);
  }
  await page.locator("#file").focus();
  await page.keyboard.press("Space");
  await (await chooser).setFiles(photo("cat.jpg"));
  assert.equal((await rows(page, "cat.jpg"))[0].name, "Egyptian cat");
  await page.locator("[data-language=pt]").focus();
  await page.keyboard.press("Enter");
  assert.equal(await page.getAttribute("html", "lang"), "pt-BR");
});

test("everything has a name for screen readers, and headings in order", async (t) => {
  const { page } = await open(t);
  await ready(page);
  await lookAt(page, "cat.jpg");
  const nameless = await page.evaluate(() =>
    [
      ...document.querySelectorAll(
        "button, input, select, textarea, img, canvas:not([aria-hidden]), progress, section, form, [role=group], [role=region]",
      ),
    ]
      .filter((element) => {
        const labelledBy = element.getAttribute("aria-labelledby");
        const texts = [
          element.getAttribute("aria-label"),
          labelledBy && document.getElementById(labelledBy)?.textContent,
          element.labels?.[0]?.textContent,
          element.tagName === "BUTTON" && element.textContent,
          element.getAttribute("alt") ?? undefined,
        ];
        const decorative = element.tagName === "IMG" && element.getAttribute("alt") === "";
        const hidden = !element.checkVisibility();
        return !decorative && !hidden && !texts.some((text) => text && text.trim() !== "");
      })
      .map((element) => element.outerHTML),
  );
  assert.deepEqual(nameless, []);
  const levels = await page
    .locator("h1, h2, h3")
    .evaluateAll((all) => all.map((one) => Number(one.tagName[1])));
  assert.equal(levels[0], 1);
  levels.reduce((before, level) => {
    assert.ok(level <= before + 1, `headings ${levels}`);
    return level;
  });
  const tree = await page.locator("body").ariaSnapshot();
  assert.match(tree, /img "The picture that was chosen: cat.jpg"/);
  assert.match(tree, /list:\n +- listitem: Egyptian cat \d/);
});

test("contrast is enough, in light and dark", async (t) => {
  for (const colorScheme of ["light", "dark"]) {
    const { page } = await open(t, { colorScheme });
    await ready(page);
    await lookAt(page, "cat.jpg");
    await page.waitForTimeout(400);
    await screenshot(page, colorScheme);
    const poor = await page.evaluate(() => {
      const channels = (color) => color.match(/[\d.]+/g).map(Number);
      const luminance = ([r, g, b]) => {
        const linear = (c) => (c <= 10.31 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4);
        return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
      };
      const ground = (element) => {
        for (let at = element; at; at = at.parentElement) {
          const color = channels(getComputedStyle(at).backgroundColor);
          if (color.length === 3 || color[3] === 1) return color;
        }
        return [255, 255, 255];
      };
      const poor = [];
      for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some(
          (node) => node.nodeType === 3 && node.data.trim() !== "",
        );
        if (!own || !element.checkVisibility()) continue;
        const [a, b] = [
          luminance(channels(getComputedStyle(element).color)),
          luminance(ground(element)),
        ];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) poor.push(`${ratio.toFixed(2)}: ${element.textContent.trim()}`);
      }
      return poor;
    });
    assert.deepEqual(poor, [], colorScheme);
  }
});

test("on a phone nothing is cut off, in both languages and with an error", async (t) => {
  for (const locale of ["en", "pt-BR"]) {
    const { page } = await open(t, { viewport: PHONE, locale, hasTouch: true, isMobile: true });
    await ready(page);
    await hasNoHorizontalScroll(page);
    await screenshot(page, `phone-empty-${locale}`);
    await lookAt(page, "cat.jpg");
    await page.waitForTimeout(400);
    await hasNoHorizontalScroll(page);
    await screenshot(page, `phone-${locale}`);
    // Large enough for a finger.
    const small = await page
      .locator("button:visible, label.button, select:visible, footer a")
      .evaluateAll((all) =>
        all
          .map((one) => ({ text: one.textContent, ...one.getBoundingClientRect().toJSON() }))
          .filter(({ width, height }) => width < 40 || height < 40)
          .map(({ text, width, height }) => `${text.trim()}: ${width}x${height}`),
      );
    assert.deepEqual(small, []);
  }
  const overrides = { [MODEL]: { status: 404 } };
  const { page } = await open(t, { viewport: PHONE, overrides, expected: [/404/] });
  await page.getByRole("alert").waitFor();
  await page.getByText("Details").click();
  await hasNoHorizontalScroll(page);
  await screenshot(page, "phone-error");
});

test("nothing moves for those who ask for that", async (t) => {
  const { page } = await open(t, { reducedMotion: "reduce" });
  await ready(page);
  await lookAt(page, "cat.jpg");
  const durations = await page
    .locator(".bar span")
    .evaluateAll((all) => all.map((one) => getComputedStyle(one).transitionProperty));
  for (const property of durations) assert.equal(property, "none");
});
