// What a value is, told by its brand: classes differ between windows, `vm` contexts and test runners.

/** `HTMLVideoElement`, `Blob`, `Number`, `Null`, ...: right also for objects of another realm. */
export function kindOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

/** Bytes, Node's `Buffer` included. */
export function isBytes(value: unknown): value is Uint8Array {
  return ArrayBuffer.isView(value) && kindOf(value) === "Uint8Array";
}

/** Memory that belongs to one thread. */
export function isArrayBuffer(value: unknown): value is ArrayBuffer {
  return kindOf(value) === "ArrayBuffer";
}

export function isBlob(value: unknown): value is Blob {
  const kind = kindOf(value);
  return kind === "Blob" || kind === "File";
}

/** What can be fetched: an address, in Node also a path. */
export function isPlace(value: unknown): value is string | URL {
  return typeof value === "string" || kindOf(value) === "URL";
}

export function isResponse(value: unknown): value is Response {
  return kindOf(value) === "Response";
}

export function isStream(value: unknown): value is ReadableStream<Uint8Array> {
  return kindOf(value) === "ReadableStream";
}

export function isModule(value: unknown): value is WebAssembly.Module {
  return kindOf(value) === "WebAssembly.Module";
}

/** An exception with a name and a message. */
export function isError(value: unknown): value is Error {
  const kind = kindOf(value);
  return kind === "Error" || kind === "DOMException";
}

/** An exception of a browser's interface, such as `SecurityError`. */
export function isDomException(value: unknown): value is DOMException {
  return kindOf(value) === "DOMException";
}

/** The words of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return isError(thrown) ? thrown.message : String(thrown);
}

/** A Blob's bytes; jsdom's have no method for it. */
export async function bytesOf(blob: Blob): Promise<Uint8Array<ArrayBuffer>> {
  if (typeof blob.arrayBuffer === "function") return new Uint8Array(await blob.arrayBuffer());
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(new Uint8Array(reader.result as ArrayBuffer));
    reader.onerror = () => reject(reader.error);
    reader.readAsArrayBuffer(blob);
  });
}

/**
 * Whether bytes begin as ONNX's ModelProto does: `ir_version` in field 1, then another field of the
 * message with its own wire type. The core's reader has the same rule for its error messages.
 */
export function isOnnx(bytes: Uint8Array): boolean {
  const [tag, version = 0, next = 0] = bytes;
  const isTflite = bytes[4] === 0x54 && bytes[5] === 0x46 && bytes[6] === 0x4c; // "TFL"
  const fields = [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42];
  return !isTflite && tag === 0x08 && version >= 1 && version <= 30 && fields.includes(next);
}
