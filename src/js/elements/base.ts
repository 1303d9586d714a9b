// What the elements have in common: the model by attributes, the list of labels, states and events.
import { createClassifier } from "../index.js";
import { AchadoError } from "../errors.js";
import { messageOf } from "../kind.js";
import { type Hold, hold, keyOf } from "../shared.js";
import type {
  Category,
  ClassifierOptions,
  ClassifierResult,
  ImageClassifier,
  PreprocessPreset,
} from "../types.js";
import { STYLE } from "./style.js";

/** The events of both elements; they do not bubble. */
export interface AchadoElementEvents {
  /** The model is there. */
  ready: CustomEvent<ImageClassifier>;
  /** A picture or a frame was classified. */
  result: CustomEvent<ClassifierResult>;
  /** Something went wrong; the element shows it, too. */
  error: CustomEvent<AchadoError>;
}

/** Where there is no document, importing must do no harm. */
const Base = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement;

/** Attributes that another model, or another answer of it, comes with. */
export const MODEL_ATTRIBUTES = [
  "model",
  "labels",
  "preprocess",
  "config",
  "assets",
  "max-results",
  "score-threshold",
  "locale",
] as const;

/** How often a screen reader is told of something new. */
const ANNOUNCE_MS = 4000;

export abstract class AchadoElement extends Base {
  /** What attributes cannot say; goes over them. */
  #options: ClassifierOptions = {};
  #hold: Hold | undefined;
  #key = "";
  #scheduled = false;
  #shown: Category[] = [];
  #announced = -Infinity;
  protected readonly root: ShadowRoot;

  constructor(body: string) {
    super();
    this.root = this.attachShadow({ mode: "open" });
    const template = document.createElement("template");
    template.innerHTML = trusted(`${body}
      <p part="status" class="status"><slot name="loading">…</slot></p>
      <p part="error" class="error" role="alert" hidden></p>
      <ol part="labels"></ol>
      <p part="announcement" class="announcement" aria-live="polite"></p>`);
    this.root.append(template.content);
    // Allowed by every Content-Security-Policy, unlike <style>.
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    this.root.adoptedStyleSheets = [sheet];
  }

  connectedCallback(): void {
    this.refresh();
  }

  disconnectedCallback(): void {
    this.refresh();
  }

  attributeChangedCallback(): void {
    this.refresh();
  }

  /** Options of `createClassifier`, which go over the attributes. */
  get options(): ClassifierOptions {
    return this.#options;
  }

  set options(options: ClassifierOptions) {
    this.#options = options;
    this.refresh();
  }

  /** The last answer. */
  result: ClassifierResult | null = null;

  /** `idle`, `loading`, `ready` or `error`; the attribute `state` has it, too. */
  get state(): string {
    return this.getAttribute("state") ?? "idle";
  }

  override addEventListener<K extends keyof AchadoElementEvents>(
    type: K,
    listener: (event: AchadoElementEvents[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: never,
    options?: boolean | AddEventListenerOptions,
  ): void {
    super.addEventListener(type, listener, options);
  }

  /** Does what the attributes say by now, once for all that changed at the same time. */
  protected refresh(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      if (this.isConnected) this.update();
      else {
        this.stop();
        this.#release();
        this.setAttribute("state", "idle");
      }
    });
  }

  /** Follows a change of attributes. */
  protected abstract update(): void;

  /** Ends what is under way: the element is no part of the document any more. */
  protected abstract stop(): void;

  /** The model that the attributes name; opened when it is needed. */
  protected async model(): Promise<ImageClassifier> {
    const options = this.#allOptions();
    const key = keyOf(options);
    if (key !== this.#key || !this.#hold) {
      this.#release();
      this.#key = key;
      const held = hold(`element ${key}`, () => createClassifier(options));
      this.#hold = held;
      held.model.then(
        (model) => this.#hold === held && this.dispatch("ready", model),
        () => this.#hold === held && this.#release(),
      );
    }
    return this.#hold.model;
  }

