// The command line, as a user calls it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const program = path.join(root, "pkg/bin/achado.js");
const photo = (name) => path.join(root, "tests/fixtures/photos", name);

function achado(...argv) {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...argv], (error, stdout, stderr) =>
      resolve({ status: error ? error.code : 0, stdout, stderr }),
    );
  });
}

test("names photos in a table", async () => {
  const one = await achado("classify", photo("cat.jpg"));
  assert.equal(one.status, 0, one.stderr);
  const lines = one.stdout.trimEnd().split("\n");
  assert.match(lines[0], /^ +\d+\.\d %  Egyptian cat$/);
  assert.match(lines.at(-1), /^ +[\d.]+ ms$/);
  assert.ok(lines.length <= 6);

  const two = await achado("classify", photo("coffee.jpg"), photo("camera.jpg"), "--top", "1");
  assert.match(two.stdout, /coffee\.jpg\n.* espresso\n.*ms\n.*camera\.jpg\n.* tripod\n.*ms\n$/);
});

test("--json gives score, index, name and timings", async () => {
  const { status, stdout } = await achado(
    ...["classify", photo("cat.jpg"), photo("coffee.jpg"), "--json", "--top", "3"],
  );
  assert.equal(status, 0);
  const answers = JSON.parse(stdout);
  assert.deepEqual(
    answers.map((answer) => answer.top.categoryName),
    ["Egyptian cat", "espresso"],
  );
  const [{ photo: name, classifications, timings }] = answers;
  assert.equal(name, photo("cat.jpg"));
  assert.equal(classifications[0].categories.length, 3);
  const { index, score } = classifications[0].categories[0];
  assert.equal(index, 285);
  assert.ok(score > 0.3 && score < 1);
  assert.deepEqual(Object.keys(timings), ["preprocess", "inference", "postprocess"]);
});

test("--model, --labels and --min-score", async () => {
  const model = path.join(root, "pkg/models/efficientnet-lite0-int8.tflite");
  const own = await achado("classify", photo("cat.jpg"), "--model", model, "--min-score", "0.9");
  assert.match(own.stdout, /no category has a score that high/);
  const labels = await achado("classify", photo("cat.jpg"), "--labels", program);
  assert.equal(labels.status, 1);
  assert.match(labels.stderr, /labels: the model has 1000 classes, the list has 2 names/);
});

test("a photo that fails does not stop the others", async () => {
  const nothing = photo("nothing.jpg");
  const text = await achado("classify", nothing, photo("cat.jpg"), photo("README.md"));
  assert.equal(text.status, 1);
  assert.match(text.stdout, /Egyptian cat/);
  assert.match(text.stderr, /nothing\.jpg: there is no file/);
  assert.match(text.stderr, /README\.md: the file is not a picture/);

  const json = await achado("classify", nothing, photo("cat.jpg"), "--json");
  assert.equal(json.status, 1);
  const [failed, worked] = JSON.parse(json.stdout);
  assert.equal(failed.error.code, "INVALID_INPUT");
  assert.equal(worked.top.index, 285);
});

test("models that do not work say why", async () => {
  const missing = await achado("classify", photo("cat.jpg"), "--model", "nowhere.tflite");
  assert.equal(missing.status, 1);
  assert.match(
    missing.stderr,
    /^achado: the model cannot be fetched from nowhere\.tflite: there is no such file\n$/,
  );
  const picture = await achado("classify", photo("cat.jpg"), "--model", photo("cat.jpg"));
  assert.equal(picture.status, 1);
  assert.match(picture.stderr, /not a \.tflite model/);
});

test("convert writes a .tflite that says its labels and normalisation", async (t) => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "achado-convert-"));
  t.after(() => rm(folder, { recursive: true }));
  const onnx = path.join(root, "tests/fixtures/onnx/colours.onnx");
  const names = path.join(folder, "names.txt");
  await writeFile(names, "warm\nfresh\ncold\n");
  const model = path.join(folder, "colours.tflite");
  for (const how of [
    ["--preprocess", "imagenet"],
    ["--mean", "123.675,116.28,103.53", "--std", "58.395,57.12,57.375"],
  ]) {
    const made = await achado("convert", onnx, "-o", model, "--labels", names, ...how);
    assert.equal(made.status, 0, made.stderr);
    // A photo of a cup of coffee on a saucer is brown: without a further word about the model.
    const seen = await achado("classify", photo("coffee.jpg"), "--model", model, "--json");
    assert.equal(seen.status, 0, seen.stderr);
    const [{ top, classifications }] = JSON.parse(seen.stdout);
    assert.equal(top.categoryName, "warm");
    assert.deepEqual(classifications[0].categories.map((one) => one.categoryName).sort(), [
      "cold",
      "fresh",
      "warm",
    ]);
  }
  const bgr = ["--mean", "104,117,123", "--std", "60", "--bgr"];
  assert.equal((await achado("convert", onnx, "-o", model, ...bgr)).status, 0);
  const blue = await achado("classify", photo("coffee.jpg"), "--model", model, "--json");
  assert.equal(JSON.parse(blue.stdout)[0].top.index, 2, "red is the last of blue, green and red");
});

