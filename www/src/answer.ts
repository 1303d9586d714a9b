// The answer for a picture: categories with bars, how sure it is, and the time of each step.
import type { Category, ClassifierResult } from "achado";
import { element, make } from "./dom.js";
import { hideError, showError } from "./errors.js";
import { inUse, TOP } from "./models.js";
import { ProgressView } from "./progress.js";
import { clearText, format, onLanguage, setText, text, textAround, type TextKey } from "./text.js";

const card = element("answer");
const categories = element("categories");
const announcement = element("announcement");
const message = element("message");
const hint = element("hint");
const unsure = element("unsure");
const timings = element("timings");
const actions = element("answer-actions");
const cancel = element<HTMLButtonElement>("cancel");

/** Shows how far the first model is, and that a picture is being looked at. */
export const progress = new ProgressView("");

/** Below it the best answer is a guess among many, and is not shown like an answer. */
export const UNSURE_BELOW = 0.3;
/** How often a camera's answers are read out, at most. */
const ANNOUNCE_EVERY_MS = 4000;

/** An answer as it is shown. */
export interface Answer {
  /** Best first; those with a score of exactly 0 say nothing and are left out. */
  readonly best: readonly Category[];
  readonly timings: ClassifierResult["timings"];
  /** From the file to pixels that the classifier takes; a camera has no such step. */
  readonly decodeMs: number | undefined;
  /** Of a camera: more will follow at once. */
  readonly live: boolean;
}

let shown: Answer | undefined;
let announcedAt = Number.NEGATIVE_INFINITY;

/** The answer that stands in the page. */
export function shownAnswer(): Answer | undefined {
  return shown;
}

/** The answer in a result, whose call took so long. */
export function answerOf(result: ClassifierResult, totalMs: number | undefined): Answer {
  const { preprocess, inference, postprocess } = result.timings;
  const best = (result.classifications[0]?.categories ?? [])
    .filter(({ score }) => score !== 0)
    .slice(0, TOP);
  const rest = totalMs === undefined ? undefined : totalMs - preprocess - inference - postprocess;
  return {
    best,
    timings: result.timings,
    decodeMs: rest === undefined ? undefined : Math.max(0, rest),
    live: totalMs === undefined,
  };
}

export function nameOf({ displayName, categoryName, index }: Category): string {
  return displayName || categoryName || text("classNumber", { index });
}

/** The language of a class's name: the package's model is English, others do not say. */
function languageOf(category: Category): string | undefined {
  if (!category.displayName && !category.categoryName) return undefined;
  const model = inUse();
  return model?.origin === "package" && model.options.labels === undefined ? "en" : "";
}

/** Whether scores can be read as probabilities: by their range, and by what the model says. */
export function areProbabilities(best: readonly Category[]): boolean {
  if (!best.every(({ score }) => score >= 0 && score <= 1)) return false;
  const model = inUse();
  const [head] = model?.classifier.metadata.heads ?? [];
  // Numbers without names and without a softmax are a vector, however small they are.
  return head?.activation !== "none" || head.labels > 0 || model?.options.activation !== undefined;
}

/** Scores that are probabilities in per cent, others as they are. */
export function scoreText(score: number): string {
  return score >= 0 && score <= 1 ? format(score, 1, "percent") : format(score, 2);
}

/** Whether the best answer is one among many. */
export function isUnsure({ best }: Answer): boolean {
  const [top] = best;
  return top !== undefined && areProbabilities(best) && top.score < UNSURE_BELOW;
}

/** Shows an answer. `live` ones come many times a second. */
export function showAnswer(answer: Answer): void {
  shown = answer;
  render(answer);
  announce(answer);
  card.setAttribute("aria-busy", "false");
}

function render(answer: Answer): void {
  const { best } = answer;
  showOnly(best.length > 0 ? "categories" : "hint");
  if (best.length === 0) setText(hint, "nothing");
  const probable = areProbabilities(best);
  const doubtful = isUnsure(answer);
  unsure.hidden = probable && !doubtful;
  if (!probable) setText(unsure, "rawScores");
  else if (doubtful) setText(unsure, "unsure", { limit: format(UNSURE_BELOW, 0, "percent") });
  categories.classList.toggle("doubtful", doubtful);
  categories.classList.toggle("raw", !probable);
  while (categories.children.length > best.length) categories.lastElementChild?.remove();
  best.forEach((category, place) => {
    const row = categories.children[place] ?? categories.appendChild(newRow());
    const [name, score, bar] = row.children as unknown as HTMLElement[];
    if (!name || !score || !bar) return;
    fill(name, nameOf(category));
    setLanguage(name, languageOf(category));
    fill(score, scoreText(category.score));
    const share = Math.min(1, Math.max(0, category.score));
    (bar.firstElementChild as HTMLElement).style.setProperty("--share", share.toFixed(4));
  });
  actions.hidden = answer.live || best.length === 0;
  showTimings(answer);
}

