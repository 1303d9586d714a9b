// The page of measurements: that it measures and shows it, not how fast anything is.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { transform } from "esbuild";
import { ISOLATED, launch, PAGE, screenshot, startServer } from "./support.mjs";

const MODEL = new URL("achado/models/efficientnet-lite0-int8.tflite", PAGE);
const QUICK = "/bench.html?rounds=2&roundMs=1&warmUpMs=1";
const DESKTOP = { width: 1100, height: 900 };
const PHONE = { width: 360, height: 740 };

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** Opens the page; any complaint of the browser fails the test. */
async function open(t, { headers, overrides, ...context } = {}) {
  const server = await startServer({ root: PAGE, headers, overrides });
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
  page.setDefaultTimeout(120_000);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  t.after(() => assert.deepEqual(complaints, []));
  await page.goto(server.url + QUICK);
  return { page, server };
}

async function measure(page) {
  await page.click("#start");
  await page.locator("#results").waitFor();
  await page.locator("#measure[aria-busy=false]").waitFor();
}

const cells = (page) =>
  page
    .locator("#rows tr")
    .evaluateAll((lines) => lines.map((line) => [...line.cells].map((cell) => cell.textContent)));

async function saved(page) {
  const [file] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
  assert.equal(file.suggestedFilename(), "achado-bench.json");
  return JSON.parse(await readFile(await file.path(), "utf8"));
}

test("it measures the default model, says why there are no threads, and saves it all", async (t) => {
  const { page, server } = await open(t);
  assert.equal(await page.locator("#results").isVisible(), false);
  await measure(page);

  const [one, more] = await cells(page);
  assert.equal(one[0], "efficientnet-lite0-int8.tflite (int8)");
  assert.match(one[1], /^(simd128|relaxed)$/);
  assert.equal(one[2], "1");
  const [network, whole] = [Number(one[3]), Number(one[4])];
  assert.ok(network > 0 && whole >= network, `${network} and ${whole} ms`);
  assert.equal(one[5], "–");
  assert.match(more[3], /does not send the COOP and COEP headers/);

  assert.equal(await page.locator("#chart rect").count(), 1);
  assert.match(await page.locator("#chart").getAttribute("aria-label"), /int8.*: \d+\.\d\sms$/);

  const { rows, crossOriginIsolated, userAgent, rounds } = await saved(page);
  assert.deepEqual([crossOriginIsolated, rounds], [false, 2]);
  assert.match(userAgent, /Chrome/);
  assert.ok(Math.abs(rows[0].networkMs - network) <= 0.06, `${rows[0].networkMs} and ${network}`);
  for (const name of ["networkMs", "wholeMs", "minMs"]) {
    assert.match(String(rows[0][name]), /^\d+(\.\d\d?)?$/, "digits that mean something");
  }
  assert.ok(rows[0].minMs <= rows[0].networkMs && rows[0].runs >= 2 && rows[0].memoryBytes > 1e6);
  assert.deepEqual(rows[1].obstacle, { reason: "notIsolated" });
  for (const { path, status } of server.requests) assert.ok(status < 400, `${status} for ${path}`);
});

test("models that lie beside the page or are added have a line and a bar each", async (t) => {
  // As the page's author names one; the same file stands for all three.
  const html = await readFile(new URL("bench.html", PAGE), "utf8");
  const body = html.replace('data-models=""', 'data-models="./beside-int8.tflite"');
  assert.notEqual(body, html);
  const overrides = {
    "/bench.html": { headers: { "Content-Type": "text/html" }, body },
    "/beside-int8.tflite": { file: MODEL },
  };
  const { page } = await open(t, { overrides });
  await page.setInputFiles("#model-files", fileURLToPath(MODEL));
  assert.equal(await page.locator("#models li").count(), 3);
  await measure(page);
  const names = (await cells(page)).map(([name]) => name);
  assert.equal(names.length, 6);
  assert.equal(names[2], "beside-int8.tflite (int8)");
  assert.equal(await page.locator("#chart rect").count(), 3);
  await screenshot(page, "bench-three-models");
});

