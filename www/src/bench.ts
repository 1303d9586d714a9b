// The page of measurements: how fast the builds of achado are in this browser.
import { defaultModel } from "achado";
import { about } from "./about.js";
import { element, make, save } from "./dom.js";
import { isAbort } from "./errors.js";
import {
  DEFAULTS,
  measure,
  type Obstacle,
  type Row,
  type Settings,
  type Subject,
} from "./measure.js";
import { speedUp } from "./speed-up.js";
import { keepForOffline } from "./offline.js";
import { copy } from "./clipboard.js";
import { format, onLanguage, startLanguages, text, type TextKey } from "./text.js";

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
let running: AbortController | undefined;
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
    ...subjects.map((subject) => {
      const { name } = subject;
      const remove = make("button", {
        type: "button",
        className: "button small",
        textContent: "×",
      });
      remove.ariaLabel = text("benchRemove", { name });
      remove.addEventListener("click", () => {
        subjects.splice(subjects.indexOf(subject), 1);
        showModels();
        // The button that had the focus is gone.
        (document.querySelector<HTMLElement>("#models button") ?? start).focus();
      });
      remove.disabled = running !== undefined;
      return make("li", {}, make("span", { textContent: name }), remove);
    }),
  );
  start.disabled = subjects.length === 0;
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
      // On phones each cell names its column.
      const cell = (label: TextKey, content: string, className = "number") => {
        const made = make("td", { className, textContent: content });
        made.dataset.label = text(label);
        return made;
      };
      line.append(head, cell("build", row.simd ?? "–", ""), cell("threads", String(row.threads)));
      if (row.networkMs === undefined || row.wholeMs === undefined) {
        const why = cell(
          "benchNetwork",
          row.obstacle ? obstacleText(row.obstacle) : "–",
          "unavailable",
        );
        why.colSpan = 3;
        line.append(why);
      } else {
        const factor = speedUp(row, rows);
        line.append(
          cell("benchNetwork", format(row.networkMs, 1)),
          cell("benchWhole", format(row.wholeMs, 1)),
          cell("benchSpeedUp", factor === undefined ? "–" : `${format(factor, 2)}×`),
        );
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
  // Small networks take less than a tick of the clock.
  const most = Math.max(0.1, ...measured.map(({ networkMs }) => networkMs ?? 0));
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
  const mine = new AbortController();
  running = mine;
  files.disabled = true;
  showStart();
  showModels();
  element("working").hidden = false;
  try {
    rows = await measure(subjects, settings, mine.signal, ({ model, done }) => {
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
    void keepForOffline([], "measured");
  } catch (error) {
    showStatus = () => {
      status.textContent = isAbort(error)
        ? text("benchStopped")
        : text("benchFailed", { error: String(error) });
    };
  } finally {
    running = undefined;
    showStatus();
    showStart();
    showModels();
    files.disabled = false;
  }
}

function showStart(): void {
  start.dataset.text = running ? "benchStop" : "benchStart";
  start.textContent = text(running ? "benchStop" : "benchStart");
  element("measure").setAttribute("aria-busy", String(running !== undefined));
}

/** Hundredths are all that clocks and medians are good for. */
function rounded(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.round(ms * 100) / 100;
}

function download(): void {
  const { userAgent, hardwareConcurrency } = navigator;
  const { crossOriginIsolated } = globalThis;
  const found = {
    achado: about.version,
    date: measuredAt,
    userAgent,
    hardwareConcurrency,
    crossOriginIsolated,
    ...settings,
    rows: rows.map((row) => ({
      ...row,
      networkMs: rounded(row.networkMs),
      wholeMs: rounded(row.wholeMs),
      minMs: rounded(row.minMs),
      speedUpOverFloat: rounded(speedUp(row, rows)),
    })),
  };
  const json = new Blob([`${JSON.stringify(found, null, 2)}\n`], { type: "application/json" });
  save(json, "achado-bench.json");
}

/** The table, for issues and notes: with what it was measured on. */
function asMarkdown(): string {
  const escaped = (words: string) => words.replace(/[\\|]/g, "\\$&");
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
  const titles = [
    "model",
    "build",
    "threads",
    "benchNetwork",
    "benchWhole",
    "benchSpeedUp",
  ] as const;
  const lines = rows.map((row) => {
    const factor = speedUp(row, rows);
    const first = [escaped(typed(row)), row.simd ?? "–", String(row.threads)];
    if (row.networkMs === undefined || row.wholeMs === undefined) {
      const why = row.obstacle ? obstacleText(row.obstacle) : "–";
      return line([...first, escaped(why), "–", "–"]);
    }
    const times = [format(row.networkMs, 1), format(row.wholeMs, 1)];
    return line([...first, ...times, factor === undefined ? "–" : `${format(factor, 2)}×`]);
  });
  const where = `achado ${about.version}, ${navigator.userAgent}, ${navigator.hardwareConcurrency} cores, ${measuredAt}`;
  return [
    line(titles.map((title) => text(title))),
    line(["---", "---", "---:", "---:", "---:", "---:"]),
    ...lines,
    "",
    where,
    "",
  ].join("\n");
}

files.addEventListener("change", () => {
  for (const file of files.files ?? []) subjects.push({ name: file.name, source: file });
  files.value = ""; // So that the same file can be chosen again.
  showModels();
});
start.addEventListener("click", () => {
  if (running) running.abort();
  else void run();
});
element("download").addEventListener("click", download);
element("markdown").addEventListener("click", () => void copy(asMarkdown(), element("said")));
window.addEventListener("resize", showResults);

onLanguage(() => {
  showModels();
  showStatus();
  showResults();
});
startLanguages();
showModels();
void keepForOffline();
