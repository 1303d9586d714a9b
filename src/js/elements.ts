/**
 * achado/elements: `<achado-image>` and `<achado-camera>`, for pages with and without a framework.
 *
 * ```html
 * <script type="module" src="/achado/dist/elements.js"></script>
 * <achado-camera max-results="3" mirror></achado-camera>
 * ```
 *
 * Importing defines the elements; where there is no document, it does nothing.
 */
import { AchadoCamera } from "./elements/camera.js";
import { AchadoImage } from "./elements/image.js";

export { AchadoCamera, AchadoImage };
export type { AchadoElementEvents } from "./elements/base.js";

const registry = globalThis.customElements as CustomElementRegistry | undefined;
// Two copies of the package on one page: the first one counts.
for (const [name, element] of [
  ["achado-image", AchadoImage],
  ["achado-camera", AchadoCamera],
] as const) {
  if (registry && !registry.get(name)) registry.define(name, element);
}

declare global {
  interface HTMLElementTagNameMap {
    "achado-image": AchadoImage;
    "achado-camera": AchadoCamera;
  }
}
