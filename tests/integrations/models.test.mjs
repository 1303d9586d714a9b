// `import { Name } from "./model.tflite?model"` in builds of Vite and webpack, opened in Chromium.
import assert from "node:assert/strict";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { launch, startServer } from "../browser/support.mjs";
import { answerOf, project, repository, run } from "../packaging/support.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const MAIN = `import { EfficientnetLite0 } from "./efficientnet-lite0.tflite?model";
import { picture } from "./picture.js";
EfficientnetLite0.newInstance({ maxResults: 5 })
  .then(async (model) => {
    const { probability } = await model.process({ image: picture() });
    await model.close();
    globalThis.answer = { categories: probability };
  })
  .catch((error) => (globalThis.answer = { error: String(error) }));
`;

/** A project whose script takes a model as a module. */
async function withModel(t, template) {
  const folder = await project(t, template);
  const model = path.join(repository, "models/efficientnet-lite0-int8.tflite");
  await copyFile(model, path.join(folder, "efficientnet-lite0.tflite"));
  await writeFile(path.join(folder, "main.js"), MAIN);
  return folder;
}

async function check(t, folder) {
  const server = await startServer({ root: path.join(folder, "dist") });
  t.after(() => server.close());
  const { error, categories, failures } = await answerOf(browser, `${server.url}/index.html`);
  assert.equal(error, undefined);
  assert.deepEqual(failures, []);
  assert.deepEqual(categories, JSON.parse(await run("node", ["classify.mjs"], folder)));
}

test("Vite", async (t) => {
  const folder = await withModel(t, "vite");
  const config = 'import achado from "achado/vite";\nexport default { plugins: [achado()] };\n';
  await writeFile(path.join(folder, "vite.config.mjs"), config);
  await run("npx", ["--no-install", "vite", "build", "--base=./"], folder);
  await check(t, folder);
  const types = await readFile(path.join(folder, "efficientnet-lite0.tflite.d.ts"), "utf8");
  assert.match(types, /declare module "\*\/efficientnet-lite0\.tflite\?model"/);
});

test("webpack", async (t) => {
  const folder = await withModel(t, "webpack");
  const build = path.join(folder, "build.mjs");
  const rules = `module: { rules: [{ resourceQuery: /^\\?model$/, type: "javascript/auto", use: "achado/webpack" }] },`;
  const text = await readFile(build, "utf8");
  await writeFile(build, text.replace("mode:", `${rules}\n  mode:`));
  await run("node", ["build.mjs"], folder);
  await check(t, folder);
});
