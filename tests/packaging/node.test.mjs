// The packed package in plain Node and TypeScript projects.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { project, repository, run, tarball } from "./support.mjs";

test("the tarball holds what the manifest names, and nothing private", async () => {
  const { files } = await tarball();
  const paths = new Set(files.map((file) => file.path));
  const manifest = JSON.parse(await readFile(path.join(repository, "pkg/package.json"), "utf8"));
  const { "./*.wasm": wasm, "./models/*": models, ...exact } = manifest.exports;
  assert.equal(wasm, "./dist/*.wasm");
  assert.equal(models, "./models/*");
  const leaves = (one) => (typeof one === "string" ? [one] : Object.values(one).flatMap(leaves));
  const named = leaves(exact);
  named.push(
    manifest.main,
    manifest.module,
    manifest.browser,
    manifest.types,
    ...Object.values(manifest.bin),
  );
  for (const name of named) assert.ok(paths.has(path.normalize(name)), `${name} is missing`);
  for (const name of [
    "README.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "dist/simd128.wasm",
    "dist/onnx.wasm",
    "dist/tract.wasm",
  ]) {
    assert.ok(paths.has(name), `${name} is missing`);
  }
  for (const name of paths) assert.doesNotMatch(name, /generated|(?<!\.d)\.c?ts$|\.gitignore/);
  const program = files.find((file) => file.path === "bin/achado.js");
  assert.equal(program.mode & 0o111, 0o111, "bin/achado.js is not executable");
  assert.equal(manifest.dependencies, undefined);
});

test("no file of the package names the machine that built it", async () => {
  const { files } = await tarball();
  const home = process.env.HOME ?? "/root";
  for (const { path: name } of files) {
    const bytes = await readFile(path.join(repository, "pkg", name));
    for (const folder of [repository, `${home}/.cargo`, `${home}/.rustup`]) {
      assert.ok(!bytes.includes(folder), `${name} holds the path ${folder}`);
    }
  }
});

test("a Node project imports, requires and runs it", async (t) => {
  const folder = await project(t);
  const categories = JSON.parse(await run("node", ["classify.mjs"], folder));
  assert.equal(categories.length, 5);
  for (const { score, categoryName } of categories) {
    assert.ok(score > 0 && score <= 1, `score ${score}`);
    assert.notEqual(categoryName, "");
  }
  await writeFile(
    path.join(folder, "required.cjs"),
    'const { AchadoError } = require("achado");\nconsole.log(AchadoError.name);\n',
  );
  assert.equal(await run("node", ["required.cjs"], folder), "AchadoError\n");
  const manifest = JSON.parse(await readFile(path.join(repository, "pkg/package.json"), "utf8"));
  const version = await run("npx", ["--no-install", "achado", "--version"], folder);
  assert.match(version, new RegExp(manifest.version.replaceAll(".", "\\.")));
});

test("the browser's entry can be imported where there is no browser", async (t) => {
  const folder = await project(t);
  const script =
    'import("achado").then(({ createClassifier }) => console.log(typeof createClassifier))';
  const output = await run("node", ["--conditions=browser", "--eval", script], folder);
  assert.equal(output, "function\n");
});

/** What the README begins with, in a project with the usual options. */
const FIRST = `import { createClassifier } from "achado";

const classifier = await createClassifier({ model: "model.tflite" });
const { top } = await classifier.classify("photo.jpg");
if (top) console.log(top.categoryName, top.score);
await classifier.close();
`;

test("the first snippet compiles strictly, with a library of 2022 and all checks", async (t) => {
  const folder = await project(t);
  await writeFile(path.join(folder, "package.json"), '{ "type": "module" }\n');
  await writeFile(path.join(folder, "first.ts"), FIRST);
  await writeFile(
    path.join(folder, "entries.ts"),
    `import * as lite from "achado/lite";
import { defaultModel } from "achado/model";
import { onnx } from "achado/onnx";
import { createModel, setAssets } from "achado/static";
import { tract } from "achado/tract";
import plugin from "achado/vite";
setAssets({ ...onnx, ...tract, "relaxed.wasm": new Uint8Array(8) });
export const model = lite.createModel({ model: defaultModel, assets: onnx });
export const classifier = lite.createClassifier({ model: "m.onnx", assets: "/achado/" });
export const named: string = plugin().name;
export const other = createModel();
`,
  );
  const options = {
    strict: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
    target: "es2022",
    lib: ["es2022", "dom"],
    types: [],
    module: "esnext",
    moduleResolution: "bundler",
  };
  const config = { compilerOptions: options, files: ["first.ts", "entries.ts"] };
  await writeFile(path.join(folder, "tsconfig.json"), JSON.stringify(config));
  const tsc = path.join(repository, "node_modules/typescript/bin/tsc");
  await run("node", [tsc, "-p", folder], folder);
});

for (const [module, moduleResolution] of [
  ["esnext", "bundler"],
  ["nodenext", "nodenext"],
]) {
  test(`strict TypeScript projects see the types (${moduleResolution})`, async (t) => {
    const folder = await project(t);
    await writeFile(path.join(folder, "package.json"), '{ "type": "module" }\n');
    await writeFile(
      path.join(folder, "user.ts"),
      `import {
  AchadoError,
  cosineSimilarity,
  createClassifier,
  createModel,
  dequantize,
  type Category,
  type ImageModel,
  type Tensor,
} from "achado";
export async function best(image: ImageData): Promise<Category | null> {
  await using classifier = await createClassifier({ maxResults: 1 });
  try {
    return (await classifier.classify(image)).top;
  } catch (error) {
    if (error instanceof AchadoError && error.code === "CLOSED") return null;
    throw error;
  }
}
export async function boxes(model: ImageModel, image: ImageData): Promise<Float32Array> {
  const outputs: Record<string, Tensor> = await model.runImage(image, { mirror: true });
  const [first] = Object.values(outputs);
  return first ? dequantize(first) : new Float32Array();
}
export async function likeness(a: ImageData, b: ImageData): Promise<number> {
  await using model = await createModel({ inputShapes: { image: [1, 8, 8, 3] } });
  await model.run({ image: new Float32Array(192), ids: new BigInt64Array(1) });
  const bytes: Int8Array = await model.embed(a, { l2Normalize: true, quantize: true });
  const floats: Float32Array = await model.embed(b);
  return cosineSimilarity(bytes, floats);
}
await createClassifier({ activation: "sigmoid", heads: ["kind"], batchSize: 4 });
// @ts-expect-error: there are three activations
createClassifier({ activation: "relu" });
// @ts-expect-error: tensors are typed arrays
createModel().then((model) => model.run({ image: [1, 2, 3] }));
// @ts-expect-error: a threshold is a number
createClassifier({ scoreThreshold: "high" });
`,
    );
    await writeFile(
      path.join(folder, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          exactOptionalPropertyTypes: true,
          skipLibCheck: false,
          noEmit: true,
          target: "es2022",
          lib: ["es2023", "dom", "dom.iterable", "dom.asynciterable", "esnext.disposable"],
          types: [],
          module,
          moduleResolution,
        },
        files: ["user.ts"],
      }),
    );
    const tsc = path.join(repository, "node_modules/typescript/bin/tsc");
    await run("node", [tsc, "-p", folder], folder);
  });
}
