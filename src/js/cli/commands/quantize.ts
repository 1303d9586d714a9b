// `achado quantize`: a float model becomes int8, float16, or has 8-bit weights.
import { writeFile } from "node:fs/promises";
import { QuantizationConfig, quantizeModel } from "../../quantize-node.js";
import type { Int8Report, RangeMethod } from "../../maker/quantize.js";
import { command, print, UsageError } from "../command.js";
import {
  CALIBRATION_OPTIONS,
  calibrationPictures,
  numberOf,
  PICTURE_OPTIONS,
  preparation,
  tellSkipped,
} from "../pictures.js";

const TARGETS = ["int8", "float16", "dynamic", "int8-weights"] as const;

function table({ layers, agreement, compared, islands, holds, floatOperators }: Int8Report) {
  const rows = layers.map(({ operator, name, rmseOverScale, snrDb, cosine }) =>
    [
      operator.padEnd(20),
      rmseOverScale.toFixed(2).padStart(8),
      snrDb.toFixed(1).padStart(7),
      cosine.toFixed(4).padStart(8),
      ` ${name}`,
    ].join(" "),
  );
  const head = "operator             rmse/scale  dB   cosine   tensor";
  const share = `${(100 * agreement).toFixed(1)} % of ${compared} pictures held back get the float model's class`;
  const left = islands.length > 0 ? `left in float: ${islands.join(", ")}\n` : "";
  const others = floatOperators.filter((name) => !islands.includes(name));
  const missing = others.length > 0 ? `computed in float: ${others.join(", ")}\n` : "";
  const broken = holds
    ? ""
    : "the drop that --max-drop allows was not reached: this is the best found\n";
  return { rows: [head, ...rows].join("\n"), text: `${share}\n${left}${missing}${broken}` };
}

export const quantize = command({
  name: "quantize",
  usage: "MODEL -o OUT.tflite",
  summary: "make a float model smaller and faster: int8, float16, 8-bit weights",
  options: {
    output: { type: "string", short: "o", value: "FILE", help: "where to write the .tflite file" },
    to: {
      type: "string",
      value: "T",
      default: "int8",
      help: "int8 (default), float16, dynamic or int8-weights",
    },
    ...CALIBRATION_OPTIONS,
    exclude: {
      type: "string",
      multiple: true,
      value: "NAME",
      help: "what stays in float: a tensor that an operator writes, or operators such as SOFTMAX; may be given again",
    },
    "max-drop": {
      type: "string",
      value: "P",
      help: "the most percent of pictures that may get another class: operators are left in float until that holds",
    },
    "io-type": {
      type: "string",
      value: "T",
      help: "the type of inputs and outputs: uint8 (default), int8 or float32",
    },
    ranges: {
      type: "string",
      value: "R",
      help: "ranges of activations: percentile (default), minmax, moving-average or mse",
    },
    "per-channel-dense": { type: "boolean", help: "a scale for each output of dense layers" },
    compare: { type: "boolean", help: "print how far each layer is off" },
    ...PICTURE_OPTIONS,
  },
  async run(values, [model, second]) {
    if (model === undefined) throw new UsageError("quantize needs a model");
    if (second !== undefined) throw new UsageError("quantize takes one model");
    const { output, to, calibration } = values;
    if (output === undefined) throw new UsageError("quantize needs -o FILE");
    const target = TARGETS.find((one) => one === to);
    if (!target) throw new UsageError(`--to needs ${TARGETS.join(", ")}, has "${to}"`);
    const perChannelDense = values["per-channel-dense"];
    let config: QuantizationConfig;
    if (target === "int8") {
      if (calibration === undefined) throw new UsageError("int8 needs --calibration DIR");
      const ranges = values.ranges as RangeMethod | undefined;
      const found = await calibrationPictures(calibration, values.pictures);
      config = QuantizationConfig.forInt8(found, { ranges, perChannelDense });
    } else if (target === "float16") config = QuantizationConfig.forFloat16();
    else if (target === "dynamic") config = QuantizationConfig.forDynamic({ perChannelDense });
    else config = QuantizationConfig.forInt8Weights({ perChannelDense });
    const { preprocess, inputShapes } = preparation(values);
    const {
      model: file,
      sizes,
      report,
      skipped,
    } = await quantizeModel(model, {
      config,
      exclude: values.exclude,
      maxDrop: numberOf("max-drop", values["max-drop"]),
      ioType: values["io-type"] as "uint8" | undefined,
      preprocess,
      inputShapes,
    });
    await writeFile(output, file);
    const { floatBytes, quantizedBytes } = sizes;
    const share = ((100 * quantizedBytes) / floatBytes).toFixed(1);
    print(`${output}: ${quantizedBytes} bytes, ${share} % of ${floatBytes}\n`);
    tellSkipped(skipped);
    if (!report) return 0;
    const { rows, text } = table(report);
    return print(`${values.compare ? `${rows}\n` : ""}${text}`);
  },
});
