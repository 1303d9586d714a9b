// The examples as their readers build them: by npm and Vite, with the packed package.
import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { launch, startServer } from "../browser/support.mjs";
import { repository, run, tarball } from "../packaging/support.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

for (const name of ["react", "vue", "svelte"]) {
  test(`examples/${name}`, async (t) => {
    const folder = await mkdtemp(path.join(os.tmpdir(), "achado-example-"));
    t.after(() => rm(folder, { recursive: true, force: true }));
    await cp(path.join(repository, "examples", name), folder, { recursive: true });
    const manifest = path.join(folder, "package.json");
    const text = await readFile(manifest, "utf8");
    await writeFile(manifest, text.replace('"^0.1.0"', JSON.stringify((await tarball()).file)));
    await run("npm", ["install", "--no-audit", "--no-fund"], folder);
    await run("npm", ["run", "build", "--", "--base=./"], folder);
    const server = await startServer({ root: path.join(folder, "dist") });
    t.after(() => server.close());
    const page = await browser.newPage();
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    await page.goto(`${server.url}/`);
    const photo = path.join(repository, "tests/fixtures/photos/cat.jpg");
    await page.locator("input").setInputFiles(photo);
    const label = await page.locator("#picture li").first().textContent();
    assert.match(label, /Egyptian cat/);
    assert.deepEqual(complaints, []);
  });
}

test("examples/elements, as it lies there", async (t) => {
  const folder = path.join(repository, "examples/elements");
  const server = await startServer({
    root: folder,
    mounts: { "/node_modules/achado/": path.join(repository, "pkg/") },
  });
  t.after(() => server.close());
  const page = await browser.newPage();
  await page.goto(`${server.url}/`);
  await page.waitForSelector('achado-image[state="ready"]');
  assert.equal(
    await page.$eval("achado-image", ({ result }) => result.top.categoryName),
    "Egyptian cat",
  );
});
