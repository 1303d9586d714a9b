// `achado prune`: a float model becomes smaller, by channels or by weights.
import { writeFile } from "node:fs/promises";
import type { PruneOptions, PruneReport } from "../../maker/prune.js";
import { pruneModel } from "../../quantize-node.js";
import { command, print, UsageError } from "../command.js";
import {
  CALIBRATION_OPTIONS,
  calibrationPictures,
  numberOf,
  PICTURE_OPTIONS,
  preparation,
  tellSkipped,
} from "../pictures.js";

/** `25%` and `0.25` are the same share. */
function share(text: string): number {
  const [, percent] = /^([\d.]+) ?%$/.exec(text.trim()) ?? [];
  const value = percent === undefined ? numberOf("target", text) : Number(percent) / 100;
  if (value === undefined || !(value > 0 && value < 1)) {
    throw new UsageError(`--target needs a share such as 0.25 or 25%, has "${text}"`);
  }
  return value;
}

const percent = (value: number) => `${(100 * value).toFixed(1)} %`;

function told({ agreement, compared, reached, macs, layers }: PruneReport, method: string): string {
  const changed = layers.filter(({ before, after }) => after < before);
  const rows = changed.map(({ name, before, after, error }) => {
    const count = `${after} of ${before}`.padStart(20);
    return `${count}  ${percent(error).padStart(8)}  ${name}`;
  });
  const what = method === "channels" ? "channels left" : "weights left";
  const million = (count: number) => `${(count / 1e6).toFixed(1)} M`;
  const lines = [
    `${what.padStart(20)}      lost  layer`,
    ...rows,
    "",
    method === "channels"
      ? `${percent(reached)} of the multiplications are gone: ${million(macs.after)} of ${million(macs.before)}`
      : `${percent(reached)} of the weights are zero`,
    ...(agreement === null
      ? []
      : [`${percent(agreement)} of ${compared} pictures held back get the float model's class`]),
  ];
  return `${lines.join("\n")}\n`;
}

export const prune = command({
  name: "prune",
  usage: "MODEL -o OUT.tflite",
  summary: "make a float model smaller without training: cut channels, or zero weights",
  options: {
    output: { type: "string", short: "o", value: "FILE", help: "where to write the .tflite file" },
    method: {
      type: "string",
      value: "M",
      default: "channels",
      help: "channels (default): fewer multiplications, faster; weights: zeros, a smaller download",
    },
    target: {
      type: "string",
      value: "T",
      default: "0.25",
      help: "the share of multiplications or weights that goes (default 0.25), also as 25%",
    },
    ...CALIBRATION_OPTIONS,
    exclude: {
      type: "string",
      multiple: true,
      value: "NAME",
      help: "what stays: a tensor that an operator writes, or operators such as FULLY_CONNECTED; may be given again",
    },
    "max-drop": {
      type: "string",
      value: "P",
      help: "the most percent of pictures that may get another class; refused where more do, with the best found",
    },
    ...PICTURE_OPTIONS,
  },
  async run(values, [model, second]) {
    if (model === undefined) throw new UsageError("prune needs a model");
    if (second !== undefined) throw new UsageError("prune takes one model");
    const { output, calibration, method } = values;
    if (output === undefined) throw new UsageError("prune needs -o FILE");
    if (calibration === undefined) throw new UsageError("prune needs --calibration DIR");
    const target = share(values.target);
    const { preprocess, inputShapes } = preparation(values);
    const found = await pruneModel(model, {
      // A wrong name is refused by name.
      method: method as PruneOptions["method"],
      target,
      dataset: await calibrationPictures(calibration, values.pictures),
      exclude: values.exclude,
      maxDrop: numberOf("max-drop", values["max-drop"]),
      preprocess,
      inputShapes,
    });
    await writeFile(output, found.model);
    const { floatBytes, prunedBytes } = found.sizes;
    print(
      `${output}: ${prunedBytes} bytes, ${percent(prunedBytes / floatBytes)} of ${floatBytes}\n`,
    );
    tellSkipped(found.skipped);
    return print(told(found.report, method));
  },
});
