// Files that come together: the zip of an exported model, a folder, files that were dropped. Which is
// the model, which the labels, which say how pictures are prepared. Loaded with the first of them.
//
// It shares nothing with the modules that the page begins with: what it needs of them is given.

/** Makes the error of the package: this file must not bring a second class. */
export type Fail = (
  code: "MODEL_FORMAT" | "INVALID_OPTION" | "BACKEND_UNAVAILABLE" | "MODEL_FETCH",
  message: string,
  detail?: Record<string, unknown>,
) => Error;

/** Files by name, with `/` between folders. */
export interface Folder {
  /** For messages: "the zip". */
  readonly what: string;
  readonly names: readonly string[];
  read(name: string, mostBytes: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Where a file is, if it has a place of its own. */
  placeOf?(name: string): string;
}

/** Names in one zip: a photo album is no model. */
const MAX_ENTRIES = 4096;
/** Of a model or its weights: what a 32-bit target can hold. */
export const MAX_MODEL_BYTES = 2 ** 31 - 1;
/** Of a label file or a configuration. */
export const MAX_TEXT_BYTES = 4 << 20;
/** Weights hardly shrink; a file of zeros shrinks a thousandfold. */
const [MOST_INFLATION, SMALL_BYTES] = [64, 64 << 20];

interface Entry {
  method: number;
  flags: number;
  crc: number;
  packed: number;
  size: number;
  local: number;
}

/** The directory of a zip (APPNOTE 6.3.10, sections 4.3.7, 4.3.12, 4.3.16). */
export function openZip(bytes: Uint8Array<ArrayBuffer>, fail: Fail): Folder {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const damaged = (what: string) =>
    fail("MODEL_FORMAT", `the zip is damaged: ${what}`, { length: bytes.byteLength });
  const u16 = (at: number) => view.getUint16(at, true);
  const u32 = (at: number) => view.getUint32(at, true);
  let end = bytes.byteLength - 22;
  const first = Math.max(0, end - 0xffff);
  while (end >= first && u32(end) !== 0x06054b50) end -= 1;
  if (end < first) throw damaged("it has no directory; it may be truncated");
  const [count, size, start] = [u16(end + 10), u32(end + 12), u32(end + 16)];
  if (count === 0xffff || start === 0xffffffff) {
    throw fail("MODEL_FORMAT", "the zip is a zip64 file, which is not read: unpack it");
  }
  if (count > MAX_ENTRIES) {
    throw fail(
      "MODEL_FORMAT",
      `the zip holds ${count} files; a model's holds at most ${MAX_ENTRIES}`,
    );
  }
  if (start + size > end) throw damaged("its directory lies outside the file");
  const entries = new Map<string, Entry>();
  const text = new TextDecoder();
  let at = start;
  for (let index = 0; index < count; index++) {
    if (at + 46 > start + size || u32(at) !== 0x02014b50) {
      throw damaged("its directory ends within an entry");
    }
    const nameEnd = at + 46 + u16(at + 28);
    const next = nameEnd + u16(at + 30) + u16(at + 32);
    if (next > start + size) throw damaged("its directory ends within an entry");
    const name = text.decode(bytes.subarray(at + 46, nameEnd));
    if (/^[/\\]|^[a-z]:|\\|(^|\/)\.\.(\/|$)|\0/i.test(name)) {
      throw fail("MODEL_FORMAT", `the zip names "${name}", which leaves its folder`, { name });
    }
    if (!name.endsWith("/")) {
      entries.set(name, {
        flags: u16(at + 8),
        method: u16(at + 10),
        crc: u32(at + 16),
        packed: u32(at + 20),
        size: u32(at + 24),
        local: u32(at + 42),
      });
    }
    at = next;
  }

  async function read(name: string, mostBytes: number): Promise<Uint8Array<ArrayBuffer>> {
    const entry = entries.get(name);
    if (!entry) throw damaged(`it has no "${name}"`);
    const { method, flags, crc, packed, size, local } = entry;
    if (flags & 1) throw fail("MODEL_FORMAT", `"${name}" in the zip is encrypted`, { name });
    if (size > mostBytes || size > Math.max(SMALL_BYTES, MOST_INFLATION * packed)) {
      const most = Math.min(mostBytes, Math.max(SMALL_BYTES, MOST_INFLATION * packed));
      const message = `"${name}" in the zip unpacks to ${size} bytes; at most ${most} are read`;
      throw fail("MODEL_FORMAT", message, { name, size });
    }
    if (local + 30 > bytes.byteLength || u32(local) !== 0x04034b50) {
      throw damaged(`"${name}" lies outside the file`);
    }
    const begin = local + 30 + u16(local + 26) + u16(local + 28);
    if (begin + packed > start) throw damaged(`"${name}" lies outside the file`);
    const data = bytes.subarray(begin, begin + packed);
    let unpacked: Uint8Array<ArrayBuffer> | undefined;
    if (method === 0) unpacked = data.slice();
    else if (method === 8) unpacked = await inflate(data, size, fail);
    else {
      const message = `"${name}" in the zip is packed by method ${method}; only stored (0) and deflate (8) are read`;
      throw fail("MODEL_FORMAT", message, { name, method });
    }
    if (unpacked?.byteLength !== size || crc32(unpacked) !== crc) {
      throw damaged(`"${name}" does not unpack to what its directory says`);
    }
    return unpacked;
  }

  return { what: "the zip", names: [...entries.keys()], read };
}

/** Exactly `size` bytes, or undefined where the stream gives others. */
async function inflate(
  data: Uint8Array<ArrayBuffer>,
  size: number,
  fail: Fail,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  let stream: DecompressionStream;
  try {
    stream = new DecompressionStream("deflate-raw");
  } catch {
    throw fail(
      "BACKEND_UNAVAILABLE",
      "this place cannot unpack zips (no DecompressionStream for deflate-raw): unpack it and give the model and its labels",
    );
  }
  const reader = new Blob([data]).stream().pipeThrough(stream).getReader();
  const unpacked = new Uint8Array(size);
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return unpacked.subarray(0, length);
      if (length + value.byteLength > size) return undefined;
      unpacked.set(value, length);
      length += value.byteLength;
    }
  } catch {
    return undefined;
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** CRC-32 of ISO 3309. */
function crc32(bytes: Uint8Array): number {
  const table = Uint32Array.from({ length: 256 }, (_, index) => {
    let crc = index;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    return crc;
  });
  let crc = ~0;
  for (const byte of bytes) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 255] as number);
  return ~crc >>> 0;
}

