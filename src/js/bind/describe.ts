// What a binding says of a model: read by opening it.
import { createHash } from "node:crypto";
import path from "node:path";
import { AchadoError } from "../errors.js";
import { createClassifier, createModel } from "../node.js";
import type {
  ClassifierOptions,
  HeadInfo,
  ImageClassifier,
  LoadOptions,
  TensorInfo,
} from "../types.js";
import type { Binding, BoundTensor } from "../bindings.js";
import { classNameOf, keysOf, nameTensors } from "./naming.js";

/** What the file itself does not say. */
export type BindOptions = Pick<
  ClassifierOptions,
  "labels" | "preprocess" | "config" | "inputShapes"
> & {
  /** The class; by default made of the file's name. */
  readonly className?: string | undefined;
};

/** A tensor of a binding with what its type is made of. */
export interface DescribedTensor extends BoundTensor {
  readonly info: TensorInfo;
  /** Names of the classes by index, where the output is scores. */
  readonly labels?: readonly string[];
}

/** A model, described. */
export interface Description {
  readonly className: string;
  readonly fileName: string;
  readonly title: string;
  readonly task: Binding["task"];
  readonly integrity: `sha256-${string}`;
  readonly inputs: readonly DescribedTensor[];
  readonly outputs: readonly DescribedTensor[];
  readonly options: Binding["options"];
}

/** A picture that any network takes. */
const PICTURE = { data: new Uint8Array(4 * 4 * 4).fill(127), width: 4, height: 4 };

/**
 * Opens a model and describes it.
 *
 * @param file Its path, for its name.
 * @throws {AchadoError} As `createClassifier`; INVALID_OPTION for a class name that is none.
 */
export async function describeModel(
  file: string,
  bytes: Uint8Array<ArrayBuffer>,
  options: BindOptions = {},
): Promise<Description> {
  const { className = classNameOf(path.basename(file)), ...given } = options;
  if (!/^[A-Za-z_$][\w$]*$/.test(className)) {
    const message = `className: "${className}" is no name of a class`;
    throw new AchadoError("INVALID_OPTION", message, { option: "className" });
  }
  const integrity = `sha256-${createHash("sha256").update(bytes).digest("base64")}` as const;
  const how = { ...given, model: bytes, integrity, worker: false, warmup: false, threads: 1 };
  const common = { className, fileName: path.basename(file), integrity };
  const { labels: _, ...loading } = how;
  const classifier = await createClassifier(how).catch(async (error: unknown) => {
    const code = error instanceof AchadoError ? error.code : "";
    if (code === "UNSUPPORTED_TYPE") return undefined;
    // A detector's labels are for values of an output, not for its elements.
    if (code === "MODEL_FORMAT" && (await hasManyOutputs(loading))) return undefined;
    throw error;
  });
  try {
    const heads = classifier?.metadata.heads ?? [];
    const names = classifier && isClassifier(heads, given) ? await labelsOf(classifier) : undefined;
    if (classifier && names) {
      const { metadata } = classifier;
      const [keyed] = [keys(metadata.inputs, metadata.outputs, metadata.pictureInput)];
      const outputs = heads.map(({ headIndex }, position) => ({
        ...(keyed.outputs[headIndex] as DescribedTensor),
        labels: names[position] as readonly string[],
      }));
      const options = lasting(given, names);
      return { ...common, ...keyed, outputs, title: metadata.name, task: "classifier", options };
    }
  } finally {
    await classifier?.close();
  }
  const model = await createModel(loading);
  try {
    const { name, inputs, outputs, pictureInput } = model.metadata;
    const isPicture = pictureInput !== null && (await takesPictures());
    const keyed = keys(inputs, outputs, isPicture ? pictureInput : null);
    return { ...common, ...keyed, title: name, task: "tensors", options: lasting(given, []) };

    async function takesPictures(): Promise<boolean> {
      const others = inputs.filter((_, index) => index !== pictureInput);
      if (others.length > 0) return true;
      try {
        await model.runImage(PICTURE);
        return true;
      } catch (error) {
        // Nobody says how pixels become numbers: the caller gives numbers.
        if (error instanceof AchadoError && error.code === "METADATA_MISSING") return false;
        throw error;
      }
    }
  } finally {
    await model.close();
  }
}

async function hasManyOutputs(loading: LoadOptions): Promise<boolean> {
  const model = await createModel(loading).catch(() => undefined);
  await model?.close();
  return (model?.metadata.outputs.length ?? 0) > 1;
}

/** Whether the outputs are scores: they have names, or are probabilities. */
function isClassifier(heads: readonly HeadInfo[], { labels }: BindOptions): boolean {
  const told = heads.some((head) => head.labels > 0 || head.activation !== "none");
  return labels !== undefined || told;
}

function keys(
  inputs: readonly TensorInfo[],
  outputs: readonly TensorInfo[],
  pictureInput: number | null,
): Pick<Description, "inputs" | "outputs"> {
  const pictures = inputs.map(({ name }, index) => ({ name, picture: index === pictureInput }));
  const names = nameTensors(pictures, outputs);
  const [inputKeys, outputKeys] = [keysOf(names.inputs), keysOf(names.outputs)];
  return {
    inputs: inputs.map((info, index) => ({
      key: inputKeys[index] as string,
      name: info.name,
      ...(index === pictureInput && { picture: true as const }),
      info,
    })),
    outputs: outputs.map((info, index) => ({
      key: outputKeys[index] as string,
      name: info.name,
      info,
    })),
  };
}

/** The names of all classes of each head, by index: those of an answer that leaves nothing out. */
async function labelsOf(classifier: ImageClassifier): Promise<string[][]> {
  await classifier.setOptions({ maxResults: -1, scoreThreshold: -3e38 });
  const { classifications } = await classifier.classify(PICTURE);
  return classifications.map(({ categories }) => {
    const names: string[] = [];
    for (const { index, categoryName } of categories) names[index] = categoryName;
    return Array.from(names, (name) => name ?? "");
  });
}

/** Options that the class opens the file with. */
function lasting(given: BindOptions, labels: string[][]): Binding["options"] {
  const { preprocess, config, inputShapes } = given;
  const own = given.labels === undefined ? undefined : labels[0];
  if (own && labels.length > 1) {
    const message = `labels: the model has ${labels.length} heads; write the names into the model itself`;
    throw new AchadoError("INVALID_OPTION", message, { option: "labels" });
  }
  return {
    ...(preprocess !== undefined && { preprocess }),
    ...(config !== undefined && { config }),
    ...(inputShapes !== undefined && { inputShapes }),
    ...(own && { labels: own }),
  };
}
