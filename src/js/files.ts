// The files of a model: itself, its labels, what lies beside it. They come from where the caller says,
// or out of one zip or folder.
import type { Chosen, Fail, Folder } from "./bundle.js";
import { AchadoError } from "./errors.js";
import { type Fetch, readLabels, readModel, readSource } from "./fetching.js";
import { isPlace, kindOf } from "./kind.js";
import { type CorePreprocess, preprocessOf } from "./presets.js";
import type { LoadOptions, ModelOptions, ModelSource, Progress } from "./types.js";

type Bytes = Uint8Array<ArrayBuffer>;

/** Parts of the script that few need. */
export interface Parts {
  bundle(): Promise<typeof import("./bundle.js")>;
  configs(): Promise<typeof import("./configs.js")>;
  externalData(): Promise<typeof import("./external-data.js")>;
  modelStore(): Promise<typeof import("./model-store.js")>;
}

/** What a platform knows of files. */
export interface FilePlatform {
  readonly fetch: Fetch;
  readonly parts: Parts;
  /** The files of a folder, where the address is that of one. */
  readonly openFolder?: (place: string | URL) => Promise<Folder | undefined>;
  /** The address of a file that lies beside another, or below its folder. */
  readonly besideOf: (place: string | URL, name: string) => Promise<string | URL>;
}

/** The options that say where files are. */
export type FileOptions = Pick<
  LoadOptions & ModelOptions,
  "model" | "labels" | "config" | "externalData" | "integrity" | "preprocess"
>;

/** Class names: a list, or the bytes of a label file, which the core reads. */
export type Labels = string[] | Bytes;

/** What a model's files say where the caller says nothing. */
export interface Beside {
  labels: Labels | undefined;
  preprocess: CorePreprocess | undefined;
  /** Why it was taken, if nobody said so. */
  reason?: string;
}

/** The bytes of a model with what came along. */
export interface ModelFiles extends Beside {
  /** The caller's own labels. */
  given: Labels | undefined;
  bytes: Bytes;
  /** Whether they are ours to give away. */
  owned: boolean;
  /** For an ONNX model whose weights lie in other files: the whole model. */
  complete(): Promise<Bytes>;
  /**
   * Once the model has been read.
   *
   * @throws {AchadoError} INVALID_OPTION for external data that it has not asked for
   */
  checkUsed(): void;
}

export const fail: Fail = (code, message, detail) => new AchadoError(code, message, detail);

function isZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4;
}

/**
 * Reads a model and what belongs to it.
 *
 * @throws {AchadoError} MODEL_FETCH, MODEL_INTEGRITY, MODEL_FORMAT, INVALID_OPTION
 */
