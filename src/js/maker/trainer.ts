// From pictures to a head: the network runs once over each, the rest is quick.
import { AchadoError, abortable } from "../errors.js";
import { readModel } from "../fetching.js";
import { isOnnx, messageOf } from "../kind.js";
import type { ImageInput, ImageModel, ModelMetadata, Preprocess } from "../types.js";
import { type CorePreprocess, preprocessOf } from "../presets.js";
import { compileFile } from "../wasm.js";
import { checkChoice, checkNames, checkNumber } from "./checks.js";
import { ImageDataset, MAX_CLASSES } from "./dataset.js";
import { evaluation, type Scored, softmax } from "./evaluate.js";
import type { HeadTraining, TrainedHead } from "./maker.js";
import type { MakerPlatform } from "./platform.js";
import { TrainedClassifier } from "./trained.js";
import type {
  MakerCall,
  MakerProgress,
  Picture,
  Skipped,
  TrainerOptions,
  TrainOptions,
  TrainReport,
} from "./types.js";
import { RemoteWork } from "./remote-work.js";
import { type CutModel, pause, type Work } from "./work.js";
import { crc32 } from "./zip.js";

/** Pictures that are read and decoded while one is in the network. */
const READ_AHEAD = 2;
/** With fewer, a class is hardly known. */
const FEW_PICTURES = 10;

const CREATING = [
  "model",
  "preprocess",
  "worker",
  "threads",
  "wasm",
  "makerWasm",
  "inputShapes",
  "integrity",
  "signal",
] satisfies (keyof TrainerOptions)[];

const TRAINING = [
  "head",
  "l2",
  "classWeights",
  "calibrate",
  "folds",
  "seed",
  "reject",
  "augmentation",
  "conflicts",
  "signal",
  "onProgress",
] satisfies (keyof TrainOptions)[];

/** An embedding of a picture; with `flip`, of its mirror image. */
type Embedding = Float32Array<ArrayBuffer>;

/** Pictures with their embeddings. */
export interface Embedded {
  pictures: Picture[];
  embeddings: Embedding[];
  skipped: Skipped[];
}

/** Makes heads for one network. */
export class ImageTrainer {
  readonly #platform: MakerPlatform;
  readonly #work: Work;
  readonly #model: ImageModel;
  readonly #cut: CutModel;
  readonly #preprocess: CorePreprocess | undefined;
  /** Stands for the network and its preparation of pictures. */
  readonly base: string;
  #kept = new WeakMap<Picture, Map<string, Embedding>>();
  #closed = false;

  constructor(
    platform: MakerPlatform,
    work: Work,
    model: ImageModel,
    cut: CutModel,
    preprocess: CorePreprocess | undefined,
  ) {
    this.#platform = platform;
    this.#work = work;
    this.#model = model;
    this.#cut = cut;
    this.#preprocess = preprocess;
    const hash = crc32(cut.model).toString(16).padStart(8, "0");
    this.base = `${hash}-${cut.model.length}-${JSON.stringify(preprocess ?? {})}`;
  }

  /** How many features an embedding has. */
  get features(): number {
    return this.#cut.features;
  }

  /** The network without its last layer. */
  get metadata(): ModelMetadata {
    return this.#model.metadata;
  }

