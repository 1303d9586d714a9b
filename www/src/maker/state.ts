// What the visitor has put together: classes and pictures, with undo and redo, kept in the browser.
import type { Picture } from "achado/maker";

/** A picture of a class. */
export interface Item extends Picture {
  readonly id: number;
  readonly blob: Blob;
  /** For `img`. */
  readonly url: string;
  /** How sharp it is, where that has been measured. */
  readonly isBlurred: boolean;
}

/** All of it. Never changed, only replaced. */
export interface State {
  readonly classes: readonly string[];
  readonly items: readonly Item[];
}

const EMPTY: State = { classes: [], items: [] };
/** Steps that can be taken back. */
const MAX_STEPS = 100;

let past: State[] = [];
let future: State[] = [];
let current: State = EMPTY;
let nextId = 0;
const listeners: (() => void)[] = [];

export const state = (): State => current;
export const canUndo = (): boolean => past.length > 0;
export const canRedo = (): boolean => future.length > 0;

export function onChange(listener: () => void): void {
  listeners.push(listener);
}

function show(next: State): void {
  current = next;
  for (const listener of listeners) listener();
}

/** Takes a step that can be undone. */
export function change(next: State): void {
  past = [...past.slice(1 - MAX_STEPS), current];
  future = [];
  show(next);
}

export function undo(): void {
  const before = past.pop();
  if (!before) return;
  future.push(current);
  show(before);
}

export function redo(): void {
  const after = future.pop();
  if (!after) return;
  past.push(current);
  show(after);
}

/** Begins with a project, without a step before it. */
export function begin(next: State): void {
  past = [];
  future = [];
  show(next);
}

/** A new picture. */
export async function itemOf(
  blob: Blob,
  label: string,
  name: string,
  session?: string,
): Promise<Item> {
  const id = nextId++;
  return {
    id,
    blob,
    label,
    name,
    session: session ?? `picture ${id} ${name}`,
    url: URL.createObjectURL(blob),
    isBlurred: await isBlurred(blob),
    load: async () => blob,
  };
}

/** A side of the picture as it is looked at for sharpness. */
const SIDE = 96;
/** Below that variance of the Laplacian, of grey values 0 to 255, edges are hardly to be seen. */
const SHARP = 12;

/** Whether a picture has next to no edges: the variance of its Laplacian (Pech-Pacheco 2000). */
async function isBlurred(blob: Blob): Promise<boolean> {
  const options = { resizeWidth: SIDE, resizeHeight: SIDE } as const;
  const bitmap = await createImageBitmap(blob, options).catch(() => undefined);
  // What cannot be decoded is told when it is trained on.
  if (!bitmap) return false;
  const context = new OffscreenCanvas(SIDE, SIDE).getContext("2d", { willReadFrequently: true });
  context?.drawImage(bitmap, 0, 0);
  bitmap.close();
  const data = context?.getImageData(0, 0, SIDE, SIDE).data;
  if (!data) return false;
  const grey = (x: number, y: number) => {
    const at = 4 * (y * SIDE + x);
    return 0.3 * (data[at] ?? 0) + 0.6 * (data[at + 1] ?? 0) + 0.1 * (data[at + 2] ?? 0);
  };
  let [sum, squares, count] = [0, 0, 0];
  for (let y = 1; y < SIDE - 1; y++) {
    for (let x = 1; x < SIDE - 1; x++) {
      const edge =
        4 * grey(x, y) - grey(x - 1, y) - grey(x + 1, y) - grey(x, y - 1) - grey(x, y + 1);
      sum += edge;
      squares += edge * edge;
      count++;
    }
  }
  return squares / count - (sum / count) ** 2 < SHARP;
}

/** A name that no class has. */
export function freeName(wanted: (number: number) => string): string {
  for (let number = 1; ; number++) {
    const name = wanted(number);
    if (!current.classes.includes(name)) return name;
  }
}

const FILE = "maker-project.zip";

/** The file that is kept in the browser's own file system; undefined where there is none. */
async function kept(create: boolean): Promise<FileSystemFileHandle | undefined> {
  const folder = await navigator.storage?.getDirectory?.();
  return folder?.getFileHandle(FILE, { create }).catch((error) => {
    if (create) throw error;
    return undefined;
  });
}

/** @throws {Error} why it cannot be kept: no room, or not allowed */
export async function keep(project: Blob): Promise<void> {
  const handle = await kept(true);
  if (!handle) throw new Error("OPFS");
  // Written beside and swapped in at the end: a tab that is killed meanwhile loses nothing.
  const writer = await handle.createWritable();
  await writer.write(project);
  await writer.close();
}

/** What was kept last time. */
export async function recall(): Promise<File | undefined> {
  const handle = await kept(false).catch(() => undefined);
  const file = await handle?.getFile();
  return file && file.size > 0 ? file : undefined;
}
