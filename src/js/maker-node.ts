// achado/maker in Node: folders by path, all work in this thread.
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Files } from "./assets.js";
import { AchadoError } from "./errors.js";
import { type FolderFile, readPathsBy } from "./maker/dataset.js";
import { LocalWork } from "./maker/local-work.js";
import type { MakerPlatform } from "./maker/platform.js";
import { createTrainerOn, type ImageTrainer } from "./maker/trainer.js";
import type { TrainerOptions } from "./maker/types.js";
import { convertOnnx, createClassifier, createModel, defaultModel } from "./node.js";
import { MAKER } from "./own-files.js";
import { fetchAnything } from "./node-files.js";

export { ImageDataset } from "./maker/dataset.js";
export { openProject, saveProject } from "./maker/project.js";
export { TrainedClassifier } from "./maker/trained.js";
export { ImageTrainer } from "./maker/trainer.js";

readPathsBy(async (folder) => {
  const root = String(folder).startsWith("file:") ? fileURLToPath(folder) : String(folder);
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      const why = error.code === "ENOENT" ? "there is no folder" : `${error.message}:`;
      throw new AchadoError("INVALID_INPUT", `${why} ${root}`, { path: root }, { cause: error });
    },
  );
  return entries
    .filter((entry) => entry.isFile())
    .map((entry): FolderFile => {
      const file = path.join(entry.parentPath, entry.name);
      const below = path.relative(root, file).split(path.sep).join("/");
      return { path: below, load: async () => new Uint8Array(await readFile(file)) };
    });
});

const node: MakerPlatform = {
  fetch: fetchAnything,
  defaultModel,
  createModel,
  createClassifier,
  convertOnnx,
  wasm: () => new Files(MAKER, undefined).find("maker.wasm"),
  workHere: async (module) => new LocalWork(await import("./generated/maker/achado.js"), module),
  hasWindow: false,
  createWorker: undefined,
};

/** As in the browser. */
export function createTrainer(options: TrainerOptions = {}): Promise<ImageTrainer> {
  return createTrainerOn(node, options);
}
