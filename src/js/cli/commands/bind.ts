// `achado bind`: a model's file becomes a class of TypeScript.
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { declarationsOf, describeFile, typescriptOf, writeChanged } from "../../bind-node.js";
import { isError } from "../../kind.js";
import type { ConfigSource } from "../../types.js";
import { command, print, UsageError } from "../command.js";
import { MODEL_OPTIONS, modelOptions } from "../model-options.js";

export const bind = command({
  name: "bind",
  usage: "MODEL... -o FOLDER",
  summary: "write a TypeScript class for a model: its labels, inputs, outputs and hash as types",
  options: {
    output: { type: "string", short: "o", value: "FOLDER", help: "where to write MODEL.ts" },
    dts: {
      type: "boolean",
      help: 'write MODEL.d.ts beside the model instead: types for import { Name } from "./MODEL?model"',
    },
    class: { type: "string", value: "NAME", help: "the class, if not named after the file" },
    url: {
      type: "string",
      value: "URL",
      help: "where the page finds the model, such as /models/flowers.tflite (default: beside the class, by import.meta.url)",
    },
    lite: { type: "boolean", help: "import from achado/lite, which brings no other files along" },
    ...MODEL_OPTIONS,
  },
  async run(values, models) {
    if (models.length === 0) throw new UsageError("bind needs a model");
    const { output, dts, url, lite } = values;
    if (output === undefined && !dts) throw new UsageError("bind needs -o FOLDER, or --dts");
    if (models.length > 1 && (values.class !== undefined || url !== undefined)) {
      throw new UsageError("--class and --url are for one model");
    }
    const stems = models.map((model) => stemOf(path.basename(model)));
    const twice = stems.find((stem, index) => stems.indexOf(stem) !== index);
    if (twice !== undefined && output !== undefined) {
      throw new UsageError(
        `two models would be written to ${twice}.ts: bind them into two folders`,
      );
    }
    const options = {
      ...modelOptions(values),
      className: values.class,
      config: await configOf(values.config),
    };
    for (const model of models) {
      const description = await describeFile(model, options);
      const { className, fileName } = description;
      const write = async (file: string, text: string) => {
        await writeChanged(file, text);
        print(`${file}: ${className}\n`);
      };
      if (dts) await write(`${model}.d.ts`, declarationsOf(description));
      if (output === undefined) continue;
      await mkdir(output, { recursive: true });
      const file = path.join(output, `${stemOf(fileName)}.ts`);
      const address =
        url === undefined
          ? `new URL(${JSON.stringify(relative(file, model))}, import.meta.url)`
          : JSON.stringify(url);
      await write(
        file,
        typescriptOf(description, { address, entry: lite ? "achado/lite" : "achado" }),
      );
    }
    return 0;
  },
});

const stemOf = (fileName: string) => fileName.replace(/\.[^.]*$/, "");

/** The model's address from the class that is beside it or elsewhere. */
function relative(from: string, to: string): string {
  const way = path.relative(path.dirname(path.resolve(from)), path.resolve(to));
  const segments = way.split(path.sep).map((one) => (one === ".." ? one : encodeURIComponent(one)));
  return segments[0] === ".." ? segments.join("/") : `./${segments.join("/")}`;
}

/** A class has no file beside it: what a configuration says goes into its source. */
async function configOf(file: string | undefined): Promise<ConfigSource | undefined> {
  if (file === undefined) return undefined;
  try {
    return JSON.parse(await readFile(file, "utf8")) as object;
  } catch (error) {
    if (isError(error) && error.name === "SyntaxError") {
      throw new UsageError(`--config needs JSON: ${error.message}`);
    }
    throw error;
  }
}
