// A trained head with its network: a classifier, and what can be said about it and made of it.
import { AchadoError, abortable } from "../errors.js";
import type {
  Category,
  ClassifierOptions,
  ClassifierResult,
  EmbedOptions,
  FrameOptions,
  ImageClassifier,
  ImageInput,
  ModelMetadata,
  OperatorProfile,
  RunImageOptions,
  RunOptions,
  Runtime,
  StreamOptions,
  Tensor,
  TensorData,
} from "../types.js";
import { frames } from "../stream.js";
import { checkChoice, checkNames } from "./checks.js";
import type { ImageDataset } from "./dataset.js";
import { argmax, evaluation, type Scored, softmax } from "./evaluate.js";
import type { HeadDescription, TrainedHead } from "./maker.js";
import type { Embedded, ImageTrainer } from "./trainer.js";
import type {
  Evaluation,
  ExportOptions,
  ExportReport,
  MakerCall,
  Picture,
  TrainReport,
} from "./types.js";

/** Pictures that the whole exported file is run on. */
const WHOLE_CHECKS = 8;
/** Scores of the file's f32 beside those of this page's f64. */
const TOLERANCE = 1e-3;

const EXPORTING = [
  "quantization",
  "displayNames",
  "scoreThreshold",
  "name",
  "description",
  "version",
  "author",
  "signal",
  "onProgress",
] satisfies (keyof ExportOptions)[];

/**
 * The classifier that training gives: an ordinary one, with what it was trained on. Until options are
 * changed or tensors are asked for, it shares its network with the trainer.
 */
export class TrainedClassifier implements ImageClassifier {
  /** The names of the classes, by index. */
  readonly labels: readonly string[];
  /** What training has found. */
  readonly report: TrainReport;
  /** What was compared before the last file was handed out. */
  exported: ExportReport | null = null;
  readonly #trainer: ImageTrainer;
  readonly #head: TrainedHead;
  readonly #data: Embedded;
  /** A classifier of the exported file, once one is needed. */
  #opened: Promise<ImageClassifier> | undefined;
  #own: ImageClassifier | undefined;
  #closed = false;

  constructor(
    trainer: ImageTrainer,
    labels: string[],
    head: TrainedHead,
    report: TrainReport,
    data: Embedded,
  ) {
    this.#trainer = trainer;
    this.labels = labels;
    this.#head = head;
    this.report = report;
    this.#data = data;
  }

