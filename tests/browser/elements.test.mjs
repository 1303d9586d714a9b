// `<achado-image>` and `<achado-camera>` by one script tag from a folder on a static server, under a
// strict Content-Security-Policy with Trusted Types.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { cameraFromPicture, launch, PACKAGE, startServer } from "./support.mjs";

const PHOTOS = new URL("../fixtures/photos/", import.meta.url);

const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "style-src 'none'",
  "media-src 'self'",
  "require-trusted-types-for 'script'",
  "trusted-types achado achado-elements",
].join("; ");

const html = (body) => `<!doctype html><html lang="en"><title>elements</title>
<script type="module" src="/dist/elements.js"></script><body>${body}`;

let browser;
let server;
before(async () => {
  const page = (body) => ({
    headers: { "Content-Type": "text/html", "Content-Security-Policy": POLICY },
    body: html(body),
  });
  server = await startServer({
    root: PACKAGE,
    mounts: { "/photos/": PHOTOS },
    overrides: {
      "/favicon.ico": { status: 204 },
      "/image": page(`<achado-image src="/photos/cat.jpg" alt="a cat"></achado-image>
        <achado-image max-results="1"><img src="/photos/coffee.jpg"></achado-image>`),
      "/faults": page(`<achado-image src="/photos/cat.jpg" model="/nothing.tflite"></achado-image>
        <achado-image src="/photos/nothing.jpg"></achado-image>
        <achado-image src="/photos/cat.jpg" max-results="many"></achado-image>`),
      "/camera": page(
        `<achado-camera max-results="2" mirror><b slot="start">Go</b></achado-camera>`,
      ),
    },
  });
  browser = await launch({ camera: await cameraFromPicture(new URL("coffee.jpg", PHOTOS)) });
});
after(async () => {
  await browser.close();
  await server.close();
});

/** Chromium's word of the first way in which a worker is started, before the policy's. */
const FIRST_WAY = /requires 'TrustedScriptURL' assignment/;

/** A page with the elements; whatever it complains of fails the test. */
async function open(t, path, { quiet = [], permissions = [] } = {}) {
  const context = await browser.newContext({ permissions });
  t.after(() => context.close());
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && ![FIRST_WAY, ...quiet].some((one) => one.test(text)))
      complaints.push(text);
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  t.after(() => assert.deepEqual(complaints, []));
  await page.goto(server.url + path);
  return page;
}

const settled = (page, selector) =>
  page.waitForSelector(`${selector}[state="ready"], ${selector}[state="error"]`);
const textOf = (page, selector, part) =>
  page.$eval(
    selector,
    (element, part) =>
      [...element.shadowRoot.querySelectorAll(`[part="${part}"]`)].map((one) => one.textContent),
    part,
  );

test("<achado-image> names the picture of src and the one inside, by one model", async (t) => {
  const page = await open(t, "/image");
  await settled(page, "achado-image:first-child");
  await settled(page, "achado-image:last-child");
  const names = await textOf(page, "achado-image:first-child", "name");
  assert.equal(names.length, 3);
  assert.equal(names[0], "Egyptian cat");
  const [score] = await textOf(page, "achado-image:first-child", "score");
  const [of, index] = await page.$eval("achado-image", ({ result }) => [
    result.top.score,
    result.top.index,
  ]);
  assert.equal(score, `${Math.round(100 * of)}%`);
  assert.equal(index, 285);
  assert.deepEqual(await textOf(page, "achado-image:last-child", "name"), ["espresso"]);

  // Another picture in either way, and events.
  const top = await page.$eval("achado-image:first-child", (element) => {
    const told = new Promise((resolve) =>
      element.addEventListener("result", ({ detail }) => resolve(detail.top.categoryName), {
        once: true,
      }),
    );
    element.setAttribute("src", "/photos/coffee.jpg");
    return told;
  });
  assert.equal(top, "espresso");
  const inside = await page.$eval("achado-image:last-child", (element) => {
    const told = new Promise((resolve) =>
      element.addEventListener("result", ({ detail }) => resolve(detail.top.categoryName)),
    );
    element.querySelector("img").src = "/photos/cat.jpg";
    return told;
  });
  assert.equal(inside, "Egyptian cat");

  // Gone with the elements.
  assert.equal(page.workers().length, 2, "a model for each number of results");
  await page.evaluate(() => document.body.replaceChildren());
  for (let i = 0; i < 100 && page.workers().length > 0; i++) await page.waitForTimeout(100);
  assert.equal(page.workers().length, 0);
});

test("<achado-image> says what is wrong", async (t) => {
  const page = await open(t, "/faults", { quiet: [/404/] });
  for (const [position, code, words] of [
    [1, "MODEL_FETCH", /nothing\.tflite/],
    [2, "INPUT_NOT_READY|INVALID_INPUT", /./],
    [3, "INVALID_OPTION", /max-results: must be a number, is "many"/],
  ]) {
    const selector = `achado-image:nth-child(${position})`;
    await page.waitForSelector(`${selector}[state="error"]`);
    const [text] = await textOf(page, selector, "error");
    assert.match(text, words);
    const again = await page.$eval(selector, (element) => {
      const told = new Promise((resolve) =>
        element.addEventListener("error", ({ detail }) => resolve(detail.code)),
      );
      element.classify();
      return told;
    });
    assert.match(again, new RegExp(code));
  }
});

test("<achado-camera> starts by its button, names what it sees and stops", async (t) => {
  const page = await open(t, "/camera");
  const camera = page.locator("achado-camera");
  await camera.locator("[part=start]").click();
  await settled(page, "achado-camera");
  const names = await textOf(page, "achado-camera", "name");
  assert.equal(names.length, 2);
  assert.equal(names[0], "espresso");
  const mirrored = await camera
    .locator("video")
    .evaluate((video) => getComputedStyle(video).transform);
  assert.equal(mirrored, "matrix(-1, 0, 0, 1, 0, 0)");
  const track = await camera
    .locator("video")
    .evaluateHandle((video) => video.srcObject.getTracks()[0]);
  await camera.locator("[part=stop]").click();
  await page.waitForSelector('achado-camera[state="idle"]');
  assert.equal(await track.evaluate(({ readyState }) => readyState), "ended");
  assert.deepEqual(await textOf(page, "achado-camera", "name"), []);
});

test("<achado-camera> starts by itself where the camera is allowed; it stops when it is taken away", async (t) => {
  const page = await open(t, "/camera", { permissions: ["camera"] });
  await page.waitForSelector('achado-camera[state="ready"]');
  const track = await page.evaluateHandle(
    () =>
      document
        .querySelector("achado-camera")
        .shadowRoot.querySelector("video")
        .srcObject.getTracks()[0],
  );
  // Elsewhere in the document it goes on.
  await page.evaluate(() => {
    const place = document.body.appendChild(document.createElement("main"));
    place.append(document.querySelector("achado-camera"));
  });
  assert.equal(await track.evaluate(({ readyState }) => readyState), "live");
  await page.evaluate(() => document.querySelector("achado-camera").remove());
  for (let i = 0; i < 100; i++) {
    if ((await track.evaluate(({ readyState }) => readyState)) === "ended") break;
    await page.waitForTimeout(50);
  }
  assert.equal(await track.evaluate(({ readyState }) => readyState), "ended");
});
