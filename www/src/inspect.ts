// "Look inside": what a model is made of, layer by layer.
import { defaultModel } from "achado";
import { type InspectedOperator, inspectModel, type ModelInspection } from "achado/inspect";
import { bringIntoView, element, make } from "./dom.js";
import { hideError, showError } from "./errors.js";
import { histogram } from "./smaller/plot.js";
import { format, onLanguage, startLanguages, text, type TextKey } from "./text.js";

const message = element("message");
const status = element("status");
const search = element<HTMLInputElement>("search");

let shown: { name: string; model: ModelInspection } | undefined;
let chosen: number | undefined;
let isWorking = false;

/** With the prefixes of thousands. */
function short(count: number): string {
  const at = count < 1000 ? 0 : Math.min(3, Math.floor(Math.log10(count) / 3));
  return `${format(count / 1000 ** at, at === 0 ? 0 : 1)} ${["", "k", "M", "G"][at]}`.trim();
}

const number = (value: number) => String(Number(value.toPrecision(5)));
const shapeOf = (shape: readonly number[]) => `[${shape.join(", ")}]`;

function showFacts(list: HTMLElement, facts: readonly (readonly [TextKey, string])[]): void {
  const known = facts.filter(([, value]) => value !== "");
  list.replaceChildren(
    ...known.flatMap(([key, value]) => [
      make("dt", { textContent: text(key) }),
      make("dd", { textContent: value }),
    ]),
  );
}

async function open(name: string, source: Blob | URL): Promise<void> {
  hideError(message);
  isWorking = true;
  status.textContent = text("inspectWorking");
  try {
    shown = { name, model: await inspectModel(source) };
    chosen = undefined;
    search.value = "";
  } catch (error) {
    shown = undefined;
    showError(message, error, true);
  } finally {
    isWorking = false;
    status.textContent = "";
    show();
  }
}

function show(): void {
  status.textContent = isWorking ? text("inspectWorking") : "";
  element("result").hidden = shown === undefined;
  element("layers-part").hidden = !shown || shown.model.operators.length === 0;
  if (shown) {
    showSummary(shown.name, shown.model);
    showLayers(shown.model);
  }
  showLayer();
}

function showSummary(name: string, model: ModelInspection): void {
  const { totals, metadata, labels, tensors, measured, problem } = model;
  const place = element("problem");
  place.hidden = problem === null;
  place.textContent = problem ? text("inspectCannotRun", { message: problem.message }) : "";
  const ends = (ids: readonly number[]) =>
    ids
      .flatMap((id) => tensors[id] ?? [])
      .map((tensor) => `${tensor.name} ${tensor.dtype} ${shapeOf(tensor.shape)}`)
      .join("; ");
  const time =
    totals.runMs === null || !measured
      ? (model.notMeasured ?? "")
      : `${format(totals.runMs, 2)} ms (${measured.simd})`;
  showFacts(element("summary"), [
    ["inspectFile", `${name}, ${model.format}, ${short(model.fileBytes)}B`],
    ["inspectPrecision", model.operators.length > 0 ? model.precision : ""],
    ["inspectInput", ends(model.inputs)],
    ["inspectOutput", ends(model.outputs)],
    [
      "inspectClasses",
      labels.length > 0 ? `${labels.length}: ${labels.slice(0, 6).join(", ")} …` : "",
    ],
    ["inspectParameters", short(totals.parameters)],
    ["inspectZeros", format(totals.sparsity, 1, "percent")],
    ["inspectMacs", short(totals.macs)],
    ["inspectTime", time],
    ["inspectAuthor", metadata?.author ?? ""],
    ["inspectLicense", metadata?.license ?? ""],
  ]);
}

