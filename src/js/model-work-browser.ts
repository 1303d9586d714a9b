// What work on models is built on in a browser.
import { Files } from "./assets.js";
import { convertOnnx, createModel } from "./index.js";
import type { ModelPlatform } from "./maker/model-work.js";
import { LocalQuantizeWork, RemoteQuantizeWork } from "./maker/quantize-work.js";
import { QUANTIZER } from "./own-files.js";

/** quantize.wasm in a page: in a worker, where there are some. */
export const browserPlatform: ModelPlatform = {
  fetch: (url, signal) => fetch(url, { signal }),
  wasm: () => new Files(QUANTIZER, undefined).find("quantize.wasm"),
  createModel,
  convertOnnx,
  startWork: async () =>
    typeof Worker === "undefined"
      ? new LocalQuantizeWork(await import("./generated/quantize/achado.js"))
      : // Bundlers recognise exactly this form.
        new RemoteQuantizeWork(
          new Worker(new URL("./quantize-worker.js", import.meta.url), { type: "module" }),
        ),
};
