// Reads tests/conformance/cases/<OPERATOR>.bin; the format stands in scripts/conformance/archive.py.
import { readFile } from "node:fs/promises";
import { inflateSync } from "node:zlib";

/** The models of an operator's cases, by name and type; those that TensorFlow Lite refuses have none. */
export async function casesOf(operator) {
  const file = await readFile(new URL(`../conformance/cases/${operator}.bin`, import.meta.url));
  const bytes = inflateSync(file.subarray(5));
  let at = 0;
  const u8 = () => bytes[at++];
  const u32 = () => bytes.readUInt32LE((at += 4) - 4);
  const take = (length) => bytes.subarray(at, (at += length));
  const text = () => take(bytes.readUInt16LE((at += 2) - 2)).toString();
  const blob = () => take(u32());
  const skipAnswer = () => {
    const kind = u8();
    if (kind === 0) return text();
    // As the one before.
    if (kind === 2) return undefined;
    for (let count = u8(); count > 0; count--) {
      u8();
      for (let rank = u8(); rank > 0; rank--) u32();
      blob();
    }
    return undefined;
  };
  const cases = [];
  for (let count = u32(); count > 0; count--) {
    const [name, dtype, model] = [text(), text(), blob()];
    for (let inputs = u8(); inputs > 0; inputs--) blob();
    skipAnswer();
    skipAnswer();
    cases.push({ name, dtype, model });
  }
  if (at !== bytes.length)
    throw new Error(`${operator}.bin: ${bytes.length - at} bytes are left over`);
  return cases;
}
