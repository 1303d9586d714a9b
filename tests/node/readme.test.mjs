// The README is true: each snippet passes TypeScript at its strictest, in a project of a user, and so
// does the code that the demo page shows.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { transform } from "esbuild";

const repository = fileURLToPath(new URL("../../", import.meta.url));
const readme = await readFile(path.join(repository, "README.md"), "utf8");

/** What `npm create vite` and careful people set, and nothing that would excuse us. */
const OPTIONS = {
  target: "es2022",
  module: "esnext",
  moduleResolution: "bundler",
  moduleDetection: "force",
  lib: ["es2022", "dom", "dom.iterable"],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noUnusedLocals: true,
  noUnusedParameters: true,
  verbatimModuleSyntax: true,
  skipLibCheck: false,
  types: [],
  noEmit: true,
};

let folder;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "achado-readme-"));
  await mkdir(path.join(folder, "node_modules"));
  await symlink(path.join(repository, "pkg"), path.join(folder, "node_modules/achado"));
});
after(() => rm(folder, { recursive: true, force: true }));

/** What TypeScript says of these sources; empty if nothing is wrong. */
async function complaints(sources) {
  for (const [index, source] of sources.entries()) {
    await writeFile(path.join(folder, `snippet-${index}.ts`), source);
  }
  const files = sources.map((_, index) => `snippet-${index}.ts`);
  const config = { compilerOptions: OPTIONS, files };
  await writeFile(path.join(folder, "tsconfig.json"), JSON.stringify(config));
  const tsc = path.join(repository, "node_modules/typescript/bin/tsc");
  const { stdout } = await promisify(execFile)(process.execPath, [tsc, "-p", folder], {
    cwd: folder,
  }).catch((error) => error);
  return stdout;
}

test("each snippet of the README passes strict TypeScript", async () => {
  const snippets = [...readme.matchAll(/^```(ts|js|tsx|jsx)\n(.*?)^```$/gms)];
  assert.ok(snippets.length >= 10, `${snippets.length} snippets`);
  for (const [whole, language] of snippets) assert.equal(language, "ts", whole);
  assert.equal(await complaints(snippets.map(([, , source]) => source)), "");
});

test("the first snippet is short, and has no await that older targets refuse", async () => {
  const [, first] = /^```ts\n(.*?)^```$/ms.exec(readme);
  assert.ok(first.trim().split("\n").filter(Boolean).length <= 10, first);
  // Vite 5 and 6 build for browsers without it.
  const { code } = await transform(first, { loader: "ts", target: ["es2020", "chrome87"] });
  assert.match(code, /createClassifier/);
});

test("the README names every error code, and what it links to is there", async () => {
  const types = await readFile(path.join(repository, "src/js/errors.ts"), "utf8");
  const codes = [...types.matchAll(/^ {2}\| "([A-Z_]+)"/gm)].map(([, code]) => code);
  assert.ok(codes.length > 15);
  for (const code of codes) assert.ok(readme.includes(`\`${code}\``), code);
  for (const [, target] of readme.matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
    if (target.startsWith("#")) {
      const slug = (title) => title.toLowerCase().replaceAll(" ", "-");
      const titles = [...readme.matchAll(/^#+ (.*)$/gm)].map(([, title]) => slug(title));
      assert.ok(titles.includes(target.slice(1)), target);
    } else {
      await readFile(path.join(repository, target));
    }
  }
});

test("the code that the demo page shows passes strict TypeScript, whatever it shows", async () => {
  const source = await readFile(path.join(repository, "www/src/code.ts"), "utf8");
  const { code } = await transform(source, { loader: "ts" });
  const { codeFor } = await import(`data:text/javascript,${encodeURIComponent(code)}`);
  const region = { left: 0.25, top: 0.123456, right: 0.75, bottom: 1 };
  const picture = { kind: "picture", name: './a "quoted" name.jpg' };
  const camera = { kind: "camera", maxFps: 8, smoothing: 0.6 };
  const shown = [
    { source: picture, options: { maxResults: 5 } },
    { source: picture, options: {}, region },
    { source: camera, options: { maxResults: 5 }, mirror: true, region },
    {
      source: camera,
      model: "mine.onnx",
      labels: "names.txt",
      options: { preprocess: { preset: "imagenet", fit: "centerCrop" }, activation: "softmax" },
    },
    {
      source: picture,
      model: "it's mine.tflite",
      options: { preprocess: { mean: [1, 2, 3], std: [0.5], channels: "BGR" }, maxResults: 5 },
    },
  ].map((one) => codeFor({ mirror: false, ...one }));
  assert.match(
    shown[1],
    /regionOfInterest: \{ left: 0\.25, top: 0\.123, right: 0\.75, bottom: 1 \}/,
  );
  assert.equal(await complaints(shown), "");
});
