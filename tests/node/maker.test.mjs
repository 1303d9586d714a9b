// achado/maker in Node: pictures in classes become a model, and what is wrong with them is said.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { deflateRawSync } from "node:zlib";

const packageFolder = new URL("../../pkg/", import.meta.url);
const load = (name) => import(new URL(`dist/${name}`, packageFolder));
const { ImageDataset, createTrainer, openProject, saveProject } = await load("maker-node.js");
const { createClassifier } = await load("node.js");

const SIDE = 48;

/** A picture of stripes in a class's color and direction, another one for each number. */
function picture(label, number) {
  const data = new Uint8ClampedArray(SIDE * SIDE * 4);
  const [r, g, b] = { red: [220, 40, 30], green: [30, 200, 60], blue: [30, 50, 220] }[label];
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const along = { red: x, green: y, blue: x + y }[label];
      const light = (along + 3 * number) % 12 < 6 ? 1 : 0.25;
      const noise = ((x * 31 + y * 17 + number * 101) % 23) - 11;
      data.set([r * light + noise, g * light + noise, b * light + noise, 255], 4 * (y * SIDE + x));
    }
  }
  return { data, width: SIDE, height: SIDE };
}

/** As a file, of 24 bits a pixel. */
function bmp({ data, width, height }) {
  const bytes = Buffer.alloc(54 + 3 * width * height);
  bytes.write("BM");
  [bytes.length, 0, 54, 40, width, -height].forEach((value, at) =>
    bytes.writeInt32LE(value, 2 + 4 * at),
  );
  bytes.writeUInt16LE(1, 26);
  bytes.writeUInt16LE(24, 28);
  for (let at = 0; at < width * height; at++) {
    bytes.set([data[4 * at + 2], data[4 * at + 1], data[4 * at]], 54 + 3 * at);
  }
  return bytes;
}

const LABELS = ["red", "green", "blue"];
const list = (labels, count, from = 0) =>
  labels.flatMap((label) =>
    Array.from({ length: count }, (_, at) => ({
      image: picture(label, from + at),
      label,
      name: `${label}/${from + at}`,
    })),
  );

/** A zip by hand, so that it can be wrong. */
function zip(files) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const { name, data, packed = deflateRawSync(data), size = data.length } of files) {
    const path = Buffer.from(name);
    const common = Buffer.alloc(26);
    [20, 1 << 11, 8, 0, 0x21].forEach((value, at) => common.writeUInt16LE(value, 2 * at));
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(size, 18);
    common.writeUInt16LE(path.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), common, path, packed]);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(offset, 10);
    directory.push(Buffer.from("PK\x01\x02\x14\x00"), common, place, path);
    parts.push(local);
    offset += local.length;
  }
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06");
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(offset, 16);
  return new Uint8Array(Buffer.concat([...parts, ...directory, end]));
}

let trainer;
let folder;

before(async () => {
  trainer = await createTrainer();
  folder = mkdtempSync(path.join(tmpdir(), "achado-maker-"));
  mkdirSync(path.join(folder, "empty"));
  for (const { image, name } of list(LABELS, 6)) {
    const file = path.join(folder, "pictures", `${name}.bmp`);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, bmp(image));
  }
});

after(async () => {
  await trainer.close();
  rmSync(folder, { recursive: true });
});

const code =
  (code, ...words) =>
  (error) => {
    assert.equal(error.code, code, error.message);
    for (const word of words) assert.ok(error.message.includes(word), error.message);
    return true;
  };

