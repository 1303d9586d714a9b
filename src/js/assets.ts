// Where the package's own files are: where the caller says, or else beside the script.
import { AchadoError } from "./errors.js";
import { isArrayBuffer, isBlob, isModule, isPlace, kindOf } from "./kind.js";
import { didYouMean } from "./names.js";
import type { Asset, AssetName, Assets } from "./types.js";

/** The folder of each file in the package. */
export const FOLDERS: Record<AssetName, "dist" | "models"> = {
  "relaxed.wasm": "dist",
  "simd128.wasm": "dist",
  "relaxed-threads.wasm": "dist",
  "simd128-threads.wasm": "dist",
  "onnx.wasm": "dist",
  "tract.wasm": "dist",
  "decode.wasm": "dist",
  "maker.wasm": "dist",
  "quantize.wasm": "dist",
  "gpu.wasm": "dist",
  "webgpu.js": "dist",
  "worker.js": "dist",
  "threaded-worker.js": "dist",
  "node-worker.js": "dist",
  "efficientnet-lite0-int8.tflite": "models",
};

/** The model of the package. */
export const DEFAULT_MODEL = "efficientnet-lite0-int8.tflite";

/**
 * Makes the address of a file beside the script. Not before it is needed: an IIFE, a CommonJS bundle
 * and a Blob have no address that others are relative to.
 */
export type Place = () => URL;

/** The files that an entry point knows the place of. */
export type OwnFiles = Readonly<Partial<Record<AssetName, Place>>>;

/** What {@link setAssets} said. */
let common: Assets | undefined;

/**
 * Says where the package's files are, for all that is loaded from now on and has no `assets` of its
 * own: the address of a folder that holds them (`npx achado copy` makes one), or for each file its
 * address, bytes or compiled module. `undefined` goes back to the files beside the script.
 *
 * @throws {AchadoError} INVALID_OPTION
 */
export function setAssets(assets: Assets | undefined): void {
  checkAssets(assets);
  common = assets;
}

/**
 * @throws {AchadoError} INVALID_OPTION for a name that no file has, and for what is no file
 */
export function checkAssets(assets: unknown): void {
  if (assets === undefined || isPlace(assets)) return;
  const refuse = (message: string) =>
    new AchadoError("INVALID_OPTION", `assets: ${message}`, { option: "assets" });
  if (kindOf(assets) !== "Object") {
    throw refuse(
      `needs the address of a folder, or an object of files by name, is ${kindOf(assets)}`,
    );
  }
  for (const [name, asset] of Object.entries(assets as object)) {
    if (!Object.hasOwn(FOLDERS, name)) {
      const names = Object.keys(FOLDERS);
      const near = didYouMean(name, names);
      throw refuse(`there is no file "${name}"${near}; there are ${names.join(", ")}`);
    }
    const isFile = isPlace(asset) || isBlob(asset) || isArrayBuffer(asset);
    const isCompiled = isModule(asset) && name.endsWith(".wasm");
    if (asset !== undefined && !isFile && !ArrayBuffer.isView(asset) && !isCompiled) {
      const module = name.endsWith(".wasm") ? ", a WebAssembly.Module" : "";
      throw refuse(`${name} needs a URL, bytes or a Blob${module}, is ${kindOf(asset)}`);
    }
  }
}

/** What one model's files are looked up in. */
export class Files {
  readonly #own: OwnFiles;
  readonly #given: Assets[];

  /** @param assets The option, before what {@link setAssets} said. */
  constructor(own: OwnFiles, assets: Assets | undefined) {
    this.#own = own;
    this.#given = [assets, common].filter((one) => one !== undefined);
  }

  /** What the caller gave for a file, by its name or by a folder. */
  given(name: AssetName): Asset | undefined {
    for (const assets of this.#given) {
      if (isPlace(assets)) return join(assets, name);
      if (assets[name] !== undefined) return assets[name];
    }
    return undefined;
  }

  /** Which of some files the caller gave by name: the first; no folder says which it holds. */
  named(names: readonly AssetName[]): AssetName | undefined {
    for (const assets of this.#given) {
      if (isPlace(assets)) return undefined;
      const found = names.find((name) => assets[name] !== undefined);
      if (found) return found;
    }
    return undefined;
  }

