// `achado/vite`: what Vite 5 to 7 need to be told, and models as modules.
import { moduleOf } from "./model-module.js";

/** A plugin of Vite, without a dependency on it. */
export interface VitePlugin {
  readonly name: string;
  readonly enforce: "pre";
  config(): { optimizeDeps: { exclude: string[] } };
  load(this: { addWatchFile?(file: string): void } | void, id: string): Promise<string | undefined>;
}

/** What the plugin takes. */
export interface VitePluginOptions {
  /**
   * Whether `MODEL.d.ts` is written beside a model that is imported with `?model`, and kept up to
   * date. Default: true.
   */
  readonly types?: boolean;
}

/**
 * Serves the package from where it is installed: Vite's development server before version 8 bundles
 * packages without the files that they name. And makes classes of models:
 * `import { MobilenetV1 } from "./mobilenet_v1.tflite?model"`.
 */
export default function achado({ types = true }: VitePluginOptions = {}): VitePlugin {
  return {
    name: "achado",
    enforce: "pre",
    config: () => ({ optimizeDeps: { exclude: ["achado"] } }),
    async load(id) {
      const [, file] = /^(.*\.(?:tflite|onnx|zip))\?model$/.exec(id) ?? [];
      if (file === undefined) return undefined;
      this?.addWatchFile?.(file);
      return moduleOf(file, {
        address: "address",
        imports: `import address from ${JSON.stringify(`${file}?url&no-inline`)};\n`,
        types,
      });
    },
  };
}
