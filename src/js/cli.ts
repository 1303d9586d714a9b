// The command line: `achado classify PHOTO... [--model M] [--top N] [--json]` and
// `achado convert MODEL.onnx -o MODEL.tflite`.
import { readFile, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { isError, messageOf } from "./kind.js";
import { AchadoError, convertOnnx, createClassifier, defaultModel } from "./node.js";
import type {
  ClassifierResult,
  ImageClassifier,
  PreprocessOptions,
  PreprocessPreset,
} from "./types.js";

const HELP = `achado names what photos show, on this computer.

usage:
  achado classify PHOTO... [options]
  achado convert MODEL.onnx -o MODEL.tflite [--labels FILE] [--preprocess P | --mean M --std S]

  PHOTO            a BMP, GIF, JPEG, PNG or WebP file

options:
  --model FILE     a .tflite or .onnx model: a path or URL (default: EfficientNet-Lite0, 1000 classes)
  --labels FILE    class names, one a line, in place of the model's own
  --preprocess P   how pixels become the model's input, if it does not say so itself:
                   raw (0..255), unit (0..1), symmetric (-1..1), imagenet, caffe-bgr; or what
                   the training program does: keras, mediapipe, torchvision, timm, ultralytics,
                   teachable-machine
  --mean M --std S the same in numbers, one or one a channel: (x - mean) / std, such as
                   --mean 127.5 --std 127.5 or --mean 104,117,123 --std 1
  --bgr            with --mean and --std: the model takes blue first
  --input-shape N=D  the shape of input N of an ONNX model that leaves it open, such as
                   --input-shape input=1,3,224,224; may be given again
  --onnx-fallback tract  run an ONNX model that has an operator which achado lacks by tract, slower
  --locale LOCALE  the language of the names, such as pt, if the model has it
  --top N          how many categories (default: 5)
  --min-score X    leave out categories with lower scores
  --json           machine-readable: an array with one object for each photo
  --help           show this
  --version        show the version

exit status:
  0  every photo was classified, the model was converted
  1  a photo or the model could not be used
  2  the command line is wrong
`;

/** A mistake on the command line. */
class UsageError extends Error {}

/** What both commands need to know about a model. */
interface ModelArguments {
  labels: string | undefined;
  preprocess: PreprocessOptions | undefined;
  inputShapes: Record<string, number[]> | undefined;
}

interface Options extends ModelArguments {
  command: "classify";
  photos: string[];
  model: string | undefined;
  onnxFallback: string | undefined;
  locale: string | undefined;
  top: number;
  minScore: number | undefined;
  json: boolean;
}

interface Conversion extends ModelArguments {
  command: "convert";
  model: string;
  output: string;
}

/** What `--json` prints for each photo. */
type Answer = { photo: string } & (
  ClassifierResult | { error: { code: string; message: string; detail: Record<string, unknown> } }
);

function parse(argv: string[]): Options | Conversion | "help" | "version" {
  let parsed: ReturnType<typeof readArguments>;
  try {
    parsed = readArguments(argv);
  } catch (error) {
    // Node's own words name the option.
    throw new UsageError(messageOf(error));
  }
  const { values, positionals } = parsed;
  if (values.help) return "help";
  if (values.version) return "version";
  const [command, ...photos] = positionals;
  if (command === undefined) throw new UsageError("what shall be done? Try: achado classify PHOTO");
  if (command === "convert") return parseConversion(photos, values);
  if (command !== "classify") throw new UsageError(`there is no command "${command}"`);
  if (photos.length === 0) throw new UsageError("classify needs a photo");
  const top = Number(values.top);
  if (!Number.isInteger(top) || top < 1) {
    throw new UsageError(`--top needs a whole number above 0, has "${values.top}"`);
  }
  const score = values["min-score"];
  const minScore = score === undefined ? undefined : Number(score);
  if (minScore !== undefined && (score === "" || Number.isNaN(minScore))) {
    throw new UsageError(`--min-score needs a number, has "${score}"`);
  }
  const { model, locale, json, "onnx-fallback": onnxFallback } = values;
  const about = modelArguments(values);
  const answer = { locale, top, minScore, json };
  return { command: "classify", photos, model, onnxFallback, ...answer, ...about };
}

type Values = ReturnType<typeof readArguments>["values"];

function parseConversion(models: string[], values: Values): Conversion {
  const [model, second] = models;
  if (model === undefined) throw new UsageError("convert needs a model");
  if (second !== undefined) throw new UsageError("convert takes one model");
  const { output } = values;
  if (output === undefined) throw new UsageError("convert needs -o FILE");
  return { command: "convert", model, output, ...modelArguments(values) };
}

function modelArguments(values: Values): ModelArguments {
  const shapes = values["input-shape"].map((text) => {
    const [, name = "", list = ""] = /^(.+)=([\d,]+)$/.exec(text) ?? [];
    if (!name) throw new UsageError(`--input-shape needs NAME=1,3,224,224, has "${text}"`);
    return [name, numbers("input-shape", list)] as const;
  });
  return {
    labels: values.labels,
    preprocess: preprocessArgument(values),
    inputShapes: shapes.length > 0 ? Object.fromEntries(shapes) : undefined,
  };
}

function preprocessArgument(values: Values): ModelArguments["preprocess"] {
  const { preprocess, mean, std, bgr } = values;
  if (preprocess !== undefined) {
    if (mean !== undefined || std !== undefined) {
      throw new UsageError("give either --preprocess or --mean and --std");
    }
    // A wrong name is refused by name.
    return preprocess as PreprocessPreset;
  }
  if (mean === undefined && std === undefined) return undefined;
  if (mean === undefined || std === undefined) throw new UsageError("--mean and --std go together");
  return {
    mean: numbers("mean", mean),
    std: numbers("std", std),
    ...(bgr && { channels: "BGR" as const }),
  };
}

function numbers(option: string, text: string): number[] {
  const list = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (list.some((number) => !Number.isFinite(number))) {
    throw new UsageError(`--${option} needs numbers with commas between, has "${text}"`);
  }
  return list;
}

function readArguments(argv: string[]) {
  return parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      model: { type: "string" },
      labels: { type: "string" },
      preprocess: { type: "string" },
      mean: { type: "string" },
      std: { type: "string" },
      bgr: { type: "boolean", default: false },
      "input-shape": { type: "string", multiple: true, default: [] },
      output: { type: "string", short: "o" },
      "onnx-fallback": { type: "string" },
      locale: { type: "string" },
      top: { type: "string", default: "5" },
      "min-score": { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
      version: { type: "boolean", short: "V", default: false },
    },
  });
}

