// What becomes of the pixels of files and arrays in Node: transparency, profiles, depths, sizes.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { createClassifier, createModel } from "../../pkg/dist/node.js";
import { refused } from "./support.mjs";

const folder = new URL("../fixtures/pictures/", import.meta.url);
const file = (name) => readFile(new URL(name, folder));
const echo = new URL("echo.onnx", folder);
const [WIDTH, HEIGHT] = [16, 12];

/** The tensor of each picture, as `[height, width, 3]` bytes. */
async function tensors(pictures, preprocess = "raw", options = {}) {
  const model = await createModel({ model: echo, preprocess, worker: false, ...options });
  try {
    const all = [];
    for (const picture of pictures) {
      const [{ data }] = Object.values(await model.runImage(picture));
      const size = WIDTH * HEIGHT;
      all.push(
        Array.from({ length: size * 3 }, (_, i) => data[(i % 3) * size + Math.floor(i / 3)]),
      );
    }
    return all;
  } finally {
    await model.close();
  }
}

const farthest = (a, b) => Math.max(...a.map((x, i) => Math.abs(x - b[i])));

test("of files, transparent pixels have the color that is stored", async () => {
  const names = ["rgb.png", "rgba.png", "rgb16.png", "rgba16.png", "rgb_key.png", "p3.png"];
  const [rgb, rgba, rgb16, rgba16, key, p3] = await tensors(await Promise.all(names.map(file)));
  assert.deepEqual(rgba, rgb);
  // The upper bytes are the same.
  assert.deepEqual(rgb16, rgb);
  assert.deepEqual(rgba16, rgb);
  assert.deepEqual(key, rgb);
  assert.ok(farthest(p3, rgb) > 50, "a profile is applied");
});

test("a background is seen through them, whatever has pixels", async () => {
  const rgba = await file("rgba.png");
  const [white, red] = await Promise.all([
    tensors([rgba], { preset: "raw", background: "white" }),
    tensors([rgba], { preset: "raw", background: [255, 0, 0] }),
  ]);
  const [stored] = await tensors([rgba]);
  // The first pixel's alpha is 0, the last one's 255.
  assert.deepEqual(white[0].slice(0, 3), [255, 255, 255]);
  assert.deepEqual(red[0].slice(0, 3), [255, 0, 0]);
  assert.deepEqual(white[0].slice(-3), stored.slice(-3));
  // A class called ImageData comes from a canvas, which a page shows on white.
  class ImageData {
    data = new Uint8ClampedArray(WIDTH * HEIGHT * 4).map((_, i) => (i % 4 === 3 ? i % 256 : i));
    width = WIDTH;
    height = HEIGHT;
    get [Symbol.toStringTag]() {
      return "ImageData";
    }
  }
  const canvas = new ImageData();
  const { data, width, height } = canvas;
  const [onPage, plain] = await tensors([canvas, { data, width, height }]);
  const { data: alphas } = canvas;
  for (let i = 0; i < plain.length; i++) {
    const [color, alpha] = [
      data[Math.floor(i / 3) * 4 + (i % 3)],
      alphas[Math.floor(i / 3) * 4 + 3],
    ];
    assert.equal(plain[i], color);
    const mixed = (color * alpha + 255 * (255 - alpha)) / 255;
    assert.ok(Math.abs(onPage[i] - mixed) <= 0.5, `${i}: ${onPage[i]}, ${mixed}`);
  }
});

test("a drawing whose transparency alone differs is not answered", async () => {
  const stroke = await file("stroke.png");
  const [drawn] = await tensors([stroke], { preset: "raw", background: "white" });
  assert.deepEqual([Math.min(...drawn), Math.max(...drawn)], [0, 255]);
  const lost = (preprocess, words) =>
    refused(tensors([stroke], preprocess), "INVALID_INPUT", words);
  const error = await lost("raw", /one color .* preprocess.background, such as "white"/);
  assert.equal(error.detail.option, "preprocess.background");
  await lost({ preset: "raw", background: "black" }, /that of the background/);
  const clear = { data: new Uint8Array(4 * 4), width: 2, height: 2 };
  await refused(tensors([clear]), "INVALID_INPUT", /transparent everywhere/);
  // A batch with such a picture fails, and the next one does not begin with its rest.
  const labels = ["red", "green", "blue"];
  const model = new URL("rescales.onnx", folder);
  const classifier = await createClassifier({ model, labels, batchSize: 2, worker: false });
  const flat = (red) => {
    const data = Uint8Array.from({ length: 16 }, (_, i) => (i % 4 === (red ? 0 : 2) ? 255 : 0));
    return { data: data.map((x, i) => (i % 4 === 3 ? 255 : x)), width: 2, height: 2 };
  };
  await refused(classifier.classifyBatch([flat(true), clear]), "INVALID_INPUT", /transparent/);
  const results = await classifier.classifyBatch([flat(false), flat(true)]);
  assert.deepEqual(
    results.map((result) => result.top.categoryName),
    ["blue", "red"],
  );
  await classifier.close();
});

