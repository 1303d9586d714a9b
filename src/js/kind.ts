// What a value is, by its class's name.

/** `HTMLVideoElement`, `Blob`, `Number`, ...: right also for objects of another window. */
export function kindOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}
