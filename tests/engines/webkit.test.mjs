// The package and the demo page in WebKitGTK, by its driver: `cargo xtask test --only webkit`.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { photo } from "../browser/page.mjs";
import { checkServer, compare, demoServer, driver } from "./support.mjs";

let browser;
let display;
let webdriver;
let server;
before(async () => {
  webdriver = await driver("selenium-webdriver");
  // It has no mode without a window. The number is not one of a screen that people use.
  const number = `:${90 + (process.pid % 400)}`;
  if (!process.env.DISPLAY) {
    display = spawn("Xvfb", [number, "-screen", "0", "1280x1024x24"], { stdio: "ignore" });
    process.env.DISPLAY = number;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  // Containers have no user namespaces for its sandbox.
  process.env.WEBKIT_FORCE_SANDBOX ??= "0";
  process.env.WEBKIT_DISABLE_COMPOSITING_MODE ??= "1";
  const port = 20_000 + (process.pid % 10_000);
  server = spawn("WebKitWebDriver", [`--port=${port}`], { stdio: "ignore" });
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const capabilities = new webdriver.Capabilities();
  capabilities.setBrowserName("MiniBrowser");
  capabilities.set("webkitgtk:browserOptions", {
    binary: process.env.ACHADO_MINIBROWSER ?? minibrowser(),
    args: ["--automation"],
  });
  browser = await new webdriver.Builder()
    .usingServer(`http://127.0.0.1:${port}`)
    .withCapabilities(capabilities)
    .build();
  await browser.manage().setTimeouts({ script: 180_000, pageLoad: 60_000 });
});
after(async () => {
  await browser?.quit().catch(() => {});
  server?.kill();
  display?.kill();
});

/** Debian has it below the folder of its version and of the machine's kind. */
function minibrowser() {
  const folders = (parent) => readdirSync(parent).map((name) => `${parent}/${name}`);
  const versions = folders("/usr/lib")
    .filter((folder) => folder.endsWith("-linux-gnu"))
    .flatMap(folders)
    .filter((folder) => /\/webkit2?gtk-[\d.]+$/.test(folder));
  const found = versions
    .map((folder) => `${folder}/MiniBrowser`)
    .filter(existsSync)
    .at(-1);
  assert.ok(found, "WebKitGTK's MiniBrowser was not found");
  return found;
}

for (const isolated of [false, true]) {
  test(`answers are those of other engines${isolated ? ", isolated" : ""}`, async (t) => {
    const server = await checkServer(isolated);
    t.after(() => server.close());
    await browser.get(`${server.url}/check`);
    await browser.wait(() => browser.executeScript("return Boolean(globalThis.answers)"), 180_000);
    await compare(await browser.executeScript("return globalThis.answers"), {
      isolated,
      // WebKitGTK says that it does, and refuses to send memory.
      sharesMemory: false,
    });
  });
}

test("the demo page names a picture", async (t) => {
  const server = await demoServer();
  t.after(() => server.close());
  await browser.get(`${server.url}/`);
  const { By, until } = webdriver;
  await browser.wait(until.elementLocated(By.css("#categories li")), 60_000);
  await browser.findElement(By.css("#file")).sendKeys(photo("cat.jpg"));
  const said = () =>
    browser.executeScript("return document.querySelector('#categories li')?.textContent ?? ''");
  await browser.wait(async () => /Egyptian cat/.test(await said()), 60_000);
});
