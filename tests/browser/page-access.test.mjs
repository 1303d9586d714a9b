// The demo page for those who do not see it, or use no pointer: axe-core finds nothing in any state.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { bytes, FIXTURES, give, lookAt, open as openPage, PHONE, photo, ready } from "./page.mjs";
import { cameraFromPicture, launch } from "./support.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** WCAG 2.2 A and AA, and what is good practice beyond them. */
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

let browser;
before(async () => {
  browser = await launch({ camera: await cameraFromPicture(photo("camera.jpg")) });
});
after(() => browser?.close());
const open = (t, options) => openPage(t, browser, options);

/** What axe-core finds wrong, as lines. */
async function violations(page) {
  // Evaluated by the debugger: the page's own policy forbids it to everybody else.
  await page.evaluate(axe);
  const found = await page.evaluate(async (values) => {
    const { violations, passes } = await globalThis.axe.run(document, {
      runOnly: { type: "tag", values },
    });
    if (passes.length < 20) throw new Error(`axe-core checked ${passes.length} rules only`);
    return violations.flatMap(({ id, help, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${help}\n${html}\n${failureSummary}`),
    );
  }, RULES);
  return found;
}

for (const [name, context] of Object.entries({
  light: {},
  "dark, on a phone, in Portuguese": { colorScheme: "dark", viewport: PHONE, locale: "pt-BR" },
})) {
  test(`axe-core finds nothing, whatever the page shows: ${name}`, async (t) => {
    const { page } = await open(t, {
      permissions: ["camera"],
      reducedMotion: "reduce",
      ...context,
    });
    await ready(page);
    assert.deepEqual(await violations(page), [], "a sample");
    // Unsure, a map, a part, many pictures and a history.
    await page.locator("[data-sample=rocket]").click();
    await page.locator("#unsure").waitFor();
    await page.locator("#why").click();
    await page.locator("#heat").waitFor({ state: "attached" });
    await give(page, "drop", { files: ["cat.jpg", "coffee.jpg"] });
    await page.locator("#many-status").filter({ hasText: /^2 / }).waitFor();
    await page.locator("#region-toggle").click();
    await page.locator("#sees-details summary").click();
    assert.deepEqual(await violations(page), [], "many pictures, a part of one");
    // A question, then an error.
    const onnx = await readFile(new URL("onnx/colours.onnx", FIXTURES));
    await page.setInputFiles("#model-file", bytes("colours.onnx", onnx));
    await page.click("#own-model [type=submit]");
    await page.locator("#ask").waitFor();
    await page.selectOption("#preprocess", "numbers");
    await page.fill("#mean", "a lot");
    await page.click("#own-model [type=submit]");
    await page.locator("#model-message").waitFor();
    await page.setInputFiles("#file", bytes("empty.jpg", Buffer.alloc(0)));
    await page.locator("#message").waitFor();
    assert.deepEqual(await violations(page), [], "errors");
    await page.locator("#camera").click();
    await page.locator("#categories li", { hasText: "tripod" }).waitFor();
    assert.deepEqual(await violations(page), [], "the camera");
  });
}

test("axe-core finds nothing on the page of measurements", async (t) => {
  const { page } = await open(t, { path: "/bench.html?rounds=1&roundMs=1&warmUpMs=1" });
  assert.deepEqual(await violations(page), [], "before");
  await page.click("#start");
  await page.locator("#status").filter({ hasText: "Done." }).waitFor();
  assert.deepEqual(await violations(page), [], "after");
});

test("who reads by ear hears of work and answers, and what the keyboard reaches works", async (t) => {
  const { page } = await open(t);
  await ready(page);
  const heard = page.locator("#announcement");
  await heard.filter({ hasText: "Most likely espresso" }).waitFor();
  assert.equal(await page.locator("#answer").getAttribute("aria-busy"), "false");
  // A sample, the part that is looked at and the question why, without a pointer.
  await page.locator("[data-sample=cat]").focus();
  await page.keyboard.press("Enter");
  await heard.filter({ hasText: "Egyptian cat" }).waitFor();
  await page.locator("#region-toggle").focus();
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "region");
  await page.keyboard.press("ArrowLeft");
  assert.match(await page.locator("#code").textContent(), /left: 0\.2,/);
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.id), "region-toggle");
  await lookAt(page, "coffee.jpg");
  await page.locator("#why").focus();
  await page.keyboard.press("Space");
  await page.locator("#why-result").filter({ hasText: "espresso" }).waitFor();
});