test("pictures become a classifier, an evaluation and a file that answers alike", async () => {
  const all = ImageDataset.fromFiles(list(LABELS, 8));
  assert.deepEqual([all.size, all.classes], [24, ["blue", "green", "red"]]);
  const [train, held] = all.split(0.75, { seed: 1 });
  assert.deepEqual(
    [train.counts, held.counts],
    [
      [6, 6, 6],
      [2, 2, 2],
    ],
  );
  const phases = new Set();
  const classifier = await trainer.train(train, { onProgress: ({ phase }) => phases.add(phase) });
  assert.deepEqual([...phases], ["embed", "train"]);
  const found = await classifier.evaluate(held);
  assert.equal(found.accuracy, 1);
  assert.ok(found.interval[0] > 0.5 && found.interval[0] < 0.7 && found.interval[1] === 1);
  assert.deepEqual(found.confusionMatrix, [
    [2, 0, 0],
    [0, 2, 0],
    [0, 0, 2],
  ]);
  assert.deepEqual(found.perClass[0], {
    label: "blue",
    precision: 1,
    recall: 1,
    f1: 1,
    support: 2,
  });
  const best = await classifier.predictTopK(held, 2);
  assert.ok(best.every(({ picture, top }) => top.length === 2 && top[0].label === picture.label));

  const file = await classifier.exportModel({
    displayNames: { pt: ["azul", "verde", "vermelho"] },
  });
  assert.ok(file.length < 4_200_000, `${file.length}`);
  const { embeddings, pictures, same } = classifier.exported;
  assert.deepEqual([embeddings, pictures, same], [18, 8, 26]);
  const opened = await createClassifier({ model: file, displayNamesLocale: "pt-BR" });
  for (const { load, label } of held.pictures) {
    const image = await load();
    const [there, here] = [await opened.classify(image), await classifier.classify(image)];
    assert.equal(there.top.categoryName, label);
    assert.equal(here.top.categoryName, label);
    assert.ok(Math.abs(there.top.score - here.top.score) < 1e-3);
    assert.equal(there.top.displayName, { blue: "azul", green: "verde", red: "vermelho" }[label]);
  }
  await opened.close();
  const integer = await classifier.exportModel({ quantization: "int8" });
  assert.ok(integer.length < file.length);
  assert.ok(classifier.exported.same >= 24, JSON.stringify(classifier.exported));
  // The same pictures and seed give the same bytes.
  const again = await (
    await trainer.train(train)
  ).exportModel({
    displayNames: { pt: ["azul", "verde", "vermelho"] },
  });
  assert.deepEqual(again, file);
  assert.equal(classifier.exportLabels(), "blue\ngreen\nred\n");
  // An ordinary classifier, from the moment that its options change.
  await classifier.setOptions({ maxResults: 1 });
  const one = await classifier.classify(picture("red", 50));
  assert.equal(one.classifications[0].categories.length, 1);
  await classifier.close();
  await assert.rejects(classifier.classify(picture("red", 0)), code("CLOSED"));
});

test("every head trains, and options mean what they say", async () => {
  const data = ImageDataset.fromFiles(list(LABELS, 4));
  for (const head of ["softmax", "lda", "centroid"]) {
    const classifier = await trainer.train(data, { head, augmentation: "flip" });
    const { top } = await classifier.classify(picture("green", 30));
    assert.equal(top.categoryName, "green", head);
    assert.ok(classifier.report.warnings[0].includes("fewer than 10 pictures"));
  }
  for (const name of ["epochs", "batchSize", "learningRate"]) {
    const words = [name, "leave the option out"];
    await assert.rejects(trainer.train(data, { [name]: 5 }), code("INVALID_OPTION", ...words));
  }
  const meant = code("INVALID_OPTION", 'did you mean "seed"?');
  await assert.rejects(trainer.train(data, { sed: 5 }), meant);
  await assert.rejects(trainer.train(data, { l2: 0 }), code("INVALID_OPTION", "l2: must be"));
  const range = code("INVALID_OPTION", "above 0 and below 1");
  await assert.rejects(trainer.train(data, { head: "lda", l2: 2 }), range);
  await assert.rejects(trainer.train(data, { head: "knn" }), code("INVALID_OPTION", "centroid"));
  assert.throws(() => data.split(1), code("INVALID_OPTION", "fraction"));
  await assert.rejects(
    createTrainer({ modle: "x" }),
    code("INVALID_OPTION", 'did you mean "model"?'),
  );
});

test("pictures that nothing can be learnt from are refused by name", async () => {
  const train = (files, options) => trainer.train(ImageDataset.fromFiles(files), options);
  const few = "NOT_ENOUGH_DATA";
  await assert.rejects(train(list(["red"], 4)), code(few, '"red"', "two classes or more"));
  await assert.rejects(train(list(["red"], 1)), code(few));
  await assert.rejects(train({ red: [], blue: [] }), code(few, "no picture"));
  const one = [...list(["red"], 3), ...list(["blue"], 1)];
  await assert.rejects(train(one), code(few, '"blue" has 1'));
  await assert.rejects(train({ red: [picture("red", 1), picture("red", 2)], blue: [] }), code(few));
  const many = Array.from({ length: 4000 }, (_, at) => ({
    image: picture("red", 0),
    label: `class ${at >> 1}`,
  }));
  await assert.rejects(train(many), code("INVALID_INPUT", "2000 classes", "1000"));
  const twice = [
    ...list(["red", "blue"], 3),
    { image: picture("red", 1), label: "blue", name: "copy" },
  ];
  await assert.rejects(train(twice), code("INVALID_INPUT", "two classes", "red/1", "copy"));
  const without = await train(twice, { conflicts: "skip" });
  assert.deepEqual([without.report.pictures, without.report.skipped.length], [5, 2]);
  const copies = [
    ...list(["red", "blue"], 3),
    { image: picture("red", 1), label: "red", name: "copy" },
  ];
  assert.deepEqual((await train(copies)).report.duplicates, [["red/1", "copy"]]);
  for (const label of ["", "  ", "two\nlines"]) {
    assert.throws(
      () => ImageDataset.fromFiles([{ image: picture("red", 0), label }]),
      code("INVALID_INPUT"),
    );
  }
  const accents = ["caf\u00e9", "cafe\u0301"].map((label) => ({ image: picture("red", 0), label }));
  assert.throws(() => ImageDataset.fromFiles(accents), code("INVALID_INPUT", "both called"));
});

