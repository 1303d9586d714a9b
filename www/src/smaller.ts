// "Make it smaller": variants of a model, with what each costs on the visitor's pictures.
import { AchadoError, convertOnnx, createModel, type PreprocessPreset } from "achado";
import { inspectModel } from "achado/inspect";
import { ImageDataset } from "achado/maker";
import { pruneModel, QuantizationConfig, quantizeModel } from "achado/quantize";
import { element, make, save } from "./dom.js";
import { hideError, isAbort, showError } from "./errors.js";
import { plot } from "./smaller/plot.js";
import { format, onLanguage, setText, startLanguages, text, type TextKey } from "./text.js";

type Bytes = Uint8Array<ArrayBuffer>;
/** A picture, and the class that its folder is named after. */
type Given = { picture: Blob; label: string | undefined };

const KINDS = ["float", "float16", "dynamic", "int8", "channels", "weights"] as const;
type Kind = (typeof KINDS)[number];

/** What became of a variant. */
interface Variant {
  kind: Kind;
  /** Why there is none. */
  reason?: string;
  bytes?: Bytes;
  packedBytes?: number;
  ms?: number | undefined;
  agreement?: number | undefined;
  accuracy?: number | undefined;
}

/** The share of weights that become zero: what a compressor takes half of. */
const ZEROS = 0.5;
/** Fewer cannot be parted into those that make the models and those that compare them. */
const LEAST = 4;

const message = element("message");
const status = element("status");
const progress = element<HTMLProgressElement>("progress");
const start = element<HTMLButtonElement>("start");
const stop = element<HTMLButtonElement>("stop");

let model: File | undefined;
let given: Given[] = [];
let variants: Variant[] = [];
let compared = 0;
let packing = "gzip";
let work: AbortController | undefined;
/** Shows the state of the work again, in another language. */
let showStatus: () => void = () => {};

const nameOf = (kind: Kind) => text(`variant_${kind}` satisfies TextKey);

// What is given

async function take(files: readonly File[]): Promise<void> {
  hideError(message);
  let found = false;
  for (const file of files) {
    if (/\.(tflite|onnx)$/i.test(file.name)) {
      model = file;
      found = true;
    } else if (file.type.startsWith("image/")) {
      const folders = file.webkitRelativePath.split("/");
      given.push({ picture: file, label: folders.length > 2 ? folders.at(-2) : undefined });
      found = true;
    }
  }
  showGiven();
  if (!found) throw new AchadoError("INVALID_INPUT", text("smallerNoPicture"));
}

async function drop(data: DataTransfer): Promise<void> {
  const isFolder = [...data.items].some((item) => item.webkitGetAsEntry?.()?.isDirectory);
  if (!isFolder) return take([...data.files]);
  const { pictures } = await ImageDataset.fromFolder(data);
  for (const { label, load } of pictures) {
    const loaded = (await load()) as Blob | Bytes;
    given.push({ picture: loaded instanceof Blob ? loaded : new Blob([loaded]), label });
  }
  showGiven();
}

function showGiven(): void {
  start.disabled = model === undefined || work !== undefined;
  if (!model && given.length === 0) return setText(element("given"), "smallerNothing");
  setText(element("given"), "smallerGiven", {
    model: model?.name ?? text("smallerNothing"),
    count: given.length,
    labeled: given.filter(({ label }) => label !== undefined).length,
  });
}

// What is made of it

/** Bytes as a server would send them: Brotli where the browser can, or else gzip. */
async function packed(bytes: Bytes): Promise<number> {
  const stream = (format: string) => new CompressionStream(format as CompressionFormat);
  let compression;
  try {
    compression = stream("brotli");
    packing = "brotli";
  } catch {
    compression = stream("gzip");
  }
  const sent = new Blob([bytes]).stream().pipeThrough(compression);
  return (await new Response(sent).arrayBuffer()).byteLength;
}

type Preprocess = PreprocessPreset | undefined;

/** The class of each picture: the place of the greatest element of the first output. */
async function classes(
  bytes: Bytes,
  pictures: readonly Given[],
  preprocess: Preprocess,
  signal: AbortSignal,
  onPicture: (at: number) => void,
): Promise<(number | undefined)[]> {
  const opened = await createModel({ model: bytes, preprocess, signal });
  try {
    const found = [];
    for (const [at, { picture }] of pictures.entries()) {
      onPicture(at);
      try {
        const [output] = Object.values(await opened.runImage(picture, { signal }));
        const scores = Array.from(output?.data ?? [], Number);
        found.push(scores.indexOf(scores.reduce((a, b) => Math.max(a, b), -Infinity)));
      } catch (error) {
        // A picture that cannot be read counts for no model.
        if (!(error instanceof AchadoError) || error.code !== "INVALID_INPUT") throw error;
        found.push(undefined);
      }
    }
    return found;
  } finally {
    await opened.close();
  }
}

