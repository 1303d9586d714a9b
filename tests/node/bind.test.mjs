// `achado bind`: the classes that it writes pass strict TypeScript and run, and so do modules of
// `achado/vite` and `achado/webpack`.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { build, transform } from "esbuild";

const repository = fileURLToPath(new URL("../../", import.meta.url));
const fixture = (name) => path.join(repository, "tests/fixtures", name);
const photo = fixture("photos/cat.jpg");
const execute = promisify(execFile);

let folder;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "achado-bind-"));
  await mkdir(path.join(folder, "node_modules"));
  await symlink(path.join(repository, "pkg"), path.join(folder, "node_modules/achado"));
  await mkdir(path.join(folder, "models"));
  const copies = {
    "efficientnet-lite0.tflite": path.join(repository, "models/efficientnet-lite0-int8.tflite"),
    "two_heads.tflite": fixture("small_models/two_heads.tflite"),
    "tensors.tflite": fixture("small_models/tensors.tflite"),
    "colours.onnx": fixture("onnx/colours.onnx"),
  };
  for (const [name, from] of Object.entries(copies)) {
    await copyFile(from, path.join(folder, "models", name));
  }
  await writeFile(path.join(folder, "package.json"), '{ "type": "module" }\n');
});
after(() => rm(folder, { recursive: true, force: true }));

function achado(...argv) {
  const program = path.join(repository, "pkg/bin/achado.js");
  return execute(process.execPath, [program, ...argv], { cwd: folder }).catch((error) => error);
}

