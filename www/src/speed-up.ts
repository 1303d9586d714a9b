// How much faster a model is than the same network in float.
import type { Row } from "./measure.js";

/** File names without what says which type a model has: the same network has the same family. */
function family(model: string): string {
  return model
    .toLowerCase()
    .replace(/\.(tflite|onnx)$/, "")
    .replace(/(^|[-_.])(u?int8|quant(ized)?|float(32)?|f32|fp32|fio)(?=$|[-_.])/g, "");
}

/** How many times as fast as the same network in float with one thread, where that was measured. */
export function speedUp(row: Row, rows: Row[]): number | undefined {
  const base = rows.find(
    ({ model, type, threads, networkMs }) =>
      type === "float" && threads === 1 && networkMs && family(model) === family(row.model),
  );
  return base?.networkMs && row.networkMs ? base.networkMs / row.networkMs : undefined;
}
