// `achado convert`: an ONNX model becomes a .tflite file.
import { writeFile } from "node:fs/promises";
import { convertOnnx } from "../../node.js";
import type { ConvertOptions } from "../../types.js";
import { command, print, UsageError } from "../command.js";
import { MODEL_OPTIONS, modelOptions } from "../model-options.js";

export const convert = command({
  name: "convert",
  usage: "MODEL.onnx -o MODEL.tflite",
  summary: "turn an ONNX model into a .tflite file",
  options: {
    output: { type: "string", short: "o", value: "FILE", help: "where to write the .tflite file" },
    ...MODEL_OPTIONS,
  },
  async run(values, [model, second]) {
    if (model === undefined) throw new UsageError("convert needs a model");
    if (second !== undefined) throw new UsageError("convert takes one model");
    const { output } = values;
    if (output === undefined) throw new UsageError("convert needs -o FILE");
    const tflite = await convertOnnx(model, modelOptions(values) as ConvertOptions);
    await writeFile(output, tflite);
    return print(`${output}: ${tflite.byteLength} bytes\n`);
  },
});
