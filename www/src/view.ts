// What the page shows of results, errors, progress and the runtime.
import { AchadoError, type Category, type ClassifierResult, type ImageClassifier } from "achado";
import type { Progress } from "achado";
import { format, text, type TextKey } from "./text.js";

/** An element of index.html. */
export function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no #${id}`);
  return found as T;
}

const categories = element("categories");
const announcement = element("announcement");
const message = element("message");
const hint = element("hint");
const timings = element("timings");
const loading = element("loading");
const status = element("status");
const progress = element<HTMLProgressElement>("progress");
const runtime = element("runtime");
const runtimeNone = element("runtime-none");
const fallbacks = element("fallbacks");

/** How often a camera's answers are read out, at most. */
const ANNOUNCE_EVERY_MS = 4000;
let announcedAt = Number.NEGATIVE_INFINITY;

function nameOf({ displayName, categoryName, index }: Category): string {
  return displayName || categoryName || text("classNumber", { index });
}

/** Scores that are probabilities in per cent, others as they are. */
function scoreText(score: number): string {
  return score >= 0 && score <= 1 ? format(score, 1, "percent") : format(score, 2);
}

/** Shows the categories of a picture. `live` ones come many times a second. */
export function showResult(result: ClassifierResult, totalMs: number, live: boolean): void {
  // A quantised score of exactly 0 says nothing: such categories stand in the order of the labels.
  const best = (result.classifications[0]?.categories ?? []).filter(({ score }) => score !== 0);
  showOnly(best.length > 0 ? "categories" : "hint");
  hint.textContent = text("nothing");
  while (categories.children.length > best.length) categories.lastElementChild?.remove();
  best.forEach((category, place) => {
    const row = categories.children[place] ?? categories.appendChild(newRow());
    const [name, score, bar] = row.children as unknown as HTMLElement[];
    if (!name || !score || !bar) return;
    name.textContent = nameOf(category);
    score.textContent = scoreText(category.score);
    const share = Math.min(1, Math.max(0, category.score));
    (bar.firstElementChild as HTMLElement).style.setProperty("--share", String(share));
  });
  timings.hidden = false;
  const { preprocess, inference, postprocess } = result.timings;
  for (const [id, ms] of Object.entries({ preprocess, inference, postprocess, total: totalMs })) {
    // Browsers' clocks tick in tenths of a millisecond.
    element(`time-${id}`).textContent =
      ms < 0.1 ? `< ${format(0.1, 1)}\u00a0ms` : `${format(ms, 1)}\u00a0ms`;
  }
  announce(best[0], live);
}

function newRow(): HTMLElement {
  const row = document.createElement("li");
  const make = (className: string) => {
    const span = document.createElement("span");
    span.className = className;
    return span;
  };
  const bar = make("bar");
  bar.append(document.createElement("span"));
  // The score says the same in words.
  bar.setAttribute("aria-hidden", "true");
  row.append(make("name"), make("score"), bar);
  return row;
}

/** Says the best answer to screen readers; of a camera's, not each one. */
function announce(best: Category | undefined, live: boolean): void {
  const now = performance.now();
  const said = best
    ? text("looksLike", { name: nameOf(best), score: scoreText(best.score) })
    : text("nothing");
  if (live && now - announcedAt < ANNOUNCE_EVERY_MS) return;
  announcedAt = now;
  announcement.textContent = said;
}

function showOnly(which: "categories" | "hint" | "loading" | "message" | "none"): void {
  categories.hidden = which !== "categories";
  hint.hidden = which !== "hint";
  loading.hidden = which !== "loading";
  message.hidden = which !== "message";
  if (which !== "categories") timings.hidden = true;
}

/** Says that everything is there and nothing was asked yet. */
export function showReady(): void {
  showOnly("hint");
  hint.textContent = text("hint");
  announcement.textContent = text("ready");
}