/** The index of a class by the name of a folder: ImageNet's have several names each. */
function indexOf(labels: readonly string[], folder: string | undefined): number | undefined {
  if (folder === undefined) return undefined;
  const plain = (name: string) => name.trim().toLowerCase().replace(/[_-]/g, " ");
  const wanted = plain(folder);
  const at = labels.findIndex((label) =>
    [label, ...label.split(",")].some((name) => plain(name) === wanted),
  );
  return at < 0 ? undefined : at;
}

async function makeAll(signal: AbortSignal): Promise<void> {
  if (!model) return;
  const chosen = element<HTMLSelectElement>("preprocess").value;
  const preprocess = chosen === "" ? undefined : (chosen as PreprocessPreset);
  const target = Number(element<HTMLSelectElement>("target").value);
  const enough = given.length >= LEAST;
  // Every second one, so that both halves have pictures of each folder.
  const teaching = given.filter((_, at) => at % 2 === 0).map(({ picture }) => picture);
  const unseen = enough ? given.filter((_, at) => at % 2 === 1) : [];
  compared = unseen.length;
  const file = new Uint8Array(await model.arrayBuffer());
  const isTflite = String.fromCharCode(...file.subarray(4, 8)) === "TFL3";
  const float = isTflite ? file : await convertOnnx(file, { signal });
  const { labels } = await inspectModel(float, { runs: 0, signal });
  const truth = unseen.map(({ label }) => indexOf(labels, label));
  let wanted: (number | undefined)[] = [];
  const say = (kind: Kind, at?: number, total = 0) => {
    showStatus = () => {
      const variant = nameOf(kind);
      const values = { variant, done: (at ?? 0) + 1, total };
      status.textContent = text(at === undefined ? "smallerWorking" : "smallerWorkingAt", values);
    };
    showStatus();
    const share =
      (KINDS.indexOf(kind) + (at === undefined ? 0 : at / Math.max(1, total))) / KINDS.length;
    progress.value = share;
  };
  const onProgress =
    (kind: Kind) =>
    ({ phase, done, total }: { phase: string; done: number; total: number }) =>
      say(kind, phase === "pictures" && done < total ? done : undefined, total);

  const bytesOf = async (kind: Kind): Promise<Bytes> => {
    const common = { preprocess, signal, onProgress: onProgress(kind) };
    const config = (one: QuantizationConfig) => quantizeModel(float, { config: one, ...common });
    switch (kind) {
      case "float":
        return float;
      case "float16":
        return (await config(QuantizationConfig.forFloat16())).model;
      case "dynamic":
        return (await config(QuantizationConfig.forDynamic())).model;
      case "int8":
        return (await config(QuantizationConfig.forInt8(teaching))).model;
      case "channels":
      case "weights": {
        const share = kind === "channels" ? target : ZEROS;
        const options = { method: kind, target: share, dataset: teaching, ...common };
        return (await pruneModel(float, options)).model;
      }
    }
  };

  for (const kind of KINDS) {
    signal.throwIfAborted();
    say(kind);
    const variant: Variant = { kind };
    variants.push(variant);
    try {
      if (!enough && /int8|channels|weights/.test(kind)) {
        variant.reason = text("smallerNeedsPictures");
        continue;
      }
      const bytes = await bytesOf(kind);
      variant.packedBytes = await packed(bytes);
      const { totals } = await inspectModel(bytes, { runs: 10, signal });
      variant.ms = totals.runMs ?? undefined;
      if (unseen.length > 0) {
        const found = await classes(bytes, unseen, preprocess, signal, (at) =>
          say(kind, at, unseen.length),
        );
        if (kind === "float") wanted = found;
        variant.agreement = share(found, wanted);
        variant.accuracy = share(found, truth);
      }
      variant.bytes = bytes;
    } catch (error) {
      if (isAbort(error) || kind === "float") throw error;
      variant.reason = error instanceof Error ? error.message : String(error);
    } finally {
      showResult();
    }
  }
}