test("a corrupt picture among many is left out and listed", async () => {
  const broken = {
    image: new Uint8Array([0xff, 0xd8, 0xff, 1, 2, 3]),
    label: "red",
    name: "broken.jpg",
  };
  const classifier = await trainer.train(ImageDataset.fromFiles([...list(LABELS, 3), broken]));
  assert.equal(classifier.report.pictures, 9);
  const [{ name, reason }] = classifier.report.skipped;
  assert.equal(name, "broken.jpg");
  assert.ok(reason.length > 10);
});

test("an abort ends embedding and training at once", async () => {
  const fresh = ImageDataset.fromFiles(list(LABELS, 20, 100));
  const stop = new AbortController();
  let seen = 0;
  const onProgress = ({ done }) => {
    seen = done;
    if (done === 2) stop.abort(new Error("enough"));
  };
  await assert.rejects(trainer.train(fresh, { signal: stop.signal, onProgress }), /enough/);
  assert.equal(seen, 2);
  const data = ImageDataset.fromFiles(list(LABELS, 4));
  await trainer.train(data);
  const late = new AbortController();
  const inTraining = ({ phase }) => phase === "train" && late.abort();
  const training = trainer.train(data, { signal: late.signal, onProgress: inTraining });
  await assert.rejects(training, { name: "AbortError" });
});

test("folders, zips and Teachable Machine's projects are datasets", async () => {
  const data = await ImageDataset.fromFolder(path.join(folder, "pictures"));
  assert.deepEqual([data.size, data.classes], [18, ["blue", "green", "red"]]);
  await assert.rejects(
    ImageDataset.fromFolder(path.join(folder, "none")),
    code("INVALID_INPUT", "no folder"),
  );
  await assert.rejects(
    ImageDataset.fromFolder(path.join(folder, "empty")),
    code("NOT_ENOUGH_DATA"),
  );

  const file = bmp(picture("red", 1));
  const names = ["set/rót/a.bmp", "set/blau/s1/b.bmp", "set/blau/s1/c.bmp", "__MACOSX/set/x.bmp"];
  const archive = zip(
    [...names, "set/readme.txt", "set/loose.bmp"].map((name) => ({ name, data: file })),
  );
  const zipped = await ImageDataset.fromZip(archive);
  assert.deepEqual(zipped.classes, ["blau", "rót"]);
  assert.deepEqual(
    zipped.pictures.map(({ session }) => session),
    ["blau/s1", "blau/s1", "set/rót/a.bmp"],
  );
  assert.deepEqual(zipped.skipped.map(({ name }) => name).sort(), [
    "set/loose.bmp",
    "set/readme.txt",
  ]);
  assert.deepEqual(Buffer.from(await zipped.pictures[0].load()), file);

  const samples = ["Class 1-!-0.webp", "Class 1-!-1.webp", "Class 2-!-0.webp"];
  const project = zip([...samples, "manifest.json"].map((name) => ({ name, data: file })));
  const machine = await ImageDataset.fromTeachableMachine(project);
  assert.deepEqual(machine.counts, [2, 1]);
  const model = zip([
    { name: "model.json", data: file },
    { name: "weights.bin", data: file },
  ]);
  await assert.rejects(
    ImageDataset.fromTeachableMachine(model),
    code("INVALID_INPUT", "not its project"),
  );

  const bomb = zip([
    {
      name: "a/b.png",
      data: file,
      packed: deflateRawSync(Buffer.alloc(90_000_000)),
      size: 90_000_000,
    },
  ]);
  await assert.rejects(ImageDataset.fromZip(bomb), code("INVALID_INPUT", "no zip of pictures"));
  const liar = zip([
    { name: "a/b.png", data: file, packed: deflateRawSync(Buffer.alloc(900_000)), size: 4000 },
  ]);
  const lying = await ImageDataset.fromZip(liar);
  await assert.rejects(lying.pictures[0].load(), code("INVALID_INPUT", "larger than it says"));
  for (const cut of [0, 10, archive.length - 30]) {
    await assert.rejects(ImageDataset.fromZip(archive.slice(0, cut)), code("INVALID_INPUT"));
  }
});

