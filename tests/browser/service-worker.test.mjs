// The ready service worker of `achado/service-worker`: a site of plain files works with its server gone.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, PACKAGE, startServer } from "./support.mjs";

const PHOTOS = new URL("../fixtures/photos/", import.meta.url);
const html = (body) => ({
  headers: { "Content-Type": "text/html" },
  body: `<!doctype html><html lang="en"><title>site</title><link rel="icon" href="data:," />
<script type="module" src="/dist/elements.js"></script>${body}`,
});

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

test("after one visit pages open and classify with the network cut", async (t) => {
  const overrides = {
    "/": html('<achado-image src="/photos/cat.jpg"></achado-image>'),
    "/other.html": html('<achado-image src="/photos/coffee.jpg"></achado-image>'),
    "/offline.js": { file: new URL("dist/offline.js", PACKAGE) },
  };
  const server = await startServer({ root: PACKAGE, overrides, mounts: { "/photos/": PHOTOS } });
  let open = true;
  t.after(() => open && server.close());
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  const settled = () => page.waitForSelector('achado-image[state="ready"]');
  const top = () => page.$eval("achado-image", ({ result }) => result.top.categoryName);
  await page.goto(server.url);
  await settled();
  const kept = await page.evaluate(async () => {
    const { registerOffline } = await import("/dist/service-worker.js");
    return registerOffline("/offline.js", ["/other.html", "/photos/coffee.jpg"]);
  });
  assert.ok(kept >= 7, `${kept} files are kept`);

  // What is there is not fetched again.
  server.requests.length = 0;
  await page.reload();
  await settled();
  assert.equal(await top(), "Egyptian cat");
  const again = server.requests.map(({ path }) => path);
  assert.ok(again.includes("/"), "pages come from the network as long as it is there");
  assert.ok(!again.some((path) => path.endsWith(".wasm")), String(again));

  await context.setOffline(true);
  await server.close();
  open = false;
  await page.reload();
  await settled();
  assert.equal(await top(), "Egyptian cat");
  await page.goto(`${server.url}/other.html?from=home`);
  await settled();
  assert.equal(await top(), "espresso");
  const [name] = await page.evaluate(() => caches.keys());
  assert.match(name, /^achado-visited-\d+\.\d+\.\d+$/);
  // Of other origins nothing is kept, and what nobody has used is not there.
  const missing = await page.evaluate(() => fetch("/nothing.txt").catch((error) => error.name));
  assert.equal(missing, "TypeError");
});