  /**
   * Where a file is.
   *
   * @throws {AchadoError} BACKEND_UNAVAILABLE where nobody knows
   */
  find(name: AssetName): Asset {
    const found = this.given(name) ?? this.own(name);
    if (found !== undefined) return found;
    if (!this.#own[name]) {
      const [piece] = name.split(".");
      throw unknown(
        name,
        name === DEFAULT_MODEL
          ? 'achado/lite comes without a model: give one, or import { defaultModel } from "achado/model"'
          : `achado/lite comes without ${name}: import { ${piece} } from "achado/${piece}" and give assets: ${piece}`,
      );
    }
    throw unknown(
      name,
      `achado does not know where its file ${name} is, since this script has no address of its own; give \`assets\`: the address of a folder that holds it, or its bytes`,
    );
  }

  /** Where a file is unless the caller says otherwise; undefined where nobody knows. */
  own(name: AssetName): URL | undefined {
    try {
      const url = this.#own[name]?.();
      if (!url) return undefined;
      // Meant for bundlers alone.
      if (url.search === "?no-inline") url.search = "";
      return relocated(url, name);
    } catch {
      return undefined;
    }
  }

  /** Whether an address is that of a file of the package's own. */
  isOwn(name: AssetName, place: unknown): boolean {
    return isPlace(place) && String(place) === String(this.own(name) ?? `achado:${name}`);
  }

  /** Where a script is that bundlers leave where it was, beside the core; undefined if they did not. */
  besideCore(name: AssetName): URL | undefined {
    const core = this.own("relaxed.wasm");
    return core?.pathname.endsWith("/relaxed.wasm") ? new URL(name, core) : undefined;
  }

  /** Whether a bundler's development server has moved the script away from its files. */
  get isMoved(): boolean {
    const core = this.own("relaxed.wasm");
    return core !== undefined && core.pathname !== this.#own["relaxed.wasm"]?.().pathname;
  }
}

function unknown(name: AssetName, message: string): AchadoError {
  return new AchadoError("BACKEND_UNAVAILABLE", message, { file: name });
}

function join(folder: string | URL, name: AssetName): string {
  const text = String(folder);
  return text.endsWith("/") ? text + name : `${text}/${name}`;
}

/**
 * Vite's development server bundles packages into a cache, `node_modules/.vite` or `.vite`, without
 * the files that they name; it serves those where they were installed.
 */
function relocated(url: URL, name: AssetName): URL {
  const cache = /^(.*\/)(?:node_modules\/\.|\.vite\/)(?!.*\/node_modules\/)/;
  const [, root] = cache.exec(url.href) ?? [];
  return root === undefined ? url : new URL(`${root}node_modules/achado/${FOLDERS[name]}/${name}`);
}

/** Some files by name, as `assets` takes them; those whose place is unknown are left out. */
export function locate(own: OwnFiles): Partial<Record<AssetName, URL>> {
  const files = new Files(own, undefined);
  const found: Partial<Record<AssetName, URL>> = {};
  for (const name of Object.keys(own) as AssetName[]) {
    const url = files.own(name);
    if (url) found[name] = url;
  }
  return found;
}

/** What to do where one of the package's files is not at an address, by the tool that shows in it. */
export function remedy(url: string | URL): string {
  const text = String(url);
  if (/\/\.angular\//.test(text)) {
    return 'Angular copies no files of packages: list them as assets in angular.json, or run `npx achado copy public/achado` and call setAssets("/achado/")';
  }
  if (/\/node_modules\/|\/\.vite\/|\/@fs\//.test(text)) {
    return 'in Vite, add optimizeDeps: { exclude: ["achado"] } to the configuration, or the plugin of "achado/vite"';
  }
  if (/\/_next\//.test(text)) {
    return 'in Next, add serverExternalPackages: ["achado"] to the configuration';
  }
  return 'if a bundler has left it out, run `npx achado copy public/achado` and call setAssets("/achado/")';
}