test("an ONNX model is measured, a model is taken out, and the work can be stopped", async (t) => {
  const { page } = await open(t);
  const onnx = new URL("../fixtures/onnx/colours.onnx", import.meta.url);
  await page.setInputFiles("#model-files", fileURLToPath(onnx));
  await page.getByRole("button", { name: "Remove efficientnet-lite0-int8.tflite" }).click();
  assert.deepEqual(await page.locator("#models span").allTextContents(), ["colours.onnx"]);
  await measure(page);
  const [one] = await cells(page);
  assert.match(one[0], /^colours\.onnx/);
  assert.ok(Number(one[4]) > 0, one.join());

  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.click("#markdown");
  await page.locator("#said").filter({ hasText: "Copied" }).waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  const [head, rule, row] = copied.split("\n");
  assert.equal(
    head,
    "| Model | Build | Threads | Network, ms | Picture to names, ms | Times float |",
  );
  assert.match(rule, /^\| --- \|/);
  assert.ok(row.startsWith("| colours.onnx"), row);
  assert.match(copied, /achado \d+\.\d+\.\d+, Mozilla.*cores/);

  await page.goto(page.url().replace("roundMs=1&warmUpMs=1", "roundMs=60000&warmUpMs=60000"));
  await page.click("#start");
  await page.getByRole("button", { name: "Stop measuring" }).click();
  await page.locator("#status").filter({ hasText: "Stopped." }).waitFor();
  await page.getByRole("button", { name: "Measure", exact: true }).waitFor();
});

test("speed-up is over the same network in float with one thread, and over nothing else", async () => {
  const source = await readFile(new URL("../../www/src/speed-up.ts", import.meta.url), "utf8");
  const { code } = await transform(source, { loader: "ts" });
  const { speedUp } = await import(`data:text/javascript,${encodeURIComponent(code)}`);
  const row = (model, type, threads, networkMs) => ({ model, type, threads, networkMs });
  const float = row("Net_v1.f32.tflite", "float", 1, 40);
  const rows = [
    row("net_v1.int8.fio.tflite", "int8", 1, 20),
    row("net_v1-quant.tflite", "int8", 2, 10),
    row("net_v2.int8.tflite", "int8", 1, 20),
    { ...row("net_v1.int8.tflite", undefined, 1, undefined), obstacle: { message: "no" } },
    row("net_v1.f32.tflite", "float", 2, 25),
    float,
  ];
  const factors = rows.map((one) => speedUp(one, rows));
  assert.deepEqual(factors, [2, 4, undefined, undefined, 1.6, 1]);
  assert.equal(speedUp(rows[0], [rows[0]]), undefined);
});

test("a file that is no model has its reason in the table, and the others are measured", async (t) => {
  const { page } = await open(t);
  const buffer = Buffer.from("this is no model");
  await page.setInputFiles("#model-files", { name: "broken.tflite", mimeType: "", buffer });
  await measure(page);
  const [one, , broken] = await cells(page);
  assert.ok(Number(one[3]) > 0);
  assert.match(broken[3], /^MODEL_FORMAT: /);
  assert.equal(await page.locator("#status").textContent(), "Done.");
});

test("an isolated page has a line for threads: measured, or the one core that there is", async (t) => {
  const { page } = await open(t, { headers: ISOLATED });
  await measure(page);
  const { rows, crossOriginIsolated, hardwareConcurrency } = await saved(page);
  assert.equal(crossOriginIsolated, true);
  const [one, more] = rows;
  assert.equal(one.threads, 1);
  assert.equal(more.threads, Math.max(2, Math.min(4, hardwareConcurrency)));
  if (hardwareConcurrency < 2) return assert.deepEqual(more.obstacle, { reason: "oneCore" });
  assert.ok(more.networkMs > 0 && more.runs >= 2, JSON.stringify(more));
  assert.equal(more.simd, one.simd);
  assert.equal(await page.locator("#chart rect").count(), 2);
});

test("it speaks Portuguese, on a phone and in the dark", async (t) => {
  const { page } = await open(t, { locale: "pt-BR", viewport: PHONE, colorScheme: "dark" });
  assert.equal(await page.locator("h1").textContent(), "Qual é a velocidade deste navegador?");
  await measure(page);
  const [one, more] = await cells(page);
  assert.match(one[3], /^\d+,\d$/);
  assert.match(more[3], /não envia os cabeçalhos/);
  const wide = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  assert.equal(wide, 0);
  // Each number stands in the window, with what it is.
  const table = page.locator(".scroll");
  assert.ok(await table.evaluate((box) => box.scrollWidth <= box.clientWidth));
  const label = await page
    .locator("#rows td")
    .nth(2)
    .evaluate((cell) => getComputedStyle(cell, "::before").content);
  assert.equal(label, '"Rede, ms"');
  await screenshot(page, "bench-phone");
  await page.click('[data-language="en"]');
  assert.match((await cells(page))[1][3], /does not send/);
  assert.equal(await page.locator("#status").textContent(), "Done.");
});

test("the demo page leads to it and back", async (t) => {
  const { page, server } = await open(t);
  await page.click('footer a[href="./index.html"]');
  await page.click('footer a[href="./bench.html"]');
  assert.equal(page.url(), `${server.url}/bench.html`);
  assert.equal(await page.locator("h1").textContent(), "How fast is this browser?");
});
