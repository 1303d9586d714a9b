// The ONNX converter in this thread: the glue around its WebAssembly.
import { fromCore } from "./errors.js";
import type { Conversion } from "./onnx.js";

/** What wasm-bindgen wrote around the converter, as far as it is used. */
export type ConverterGlue = Pick<
  typeof import("./generated/onnx/achado.js"),
  "Conversion" | "initSync"
>;

/**
 * @throws {AchadoError} whatever is wrong with the model or the options
 */
export function convertHere(
  { Conversion: Converter, initSync }: ConverterGlue,
  module: WebAssembly.Module,
  onnx: Uint8Array,
  { inputShapes = {}, preprocess, labels, keepOrder }: Conversion,
): Uint8Array<ArrayBuffer> {
  try {
    initSync({ module });
    const converter = new Converter();
    for (const [name, shape] of Object.entries(inputShapes)) {
      converter.setInputShape(name, Uint32Array.from(shape));
    }
    if (preprocess?.mean || preprocess?.std) {
      const { mean = [0], std = [1], channels } = preprocess;
      converter.setPreprocessing(
        Float32Array.from(mean),
        Float32Array.from(std),
        channels === "BGR",
      );
    }
    if (keepOrder) converter.keepOrder();
    if (Array.isArray(labels)) converter.setLabels(labels);
    else if (labels) converter.setLabelFile(labels);
    return converter.convert(onnx) as Uint8Array<ArrayBuffer>;
  } catch (thrown) {
    throw fromCore(thrown).error;
  }
}