test("pixels in Display P3 become sRGB", async () => {
  const data = new Uint8Array(WIDTH * HEIGHT * 4).fill(255);
  // littleCMS: 218 0 26, 0 204 0, 190 117 84.
  for (const [color, expected] of [
    [
      [200, 40, 40],
      [218, 0, 26],
    ],
    [
      [40, 200, 40],
      [0, 204, 0],
    ],
    [
      [180, 120, 90],
      [190, 117, 84],
    ],
    [
      [9, 9, 9],
      [9, 9, 9],
    ],
  ]) {
    for (let i = 0; i < data.length; i += 4) data.set(color, i);
    const picture = { data, width: WIDTH, height: HEIGHT, colorSpace: "display-p3" };
    const [tensor] = await tensors([picture]);
    assert.ok(farthest(tensor.slice(0, 3), expected) <= 2, `${tensor.slice(0, 3)}: ${expected}`);
  }
  const other = { data, width: WIDTH, height: HEIGHT, colorSpace: "rec2020" };
  await refused(tensors([other]), "INVALID_INPUT", /colorSpace must be "srgb" or "display-p3"/);
});

test("a graph that normalizes by itself takes pixels as they are, and twice is told", async (t) => {
  const picture = await file("rgb.png");
  const open = async (name, preprocess) => {
    const model = new URL(name, folder);
    const classifier = await createClassifier({ model, preprocess, labels: ["r", "g", "b"] });
    t.after(() => classifier.close());
    const { classifications } = await classifier.classify(picture);
    const { fallbacks } = classifier.runtime;
    return {
      scores: classifications[0].categories.map(({ score }) => score),
      fallbacks,
      classifier,
    };
  };
  const about = ({ fallbacks }) =>
    fallbacks.find(({ from }) => from === "values as trained")?.reason;
  const plain = await open("rescales.onnx");
  assert.equal(about(plain), undefined);
  assert.deepEqual((await open("rescales.onnx", "raw")).scores, plain.scores);
  const twice = await open("rescales.onnx", "unit");
  assert.match(about(twice), /scale pixels by themselves.*preprocess "raw" fits/);
  await twice.classifier.setOptions({ preprocess: "raw" });
  assert.equal(about({ fallbacks: twice.classifier.runtime.fallbacks }), undefined);
  // Values 0..1 are standardized by the graph: 0..255 is not guessed, but named where it is missing.
  const missing = createClassifier({ model: new URL("standardizes.onnx", folder) });
  await refused(missing, "METADATA_MISSING", /"raw" \(0..255\).*first operators fit "unit"/);
  assert.equal(about(await open("standardizes.onnx", "unit")), undefined);
  for (const wrong of ["imagenet", "raw"]) {
    assert.match(about(await open("standardizes.onnx", wrong)), /"unit" fits/);
  }
});

test("a large picture is read in bands, with the same result and little memory", async () => {
  // 40 million pixels, 160 MB: a gradient with noise, upright and turned.
  const [width, height] = [8000, 5000];
  const data = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 4;
      data[at] = (x * 240) / width + ((x * 7 + y * 3) % 5);
      data[at + 1] = (y * 255) / height;
      data[at + 2] = 128;
      data[at + 3] = 255;
    }
  }
  const model = await createModel({ model: echo, preprocess: "raw", worker: false });
  const small = { data: new Uint8Array(16).fill(255), width: 2, height: 2 };
  await model.runImage(small);
  const before = model.runtime.memoryBytes;
  const [{ data: tensor }] = Object.values(await model.runImage({ data, width, height }));
  const size = WIDTH * HEIGHT;
  for (const [x, y] of [
    [0, 0],
    [15, 0],
    [7, 6],
    [15, 11],
  ]) {
    const at = y * WIDTH + x;
    assert.ok(Math.abs(tensor[at] - ((x + 0.5) / WIDTH) * 240 - 2) <= 5, `${x} ${y}`);
    assert.ok(Math.abs(tensor[size + at] - ((y + 0.5) / HEIGHT) * 255) <= 5, `${x} ${y}`);
  }
  assert.ok(model.runtime.memoryBytes < before + 64e6, `${before} to ${model.runtime.memoryBytes}`);
  await model.close();
});
