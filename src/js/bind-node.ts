// Bindings in Node: for the command line and for bundlers.
import { readFile, writeFile } from "node:fs/promises";
import { type BindOptions, type Description, describeModel } from "./bind/describe.js";
import { declarationsOf, javascriptOf, typescriptOf } from "./bind/write.js";

export { type BindOptions, declarationsOf, type Description, javascriptOf, typescriptOf };

/**
 * Describes the model of a file.
 *
 * @throws {AchadoError} As `createClassifier`.
 */
export async function describeFile(file: string, options: BindOptions = {}): Promise<Description> {
  return describeModel(file, new Uint8Array(await readFile(file)), options);
}

/** Writes a text where it is not there yet, so that nobody who watches is woken. */
export async function writeChanged(file: string, text: string): Promise<void> {
  const before = await readFile(file, "utf8").catch(() => undefined);
  if (before !== text) await writeFile(file, text);
}
