// Pictures in classes: where they come from, and how they are divided.
import { AchadoError } from "../errors.js";
import { isPlace, kindOf } from "../kind.js";
import type { ImageInput } from "../types.js";
import type { LabeledImage, Picture, Skipped, SplitOptions } from "./types.js";
import { bytesOf, type Entry, readZip } from "./zip.js";

/** Files that are pictures, by the ends of their names. */
const PICTURE = /\.(jpe?g|png|webp|gif|bmp|avif)$/i;
/** Files that systems leave everywhere. */
const HIDDEN = /(^|\/)(\.[^/]*|__MACOSX|Thumbs\.db|desktop\.ini)(\/|$)/i;

/** More classes cannot be told apart by a head on a small network: crates/maker has the same limit. */
export const MAX_CLASSES = 1000;

/** A file of a folder, by its path below that folder with `/` between. */
export interface FolderFile {
  readonly path: string;
  load(): Promise<ImageInput>;
}

/** Pictures in classes. */
export class ImageDataset {
  /** The names of the classes, sorted by code units. */
  readonly classes: readonly string[];
  readonly pictures: readonly Picture[];
  /** Files that were found and are no pictures of a class. */
  readonly skipped: readonly Skipped[];

  /**
   * @throws {AchadoError} INVALID_INPUT for names of classes that cannot be told apart or written
   */
  constructor(
    pictures: readonly Picture[],
    classes: readonly string[] = [],
    skipped: readonly Skipped[] = [],
  ) {
    this.classes = classesOf([...classes, ...pictures.map(({ label }) => label)]);
    this.pictures = [...pictures];
    this.skipped = [...skipped];
  }

  /** The number of pictures. */
  get size(): number {
    return this.pictures.length;
  }

  /** How many pictures each class has, in the order of `classes`. */
  get counts(): number[] {
    const counts = new Map(this.classes.map((label) => [label, 0]));
    for (const { label } of this.pictures) counts.set(label, (counts.get(label) ?? 0) + 1);
    return [...counts.values()];
  }

  /**
   * Pictures by class, `{ cat: [file, file], dog: [...] }`, or each with its class.
   *
   * @throws {AchadoError} INVALID_INPUT
   */
  static fromFiles(
    files: Readonly<Record<string, Iterable<ImageInput>>> | Iterable<LabeledImage>,
  ): ImageDataset {
    const list = Symbol.iterator in files ? [...(files as Iterable<LabeledImage>)] : byClass(files);
    const pictures = list.map(({ image, label, name, session }, index): Picture => {
      const own = name ?? (nameOf(image) || `${label}/${index}`);
      return { name: own, label, session: session ?? `#${index}`, load: async () => image };
    });
    const classes = Symbol.iterator in files ? [] : Object.keys(files);
    return new ImageDataset(pictures, classes);
  }

  /**
   * A folder of folders: each folder in it is a class. Takes the files of an
   * `<input type="file" webkitdirectory>`, what was dropped on a page, a `FileSystemDirectoryHandle`,
   * and in Node a path. Folders within a class are sessions.
   *
   * @throws {AchadoError} INVALID_INPUT, NOT_ENOUGH_DATA for a folder without pictures
   */
  static async fromFolder(folder: FolderSource): Promise<ImageDataset> {
    return fromPaths(await folderFiles(folder), "the folder");
  }

  /**
   * A zip of folders, as {@link ImageDataset.fromFolder}.
   *
   * @throws {AchadoError} INVALID_INPUT, NOT_ENOUGH_DATA
   */
  static async fromZip(zip: Blob | Uint8Array | ArrayBuffer): Promise<ImageDataset> {
    const entries = await readZip(bytesOf(zip));
    return fromPaths(entries.map(fileOf), "the zip file");
  }

  /**
   * The samples of a Teachable Machine project, a `.tm` file, or a zip of its downloaded samples.
   *
   * @throws {AchadoError} INVALID_INPUT, NOT_ENOUGH_DATA
   */
  static async fromTeachableMachine(
    project: Blob | Uint8Array | ArrayBuffer,
  ): Promise<ImageDataset> {
    return teachableMachine(await readZip(bytesOf(project)));
  }

