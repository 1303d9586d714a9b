// Which language is shown, and texts and numbers in it.
import { en, type TextKey } from "./text/en.js";
import { pt } from "./text/pt.js";

export type { TextKey };
export type Language = "en" | "pt";

const TEXTS: Record<Language, Record<TextKey, string>> = { en, pt };
const STORED = "achado-language";
const TAGS: Record<Language, string> = { en: "en", pt: "pt-BR" };

let current: Language = initial();
/** Show again what they show, in another language. */
const listeners: (() => void)[] = [];

/** What `?lang=` says, else what was chosen before, else the browser's first language we have. */
function initial(): Language {
  const asked = new URLSearchParams(location.search).get("lang");
  const wanted = [asked, stored(), ...navigator.languages].map((tag) => tag?.slice(0, 2));
  return wanted.find((tag) => tag === "en" || tag === "pt") ?? "en";
}

function stored(): string | null {
  try {
    return localStorage.getItem(STORED);
  } catch {
    // Some browsers forbid storage to pages in frames or without cookies.
    return null;
  }
}

/** What goes into a text's `{name}`. */
export type Values = Readonly<Record<string, string | number>>;

/** Whether there is a text of that name. */
export function hasText(key: string): key is TextKey {
  return Object.hasOwn(en, key);
}

/** A text in the language that is shown, with `{name}` filled in. */
export function text(key: TextKey, values: Values = {}): string {
  return TEXTS[current][key].replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** The same, with an element in place of one `{name}`. */
export function textAround(key: TextKey, name: string, inside: Node, values: Values = {}): Node[] {
  const [before = "", after = ""] = TEXTS[current][key].split(`{${name}}`);
  const fill = (part: string) =>
    part.replace(/\{(\w+)\}/g, (whole, one) => String(values[one] ?? whole));
  return [document.createTextNode(fill(before)), inside, document.createTextNode(fill(after))];
}

/** Puts a text into an element, now and whenever the language changes. */
export function setText(element: HTMLElement, key: TextKey, values: Values = {}): void {
  element.dataset.text = key;
  if (Object.keys(values).length > 0) element.dataset.textValues = JSON.stringify(values);
  else delete element.dataset.textValues;
  element.textContent = text(key, values);
}

/** Takes the text out of an element. */
export function clearText(element: HTMLElement): void {
  delete element.dataset.text;
  delete element.dataset.textValues;
  element.textContent = "";
}

/** A number as the language writes it. */
export function format(value: number, digits: number, unit?: "percent"): string {
  return new Intl.NumberFormat(TAGS[current], {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    useGrouping: false,
    ...(unit && { style: unit }),
  }).format(value);
}

/** Called after each change of the language. */
export function onLanguage(listener: () => void): void {
  listeners.push(listener);
}

function choose(next: Language): void {
  current = next;
  try {
    localStorage.setItem(STORED, next);
  } catch {
    // It is then asked again next time.
  }
  applyTexts();
  for (const listener of listeners) listener();
}

/** Puts the texts into the elements that name them. */
function applyTexts(): void {
  document.documentElement.lang = TAGS[current];
  for (const element of document.querySelectorAll<HTMLElement>("[data-text]")) {
    const { text: key, textValues } = element.dataset;
    element.textContent = text(key as TextKey, textValues ? JSON.parse(textValues) : {});
  }
  for (const [attribute, named] of [
    ["alt", "textAlt"],
    ["content", "textContent"],
    ["aria-label", "textLabel"],
    ["label", "textOptgroup"],
  ] as const) {
    const name = named.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    for (const element of document.querySelectorAll<HTMLElement>(`[data-${name}]`)) {
      element.setAttribute(attribute, text(element.dataset[named] as TextKey));
    }
  }
  for (const button of document.querySelectorAll<HTMLElement>("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === current));
  }
}

/** Shows the page in its language, and lets the visitor change it. */
export function startLanguages(): void {
  for (const button of document.querySelectorAll<HTMLElement>("[data-language]")) {
    button.addEventListener("click", () => choose(button.dataset.language as Language));
  }
  applyTexts();
}
