// The packed package in projects of Vite, webpack and esbuild, opened in Chromium.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFile, mkdir, readdir, rename, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";
import * as esbuild from "esbuild";
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

/** Bundles a project's file by esbuild, which leaves files of packages where they are. */
function esbuilt(folder, entry, options) {
  return esbuild.build({
    absWorkingDir: folder,
    entryPoints: [entry],
    bundle: true,
    logLevel: "error",
    logOverride: { "empty-import-meta": "silent" },
    ...options,
  });
}

test("esbuild: a module and a classic script, with the files copied to a folder", async (t) => {
  const folder = await project(t);
  const site = path.join(folder, "dist");
  await writeFile(
    path.join(folder, "place.js"),
    'import { setAssets } from "achado";\nsetAssets("/achado/");\n',
  );
  await writeFile(path.join(folder, "entry.js"), 'import "./place.js";\nimport "./main.js";\n');
  const copied = await run("npx", ["--no-install", "achado", "copy", "dist/achado"], folder);
  assert.match(copied, /bytes in all/);
  const server = await startServer({ root: site });
  t.after(() => server.close());
  await copyFile(path.join(folder, "index.html"), path.join(site, "index.html"));
  const html = '<!doctype html><title>classic</title><link rel="icon" href="data:," />';
  await writeFile(path.join(site, "classic.html"), `${html}<script src="iife.js"></script>`);
  await esbuilt(folder, "entry.js", { format: "esm", outfile: "dist/main.js" });
  await esbuilt(folder, "entry.js", { format: "iife", outfile: "dist/iife.js" });
  for (const page of ["index.html", "classic.html"]) {
    const answer = await answerOf(browser, `${server.url}/${page}`);
    await check(answer, folder);
    const wasm = answer.requests.filter((name) => name.endsWith(".wasm"));
    assert.deepEqual(wasm, ["/achado/relaxed.wasm"]);
  }

  // Without the files the error says what to do.
  await esbuilt(folder, "main.js", { format: "esm", outfile: "dist/main.js" });
  const { error } = await answerOf(browser, `${server.url}/index.html`);
  assert.match(error, /BACKEND_UNAVAILABLE .*404.*npx achado copy .*setAssets/);
});

test("esbuild: CommonJS for Node finds the installed package", async (t) => {
  const folder = await project(t);
  await writeFile(
    path.join(folder, "server.js"),
    `import { createClassifier } from "achado";
import { picture } from "./picture.js";
createClassifier({ maxResults: 5, worker: false })
  .then((classifier) => classifier.classify(picture()))
  .then(({ classifications }) => console.log(JSON.stringify(classifications[0].categories)));
`,
  );
  await esbuilt(folder, "server.js", {
    platform: "node",
    format: "cjs",
    outfile: "out/server.cjs",
  });
  const answer = JSON.parse(await run("node", ["out/server.cjs"], folder));
  expected ??= JSON.parse(await run("node", ["classify.mjs"], folder));
  assert.deepEqual(answer, expected);
});

test("achado/lite: what is not imported is no part of a build, nor inlined in a library", async (t) => {
  const folder = await project(t, "vite");
  const entry = (name, text) => writeFile(path.join(folder, name), text);
  await entry(
    "lite.js",
    'export { createClassifier } from "achado/lite";\nexport { onnx } from "achado/onnx";\n',
  );
  const config = `export default { plugins: [(await import("achado/vite")).default()], base: "./",
    build: { lib: { entry: "lite.js", formats: ["es"], fileName: "lib" } } };`;
  await entry("vite.config.js", config);
  await run("npx", ["--no-install", "vite", "build"], folder);
  const files = await readdir(path.join(folder, "dist"), { recursive: true });
  const names = files.map((name) => path.basename(name));
  for (const wanted of ["relaxed.wasm", "relaxed-threads.wasm", "onnx.wasm"]) {
    assert.ok(names.includes(wanted), `${wanted} is not in the build: ${names}`);
  }
  assert.ok(!names.includes("tract.wasm") && !names.includes("decode.wasm"), String(names));
  assert.ok(!files.some((name) => name.endsWith(".tflite")));
  const { size } = await stat(path.join(folder, "dist/lib.js"));
  assert.ok(size < 200_000, `the library's script has ${size} bytes`);
});

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
