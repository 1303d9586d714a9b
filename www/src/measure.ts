// What the page of measurements measures: models, each with the threads that there are.
import { AchadoError, createClassifier, type ImageClassifier, type ModelSource } from "achado";

/** A model to measure. */
export interface Subject {
  name: string;
  source: ModelSource;
}

/** Why there is nothing to measure. */
export type Obstacle = { reason: "notIsolated" | "oneCore" } | { message: string };

/** One line of the table. */
export interface Row {
  model: string;
  /** Of the operators with the most multiplications. */
  type?: "int8" | "float";
  simd?: string;
  threads: number;
  /** Medians in milliseconds: the network alone, and from picture to names. */
  networkMs?: number;
  wholeMs?: number;
  /** The fastest network. */
  minMs?: number;
  runs?: number;
  memoryBytes?: number;
  obstacle?: Obstacle;
}

export interface Settings {
  rounds: number;
  /** How long a row runs in each round, and before the first one. */
  roundMs: number;
  warmUpMs: number;
}

export const DEFAULTS: Settings = { rounds: 7, roundMs: 400, warmUpMs: 1000 };

interface Running {
  row: Row;
  classifier: ImageClassifier;
  picture: ImageData;
  network: number[];
  whole: number[];
}

/** Thread counts that are worth a line: one, and as many as there are cores, up to four. */
export function threadCounts(): number[] {
  return [1, Math.max(2, Math.min(4, navigator.hardwareConcurrency || 1))];
}

/**
 * Measures all models. Rows take turns, so that whatever else the device does touches all alike.
 *
 * @param onStep Called before each step with what it works on and the share that is done.
 * @throws The signal's reason, when all models are closed
 */
export async function measure(
  subjects: Subject[],
  settings: Settings,
  signal: AbortSignal,
  onStep: (step: { model: string; done: number }) => void,
): Promise<Row[]> {
  const rows: Row[] = [];
  const running: Running[] = [];
  const steps = subjects.length * threadCounts().length * (1 + settings.rounds);
  let step = 0;
  const next = (model: string) => onStep({ model, done: step++ / steps });
  try {
    for (const subject of subjects) {
      for (const threads of threadCounts()) {
        next(subject.name);
        const row: Row = { model: subject.name, threads };
        rows.push(row);
        const opened = await open(subject, row, signal);
        if (!opened) continue;
        running.push(opened);
        await run(opened, settings.warmUpMs, signal);
        const profile = await opened.classifier.profile(1);
        row.type = typeOf(profile);
        opened.network.length = 0;
        opened.whole.length = 0;
      }
    }
    for (let round = 0; round < settings.rounds; round++) {
      for (const one of running) {
        next(one.row.model);
        await run(one, settings.roundMs, signal);
      }
    }
    for (const { row, classifier, network, whole } of running) {
      row.networkMs = median(network);
      row.wholeMs = median(whole);
      row.minMs = Math.min(...network);
      row.runs = network.length;
      row.memoryBytes = classifier.runtime.memoryBytes;
    }
  } finally {
    await Promise.all(running.map(({ classifier }) => classifier.close()));
  }
  return rows;
}

/** A loaded model, or nothing, with the reason in the row. */
async function open(subject: Subject, row: Row, signal: AbortSignal): Promise<Running | undefined> {
  if (row.threads > 1) {
    const reason = noThreadsBecause();
    if (reason) {
      row.obstacle = { reason };
      return undefined;
    }
  }
  let classifier: ImageClassifier;
  try {
    classifier = await load(subject, row.threads, signal);
  } catch (error) {
    signal.throwIfAborted();
    row.obstacle = { message: messageOf(error) };
    return undefined;
  }
  const { simd, threads, fallbacks } = classifier.runtime;
  if (threads !== row.threads) {
    await classifier.close();
    row.obstacle = { message: fallbacks.map(({ reason }) => reason).join("; ") };
    return undefined;
  }
  row.simd = simd;
  return { row, classifier, picture: testPicture(classifier), network: [], whole: [] };
}

function noThreadsBecause(): "notIsolated" | "oneCore" | undefined {
  if (!globalThis.crossOriginIsolated) return "notIsolated";
  return (navigator.hardwareConcurrency || 1) < 2 ? "oneCore" : undefined;
}

function load({ source }: Subject, threads: number, signal: AbortSignal): Promise<ImageClassifier> {
  return createClassifier({
    model: source,
    threads,
    signal,
    maxResults: 5,
    // What the pixels mean does not change the time; models without metadata run, too.
    preprocess: { mean: [127.5], std: [127.5] },
  });
}

function messageOf(error: unknown): string {
  return error instanceof AchadoError ? `${error.code}: ${error.message}` : String(error);
}

/** Colours that change from pixel to pixel, in the size of the model's input. */
function testPicture({ metadata }: ImageClassifier): ImageData {
  const [, rows = 224, columns = 224, last = 3] = metadata.inputs[0]?.shape ?? [];
  // ONNX files have the channels before the sides.
  const [height, width] = rows <= 4 && last > 4 ? [columns, last] : [rows, columns];
  const picture = new ImageData(width, height);
  for (let i = 0; i < picture.data.length; i++) {
    picture.data[i] = i % 4 === 3 ? 255 : (Math.imul(i, 0x9e3779b1) >>> 16) & 255;
  }
  return picture;
}

/** Classifies for so long, and at least once. */
async function run(
  { classifier, picture, network, whole }: Running,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  const begin = performance.now();
  do {
    const start = performance.now();
    const { timings } = await classifier.classify(picture, { signal });
    whole.push(performance.now() - start);
    network.push(timings.inference);
  } while (performance.now() - begin < ms);
}

type Profile = Awaited<ReturnType<ImageClassifier["profile"]>>;

/** Float where the operator with the most multiplications is. */
function typeOf(profile: Profile): "int8" | "float" {
  const heaviest = profile.reduce((a, b) => (b.macs > a.macs ? b : a));
  return /f32/.test(heaviest.kernel) ? "float" : "int8";
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const [low, high] = [sorted[half - 1 + (sorted.length % 2)], sorted[half]];
  return ((low ?? 0) + (high ?? 0)) / 2;
}
