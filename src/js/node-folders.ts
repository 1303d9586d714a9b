// Folders, and what lies beside a model, in Node.
import { readFile, readdir, realpath, stat } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Folder } from "./bundle.js";
import { AchadoError } from "./errors.js";
import { besideUrl } from "./files.js";

/** The path that a place is; undefined for those of the web. */
function pathOf(place: string | URL): string | undefined {
  const text = String(place);
  if (text.startsWith("file:")) return fileURLToPath(text);
  // One letter and a colon is a drive of Windows.
  return /^[a-z][a-z0-9+.-]+:/i.test(text) ? undefined : text;
}

/** The files of a folder and of those in it; undefined for other places. */
export async function openFolder(place: string | URL): Promise<Folder | undefined> {
  const root = pathOf(place);
  const found = root === undefined ? undefined : await stat(root).catch(() => undefined);
  if (root === undefined || !found?.isDirectory()) return undefined;
  const names: string[] = [];
  const list = async (below: string, depth: number): Promise<void> => {
    for (const entry of await readdir(path.join(root, below), { withFileTypes: true })) {
      const name = below + entry.name;
      if (entry.isDirectory()) {
        if (depth > 0) await list(`${name}/`, depth - 1);
      } else names.push(name);
    }
  };
  await list("", 1);
  return {
    what: "the folder",
    names: names.sort(),
    read: async (name) => new Uint8Array(await readFile(path.join(root, name))),
    placeOf: (name) => path.join(root, name),
  };
}

/**
 * The path of a file beside a model or below its folder; `name` has no `..`.
 *
 * @throws {AchadoError} MODEL_FORMAT for a link to elsewhere
 */
export async function besideOf(place: string | URL, name: string): Promise<string | URL> {
  const model = pathOf(place);
  if (model === undefined) return besideUrl(place, name);
  const beside = path.join(path.dirname(model), name);
  const real = await realpath(beside).catch(() => undefined);
  // Reading it says that it is not there.
  if (real === undefined) return beside;
  // Caches hold links to files that lie together elsewhere.
  const roots = [await realpath(path.dirname(model)), path.dirname(await realpath(model))];
  if (!roots.some((root) => real.startsWith(path.join(root, path.sep)))) {
    const message = `the model's weights lie in "${name}", which is a link out of the model's folder, to ${real}`;
    throw new AchadoError("MODEL_FORMAT", message, { location: name });
  }
  return beside;
}
