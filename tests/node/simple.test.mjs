// `achado/simple`, and imports of `achado/elements` where there is no document.
import assert from "node:assert/strict";
import path from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
// By the package's own name, as users of it.
import * as simple from "../../pkg/dist/simple.js";
import { refused } from "./support.mjs";

const { closeModels, imageSimilarity, labelImage } = simple;
const photo = (name) =>
  path.join(fileURLToPath(new URL("../fixtures/photos/", import.meta.url)), `${name}.jpg`);

after(() => closeModels());

test("labelImage gives what the model is sure of", async () => {
  const [espresso, ...others] = await labelImage(photo("coffee"), { scoreThreshold: 0.2 });
  assert.equal(espresso.categoryName, "espresso");
  assert.deepEqual(others, []);
  // Its threshold is 0.5, as in ML Kit: the cat is of two breeds.
  const sure = await labelImage(photo("cat"));
  const all = await labelImage(photo("cat"), { scoreThreshold: 0 });
  assert.deepEqual(
    sure,
    all.filter(({ score }) => score >= 0.5),
  );
  assert.equal(all.length, 1000);
  assert.ok(all.every(({ score }, i) => i === 0 || score <= all[i - 1].score));
  assert.equal((await labelImage(photo("cat"), { scoreThreshold: 0, maxResults: 2 })).length, 2);
  await refused(labelImage(photo("cat"), { threshold: 0.5 }), "INVALID_OPTION", /scoreThreshold/);
  await refused(
    labelImage(photo("cat"), { scoreThreshold: "0.5" }),
    "INVALID_OPTION",
    /must be a number/,
  );
});

test("imageSimilarity is 1 for the same, and less the less they show the same", async () => {
  const same = await imageSimilarity(photo("cat"), photo("cat"));
  assert.ok(Math.abs(same - 1) < 1e-6, String(same));
  const other = await imageSimilarity(photo("cat"), photo("coffee"));
  assert.ok(other < 0.3, String(other));
});

test("a model that cannot be opened is tried again by the next call; closed ones are opened anew", async () => {
  const wrong = { model: "/nothing/here.tflite" };
  await refused(labelImage(photo("cat"), wrong), "MODEL_FETCH", /nothing/);
  await refused(labelImage(photo("cat"), wrong), "MODEL_FETCH", /nothing/);
  closeModels();
  assert.equal((await labelImage(photo("coffee")))[0].categoryName, "espresso");
});

test("achado/elements can be imported where there is no document", async () => {
  const { AchadoImage, AchadoCamera } = await import("../../pkg/dist/elements.js");
  assert.equal(typeof AchadoImage, "function");
  assert.ok(AchadoCamera.observedAttributes.includes("mirror"));
});

test("where there is no Cache Storage, models are loaded all the same, and it is said", async () => {
  const { modelCache } = await import("../../pkg/dist/model-cache.js");
  const { createModel } = await import("../../pkg/dist/node.js");
  const model = await createModel({ cache: true, worker: false, threads: 1 });
  assert.match(model.runtime.fallbacks.map(({ reason }) => reason).join(), /no Cache Storage/);
  await model.close();
  assert.deepEqual(await modelCache.list(), []);
  assert.equal((await modelCache.estimate()).bytes, 0);
  await refused(modelCache.add("https://example.com/m.tflite"), "BACKEND_UNAVAILABLE", /Storage/);
});
