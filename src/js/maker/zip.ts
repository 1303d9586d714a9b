// Zip files, as far as datasets and projects need them: entries stored or deflated, no zip64.
import { AchadoError } from "../errors.js";
import { isBlob, isBytes } from "../kind.js";

/** Entries of one file, bytes of one entry, and bytes of all entries together: more is refused. */
const MAX_ENTRIES = 100_000;
const MAX_ENTRY_BYTES = 100_000_000;
const MAX_TOTAL_BYTES = 4_000_000_000;
/** Deflate cannot pack tighter than 1032 to 1; pictures hardly at all. */
const MAX_RATIO = 200;
const MAX_COMMENT = 0xffff;

/** Bytes that can be read in parts: a file on a disk, or an array. */
export interface Bytes {
  readonly size: number;
  read(from: number, to: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** A file or an array as {@link Bytes}. */
export function bytesOf(source: Blob | Uint8Array | ArrayBuffer): Bytes {
  if (isBlob(source)) {
    const read = async (from: number, to: number) =>
      new Uint8Array(await source.slice(from, to).arrayBuffer());
    return { size: source.size, read };
  }
  const array = isBytes(source) ? source : new Uint8Array(source);
  return { size: array.length, read: async (from, to) => array.slice(from, to) };
}

/** A file in a zip. */
export interface Entry {
  readonly name: string;
  readonly size: number;
  read(): Promise<Uint8Array<ArrayBuffer>>;
}

function damaged(message: string): AchadoError {
  return new AchadoError("INVALID_INPUT", `the zip file cannot be read: ${message}`);
}

/**
 * The files of a zip; nothing of them is read yet.
 *
 * @throws {AchadoError} INVALID_INPUT
 */
export async function readZip(bytes: Bytes): Promise<Entry[]> {
  const tailStart = Math.max(0, bytes.size - 22 - MAX_COMMENT);
  const tail = await bytes.read(tailStart, bytes.size);
  const view = viewOf(tail);
  let end = tail.length - 22;
  while (end >= 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  if (end < 0) throw damaged("it has no directory; it is no zip file, or it is truncated");
  const count = view.getUint16(end + 10, true);
  const size = view.getUint32(end + 12, true);
  const offset = view.getUint32(end + 16, true);
  if (count === 0xffff || size === 0xffffffff || offset === 0xffffffff) {
    throw damaged("it is of the zip64 kind, for more than 4 GB or 65,534 files; make smaller ones");
  }
  if (offset + size > tailStart + end || count > MAX_ENTRIES) {
    throw damaged("its directory lies outside of it");
  }
  const directory = await bytes.read(offset, offset + size);
  const entries: Entry[] = [];
  const places = viewOf(directory);
  let total = 0;
  for (let at = 0, index = 0; index < count; index++) {
    if (at + 46 > directory.length || places.getUint32(at, true) !== 0x02014b50) {
      throw damaged("its directory ends within an entry");
    }
    const flags = places.getUint16(at + 8, true);
    const method = places.getUint16(at + 10, true);
    const packed = places.getUint32(at + 20, true);
    const unpacked = places.getUint32(at + 24, true);
    const nameLength = places.getUint16(at + 28, true);
    const place = places.getUint32(at + 42, true);
    const name = new TextDecoder().decode(directory.subarray(at + 46, at + 46 + nameLength));
    at += 46 + nameLength + places.getUint16(at + 30, true) + places.getUint16(at + 32, true);
    if (name.endsWith("/")) continue;
    total += unpacked;
    const isBomb = unpacked > MAX_ENTRY_BYTES || unpacked > 4096 + MAX_RATIO * packed;
    if (isBomb || total > MAX_TOTAL_BYTES) {
      throw damaged(
        `${name} would be ${unpacked} bytes out of ${packed}, all files so far ${total}: this is no zip of pictures`,
      );
    }
    const read = () => readEntry(bytes, { name, flags, method, packed, unpacked, place });
    entries.push({ name, size: unpacked, read });
  }
  return entries;
}

interface Place {
  name: string;
  flags: number;
  method: number;
  packed: number;
  unpacked: number;
  place: number;
}

async function readEntry(bytes: Bytes, entry: Place): Promise<Uint8Array<ArrayBuffer>> {
  const { name, flags, method, packed, unpacked, place } = entry;
  if (flags & 1) throw damaged(`${name} is encrypted`);
  const head = await bytes.read(place, Math.min(bytes.size, place + 30));
  const view = viewOf(head);
  if (head.length < 30 || view.getUint32(0, true) !== 0x04034b50) {
    throw damaged(`${name} lies outside of it`);
  }
  const start = place + 30 + view.getUint16(26, true) + view.getUint16(28, true);
  const data = await bytes.read(start, start + packed);
  if (data.length !== packed) throw damaged(`${name} is cut off`);
  if (method === 0 && packed === unpacked) return data;
  if (method !== 8)
    throw damaged(`${name} is packed by method ${method}; deflate and none are read`);
  return inflate(data, unpacked, name);
}

/** Ends when more comes out than was announced. */
async function inflate(
  data: Uint8Array<ArrayBuffer>,
  size: number,
  name: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const out = new Uint8Array(size);
  let filled = 0;
  const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (filled + value.length > size) throw damaged(`${name} is larger than it says`);
      out.set(value, filled);
      filled += value.length;
    }
  } catch (cause) {
    reader.cancel().catch(() => {});
    if (cause instanceof AchadoError) throw cause;
    throw damaged(`${name} does not unpack`);
  }
  if (filled !== size) throw damaged(`${name} is shorter than it says`);
  return out;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

let table: Uint32Array | undefined;

/** CRC-32 of ISO 3309. */
export function crc32(bytes: Uint8Array): number {
  table ??= Uint32Array.from({ length: 256 }, (_, index) => {
    let crc = index;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    return crc >>> 0;
  });
  let crc = 0xffffffff;
  for (let at = 0; at < bytes.length; at++) {
    crc = (crc >>> 8) ^ (table[(crc ^ (bytes[at] as number)) & 255] as number);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** Makes a zip of stored files: the same files give the same bytes. Parts are given as they come. */
export function writeZip(
  files: readonly { name: string; data: Uint8Array<ArrayBuffer> }[],
): Uint8Array<ArrayBuffer>[] {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const directory: Uint8Array<ArrayBuffer>[] = [];
  let offset = 0;
  const sizeOf = (list: Uint8Array[]) => list.reduce((sum, { length }) => sum + length, 0);
  for (const { name, data } of files) {
    const path = new TextEncoder().encode(name);
    const common = new Uint8Array(26);
    const view = viewOf(common);
    // Version 2.0, names in UTF-8, stored, the format's first day.
    [20, 1 << 11, 0, 0, 0x21].forEach((value, at) => view.setUint16(2 * at, value, true));
    [crc32(data), data.length, data.length].forEach((value, at) =>
      view.setUint32(10 + 4 * at, value, true),
    );
    view.setUint16(22, path.length, true);
    directory.push(
      Uint8Array.of(0x50, 0x4b, 1, 2, 20, 0),
      common,
      new Uint8Array(10),
      Uint8Array.from([0, 8, 16, 24], (shift) => (offset >>> shift) & 255),
      path,
    );
    const added = [Uint8Array.of(0x50, 0x4b, 3, 4), common, path, data];
    parts.push(...added);
    offset += sizeOf(added);
  }
  if (offset > 0xffffffff || files.length > 0xfffe) {
    throw new AchadoError(
      "INVALID_INPUT",
      `the project has ${files.length} files of ${offset} bytes; a zip holds 65,534 files of 4 GB together`,
    );
  }
  const end = new Uint8Array(22);
  const view = viewOf(end);
  view.setUint32(0, 0x06054b50, true);
  view.setUint16(8, files.length, true);
  view.setUint16(10, files.length, true);
  view.setUint32(12, sizeOf(directory), true);
  view.setUint32(16, offset, true);
  return [...parts, ...directory, end];
}
