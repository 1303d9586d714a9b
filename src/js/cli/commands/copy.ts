// `achado copy`: the files that pages fetch, for servers and bundlers that do not find them.
import { copyFile, mkdir, stat } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { FOLDERS } from "../../assets.js";
import type { AssetName } from "../../types.js";
import { command, names, print, UsageError } from "../command.js";

/** The files by what they are for. */
const PARTS = {
  core: ["relaxed.wasm", "simd128.wasm", "worker.js"],
  threads: ["relaxed-threads.wasm", "simd128-threads.wasm", "threaded-worker.js"],
  onnx: ["onnx.wasm"],
  tract: ["tract.wasm"],
  gpu: ["gpu.wasm", "webgpu.js"],
  maker: ["maker.wasm"],
  quantize: ["quantize.wasm"],
  model: ["efficientnet-lite0-int8.tflite"],
} as const satisfies Record<string, readonly AssetName[]>;

const NAMES = Object.keys(PARTS) as (keyof typeof PARTS)[];

export const copy = command({
  name: "copy",
  usage: "FOLDER",
  summary: "copy the files that pages fetch, such as to public/achado, for setAssets",
  options: {
    parts: {
      type: "string",
      value: "LIST",
      default: NAMES.join(","),
      help: `which files, with commas between: core (all pages), threads (isolated pages), onnx (ONNX models), tract (onnxFallback), gpu (backend: "webgpu"), maker (achado/maker), quantize (achado/quantize), model (the package's own); all if not given`,
    },
  },
  async run({ parts }, [folder, second]) {
    if (folder === undefined) throw new UsageError("copy needs a folder, such as public/achado");
    if (second !== undefined) throw new UsageError("copy takes one folder");
    const chosen = names("parts", parts, NAMES);
    await mkdir(folder, { recursive: true });
    let sum = 0;
    for (const name of chosen.flatMap((part): readonly AssetName[] => PARTS[part])) {
      const source = fileURLToPath(new URL(`../${FOLDERS[name]}/${name}`, import.meta.url));
      const target = path.join(folder, name);
      await copyFile(source, target);
      const { size } = await stat(target);
      sum += size;
      print(`${String(size).padStart(9)}  ${target}\n`);
    }
    return print(`${String(sum).padStart(9)}  bytes in all\n`);
  },
});
