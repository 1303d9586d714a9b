// Names that are not known are refused, at every depth: an option without effect is a wrong answer.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { convertOnnx, createClassifier, createModel, openCamera } from "../../pkg/dist/node.js";
import { refused } from "./support.mjs";

const PHOTO = new URL("../fixtures/photos/cat.jpg", import.meta.url);
const picture = { data: new Uint8Array(2 * 2 * 4).fill(200), width: 2, height: 2 };
const region = { left: 0, top: 0, right: 1, bottom: 1 };
const frame = { regionOfInterest: region, rotationDegrees: 0, mirror: false, signal: undefined };
const preprocess = {
  preset: "keras",
  fit: "centerCrop",
  resize: "bilinear",
  mean: [0],
  std: [1],
  channels: "RGB",
  cropFraction: 0.5,
  shortSide: 300,
  padColor: "black",
  background: "white",
};
const loading = {
  model: undefined,
  integrity: undefined,
  worker: false,
  threads: 1,
  wasm: undefined,
  warmup: true,
  cache: false,
  inputShapes: undefined,
  backend: undefined,
  onnxFallback: undefined,
  signal: undefined,
  onProgress: undefined,
  preprocess,
};
const classifying = {
  ...loading,
  batchSize: 1,
  labels: [],
  heads: [],
  activation: "none",
  maxResults: 1,
  scoreThreshold: 0,
  displayNamesLocale: "en",
  categoryAllowlist: [],
  categoryDenylist: [],
};

let classifier;
before(async () => {
  classifier = await createClassifier();
});
after(() => classifier.close());

/** What takes options, with all that it takes. */
const CALLS = {
  createClassifier: [classifying, (options) => createClassifier(options)],
  createModel: [loading, (options) => createModel(options)],
  setOptions: [{ preprocess, maxResults: 1 }, (options) => classifier.setOptions(options)],
  convertOnnx: [
    { labels: [], preprocess: { preset: "unit", mean: [0], std: [1], channels: "RGB" } },
    (options) => convertOnnx(new Uint8Array(8), options),
  ],
  classify: [frame, (options) => classifier.classify(picture, options)],
  classifyBatch: [frame, (options) => classifier.classifyBatch([picture], options)],
  classifyStream: [
    { ...frame, maxFps: 1, smoothing: 0 },
    (options) => classifier.classifyStream({}, options).next(),
  ],
  embed: [{ ...frame, l2Normalize: true }, (options) => classifier.embed(picture, options)],
  runImage: [{ ...frame, tensors: {} }, (options) => classifier.runImage(picture, options)],
  run: [{ signal: undefined }, (options) => classifier.run({}, options)],
  openCamera: [
    { facingMode: "user", deviceId: "a", width: 1, height: 1 },
    (options) => openCamera(options),
  ],
};

/** All places in an object that have a name, as lists of names. */
function places(value, path = []) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([name, inner]) => [
    [...path, name],
    ...places(inner, [...path, name]),
  ]);
}

/** A copy in which the last of `path` is called otherwise. */
function renamed(value, [name, ...rest], other) {
  const entries = Object.entries(value).map(([key, inner]) => {
    if (key !== name) return [key, inner];
    return rest.length > 0 ? [key, renamed(inner, rest, other)] : [other, inner ?? 1];
  });
  return Object.fromEntries(entries);
}

let state = 1;
function below(n) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
}

/** One letter more, less, another, or two exchanged. */
function misspelt(name) {
  const at = below(name.length);
  const letter = String.fromCharCode(97 + below(26));
  const [head, tail] = [name.slice(0, at), name.slice(at)];
  switch (below(4)) {
    case 0:
      return head + letter + tail;
    case 1:
      return head + tail.slice(1);
    case 2:
      return head + letter + tail.slice(1);
    default:
      return head + tail.slice(1, 2) + tail.slice(0, 1) + tail.slice(2);
  }
}

