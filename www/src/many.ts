// Many pictures at once: a table of their answers, to be saved.
import type { FrameOptions } from "achado";
import { nameOf, scoreText, UNSURE_BELOW } from "./answer.js";
import { bringIntoView, element, make, save } from "./dom.js";
import { isAbort, PageError } from "./errors.js";
import { inUse, TOP } from "./models.js";
import { prepare, reasonOf } from "./pictures.js";
import { format, onLanguage, setText, text } from "./text.js";

const card = element("many");
const bar = element<HTMLProgressElement>("many-progress");
const cancel = element<HTMLButtonElement>("many-cancel");
const status = element("many-status");
const rows = element("many-rows");

/** What is known of one picture. */
interface Row {
  readonly file: string;
  categories?: { label: string; index: number; score: number }[];
  ms?: number;
  error?: string;
}

let found: Row[] = [];
let running: AbortController | undefined;
let look: (file: Blob, name: string) => void = () => {};

/** @param show Called to show one of the pictures in the stage. */
export function startMany(show: (file: Blob, name: string) => void): void {
  look = show;
  cancel.addEventListener("click", stopMany);
  element("many-csv").addEventListener("click", () => {
    save(new Blob([csvOf(found)], { type: "text/csv" }), "achado.csv");
  });
  element("many-json").addEventListener("click", () => {
    save(new Blob([jsonOf(found)], { type: "application/json" }), "achado.json");
  });
  onLanguage(() => {
    for (const [index, row] of found.entries()) showScore(index, row);
  });
}

/** Stops the pictures that are being looked at. */
export function stopMany(): void {
  running?.abort();
  running = undefined;
}

/** Looks at pictures one after another; one that fails has its reason in the table. */
export async function lookAtMany(files: readonly File[]): Promise<void> {
  stopMany();
  const model = inUse();
  if (!model) return;
  const mine = new AbortController();
  running = mine;
  found = files.map(({ name }) => ({ file: name }));
  card.hidden = false;
  cancel.hidden = false;
  bar.hidden = false;
  rows.replaceChildren(...files.map(newRow));
  bringIntoView(card);
  const start = performance.now();
  let done = 0;
  for (const [index, file] of files.entries()) {
    if (mine.signal.aborted) break;
    setText(status, "manyWorking", { done, total: files.length });
    bar.value = done / files.length;
    const row = found[index];
    if (!row) break;
    await classify(row, file, { signal: mine.signal });
    if (mine.signal.aborted) break;
    showScore(index, row);
    done++;
  }
  if (running !== mine && !mine.signal.aborted) return;
  running = undefined;
  bar.hidden = true;
  cancel.hidden = true;
  const seconds = format((performance.now() - start) / 1000, 1);
  if (done < files.length) setText(status, "manyCancelled", { done, total: files.length });
  else setText(status, "manyDone", { total: files.length, seconds });
}

async function classify(row: Row, file: File, options: FrameOptions): Promise<void> {
  const start = performance.now();
  try {
    const { classifier } = inUse() ?? {};
    if (!classifier) return;
    const { input } = await prepare(file, file.name);
    const { classifications } = await classifier.classify(input, options);
    row.ms = performance.now() - start;
    row.categories = (classifications[0]?.categories ?? []).slice(0, TOP).map((category) => ({
      label: nameOf(category),
      index: category.index,
      score: category.score,
    }));
  } catch (error) {
    if (isAbort(error)) return;
    const reason = await reasonOf(error, file, file.name);
    row.error = reason instanceof PageError ? text(reason.key, reason.values) : String(reason);
  }
}

function newRow(file: File): HTMLElement {
  const button = make("button", { type: "button", className: "link", textContent: file.name });
  button.addEventListener("click", () => look(file, file.name));
  const cell = (label: "manyAnswer" | "manyScore" | "manyTime", className = "") => {
    const made = make("td", { className });
    made.dataset.label = label;
    return made;
  };
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, button),
    cell("manyAnswer"),
    cell("manyScore", "number"),
    cell("manyTime", "number"),
  );
}

function showScore(index: number, { categories, ms, error }: Row): void {
  const [, answer, score, time] =
    (rows.children[index] as HTMLTableRowElement | undefined)?.cells ?? [];
  if (!answer || !score || !time) return;
  const [top] = categories ?? [];
  answer.textContent = error ?? top?.label ?? "–";
  answer.classList.toggle("unavailable", error !== undefined);
  const doubtful = top !== undefined && top.score >= 0 && top.score < UNSURE_BELOW;
  answer.classList.toggle("doubtful", doubtful);
  answer.lang = error === undefined && top ? "" : document.documentElement.lang;
  score.textContent = top ? scoreText(top.score) : "–";
  time.textContent = ms === undefined ? "–" : format(ms, 1);
}

/** As RFC 4180 has it, with a line of names first. */
export function csvOf(rows: readonly Row[]): string {
  const quoted = (value: string | number) =>
    /[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value);
  const places = Array.from({ length: TOP }, (_, place) => place);
  const head = ["file", ...places.flatMap((place) => [`label_${place + 1}`, `score_${place + 1}`])];
  const lines = rows.map(({ file, categories = [], ms, error }) => [
    file,
    ...places.flatMap((place) => [categories[place]?.label ?? "", categories[place]?.score ?? ""]),
    ms === undefined ? "" : ms.toFixed(1),
    error ?? "",
  ]);
  return [[...head, "ms", "error"], ...lines]
    .map((line) => `${line.map(quoted).join(",")}\r\n`)
    .join("");
}

function jsonOf(rows: readonly Row[]): string {
  const pictures = rows.map((row) => ({
    ...row,
    ...(row.ms !== undefined && { ms: Number(row.ms.toFixed(1)) }),
  }));
  return `${JSON.stringify({ model: inUse()?.name, pictures }, null, 2)}\n`;
}
