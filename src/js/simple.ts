// `achado/simple`: one call for one picture. The model is opened by the first call and kept.
import { cosineSimilarity, createClassifier } from "./index.js";
import { invalidOption } from "./options.js";
import { checkNames, type NamesOf } from "./names.js";
import { type Hold, hold, keyOf } from "./shared.js";
import type {
  Category,
  ClassifierOptions,
  FrameOptions,
  ImageClassifier,
  ImageInput,
} from "./types.js";

/** What {@link imageSimilarity} takes. */
export interface SimilarityOptions extends FrameOptions {
  /** A model's address. Default: the one that comes with the package. */
  model?: string | URL | undefined;
  /** As of `createClassifier`. */
  preprocess?: ClassifierOptions["preprocess"];
  /** As of `createClassifier`. */
  assets?: ClassifierOptions["assets"];
}

/** What {@link labelImage} takes. */
export interface LabelOptions extends SimilarityOptions {
  /** As of `createClassifier`. */
  labels?: ClassifierOptions["labels"];
  /** Labels with lower scores are left out. Default: 0.5, as in ML Kit. */
  scoreThreshold?: number | undefined;
  /** At most so many, best first. Default: all. */
  maxResults?: number | undefined;
}

const SIMILARITY: NamesOf<SimilarityOptions> = {
  model: 1,
  preprocess: 1,
  assets: 1,
  regionOfInterest: 1,
  rotationDegrees: 1,
  mirror: 1,
  signal: 1,
};
const LABEL: NamesOf<LabelOptions> = { ...SIMILARITY, labels: 1, scoreThreshold: 1, maxResults: 1 };

/** The models that calls have opened. */
const held = new Map<string, Hold>();

function modelOf({ model, preprocess, assets, labels }: LabelOptions): Promise<ImageClassifier> {
  const options = { model, preprocess, assets, labels };
  const key = keyOf(options);
  let one = held.get(key);
  if (!one) {
    one = hold(`simple ${key}`, () => createClassifier(options));
    held.set(key, one);
    // Of many models the last few are kept.
    const [oldest] = held.keys();
    if (held.size > MAX_HELD && oldest !== undefined) letGo(oldest);
    one.model.catch(() => letGo(key));
  }
  return one.model;
}

const MAX_HELD = 4;

function letGo(key: string, when?: "now"): void {
  held.get(key)?.release(when);
  held.delete(key);
}

/**
 * What a picture shows: the labels whose scores reach the threshold, best first; none if the model is
 * sure of nothing.
 *
 * @throws {AchadoError} As `createClassifier` and `classify`
 */
export async function labelImage(
  image: ImageInput,
  options: LabelOptions = {},
): Promise<Category[]> {
  checkNames(options, LABEL);
  const { scoreThreshold = 0.5, maxResults = -1 } = options;
  for (const [option, value] of Object.entries({ scoreThreshold, maxResults })) {
    if (typeof value === "number" && !Number.isNaN(value)) continue;
    throw invalidOption(option, `must be a number, is ${String(value)}`);
  }
  const model = await modelOf(options);
  const { classifications } = await model.classify(image, frameOptions(options));
  const labels = classifications
    .flatMap(({ categories }) => categories)
    .filter(({ score }) => score >= scoreThreshold)
    .sort((a, b) => b.score - a.score);
  return maxResults < 0 ? labels : labels.slice(0, maxResults);
}

/**
 * How alike two pictures are to the model: the cosine of the angle between their embeddings, from -1
 * to 1. By the package's model a mirrored part of a photo has 0.96 with the whole, and photos of
 * different things have 0.1 to 0.25.
 *
 * @throws {AchadoError} As `createClassifier` and `embed`
 */
export async function imageSimilarity(
  a: ImageInput,
  b: ImageInput,
  options: SimilarityOptions = {},
): Promise<number> {
  checkNames(options, SIMILARITY);
  const model = await modelOf(options);
  const frame = frameOptions(options);
  const [first, second] = await Promise.all([model.embed(a, frame), model.embed(b, frame)]);
  return cosineSimilarity(first, second);
}

/** Frees the models that calls of this module have opened. */
export function closeModels(): void {
  for (const key of [...held.keys()]) letGo(key, "now");
}

function frameOptions({ regionOfInterest, rotationDegrees, mirror, signal }: FrameOptions) {
  return { regionOfInterest, rotationDegrees, mirror, signal };
}
