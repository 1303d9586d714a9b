// `achado evaluate`: how often a model is right.
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { AchadoError } from "../../errors.js";
import { ImageDataset } from "../../maker-node.js";
import { evaluation, type Scored } from "../../maker/evaluate.js";
import { reportPage } from "../../maker/report.js";
import type { Evaluation, Picture, Skipped } from "../../maker/types.js";
import { didYouMean } from "../../names.js";
import { createClassifier } from "../../node.js";
import { command, print, UsageError } from "../command.js";
import { MODEL_OPTIONS } from "../model-options.js";
import {
  linkTo,
  PICTURE_OPTIONS,
  plain,
  preparation,
  summary,
  teller,
  tellSkipped,
} from "../pictures.js";

export const evaluate = command({
  name: "evaluate",
  usage: "MODEL FOLDER",
  summary:
    "say how often a model is right: FOLDER holds a folder for each class, called as its label",
  options: {
    report: { type: "string", value: "FILE", help: "a page with the confusion matrix" },
    json: { type: "boolean", help: "print what was found as JSON" },
    labels: MODEL_OPTIONS.labels,
    ...PICTURE_OPTIONS,
  },
  async run(values, [model, folder, third]) {
    if (model === undefined || folder === undefined || third !== undefined) {
      throw new UsageError("evaluate needs a model and a folder of pictures");
    }
    const classifier = await createClassifier({
      model,
      ...preparation(values),
      labels: values.labels,
      // All scores are wanted, whatever the file keeps back.
      scoreThreshold: Number.MIN_SAFE_INTEGER,
    });
    try {
      const dataset = await ImageDataset.fromFolder(folder);
      const [head] = classifier.metadata.heads;
      if (!head || head.labels === 0) {
        throw new AchadoError(
          "METADATA_MISSING",
          "the model's classes have no names; give --labels FILE",
        );
      }
      const onProgress = teller();
      const scored: Scored[] = [];
      const skipped: Skipped[] = [...dataset.skipped];
      let labels: string[] = [];
      for (const [index, picture] of dataset.pictures.entries()) {
        try {
          const { classifications } = await classifier.classify(await picture.load());
          const scores: number[] = [];
          const names: string[] = [];
          for (const { index, score, categoryName } of classifications[0]?.categories ?? []) {
            scores[index] = score;
            names[index] = categoryName;
          }
          if (labels.length === 0) {
            labels = names;
            checkLabels(dataset, labels);
          }
          scored.push({ picture: named(picture, labels), scores });
        } catch (error) {
          if (
            !(error instanceof AchadoError) ||
            error.code !== "INVALID_INPUT" ||
            labels.length === 0
          ) {
            throw error;
          }
          skipped.push({ name: picture.name, reason: error.message });
        }
        onProgress?.({ phase: "evaluate", done: index + 1, total: dataset.size });
      }
      // A model of a thousand classes is judged on those that there are pictures of.
      const whole = evaluation(labels, scored, skipped);
      const found = values.json ? whole : shortened(whole);
      if (values.report !== undefined) {
        const link = (picture: Picture) => linkTo(values.report as string, folder, picture);
        const page = {
          title: path.basename(model),
          evaluation: shortened(whole),
          held: true,
          curve: [],
        };
        await writeFile(values.report, reportPage({ ...page, report: undefined, link }));
      }
      if (values.json) return print(`${JSON.stringify(plain(shortened(found)), null, 2)}\n`);
      tellSkipped(skipped);
      return print(summary("pictures", found));
    } finally {
      await classifier.close();
    }
  },
});

/** A picture with its label as the model writes it. */
function named(picture: Picture, labels: readonly string[]): Picture {
  const label = labelOf(picture.label, labels) ?? picture.label;
  return label === picture.label ? picture : { ...picture, label };
}

function labelOf(name: string, labels: readonly string[]): string | undefined {
  const shown = name.normalize("NFC").trim();
  return labels.find((label) => label === name || label.normalize("NFC").trim() === shown);
}

function checkLabels(dataset: ImageDataset, labels: readonly string[]): void {
  const strangers = dataset.classes.filter((label) => labelOf(label, labels) === undefined);
  const [first] = strangers;
  if (first === undefined) return;
  const hint =
    didYouMean(first, labels) ||
    `; the model has ${labels.slice(0, 8).join(", ")}${labels.length > 8 ? ", ..." : ""}`;
  throw new AchadoError(
    "INVALID_INPUT",
    `the folder ${JSON.stringify(first)} is called as no class of the model${hint}`,
    { labels: strangers },
  );
}

/** Without the classes that neither have a picture nor were said of one. */
function shortened(whole: Evaluation): Evaluation {
  const said = whole.labels.map((_, at) => whole.confusionMatrix.some((row) => (row[at] ?? 0) > 0));
  const kept = whole.labels.map((_, at) => said[at] || (whole.perClass[at]?.support ?? 0) > 0);
  const of = <T>(list: readonly T[]) => list.filter((_, at) => kept[at]);
  return {
    ...whole,
    labels: of(whole.labels),
    perClass: of(whole.perClass),
    confusionMatrix: of(whole.confusionMatrix).map(of),
  };
}
