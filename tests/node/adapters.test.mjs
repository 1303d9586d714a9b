// The types of achado/react, achado/vue, achado/svelte, achado/simple and achado/elements at TypeScript's
// strictest, and what they do where there is no document.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

const repository = fileURLToPath(new URL("../../", import.meta.url));

let folder;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "achado-adapters-"));
  await mkdir(path.join(folder, "node_modules"));
  const link = (from, name) => symlink(from, path.join(folder, "node_modules", name));
  await link(path.join(repository, "pkg"), "achado");
  for (const name of ["react", "react-dom", "vue", "svelte", "@types"]) {
    await link(path.join(repository, "node_modules", name), name);
  }
  await writeFile(path.join(folder, "package.json"), '{ "type": "module" }\n');
});
after(() => rm(folder, { recursive: true, force: true }));

const USE = `import type { Category, ImageClassifier } from "achado";
import { AchadoCamera, AchadoImage } from "achado/elements";
import { imageSimilarity, labelImage } from "achado/simple";
import { useCamera, useClassifier } from "achado/svelte";
import { useCamera as camera, useClassifier as classifier } from "achado/vue";
export const model = useClassifier({ maxResults: 3 });
export const stream = useCamera(model, { maxFps: 8 });
model.subscribe((state) => {
  if (state.status === "ready") void state.classifier.classify(new Blob());
  // @ts-expect-error: there is none until it is ready
  else state.classifier.classify(new Blob());
});
export function setup() {
  const { state, retry } = classifier(() => ({ model: "/m.tflite" }));
  const { video } = camera(() => state.value.classifier, { enabled: false });
  return { state, retry, video };
}
const image = document.querySelector("achado-image");
image?.addEventListener("result", ({ detail }) => console.log(detail.top?.score));
export const both: [AchadoImage | null, AchadoCamera] = [image, document.createElement("achado-camera")];
export const labels: Promise<Category[]> = labelImage(new Blob(), { scoreThreshold: 0.3 });
export const near: Promise<number> = imageSimilarity("a.jpg", "b.jpg");
export type Same = ImageClassifier;
// @ts-expect-error: a component's progress is in its state
useClassifier({ onProgress: () => {} });
`;

test("types", async () => {
  await cp(path.join(repository, "examples/react/src"), folder, { recursive: true });
  await writeFile(path.join(folder, "use.ts"), USE);
  const compilerOptions = {
    target: "es2022",
    module: "esnext",
    moduleResolution: "bundler",
    lib: ["es2022", "dom", "dom.iterable"],
    jsx: "react-jsx",
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noUnusedLocals: true,
    // Vue's own declarations do not pass.
    skipLibCheck: true,
    types: [],
    paths: { "react-dom/client": ["./react-dom.d.ts"] },
    noEmit: true,
  };
  const client = "export function createRoot(at: Element): { render(node: unknown): void };\n";
  await writeFile(path.join(folder, "react-dom.d.ts"), client);
  const files = ["use.ts", "main.tsx"];
  await writeFile(path.join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
  const tsc = path.join(repository, "node_modules/typescript/bin/tsc");
  const run = promisify(execFile)(process.execPath, [tsc, "-p", folder], { cwd: folder });
  assert.equal((await run.catch((error) => error)).stdout, "");
});

test("on a server nothing is opened: components say that they load", async () => {
  const script = path.join(folder, "server.mjs");
  await writeFile(
    script,
    `import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { createSSRApp, h } from "vue";
import { renderToString as renderVue } from "vue/server-renderer";
import * as react from "achado/react";
import * as svelte from "achado/svelte";
import * as vue from "achado/vue";
const One = () => {
  const { status } = react.useClassifier();
  const { status: camera } = react.useCamera(undefined);
  return createElement("p", null, status, " ", camera);
};
const Two = { setup: () => { const { state } = vue.useClassifier(); return () => h("p", state.value.status); } };
let read;
svelte.useClassifier().subscribe((state) => (read = state.status))();
export const rendered = [renderToString(createElement(One)), await renderVue(createSSRApp(Two)), read];
`,
  );
  const { rendered } = await import(pathToFileURL(script));
  assert.deepEqual(rendered, ["<p>loading<!-- --> <!-- -->off</p>", "<p>loading</p>", "loading"]);
});
