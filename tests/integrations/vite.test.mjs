// The packed package in other versions of Vite, their configuration untouched. Not of every run:
// `cargo xtask test --only integrations` installs them.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { after, before, test } from "node:test";
import { launch } from "../browser/support.mjs";
import { answerOf, project, run, tarball } from "../packaging/support.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

for (const version of ["5.4.21", "6.4.6", "7.3.8"]) {
  test(`the development server of Vite ${version}, untouched`, async (t) => {
    const folder = await project(t);
    const flags = ["--no-save", "--no-audit", "--no-fund"];
    await run("npm", ["install", ...flags, `vite@${version}`, (await tarball()).file], folder);
    const port = String(await freePort());
    const vite = spawn(
      process.execPath,
      ["node_modules/vite/bin/vite.js", "--port", port, "--strictPort", "--host=127.0.0.1"],
      { cwd: folder, stdio: ["ignore", "pipe", "inherit"] },
    );
    t.after(() => vite.kill());
    await new Promise((resolve, reject) => {
      vite.stdout.on("data", (text) => String(text).includes("Local") && resolve());
      vite.on("exit", (code) => reject(new Error(`vite ended with ${code}`)));
    });
    const answer = await answerOf(browser, `http://127.0.0.1:${port}/`);
    const expected = JSON.parse(await run("node", ["classify.mjs"], folder));
    assert.equal(answer.error, undefined, answer.error);
    assert.deepEqual(answer.categories, expected);
    assert.equal(answer.worker, true, JSON.stringify(answer.fallbacks));
  });
}
