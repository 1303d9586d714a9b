// Projects: pictures, embeddings, labels, head and settings in one zip.
import { AchadoError } from "../errors.js";
import { isBytes, kindOf } from "../kind.js";
import type { ImageInput, RawImage } from "../types.js";
import { ImageDataset } from "./dataset.js";
import type { TrainedHead } from "./maker.js";
import type { TrainedClassifier } from "./trained.js";
import { ImageTrainer } from "./trainer.js";
import type { Picture, TrainOptions } from "./types.js";
import { bytesOf, readZip, writeZip } from "./zip.js";

/** Raised when older versions could no longer read what is written. */
const VERSION = 1;

/** What a project remembers beside its pictures. */
export type ProjectSettings = Omit<TrainOptions, "signal" | "onProgress">;

interface ProjectFile {
  achado: "project";
  version: number;
  classes: string[];
  pictures: { file: string; name: string; label: string; session: string }[];
  settings: ProjectSettings;
  /** Of which network the embeddings are. */
  base?: string;
  features?: number;
  /** Rows of embeddings.bin by picture; -1 for none. */
  rows?: number[];
  head?: { classes: number; l2: number; temperature: number; threshold: number };
}

/** A project that was opened. */
export interface Project {
  dataset: ImageDataset;
  settings: ProjectSettings;
  /** The head as it was, where the project was saved with one. */
  head: Pick<TrainedHead, "weights" | "bias" | "l2" | "temperature" | "threshold"> | null;
}

/** What {@link saveProject} takes beside the pictures. */
export interface SaveOptions {
  /** Its embeddings are saved, so that training again takes no time. */
  trainer?: ImageTrainer | undefined;
  classifier?: TrainedClassifier | undefined;
  settings?: ProjectSettings | undefined;
}

/**
 * Writes a project as the bytes of a zip: the same project gives the same bytes.
 *
 * @throws {AchadoError} INVALID_INPUT for pictures that cannot be read, or that are too many
 */
export async function saveProject(
  dataset: ImageDataset,
  { trainer, classifier, settings = {} }: SaveOptions = {},
): Promise<Blob> {
  const files: { name: string; data: Uint8Array<ArrayBuffer> }[] = [];
  const project: ProjectFile = {
    achado: "project",
    version: VERSION,
    classes: [...dataset.classes],
    pictures: [],
    settings,
  };
  const rows: Float32Array<ArrayBuffer>[] = [];
  const places: number[] = [];
  for (const [index, picture] of dataset.pictures.entries()) {
    const { data, extension } = await encoded(await picture.load());
    const file = `pictures/${String(index).padStart(5, "0")}.${extension}`;
    files.push({ name: file, data });
    const { name, label, session } = picture;
    project.pictures.push({ file, name, label, session });
    const embedding = trainer?.kept(picture);
    places.push(embedding ? rows.push(embedding) - 1 : -1);
  }
  if (trainer && rows.length > 0) {
    project.base = trainer.base;
    project.features = trainer.features;
    project.rows = places;
    files.push({ name: "embeddings.bin", data: bytesOfFloats(rows) });
  }
  if (classifier) {
    const { head } = classifier.parts;
    const { l2, temperature, threshold } = head;
    project.head = { classes: classifier.labels.length, l2, temperature, threshold };
    files.push({ name: "head.bin", data: bytesOfFloats([head.weights, head.bias]) });
  }
  const text = `${JSON.stringify(project, null, 1)}\n`;
  files.unshift({ name: "project.json", data: new TextEncoder().encode(text) });
  return new Blob(writeZip(files), { type: "application/zip" });
}

/**
 * Opens a project. With the trainer of the same network, embeddings are taken from it.
 *
 * @throws {AchadoError} INVALID_INPUT
 */
export async function openProject(
  source: Blob | Uint8Array | ArrayBuffer,
  { trainer }: { trainer?: ImageTrainer | undefined } = {},
): Promise<Project> {
  const entries = new Map((await readZip(bytesOf(source))).map((entry) => [entry.name, entry]));
  const text = await entries.get("project.json")?.read();
  if (!text) throw broken("it has no project.json: it is a zip of something else");
  const project = parse(text);
  const pictures = project.pictures.map(({ file, name, label, session }): Picture => {
    const entry = entries.get(file);
    if (!entry) throw broken(`it has no ${file}`);
    return { name, label, session, load: () => entry.read() };
  });
  const dataset = new ImageDataset(pictures, project.classes);
  const { base, features, rows } = project;
  if (trainer && base === trainer.base && features === trainer.features && rows) {
    const all = floats(await entries.get("embeddings.bin")?.read());
    pictures.forEach((picture, index) => {
      const row = rows[index] ?? -1;
      const embedding = all.slice(row * features, (row + 1) * features);
      if (row >= 0 && embedding.length === features) trainer.keep(picture, embedding);
    });
  }
  return { dataset, settings: project.settings, head: await headOf(project, entries) };
}

