// docs/errors.md has every code with its cause, its cure and a message that is really said; every code
// has a test that provokes it.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { createClassifier, openCamera } from "../../pkg/dist/node.js";
import { createTrainer, ImageDataset } from "../../pkg/dist/maker-node.js";

const root = new URL("../../", import.meta.url);
const read = (name) => readFile(new URL(name, root), "utf8");
const fixture = (name) => new URL(`tests/fixtures/${name}`, root);

const page = await read("docs/errors.md");
const source = await read("src/js/errors.ts");
const CODES = [...source.matchAll(/^ {2}\| "([A-Z_]+)"/gm)].map(([, code]) => code);

/** What the page says of each code. */
const SECTIONS = new Map(
  page
    .split(/^### /m)
    .slice(1)
    .map((section) => [section.split("\n")[0], section]),
);
const exampleOf = (code) => /^> (.*)$/m.exec(SECTIONS.get(code))[1];

/** A message of the page, as a pattern: `…` stands for what differs. */
function patternOf(example) {
  const parts = example.split("…").map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(parts.join("[^]*"));
}

test("the page has each code once, in the order of the list, with cause and cure", () => {
  assert.deepEqual([...SECTIONS.keys()], CODES);
  for (const [code, section] of SECTIONS) {
    assert.match(section, /^\*\*Cause:\*\* ./m, code);
    assert.match(section, /^\*\*Cure:\*\* ./m, code);
  }
});

const gray = { data: new Uint8Array(16).fill(200), width: 2, height: 2 };

/** What provokes each code in Node. */
const PROVOKED = {
  MODEL_FETCH: () => createClassifier({ model: "/models/flowers.tflite" }),
  MODEL_INTEGRITY: () =>
    createClassifier({
      model: fixture("small_models/one_picture.tflite"),
      integrity: `sha256-${"A".repeat(43)}=`,
    }),
  MODEL_FORMAT: () => createClassifier({ model: new TextEncoder().encode("this is no model") }),
  UNSUPPORTED_OPERATOR: () =>
    createClassifier({ model: fixture("onnx/einsum.onnx"), preprocess: "unit" }),
  UNSUPPORTED_TYPE: () => createClassifier({ model: fixture("small_models/tensors.tflite") }),
  INVALID_OPTION: () => createClassifier({ threshold: 0.5 }),
  INVALID_INPUT: async () => {
    const classifier = await createClassifier();
    try {
      await classifier.classify(null);
    } finally {
      await classifier.close();
    }
  },
  METADATA_MISSING: () => createClassifier({ model: fixture("onnx/colours.onnx") }),
  NOT_ENOUGH_DATA: async () => {
    const trainer = await createTrainer();
    const one = [{ image: gray, label: "alone" }];
    try {
      await trainer.train(ImageDataset.fromFiles(one));
    } finally {
      await trainer.close();
    }
  },
  CLOSED: async () => {
    const classifier = await createClassifier();
    await classifier.close();
    await classifier.classify(gray);
  },
  BACKEND_UNAVAILABLE: () => createClassifier({ assets: "/nowhere/" }),
  CAMERA_DENIED: () => openCamera(),
  WASM_UNSUPPORTED: async () => {
    const { validate } = WebAssembly;
    WebAssembly.validate = () => false;
    try {
      await createClassifier();
    } finally {
      WebAssembly.validate = validate;
    }
  },
};

for (const [code, provoke] of Object.entries(PROVOKED)) {
  test(`${code} is provoked, and its message is as on the page`, async () => {
    const error = await provoke().then(
      () => assert.fail("it went well"),
      (error) => error,
    );
    assert.equal(error.code, code, error.message);
    assert.equal(error.name, "AchadoError");
    assert.match(error.message, patternOf(exampleOf(code)));
  });
}

/** Those that take a browser or a core that crashes, and where they are provoked. */
const ELSEWHERE = {
  INTERNAL: "tests/browser/threads.test.mjs",
  INPUT_NOT_READY: "tests/browser/api.test.mjs",
  TAINTED_CANVAS: "tests/browser/api.test.mjs",
  WASM_MIME: "tests/browser/loading.test.mjs",
  CSP_BLOCKED: "tests/browser/loading.test.mjs",
  OUT_OF_MEMORY: "tests/browser/loading.test.mjs",
};

test("every other code is provoked in a browser, and its message stands in the source", async () => {
  assert.deepEqual([...Object.keys(PROVOKED), ...Object.keys(ELSEWHERE)].sort(), [...CODES].sort());
  const names = (await readdir(new URL("src/js/", root))).filter((name) => name.endsWith(".ts"));
  const all = (await Promise.all(names.map((name) => read(`src/js/${name}`)))).join("\n");
  for (const [code, file] of Object.entries(ELSEWHERE)) {
    assert.ok((await read(file)).includes(`"${code}"`), `${file} provokes no ${code}`);
    for (const part of exampleOf(code).split("…")) {
      assert.ok(all.includes(part.trim()), `${code}: nobody says "${part}"`);
    }
  }
});

test("the links of the page lead somewhere", async () => {
  for (const [, target] of page.matchAll(/\]\(([^)#]+)\)/g)) await read(`docs/${target}`);
});
