// `achado embed`: pictures as vectors, for NumPy.
import { writeFile } from "node:fs/promises";
import { AchadoError } from "../../errors.js";
import { ImageDataset } from "../../maker-node.js";
import { createModel, defaultModel } from "../../node.js";
import { command, print, UsageError } from "../command.js";
import { PICTURE_OPTIONS, preparation, teller, tellSkipped } from "../pictures.js";

export const embed = command({
  name: "embed",
  usage: "FOLDER -o FILE.npy",
  summary: "turn pictures into vectors: float32 for NumPy, and the pictures' names in FILE.txt",
  options: {
    output: { type: "string", short: "o", value: "FILE", help: "where the vectors go" },
    model: {
      type: "string",
      value: "FILE",
      help: "a .tflite or .onnx model (default: EfficientNet-Lite0)",
    },
    normalize: { type: "boolean", help: "divide each vector by its length" },
    ...PICTURE_OPTIONS,
  },
  async run(values, [folder, second]) {
    if (folder === undefined || second !== undefined)
      throw new UsageError("embed needs one folder of pictures");
    const { output } = values;
    if (output === undefined) throw new UsageError("embed needs -o FILE.npy");
    const model = await createModel({
      model: values.model ?? defaultModel,
      ...preparation(values),
    });
    try {
      const dataset = await ImageDataset.fromFolder(folder);
      const onProgress = teller();
      const rows: Float32Array[] = [];
      const names: string[] = [];
      const skipped = [...dataset.skipped];
      for (const [index, picture] of dataset.pictures.entries()) {
        try {
          rows.push(await model.embed(await picture.load(), { l2Normalize: values.normalize }));
          names.push(picture.name);
        } catch (error) {
          if (!(error instanceof AchadoError) || error.code !== "INVALID_INPUT") throw error;
          skipped.push({ name: picture.name, reason: error.message });
        }
        onProgress?.({ phase: "embed", done: index + 1, total: dataset.size });
      }
      tellSkipped(skipped);
      const features = rows[0]?.length ?? 0;
      if (features === 0) throw new AchadoError("NOT_ENOUGH_DATA", "no picture could be read");
      await writeFile(output, npy(rows, features));
      await writeFile(
        output.replace(/(\.npy)?$/, ".txt"),
        names.map((name) => `${name}\n`).join(""),
      );
      return print(`${output}: ${rows.length} pictures of ${features} features\n`);
    } finally {
      await model.close();
    }
  },
});

/** NumPy's format 1.0: float32 `[rows, features]`, little-endian. */
function npy(rows: readonly Float32Array[], features: number): Uint8Array {
  const shape = `(${rows.length}, ${features})`;
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`;
  const padding = 63 - ((10 + text.length) % 64);
  const header = `${text}${" ".repeat(padding)}\n`;
  const bytes = new Uint8Array(10 + header.length + 4 * features * rows.length);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8]);
  bytes.set(new TextEncoder().encode(header), 10);
  const view = new DataView(bytes.buffer);
  let at = 10 + header.length;
  for (const row of rows) {
    for (const value of row) {
      view.setFloat32(at, value, true);
      at += 4;
    }
  }
  return bytes;
}
