// `achado classify`: names what photos show.
import { readFile } from "node:fs/promises";
import { AchadoError, createClassifier, defaultModel } from "../../node.js";
import type { ClassifierResult, ImageClassifier } from "../../types.js";
import { command, describe, print, UsageError } from "../command.js";
import { MODEL_OPTIONS, modelOptions } from "../model-options.js";

/** What `--json` prints for each photo. */
type Answer = { photo: string } & (
  ClassifierResult | { error: { code: string; message: string; detail: Record<string, unknown> } }
);

/** From so many photos on, threads take less time than they need to start. */
const MANY = 8;

export const classify = command({
  name: "classify",
  usage: "PHOTO...",
  summary: "name what photos show (BMP, GIF, JPEG, PNG or WebP files)",
  options: {
    model: {
      type: "string",
      value: "FILE",
      help: "a .tflite or .onnx model, or a zip or folder of one: a path or URL (default: EfficientNet-Lite0, 1000 classes)",
    },
    ...MODEL_OPTIONS,
    "onnx-fallback": {
      type: "string",
      value: "tract",
      help: "run an ONNX model that has an operator which achado lacks by tract, slower",
    },
    locale: {
      type: "string",
      value: "LOCALE",
      help: "the language of the names, such as pt, if the model has it",
    },
    top: { type: "string", value: "N", default: "5", help: "how many categories (default: 5)" },
    "min-score": { type: "string", value: "X", help: "leave out categories with lower scores" },
    json: {
      type: "boolean",
      help: "machine-readable: an array with one object for each photo",
    },
  },
  async run(values, photos) {
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
    const classifier = await createClassifier({
      ...modelOptions(values),
      model: values.model ?? defaultModel,
      // A wrong one is refused by name.
      onnxFallback: values["onnx-fallback"] as "tract" | undefined,
      displayNamesLocale: values.locale,
      maxResults: top,
      scoreThreshold: minScore,
      // Nothing else is done meanwhile.
      worker: false,
      threads: photos.length < MANY ? 1 : "auto",
    });
    try {
      const answers: Answer[] = [];
      let failed = false;
      for (const photo of photos) {
        const answer = await answerFor(classifier, photo);
        failed ||= "error" in answer;
        if (values.json) answers.push(answer);
        else report(answer, photos.length > 1);
      }
      if (values.json) print(`${JSON.stringify(answers, null, 2)}\n`);
      return failed ? 1 : 0;
    } finally {
      await classifier.close();
    }
  },
});

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