/** Files of a drop or of `<input multiple>`. */
export function openFiles(files: readonly File[]): Folder {
  const named = new Map(files.map((file) => [file.webkitRelativePath || file.name, file]));
  const read = async (name: string) =>
    new Uint8Array(await (named.get(name) as File).arrayBuffer());
  return { what: "the list of files", names: [...named.keys()], read };
}

/** The model of a folder, its labels and its configurations by name. */
export interface Chosen {
  model: string;
  labels: string | undefined;
  configs: string[];
}

/** What Teachable Machine calls its float model. */
const TEACHABLE = "model_unquant.tflite";

/** Whether a folder is what Teachable Machine exports, with pixels of -1..1 in the picture's middle. */
export function isTeachableMachine({ model, labels }: Chosen): boolean {
  return baseOf(model) === TEACHABLE && labels !== undefined && baseOf(labels) === "labels.txt";
}

const baseOf = (name: string) => name.slice(name.lastIndexOf("/") + 1);
const folderOf = (name: string) => name.slice(0, name.lastIndexOf("/") + 1);

/**
 * Finds out what is what by the names.
 *
 * @param wantsLabels Whether the caller gives none.
 */
export function choose({ what, names }: Folder, wantsLabels: boolean, fail: Fail): Chosen {
  const visible = names.filter((name) => !/(^|\/)(\.|__MACOSX\/)/.test(name));
  const list = (some: readonly string[]) => some.map((name) => `"${name}"`).join(", ");
  const models = visible.filter((name) => /\.(tflite|lite|onnx)$/i.test(name));
  const [model, second] = models;
  if (model === undefined) {
    const hint = visible.some((name) => /(^|\/)data\.pkl$/.test(name))
      ? "; this is a PyTorch file: export the model as ONNX"
      : visible.some((name) => /\.(h5|keras|pb)$|(^|\/)(config\.json|model\.json)$/i.test(name))
        ? "; export the model as TensorFlow Lite"
        : "";
    const message = `${what} holds no .tflite or .onnx model; it holds ${list(visible.slice(0, 20)) || "nothing"}${hint}`;
    throw fail("MODEL_FORMAT", message, { names: visible });
  }
  if (second !== undefined) {
    const message = `${what} holds several models, ${list(models)}: give one of them`;
    throw fail("INVALID_OPTION", `model: ${message}`, { option: "model", names: models });
  }
  // Those beside the model come first, then those of the folders around it.
  const near = visible
    .filter((name) => folderOf(model).startsWith(folderOf(name)))
    .sort((a, b) => folderOf(b).length - folderOf(a).length);
  const others = near.length > 1 ? near : visible;
  const isLabels = (name: string) =>
    /label|class|categor|synset/i.test(baseOf(name)) && /\.(txt|json|csv|pbtxt|names)$/i.test(name);
  const candidates = others.filter(isLabels);
  const nearest = candidates.filter((name) => folderOf(name) === folderOf(candidates[0] as string));
  if (wantsLabels && nearest.length > 1) {
    const message = `${what} holds several label files beside "${model}", ${list(nearest)}: give one of them`;
    throw fail("INVALID_OPTION", `labels: ${message}`, { option: "labels", names: nearest });
  }
  const isConfig = (name: string) =>
    /^(preprocessor_config\.json|config\.json|metadata\.(json|ya?ml))$/.test(baseOf(name));
  return {
    model,
    labels: nearest.length === 1 ? nearest[0] : undefined,
    configs: others.filter(isConfig),
  };
}
