// `achado train`: folders of pictures become a .tflite classifier.
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { createTrainer, ImageDataset } from "../../maker-node.js";
import { type CurvePoint, reportPage } from "../../maker/report.js";
import type { Picture } from "../../maker/types.js";
import { command, print, UsageError } from "../command.js";
import {
  linkTo,
  numberOf,
  PICTURE_OPTIONS,
  plain,
  preparation,
  say,
  summary,
  teller,
  tellSkipped,
} from "../pictures.js";

/** The shares of the pictures that the curve of accuracy is measured at, before all of them. */
const CURVE_SHARES = [0.1, 0.25, 0.5, 0.75];

export const train = command({
  name: "train",
  usage: "FOLDER -o MODEL.tflite",
  summary: "make a classifier of your own pictures: FOLDER holds a folder for each class",
  options: {
    output: { type: "string", short: "o", value: "FILE", help: "where the model goes" },
    model: {
      type: "string",
      value: "FILE",
      help: "the network to build on, a .tflite or .onnx classifier or embedder (default: EfficientNet-Lite0)",
    },
    test: {
      type: "string",
      default: "0.2",
      value: "X",
      help: "evaluate on pictures held out: a share (default: 0.2), another folder, or 0 for none",
    },
    seed: {
      type: "string",
      default: "0",
      value: "N",
      help: "of how pictures are divided; the same seed gives the same file (default: 0)",
    },
    head: { type: "string", value: "H", help: "softmax (default), lda or centroid" },
    l2: {
      type: "string",
      value: "X",
      help: "the strength of L2, 1 / C of scikit-learn (default: what does best on folds)",
    },
    augmentation: { type: "string", value: "A", help: "flip: train on mirror images, too" },
    conflicts: {
      type: "string",
      value: "C",
      help: "skip: leave out pictures that are in two classes, in place of refusing them",
    },
    quantization: { type: "string", value: "Q", help: "int8: integers in the head, too" },
    "score-threshold": {
      type: "string",
      value: "X",
      help: "classes with lower scores are not given: a number, or auto",
    },
    name: { type: "string", value: "TEXT", help: "the model's name, for its metadata" },
    "version-name": {
      type: "string",
      value: "TEXT",
      help: "the model's version, for its metadata",
    },
    report: {
      type: "string",
      value: "FILE",
      help: "a page with the confusion matrix and accuracy by number of pictures",
    },
    json: { type: "boolean", help: "print what was found as JSON" },
    ...PICTURE_OPTIONS,
  },
  async run(values, [folder, second]) {
    if (folder === undefined) throw new UsageError("train needs a folder of pictures");
    if (second !== undefined) throw new UsageError("train takes one folder");
    const { output } = values;
    if (output === undefined) throw new UsageError("train needs -o MODEL.tflite");
    const seed = numberOf("seed", values.seed) as number;
    const share = Number(values.test);
    const isShare = values.test.trim() !== "" && !Number.isNaN(share);
    if (isShare && !(share >= 0 && share < 1)) {
      throw new UsageError(
        `--test needs a share from 0 to below 1 or a folder, has "${values.test}"`,
      );
    }
    const all = await ImageDataset.fromFolder(folder);
    let [known, test]: [ImageDataset, ImageDataset | undefined] = [all, undefined];
    if (!isShare) test = await ImageDataset.fromFolder(values.test);
    else if (share > 0) [known, test] = all.split(1 - share, { seed });

    const trainer = await createTrainer({ model: values.model, ...preparation(values) });
    try {
      const onProgress = teller();
      const threshold = values["score-threshold"];
      const options = {
        head: values.head as "softmax" | undefined,
        l2: numberOf("l2", values.l2),
        seed,
        augmentation: values.augmentation as "flip" | undefined,
        conflicts: values.conflicts as "skip" | undefined,
        onProgress,
      };
      const classifier = await trainer.train(known, options);
      const { report } = classifier;
      if (!values.json) tellSkipped(report.skipped);
      for (const warning of report.warnings) say(warning);
      const measured =
        test && test.size > 0 ? await classifier.evaluate(test, { onProgress }) : undefined;
      const file = await classifier.exportModel({
        quantization: values.quantization as "int8" | undefined,
        scoreThreshold: threshold === "auto" ? "auto" : numberOf("score-threshold", threshold),
        name: values.name,
        version: values["version-name"],
        onProgress,
      });
      await writeFile(output, file);
      if (values.report !== undefined) {
        const curve = test && measured ? await learningCurve(known, test, options, seed) : [];
        const shown = measured ?? report.unseen;
        await writeFile(
          values.report,
          reportPage({
            title: path.basename(output),
            evaluation: shown,
            held: measured !== undefined,
            curve,
            report,
            link: (picture) =>
              linkTo(values.report as string, test ? rootOf(picture) : folder, picture),
          }),
        );
      }
      const { exported } = classifier;
      if (values.json) {
        const { unseen, ...rest } = report;
        const facts = { ...rest, unseen: plain(unseen), test: plain(measured ?? null), exported };
        return print(
          `${JSON.stringify({ output, labels: classifier.labels, ...facts }, null, 2)}\n`,
        );
      }
      if (measured) print(summary("pictures held out", measured));
      else if (report.unseen) print(summary("cross-validation", report.unseen));
      return print(
        `${output}: ${file.length} bytes, ${classifier.labels.length} classes, opened again: ${exported?.same} of ${(exported?.embeddings ?? 0) + (exported?.pictures ?? 0)} answers equal\n`,
      );
    } finally {
      await trainer.close();
    }

    function rootOf(picture: Picture): string {
      return isShare || known.pictures.includes(picture) ? (folder as string) : values.test;
    }

    async function learningCurve(
      known: ImageDataset,
      test: ImageDataset,
      options: object,
      seed: number,
    ): Promise<CurvePoint[]> {
      const points: CurvePoint[] = [];
      for (const share of CURVE_SHARES) {
        const [part] = known.split(share, { seed });
        const isEnough = part.counts.every((count) => count >= 2);
        if (!isEnough) continue;
        const { accuracy, interval } = await (await trainer.train(part, options)).evaluate(test);
        points.push({ pictures: part.size, accuracy, interval });
      }
      const { accuracy, interval } = await (await trainer.train(known, options)).evaluate(test);
      points.push({ pictures: known.size, accuracy, interval });
      return points;
    }
  },
});
