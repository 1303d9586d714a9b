// `achado/webpack`: a loader that makes classes of models,
// `import { MobilenetV1 } from "./mobilenet_v1.tflite?model"`.
import { moduleOf } from "./model-module.js";

/** The part of webpack's loader context that is used. */
export interface LoaderContext {
  readonly resourcePath: string;
  getOptions(): { types?: boolean };
}

/** The loader: give it to a rule with `resourceQuery: /^\?model$/` and `type: "javascript/auto"`. */
export default function loader(this: LoaderContext): Promise<string> {
  const name = this.resourcePath.replace(/^.*[\\/]/, "");
  const { types = true } = this.getOptions();
  return moduleOf(this.resourcePath, {
    address: `new URL(${JSON.stringify(`./${encodeURIComponent(name)}`)}, import.meta.url)`,
    types,
  });
}

/** The model is bytes, no text. */
export const raw = true;
