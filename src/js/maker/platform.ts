// What the Maker needs of its surroundings: a browser's or Node's.
import type { Fetch } from "../fetching.js";
import type {
  Asset,
  ClassifierOptions,
  ConvertOptions,
  ImageClassifier,
  ImageModel,
  LoadOptions,
  ModelSource,
} from "../types.js";
import type { Work } from "./work.js";

/** The parts of achado that the Maker is built on, and where its own files are. */
export interface MakerPlatform {
  readonly fetch: Fetch;
  readonly defaultModel: URL;
  readonly createModel: (options: LoadOptions) => Promise<ImageModel>;
  readonly createClassifier: (options: ClassifierOptions) => Promise<ImageClassifier>;
  readonly convertOnnx: (
    model: ModelSource,
    options: ConvertOptions,
  ) => Promise<Uint8Array<ArrayBuffer>>;
  /** Where maker.wasm is, unless the caller says otherwise. */
  readonly wasm: () => Asset;
  /** maker.wasm in this thread. */
  readonly workHere: (module: WebAssembly.Module) => Promise<Work>;
  readonly hasWindow: boolean;
  readonly createWorker: (() => Worker) | undefined;
}
