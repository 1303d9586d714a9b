// Which models are measured: those of a folder with a manifest, or the package's default model.
//
// `manifest.json` of a folder:
//   inputs, inputFile   how many inputs there are, and their file: f32, [inputs, h, w, c], -1 to 1
//   shape               [1, h, w, c] of each
//   models              { name: { macs, classes } }
//   artifacts           [{ model, file, format: "tflite" | "tflite-mp" | "onnx" | "tfjs",
//                          dtype: "f32" | "int8", variant: "" | "fio" (float input and output) |
//                          "i8io" | "qdq" | ..., layout: "nhwc" | "nchw",
//                          inDtype: "float32" | "int8", inQ, outQ: [scale, zero point],
//                          expected }]   `expected`: f32 scores of all inputs, one after another
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

/** A model of which each runtime has the same weights in the format that it reads. */
const FOLDER = "/models/";

/**
 * @param {string | undefined} folder
 * @param {URL} repository
 * @returns {{ folder: string, inputs: object, artifacts: object[], missing: string[] }}
 */
export function findModels(folder, repository) {
  return folder ? fromManifest(path.resolve(folder)) : defaultModel(repository);
}

function fromManifest(folder) {
  const manifest = JSON.parse(readFileSync(path.join(folder, "manifest.json"), "utf8"));
  const missing = [];
  const artifacts = manifest.artifacts.flatMap((artifact) => {
    if (!existsSync(path.join(folder, artifact.file))) {
      missing.push(artifact.file);
      return [];
    }
    return {
      ...artifact,
      url: FOLDER + artifact.file,
      expected: { expected: FOLDER + artifact.expected },
      shape: manifest.shape,
      classes: manifest.models[artifact.model].classes,
      macs: manifest.models[artifact.model].macs,
      preprocess: { mean: [127.5], std: [127.5] },
    };
  });
  const inputs = { floats: FOLDER + manifest.inputFile, count: manifest.inputs };
  return { folder, inputs, artifacts, missing };
}

/** The default model beside the scores that LiteRT gives for the pictures of its fixtures. */
function defaultModel(repository) {
  const fixtures = "/fixtures/default_model/";
  const file = new URL("tests/fixtures/default_model/expected.json", repository);
  const { model, output, pictures } = JSON.parse(readFileSync(file, "utf8"));
  // One picture: its outputs are one file each.
  const [[, picture]] = Object.entries(pictures);
  const artifact = {
    model: model.replace(/\.tflite$/, ""),
    file: model,
    url: FOLDER + model,
    expected: {
      expected: fixtures + picture.outputs.default.file,
      scale: output.scale,
    },
    format: "tflite",
    dtype: "int8",
    variant: "u8io",
    layout: "nhwc",
    inDtype: "uint8",
    outQ: [output.scale, output.zero_point],
    shape: [1, 224, 224, 3],
    classes: output.shape[1],
  };
  const folder = new URL("models/", repository).pathname;
  return {
    folder,
    inputs: { pictures: [fixtures + picture.input] },
    artifacts: [artifact],
    missing: [],
  };
}