async function headOf(
  { head }: ProjectFile,
  entries: Map<string, { read(): Promise<Uint8Array<ArrayBuffer>> }>,
): Promise<Project["head"]> {
  if (!head) return null;
  const all = floats(await entries.get("head.bin")?.read());
  const { classes, l2, temperature, threshold } = head;
  const split = all.length - classes;
  if (!(Number.isInteger(classes) && classes >= 2 && split > 0 && split % classes === 0)) {
    throw broken("its head is damaged");
  }
  return { weights: all.slice(0, split), bias: all.slice(split), l2, temperature, threshold };
}

function parse(text: Uint8Array): ProjectFile {
  let project: ProjectFile;
  try {
    project = JSON.parse(new TextDecoder().decode(text)) as ProjectFile;
  } catch {
    throw broken("its project.json is damaged");
  }
  if (project?.achado !== "project" || !Number.isInteger(project.version)) {
    throw broken("its project.json is that of another program");
  }
  if (project.version > VERSION) {
    throw broken(`it is of version ${project.version}, which a later achado has written`);
  }
  const isText = (value: unknown) => typeof value === "string";
  const isGood =
    Array.isArray(project.classes) &&
    project.classes.every(isText) &&
    Array.isArray(project.pictures) &&
    project.pictures.every((picture) =>
      [picture?.file, picture?.name, picture?.label, picture?.session].every(isText),
    );
  if (!isGood) throw broken("its project.json is damaged");
  project.settings ??= {};
  return project;
}

function broken(reason: string): AchadoError {
  return new AchadoError("INVALID_INPUT", `this is no project of the Maker: ${reason}`);
}

function bytesOfFloats(lists: readonly Float32Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(lists.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const list of lists) {
    bytes.set(new Uint8Array(list.buffer, list.byteOffset, list.byteLength), at);
    at += list.byteLength;
  }
  return bytes;
}

function floats(bytes: Uint8Array<ArrayBuffer> | undefined): Float32Array<ArrayBuffer> {
  if (!bytes || bytes.length % 4 !== 0) throw broken("its numbers are damaged");
  return new Float32Array(bytes.slice().buffer);
}

/** The bytes of a picture: as they are, or without loss where it has none. */
async function encoded(
  image: ImageInput,
): Promise<{ data: Uint8Array<ArrayBuffer>; extension: string }> {
  if (isBytes(image)) {
    const data = new Uint8Array(image);
    return { data, extension: extensionOf(data) };
  }
  const kind = kindOf(image);
  if (kind === "Blob" || kind === "File") {
    const data = new Uint8Array(await (image as Blob).arrayBuffer());
    return { data, extension: extensionOf(data) };
  }
  const { data, width, height } = image as RawImage;
  if (data && width > 0 && height > 0)
    return { data: bitmap({ data, width, height }), extension: "bmp" };
  if (typeof OffscreenCanvas === "function") {
    const drawn = await createImageBitmap(image as ImageBitmapSource);
    const canvas = new OffscreenCanvas(drawn.width, drawn.height);
    canvas.getContext("2d")?.drawImage(drawn, 0, 0);
    drawn.close();
    const blob = await canvas.convertToBlob({ type: "image/png" });
    return { data: new Uint8Array(await blob.arrayBuffer()), extension: "png" };
  }
  throw new AchadoError("INVALID_INPUT", `${kind} cannot be saved as a picture here`, { kind });
}

function extensionOf(bytes: Uint8Array): string {
  const starts = (...head: number[]) => head.every((byte, at) => bytes[at] === byte);
  if (starts(0xff, 0xd8)) return "jpg";
  if (starts(0x89, 0x50)) return "png";
  if (starts(0x47, 0x49)) return "gif";
  if (starts(0x42, 0x4d)) return "bmp";
  return "webp";
}

/** A BMP of 24 bits, rows from the bottom. */
function bitmap({ data, width, height }: RawImage): Uint8Array<ArrayBuffer> {
  const stride = (3 * width + 3) & ~3;
  const bytes = new Uint8Array(54 + stride * height);
  const view = new DataView(bytes.buffer);
  bytes.set([0x42, 0x4d]);
  view.setUint32(2, bytes.length, true);
  view.setUint32(10, 54, true);
  view.setUint32(14, 40, true);
  view.setInt32(18, width, true);
  view.setInt32(22, height, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
  for (let y = 0; y < height; y++) {
    let at = 54 + (height - 1 - y) * stride;
    for (let x = 0; x < width; x++) {
      const from = 4 * (y * width + x);
      bytes[at++] = data[from + 2] as number;
      bytes[at++] = data[from + 1] as number;
      bytes[at++] = data[from] as number;
    }
  }
  return bytes;
}
