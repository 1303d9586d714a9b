// What a value is, by its class's name.

/** `HTMLVideoElement`, `Blob`, `Number`, ...: right also for objects of another window. */
export function kindOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
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