test("bursts are never divided", () => {
  const files = LABELS.flatMap((label) =>
    Array.from({ length: 20 }, (_, at) => ({
      image: picture(label, at),
      label,
      session: `${label} ${at >> 2}`,
    })),
  );
  const data = ImageDataset.fromFiles(files);
  for (const seed of [0, 1, 2]) {
    const [a, b] = data.split(0.8, { seed });
    const sessions = new Set(a.pictures.map(({ session }) => session));
    assert.ok(b.pictures.every(({ session }) => !sessions.has(session)));
    assert.deepEqual(
      [a.counts, b.counts],
      [
        [16, 16, 16],
        [4, 4, 4],
      ],
    );
    assert.deepEqual(data.split(0.8, { seed })[0].pictures, a.pictures);
  }
  const [a] = data.split(0.5, { groupBy: ({ name }) => name, stratify: false });
  assert.equal(a.size, 30);
});

test("a project comes back as it was", async () => {
  const data = ImageDataset.fromFiles(list(LABELS, 4));
  const classifier = await trainer.train(data, { seed: 5 });
  const saved = await saveProject(data, { trainer, classifier, settings: { seed: 5 } });
  const twice = await saveProject(data, { trainer, classifier, settings: { seed: 5 } });
  assert.deepEqual(await saved.arrayBuffer(), await twice.arrayBuffer());
  const project = await openProject(saved, { trainer });
  assert.deepEqual(project.dataset.classes, data.classes);
  assert.deepEqual(project.settings, { seed: 5 });
  assert.equal(project.head.bias.length, 3);
  let embedded = 0;
  const again = await trainer.train(project.dataset, {
    ...project.settings,
    onProgress: ({ phase, etaMs }) =>
      (embedded += phase === "embed" && etaMs !== undefined ? 1 : 0),
  });
  assert.equal(embedded, 0, "embeddings came with the project");
  assert.deepEqual(await again.exportModel(), await classifier.exportModel());
  await assert.rejects(
    openProject(zip([{ name: "x", data: Buffer.from("y") }])),
    code("INVALID_INPUT", "project.json"),
  );
});

test("a network without an embedding is refused by name", async () => {
  const model = new URL("../fixtures/onnx/colours.onnx", import.meta.url);
  const preprocess = "unit";
  await createTrainer({ model, preprocess }).then(
    async (made) => made.close(),
    code("UNSUPPORTED_TYPE", "no embedding to train on"),
  );
});

test("the command line trains, evaluates and embeds", () => {
  const achado = new URL("bin/achado.js", packageFolder).pathname;
  const [pictures, model] = [path.join(folder, "pictures"), path.join(folder, "m.tflite")];
  const report = path.join(folder, "report.html");
  const args = [
    "train",
    pictures,
    "-o",
    model,
    "--test",
    "0.34",
    "--seed",
    "1",
    "--report",
    report,
    "--json",
  ];
  const trained = JSON.parse(execFileSync(process.execPath, [achado, ...args]));
  assert.deepEqual(
    [trained.labels, trained.pictures, trained.test.pictures],
    [["blue", "green", "red"], 12, 6],
  );
  const page = readFileSync(report, "utf8");
  assert.ok(
    page.includes("<svg") && page.includes("Confusion matrix") && !page.includes("<script"),
  );
  const evaluated = JSON.parse(
    execFileSync(process.execPath, [achado, "evaluate", model, pictures, "--json"]),
  );
  assert.equal(evaluated.pictures, 18);
  assert.equal(evaluated.accuracy, 1);
  const vectors = path.join(folder, "x.npy");
  execFileSync(process.execPath, [achado, "embed", pictures, "-o", vectors]);
  const npy = readFileSync(vectors);
  assert.ok(npy.toString("latin1", 0, 128).includes("(18, 1280)"));
  assert.equal(npy.length % 64, (18 * 1280 * 4) % 64);
  assert.equal(readFileSync(path.join(folder, "x.txt"), "utf8").split("\n").length, 19);
  const wrong = (...args) => spawnSync(process.execPath, [achado, ...args], { encoding: "utf8" });
  assert.equal(wrong("train", pictures).status, 2);
  assert.match(wrong("train", pictures, "-o", model, "--hed", "lda").stderr, /--hed/);
  const none = wrong("train", path.join(folder, "empty"), "-o", model);
  assert.equal(none.status, 1);
  assert.match(none.stderr, /holds no pictures in folders/);
});