/** Shows how far loading is. Screen readers hear each phase once, not each byte. */
export function showProgress({ phase, loaded, total }: Progress): void {
  showOnly("loading");
  if (phase === "model" && loaded > 0) {
    const megabytes = (bytes: number) => format(bytes / 1e6, 1);
    const values = { loaded: megabytes(loaded), total: megabytes(total ?? 0) };
    if (total === undefined) progress.removeAttribute("value");
    else progress.value = loaded / total;
    status.setAttribute("aria-live", "off");
    status.textContent = text(total === undefined ? "phaseModelUnknown" : "phaseModel", values);
    return;
  }
  const key = (
    {
      wasm: "phaseWasm",
      model: "phaseWasm",
      convert: "phaseConvert",
      compile: "phaseCompile",
      warmup: "phaseWarmup",
    } as const
  )[phase];
  if (phase !== "wasm" || loaded === 0) {
    status.setAttribute("aria-live", "polite");
    status.textContent = text(key);
  }
  if (phase !== "wasm") progress.removeAttribute("value");
}

/** Says that a picture is being looked at. */
export function showWorking(key: "working" | "cameraOpening"): void {
  if (!categories.hidden) return;
  showOnly("loading");
  progress.removeAttribute("value");
  status.textContent = text(key);
}

/** Shows what went wrong: a sentence in the page's language, and achado's own words as details. */
export function showError(error: unknown): void {
  showOnly("message");
  const first = document.createElement("p");
  first.textContent = sentence(error);
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = text("details");
  const code = document.createElement("code");
  code.textContent =
    error instanceof AchadoError ? `${error.code}: ${error.message}` : String(error);
  details.append(summary, code);
  message.replaceChildren(first, details);
}

function sentence(error: unknown): string {
  if (!(error instanceof AchadoError)) return text("INTERNAL");
  const { code, detail } = error;
  if (code === "MODEL_FETCH" && typeof detail.status === "number") {
    return text("MODEL_FETCH_STATUS", { status: detail.status });
  }
  if (code === "MODEL_FORMAT" && /\bONNX\b/.test(error.message)) return text("MODEL_ONNX");
  if (code === "INVALID_INPUT" && (detail.kind === "Blob" || detail.kind === "File")) {
    return text("notPicture");
  }
  if (code === "CAMERA_DENIED") {
    const key = `CAMERA_${String(detail.reason)}`;
    if (CAMERA_KEYS.has(key)) return text(key as TextKey);
  }
  return text(code);
}

const CAMERA_KEYS = new Set(["CAMERA_NotAllowedError", "CAMERA_NotFoundError", "CAMERA_insecure"]);

/** Shows which model and which build of achado run. */
export function showRuntime(classifier: ImageClassifier | undefined): void {
  runtimeNone.hidden = classifier !== undefined;
  if (!classifier) {
    runtime.replaceChildren();
    fallbacks.hidden = true;
    return;
  }
  const { metadata } = classifier;
  const { simd, threads, worker, memoryBytes } = classifier.runtime;
  const input = metadata.inputs[0];
  const rows: [TextKey, string][] = [
    ["model", metadata.name || text("modelUnnamed")],
    ["input", input ? `${input.shape.slice(1).join(" × ")} ${input.dtype}` : ""],
    ["build", `WebAssembly ${simd}`],
    ["threads", String(threads)],
    ["thread", text(worker ? "inWorker" : "inPage")],
    ["memory", `${format(memoryBytes / 2 ** 20, 1)}\u00a0MB`],
  ];
  runtime.replaceChildren(
    ...rows.map(([key, value]) => {
      const row = document.createElement("div");
      const term = document.createElement("dt");
      const description = document.createElement("dd");
      term.textContent = text(key);
      description.textContent = value;
      row.append(term, description);
      return row;
    }),
  );
  const reasons = classifier.runtime.fallbacks;
  fallbacks.hidden = reasons.length === 0;
  fallbacks.replaceChildren(
    ...reasons.map(({ from, to, reason }) => {
      const item = document.createElement("li");
      item.textContent = `${from} → ${to}: ${reason}`;
      return item;
    }),
  );
}