function showLayers({ operators, tensors }: ModelInspection): void {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = operators.filter(({ operator, name, kernel, attributes }) => {
    const all = `${operator} ${name} ${kernel ?? ""} ${attributes}`.toLowerCase();
    return words.every((word) => all.includes(word));
  });
  element("found").textContent = text("inspectFound", {
    found: found.length,
    count: operators.length,
  });
  const head = (key: TextKey, className = "") =>
    make("th", { scope: "col", className, textContent: text(key) });
  const titles = make(
    "tr",
    {},
    make("th", { scope: "col", textContent: "#" }),
    head("inspectOperator", "text"),
    head("inspectResult"),
    head("inspectMacs"),
    head("inspectWeights"),
    head("smallerMs"),
    head("inspectShare"),
    head("inspectKernel", "text"),
    head("inspectName", "text"),
  );
  const cell = (textContent: string, className = "") => make("td", { textContent, className });
  const rows = found.map((one) => {
    const button = make("button", { type: "button", className: "name", textContent: one.operator });
    button.addEventListener("click", () => choose(one.index));
    const made = make(
      "tr",
      { ariaSelected: String(one.index === chosen) },
      cell(String(one.index)),
      make("td", { className: "text" }, button),
      cell(shapeOf(tensors[one.outputs[0] ?? -1]?.shape ?? [])),
      cell(short(one.macs)),
      cell(format(one.weightBytes / 1000, 1)),
      cell(one.medianMs === null ? "–" : format(one.medianMs, 3)),
      cell(one.share === null ? "–" : format(one.share, 1, "percent")),
      cell(one.missing ?? one.kernel ?? "–", one.missing ? "text missing" : "text"),
      cell(one.name, "text"),
    );
    made.dataset.index = String(one.index);
    return made;
  });
  element("layers").replaceChildren(make("thead", {}, titles), make("tbody", {}, ...rows));
}

function choose(index: number): void {
  chosen = index;
  for (const row of element("layers").querySelectorAll<HTMLElement>("tbody tr")) {
    row.ariaSelected = String(row.dataset.index === String(index));
  }
  showLayer();
  const layer = element("layer");
  layer.focus({ preventScroll: true });
  bringIntoView(layer);
}

function where({ computedIn, kernel, missing }: InspectedOperator): string {
  if (missing !== null) return text("inspectMissing", { reason: missing });
  if (computedIn === "load") return text("inspectAtLoad");
  if (computedIn !== null) return text("inspectComputedIn", { index: computedIn });
  return kernel ?? "";
}

function showLayer(): void {
  const layer = element("layer");
  const one = chosen === undefined ? undefined : shown?.model.operators[chosen];
  layer.hidden = one === undefined;
  if (!one || !shown) return;
  const { tensors } = shown.model;
  const ends = (ids: readonly number[]) =>
    ids
      .flatMap((id) => tensors[id] ?? [])
      .map((tensor) => `${tensor.name} ${tensor.dtype} ${shapeOf(tensor.shape)}`)
      .join("; ");
  element("layer-heading").textContent = `${one.index} ${one.operator}`;
  showFacts(element("facts"), [
    ["inspectName", one.name],
    ["inspectAttributes", one.attributes],
    ["inspectInput", ends(one.inputs)],
    ["inspectOutput", ends(one.outputs)],
    ["inspectMacs", short(one.macs)],
    ["inspectParameters", short(one.parameters)],
    ["inspectTime", one.medianMs === null ? "" : `${format(one.medianMs, 3)} ms`],
    ["inspectKernel", where(one)],
  ]);
  const constants = [...new Set(one.inputs)].flatMap((id) => tensors[id] ?? []);
  element("tensors").replaceChildren(
    ...constants.flatMap(({ name, dtype, shape, statistics }) => {
      if (!statistics) return [];
      const { min, max, mean, standardDeviation: deviation, zeros, histogram: counts } = statistics;
      const values = {
        min: number(min),
        max: number(max),
        mean: number(mean),
        deviation: number(deviation),
      };
      return [
        make("h3", {
          textContent: text("inspectConstant", { name, dtype, shape: shapeOf(shape) }),
        }),
        make("p", { className: "quiet", textContent: text("inspectRange", { ...values, zeros }) }),
        histogram(counts, [values.min, values.max], text("inspectHistogram", { name })),
      ];
    }),
  );
}

startLanguages();
element("model").addEventListener("change", (event) => {
  const input = event.target as HTMLInputElement;
  const [file] = input.files ?? [];
  if (file) void open(file.name, file);
  input.value = "";
});
element("own").addEventListener("click", () => {
  void open(String(defaultModel).split("/").pop() ?? "", new URL(defaultModel));
});
search.addEventListener("input", () => shown && showLayers(shown.model));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  element("give").classList.add("over");
});
document.addEventListener("dragleave", () => element("give").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  element("give").classList.remove("over");
  const [file] = event.dataTransfer?.files ?? [];
  if (file) void open(file.name, file);
});
onLanguage(show);