export async function readFiles(
  platform: FilePlatform,
  options: FileOptions & { model: NonNullable<LoadOptions["model"]> },
  signal: AbortSignal,
  onProgress: ((progress: Progress) => void) | undefined,
  remedy?: string,
): Promise<ModelFiles> {
  const { model, integrity } = options;
  let isWhole = true;
  const checkUsed = (): void => {
    if (!isWhole || options.externalData === undefined) return;
    const message = "externalData: the model has its weights in itself; leave the option out";
    throw new AchadoError("INVALID_OPTION", message, { option: "externalData" });
  };
  const folder = await folderOf(platform, model);
  if (folder) return fromFolder(folder);
  const source = model as ModelSource;
  const [file, given, config] = await Promise.all([
    readModel(source, platform.fetch, integrity, signal, onProgress, remedy),
    readLabels(options.labels, platform.fetch, signal),
    readConfigs(),
  ]);
  if (isZip(file.bytes)) {
    const { openZip } = await platform.parts.bundle();
    return fromFolder(openZip(file.bytes, fail));
  }
  return {
    ...file,
    given,
    labels: config?.labels,
    preprocess: config?.preprocess,
    checkUsed,
    complete: () => complete(file.bytes, isPlace(model) ? model : undefined),
  };

  async function fromFolder(folder: Folder): Promise<ModelFiles> {
    const bundle = await platform.parts.bundle();
    const chosen = bundle.choose(folder, options.labels === undefined, fail);
    const bytes = await folder.read(chosen.model, bundle.MAX_MODEL_BYTES);
    const [given, configured] = await Promise.all([
      readLabels(options.labels, platform.fetch, signal),
      readConfigs(),
    ]);
    const config = configured ?? (await configsIn(folder, chosen, bundle.MAX_TEXT_BYTES));
    const listed = chosen.labels && (await folder.read(chosen.labels, bundle.MAX_TEXT_BYTES));
    const base = chosen.model.slice(0, chosen.model.lastIndexOf("/") + 1);
    const teachable = bundle.isTeachableMachine(chosen) && !config?.preprocess;
    return {
      bytes,
      owned: true,
      given,
      labels: listed || config?.labels,
      preprocess: teachable ? preprocessOf("teachable-machine") : config?.preprocess,
      ...(teachable && {
        reason: `${folder.what} holds ${chosen.model} and ${chosen.labels}, as Teachable Machine exports them`,
      }),
      checkUsed,
      complete: () =>
        folder.placeOf
          ? complete(bytes, folder.placeOf(chosen.model))
          : complete(bytes, undefined, { folder, base, most: bundle.MAX_MODEL_BYTES }),
    };
  }

  async function readConfigs(): Promise<Beside | undefined> {
    const { config } = options;
    if (config === undefined) return undefined;
    const { readConfig } = await platform.parts.configs();
    const beside: Beside = { labels: undefined, preprocess: undefined };
    for (const one of Array.isArray(config) ? config : [config]) {
      const isText = kindOf(one) === "Object";
      const name = isPlace(one) ? String(one) : "config";
      const what = { words: "the configuration", option: "config" };
      const bytes = isText
        ? new TextEncoder().encode(JSON.stringify(one))
        : (await readSource(one as ModelSource, what, platform.fetch, signal, () => {})).bytes;
      const { preprocess, hasLabels } = readConfig(name, new TextDecoder().decode(bytes), fail);
      beside.preprocess ??= preprocessOf(preprocess);
      if (hasLabels) beside.labels ??= bytes;
    }
    return beside;
  }

  async function configsIn(folder: Folder, { configs }: Chosen, most: number): Promise<Beside> {
    const beside: Beside = { labels: undefined, preprocess: undefined };
    if (configs.length === 0) return beside;
    const { readConfig } = await platform.parts.configs();
    for (const name of configs) {
      const bytes = await folder.read(name, most);
      try {
        const { preprocess, hasLabels } = readConfig(name, new TextDecoder().decode(bytes), fail);
        beside.preprocess ??= preprocessOf(preprocess);
        if (hasLabels) beside.labels ??= bytes;
      } catch (error) {
        // One that says nothing about pictures was not meant for us; one that says what cannot be
        // followed is.
        if (!(error as Error).message.includes("says nothing")) throw error;
      }
    }
    return beside;
  }

  /** The model with the weights of other files, as it names them. */
  async function complete(
    bytes: Bytes,
    place: string | URL | undefined,
    inside?: { folder: Folder; base: string; most: number },
  ): Promise<Bytes> {
    isWhole = false;
    const { embed } = await platform.parts.externalData();
    const given = options.externalData ?? {};
    const used = new Set<string>();
    let before = bytes.byteLength;
    const read = async (location: string): Promise<Bytes> => {
      used.add(location);
      const what = { words: `the model's external data "${location}"`, option: "externalData" };
      const report = (loaded: number, total?: number) =>
        onProgress?.({
          phase: "model",
          loaded: before + loaded,
          ...(total !== undefined && { total: before + total }),
        });
      let source: ModelSource;
      if (Object.hasOwn(given, location)) source = given[location] as ModelSource;
      else if (inside?.folder.names.includes(inside.base + location)) {
        return inside.folder.read(inside.base + location, inside.most);
      } else if (place !== undefined) source = await platform.besideOf(place, location);
      else {
        const names = Object.keys(given);
        const has = names.length > 0 ? `; externalData has ${names.join(", ")}` : "";
        const message = `the model's weights lie in another file, "${location}": give it as externalData: { "${location}": bytes, Blob or URL }${has}`;
        throw new AchadoError("INVALID_OPTION", message, { option: "externalData", location });
      }
      const hash = typeof integrity === "object" ? integrity[location] : undefined;
      if (integrity !== undefined && hash === undefined) {
        const message = `integrity: the model's weights lie in "${location}"; give the hash of each file: { model: "sha256-...", "${location}": "sha256-..." }`;
        throw new AchadoError("INVALID_OPTION", message, { option: "integrity", location });
      }
      const file = await readModel(
        source,
        platform.fetch,
        hash,
        signal,
        undefined,
        undefined,
        what,
        report,
      );
      before += file.bytes.byteLength;
      return file.bytes;
    };
    const whole = await embed(bytes, read, fail);
    const unused = Object.keys(given).find((name) => !used.has(name));
    if (unused !== undefined) {
      const message = `externalData: the model has no file "${unused}"; it has ${[...used].join(", ")}`;
      throw new AchadoError("INVALID_OPTION", message, { option: "externalData" });
    }
    return whole;
  }
}

/** Dropped files, or what the platform has under an address. */
async function folderOf(
  platform: FilePlatform,
  model: NonNullable<LoadOptions["model"]>,
): Promise<Folder | undefined> {
  if (Array.isArray(model) || kindOf(model) === "FileList") {
    const { openFiles } = await platform.parts.bundle();
    return openFiles([...(model as readonly File[])]);
  }
  return isPlace(model) ? platform.openFolder?.(model) : undefined;
}

/**
 * An address beside another in the web; `name` has no `..`.
 *
 * @throws {AchadoError} INVALID_OPTION where there is nothing beside it
 */
export async function besideUrl(place: string | URL, name: string): Promise<URL> {
  const here = globalThis.document?.baseURI ?? globalThis.location?.href;
  const base = new URL(String(place), here);
  if (!/^https?:$|^file:$/.test(base.protocol)) {
    const message = `the model's weights lie in another file, "${name}", and nothing lies beside ${base.protocol} addresses: give it as externalData: { "${name}": bytes, Blob or URL }`;
    throw new AchadoError("INVALID_OPTION", message, { option: "externalData", location: name });
  }
  return new URL(name.split("/").map(encodeURIComponent).join("/"), base);
}
