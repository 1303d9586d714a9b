// What the engines are given, and what their answers are compared with.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import * as achado from "../../pkg/dist/node.js";
import { ISOLATED, PACKAGE, PAGE, startServer } from "../browser/support.mjs";
import { checks } from "./checks.mjs";

const here = fileURLToPath(new URL("./", import.meta.url));
const FIXTURES = new URL("../fixtures/", import.meta.url);

/** Drivers of browsers, which only these tests need. */
export async function driver(name) {
  const installed = `${here}node_modules/.package-lock.json`;
  if (!existsSync(installed)) {
    execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: here });
  }
  return import(name);
}

const HTML = `<!doctype html><title>engine</title><link rel="icon" href="data:," />
<script type="module" src="/engines/page.mjs"></script>`;

/** A server with the checks at `/check`; `isolated` pages may have threads. */
export function checkServer(isolated) {
  return startServer({
    root: PACKAGE,
    headers: isolated ? { ...ISOLATED, "Cross-Origin-Resource-Policy": "same-origin" } : {},
    mounts: { "/fixtures/": FIXTURES, "/engines/": new URL("./", import.meta.url) },
    overrides: {
      "/fixtures/": { headers: { "Content-Type": "text/html" }, body: "<!doctype html>" },
      "/check": { headers: { "Content-Type": "text/html" }, body: HTML },
    },
  });
}

export const demoServer = () => startServer({ root: PAGE });

let expected;

/** The recorded scores of TensorFlow Lite for a picture, all classes. */
function recorded(name) {
  const { output, pictures } = JSON.parse(
    readFileSync(new URL("default_model/expected.json", FIXTURES)),
  );
  const { file } = pictures[name].outputs.default;
  const bytes = readFileSync(new URL(`default_model/${file}`, FIXTURES));
  return [...bytes].map((byte) => byte * output.scale);
}

/** Asserts that an engine's answers are Node's and the recorded ones: integers are equal everywhere. */
export async function compare(text, { isolated, sharesMemory = true }) {
  const found = JSON.parse(text);
  assert.equal(found.error, undefined);
  expected ??= await checks(achado, (name) => readFile(new URL(name, FIXTURES)));
  for (const [place, worker] of [
    ["worker", true],
    ["here", false],
  ]) {
    const { runtime, embedding, ...scores } = found[place];
    const { runtime: _, embedding: wanted, ...others } = expected[place];
    assert.deepEqual(runtime, ["wasm", worker]);
    assert.deepEqual(scores, others, place);
    assert.deepEqual(scores.file, recorded("cat"), place);
    assert.equal(embedding.length, wanted.length);
    for (const [at, value] of embedding.entries()) {
      assert.ok(Math.abs(value - wanted[at]) < 1e-5, `embedding ${at}: ${value}, ${wanted[at]}`);
    }
  }
  assert.deepEqual(found.onnx, expected.onnx);
  assert.equal(found.isolated, isolated);
  assert.deepEqual(found.threads, [isolated && sharesMemory ? 2 : 1, expected.threads[1]]);
  assert.deepEqual(found.refused, [true, "MODEL_FORMAT"]);
  assert.equal(found.trained, "blue");
}