  /** @internal */
  get parts() {
    return { trainer: this.#trainer, head: this.#head, data: this.#data };
  }

  async classify(image: ImageInput, options: FrameOptions = {}): Promise<ClassifierResult> {
    this.#checkOpen();
    if (this.#own) return this.#own.classify(image, options);
    const started = performance.now();
    const embedding = await this.#trainer.parts.model.embed(image, options);
    const inference = performance.now() - started;
    const scores = softmax(this.logits(embedding));
    const categories = scores.map((score, index): Category => ({
      index,
      score,
      categoryName: this.labels[index] as string,
      displayName: "",
    }));
    categories.sort((a, b) => b.score - a.score || a.index - b.index);
    return {
      classifications: [{ headIndex: 0, headName: "probability", categories }],
      top: categories[0] ?? null,
      timings: { preprocess: 0, inference, postprocess: performance.now() - started - inference },
    };
  }

  async classifyBatch(
    images: Iterable<ImageInput>,
    options: FrameOptions = {},
  ): Promise<ClassifierResult[]> {
    const results: ClassifierResult[] = [];
    for (const image of images) results.push(await this.classify(image, options));
    return results;
  }

  async *classifyStream(
    source: HTMLVideoElement | MediaStream,
    options: StreamOptions = {},
  ): AsyncGenerator<ClassifierResult, void, void> {
    this.#checkOpen();
    if ((options.smoothing ?? 0) > 0) {
      yield* (await this.#open()).classifyStream(source, options);
      return;
    }
    for await (const { image, timestampMs } of frames(source, options)) {
      yield { ...(await this.classify(image, options)), timestampMs };
    }
  }

  /**
   * The best `k` classes of each picture of a dataset, best first.
   *
   * @throws {AchadoError} INVALID_OPTION
   */
  async predictTopK(
    dataset: ImageDataset,
    k = 1,
    call: MakerCall = {},
  ): Promise<{ picture: Picture; top: { label: string; score: number }[] }[]> {
    if (!(Number.isInteger(k) && k >= 1)) {
      throw new AchadoError("INVALID_OPTION", `k: must be a whole number from 1, is ${k}`, {
        option: "k",
      });
    }
    const { scored } = await this.#score(dataset.pictures, call);
    return scored.map(({ picture, scores }) => {
      const ranked = scores.map((score, index) => ({ label: this.labels[index] as string, score }));
      ranked.sort((a, b) => b.score - a.score);
      return { picture, top: ranked.slice(0, k) };
    });
  }

  /**
   * How good it is on pictures that it has not seen.
   *
   * @throws {AchadoError} INVALID_INPUT for classes that it does not know, NOT_ENOUGH_DATA for none
   */
  async evaluate(dataset: ImageDataset, call: MakerCall = {}): Promise<Evaluation> {
    this.#checkOpen();
    const stranger = dataset.classes.find((label) => !this.labels.includes(label));
    if (stranger !== undefined) {
      throw new AchadoError(
        "INVALID_INPUT",
        `the class ${JSON.stringify(stranger)} was not trained; there are ${this.labels.join(", ")}`,
        { label: stranger },
      );
    }
    const { scored, skipped } = await this.#score(dataset.pictures, call);
    if (scored.length === 0) {
      throw new AchadoError("NOT_ENOUGH_DATA", "there is no picture to evaluate", { skipped });
    }
    return evaluation([...this.labels], scored, [...dataset.skipped, ...skipped]);
  }

  /**
   * The bytes of a `.tflite` file that any TensorFlow Lite runtime opens: the network, as it is, with
   * the new head behind it, the labels and the preparation of pictures. The file is opened again and
   * compared with what this classifier says before it is handed out.
   *
   * @throws {AchadoError} INVALID_OPTION; INTERNAL where the file would answer otherwise
   */
  async exportModel(options: ExportOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    this.#checkOpen();
    const description = this.#describe(options);
    const { signal } = options;
    signal?.throwIfAborted();
    const { work } = this.#trainer.parts;
    const embeddings = this.#matrix();
    const made = await abortable(work.exportModel(this.#head, embeddings, description), signal);
    this.exported = await this.#compare(made, description, options);
    return made.file;
  }

  /** The names of the classes as a file, one a line. */
  exportLabels(): string {
    return this.labels.map((label) => `${label}\n`).join("");
  }

  /** Logits of an embedding, in f64. */
  logits(embedding: Float32Array): number[] {
    const { weights, bias } = this.#head;
    let squares = 0;
    for (const value of embedding) squares += value * value;
    const inverse = 1 / Math.max(Math.sqrt(squares), 1e-6);
    return Array.from(bias, (intercept, row) => {
      const start = row * embedding.length;
      let sum = 0;
      for (let at = 0; at < embedding.length; at++) {
        sum += (weights[start + at] as number) * (embedding[at] as number);
      }
      return sum * inverse + intercept;
    });
  }

  get metadata(): ModelMetadata {
    if (this.#own) return this.#own.metadata;
    const base = this.#trainer.metadata;
    const classes = this.labels.length;
    const output = {
      name: "probability",
      shape: [1, classes],
      shapeSignature: [1, classes],
      dtype: "float32",
      quantization: null,
    };
    const head = { headIndex: 0, headName: "probability", classes, labels: classes } as const;
    const heads = [{ ...head, activation: "softmax" as const }];
    return { ...base, outputs: [output], heads, labels: classes, locales: [] };
  }

  get runtime(): Runtime {
    return (this.#own ?? this.#trainer.parts.model).runtime;
  }

  async run(
    tensors: Readonly<Record<string, TensorData>>,
    options?: RunOptions,
  ): Promise<Record<string, Tensor>> {
    return (await this.#open()).run(tensors, options);
  }

  async runImage(image: ImageInput, options?: RunImageOptions): Promise<Record<string, Tensor>> {
    return (await this.#open()).runImage(image, options);
  }

  embed(
    image: ImageInput,
    options: EmbedOptions & { quantize: true },
  ): Promise<Int8Array<ArrayBuffer>>;
  embed(
    image: ImageInput,
    options?: EmbedOptions & { quantize?: false | undefined },
  ): Promise<Float32Array<ArrayBuffer>>;
  async embed(image: ImageInput, options?: EmbedOptions): Promise<never> {
    this.#checkOpen();
    return this.#trainer.parts.model.embed(image, options as never) as Promise<never>;
  }

  async setOptions(options: Partial<ClassifierOptions>): Promise<void> {
    await (await this.#open()).setOptions(options);
  }

  async profile(runs?: number): Promise<OperatorProfile[]> {
    return (await this.#open()).profile(runs);
  }

  /** Lets go of what is its own; the trainer's network stays. */
  async close(): Promise<void> {
    this.#closed = true;
    const opened = await this.#opened?.catch(() => undefined);
    await opened?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw new AchadoError("CLOSED", "this classifier is closed");
  }

  /** A classifier of the exported file. */
  #open(): Promise<ImageClassifier> {
    this.#checkOpen();
    this.#opened ??= (async () => {
      const model = await this.exportModel();
      this.#own = await this.#trainer.parts.platform.createClassifier({ model });
      return this.#own;
    })().catch((error) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  async #score(pictures: readonly Picture[], call: MakerCall) {
    const embedded = await this.#trainer.embedAll(pictures, "evaluate", call);
    const scored = embedded.pictures.map((picture, index): Scored => {
      const logits = this.logits(embedded.embeddings[index] as Float32Array);
      return { picture, scores: softmax(logits) };
    });
    return { scored, skipped: embedded.skipped };
  }

  #matrix(): Float32Array<ArrayBuffer> {
    const { embeddings } = this.#data;
    const { features } = this.#trainer;
    const matrix = new Float32Array(embeddings.length * features);
    embeddings.forEach((embedding, row) => matrix.set(embedding, row * features));
    return matrix;
  }

  #describe(options: ExportOptions): HeadDescription {
    checkNames(options, EXPORTING);
    const { quantization = "none", displayNames, scoreThreshold } = options;
    checkChoice("quantization", quantization, ["none", "int8"]);
    const isThreshold =
      scoreThreshold === undefined || scoreThreshold === "auto" || Number.isFinite(scoreThreshold);
    if (!isThreshold) {
      throw new AchadoError(
        "INVALID_OPTION",
        `scoreThreshold: must be a number or "auto", is ${String(scoreThreshold)}`,
        { option: "scoreThreshold" },
      );
    }
    const { cut, preprocess } = this.#trainer.parts;
    const network = cut.described.name || "its network";
    return {
      labels: [...this.labels],
      displayNames,
      head: quantization === "int8" ? "int8" : "float32",
      preprocess,
      scoreThreshold: scoreThreshold === "auto" ? this.report.threshold : scoreThreshold,
      name: options.name ?? "Image classifier",
      description:
        options.description ??
        `Tells apart ${this.labels.length} classes. Made by achado on ${network}, from ${this.report.pictures} pictures.`,
      version: options.version ?? "1",
      author: options.author ?? "",
    };
  }

  /** Runs what was written, and compares it with what this classifier says. */
  async #compare(
    made: { file: Uint8Array<ArrayBuffer>; head: Uint8Array<ArrayBuffer> },
    { head, scoreThreshold }: HeadDescription,
    { signal, onProgress }: ExportOptions,
  ): Promise<ExportReport> {
    const { platform } = this.#trainer.parts;
    const { pictures, embeddings } = this.#data;
    const whole = Math.min(WHOLE_CHECKS, pictures.length);
    const total = embeddings.length + whole;
    const report = {
      bytes: made.file.length,
      embeddings: 0,
      pictures: 0,
      same: 0,
      largestDifference: 0,
    };
    const compare = (embedding: Float32Array, found: readonly number[]) => {
      const expected = softmax(this.logits(embedding));
      const best = argmax(expected);
      const difference = Math.max(
        ...expected.map((score, at) => Math.abs(score - (found[at] ?? 0))),
      );
      report.largestDifference = Math.max(report.largestDifference, difference);
      // Of two that are equally good, either may come first.
      const isTie =
        Math.abs((expected[best] as number) - (expected[argmax(found)] as number)) < TOLERANCE;
      if (argmax(found) === best || isTie) report.same++;
      onProgress?.({ phase: "export", done: report.embeddings + report.pictures, total });
    };
    const tail = await platform.createModel({
      model: made.head,
      worker: false,
      warmup: false,
      signal,
    });
    try {
      const [input] = tail.metadata.inputs;
      const [output] = tail.metadata.outputs;
      if (!input || !output) throw new AchadoError("INTERNAL", "the exported head has no ends");
      for (const embedding of embeddings) {
        const data = quantized(embedding, input.dtype, input.quantization);
        const answer = (await tail.run({ [input.name]: data }, { signal }))[output.name] as Tensor;
        report.embeddings++;
        compare(embedding, reals(answer));
      }
    } finally {
      await tail.close();
    }
    // The network before the head is the same bytes, which the export has compared; some pictures
    // go all the way.
    const classifier = await platform.createClassifier({
      model: made.file,
      scoreThreshold: scoreThreshold === undefined ? undefined : -1,
      signal,
    });
    try {
      for (let check = 0; check < whole; check++) {
        const index = Math.floor((check * pictures.length) / whole);
        const image = await (pictures[index] as Picture).load().catch(() => undefined);
        // A file may be gone by now.
        if (image === undefined) continue;
        const { classifications } = await classifier.classify(image, { signal });
        const found = this.labels.map(() => 0);
        for (const { index, score } of classifications[0]?.categories ?? []) found[index] = score;
        report.pictures++;
        compare(embeddings[index] as Float32Array, found);
      }
    } finally {
      await classifier.close();
    }
    const all = report.embeddings + report.pictures;
    const isExact = head === "float32";
    if (isExact && (report.same < all || report.largestDifference > TOLERANCE)) {
      throw new AchadoError(
        "INTERNAL",
        `the exported file answers otherwise than this page: ${report.same} of ${all} pictures have the same class, scores differ by up to ${report.largestDifference}; please report it`,
        { ...report },
      );
    }
    return report;
  }
}

/** Real numbers as a tensor of the type that they came from, exactly. */
function quantized(
  values: Float32Array,
  dtype: string,
  quantization: { scale: number; zeroPoint: number } | null,
): TensorData {
  if (!quantization) return Float32Array.from(values);
  const { scale, zeroPoint } = quantization;
  const whole = Array.from(values, (value) => Math.round(value / scale) + zeroPoint);
  if (dtype === "uint8") return Uint8Array.from(whole);
  if (dtype === "int16") return Int16Array.from(whole);
  return Int8Array.from(whole);
}

function reals({ data, quantization }: Tensor): number[] {
  const values = Array.from(data as ArrayLike<number>);
  if (!quantization) return values;
  return values.map((value) => quantization.scale * (value - quantization.zeroPoint));
}