test("an ONNX model is classified with, and a model that is none is not converted", async () => {
  const onnx = path.join(root, "tests/fixtures/onnx/colours.onnx");
  const ready = ["--model", onnx, "--preprocess", "imagenet", "--json"];
  const seen = await achado("classify", photo("coffee.jpg"), ...ready);
  assert.equal(JSON.parse(seen.stdout)[0].top.index, 0, seen.stderr);
  const unsaid = await achado("classify", photo("coffee.jpg"), "--model", onnx);
  assert.equal(unsaid.status, 1);
  assert.match(unsaid.stderr, /does not say how pixels become its values/);
  const output = path.join(os.tmpdir(), "achado-never-written.tflite");
  const none = await achado("convert", photo("cat.jpg"), "-o", output);
  assert.equal(none.status, 1);
  assert.match(none.stderr, /not an ONNX model/);
  assert.equal(existsSync(output), false);
});

test("a model with an operator that achado lacks is classified where tract is allowed", async () => {
  const onnx = path.join(root, "tests/fixtures/onnx/einsum.onnx");
  const ready = [photo("coffee.jpg"), "--model", onnx, "--preprocess", "unit", "--json"];
  const refused = await achado("classify", ...ready);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /BitwiseAnd.*--onnx-fallback tract may run/);
  const seen = await achado("classify", ...ready, "--onnx-fallback", "tract");
  assert.equal(JSON.parse(seen.stdout)[0].classifications[0].categories.length, 5, seen.stderr);
  const other = await achado("classify", ...ready, "--onnx-fallback", "other");
  assert.match(other.stderr, /must be "tract", is other/);
});

test("a wrong command line is status 2 and points to --help", async () => {
  for (const [argv, words] of [
    [[], /what shall be done/],
    [["clasify", "x.jpg"], /there is no command "clasify"/],
    [["classify"], /classify needs a photo/],
    [["classify", "x.jpg", "--top", "none"], /--top needs a whole number above 0, has "none"/],
    [["classify", "x.jpg", "--top", "0"], /--top/],
    [["classify", "x.jpg", "--min-score", "low"], /--min-score needs a number, has "low"/],
    [["classify", "x.jpg", "--modle", "m"], /classify has no option --modle, did you mean "model"/],
    [
      ["convert", "m.onnx", "-o", "m.tflite", "--top", "3"],
      /no option --top; it is one of classify/,
    ],
    [["classify", "x.jpg", "-o", "x"], /classify has no option -o; it is one of convert/],
    [["copy"], /copy needs a folder/],
    [["copy", "x", "--parts", "core,thread"], /no "thread", did you mean "threads"/],
    [["convert", "m.onnx"], /convert needs -o FILE/],
    [["convert", "-o", "m.tflite"], /convert needs a model/],
    [["convert", "m.onnx", "-o", "m.tflite", "--mean", "1"], /--mean and --std go together/],
    [["convert", "m.onnx", "-o", "m.tflite", "--mean", "a", "--std", "1"], /--mean needs numbers/],
  ]) {
    const { status, stdout, stderr } = await achado(...argv);
    assert.equal(status, 2, argv.join(" "));
    assert.equal(stdout, "");
    assert.match(stderr, words);
    assert.match(stderr, /achado --help says more/);
  }
});

test("--help and --version", async () => {
  const help = await achado("--help");
  assert.equal(help.status, 0);
  for (const option of ["--model", "--labels", "--locale", "--top", "--min-score", "--json"]) {
    assert.ok(help.stdout.includes(option), option);
  }
  const { version } = JSON.parse(await readFile(path.join(root, "pkg/package.json"), "utf8"));
  assert.equal((await achado("--version")).stdout, `achado ${version}\n`);
});

test("copy takes what pages fetch to a folder, or parts of it, and says how much", async (t) => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "achado-copy-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const target = path.join(folder, "public", "achado");
  const { status, stdout, stderr } = await achado("copy", target, "--parts", "core,onnx");
  assert.equal(status, 0, stderr);
  const files = ["relaxed.wasm", "simd128.wasm", "worker.js", "onnx.wasm"];
  assert.deepEqual((await readdir(target)).sort(), files.toSorted());
  let sum = 0;
  for (const file of files) {
    const bytes = await readFile(path.join(target, file));
    assert.deepEqual(bytes, await readFile(path.join(root, "pkg/dist", file)));
    sum += bytes.length;
  }
  assert.match(stdout, new RegExp(`^ *${sum}  bytes in all$`, "m"));
  assert.match((await achado("copy", "--help")).stdout, /usage: achado copy FOLDER/);
});
