// A detector and a segmenter by runImage, against the answers that TensorFlow Lite gave. The models
// are not of the repository: ACHADO_SHARED names the folder of test data, `../shared` by default.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { cosineSimilarity, createModel, dequantize } from "../../pkg/dist/node.js";

const repository = fileURLToPath(new URL("../../", import.meta.url));
const shared = process.env.ACHADO_SHARED ?? path.join(repository, "../shared");
const models = path.join(shared, "models");
const skip = existsSync(path.join(models, "expected/expected.json")) ? false : `no ${models}`;
const expected = skip
  ? {}
  : JSON.parse(await readFile(path.join(models, "expected/expected.json"), "utf8"));

/** Runs every recorded picture of a model that is here. */
async function each(name, options, check) {
  const model = await createModel({ model: path.join(models, "models", name), ...options });
  let runs = 0;
  for (const { input, outputs } of Object.values(expected[name])) {
    const file = path.join(models, input);
    if (!existsSync(file)) continue;
    const recorded = outputs.default.map((output) =>
      path.join(models, "expected", name, output.file),
    );
    await check(model, await readFile(file), recorded);
    runs++;
  }
  await model.close();
  assert.ok(runs > 0, "no picture is here");
}

/** The elements of a NumPy file of float32 or uint8. */
async function npy(file) {
  const bytes = await readFile(file);
  const start = 10 + bytes.readUInt16LE(8);
  const header = bytes.toString("latin1", 10, start);
  const data = new Uint8Array(bytes.subarray(start));
  return /'<f4'/.test(header) ? new Float32Array(data.buffer) : data;
}

test("SSD-MobileNet finds the boxes, classes and scores", { skip }, async () => {
  await each("coco_ssd_mobilenet_v1_quant_md.tflite", {}, async (model, picture, recorded) => {
    const { inputs, outputs } = model.metadata;
    assert.deepEqual(inputs[0].shape, [1, 300, 300, 3]);
    const found = await model.runImage(picture);
    assert.deepEqual(Object.keys(found), [
      "locations",
      "classes",
      "scores",
      "number of detections",
    ]);
    const all = await Promise.all(recorded.map(npy));
    const tolerances = [2 / 300, 0, 1 / 256, 0];
    for (const [i, { name }] of outputs.entries()) {
      const { data, shape } = found[name];
      assert.deepEqual(shape, outputs[i].shape);
      assert.equal(data.length, all[i].length);
      for (const [j, value] of all[i].entries()) {
        assert.ok(Math.abs(data[j] - value) <= tolerances[i], `${name} ${j}: ${data[j]}, ${value}`);
      }
    }
  });
});

test("DeepLab gives each pixel its class", { skip }, async () => {
  // In numbers, as crates/decode/src/shell.rs has it.
  const wasm = await readFile(new URL("../../pkg/dist/decode.wasm", import.meta.url));
  const imports = { "./achado_bg.js": { __wbindgen_init_externref_table() {} } };
  const { instance } = await WebAssembly.instantiate(wasm, imports);
  const { memory, room, decodeFile, place, length } = instance.exports;
  const decoded = (file) => {
    const address = room(file.length);
    new Uint8Array(memory.buffer, address, file.length).set(file);
    assert.equal(decodeFile(), 1);
    return new Uint8Array(memory.buffer, place(), length()).slice();
  };
  await each("deeplabv3_dm05_pascal_quant.tflite", {}, async (model, picture, [recorded]) => {
    const [map] = Object.values(await model.runImage(picture));
    assert.deepEqual([map.dtype, map.shape], ["int64", [1, 513, 513]]);
    const data = decoded(await readFile(recorded));
    let alike = 0;
    for (const [i, index] of map.data.entries()) alike += Number(Number(index) === data[4 * i]);
    assert.ok(alike / map.data.length >= 0.995, `${alike} of ${map.data.length}`);
  });
});

test("a selfie's mask is as recorded", { skip }, async () => {
  const options = { preprocess: "unit" };
  await each("selfie_segmentation.tflite", options, async (model, picture, [recorded]) => {
    const [mask] = Object.values(await model.runImage(picture));
    assert.deepEqual(mask.shape, [1, 256, 256, 1]);
    const values = await npy(recorded);
    assert.equal(values.length, mask.data.length);
    const worst = values.reduce((most, x, i) => Math.max(most, Math.abs(x - mask.data[i])), 0);
    assert.ok(worst < 1e-4, String(worst));
  });
});

test("an embedder's vectors are as recorded", { skip }, async () => {
  const name = "mobilenet_v1_1.0_224_quant_embedder.tflite";
  await each(name, {}, async (model, picture, [recorded]) => {
    const embedding = await model.embed(picture);
    const [output] = model.metadata.outputs;
    const reference = dequantize({ ...output, data: await npy(recorded) });
    assert.equal(embedding.length, 1024);
    assert.ok(cosineSimilarity(embedding, reference) > 0.999);
  });
});
