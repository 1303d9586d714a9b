// How far the opening of a model is.
import type { Progress } from "achado";
import { about } from "./about.js";
import { element } from "./dom.js";
import { format, onLanguage, text, type TextKey } from "./text.js";

const PHASES: Record<Progress["phase"], TextKey> = {
  wasm: "phaseWasm",
  model: "phaseWasm",
  convert: "phaseConvert",
  compile: "phaseCompile",
  warmup: "phaseWarmup",
};

/** One place of the page that shows progress: a status line, a bar and perhaps a button. */
export class ProgressView {
  readonly #box: HTMLElement;
  readonly #status: HTMLElement;
  readonly #bar: HTMLProgressElement;
  #render: () => void = () => {};

  /** @param prefix Of the ids: `""` is #loading, #status and #progress. */
  constructor(prefix: string) {
    this.#box = element(`${prefix}loading`);
    this.#status = element(`${prefix}status`);
    this.#bar = element(`${prefix}progress`);
    onLanguage(() => {
      if (!this.#box.hidden) this.#render();
    });
  }

  hide(): void {
    this.#box.hidden = true;
    this.#status.textContent = "";
  }

  /** Shows work of which nobody knows how long it takes. */
  showText(key: TextKey): void {
    this.#show(() => this.#say(text(key), true), undefined);
  }

  /**
   * Shows a step of loading. Screen readers hear each phase once, not each byte.
   *
   * @param ofPackage The model is the package's own, whose size is known where the server does not
   *   say it, or says how many compressed bytes it sends.
   */
  show({ phase, loaded, total }: Progress, ofPackage: boolean): void {
    if (phase === "model" && loaded > 0) {
      const all = total ?? (ofPackage ? about.modelBytes : undefined);
      const megabytes = (bytes: number) => format(bytes / 1e6, 1);
      this.#show(
        () => {
          const values = { loaded: megabytes(loaded), total: megabytes(all ?? 0) };
          this.#say(text(all === undefined ? "phaseModelUnknown" : "phaseModel", values), false);
        },
        all === undefined ? undefined : Math.min(1, loaded / all),
      );
      return;
    }
    // The core's end is no news while the model is on its way.
    if (phase === "wasm" && loaded > 0) return;
    this.#show(() => this.#say(text(PHASES[phase]), true), undefined);
  }

  #show(render: () => void, share: number | undefined): void {
    this.#box.hidden = false;
    if (share === undefined) this.#bar.removeAttribute("value");
    else this.#bar.value = share;
    this.#render = render;
    render();
  }

  #say(words: string, aloud: boolean): void {
    this.#status.setAttribute("aria-live", aloud ? "polite" : "off");
    if (this.#status.textContent !== words) this.#status.textContent = words;
  }
}
