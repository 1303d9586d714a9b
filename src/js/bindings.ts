// `achado/bindings`: what the classes that `achado bind` writes are made of.
import { AchadoError } from "./errors.js";
import { didYouMean } from "./names.js";
import type {
  Category,
  ClassifierOptions,
  FrameOptions,
  ImageClassifier,
  ImageInput,
  ImageModel,
  LoadOptions,
  Tensor,
  TensorData,
} from "./types.js";

/** A category of a head whose names are known. */
export interface LabeledCategory<Label extends string> extends Category {
  categoryName: Label;
}

/** An output whose elements have a known type. */
export interface TypedTensor<Data extends TensorData> extends Tensor {
  data: Data;
}

/** A tensor of a bound model. */
export interface BoundTensor {
  /** What the class calls it. */
  readonly key: string;
  /** What the file calls it. */
  readonly name: string;
  /** For inputs: it takes a picture. */
  readonly picture?: true;
}

/** A model's file, as it was when the class was written. */
export interface Binding {
  /** The class. */
  readonly name: string;
  /** Where the file is, unless {@link BindingOptions.model} says otherwise. */
  readonly model: string | URL;
  readonly integrity: `sha256-${string}`;
  /** `classifier` gives categories, `tensors` the outputs as they are. */
  readonly task: "classifier" | "tensors";
  readonly inputs: readonly BoundTensor[];
  readonly outputs: readonly BoundTensor[];
  /** What the file does not say itself. */
  readonly options: Pick<ClassifierOptions, "preprocess" | "config" | "inputShapes" | "labels">;
}

/** What `newInstance` takes: where the file is, and how it is run. */
export type BindingOptions = Omit<
  ClassifierOptions,
  "labels" | "heads" | "preprocess" | "config" | "inputShapes" | "externalData" | "batchSize"
>;

/** The functions of the entry that opens models: `achado`, `achado/lite` or `achado/static`. */
export interface Opener {
  createClassifier(options: ClassifierOptions): Promise<ImageClassifier>;
  createModel(options: LoadOptions): Promise<ImageModel>;
}

/** A model that was opened by its class. */
export interface BoundModel<Inputs extends object, Outputs extends object> extends AsyncDisposable {
  /**
   * Runs the model: scores come best first.
   *
   * @throws {AchadoError} INVALID_INPUT for an input that is missing or that the model has not; as
   *   `classify` and `runImage`
   */
  process(inputs: Inputs, options?: FrameOptions): Promise<Outputs>;
  /** The model itself, for all that is not of this file only. */
  readonly model: ImageModel;
  /** Frees memory and worker. */
  close(): Promise<void>;
}

/** A class that `achado bind` writes extends this. */
export interface BoundClass<Inputs extends object, Outputs extends object> {
  new (model: ImageModel): BoundModel<Inputs, Outputs>;
  /**
   * Loads the model.
   *
   * @throws {AchadoError} MODEL_INTEGRITY where the file is not the one that was bound; as
   *   `createClassifier`
   */
  newInstance<T>(this: new (model: ImageModel) => T, options?: BindingOptions): Promise<T>;
  /** The hash of the file. */
  readonly integrity: `sha256-${string}`;
}

/** The class of a binding. */
export function boundTo<Inputs extends object, Outputs extends object>(
  opener: Opener,
  binding: Binding,
): BoundClass<Inputs, Outputs> {
  return class implements BoundModel<Inputs, Outputs> {
    static readonly integrity = binding.integrity;

    static async newInstance<T>(
      this: new (model: ImageModel) => T,
      options: BindingOptions = {},
    ): Promise<T> {
      return new this(await open(opener, binding, options));
    }

    constructor(readonly model: ImageModel) {}

    async process(inputs: Inputs, options: FrameOptions = {}): Promise<Outputs> {
      const given = inputs as Readonly<Record<string, unknown>>;
      checkKeys(binding, given);
      const outputs =
        binding.task === "classifier"
          ? await categories(binding, this.model as ImageClassifier, given, options)
          : await tensors(binding, this.model, given, options);
      return outputs as Outputs;
    }

    close(): Promise<void> {
      return this.model.close();
    }

    [Symbol.asyncDispose](): Promise<void> {
      return this.close();
    }
  };
}

async function open(
  { createClassifier, createModel }: Opener,
  { name, model, integrity, task, options }: Binding,
  own: BindingOptions,
): Promise<ImageModel> {
  const all: ClassifierOptions = { model, integrity, ...options, ...own };
  try {
    return await (task === "classifier" ? createClassifier(all) : createModel(all));
  } catch (error) {
    if ((error as Partial<AchadoError> | null)?.code !== "MODEL_INTEGRITY") throw error;
    const { message, detail } = error as AchadoError;
    throw new AchadoError(
      "MODEL_INTEGRITY",
      `${message}; ${name} was written for the file that it needs: serve that one, or run \`achado bind\` on the new one`,
      { ...detail, binding: name },
      { cause: error },
    );
  }
}

function checkKeys({ name, inputs }: Binding, given: Readonly<Record<string, unknown>>): void {
  const keys = inputs.map(({ key }) => key);
  const refuse = (message: string, input: string) =>
    new AchadoError("INVALID_INPUT", `${name}.process: ${message}`, { input });
  if (typeof given !== "object" || given === null) {
    throw refuse(`needs an object with ${keys.join(", ")}, is ${String(given)}`, "");
  }
  for (const key of Object.keys(given)) {
    if (keys.includes(key)) continue;
    const near = didYouMean(key, keys);
    throw refuse(`there is no input "${key}"${near}; there is ${keys.join(", ")}`, key);
  }
  for (const key of keys) {
    if (given[key] === undefined) throw refuse(`the input "${key}" is missing`, key);
  }
}

async function categories(
  { inputs, outputs }: Binding,
  model: ImageClassifier,
  given: Readonly<Record<string, unknown>>,
  options: FrameOptions,
): Promise<Record<string, Category[]>> {
  const { classifications } = await model.classify(
    given[inputs[0]?.key ?? ""] as ImageInput,
    options,
  );
  const entries = outputs.map(({ key, name }, position) => {
    // By position where two outputs of a file have one name.
    const found = classifications[position];
    const head =
      found?.headName === name ? found : classifications.find((one) => one.headName === name);
    return [key, head?.categories ?? []] as const;
  });
  return Object.fromEntries(entries);
}

async function tensors(
  { inputs, outputs }: Binding,
  model: ImageModel,
  given: Readonly<Record<string, unknown>>,
  options: FrameOptions,
): Promise<Record<string, Tensor>> {
  const picture = inputs.find((input) => input.picture);
  const others = inputs.filter((input) => input !== picture);
  const values = Object.fromEntries(others.map(({ key, name }) => [name, given[key]]));
  const fed = values as Record<string, TensorData>;
  const answer = picture
    ? await model.runImage(given[picture.key] as ImageInput, { ...options, tensors: fed })
    : await model.run(fed, options.signal ? { signal: options.signal } : {});
  return Object.fromEntries(outputs.map(({ key, name }) => [key, answer[name] as Tensor]));
}