  #release(): void {
    this.#hold?.release();
    this.#hold = undefined;
  }

  #allOptions(): ClassifierOptions {
    const text = (name: string) => this.getAttribute(name) ?? undefined;
    return {
      model: text("model"),
      labels: text("labels"),
      preprocess: text("preprocess") as PreprocessPreset | undefined,
      config: text("config"),
      assets: text("assets"),
      maxResults: this.number("max-results") ?? 3,
      scoreThreshold: this.number("score-threshold"),
      displayNamesLocale: text("locale"),
      ...this.#options,
    };
  }

  /**
   * @throws {AchadoError} INVALID_OPTION
   */
  protected number(name: string): number | undefined {
    const text = this.getAttribute(name);
    if (text === null) return undefined;
    const number = text.trim() === "" ? Number.NaN : Number(text);
    if (!Number.isNaN(number)) return number;
    throw new AchadoError("INVALID_OPTION", `${name}: must be a number, is "${text}"`, {
      option: name,
    });
  }

  protected dispatch<K extends keyof AchadoElementEvents>(
    type: K,
    detail: AchadoElementEvents[K]["detail"],
  ): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  protected loading(): void {
    this.setAttribute("state", "loading");
    this.#part("error").hidden = true;
  }

  /** Shows an answer, and tells of it. */
  protected show(result: ClassifierResult): void {
    this.result = result;
    this.setAttribute("state", "ready");
    this.#part("error").hidden = true;
    this.#list(result.classifications.flatMap(({ categories }) => categories));
    this.dispatch("result", result);
  }

  /** Shows what went wrong, unless it was ended on purpose. */
  protected fail(thrown: unknown): void {
    const error =
      thrown instanceof AchadoError
        ? thrown
        : new AchadoError("INTERNAL", messageOf(thrown), {}, { cause: thrown });
    this.result = null;
    this.setAttribute("state", "error");
    this.#list([]);
    const part = this.#part("error");
    part.textContent = error.message;
    part.hidden = false;
    this.dispatch("error", error);
  }

  /** Takes away an answer that belongs to another picture. */
  protected clear(): void {
    this.result = null;
    this.#list([]);
  }

  #part(name: string): HTMLElement {
    return this.root.querySelector(`[part="${name}"]`) as HTMLElement;
  }

  #list(categories: Category[]): void {
    const list = this.#part("labels");
    const language = (this.closest("[lang]") as HTMLElement | null)?.lang || undefined;
    const percent = percentOf(language);
    while (list.children.length > categories.length) list.lastElementChild?.remove();
    categories.forEach((category, position) => {
      const row = list.children[position] ?? list.appendChild(rowOf());
      const [name, score, bar] = row.children as unknown as [HTMLElement, HTMLElement, HTMLElement];
      const text = nameOf(category);
      if (name.textContent !== text) name.textContent = text;
      score.textContent = percent.format(category.score);
      const fill = bar.firstElementChild as HTMLElement;
      fill.style.transform = `scaleX(${Math.min(1, Math.max(0, category.score))})`;
    });
    this.#announce(categories);
    this.#shown = categories;
  }

  /** A frame's answers change more often than anybody can listen. */
  #announce(categories: Category[]): void {
    const [top] = categories;
    const [before] = this.#shown;
    const now = performance.now();
    if (top?.index === before?.index || now - this.#announced < ANNOUNCE_MS) return;
    this.#announced = now;
    this.#part("announcement").textContent = top ? nameOf(top) : "";
  }
}

function nameOf({ displayName, categoryName, index }: Category): string {
  return displayName || categoryName || `#${index}`;
}

function percentOf(language: string | undefined): Intl.NumberFormat {
  try {
    return new Intl.NumberFormat(language, { style: "percent" });
  } catch {
    return new Intl.NumberFormat(undefined, { style: "percent" });
  }
}

function rowOf(): HTMLElement {
  const row = document.createElement("li");
  for (const part of ["name", "score", "bar"]) {
    const span = row.appendChild(document.createElement("span"));
    span.setAttribute("part", part);
    span.className = part;
  }
  const fill = document.createElement("span");
  fill.setAttribute("part", "fill");
  fill.className = "fill";
  row.lastElementChild?.append(fill);
  row.lastElementChild?.setAttribute("aria-hidden", "true");
  row.setAttribute("part", "label");
  return row;
}

interface Policies {
  trustedTypes?: {
    createPolicy(
      name: string,
      rules: { createHTML(text: string): string },
    ): {
      createHTML(text: string): string;
    };
  };
}

let policy: { createHTML(text: string): string } | undefined;

/** For pages with `require-trusted-types-for 'script'`: the texts are those of this file alone. */
function trusted(text: string): string {
  const { trustedTypes } = globalThis as Policies;
  policy ??= trustedTypes?.createPolicy("achado-elements", { createHTML: (one) => one });
  return policy?.createHTML(text) ?? text;
}