/** Only what changes: the same text again would lay out the page again. */
function fill(target: HTMLElement, words: string): void {
  if (target.textContent !== words) target.textContent = words;
}

function setLanguage(target: HTMLElement, language: string | undefined): void {
  if (language === undefined) target.removeAttribute("lang");
  else if (target.getAttribute("lang") !== language) target.setAttribute("lang", language);
}

function newRow(): HTMLElement {
  // The score says the same in words.
  const bar = make("span", { className: "bar", ariaHidden: "true" }, make("span"));
  return make(
    "li",
    {},
    make("span", { className: "name" }),
    make("span", { className: "score" }),
    bar,
  );
}

/** Browsers' clocks tick in tenths of a millisecond, and the sum is that of what is shown. */
function showTimings({ timings: { preprocess, inference, postprocess }, decodeMs }: Answer): void {
  timings.hidden = false;
  element("row-decode").hidden = decodeMs === undefined;
  let tenths = 0;
  const steps = { decode: decodeMs ?? 0, preprocess, inference, postprocess };
  for (const [id, ms] of Object.entries(steps)) {
    const rounded = Math.round(ms * 10);
    tenths += rounded;
    const words =
      rounded < 1 ? `< ${format(0.1, 1)}\u00a0ms` : `${format(rounded / 10, 1)}\u00a0ms`;
    fill(element(`time-${id}`), words);
  }
  fill(element("time-total"), `${format(tenths / 10, 1)}\u00a0ms`);
}

/** Says the best answer to screen readers; of a camera's, not each one. */
function announce(answer: Answer): void {
  const now = performance.now();
  if (answer.live && now - announcedAt < ANNOUNCE_EVERY_MS) return;
  announcedAt = now;
  const [top] = answer.best;
  if (!top) return setText(announcement, "nothing");
  clearText(announcement);
  const name = make("span", { textContent: nameOf(top) });
  setLanguage(name, languageOf(top));
  const key: TextKey = isUnsure(answer) ? "looksUnsure" : "looksLike";
  announcement.append(...textAround(key, "name", name, { score: scoreText(top.score) }));
}

function showOnly(which: "categories" | "hint" | "loading" | "message"): void {
  categories.hidden = which !== "categories";
  hint.hidden = which !== "hint";
  if (which !== "loading") {
    progress.hide();
    cancel.hidden = true;
  }
  if (which !== "message") hideError(message);
  if (which === "categories") return;
  timings.hidden = true;
  actions.hidden = true;
  unsure.hidden = true;
}

/** Takes the answer away: nothing of it may stand beside another picture. */
function forget(): void {
  shown = undefined;
  categories.replaceChildren();
  clearText(announcement);
}

/** Says that there is no answer and why. */
export function showHint(key: TextKey): void {
  forget();
  showOnly("hint");
  setText(hint, key);
  setText(announcement, key === "hint" ? "ready" : key);
  card.setAttribute("aria-busy", "false");
}

/** Says that work is going on; the answer before goes away. */
export function showWorking(key: TextKey): void {
  forget();
  showOnly("loading");
  progress.showText(key);
  card.setAttribute("aria-busy", "true");
}

/** Says that the first model is on its way. */
export function showLoading(): void {
  forget();
  showOnly("loading");
  cancel.hidden = false;
  card.setAttribute("aria-busy", "true");
}

/** Shows what went wrong in place of an answer. */
export function showFailure(error: unknown, take: boolean): void {
  forget();
  showOnly("message");
  showError(message, error, take);
  card.setAttribute("aria-busy", "false");
}

onLanguage(() => {
  if (!shown) return;
  render(shown);
  announcedAt = Number.NEGATIVE_INFINITY;
  announce(shown);
});
