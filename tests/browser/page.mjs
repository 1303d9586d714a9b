// The demo page as tests use it: opened, given files, and read.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { PAGE, startServer } from "./support.mjs";

export const FIXTURES = new URL("../fixtures/", import.meta.url);
/** A photo of the fixtures, as a path. */
export const photo = (name) => fileURLToPath(new URL(`photos/${name}`, FIXTURES));
/** Where the page's own model is, on its server. */
export const MODEL = "/achado/models/efficientnet-lite0-int8.tflite";
export const DESKTOP = { width: 1100, height: 900 };
export const PHONE = { width: 360, height: 740 };

/**
 * Opens the page; complaints that were not expected fail the test. Service workers are blocked but
 * where a test is about them.
 */
export async function open(
  t,
  browser,
  { overrides, mounts, path = "/", expected = [], headers, ...context } = {},
) {
  const server = await startServer({ root: PAGE, overrides, mounts, headers });
  const opened = await browser.newContext({
    viewport: DESKTOP,
    locale: "en-GB",
    serviceWorkers: "block",
    ...context,
  });
  // The page goes first: what it still loads must not find the server gone.
  t.after(() => opened.close());
  t.after(() => server.close());
  const page = await opened.newPage();
  // Machines that do much else are slow, and no test is about time.
  page.setDefaultTimeout(120_000);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  t.after(() => {
    const left = complaints.filter((text) => !expected.some((one) => one.test(text)));
    assert.deepEqual(left, []);
  });
  await page.goto(server.url + path);
  return { page, server, context: opened };
}

/** The name of the best category. */
export const first = (page) => page.locator("#categories li").first().locator(".name");

/** Waits until the model has opened and the sample has its answer. */
export const ready = (page) => page.locator("#categories li").first().waitFor();

/** Chooses a picture and waits for its answer: all rows. */
export async function lookAt(page, name, file = photo(name)) {
  const before = await page.locator("#preview").getAttribute("src");
  await page.setInputFiles("#file", file);
  return rows(page, name, before);
}

/** Waits for the answer for a picture, and gives all its rows. */
export async function rows(page, name, before = null) {
  const found = await page.waitForFunction(
    ({ name, before }) => {
      const preview = document.querySelector("#preview");
      const categories = document.querySelector("#categories");
      const busy = document.querySelector("#answer").ariaBusy === "true";
      if (preview.dataset.name !== name || preview.getAttribute("src") === before) return undefined;
      if (busy || !categories.checkVisibility()) return undefined;
      return [...categories.children].map((item) => ({
        name: item.querySelector(".name").textContent,
        score: item.querySelector(".score").textContent,
        bar: item.querySelector(".bar span").getBoundingClientRect().right,
      }));
    },
    { name, before },
  );
  return found.jsonValue();
}

/** A file as Playwright gives it to an input. */
export const bytes = (name, buffer, mimeType = "application/octet-stream") => ({
  name,
  mimeType,
  buffer,
});

/**
 * Drops or pastes files (`{ name, type, buffer }`) or text onto the page.
 *
 * @param {"drop" | "paste"} kind
 */
export async function give(page, kind, { files = [], text } = {}) {
  const sent = await Promise.all(
    files.map(async (one) => {
      const {
        name,
        type = "",
        buffer,
      } = typeof one === "string"
        ? { name: one, type: "image/jpeg", buffer: await readFile(photo(one)) }
        : one;
      return { name, type, base64: buffer.toString("base64") };
    }),
  );
  await page.evaluate(
    ({ kind, sent, text }) => {
      const data = new DataTransfer();
      for (const { name, type, base64 } of sent) {
        const content = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
        data.items.add(new File([content], name, { type }));
      }
      if (text !== undefined) data.setData("text/plain", text);
      const event =
        kind === "drop"
          ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
          : new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
      document.querySelector("#picture").dispatchEvent(event);
    },
    { kind, sent, text },
  );
}

export async function hasNoHorizontalScroll(page) {
  const { content, window } = await page.evaluate(() => ({
    content: document.documentElement.scrollWidth,
    window: document.documentElement.clientWidth,
  }));
  assert.ok(content <= window, `the content is ${content} pixels wide, the window ${window}`);
}

/** Whether an element is in the window, whole. */
export async function isInWindow(locator) {
  await locator.page().waitForTimeout(400); // Scrolling may be smooth.
  return locator.evaluate((element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return top >= 0 && bottom <= innerHeight;
  });
}
