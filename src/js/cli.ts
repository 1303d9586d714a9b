// The command line: `achado classify PHOTO... [--model M] [--top N] [--json]`.
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { AchadoError, createClassifier, defaultModel } from "./node.js";
import type { ClassifierResult, ImageClassifier } from "./types.js";

const HELP = `achado names what photos show, on this computer.

usage:
  achado classify PHOTO... [options]

  PHOTO            a BMP, GIF, JPEG, PNG or WebP file

options:
  --model FILE     a .tflite model: a path or URL (default: EfficientNet-Lite0, 1000 classes)
  --labels FILE    class names, one a line, in place of the model's own
  --locale LOCALE  the language of the names, such as pt, if the model has it
  --top N          how many categories (default: 5)
  --min-score X    leave out categories with lower scores
  --json           machine-readable: an array with one object for each photo
  --help           show this
  --version        show the version

exit status:
  0  every photo was classified
  1  a photo or the model could not be used
  2  the command line is wrong
`;

/** A mistake on the command line. */
class UsageError extends Error {}

interface Options {
  photos: string[];
  model: string | undefined;
  labels: string | undefined;
  locale: string | undefined;
  top: number;
  minScore: number | undefined;
  json: boolean;
}

/** What `--json` prints for each photo. */
type Answer = { photo: string } & (
  ClassifierResult | { error: { code: string; message: string; detail: Record<string, unknown> } }
);

function parse(argv: string[]): Options | "help" | "version" {
  let parsed: ReturnType<typeof readArguments>;
  try {
    parsed = readArguments(argv);
  } catch (error) {
    // Node's own words name the option.
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  const { values, positionals } = parsed;
  if (values.help) return "help";
  if (values.version) return "version";
  const [command, ...photos] = positionals;
  if (command === undefined) throw new UsageError("what shall be done? Try: achado classify PHOTO");
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
  const { model, labels, locale, json } = values;
  return { photos, model, labels, locale, top, minScore, json };
}

function readArguments(argv: string[]) {
  return parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      model: { type: "string" },
      labels: { type: "string" },
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
    return await classify(options);
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

async function classify(options: Options): Promise<number> {
  const classifier = await createClassifier({
    model: options.model ?? defaultModel,
    labels: options.labels,
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
  if (!(error instanceof Error)) return String(error);
  const { code, path } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return `there is no file ${path}`;
  if (code === "EISDIR") return "this is a folder, not a file";
  return error.message;
}

process.exitCode = await main(process.argv.slice(2));
