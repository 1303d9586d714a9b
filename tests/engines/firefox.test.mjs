// The package and the demo page in Firefox, by WebDriver BiDi: `cargo xtask test --only firefox`.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { photo } from "../browser/page.mjs";
import { checkServer, compare, demoServer, driver } from "./support.mjs";

let browser;
before(async () => {
  const { default: puppeteer } = await driver("puppeteer-core");
  browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: process.env.ACHADO_FIREFOX ?? "/usr/bin/firefox-esr",
    headless: true,
  });
});
after(() => browser?.close());

for (const isolated of [false, true]) {
  test(`answers are those of other engines${isolated ? ", with threads" : ""}`, async (t) => {
    const server = await checkServer(isolated);
    t.after(() => server.close());
    const page = await browser.newPage();
    t.after(() => page.close());
    await page.goto(`${server.url}/check`);
    await page.waitForFunction(() => globalThis.answers, { timeout: 120_000 });
    await compare(await page.evaluate(() => globalThis.answers), { isolated });
  });
}

test("the demo page names a picture", async (t) => {
  const server = await demoServer();
  t.after(() => server.close());
  const page = await browser.newPage();
  t.after(() => page.close());
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(`${server.url}/`);
  await page.waitForSelector("#categories li", { timeout: 60_000 });
  const input = await page.$("#file");
  await input.uploadFile(photo("cat.jpg"));
  await page.waitForFunction(
    () => /Egyptian cat/.test(document.querySelector("#categories li")?.textContent ?? ""),
    { timeout: 60_000 },
  );
  assert.deepEqual(complaints, []);
});
