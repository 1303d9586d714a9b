/**
 * achado/maker: a user's own classes. Pictures in folders become a `.tflite` classifier, in the page.
 *
 * ```js
 * import { ImageDataset, createTrainer } from "achado/maker";
 * const [train, test] = (await ImageDataset.fromFolder(input.files)).split(0.8, { seed: 7 });
 * const trainer = await createTrainer();
 * const classifier = await trainer.train(train);
 * console.log((await classifier.evaluate(test)).accuracy);
 * const file = await classifier.exportModel();
 * ```
 */
import { Files } from "./assets.js";
import { convertOnnx, createClassifier, createModel, defaultModel } from "./index.js";
import { LocalWork } from "./maker/local-work.js";
import type { MakerPlatform } from "./maker/platform.js";
import { createTrainerOn, type ImageTrainer } from "./maker/trainer.js";
import type { TrainerOptions } from "./maker/types.js";
import { MAKER } from "./own-files.js";

export { ImageDataset } from "./maker/dataset.js";
export { openProject, type Project, type ProjectSettings, saveProject } from "./maker/project.js";
export { TrainedClassifier } from "./maker/trained.js";
export { ImageTrainer } from "./maker/trainer.js";
export type { Tried } from "./maker/maker.js";
export type {
  ClassReport,
  Evaluation,
  ExportOptions,
  ExportReport,
  LabeledImage,
  MakerCall,
  MakerProgress,
  Mistake,
  Picture,
  Skipped,
  SplitOptions,
  TrainerOptions,
  TrainOptions,
  TrainReport,
} from "./maker/types.js";

const browser: MakerPlatform = {
  fetch: (url, signal) => fetch(url, { signal }),
  defaultModel,
  createModel,
  createClassifier,
  convertOnnx,
  wasm: () => new Files(MAKER, undefined).find("maker.wasm"),
  workHere: async (module) => new LocalWork(await import("./generated/maker/achado.js"), module),
  get hasWindow() {
    return typeof window !== "undefined";
  },
  // Bundlers recognise exactly this form.
  createWorker: () => new Worker(new URL("./maker-worker.js", import.meta.url), { type: "module" }),
};

/**
 * Loads a network to train on: any classifier or embedder, or the model of the package.
 *
 * @throws {AchadoError} UNSUPPORTED_TYPE for a network without an embedding; as `createModel`
 */
export function createTrainer(options: TrainerOptions = {}): Promise<ImageTrainer> {
  return createTrainerOn(browser, options);
}
