// The test support itself: if these fail, no other browser test means anything.
import assert from "node:assert/strict";
import { mkdtemp, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { before, test } from "node:test";
import { cameraFromPicture, ISOLATED, launch, startServer } from "./support.mjs";

let root;
before(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "achado-support-"));
  await writeFile(path.join(root, "index.html"), "<!doctype html><title>support</title>");
  await writeFile(path.join(root, "empty.wasm"), Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));
});

test("the server gives MIME types, overrides and nothing outside its folder", async (t) => {
  const overrides = { "/gone.wasm": { status: 404, body: "gone" } };
  const server = await startServer({ root, overrides });
  t.after(() => server.close());
  const wasm = await fetch(`${server.url}/empty.wasm`);
  assert.equal(wasm.headers.get("content-type"), "application/wasm");
  assert.equal((await wasm.arrayBuffer()).byteLength, 8);
  assert.equal((await fetch(`${server.url}/gone.wasm`)).status, 404);
  assert.equal((await fetch(`${server.url}/nothing.js`)).status, 404);
  const outside = await fetch(`${server.url}/%2e%2e/%2e%2e/etc/passwd`);
  assert.ok([403, 404].includes(outside.status), `status ${outside.status}`);
  assert.deepEqual(server.requests[1], { method: "GET", path: "/gone.wasm", status: 404 });
});

test("Chromium starts, sees isolation headers and plays the fake camera", async (t) => {
  const server = await startServer({ root, headers: ISOLATED });
  t.after(() => server.close());

  // The picture is drawn by the browser itself, so that no fixture is needed.
  const painter = await launch();
  const canvasPage = await painter.newPage();
  await canvasPage.goto(server.url);
  assert.equal(await canvasPage.evaluate(() => crossOriginIsolated), true);
  const base64 = await canvasPage.evaluate(async () => {
    const canvas = new OffscreenCanvas(320, 240);
    const context = canvas.getContext("2d");
    context.fillStyle = "rgb(200, 30, 40)";
    context.fillRect(0, 0, 320, 240);
    const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
    const bytes = new Uint8Array(await blob.arrayBuffer());
    return btoa(String.fromCharCode(...bytes));
  });
  await painter.close();
  const picture = path.join(root, "red.jpg");
  await writeFile(picture, Buffer.from(base64, "base64"));

  const browser = await launch({ camera: await cameraFromPicture(picture) });
  t.after(() => browser.close());
  const page = await browser.newPage();
  await page.goto(server.url);
  const pixel = await page.evaluate(async () => {
    const stream = await navigator.mediaDevices.getUserMedia({ video: true });
    const video = document.createElement("video");
    video.muted = true;
    video.srcObject = stream;
    await video.play();
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0);
    const at = context.getImageData(video.videoWidth >> 1, video.videoHeight >> 1, 1, 1).data;
    for (const track of stream.getTracks()) track.stop();
    return [...at];
  });
  assert.ok(pixel[0] > 150 && pixel[1] < 90 && pixel[2] < 90, `camera shows ${pixel}`);
});