/** Runs a command line. Gives the exit status. */
export async function main(argv: string[]): Promise<number> {
  try {
    const options = parse(argv);
    if (options === "help") return print(HELP);
    if (options === "version") {
      const file = await readFile(new URL("../package.json", import.meta.url), "utf8");
      return print(`achado ${(JSON.parse(file) as { version: string }).version}\n`);
    }
    return options.command === "convert" ? await convert(options) : await classify(options);
  } catch (error) {
    const usage = error instanceof UsageError;
    process.stderr.write(`achado: ${describe(error)}\n`);
    if (usage) process.stderr.write("achado --help says more.\n");
    return usage ? 2 : 1;
  }
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

async function convert(conversion: Conversion): Promise<number> {
  const { model, output, labels, preprocess, inputShapes } = conversion;
  const tflite = await convertOnnx(model, { labels, preprocess, inputShapes });
  await writeFile(output, tflite);
  return print(`${output}: ${tflite.byteLength} bytes\n`);
}

async function classify(options: Options): Promise<number> {
  const classifier = await createClassifier({
    model: options.model ?? defaultModel,
    labels: options.labels,
    preprocess: options.preprocess,
    inputShapes: options.inputShapes,
    // A wrong one is refused by name.
    onnxFallback: options.onnxFallback as "tract" | undefined,
    displayNamesLocale: options.locale,
    maxResults: options.top,
    scoreThreshold: options.minScore,
  });
  try {
    const answers: Answer[] = [];
    let failed = false;
    for (const photo of options.photos) {
      const answer = await answerFor(classifier, photo);
      failed ||= "error" in answer;
      if (options.json) answers.push(answer);
      else report(answer, options.photos.length > 1);
    }
    if (options.json) print(`${JSON.stringify(answers, null, 2)}\n`);
    return failed ? 1 : 0;
  } finally {
    await classifier.close();
  }
}

async function answerFor(classifier: ImageClassifier, photo: string): Promise<Answer> {
  try {
    return { photo, ...(await classifier.classify(await readFile(photo))) };
  } catch (error) {
    const { code, detail } =
      error instanceof AchadoError ? error : { code: "INVALID_INPUT", detail: {} };
    return { photo, error: { code, message: describe(error), detail } };
  }
}

function report(answer: Answer, several: boolean): void {
  const { photo } = answer;
  if ("error" in answer) {
    process.stderr.write(`achado: ${photo}: ${answer.error.message}\n`);
    return;
  }
  if (several) print(`${photo}\n`);
  const heads = answer.classifications;
  for (const { headName, categories: all } of heads) {
    if (heads.length > 1) print(`  ${headName}\n`);
    // A quantised score of exactly 0 says nothing: such categories stand in the order of labels.
    const categories = all.filter(({ score }) => score !== 0);
    if (categories.length === 0) print("  no category has a score that high\n");
    for (const { score, displayName, categoryName, index } of categories) {
      const name = displayName || categoryName || `class ${index}`;
      print(`  ${percent(score).padStart(7)}  ${name}\n`);
    }
  }
  const { preprocess, inference, postprocess } = answer.timings;
  print(`  ${(preprocess + inference + postprocess).toFixed(1)} ms\n`);
}

/** Scores are usually probabilities; logits are shown as they are. */
function percent(score: number): string {
  return score >= 0 && score <= 1 ? `${(score * 100).toFixed(1)} %` : score.toPrecision(4);
}

function describe(error: unknown): string {
  if (!isError(error)) return String(error);
  const { code, path } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return `there is no file ${path}`;
  if (code === "EISDIR") return "this is a folder, not a file";
  // The hint of an ONNX model's refusal, as it is written here.
  return error.message.replace('onnxFallback: "tract"', "--onnx-fallback tract");
}

process.exitCode = await main(process.argv.slice(2));