/** How many are equal, of those that are known on both sides. */
function share(found: readonly (number | undefined)[], wanted: readonly (number | undefined)[]) {
  const known = found.flatMap((one, at) => {
    const other = wanted[at];
    return one === undefined || other === undefined ? [] : [one === other];
  });
  return known.length > 0 ? known.filter(Boolean).length / known.length : undefined;
}

// What is shown

function showResult(): void {
  const result = element("result");
  result.hidden = variants.length === 0;
  const told = element("compared");
  if (compared > 0) setText(told, "smallerCompared", { count: compared });
  else setText(told, "smallerNotCompared");
  const head = (key: TextKey, className = "") =>
    make("th", { scope: "col", className, textContent: text(key, { method: packing }) });
  const titles: TextKey[] = [
    "smallerBytes",
    "smallerPacked",
    "smallerMs",
    "smallerAgreement",
    "smallerAccuracy",
  ];
  const rows = variants.map(row);
  element("variants").replaceChildren(
    make(
      "thead",
      {},
      make("tr", {}, head("smallerVariant", "text"), ...titles.map((key) => head(key)), make("th")),
    ),
    make("tbody", {}, ...rows),
  );
  const measure = variants.some(({ accuracy }) => accuracy !== undefined)
    ? "accuracy"
    : "agreement";
  const points = variants.flatMap(({ kind, packedBytes, [measure]: y }) =>
    packedBytes !== undefined && y !== undefined
      ? [{ name: nameOf(kind), x: packedBytes / 1000, y }]
      : [],
  );
  const figure = element("plot");
  figure.hidden = points.length < 2;
  const caption = text("smallerPlot", {
    measure: text(measure === "accuracy" ? "smallerAccuracy" : "smallerAgreement"),
    method: packing,
  });
  element("plot-caption").textContent = caption;
  figure.querySelector("svg")?.remove();
  if (points.length > 1) figure.prepend(plot(points, caption));
}

function row({ kind, bytes, packedBytes, ms, agreement, accuracy, reason }: Variant): HTMLElement {
  const name = make("th", { scope: "row", className: "text", textContent: nameOf(kind) });
  if (reason !== undefined) {
    const cell = make("td", { className: "reason", colSpan: 6, textContent: reason });
    return make("tr", {}, name, cell);
  }
  const cell = (value: number | undefined, digits: number, unit?: "percent") =>
    make("td", { textContent: value === undefined ? "–" : format(value, digits, unit) });
  const button = make("button", {
    type: "button",
    className: "button small",
    textContent: text("smallerSave"),
    ariaLabel: text("smallerSaveNamed", { variant: nameOf(kind) }),
    disabled: bytes === undefined,
  });
  button.addEventListener("click", () => {
    const stem = (model?.name ?? "model").replace(/\.\w+$/, "");
    if (bytes)
      save(new Blob([bytes]), kind === "float" ? `${stem}.tflite` : `${stem}-${kind}.tflite`);
  });
  return make(
    "tr",
    {},
    name,
    cell(bytes && bytes.byteLength / 1000, 0),
    cell(packedBytes && packedBytes / 1000, 0),
    cell(ms, 2),
    cell(agreement, 0, "percent"),
    cell(accuracy, 0, "percent"),
    make("td", {}, button),
  );
}

async function run(): Promise<void> {
  hideError(message);
  variants = [];
  work = new AbortController();
  start.disabled = true;
  stop.hidden = progress.hidden = false;
  try {
    await makeAll(work.signal);
    showStatus = () => setText(status, "smallerDone");
  } catch (error) {
    showStatus = () => setText(status, "smallerStopped");
    if (!isAbort(error)) showError(message, error, true);
  } finally {
    work = undefined;
    start.disabled = false;
    stop.hidden = progress.hidden = true;
    showStatus();
    showResult();
  }
}

function onFiles(id: string): void {
  element(id).addEventListener("change", (event) => {
    const input = event.target as HTMLInputElement;
    const files = [...(input.files ?? [])];
    input.value = "";
    void take(files).catch((error) => showError(message, error, true));
  });
}

startLanguages();
["model", "pictures", "folder"].forEach(onFiles);
start.addEventListener("click", () => void run());
stop.addEventListener("click", () => work?.abort());
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  element("give").classList.add("over");
});
document.addEventListener("dragleave", () => element("give").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  element("give").classList.remove("over");
  const { dataTransfer } = event;
  if (dataTransfer) void drop(dataTransfer).catch((error) => showError(message, error, true));
});
onLanguage(() => {
  showGiven();
  showStatus();
  showResult();
});
