// The package's files by groups, which entry points bring along or leave out. Bundlers recognise
// exactly this form and put the files beside the script; by the query Vite keeps them files in
// libraries, too, where it would write all of them into the script.
import type { OwnFiles } from "./assets.js";

export const CORES: OwnFiles = {
  "relaxed.wasm": () => new URL("./relaxed.wasm?no-inline", import.meta.url),
  "simd128.wasm": () => new URL("./simd128.wasm?no-inline", import.meta.url),
  "relaxed-threads.wasm": () => new URL("./relaxed-threads.wasm?no-inline", import.meta.url),
  "simd128-threads.wasm": () => new URL("./simd128-threads.wasm?no-inline", import.meta.url),
};

export const ONNX: OwnFiles = {
  "onnx.wasm": () => new URL("./onnx.wasm?no-inline", import.meta.url),
};

export const TRACT: OwnFiles = {
  "tract.wasm": () => new URL("./tract.wasm?no-inline", import.meta.url),
};

export const MAKER: OwnFiles = {
  "maker.wasm": () => new URL("./maker.wasm?no-inline", import.meta.url),
};

export const QUANTIZER: OwnFiles = {
  "quantize.wasm": () => new URL("./quantize.wasm?no-inline", import.meta.url),
};

export const GPU: OwnFiles = {
  "gpu.wasm": () => new URL("./gpu.wasm?no-inline", import.meta.url),
  "webgpu.js": () => new URL("./webgpu.js?no-inline", import.meta.url),
};

export const MODEL: OwnFiles = {
  "efficientnet-lite0-int8.tflite": () =>
    new URL("../models/efficientnet-lite0-int8.tflite?no-inline", import.meta.url),
};
