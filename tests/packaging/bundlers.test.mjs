// The packed package in projects of Vite and webpack, opened in Chromium.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdir, rename } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";
import { launch, startServer } from "../browser/support.mjs";
import { answerOf, project, run } from "./support.mjs";

let browser;
let expected;

before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** Node's answer for the same picture: integer models agree to the last bit everywhere. */
async function check(answer, folder) {
  expected ??= JSON.parse(await run("node", ["classify.mjs"], folder));
  assert.equal(answer.error, undefined, `${answer.error}\n${answer.failures.join("\n")}`);
  assert.deepEqual(answer.categories, expected);
  assert.equal(answer.worker, true, JSON.stringify(answer.fallbacks));
  assert.deepEqual(answer.failures, []);
}

test("Vite builds it, for any folder of a server", async (t) => {
  const folder = await project(t, "vite");
  await run("npx", ["--no-install", "vite", "build", "--base=./"], folder);
  // As when somebody puts the output into a folder of a larger site.
  const site = path.join(folder, "site");
  await mkdir(site);
  await rename(path.join(folder, "dist"), path.join(site, "some folder"));
  const server = await startServer({ root: site });
  t.after(() => server.close());
  const answer = await answerOf(browser, `${server.url}/some%20folder/index.html`);
  await check(answer, folder);
  const wasm = answer.requests.filter((name) => name.endsWith(".wasm"));
  assert.equal(wasm.length, 1, `one wasm file is loaded, not ${wasm}`);
});

test("Vite's development server serves it", async (t) => {
  const folder = await project(t, "vite");
  const port = await freePort();
  const vite = spawn(
    process.execPath,
    ["node_modules/vite/bin/vite.js", "--port", String(port), "--strictPort", "--host=127.0.0.1"],
    { cwd: folder, stdio: ["ignore", "pipe", "inherit"] },
  );
  t.after(() => vite.kill());
  await new Promise((resolve, reject) => {
    vite.stdout.on("data", (text) => String(text).includes("Local") && resolve());
    vite.on("exit", (code) => reject(new Error(`vite ended with ${code}`)));
  });
  await check(await answerOf(browser, `http://127.0.0.1:${port}/`), folder);
});

test("webpack builds it", async (t) => {
  const folder = await project(t, "webpack");
  await run("node", ["build.mjs"], folder);
  const server = await startServer({ root: path.join(folder, "dist") });
  t.after(() => server.close());
  await check(await answerOf(browser, `${server.url}/`), folder);
});

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