  /**
   * Divides the pictures: `fraction` of them, and the rest. Each class with two sessions or more is on
   * both sides.
   *
   * @throws {AchadoError} INVALID_OPTION
   */
  split(fraction: number, options: SplitOptions = {}): [ImageDataset, ImageDataset] {
    const { seed = 0, stratify = true, groupBy = "session" } = options;
    for (const name of Object.keys(options)) {
      if (!["seed", "stratify", "groupBy"].includes(name)) {
        throw invalid(name, "there is no such option; there are seed, stratify, groupBy");
      }
    }
    if (!(fraction > 0 && fraction < 1)) {
      throw invalid("fraction", `must be above 0 and below 1, is ${fraction}`);
    }
    if (!Number.isSafeInteger(seed)) throw invalid("seed", `must be a whole number, is ${seed}`);
    if (!["session", "none"].includes(groupBy as string) && typeof groupBy !== "function") {
      throw invalid("groupBy", `must be "session", "none" or a function, is ${String(groupBy)}`);
    }
    const groups = new Map<string, Picture[]>();
    this.pictures.forEach((picture, index) => {
      const key =
        typeof groupBy === "function"
          ? groupBy(picture)
          : groupBy === "none"
            ? `${index}`
            : picture.session;
      const known = groups.get(key);
      if (known) known.push(picture);
      else groups.set(key, [picture]);
    });
    // By class, so that every class is divided alike; a group of several is its first picture's.
    const strata = new Map<string, Picture[][]>();
    for (const group of groups.values()) {
      const key = stratify ? (group[0] as Picture).label : "";
      const known = strata.get(key);
      if (known) known.push(group);
      else strata.set(key, [group]);
    }
    const random = generator(seed);
    const first = new Set<Picture>();
    for (const key of [...strata.keys()].sort()) {
      const stratum = strata.get(key) as Picture[][];
      shuffle(stratum, random);
      const all = stratum.reduce((sum, group) => sum + group.length, 0);
      const wanted = Math.round(fraction * all);
      let taken = 0;
      stratum.forEach((group, index) => {
        const isLast = index === stratum.length - 1;
        // Nearer to what is wanted with it than without it; one group on each side at least.
        const nearer = Math.abs(taken + group.length - wanted) <= Math.abs(taken - wanted);
        if (isLast && stratum.length > 1 && taken === all - group.length) return;
        if (!nearer && !(index === 0 && stratum.length > 1)) return;
        taken += group.length;
        for (const picture of group) first.add(picture);
      });
    }
    const part = (inside: boolean) =>
      new ImageDataset(
        this.pictures.filter((picture) => first.has(picture) === inside),
        this.classes,
        inside ? this.skipped : [],
      );
    return [part(true), part(false)];
  }
}

/** What {@link ImageDataset.fromFolder} takes. */
export type FolderSource =
  string | URL | FileList | readonly File[] | DataTransfer | FileSystemDirectoryHandle;

/** Reads a folder by its path: set where there is a file system. */
let readPath: ((path: string | URL) => Promise<FolderFile[]>) | undefined;

/** Lets {@link ImageDataset.fromFolder} take paths. */
export function readPathsBy(read: (path: string | URL) => Promise<FolderFile[]>): void {
  readPath = read;
}

async function folderFiles(folder: FolderSource): Promise<FolderFile[]> {
  if (isPlace(folder)) {
    if (readPath) return readPath(folder);
    throw new AchadoError(
      "INVALID_INPUT",
      "there are no paths in a browser: give the files of a folder",
    );
  }
  const kind = kindOf(folder);
  if (kind === "FileSystemDirectoryHandle") {
    return walk(folder as unknown as DirectoryHandle, "");
  }
  if (kind === "DataTransfer") return dropped(folder as DataTransfer);
  if (kind === "FileList" || Array.isArray(folder)) {
    return Array.from(folder as Iterable<File>, (file) => {
      // The folder's own name comes first.
      const path = file.webkitRelativePath.split("/").slice(1).join("/") || file.name;
      return { path, load: async () => file };
    });
  }
  throw new AchadoError("INVALID_INPUT", `${kind} is no folder of pictures`, { kind });
}

/** As far as TypeScript's library does not have it. */
interface DirectoryHandle {
  entries(): AsyncIterable<[string, DirectoryHandle & { kind: string; getFile(): Promise<File> }]>;
}

async function walk(folder: DirectoryHandle, path: string): Promise<FolderFile[]> {
  const files: FolderFile[] = [];
  for await (const [name, entry] of folder.entries()) {
    const below = path ? `${path}/${name}` : name;
    if (entry.kind === "directory") files.push(...(await walk(entry, below)));
    else files.push({ path: below, load: () => entry.getFile() });
  }
  return files;
}

async function dropped(data: DataTransfer): Promise<FolderFile[]> {
  // All at once: the list is gone after the first wait.
  const entries = Array.from(data.items, (item) => item.webkitGetAsEntry?.() ?? null);
  const loose = Array.from(data.files);
  const files: FolderFile[] = [];
  const visit = async (entry: FileSystemEntry, path: string): Promise<void> => {
    const below = path ? `${path}/${entry.name}` : entry.name;
    if (entry.isFile) {
      const file = () =>
        new Promise<File>((resolve, reject) =>
          (entry as FileSystemFileEntry).file(resolve, reject),
        );
      files.push({ path: below, load: file });
      return;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    for (;;) {
      const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
        reader.readEntries(resolve, reject),
      );
      if (some.length === 0) return;
      for (const child of some) await visit(child, below);
    }
  };
  const folders = entries.filter((entry) => entry !== null);
  for (const entry of folders) await visit(entry, "");
  if (folders.length === 0) {
    for (const file of loose) files.push({ path: file.name, load: async () => file });
  }
  return files;
}

