// The files that people have: labels in any format, exported zips, weights in other files, inputs
// and outputs of other shapes. The table of docs/files.md is made of these rows.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { convertOnnx, createClassifier, createModel } from "../../pkg/dist/node.js";
import {
  blackOrWhite,
  colors,
  model,
  node,
  oneScore,
  picture,
  tensor,
  value,
  wide,
  withExternalData,
  withLabelFile,
  zip,
} from "./onnx-file.mjs";
import { refused } from "./support.mjs";

const RED = picture([255, 0, 0]);
const TRUE = { red: 0.9646631, green: 0.0176684, blue: 0.0176684 };
const CAT = { Cat: 0.9646631, Dog: 0.0176684, Bird: 0.0176684 };
const NAMES = ["red", "green", "blue"];

const folder = mkdtempSync(path.join(tmpdir(), "achado-files-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const file = (name, bytes) => {
  const place = path.join(folder, name);
  mkdirSync(path.dirname(place), { recursive: true });
  writeFileSync(place, bytes);
  return place;
};

async function scores(options, image = RED) {
  const classifier = await createClassifier({ worker: false, threads: 1, ...options });
  try {
    const { classifications } = await classifier.classify(image);
    return Object.fromEntries(
      classifications[0].categories.map(({ categoryName, score }) => [categoryName, score]),
    );
  } finally {
    await classifier.close();
  }
}

function near(found, wanted, tolerance = 1e-4) {
  assert.deepEqual(Object.keys(found).sort(), Object.keys(wanted).sort());
  for (const [name, score] of Object.entries(wanted)) {
    assert.ok(Math.abs(found[name] - score) <= tolerance, `${name}: ${found[name]}, not ${score}`);
  }
}

const unit = { preprocess: "unit" };
const labelled = (labels) => scores({ model: colors(), ...unit, labels });
const text = (string) => new TextEncoder().encode(string);

/** Row by row: what one has, what happens, and the check. */
const ROWS = [];
function row(has, happens, check) {
  ROWS.push([has, happens]);
  test(has, check);
}

row("labels: a name a line, CRLF, BOM, blank lines at the end", "taken", async () => {
  near(await labelled(text("red\ngreen\nblue\n")), TRUE);
  near(await labelled(text("\ufeffred\r\ngreen\r\nblue\r\n\r\n\n")), TRUE);
  near(await labelled(new Blob(["red\ngreen\nblue"])), TRUE);
  near(await labelled(file("plain.txt", "red\ngreen\nblue\n")), TRUE);
  near(await labelled(NAMES), TRUE);
  const url = `data:text/plain,${encodeURIComponent("red\ngreen\nblue\n")}`;
  near(await labelled(url), TRUE);
});

row("labels: `0 Cat`, each line with its own number", "numbers taken off", async () => {
  for (const lines of [
    "0 Cat\n1 Dog\n2 Bird\n",
    "0 Cat\r\n1 Dog\r\n2 Bird\r\n\r\n",
    "0: Cat\n1: Dog\n2: Bird",
  ]) {
    near(await labelled(text(lines)), CAT);
    near(await labelled(lines.split("\n")), CAT);
  }
  near(await labelled(text("0 7up\n1 Fanta\n2 Cola\n")), {
    "7up": 0.9646631,
    Fanta: 0.0176684,
    Cola: 0.0176684,
  });
  const some = await scores({
    model: colors(),
    ...unit,
    labels: text("0 Cat\n1 Dog\n2 Bird"),
    categoryAllowlist: ["Cat"],
  });
  near(some, { Cat: 0.9646631 });
});

row("labels: numbers that are not the lines' own", "kept", async () => {
  const kept = await labelled(text("0 Cat\n7 Dog\n2 Bird\n"));
  near(kept, { "0 Cat": 0.9646631, "7 Dog": 0.0176684, "2 Bird": 0.0176684 });
});

row("labels: Python dictionary, JSON array or object, `id2label`", "taken", async () => {
  for (const source of [
    "{0: 'red', 1: 'green', 2: 'blue'}",
    "{'task': 'classify', 'imgsz': [32, 32], 'names': {0: 'red', 1: 'green', 2: 'blue'}}",
    '["red", "green", "blue"]',
    '{"0": "red", "2": "blue", "1": "green"}',
    '{"0": ["n1", "red"], "1": ["n2", "green"], "2": ["n3", "blue"]}',
    '{"red": 0, "green": 1, "blue": 2}',
    '{"model_type": "vit", "id2label": {"0": "red", "1": "green", "2": "blue"}}',
  ]) {
    near(await labelled(text(source)), TRUE);
  }
  const broken = labelled(text('{"0": "red", '));
  await refused(broken, "INVALID_OPTION", /^labels: the label file ends early at byte 12/);
});

row("labels: CSV with a header, `n01440764 tench`, YAML `names:`", "taken", async () => {
  near(await labelled(text("id,name\n0,red\n1,green\n2,blue\n")), TRUE);
  near(await labelled(text("n01440764 red\nn01443537 green\nn01484850 blue\n")), TRUE);
  near(await labelled(text("task: classify\nnames:\n  0: red\n  1: green\n  2: blue\n")), TRUE);
});

row(
  "labels: a label map (`item { id: 1 name: 'x' }`)",
  "taken, with or without the background",
  async () => {
    const items = NAMES.map((name, at) => `item {\n  id: ${at + 1}\n  name: '${name}'\n}\n`);
    near(await labelled(text(items.join(""))), TRUE);
    const two = await labelled(text(items.slice(0, 2).join("")));
    near(two, { "": 0.9646631, red: 0.0176684, green: 0.0176684 });
  },
);

row("labels: one too many, of which the first is `background`", "the rest is taken", async () => {
  near(await labelled(["background", ...NAMES]), TRUE);
  near(await labelled(text("???\nred\ngreen\nblue\n")), TRUE);
});

row("labels: too many or too few otherwise", "INVALID_OPTION with both numbers", async () => {
  await refused(
    labelled([...NAMES, "more"]),
    "INVALID_OPTION",
    /has 3 classes, the list has 4 names/,
  );
  await refused(
    labelled(text("red\ngreen\n")),
    "INVALID_OPTION",
    /has 3 classes, the list has 2 names/,
  );
});

row("labels in an ONNX file's `metadata_props` (`names`, `classes`, ...)", "taken", async () => {
  for (const properties of [
    { names: "{0: 'red', 1: 'green', 2: 'blue'}" },
    { classes: '["red", "green", "blue"]' },
    { class_names: "red, green, blue" },
  ]) {
    const bytes = colors((parts) => ({ ...parts, properties }));
    near(await scores({ model: bytes, ...unit }), TRUE);
    near(await scores({ model: bytes, ...unit, labels: ["Cat", "Dog", "Bird"] }), CAT);
  }
  const few = colors((parts) => ({ ...parts, properties: { names: "{0: 'a', 1: 'b'}" } }));
  await refused(scores({ model: few, ...unit }), "MODEL_FORMAT", /has 2 names, .* has 3 classes/);
  await (await createModel({ model: few, worker: false, threads: 1 })).close();
});

const ULTRALYTICS = {
  task: "classify",
  imgsz: "[32, 32]",
  names: "{0: 'red', 1: 'green', 2: 'blue'}",
};
// Red in the middle, cut out: by the edges' blending a little less.
const CUT = { red: 0.963, green: 0.0188, blue: 0.0182 };

row(
  "Ultralytics' `task: classify`, in an ONNX or .tflite file",
  "0..1, short side and center crop",
  async () => {
    const onnx = colors((parts) => ({ ...parts, properties: ULTRALYTICS }));
    near(await scores({ model: onnx }), TRUE);
    near(await scores({ model: onnx }, wide()), TRUE, 0.01);
    const converted = await convertOnnx(onnx);
    near(await scores({ model: converted }, wide()), TRUE, 0.01);
    const bare = await convertOnnx(colors());
    const json = JSON.stringify({ task: "classify", names: { 0: "red", 1: "green", 2: "blue" } });
    const newer = withLabelFile(bare, { "metadata.json": json });
    near(await scores({ model: newer }, wide()), TRUE, 0.01);
    const plain = await convertOnnx(colors(), { labels: NAMES, preprocess: "unit" });
    const dict =
      "{'description': 'x', 'task': 'classify', 'names': {0: 'red', 1: 'green', 2: 'blue'}}";
    const older = withLabelFile(plain, { "labels.txt": dict });
    near(await scores({ model: older }, wide()), TRUE, 0.01);
    const stretched = await scores({ model: older, preprocess: { fit: "stretch" } }, wide());
    assert.ok(stretched.green > stretched.red);
  },
);

row("two names for one sigmoid score `p`", "`1 - p` and `p`", async () => {
  const labels = ["blue", "red"];
  const red = { blue: 0.0179862, red: 0.9820138 };
  near(await scores({ model: oneScore(), ...unit, labels }), red);
  near(await scores({ model: oneScore(""), ...unit, labels, activation: "sigmoid" }), red);
  near(await scores({ model: oneScore(), ...unit, labels }, picture([0, 0, 255])), {
    blue: 0.9820138,
    red: 0.0179862,
  });
  const properties = { names: "{0: 'blue', 1: 'red'}" };
  near(await scores({ model: await convertOnnx(oneScore(), { labels }), ...unit }), red);
  assert.ok(properties);
  const logit = scores({ model: oneScore(""), ...unit, labels });
  await refused(
    logit,
    "INVALID_OPTION",
    /2 names are for one score of a sigmoid.*activation: "sigmoid"/,
  );
});

row("a softmax over one class", "refused: it is 1 for every picture", async () => {
  const asked = scores({ model: oneScore(""), ...unit, activation: "softmax" });
  await refused(asked, "INVALID_OPTION", /^activation: a softmax over the one class/);
  const own = scores({ model: oneScore("Softmax"), ...unit });
  await refused(own, "UNSUPPORTED_TYPE", /softmax over one class, which is 1 for every picture/);
});

row("a zip of a model and labels, also in a folder of it", "opened", async () => {
  const tflite = await convertOnnx(colors(), { preprocess: "unit" });
  const labels = "0 Cat\n1 Dog\n2 Bird\n";
  for (const deflate of [false, true]) {
    for (const at of ["", "converted/"]) {
      const bytes = zip(
        {
          [`${at}model.tflite`]: tflite,
          [`${at}labels.txt`]: labels,
          "__MACOSX/._labels.txt": "x",
        },
        { deflate },
      );
      near(await scores({ model: bytes }), CAT);
      near(await scores({ model: file("exported.zip", bytes), labels: NAMES }), TRUE);
    }
  }
  const onnx = zip(
    { "m.onnx": colors(), "labels.json": '["red", "green", "blue"]' },
    { deflate: true },
  );
  near(await scores({ model: onnx, ...unit }), TRUE);
  const files = [new File([tflite], "m.tflite"), new File([labels], "labels.txt")];
  near(await scores({ model: files }), CAT);
  assert.equal((await convertOnnx(onnx, unit)).byteLength > 0, true);
});

row(
  "Teachable Machine's converted_tflite.zip",
  "opened, -1..1 of the picture's middle; `runtime.fallbacks` says so",
  async () => {
    const bytes = zip({
      "model_unquant.tflite": await convertOnnx(colors()),
      "labels.txt": "0 Cat\n1 Dog\n2 Bird\n",
    });
    const classifier = await createClassifier({ model: bytes, worker: false, threads: 1 });
    const { classifications } = await classifier.classify(wide());
    // softmax of 4 * (1, -1, -1).
    assert.equal(classifications[0].categories[0].categoryName, "Cat");
    assert.ok(classifications[0].categories[0].score > 0.99);
    const [said] = classifier.runtime.fallbacks.filter(({ from }) => from === "preprocess");
    assert.match(said.reason, /as Teachable Machine exports them/);
    await classifier.close();
    near(await scores({ model: bytes, ...unit }), CAT);
  },
);

row("a zip of several models, or of none", "refused by the files' names", async () => {
  const bytes = await convertOnnx(colors());
  await refused(
    scores({ model: zip({ "a.tflite": bytes, "b/b.onnx": colors() }) }),
    "INVALID_OPTION",
    /"a.tflite", "b\/b.onnx": give one/,
  );
  await refused(
    scores({ model: zip({ "keras_model.h5": "x", "labels.txt": "x" }) }),
    "MODEL_FORMAT",
    /holds no .tflite or .onnx.*"keras_model.h5", "labels.txt"; export the model as TensorFlow Lite/,
  );
  const two = zip({ "a.tflite": bytes, "labels.txt": "x", "labels_pt.txt": "y" });
  await refused(
    scores({ model: two, ...unit }),
    "INVALID_OPTION",
    /several label files beside "a.tflite", "labels.txt", "labels_pt.txt"/,
  );
  near(await scores({ model: two, ...unit, labels: NAMES }), TRUE);
});

row("a zip that is damaged, a bomb, or names files outside of it", "MODEL_FORMAT", async () => {
  const bytes = await convertOnnx(colors());
  const open = (files, options) => scores({ model: zip(files, options), ...unit });
  await refused(
    open({ "../a.tflite": bytes }),
    "MODEL_FORMAT",
    /"\.\.\/a\.tflite", which leaves its folder/,
  );
  await refused(open({ "/a.tflite": bytes }), "MODEL_FORMAT", /leaves its folder/);
  await refused(open({ "a\\..\\b.tflite": bytes }), "MODEL_FORMAT", /leaves its folder/);
  await refused(
    open({ "a.tflite": [2 ** 30, bytes] }),
    "MODEL_FORMAT",
    /unpacks to 1073741824 bytes; at most 67108864/,
  );
  await refused(
    open({ "a.tflite": [10, bytes] }, { deflate: true }),
    "MODEL_FORMAT",
    /does not unpack to what/,
  );
  await refused(
    open({ "a.tflite": bytes, "labels.txt": [5 << 20, "x"] }),
    "MODEL_FORMAT",
    /"labels.txt" in the zip unpacks/,
  );
  const whole = zip({ "a.tflite": bytes, "labels.txt": "0 Cat\n1 Dog\n2 Bird" }, { deflate: true });
  for (let cut = 4; cut < whole.length; cut += 97) {
    await refused(scores({ model: whole.slice(0, cut), ...unit }), "MODEL_FORMAT", /zip/);
  }
});

row("ONNX with external data, from a path or URL", "the files beside it are read", async () => {
  const { bytes, data } = withExternalData();
  const place = file("ext/m.onnx", bytes);
  file("ext/m.onnx.data", data);
  near(await scores({ model: place, ...unit, labels: NAMES }), TRUE);
  near(await scores({ model: new URL(`file://${place}`), ...unit, labels: NAMES }), TRUE);
  near(await scores({ model: path.dirname(place), ...unit, labels: NAMES }), TRUE);
  const below = withExternalData("weights/m.bin");
  const other = file("below/m.onnx", below.bytes);
  file("below/weights/m.bin", below.data);
  near(await scores({ model: other, ...unit, labels: NAMES }), TRUE);
  rmSync(path.join(folder, "below/weights/m.bin"));
  await refused(
    scores({ model: other, ...unit }),
    "MODEL_FETCH",
    /external data "weights\/m.bin" cannot be fetched/,
  );
  const zipped = zip({ "x/m.onnx": bytes, "x/m.onnx.data": data });
  near(await scores({ model: zipped, ...unit, labels: NAMES }), TRUE);
});

row(
  "ONNX with external data, as bytes",
  "`externalData` gives it, or INVALID_OPTION names the file",
  async () => {
    const { bytes, data } = withExternalData();
    const open = (options) => scores({ model: bytes, ...unit, labels: NAMES, ...options });
    for (const given of [data, new Blob([data]), data.buffer, file("given.data", data)]) {
      near(await open({ externalData: { "m.onnx.data": given } }), TRUE);
    }
    await refused(
      open({}),
      "INVALID_OPTION",
      /another file, "m.onnx.data": give it as externalData/,
    );
    await refused(
      open({ externalData: { "n.data": data } }),
      "INVALID_OPTION",
      /"m.onnx.data".*externalData has n.data/,
    );
    const more = { "m.onnx.data": data, more: data };
    await refused(
      open({ externalData: more }),
      "INVALID_OPTION",
      /has no file "more"; it has m.onnx.data/,
    );
    const whole = scores({ model: colors(), ...unit, externalData: { x: data } });
    await refused(whole, "INVALID_OPTION", /^externalData: the model has its weights in itself/);
    const hash = (some) => `sha256-${createHash("sha256").update(some).digest("base64")}`;
    const externalData = { "m.onnx.data": data };
    await refused(
      open({ externalData, integrity: hash(bytes) }),
      "INVALID_OPTION",
      /integrity: .*"m.onnx.data"; give the hash of each/,
    );
    near(
      await open({ externalData, integrity: { model: hash(bytes), "m.onnx.data": hash(data) } }),
      TRUE,
    );
    const wrong = { model: hash(bytes), "m.onnx.data": hash(bytes) };
    await refused(
      open({ externalData, integrity: wrong }),
      "MODEL_INTEGRITY",
      /external data "m.onnx.data" is another file/,
    );
  },
);

row("external data outside of the model's folder, or too short", "MODEL_FORMAT", async () => {
  for (const location of [
    "../x",
    "a/../../x",
    "/etc/passwd",
    "file:///etc/passwd",
    "https://example.com/x",
    "C:\\x",
    "a\\..\\b",
    "",
  ]) {
    const { bytes, data } = withExternalData(location);
    const opened = scores({
      model: file("out/m.onnx", bytes),
      ...unit,
      externalData: { [location]: data },
    });
    await refused(opened, "MODEL_FORMAT", /which is no file beside the model or below its folder/);
  }
  const outside = file("secret.bin", withExternalData().data);
  const linked = file("linked/m.onnx", withExternalData("l.data").bytes);
  symlinkSync(outside, path.join(folder, "linked/l.data"));
  await refused(
    scores({ model: linked, ...unit }),
    "MODEL_FORMAT",
    /"l.data", which is a link out of the model's folder/,
  );
  const short = withExternalData("m.onnx.data", { length: 99 });
  const cut = scores({ model: short.bytes, ...unit, externalData: { "m.onnx.data": short.data } });
  await refused(
    cut,
    "MODEL_FORMAT",
    /tensor "W" needs bytes 0 to 99 of "m.onnx.data", which has 48/,
  );
  const odd = withExternalData("m.onnx.data", { offset: -1 });
  const bad = scores({ model: odd.bytes, ...unit, externalData: { "m.onnx.data": odd.data } });
  await refused(bad, "MODEL_FORMAT", /its offset in another file is "-1"/);
});

row("external data on the command line", "read by `classify` and `convert`", () => {
  const { bytes, data } = withExternalData();
  const place = file("cli/m.onnx", bytes);
  file("cli/m.onnx.data", data);
  const cli = (...args) =>
    execFileSync(process.execPath, ["pkg/bin/achado.js", ...args], { encoding: "utf8" });
  const out = path.join(folder, "cli/m.tflite");
  assert.match(
    cli(
      "convert",
      place,
      "-o",
      out,
      "--labels",
      file("l.json", '["a", "b", "c"]'),
      "--preprocess",
      "unit",
    ),
    /bytes/,
  );
  const photo = "tests/fixtures/photos/cat.jpg";
  const answer = (model, ...more) =>
    JSON.parse(
      cli("classify", photo, "--json", "--model", model, ...more),
    )[0].classifications[0].categories.map(({ score }) => score);
  assert.deepEqual(answer(out), answer(place, "--preprocess", "unit"));
});

row("input `[1, h, w]` or `[h, w]`", "a gray picture", async () => {
  const [black, white] = [picture([0, 0, 0], 28, 28), picture([255, 255, 255], 28, 28)];
  const labels = ["b", "w"];
  for (const shape of [
    [1, 28, 28],
    [28, 28],
    [1, 1, 28, 28],
  ]) {
    for (const bytes of [blackOrWhite(shape), await convertOnnx(blackOrWhite(shape))]) {
      near(await scores({ model: bytes, ...unit, labels }, black), { b: 0.9996647, w: 0.0003353 });
      near(await scores({ model: bytes, ...unit, labels }, white), { b: 0.0003353, w: 0.9996647 });
    }
  }
});

row(
  "input `[1, 784]`",
  "INVALID_OPTION or UNSUPPORTED_TYPE says which shape to declare; `inputShapes` declares it",
  async () => {
    const white = picture([255, 255, 255], 28, 28);
    for (const shape of [[1, 784], [784]]) {
      for (const bytes of [blackOrWhite(shape), await convertOnnx(blackOrWhite(shape))]) {
        const open = (options) =>
          scores({ model: bytes, ...unit, labels: ["b", "w"], ...options }, white);
        await refused(
          open({}),
          "UNSUPPORTED_TYPE",
          /a row of 784 numbers.*inputShapes: \{ "input": \[1, 28, 28\] \}/,
        );
        for (const declared of [
          [1, 28, 28],
          [1, 1, 28, 28],
          [1, 28, 28, 1],
        ]) {
          near(await open({ inputShapes: { input: declared } }), { b: 0.0003353, w: 0.9996647 });
        }
        const wrong = await refused(
          open({ inputShapes: { input: [1, 1, 28, 29] } }),
          "INVALID_OPTION",
          /./,
        );
        assert.doesNotMatch(wrong.message, /Known\(|Open\(|Some\(/);
      }
    }
  },
);

row(
  "an ONNX input of uint8; of int8 without a scale",
  "pixels as they are, without `preprocess`; refused",
  async () => {
    const labels = ["b", "w"];
    const white = picture([255, 255, 255], 28, 28);
    const black = picture([0, 0, 0], 28, 28);
    const bytes = blackOrWhite([1, 1, 28, 28], 2);
    assert.ok((await scores({ model: bytes, labels }, white)).w > 0.999);
    assert.ok((await scores({ model: bytes, labels }, black)).b > 0.999);
    const prepared = scores({ model: bytes, labels, ...unit }, white);
    await refused(prepared, "UNSUPPORTED_TYPE", /"input" is uint8 without one scale/);
    const signed = scores({ model: blackOrWhite([1, 1, 28, 28], 3), labels }, white);
    await refused(signed, "UNSUPPORTED_TYPE", /"input" is int8 without one scale/);
  },
);

row("a batch fixed to n pictures", "filled up; `classifyBatch` takes n at once", async () => {
  const bytes = colors((parts) => ({
    ...parts,
    inputs: [value("input", [4, 3, 32, 32])],
    outputs: [value("scores", [4, 3])],
  }));
  for (const one of [bytes, await convertOnnx(bytes)]) {
    near(await scores({ model: one, ...unit, labels: NAMES }), TRUE);
    const classifier = await createClassifier({
      model: one,
      ...unit,
      labels: NAMES,
      worker: false,
      threads: 1,
    });
    const hues = [
      [255, 0, 0],
      [0, 255, 0],
      [0, 0, 255],
      [255, 0, 0],
      [0, 255, 0],
      [0, 0, 255],
    ];
    const results = await classifier.classifyBatch(hues.map((hue) => picture(hue)));
    assert.deepEqual(
      results.map(({ top }) => top.categoryName),
      [...NAMES, ...NAMES],
    );
    for (const { top } of results) assert.ok(Math.abs(top.score - TRUE.red) < 1e-4);
    await classifier.close();
  }
});

row("initializers that are listed as inputs, too", "constants", async () => {
  const bytes = colors((parts) => ({
    ...parts,
    inputs: [value("W", [3, 3]), ...parts.inputs, value("B", [3])],
  }));
  near(await scores({ model: bytes, ...unit, labels: NAMES }), TRUE);
});

row(
  "ZipMap, LabelEncoder, ArrayFeatureExtractor at the end",
  "taken off; their strings are the labels",
  async () => {
    const ml = "ai.onnx.ml";
    const zipMap = node("ZipMap", ["scores"], ["map"], { classlabels_strings: NAMES }, ml);
    const argMax = node("ArgMax", ["scores"], ["best"], { axis: 1, keepdims: 0 });
    const encoder = node(
      "LabelEncoder",
      ["best"],
      ["label"],
      { keys_int64s: [0, 1, 2], values_strings: NAMES },
      ml,
    );
    const extractor = node("ArrayFeatureExtractor", ["names", "best"], ["label"], {}, ml);
    const strings = [tensor("names", [3], NAMES, 8)];
    const label = value("label", [1], 8);
    const map = value("map", [1]);
    for (const [nodes, outputs, initializers] of [
      [[argMax, encoder, zipMap], [label, map], []],
      [[zipMap], [map], []],
      [[argMax, encoder], [label], []],
      [[argMax, extractor, zipMap], [label, map], strings],
      [[argMax, extractor], [label], strings],
    ]) {
      const bytes = colors((parts) => ({
        ...parts,
        nodes: [...parts.nodes, ...nodes],
        initializers: [...parts.initializers, ...initializers],
        outputs,
      }));
      near(await scores({ model: bytes, ...unit }), TRUE);
    }
  },
);

row(
  "ArgMax as the only output",
  "a classifier gives the scores that it chooses from; `run` the choice",
  async () => {
    const bytes = colors((parts) => ({
      ...parts,
      nodes: [...parts.nodes, node("ArgMax", ["scores"], ["best"], { axis: 1, keepdims: 0 })],
      outputs: [value("best", [1], 7)],
    }));
    for (const one of [bytes, await convertOnnx(bytes)]) {
      near(await scores({ model: one, ...unit, labels: NAMES }), TRUE);
      const opened = await createModel({ model: one, ...unit, worker: false, threads: 1 });
      const { best } = await opened.runImage(picture([0, 0, 255]));
      assert.equal(Number(best.data[0]), 2);
      await opened.close();
    }
  },
);

row(
  "`preprocessor_config.json` or timm's `config.json`, as `config` or in a zip or folder",
  "decides how pictures are prepared",
  async () => {
    const half = {
      image_mean: [0.5, 0.5, 0.5],
      image_std: [0.5, 0.5, 0.5],
      do_resize: true,
      size: { height: 32, width: 32 },
      resample: 2,
    };
    const timm = {
      architecture: "x",
      pretrained_cfg: {
        mean: [0.5, 0.5, 0.5],
        std: [0.5, 0.5, 0.5],
        input_size: [3, 32, 32],
        interpolation: "bilinear",
        crop_pct: 1,
      },
    };
    const wanted = { red: 0.99933, green: 0.000335, blue: 0.000335 };
    const own = { model: colors(), labels: NAMES };
    for (const config of [
      half,
      text(JSON.stringify(half)),
      new Blob([JSON.stringify(half)]),
      file("preprocessor_config.json", JSON.stringify(half)),
      timm,
      [{ model_type: "vit", id2label: { 0: "x" } }, half],
    ]) {
      near(await scores({ ...own, config }), wanted);
    }
    near(await scores({ ...own, config: half, preprocess: "unit" }), TRUE);
    const id2label = { 0: "red", 1: "green", 2: "blue" };
    const files = {
      "m.onnx": colors(),
      "config.json": JSON.stringify({ model_type: "vit", id2label }),
      "preprocessor_config.json": JSON.stringify(half),
    };
    near(await scores({ model: zip(files) }), wanted);
    for (const [name, bytes] of Object.entries(files)) file(`hf/${name}`, bytes);
    near(await scores({ model: path.join(folder, "hf") }), wanted);
    // The short side, then the center.
    const cut = {
      ...half,
      size: { shortest_edge: 32 },
      do_center_crop: true,
      crop_size: { height: 32, width: 32 },
    };
    near(await scores({ ...own, config: cut }, wide()), wanted, 0.01);
    near(await scores({ ...own, config: timm }, wide()), wanted, 0.01);
    await refused(
      scores({ ...own, config: { a: 1 } }),
      "MODEL_FORMAT",
      /says nothing about pictures or classes/,
    );
    await refused(
      scores({ ...own, config: { ...half, resample: 9 } }),
      "MODEL_FORMAT",
      /resizes by "9"/,
    );
    await refused(scores({ ...own, config: 5 }), "INVALID_OPTION", /^config: must be/);
  },
);

test("docs/files.md has these rows", () => {
  const docs = readFileSync("docs/files.md", "utf8");
  const rows = docs
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .map((line) => line.split(" | ").map((cell) => cell.replace(/^\| | *\|$/g, "").trim()));
  assert.deepEqual(rows.slice(2), ROWS);
});
