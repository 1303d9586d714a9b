// `<achado-image>`: a picture with the labels of what it shows.
import { kindOf } from "../kind.js";
import type { ImageInput } from "../types.js";
import { AchadoElement, MODEL_ATTRIBUTES } from "./base.js";

/**
 * Names what a picture shows: the one of `src`, an `<img>` inside of the element, or whatever `image`
 * is set to.
 *
 * Slots: an `<img>`, `loading`. Parts: `image`, `labels`, `label`, `name`, `score`, `bar`, `fill`,
 * `status`, `error`. Events: `ready`, `result`, `error`.
 */
export class AchadoImage extends AchadoElement {
  static readonly observedAttributes = [...MODEL_ATTRIBUTES, "src", "alt", "crossorigin", "mirror"];

  #running: AbortController | undefined;
  #image: ImageInput | undefined;
  #watched: HTMLImageElement | undefined;

  constructor() {
    super('<div class="stage"><slot></slot><img part="image" alt="" hidden /></div>');
    this.root.querySelector("slot:not([name])")?.addEventListener("slotchange", () => {
      this.refresh();
    });
  }

  /** The picture, where it is no address and no element inside: a file, a canvas, pixels. */
  get image(): ImageInput | undefined {
    return this.#image;
  }

  set image(image: ImageInput | undefined) {
    this.#image = image;
    this.refresh();
  }

  /** Classifies again what is shown. */
  classify(): void {
    this.refresh();
  }

  protected update(): void {
    this.stop();
    const running = new AbortController();
    this.#running = running;
    this.clear();
    const picture = this.#picture();
    if (picture === undefined) {
      this.setAttribute("state", "idle");
      return;
    }
    this.loading();
    this.#run(picture, running.signal).catch((error: unknown) => {
      if (!running.signal.aborted) this.fail(error);
    });
  }

  protected stop(): void {
    this.#running?.abort();
    this.#running = undefined;
    this.#watched?.removeEventListener("load", this.#onLoad);
    this.#watched = undefined;
  }

  readonly #onLoad = () => this.refresh();

  /** What is to be classified, shown. */
  #picture(): ImageInput | undefined {
    const own = this.root.querySelector("img") as HTMLImageElement;
    const source = this.getAttribute("src");
    own.alt = this.getAttribute("alt") ?? "";
    own.hidden = source === null || this.#image !== undefined;
    if (this.#image !== undefined) return this.#image;
    if (source !== null) {
      const origin = this.getAttribute("crossorigin");
      if (own.crossOrigin !== origin) own.crossOrigin = origin;
      if (own.getAttribute("src") !== source) own.src = source;
      return own;
    }
    const slotted = this.querySelector("img");
    if (!slotted) return undefined;
    // Another picture in the same element.
    this.#watched = slotted;
    if (slotted.complete) slotted.addEventListener("load", this.#onLoad);
    return slotted;
  }

  async #run(picture: ImageInput, signal: AbortSignal): Promise<void> {
    const model = this.model();
    if (kindOf(picture) === "HTMLImageElement") {
      const image = picture as HTMLImageElement;
      // Decoding fails for no other reason than that it cannot be shown, which `classify` says better.
      await Promise.all([image.decode().catch(() => {}), model.catch(() => {})]);
      if (image === this.#watched) image.addEventListener("load", this.#onLoad);
    }
    const result = await (
      await model
    ).classify(picture, {
      mirror: this.hasAttribute("mirror"),
      signal,
    });
    if (!signal.aborted) this.show(result);
  }
}