function fileOf(entry: Entry): FolderFile {
  return { path: entry.name, load: () => entry.read() };
}

/** Files in folders as pictures in classes. */
export function fromPaths(found: readonly FolderFile[], where: string): ImageDataset {
  const skipped: Skipped[] = [];
  let files: { file: FolderFile; parts: string[] }[] = [];
  const sorted = found.filter(({ path }) => !HIDDEN.test(path)).sort(byPath);
  for (const file of sorted) {
    const parts = file.path.split("/").filter((part) => part !== "" && part !== ".");
    if (PICTURE.test(file.path)) files.push({ file, parts });
    else skipped.push({ name: file.path, reason: "this is no picture file" });
  }
  // One folder around all others, as in most archives.
  while (isWrapped(files))
    files = files.map(({ file, parts }) => ({ file, parts: parts.slice(1) }));
  const pictures: Picture[] = [];
  for (const { file, parts } of files) {
    const [label, ...below] = parts;
    if (label === undefined || below.length === 0) {
      skipped.push({ name: file.path, reason: "it lies in no folder, so it has no class" });
      continue;
    }
    const folder = below.slice(0, -1).join("/");
    const session = folder ? `${label}/${folder}` : file.path;
    pictures.push({ name: parts.join("/"), label, session, load: file.load });
  }
  if (pictures.length === 0) {
    throw new AchadoError(
      "NOT_ENOUGH_DATA",
      `${where} holds no pictures in folders: make a folder for each class and put its pictures (JPEG, PNG, WebP, GIF, BMP) into it`,
      { files: found.length, skipped: skipped.length },
    );
  }
  return new ImageDataset(pictures, [], skipped);
}

function byPath(a: FolderFile, b: FolderFile): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}

function isWrapped(files: { parts: string[] }[]): boolean {
  const first = files[0]?.parts[0];
  if (first === undefined || files.some(({ parts }) => parts[0] !== first)) return false;
  // Loose pictures beside the folders of classes do not make one of the folder around them.
  const deep = files.filter(({ parts }) => parts.length >= 3);
  const classes = new Set(deep.map(({ parts }) => parts[1]));
  return 2 * deep.length > files.length && classes.size >= 2;
}

/** In a project's zip the samples are called `class-!-number.webp`. */
function teachableMachine(entries: Entry[]): ImageDataset {
  const pictures: Picture[] = [];
  for (const entry of entries) {
    const file = entry.name.split("/").at(-1) as string;
    const at = file.lastIndexOf("-!-");
    if (at <= 0 || !PICTURE.test(file)) continue;
    const label = file.slice(0, at);
    pictures.push({ name: entry.name, label, session: entry.name, load: () => entry.read() });
  }
  if (pictures.length > 0) return new ImageDataset(pictures);
  const isModel = entries.some(({ name }) =>
    /(^|\/)(model\.json|weights\.bin|model.*\.tflite)$/.test(name),
  );
  if (isModel) {
    throw new AchadoError(
      "INVALID_INPUT",
      "this is an exported model of Teachable Machine, not its project: in Teachable Machine, save the project (.tm) or download the samples",
    );
  }
  return fromPaths(entries.map(fileOf), "the project");
}

function byClass(files: Readonly<Record<string, Iterable<ImageInput>>>): LabeledImage[] {
  return Object.entries(files).flatMap(([label, images]) =>
    Array.from(images, (image) => ({ image, label })),
  );
}

function nameOf(image: ImageInput): string {
  return kindOf(image) === "File" ? (image as File).name : "";
}

function classesOf(labels: string[]): string[] {
  const seen = new Map<string, string>();
  for (const label of new Set(labels)) {
    if (typeof label !== "string" || label.trim() === "" || /[\n\r\0]/.test(label)) {
      throw new AchadoError(
        "INVALID_INPUT",
        `${JSON.stringify(label)} cannot be the name of a class: a name is one line of text`,
        { label },
      );
    }
    // Systems write accents in one character or in two.
    const shown = label.normalize("NFC").trim();
    const other = seen.get(shown);
    if (other !== undefined) {
      throw new AchadoError(
        "INVALID_INPUT",
        `two classes are both called ${JSON.stringify(shown)}: their names differ only in spaces or in how accents are stored; put their pictures together, or rename one`,
        { label: shown },
      );
    }
    seen.set(shown, label);
  }
  return [...seen.values()].sort();
}

function invalid(option: string, message: string): AchadoError {
  return new AchadoError("INVALID_OPTION", `${option}: ${message}`, { option });
}

/** Mulberry32: numbers from 0 to below 1. */
export function generator(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Fisher and Yates. */
export function shuffle<T>(items: T[], random: () => number): void {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [items[last], items[other]] = [items[other] as T, items[last] as T];
  }
}
