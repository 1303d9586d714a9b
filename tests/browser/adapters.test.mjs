// The examples of achado/react, achado/vue and achado/svelte, bundled and opened in Chromium.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { compile } from "svelte/compiler";
import { compileScript, parse } from "vue/compiler-sfc";
import { cameraFromPicture, launch, PACKAGE, REPOSITORY, startServer } from "./support.mjs";

const repository = fileURLToPath(REPOSITORY);
const photo = (name) => path.join(repository, "tests/fixtures/photos", name);
const MODEL = "/models/efficientnet-lite0-int8.tflite";

const HTML = `<!doctype html><html lang="en"><title>adapter</title><link rel="icon" href="data:," />
<script type="importmap">{ "imports": { "achado": "/dist/index.js" } }</script>
<div id="app"></div><script type="module" src="./app.js"></script>`;

/** Components of Vue and Svelte, as their own tools compile them. */
const COMPONENTS = {
  name: "components",
  setup({ onLoad }) {
    onLoad({ filter: /\.vue$/ }, async ({ path: file }) => {
      const { descriptor } = parse(await readFile(file, "utf8"), { filename: file });
      const { content } = compileScript(descriptor, { id: "app", inlineTemplate: true });
      return { contents: content, loader: "ts" };
    });
    onLoad({ filter: /\.svelte$/ }, async ({ path: file }) => {
      const { js, warnings } = compile(await readFile(file, "utf8"), { filename: file });
      assert.deepEqual(warnings, []);
      return { contents: js.code, loader: "js" };
    });
  },
};

/** An example as one script; achado itself is the package's. */
async function bundled(name, main) {
  const { outputFiles } = await build({
    absWorkingDir: repository,
    entryPoints: [`examples/${name}/src/${main}`],
    bundle: true,
    write: false,
    format: "esm",
    jsx: "automatic",
    target: "es2022",
    conditions: ["browser", "production"],
    define: {
      "process.env.NODE_ENV": '"development"',
      __VUE_OPTIONS_API__: "true",
      __VUE_PROD_DEVTOOLS__: "false",
      __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false",
    },
    alias: { [`achado/${name}`]: `./pkg/dist/${name}.js` },
    external: ["achado"],
    plugins: [COMPONENTS],
    logLevel: "error",
  });
  return outputFiles[0].text;
}

let browser;
let server;
const overrides = {};
before(async () => {
  server = await startServer({ root: PACKAGE, overrides });
  browser = await launch({ camera: await cameraFromPicture(photo("coffee.jpg")) });
});
after(async () => {
  await browser?.close();
  await server?.close();
});

for (const [name, main] of [
  ["react", "main.tsx"],
  ["vue", "main.js"],
  ["svelte", "main.js"],
]) {
  test(`achado/${name}: picture, camera, an error and another try`, async (t) => {
    overrides[`/${name}/`] = { headers: { "Content-Type": "text/html" }, body: HTML };
    const body = await bundled(name, main);
    overrides[`/${name}/app.js`] = { headers: { "Content-Type": "text/javascript" }, body };
    const context = await browser.newContext({ permissions: ["camera"] });
    t.after(() => context.close());
    const page = await context.newPage();
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "warning") complaints.push(message.text());
    });

    // The model is not there at first.
    overrides[MODEL] = { status: 503 };
    await page.goto(`${server.url}/${name}/`);
    const again = page.locator("[role=alert] button");
    await again.first().waitFor();
    assert.match(await page.locator("[role=alert]").first().textContent(), /503/);
    delete overrides[MODEL];
    // React's example has two users of the model.
    await page.waitForTimeout(name === "react" ? 1200 : 0);
    while ((await again.count()) > 0) await again.first().click();

    await page.locator("input").setInputFiles(photo("cat.jpg"));
    const label = (section) => page.locator(`#${section} li`).first();
    await page.locator("#picture li").nth(2).waitFor();
    assert.match(await label("picture").textContent(), /Egyptian cat/);
    assert.equal(page.workers().length, 1, "components with equal options share a model");

    await page.locator("#camera button").click();
    await label("camera").waitFor();
    assert.match(await label("camera").textContent(), /espresso/);
    const track = await page
      .locator("video")
      .evaluateHandle((video) => video.srcObject.getTracks()[0]);
    assert.equal(await track.evaluate(({ readyState }) => readyState), "live");
    await page.locator("#camera button").click();
    await page.waitForFunction((track) => track.readyState === "ended", track);
    assert.deepEqual(complaints, []);
  });
}

test("React: a component that goes frees its model, in strict mode, too", async (t) => {
  const { outputFiles } = await build({
    absWorkingDir: repository,
    stdin: {
      resolveDir: repository,
      loader: "tsx",
      contents: `import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { useClassifier } from "achado/react";
function One({ top }) {
  const { status } = useClassifier({ maxResults: top });
  return <p>{status} {top}</p>;
}
const root = createRoot(document.getElementById("app"));
globalThis.show = (tops) => root.render(<StrictMode>{tops.map((top) => <One key={top} top={top} />)}</StrictMode>);
globalThis.change = (top) => root.render(<StrictMode><One key="one" top={top} /></StrictMode>);
`,
    },
    bundle: true,
    write: false,
    format: "esm",
    jsx: "automatic",
    define: { "process.env.NODE_ENV": '"development"' },
    alias: { "achado/react": "./pkg/dist/react.js" },
    external: ["achado"],
  });
  overrides["/strict/"] = { headers: { "Content-Type": "text/html" }, body: HTML };
  overrides["/strict/app.js"] = {
    headers: { "Content-Type": "text/javascript" },
    body: outputFiles[0].text,
  };
  const page = await browser.newPage();
  t.after(() => page.close());
  await page.goto(`${server.url}/strict/`);
  await page.waitForFunction(() => globalThis.show);
  await page.evaluate(() => globalThis.show([1]));
  await page.getByText("ready 1").waitFor();
  assert.equal(page.workers().length, 1);
  // Other options are another model; the former answer is not taken for it.
  await page.evaluate(() => globalThis.change(1));
  await page.getByText("ready 1").waitFor();
  const seen = await page.evaluateHandle(() => {
    const texts = [];
    const note = () => texts.push(document.querySelector("p").textContent);
    new MutationObserver(note).observe(document.body, { subtree: true, characterData: true });
    globalThis.change(2);
    return texts;
  });
  await page.getByText("ready 2").waitFor();
  assert.equal((await seen.jsonValue())[0], "loading 2");
  await page.evaluate(() => globalThis.show([]));
  for (let i = 0; i < 100 && page.workers().length > 0; i++) await page.waitForTimeout(50);
  assert.equal(page.workers().length, 0);
});