for (const [call, [options, run]] of Object.entries(CALLS)) {
  test(`${call}: any misspelt name is refused, at every depth`, async () => {
    for (const path of places(options)) {
      const siblings = Object.keys(path.slice(0, -1).reduce((o, name) => o[name], options));
      for (let round = 0; round < 6; round++) {
        const wrong = misspelt(path.at(-1));
        if (wrong === "" || siblings.includes(wrong)) continue;
        const full = [...path.slice(0, -1), wrong].join(".");
        const error = await refused(
          run(renamed(options, path, wrong)),
          "INVALID_OPTION",
          /there is no such option/,
        );
        assert.equal(error.detail.option, full);
        assert.ok(error.message.startsWith(`${full}: `), error.message);
      }
    }
  });
}

test("the nearest name is offered", async () => {
  const near = (options, words) => refused(createClassifier(options), "INVALID_OPTION", words);
  await near({ maxResult: 1 }, /maxResult: .*did you mean "maxResults"\?/);
  await near({ treshold: 1 }, /there is no such option; there are model/);
  await near({ threshold: 1 }, /did you mean "scoreThreshold"\?/);
  await near({ preprocess: { fitt: "centerCrop" } }, /preprocess.fitt: .*did you mean "fit"\?/);
  await near({ preprocess: { centercrop: 1 } }, /preprocess.centercrop: /);
  const wrong = classifier.classify(picture, { rotation: 90 });
  await refused(wrong, "INVALID_OPTION", /rotation: .*did you mean "rotationDegrees"\?/);
});

test("what is no object of options is refused", async () => {
  for (const [options, words] of [
    [null, /options: must be an object, is null/],
    [90, /options: must be an object, is 90/],
    [[], /options: must be an object, is a list/],
  ]) {
    await refused(classifier.classify(picture, options), "INVALID_OPTION", words);
    await refused(classifier.run({}, options), "INVALID_OPTION", words);
  }
  const text = classifier.classify(picture, { regionOfInterest: "left" });
  await refused(text, "INVALID_OPTION", /regionOfInterest: must be an object/);
});

test("a picture's fields are checked, but not those of a class", async () => {
  const wrong = (image, words) => refused(classifier.classify(image), "INVALID_INPUT", words);
  await wrong({ ...picture, hight: 2 }, /picture.hight: .*did you mean "height"\?/);
  const { width, ...narrow } = picture;
  await wrong({ ...narrow, widht: width }, /picture.widht: .*did you mean "width"\?/);
  await wrong({ ...picture, channels: 4 }, /picture.channels: there is no such field/);
  await wrong(narrow, /the picture is undefinedx2 pixels/);
  class Drawing {
    constructor() {
      Object.assign(this, picture, { listeners: [] });
    }
  }
  assert.ok((await classifier.classify(new Drawing())).top);
});

test("presets are combined with fields, and with each other", async (t) => {
  const wrong = (options, words) =>
    refused(createClassifier({ preprocess: options }), "INVALID_OPTION", words);
  await wrong("imagnet", /there is no preset "imagnet", did you mean "imagenet"\?/);
  await wrong({ preset: "tim" }, /preprocess.preset: .*did you mean "timm"\?/);
  await wrong({ preset: "imagenet", mean: [0] }, /preset: "imagenet" says mean and std/);
  await wrong({ preset: ["imagenet", "unit"] }, /preset: "imagenet" says .* "unit" beside it/);
  await wrong({ padColor: "blu" }, /preprocess.padColor: must be "white", .* is "blu"/);
  await wrong({ background: [1, 2] }, /preprocess.background: must be/);
  await wrong({ background: "#12345" }, /preprocess.background: must be/);
  await wrong({ shortSide: 256 }, /shortSide: is for fit "centerCrop"/);
  await wrong({ fit: "cover", shortSide: 100 }, /shortSide: must be from 224/);
  await wrong({ fit: "cover", shortSide: 256, cropFraction: 1 }, /give one of the two/);
  for (const fine of [
    "torchvision",
    { preset: "imagenet", fit: "centerCrop", resize: "bicubic" },
    { preset: ["keras", "symmetric"], fit: "letterbox", padColor: "#7f7f7f" },
    { preset: "timm", mean: [127.5], std: [127.5], cropFraction: 0.9 },
    { preset: "torchvision", shortSide: 232, cropFraction: undefined, background: 0 },
  ]) {
    const own = await createClassifier({ preprocess: fine });
    t.after(() => own.close());
    assert.ok((await own.classify(await readFile(PHOTO))).top.score > 0);
  }
});
