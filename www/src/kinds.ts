// What a model is that is no classifier, or gives no probabilities.
import {
  type ClassifierOptions,
  createModel,
  type ImageClassifier,
  type ModelMetadata,
  type TensorInfo,
} from "achado";
import { PageError } from "./errors.js";

/** Fewer numbers than that are classes without names. */
const VECTOR_FROM = 64;
/** An output with as many rows of boxes is one of a detector. */
const BOXES_FROM = 10;
/** A class for each pixel, or each of a few pixels. */
const MAP_SIDE_FROM = 8;

type Kind = "isDetector" | "isSegmenter" | "isOther";

/** Height and width of a picture that an input takes, in either order of dimensions. */
function pictureSize(inputs: readonly TensorInfo[]): [height: number, width: number] | undefined {
  for (const { shape } of inputs) {
    const [, a = 0, b = 0, c = 0] = shape;
    if (shape.length !== 4) continue;
    if (c <= 4) return [a, b];
    if (a <= 4) return [b, c];
  }
  return undefined;
}

function kindOf({ inputs, outputs }: ModelMetadata): Kind {
  const size = pictureSize(inputs);
  if (!size) return "isOther";
  const [height, width] = size;
  /** Every pixel, or every so many, alike in both directions. */
  const isMap = (h = 0, w = 0) =>
    h >= MAP_SIDE_FROM && w >= MAP_SIDE_FROM && h * width === w * height;
  const shapes = outputs.map(({ shape }) => shape);
  const rank = (count: number) => shapes.filter(({ length }) => length === count);
  const maps =
    rank(4).some(([, a, b, c]) => isMap(a, b) || isMap(b, c)) ||
    rank(3).some(([, a, b]) => isMap(a, b));
  if (maps) return "isSegmenter";
  // Rows of four numbers, or of a box and a score for each class, in either order.
  const boxes = rank(3).some(
    ([, a = 0, b = 0]) => (a >= BOXES_FROM && b >= 4) || (b >= BOXES_FROM && a >= 4),
  );
  return boxes ? "isDetector" : "isOther";
}

function errorOf(kind: Kind, name: string, outputs: readonly TensorInfo[]): PageError {
  const listed = outputs.map(({ name, shape }) => `${name} [${shape.join(", ")}]`).join(", ");
  return new PageError(kind, { name, outputs: listed }, listed);
}

/**
 * What a model is that did not open as a classifier; nothing if it does not open at all, so that the
 * reason is in the file, or if it may be a classifier.
 *
 * @param surely It is none, so that it is said what it is in any case
 */
export async function recognize(
  model: ClassifierOptions["model"],
  name: string,
  surely: boolean,
): Promise<PageError | undefined> {
  try {
    const opened = await createModel({ model, warmup: false });
    const { metadata } = opened;
    void opened.close();
    const kind = kindOf(metadata);
    return kind === "isOther" && !surely ? undefined : errorOf(kind, name, metadata.outputs);
  } catch {
    return undefined;
  }
}

/**
 * Refuses what opened as a classifier, since some of its outputs could be scores, and is none.
 *
 * @throws {PageError}
 */
export function checkIsClassifier({ metadata }: ImageClassifier, name: string): void {
  const kind = kindOf(metadata);
  if (kind !== "isOther") throw errorOf(kind, name, metadata.outputs);
}

/** What is to be said of a model that opened as a classifier. */
export function noticeOf(
  { metadata }: ImageClassifier,
  name: string,
  activation: boolean,
): PageError | undefined {
  const [head] = metadata.heads;
  if (!head || activation || head.activation !== "none") return undefined;
  if (head.labels === 0 && head.classes >= VECTOR_FROM) {
    return new PageError("isEmbedder", { name, count: head.classes });
  }
  return undefined;
}
