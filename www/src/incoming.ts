// What visitors drop, paste or choose: pictures, a model, names, an address.
import { PageError } from "./errors.js";
import { firstBytes } from "./pictures.js";

/** Files by what they are for. */
export interface Sorted {
  pictures: File[];
  model?: File;
  /** What may lie beside a model: configurations, weights in files of their own. */
  companions: File[];
  /** Another model came with it and was left. */
  oneOfSeveral: boolean;
  labels?: File;
}

const LABELS = /\.(txt|csv|pbtxt|labels|names)$/i;
/** Names, or how pictures are prepared, or both: what it is shows inside. */
const CONFIGURATION = /\.(json|ya?ml)$/i;
const WEIGHTS = /\.(data|onnx_data|weights?)$|\.onnx[._]data/i;
const MODEL = /\.(tflite|lite|onnx|zip)$/i;

/** Told apart by content, and where that says nothing by name. */
export async function sort(files: Iterable<File>): Promise<Sorted> {
  const sorted: Sorted = { pictures: [], companions: [], oneOfSeveral: false };
  for (const file of files) {
    const start = await firstBytes(file, 16);
    if (isModel(start, file.name)) {
      if (sorted.model) sorted.oneOfSeveral = true;
      else sorted.model = file;
    } else if (LABELS.test(file.name) || (file.type === "text/plain" && file.size > 0)) {
      sorted.labels ??= file;
    } else if (CONFIGURATION.test(file.name) || WEIGHTS.test(file.name)) {
      sorted.companions.push(file);
    } else {
      sorted.pictures.push(file);
    }
  }
  // Without a model there is nothing that they could lie beside.
  if (!sorted.model) {
    const names = sorted.companions.find(({ name }) => CONFIGURATION.test(name));
    if (names) sorted.labels ??= names;
  }
  return sorted;
}

function isModel(start: string, name: string): boolean {
  // "TFL3" after the root's offset; ZIP archives of exported models; ONNX has no mark of its own.
  return start.slice(4, 7) === "TFL" || start.startsWith("PK\x03\x04") || MODEL.test(name);
}

/** What a drop or paste brought. */
export type Incoming = { files: File[] } | { text: string } | { nothing: true };

/** Reads a drop or paste, which is gone when the event is over. */
export function read(data: DataTransfer | null): Incoming {
  const files = [...(data?.files ?? [])];
  if (files.length > 0) return { files };
  const addresses = data
    ?.getData("text/uri-list")
    .split(/\r?\n/)
    .filter((line) => line !== "" && !line.startsWith("#"));
  const text = addresses?.[0] ?? data?.getData("text/plain") ?? "";
  return text.trim() === "" ? { nothing: true } : { text };
}

/** Whether a text is one address and nothing else. */
export function isAddress(text: string): boolean {
  return /^(https?:\/\/|data:image\/|blob:|\.{0,2}\/)\S+$/i.test(text.trim());
}

/** Whether a text is names, one a line. */
export function isList(text: string): boolean {
  return text.trim().includes("\n");
}

/** Whether an address is that of a model. */
export function isModelAddress(address: URL): boolean {
  return MODEL.test(address.pathname);
}

/**
 * The picture in a `data:` address, which no server is asked for.
 *
 * @throws {PageError} It is not written as such addresses are
 */
export function fromDataAddress(address: string): Blob {
  const parts = /^data:([^;,]*)(?:;[^;,]*)*?(;base64)?,(.*)$/is.exec(address.trim());
  try {
    const [, type = "", base64, content = ""] = parts ?? [];
    if (!parts) throw new Error("no comma");
    const decoded = decodeURIComponent(content);
    if (!base64) return new Blob([decoded], { type });
    return new Blob([Uint8Array.from(atob(decoded), (one) => one.charCodeAt(0))], { type });
  } catch (error) {
    throw new PageError("badAddress", { address: `${address.slice(0, 40)}…` }, String(error));
  }
}