  /** @internal */
  get parts() {
    const { ...parts } = { platform: this.#platform, work: this.#work, model: this.#model };
    return { ...parts, cut: this.#cut, preprocess: this.#preprocess };
  }

  /**
   * The embedding of a picture, divided by nothing: the head divides it by its length.
   *
   * @throws {AchadoError} As `ImageModel.embed`
   */
  embed(image: ImageInput, options: { mirror?: boolean; signal?: AbortSignal | undefined } = {}) {
    this.#checkOpen();
    return this.#model.embed(image, options);
  }

  /** Takes an embedding from an earlier time, so that the picture need not be looked at again. */
  keep(picture: Picture, embedding: Embedding, view = ""): void {
    const known = this.#kept.get(picture) ?? new Map<string, Embedding>();
    known.set(view, embedding);
    this.#kept.set(picture, known);
  }

  /** The embedding of a picture, if it is known. */
  kept(picture: Picture, view = ""): Embedding | undefined {
    return this.#kept.get(picture)?.get(view);
  }

  /**
   * Embeddings of pictures, those that are known already as they are. Pictures that cannot be read are
   * left out and listed.
   *
   * @internal
   */
  async embedAll(
    pictures: readonly Picture[],
    phase: MakerProgress["phase"],
    { signal, onProgress }: MakerCall,
    view = "",
  ): Promise<Embedded> {
    this.#checkOpen();
    const result: Embedded = { pictures: [], embeddings: [], skipped: [] };
    const total = pictures.length;
    const started = performance.now();
    let fresh = 0;
    const unknown = pictures.filter((picture) => !this.kept(picture, view)).length;
    const load = async (picture: Picture): Promise<Embedding | Skipped> => {
      const known = this.kept(picture, view);
      if (known) return known;
      try {
        const image = await picture.load();
        signal?.throwIfAborted();
        const options = view === "flip" ? { mirror: true, signal } : { signal };
        const embedding = await this.#model.embed(image, options);
        fresh++;
        if (embedding.some((value) => !Number.isFinite(value))) {
          return { name: picture.name, reason: "the network gives no finite numbers for it" };
        }
        this.keep(picture, embedding, view);
        return embedding;
      } catch (error) {
        signal?.throwIfAborted();
        const isOurs = error instanceof AchadoError && error.code !== "INVALID_INPUT";
        if (isOurs) throw error;
        const reason = messageOf(error);
        return { name: picture.name, reason };
      }
    };
    const waiting: Promise<Embedding | Skipped>[] = [];
    let next = 0;
    try {
      for (let done = 0; done < total; done++) {
        while (next < total && waiting.length <= READ_AHEAD) {
          const promise = load(pictures[next++] as Picture);
          // Looked at when it is its turn.
          promise.catch(() => {});
          waiting.push(promise);
        }
        const embedding = await abortable(waiting.shift() as Promise<Embedding | Skipped>, signal);
        if (ArrayBuffer.isView(embedding)) {
          result.pictures.push(pictures[done] as Picture);
          result.embeddings.push(embedding);
        } else {
          result.skipped.push(embedding);
        }
        // A thread without a worker must answer, too.
        if (!this.#model.runtime.worker) await pause();
        signal?.throwIfAborted();
        const each = (performance.now() - started) / Math.max(fresh, 1);
        const progress: MakerProgress = { phase, done: done + 1, total };
        onProgress?.(
          fresh > 0 ? { ...progress, etaMs: each * Math.max(0, unknown - fresh) } : progress,
        );
      }
    } finally {
      await Promise.allSettled(waiting);
    }
    return result;
  }

  /**
   * Trains a head.
   *
   * @throws {AchadoError} NOT_ENOUGH_DATA, INVALID_INPUT, INVALID_OPTION; pictures that cannot be read
   *   are left out and listed in the report
   */
  async train(dataset: ImageDataset, options: TrainOptions = {}): Promise<TrainedClassifier> {
    this.#checkOpen();
    const settings = settingsOf(options);
    const { signal, onProgress } = options;
    signal?.throwIfAborted();
    checkDataset(dataset);
    const started = performance.now();
    const views = options.augmentation === "flip" ? ["", "flip"] : [""];
    let embedded = await this.embedAll(dataset.pictures, "embed", options);
    embedded = checkConflicts(embedded, options.conflicts ?? "refuse");
    const skipped = [...dataset.skipped, ...embedded.skipped];
    checkCounts(dataset.classes, embedded.pictures, skipped);
    const mirrored =
      views.length > 1
        ? await this.embedAll(embedded.pictures, "embed", options, "flip")
        : undefined;
    const embedMs = performance.now() - started;

    const { pictures } = embedded;
    const duplicates = duplicatesOf(embedded);
    const rows = rowsOf(dataset.classes, embedded, mirrored, this.features);
    const trainStarted = performance.now();
    const share = (share: number) => {
      const spent = performance.now() - trainStarted;
      const etaMs = share > 0.02 ? { etaMs: (spent / share) * (1 - share) } : {};
      onProgress?.({ phase: "train", done: share, total: 1, ...etaMs });
    };
    const head = await abortable(this.#work.train(rows, settings, signal, share), signal);
    const trainMs = performance.now() - trainStarted;

    const labels = [...dataset.classes];
    const report: TrainReport = {
      pictures: pictures.length,
      skipped,
      duplicates: duplicates.map((group) => group.map(({ name }) => name)),
      l2: head.l2,
      temperature: head.temperature,
      tried: head.tried,
      unseen: unseenOf(labels, pictures, head),
      threshold: head.threshold,
      warnings: [],
      timings: { embedMs, trainMs },
    };
    report.warnings = warningsOf(report, labels, pictures);
    return new TrainedClassifier(this, labels, head, report, embedded);
  }

  /** Frees the network. Classifiers that came out of this trainer are closed with it. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#work.close();
    await this.#model.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #checkOpen(): void {
    if (this.#closed) throw new AchadoError("CLOSED", "this trainer is closed");
  }
}

/**
 * Loads a network to train heads for.
 *
 * @throws {AchadoError}
 */
export async function createTrainerOn(
  platform: MakerPlatform,
  options: TrainerOptions,
): Promise<ImageTrainer> {
  checkNames(options, CREATING);
  const signal = options.signal ?? new AbortController().signal;
  signal.throwIfAborted();
  const { worker, threads, wasm } = options;
  const [{ bytes, preprocess }, work] = await Promise.all([
    tflite(platform, options, signal),
    startWork(platform, options, signal),
  ]);
  try {
    const cut = await abortable(work.cut(bytes), signal);
    const model = await platform.createModel({
      model: cut.model,
      // Presets have been resolved; colors are triples by now.
      preprocess: preprocess as Partial<Preprocess> | undefined,
      worker,
      threads,
      wasm,
      signal,
    });
    try {
      // What is wrong with the network or its preparation is told now.
      const pixel = { data: Uint8ClampedArray.of(0, 0, 0, 255), width: 1, height: 1 };
      await model.embed(pixel, { signal });
    } catch (error) {
      await model.close();
      throw error;
    }
    return new ImageTrainer(platform, work, model, cut, preprocess);
  } catch (error) {
    work.close();
    throw error;
  }
}

/** The bytes of a `.tflite` model, and what they do not say about the preparation of pictures. */
async function tflite(
  platform: MakerPlatform,
  options: TrainerOptions,
  signal: AbortSignal,
): Promise<{
  bytes: Uint8Array<ArrayBuffer>;
  preprocess: CorePreprocess | undefined;
}> {
  const { integrity, inputShapes } = options;
  const preprocess = preprocessOf(options.preprocess);
  const source = options.model ?? platform.defaultModel;
  const { bytes } = await readModel(source, platform.fetch, integrity, signal, undefined);
  if (!isOnnx(bytes)) return { bytes, preprocess };
  // The converter puts these into the file.
  const { mean, std, channels, ...rest } = preprocess ?? {};
  const pixels = { ...(mean && { mean }), ...(std && { std }), ...(channels && { channels }) };
  const isGiven = Object.keys(pixels).length > 0;
  const conversion = { inputShapes, signal, ...(isGiven && { preprocess: pixels }) };
  const converted = await platform.convertOnnx(bytes, conversion);
  return { bytes: converted, preprocess: Object.keys(rest).length > 0 ? rest : undefined };
}

async function startWork(
  platform: MakerPlatform,
  { makerWasm, worker }: TrainerOptions,
  signal: AbortSignal,
): Promise<Work> {
  const source = makerWasm ?? platform.wasm();
  const module = await compileFile(source, platform.fetch, signal, []);
  if ((worker ?? platform.hasWindow) && platform.createWorker) {
    const started = await RemoteWork.start(platform.createWorker, module).catch(() => undefined);
    // Where workers are forbidden, slices of this thread's time have to do.
    if (started) return started;
  }
  return platform.workHere(module);
}

function settingsOf(options: TrainOptions): HeadTraining {
  checkNames(options, TRAINING);
  const { head = "softmax", l2 = "auto", classWeights = "balanced", calibrate = true } = options;
  const { folds = 5, seed = 0, reject = 0.95 } = options;
  checkChoice("head", head, ["softmax", "lda", "centroid"]);
  checkChoice("classWeights", classWeights, ["balanced", "none"]);
  checkChoice("calibrate", calibrate, [true, false]);
  checkChoice("augmentation", options.augmentation, ["none", "flip"]);
  checkChoice("conflicts", options.conflicts, ["refuse", "skip"]);
  const most = head === "lda" ? 1 : Number.POSITIVE_INFINITY;
  if (l2 !== "auto") {
    const range = head === "lda" ? `"auto" or above 0 and below 1` : `"auto" or above 0`;
    checkNumber("l2", l2, (l2) => l2 > 0 && l2 < most, range);
  }
  const isCount = (folds: number) => Number.isInteger(folds) && folds >= 2 && folds <= 100;
  checkNumber("folds", folds, isCount, "a whole number from 2 to 100");
  checkNumber("seed", seed, Number.isSafeInteger, "a whole number");
  checkNumber("reject", reject, (share) => share > 0 && share <= 1, "above 0 and at most 1");
  const strength = l2 === "auto" ? undefined : l2;
  const balanced = classWeights === "balanced";
  return { head, l2: strength, balanced, calibrate, folds, seed, reject };
}

function checkDataset(dataset: ImageDataset): void {
  if (!(dataset instanceof ImageDataset)) {
    throw new AchadoError(
      "INVALID_INPUT",
      "train needs an ImageDataset; see ImageDataset.fromFiles",
    );
  }
  const found = dataset.classes.length;
  if (found > MAX_CLASSES) {
    const message = `there are ${found} classes; at most ${MAX_CLASSES} can be trained`;
    throw new AchadoError("INVALID_INPUT", message, { found, limit: MAX_CLASSES });
  }
  checkCounts(dataset.classes, dataset.pictures, []);
}

function checkCounts(
  classes: readonly string[],
  pictures: readonly Picture[],
  skipped: readonly Skipped[],
): void {
  const detail = { classes: classes.length, pictures: pictures.length, skipped: skipped.length };
  const [first] = skipped;
  const left = first
    ? `; ${skipped.length} pictures were left out, such as ${first.name}: ${first.reason}`
    : "";
  if (pictures.length === 0) {
    throw new AchadoError("NOT_ENOUGH_DATA", `there is no picture to learn from${left}`, detail);
  }
  if (classes.length < 2) {
    const only = `all pictures are of the class ${JSON.stringify(classes[0])}`;
    const message = `${only}: there must be two classes or more to tell apart, such as one of background`;
    throw new AchadoError("NOT_ENOUGH_DATA", message, detail);
  }
  const counts = new Map(classes.map((label) => [label, 0]));
  for (const { label } of pictures) counts.set(label, (counts.get(label) ?? 0) + 1);
  const few = [...counts].filter(([, count]) => count < 2);
  if (few.length > 0) {
    const list = few.slice(0, 5).map(([label, count]) => `${JSON.stringify(label)} has ${count}`);
    const more = few.length > 5 ? ` and ${few.length - 5} more` : "";
    const message = `each class needs 2 pictures or more: ${list.join(", ")}${more}${left}`;
    throw new AchadoError("NOT_ENOUGH_DATA", message, { ...detail, labels: few.map(([l]) => l) });
  }
}

/** Elements of an embedding that are looked at first. */
const HASHED = 64;

/** Groups of pictures with the same embedding: they are the same picture. */
function same({ embeddings }: Embedded): number[][] {
  const buckets = new Map<number, number[][]>();
  embeddings.forEach((embedding, index) => {
    const words = new Uint32Array(embedding.buffer, embedding.byteOffset, embedding.length);
    const stride = Math.max(1, Math.floor(words.length / HASHED));
    let hash = 0;
    let isEmpty = true;
    for (let at = 0; at < words.length; at += stride) {
      const word = words[at] as number;
      hash = (Math.imul(hash, 31) + word) | 0;
      isEmpty &&= word === 0;
    }
    // A picture without any feature says nothing about what is alike.
    if (isEmpty && embedding.every((value) => value === 0)) return;
    const groups = buckets.get(hash) ?? [];
    buckets.set(hash, groups);
    const isEqual = ([first]: number[]) =>
      (embeddings[first as number] as Embedding).every((value, at) => value === embedding[at]);
    const group = groups.find(isEqual);
    if (group) group.push(index);
    else groups.push([index]);
  });
  return [...buckets.values()].flat().filter((group) => group.length > 1);
}

function checkConflicts(embedded: Embedded, conflicts: "refuse" | "skip"): Embedded {
  const out = new Set<number>();
  const skipped = [...embedded.skipped];
  for (const group of same(embedded)) {
    const pictures = group.map((index) => embedded.pictures[index] as Picture);
    const first = pictures[0] as Picture;
    const other = pictures.find(({ label }) => label !== first.label);
    if (!other) continue;
    const [a, b] = [JSON.stringify(first.label), JSON.stringify(other.label)];
    if (conflicts === "refuse") {
      throw new AchadoError(
        "INVALID_INPUT",
        `the same picture is in two classes: ${first.name} in ${a} and ${other.name} in ${b}; take it out of one, or give conflicts: "skip"`,
        { pictures: pictures.map(({ name }) => name), labels: pictures.map(({ label }) => label) },
      );
    }
    for (const index of group) out.add(index);
    const reason = `the same picture is in ${a} and in ${b}`;
    skipped.push(...pictures.map(({ name }) => ({ name, reason })));
  }
  if (out.size === 0) return embedded;
  return {
    pictures: embedded.pictures.filter((_, index) => !out.has(index)),
    embeddings: embedded.embeddings.filter((_, index) => !out.has(index)),
    skipped,
  };
}

function duplicatesOf(embedded: Embedded): Picture[][] {
  return same(embedded).map((group) => group.map((index) => embedded.pictures[index] as Picture));
}

function rowsOf(
  classes: readonly string[],
  embedded: Embedded,
  mirrored: Embedded | undefined,
  features: number,
) {
  const sessions = new Map<string, number>();
  const numberOf = (session: string) => {
    const number = sessions.get(session) ?? sessions.size;
    sessions.set(session, number);
    return number;
  };
  // Copies of a picture are never on both sides.
  const joined = new Map<Picture, string>();
  for (const group of duplicatesOf(embedded)) {
    for (const picture of group) joined.set(picture, (group[0] as Picture).session);
  }
  const sessionOf = (picture: Picture) => numberOf(joined.get(picture) ?? picture.session);
  const all = [embedded, ...(mirrored ? [mirrored] : [])];
  const n = all.reduce((sum, { pictures }) => sum + pictures.length, 0);
  const embeddings = new Float32Array(n * features);
  const [labels, numbers] = [new Uint32Array(n), new Uint32Array(n)];
  let row = 0;
  for (const { pictures, embeddings: list } of all) {
    pictures.forEach((picture, index) => {
      embeddings.set(list[index] as Embedding, row * features);
      labels[row] = classes.indexOf(picture.label);
      numbers[row++] = sessionOf(picture);
    });
  }
  return { embeddings, features, labels, sessions: numbers, classes: classes.length };
}

function unseenOf(labels: string[], pictures: Picture[], { unseen }: TrainedHead) {
  const scored: Scored[] = [];
  pictures.forEach((picture, row) => {
    const logits = unseen.subarray(row * labels.length, (row + 1) * labels.length);
    if (logits.every(Number.isFinite)) scored.push({ picture, scores: softmax(logits) });
  });
  // A class of which no picture was held out would count as known.
  const held = new Set(scored.map(({ picture }) => picture.label));
  return labels.every((label) => held.has(label)) ? evaluation(labels, scored, []) : null;
}

function warningsOf(report: TrainReport, labels: string[], pictures: Picture[]): string[] {
  const warnings: string[] = [];
  const counts = labels.map(
    (label) => pictures.filter((picture) => picture.label === label).length,
  );
  const few = labels.filter((_, index) => (counts[index] as number) < FEW_PICTURES);
  if (few.length > 0) {
    const names = few.slice(0, 5).join(", ");
    warnings.push(
      `fewer than ${FEW_PICTURES} pictures: ${names}${few.length > 5 ? ", ..." : ""}; more of them, taken in other places, help most`,
    );
  }
  const most = Math.max(...counts);
  if (most > 10 * Math.min(...counts)) {
    warnings.push(`the largest class has ${most} pictures, the smallest ${Math.min(...counts)}`);
  }
  const sessions = labels.filter((label) => {
    const own = pictures.filter((picture) => picture.label === label);
    return own.length > 1 && new Set(own.map(({ session }) => session)).size === 1;
  });
  if (sessions.length > 0) {
    warnings.push(
      `all pictures are of one session: ${sessions.slice(0, 5).join(", ")}; how well others are known cannot be told`,
    );
  }
  if (report.unseen === null) {
    warnings.push(
      "of a class no picture could be held out: how well the classes are known cannot be told",
    );
  }
  return warnings;
}
