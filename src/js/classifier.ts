// The classifier that users hold: a model whose outputs are scores.
import type { Engine, Frame, FrameGeometry, ResultNumbers } from "./engine.js";
import { LoadedModel } from "./image-model.js";
import { checkCall, checkOptions } from "./options.js";
import { open } from "./opening.js";
import { checkStillThere, release } from "./pixels.js";
import type { Platform } from "./platform.js";
import { readResults } from "./results.js";
import { type FrameSource, frames } from "./stream.js";
import type {
  ClassifierOptions,
  ClassifierResult,
  FrameOptions,
  ImageClassifier,
  ImageInput,
  StreamOptions,
} from "./types.js";

/**
 * Loads a model for a classifier.
 *
 * @throws {AchadoError}
 */
export async function createOn(
  platform: Platform,
  options: ClassifierOptions,
): Promise<ImageClassifier> {
  checkOptions(options, "classifier");
  const opened = await open(platform, "classifier", options);
  return new Classifier(platform, "classifier", options, opened);
}

class Classifier extends LoadedModel implements ImageClassifier {
  async classify(image: ImageInput, options: FrameOptions = {}): Promise<ClassifierResult> {
    this.checkOpen();
    checkCall("frame", options);
    return this.#classify(image, options);
  }

  async classifyBatch(
    images: Iterable<ImageInput>,
    options: FrameOptions = {},
  ): Promise<ClassifierResult[]> {
    this.checkOpen();
    checkCall("frame", options);
    const results: ClassifierResult[] = [];
    let waiting: ImageInput[] = [];
    for (const image of images) {
      waiting.push(image);
      // At most one batch of pictures' pixels is in memory.
      if (waiting.length < this.batchSize) continue;
      results.push(...(await this.#classifyGroup(waiting, options)));
      waiting = [];
    }
    if (waiting.length > 0 && this.batchIsFixed) {
      results.push(...(await this.#classifyGroup(waiting, options)));
      return results;
    }
    // Fewer than a batch: one by one takes less than a batch that is not full.
    for (const image of waiting) results.push(await this.#classify(image, options));
    return results;
  }

  async *classifyStream(
    source: FrameSource,
    options: StreamOptions = {},
  ): AsyncGenerator<ClassifierResult, void, void> {
    this.checkOpen();
    checkCall("stream", options);
    const share = options.smoothing ?? 0;
    let restart = true;
    for await (const { image, timestampMs } of frames(source, options)) {
      const smoothing = share > 0 ? { share, restart } : undefined;
      yield { ...(await this.#classify(image, options, smoothing)), timestampMs };
      restart = false;
    }
  }

  async #classifyGroup(images: ImageInput[], options: FrameOptions): Promise<ClassifierResult[]> {
    const [only, ...others] = images;
    if (only !== undefined && others.length === 0) return [await this.#classify(only, options)];
    const { signal, regionOfInterest, rotationDegrees, mirror } = options;
    signal?.throwIfAborted();
    const geometry: FrameGeometry = { regionOfInterest, rotationDegrees, mirror };
    const batch: Frame[] = [];
    let used = false;
    try {
      for (const image of images) batch.push(await this.toFrame(image));
      return await this.queue(signal, async (engine) => {
        batch.forEach(checkStillThere);
        used = true;
        return resultsOf(engine, await engine.classifyBatch(batch, geometry));
      });
    } finally {
      if (!used) batch.forEach(release);
    }
  }

  #classify(
    image: ImageInput,
    options: FrameOptions,
    smoothing?: FrameGeometry["smoothing"],
  ): Promise<ClassifierResult> {
    return this.withFrame(image, options, async (engine, frame, geometry, use) => {
      use();
      const numbers = await engine.classify(frame, { ...geometry, smoothing });
      return resultsOf(engine, numbers)[0] as ClassifierResult;
    });
  }
}

function resultsOf(engine: Engine, numbers: ResultNumbers): ClassifierResult[] {
  return readResults(numbers, engine.metadata.heads, engine.names);
}
