// The page of measurements: how fast the builds of achado are in this browser.
import { defaultModel } from "achado";
import {
  DEFAULTS,
  measure,
  type Obstacle,
  type Row,
  type Settings,
  type Subject,
} from "./measure.js";
import { speedUp } from "./speed-up.js";
import { applyTexts, choose, format, type Language, text } from "./text.js";

function element<T extends Element = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`bench.html has no #${id}`);
  return found as unknown as T;
}

const start = element<HTMLButtonElement>("start");
const files = element<HTMLInputElement>("model-files");
const status = element("status");
const progress = element<HTMLProgressElement>("progress");
const nameOf = (url: string | URL) => String(url).split("/").pop() ?? "";

const subjects: Subject[] = [{ name: nameOf(defaultModel), source: defaultModel }];
for (const address of (element("measure").dataset.models ?? "").split(/\s+/).filter(Boolean)) {
  subjects.push({ name: nameOf(address), source: new URL(address, location.href) });
}

let rows: Row[] = [];
let measuredAt = "";
const settings = settingsOf(location.search);

/** Shows the state of the work again, in another language. */
let showStatus: () => void = () => {};

/** `?rounds=2&roundMs=50&warmUpMs=50` makes it quick, and its numbers rough. */
function settingsOf(search: string): Settings {
  const given = new URLSearchParams(search);
  const number = (name: keyof Settings) => {
    const value = Number(given.get(name));
    return Number.isFinite(value) && value > 0 ? value : DEFAULTS[name];
  };
  return {
    rounds: Math.ceil(number("rounds")),
    roundMs: number("roundMs"),
    warmUpMs: number("warmUpMs"),
  };
}

function showModels(): void {
  element("models").replaceChildren(
    ...subjects.map(({ name }) => {
      const item = document.createElement("li");
      item.textContent = name;
      return item;
    }),
  );
}

function obstacleText(obstacle: Obstacle): string {
  return "reason" in obstacle ? text(`bench_${obstacle.reason}`) : obstacle.message;
}

function typed({ model, type }: Row): string {
  return type ? `${model} (${text(type === "float" ? "benchFloat" : "benchInt8")})` : model;
}

function showTable(): void {
  element("rows").replaceChildren(
    ...rows.map((row) => {
      const line = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = typed(row);
      const cell = (content: string, className = "number") => {
        const made = document.createElement("td");
        made.className = className;
        made.textContent = content;
        return made;
      };
      line.append(head, cell(row.simd ?? "–", ""), cell(String(row.threads)));
      if (row.networkMs === undefined || row.wholeMs === undefined) {
        const why = cell(row.obstacle ? obstacleText(row.obstacle) : "–", "unavailable");
        why.colSpan = 3;
        line.append(why);
      } else {
        const factor = speedUp(row, rows);
        line.append(cell(format(row.networkMs, 1)), cell(format(row.wholeMs, 1)));
        line.append(cell(factor === undefined ? "–" : `${format(factor, 2)}×`));
      }
      return line;
    }),
  );
}

const SVG = "http://www.w3.org/2000/svg";
/** In pixels: height of a row with its two lines of text, and room for numbers at the right. */
const [HEIGHT, ROOM] = [72, 84];

function showChart(): void {
  const chart = element<SVGSVGElement>("chart");
  const measured = rows.filter(({ networkMs }) => networkMs !== undefined);
  const most = Math.max(...measured.map(({ networkMs }) => networkMs ?? 0));
  const make = (name: string, attributes: Record<string, string | number>, content = "") => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
    made.textContent = content;
    return made;
  };
  chart.setAttribute("height", String(measured.length * HEIGHT));
  const room = chart.clientWidth - ROOM;
  const words: string[] = [];
  const drawn = measured.flatMap((row, i) => {
    const { simd, threads, type, networkMs = 0 } = row;
    const build = `${simd}, ${text("benchThreads", { threads })}`;
    const time = `${format(networkMs, 1)}\u00a0ms`;
    words.push(`${typed(row)}, ${build}: ${time}`);
    const width = Math.max(1, (networkMs / most) * room);
    const y = i * HEIGHT;
    return [
      make("text", { x: 0, y: y + 16 }, typed(row)),
      make("text", { class: "quiet", x: 0, y: y + 36 }, build),
      make("rect", { class: `bar ${type}`, x: 0, y: y + 44, width, height: 14, rx: 4 }),
      make("text", { x: width + 8, y: y + 56 }, time),
    ];
  });
  chart.replaceChildren(...drawn);
  chart.setAttribute("aria-label", words.join("; "));
}

function showResults(): void {
  if (rows.length === 0) return;
  showTable();
  // First: what is hidden has no width.
  element("results").hidden = false;
  showChart();
}

async function run(): Promise<void> {
  start.disabled = true;
  files.disabled = true;
  element("working").hidden = false;
  try {
    rows = await measure(subjects, settings, ({ model, done }) => {
      progress.value = done;
      showStatus = () => {
        status.textContent = text("benchWorking", { model, percent: format(done, 0, "percent") });
      };
      showStatus();
    });
    measuredAt = new Date().toISOString();
    showResults();
    progress.value = 1;
    showStatus = () => {
      status.textContent = text("benchDone");
    };
  } catch (error) {
    showStatus = () => {
      status.textContent = text("benchFailed", { error: String(error) });
    };
  } finally {
    showStatus();
    start.disabled = false;
    files.disabled = false;
  }
}

function download(): void {
  const { userAgent, hardwareConcurrency } = navigator;
  const { crossOriginIsolated } = globalThis;
  const found = {
    date: measuredAt,
    userAgent,
    hardwareConcurrency,
    crossOriginIsolated,
    ...settings,
    rows: rows.map((row) => ({ ...row, speedUpOverFloat: speedUp(row, rows) })),
  };
  const link = document.createElement("a");
  const json = new Blob([`${JSON.stringify(found, null, 2)}\n`], { type: "application/json" });
  link.href = URL.createObjectURL(json);
  link.download = "achado-bench.json";
  link.click();
  // Not at once: the browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

files.addEventListener("change", () => {
  for (const file of files.files ?? []) subjects.push({ name: file.name, source: file });
  files.value = ""; // So that the same file can be chosen again.
  showModels();
});
start.addEventListener("click", () => void run());
element("download").addEventListener("click", download);
window.addEventListener("resize", showResults);

for (const button of document.querySelectorAll<HTMLElement>("[data-language]")) {
  button.addEventListener("click", () => {
    choose(button.dataset.language as Language);
    applyTexts();
    showStatus();
    showResults();
  });
}

applyTexts();
showModels();