/** What TypeScript says of these files at its strictest. */
async function complaints(files) {
  const compilerOptions = {
    target: "es2022",
    module: "esnext",
    moduleResolution: "bundler",
    lib: ["es2022", "dom", "dom.iterable"],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noUnusedLocals: true,
    noUnusedParameters: true,
    noImplicitOverride: true,
    verbatimModuleSyntax: true,
    isolatedModules: true,
    skipLibCheck: false,
    types: [],
    noEmit: true,
  };
  await writeFile(path.join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
  const tsc = path.join(repository, "node_modules/typescript/bin/tsc");
  const run = execute(process.execPath, [tsc, "-p", folder], { cwd: folder });
  return (await run.catch((error) => error)).stdout;
}

/** A module of TypeScript, run. */
async function imported(file) {
  const source = await readFile(path.join(folder, file), "utf8");
  const { code } = await transform(source, { loader: "ts", target: "es2022" });
  const out = path.join(folder, file.replace(/\.ts$/, ".js"));
  await writeFile(out, code);
  return import(pathToFileURL(out));
}

const USE = `import type { ImageInput } from "achado";
import { EfficientnetLite0, type EfficientnetLite0ProbabilityLabel } from "./ml/efficientnet-lite0.js";
import { TwoHeads } from "./ml/two_heads.js";
import { Tensors } from "./ml/tensors.js";
export async function best(image: ImageInput): Promise<EfficientnetLite0ProbabilityLabel | undefined> {
  await using model = await EfficientnetLite0.newInstance({ maxResults: 1 });
  const { probability } = await model.process({ image });
  return probability[0]?.categoryName;
}
const cat: EfficientnetLite0ProbabilityLabel = "Egyptian cat";
// @ts-expect-error: there is no such class
const dog: EfficientnetLite0ProbabilityLabel = "Egyptian dog";
export const first: "tench, Tinca tinca" = EfficientnetLite0.labels.probability[0];
export async function heads(image: ImageInput) {
  const model = await TwoHeads.newInstance();
  const { kind, tone } = await model.process({ image });
  // @ts-expect-error: of a classifier there are its heads
  (await model.process({ image })).features;
  // @ts-expect-error: the input is called image
  await model.process({ picture: image });
  await model.close();
  return [cat, dog, kind, tone];
}
export const tensors = Tensors.newInstance;
`;

test("classes pass strict TypeScript and run; a wrong name is no label", async () => {
  const models = ["efficientnet-lite0", "two_heads", "tensors"].map(
    (name) => `models/${name}.tflite`,
  );
  const { stdout, stderr, code } = await achado("bind", ...models, "-o", "ml");
  assert.equal(code, undefined, stderr);
  assert.match(
    stdout,
    /ml\/efficientnet-lite0\.ts: EfficientnetLite0\n.*: TwoHeads\n.*: Tensors\n/,
  );
  await writeFile(path.join(folder, "use.ts"), USE.replace("await using", "const"));
  assert.equal(await complaints(["use.ts"]), "");

  const { EfficientnetLite0 } = await imported("ml/efficientnet-lite0.ts");
  const model = await EfficientnetLite0.newInstance({ maxResults: 3 });
  const { probability } = await model.process({ image: photo });
  assert.equal(probability.length, 3);
  assert.equal(probability[0].categoryName, "Egyptian cat");
  assert.equal(EfficientnetLite0.labels.probability[probability[0].index], "Egyptian cat");
  assert.equal(EfficientnetLite0.labels.probability.length, 1000);
  await assert.rejects(model.process({ imag: photo }), {
    code: "INVALID_INPUT",
    message: /no input "imag", did you mean "image"\?/,
  });
  await assert.rejects(model.process({}), { code: "INVALID_INPUT", message: /"image" is missing/ });
  await model.close();
  await assert.rejects(model.process({ image: photo }), { code: "CLOSED" });

  const { TwoHeads } = await imported("ml/two_heads.ts");
  const heads = await TwoHeads.newInstance({ worker: false });
  const outputs = await heads.process({ image: photo });
  assert.deepEqual(Object.keys(outputs), ["kind", "tone"]);
  for (const [key, found] of Object.entries(outputs)) {
    for (const { index, categoryName } of found) {
      assert.equal(TwoHeads.labels[key][index], categoryName);
    }
  }
  await heads.close();
});

test("a file that is not the one that was bound is refused by the class's name", async () => {
  await achado("bind", "models/two_heads.tflite", "-o", "ml");
  const { TwoHeads } = await imported("ml/two_heads.ts");
  const other = path.join(folder, "models/efficientnet-lite0.tflite");
  await assert.rejects(TwoHeads.newInstance({ model: other }), {
    name: "AchadoError",
    code: "MODEL_INTEGRITY",
    message: /needs sha256-.*TwoHeads was written for.*achado bind/,
  });
});

test("a model that is no classifier takes and gives typed tensors", async () => {
  await achado("bind", "models/tensors.tflite", "-o", "ml");
  const source = await readFile(path.join(folder, "ml/tensors.ts"), "utf8");
  const { Tensors } = await imported("ml/tensors.ts");
  const model = await Tensors.newInstance({ worker: false });
  const { inputs, outputs } = model.model.metadata;
  const given = Object.fromEntries(
    [...source.matchAll(/^ {2}(\w+): (\w+Array);$/gm)]
      .slice(0, inputs.length)
      .map(([, key, type], index) => {
        const size = inputs[index].shape.reduce((a, b) => a * b, 1);
        return [key, new globalThis[type](size)];
      }),
  );
  const answer = await model.process(given);
  assert.equal(Object.keys(answer).length, outputs.length);
  for (const { data, shape } of Object.values(answer)) {
    assert.equal(
      data.length,
      shape.reduce((a, b) => a * b, 1),
    );
  }
  await model.close();
});

test("an ONNX file needs to be told what pixels are; what it was told goes into the class", async () => {
  const plain = await achado("bind", "models/colours.onnx", "-o", "ml");
  assert.equal(plain.code, 1);
  assert.match(plain.stderr, /preprocess/);
  const told = await achado("bind", "models/colours.onnx", "-o", "ml", "--preprocess", "unit");
  assert.equal(told.code, undefined, told.stderr);
  assert.equal(await complaints(["ml/colours.ts"]), "");
  const { Colours } = await imported("ml/colours.ts");
  const model = await Colours.newInstance();
  const [output] = Object.values(
    await model.process({ [model.model.metadata.inputs[0].name]: photo }),
  );
  assert.ok(output.length > 0);
  await model.close();
});

test("two models that would be one file are refused, and a command line without a model", async () => {
  const twice = await achado("bind", "models/two_heads.tflite", "ml/two_heads.onnx", "-o", "ml");
  assert.deepEqual([twice.code, /two_heads\.ts: bind them/.test(twice.stderr)], [2, true]);
  assert.equal((await achado("bind", "-o", "ml")).code, 2);
  assert.equal((await achado("bind", "models/two_heads.tflite")).code, 2);
});

test("names are those of TensorFlow Lite's code generator", async () => {
  const out = path.join(folder, "naming.mjs");
  const entry = path.join(repository, "src/js/bind/naming.ts");
  await build({ entryPoints: [entry], outfile: out, format: "esm", logLevel: "error" });
  const { validName, nameTensors, camelCase, keysOf, classNameOf } = await import(
    pathToFileURL(out)
  );
  // The cases of code_generator_test.cc.
  assert.equal(validName("AlphaBetCOOL"), "alphabetcool");
  assert.equal(validName("A+=B C\t"), "a__b_c_");
  assert.equal(validName("+KAI Z"), "kai_z");
  assert.equal(validName("3000 Cool Tensors"), "tensor_3000_cool_tensors");
  const name = (inputs, outputs) => {
    const of = (names) => names.split(" ").map((name) => ({ name }));
    const named = nameTensors(of(inputs), of(outputs));
    return [named.inputs.join(" "), named.outputs.join(" ")];
  };
  assert.deepEqual(name("image", "output"), ["image", "output"]);
  assert.deepEqual(name("image", "image"), ["input_image", "output_image"]);
  assert.deepEqual(name("image image", "output"), ["image1 image2", "output"]);
  assert.deepEqual(name("image image", "image"), ["input_image1 input_image2", "output_image"]);
  assert.deepEqual(name("image audio image audio audio", "image image audio feature feature"), [
    "input_image1 input_audio1 input_image2 input_audio2 input_audio3",
    "output_image1 output_image2 output_audio feature1 feature2",
  ]);
  assert.deepEqual(nameTensors([{ name: "", picture: true }], [{ name: "" }]), {
    inputs: ["image"],
    outputs: ["output"],
  });
  assert.equal(camelCase("output_image1"), "outputImage1");
  assert.deepEqual(keysOf(["a_b", "a__b", "a"]), ["aB", "aB2", "a"]);
  // Those of Android's MlNamesTest.
  const classes = {
    "validModel.tflite": "ValidModel",
    " valid_model%$.tflite": "ValidModel",
    "valid-model.tflite": "ValidModel",
    "valid-_model.tflite": "ValidModel",
    "valid model.tflite": "ValidModel",
    "012.tflite": "AutoModel012",
    "mobilenet_v1_1.0_224.tflite": "MobilenetV110224",
    "promise.tflite": "AutoModelPromise",
  };
  for (const [file, wanted] of Object.entries(classes)) assert.equal(classNameOf(file), wanted);
});

test("achado/vite and achado/webpack make the class and its types", async () => {
  const { default: plugin } = await import("../../pkg/dist/vite.js");
  const { default: loader } = await import("../../pkg/dist/webpack.js");
  const file = path.join(folder, "models/two_heads.tflite");
  const watched = [];
  const context = { addWatchFile: (name) => watched.push(name) };
  const vite = await plugin().load.call(context, `${file}?model`);
  assert.deepEqual(watched, [file]);
  assert.equal(await plugin().load.call(context, file), undefined);
  assert.match(vite, /^import address from ".*two_heads\.tflite\?url&no-inline";$/m);
  const webpack = await loader.call({ resourcePath: file, getOptions: () => ({ types: false }) });
  assert.match(webpack, /new URL\("\.\/two_heads\.tflite", import\.meta\.url\)/);

  await writeFile(
    path.join(folder, "import.ts"),
    `import { TwoHeads, type TwoHeadsOutputs } from "./models/two_heads.tflite?model";
export async function kinds(image: Blob): Promise<TwoHeadsOutputs["kind"]> {
  const model = await TwoHeads.newInstance();
  return (await model.process({ image })).kind;
}
// @ts-expect-error: there is no such label
export const wrong: "nothing" = TwoHeads.labels.kind[0];
`,
  );
  assert.equal(await complaints(["import.ts", "models/two_heads.tflite.d.ts"]), "");

  await writeFile(path.join(folder, "models/module.js"), webpack);
  const { TwoHeads } = await import(pathToFileURL(path.join(folder, "models/module.js")));
  const model = await TwoHeads.newInstance({ worker: false });
  assert.equal((await model.process({ image: photo })).kind.length, 2);
  await model.close();
});
