// The Maker: the visitor's own classes, trained in the page.
import { type Camera, openCamera } from "achado";
import {
  createTrainer,
  type Evaluation,
  ImageDataset,
  type ImageTrainer,
  type MakerProgress,
  openProject,
  type Picture,
  saveProject,
  type TrainedClassifier,
} from "achado/maker";
import { element, make, save } from "./dom.js";
import { hideError, isAbort, showError } from "./errors.js";
import {
  begin,
  canRedo,
  canUndo,
  change,
  freeName,
  type Item,
  itemOf,
  keep,
  onChange,
  recall,
  redo,
  state,
  undo,
} from "./maker/state.js";
import { clearText, format, onLanguage, setText, startLanguages, text } from "./text.js";

const columns = element("classes");
const status = element("status");
const progress = element<HTMLProgressElement>("progress");
const message = element("message");
const result = element("result");

/** Thumbnails of a class; all of thousands would take the page's memory. */
const SHOWN = 24;
/** Between frames while a record button is held. */
const RECORD_MS = 150;
/** Changes that come closer together are trained on and kept together. */
const TRAIN_AFTER_MS = 250;
const KEEP_AFTER_MS = 800;
/** With fewer, a class is hardly known. */
const FEW = 10;

let trainer: Promise<ImageTrainer> | undefined;
let trained: TrainedClassifier | undefined;
let training: AbortController | undefined;
/** Embeddings of what was in another class before are the same. */
const pictures = new Map<string, Picture>();

function fail(error: unknown): void {
  if (!isAbort(error)) showError(message, error);
}

// Classes and their pictures

function showColumns(): void {
  const { classes, items } = state();
  columns.replaceChildren(
    ...classes.map((label) =>
      column(
        label,
        items.filter((item) => item.label === label),
      ),
    ),
  );
  element<HTMLButtonElement>("undo").disabled = !canUndo();
  element<HTMLButtonElement>("redo").disabled = !canRedo();
}

function column(label: string, items: Item[]): HTMLElement {
  const name = make("input", { type: "text", value: label, ariaLabel: text("makerClassName") });
  name.addEventListener("change", () => rename(label, name.value.trim(), name));
  const remove = make("button", {
    type: "button",
    className: "button small",
    ariaLabel: text("makerRemoveClass", { label }),
    textContent: "×",
  });
  remove.addEventListener("click", () => {
    const { classes, items } = state();
    change({
      classes: classes.filter((other) => other !== label),
      items: items.filter((item) => item.label !== label),
    });
  });
  const input = make("input", {
    type: "file",
    multiple: true,
    accept: "image/*",
    className: "visually-hidden",
    id: `add-${state().classes.indexOf(label)}`,
    ariaLabel: text("makerAddTo", { label }),
  });
  input.addEventListener("change", () => void add(label, [...(input.files ?? [])]));
  const choose = make("label", {
    htmlFor: input.id,
    className: "button small",
    textContent: text("makerAddPictures"),
  });
  const record = make("button", {
    type: "button",
    className: "button small record",
    ariaLabel: text("makerRecordTo", { label }),
    ariaPressed: "false",
    textContent: text("makerRecord"),
  });
  holdToRecord(record, label);
  const twins = new Set(trained?.report.duplicates.flatMap((names) => names.slice(1)));
  const thumbs = make(
    "ul",
    { className: "thumbs" },
    ...items.slice(-SHOWN).map((item) => thumb(item, twins.has(item.name))),
  );
  const more = items.length - SHOWN;
  const made = make(
    "div",
    { className: "class-column" },
    make("div", { className: "class-head" }, name, remove),
    make("p", { className: "quiet", textContent: text("makerPictures", { count: items.length }) }),
    make(
      "div",
      { className: "actions compact" },
      make("span", { className: "file" }, input, choose),
      record,
    ),
    thumbs,
    ...(more > 0 ? [make("p", { textContent: text("makerMore", { count: more }) })] : []),
  );
  made.dataset.label = label;
  return made;
}

function thumb(item: Item, isTwin: boolean): HTMLElement {
  const remove = make("button", {
    type: "button",
    className: "remove",
    ariaLabel: text("makerRemovePicture", { name: item.name }),
    textContent: "×",
  });
  remove.addEventListener("click", () => removeItem(item));
  const image = make("img", { src: item.url, alt: item.name, loading: "lazy" });
  const flags = [
    ...(item.isBlurred ? [text("makerFlagBlurred")] : []),
    ...(isTwin ? [text("makerFlagTwin")] : []),
  ];
  const told = flags.map((flag) => make("span", { className: "flag", textContent: flag }));
  return make("li", {}, image, remove, ...told);
}

function removeItem(item: Item): void {
  const { classes, items } = state();
  change({ classes, items: items.filter((other) => other.id !== item.id) });
}

function move(item: Item, label: string): void {
  const { classes, items } = state();
  const moved = { ...item, label };
  change({ classes, items: items.map((other) => (other.id === item.id ? moved : other)) });
}

function rename(from: string, to: string, input: HTMLInputElement): void {
  const { classes, items } = state();
  if (to === from) return;
  if (to === "" || classes.includes(to)) {
    input.value = from;
    return;
  }
  change({
    classes: classes.map((label) => (label === from ? to : label)),
    items: items.map((item) => (item.label === from ? { ...item, label: to } : item)),
  });
}

function addClass(label: string): void {
  const { classes, items } = state();
  change({ classes: [...classes, label], items });
}

async function add(label: string, files: readonly Blob[], session?: string): Promise<void> {
  const made = await Promise.all(
    files.map((file, at) => {
      const name = file instanceof File && file.name ? file.name : `${label} ${at + 1}`;
      return itemOf(file, label, name, session);
    }),
  );
  const { classes, items } = state();
  const known = classes.includes(label) ? classes : [...classes, label];
  change({ classes: known, items: [...items, ...made] });
}

/** Adds all of a dataset. */
async function addAll(dataset: ImageDataset): Promise<void> {
  const made: Item[] = [];
  for (const picture of dataset.pictures) {
    const loaded = (await picture.load()) as Blob | Uint8Array<ArrayBuffer>;
    const blob = loaded instanceof Blob ? loaded : new Blob([loaded]);
    made.push(await itemOf(blob, picture.label, picture.name, picture.session));
  }
  const { classes, items } = state();
  change({
    classes: [...new Set([...classes, ...dataset.classes])],
    items: [...items, ...made],
  });
}

async function openFile(file: File): Promise<void> {
  hideError(message);
  setText(element("kept"), "makerWorking");
  try {
    if (file.name.endsWith(".tm"))
      return await addAll(await ImageDataset.fromTeachableMachine(file));
    const project = await openProject(file).catch(() => undefined);
    await addAll(project ? project.dataset : await ImageDataset.fromZip(file));
  } catch (error) {
    clearText(element("kept"));
    fail(error);
  }
}

// The camera

let camera: Promise<Camera> | undefined;
const video = element<HTMLVideoElement>("video");

function useCamera(): Promise<Camera> {
  camera ??= openCamera().then(
    async (opened) => {
      video.srcObject = opened.stream;
      video.hidden = false;
      video.ariaLabel = text("makerCameraView");
      await video.play();
      setText(element("camera"), "makerCameraOff");
      return opened;
    },
    (error) => {
      camera = undefined;
      throw error;
    },
  );
  return camera;
}

async function stopCamera(): Promise<void> {
  const opened = camera;
  camera = undefined;
  (await opened)?.close();
  video.srcObject = null;
  video.hidden = true;
  setText(element("camera"), "makerCamera");
}

async function frame(): Promise<Blob> {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  return canvas.convertToBlob({ type: "image/webp", quality: 0.92 });
}

/** Frames of one press are one session: they are never on both sides of a fold. */
function holdToRecord(button: HTMLButtonElement, label: string): void {
  let held = false;
  const press = async () => {
    if (held) return;
    held = true;
    button.ariaPressed = "true";
    const session = `recording ${Date.now()}`;
    const frames: File[] = [];
    try {
      await useCamera();
      do {
        const name = `${label} ${new Date().toISOString()}.webp`;
        frames.push(new File([await frame()], name, { type: "image/webp" }));
        await new Promise((resolve) => setTimeout(resolve, RECORD_MS));
      } while (held);
      await add(label, frames, session);
    } catch (error) {
      fail(error);
    }
    held = false;
    button.ariaPressed = "false";
  };
  const release = () => {
    held = false;
  };
  button.addEventListener("pointerdown", () => void press());
  button.addEventListener("keydown", (event) => {
    if (event.key === " " || event.key === "Enter") void press();
  });
  for (const end of ["pointerup", "pointerleave", "pointercancel", "keyup", "blur"]) {
    button.addEventListener(end, release);
  }
}

let isLooking = false;

/** What the camera shows, all the time. */
async function look(): Promise<void> {
  if (isLooking) return;
  isLooking = true;
  try {
    while (camera) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
      if (trained && video.readyState >= 2) {
        showScores((await trained.classify(video)).classifications[0]?.categories ?? []);
      }
    }
  } catch (error) {
    fail(error);
  } finally {
    isLooking = false;
  }
}

function showScores(categories: readonly { categoryName: string; score: number }[]): void {
  const list = element("scores");
  list.hidden = false;
  list.replaceChildren(
    ...categories
      .slice(0, 5)
      .map(({ categoryName, score }) =>
        make(
          "li",
          {},
          make("span", { textContent: categoryName }),
          make("span", { textContent: format(score, 0, "percent") }),
          make("meter", { value: score, min: 0, max: 1, ariaLabel: categoryName }),
        ),
      ),
  );
}

// Training, on every change

let waiting: ReturnType<typeof setTimeout> | undefined;

function trainSoon(): void {
  clearTimeout(waiting);
  training?.abort();
  waiting = setTimeout(() => void train(), TRAIN_AFTER_MS);
}

/** Pictures as the trainer knows them: the same object for the same picture in the same class. */
function pictureOf(item: Item, known: ImageTrainer): Picture {
  const key = `${item.id} ${item.label}`;
  const found = pictures.get(key);
  if (found) return found;
  const earlier = [...pictures].find(([other]) => other.startsWith(`${item.id} `))?.[1];
  const embedding = earlier && known.kept(earlier);
  if (embedding) known.keep(item, embedding);
  pictures.set(key, item);
  return item;
}

async function train(): Promise<void> {
  const { classes, items } = state();
  const counts = classes.map((label) => items.filter((item) => item.label === label).length);
  const used = classes.filter((_, at) => (counts[at] ?? 0) >= 2);
  if (used.length < 2) {
    trained = undefined;
    showResult();
    return;
  }
  const stop = new AbortController();
  training = stop;
  hideError(message);
  result.setAttribute("aria-busy", "true");
  try {
    if (!trainer) setText(status, "makerLoading");
    trainer ??= createTrainer();
    const known = await trainer;
    stop.signal.throwIfAborted();
    const own = items.filter(({ label }) => used.includes(label));
    const dataset = new ImageDataset(own.map((item) => pictureOf(item, known)));
    const options = { signal: stop.signal, onProgress: showProgress, conflicts: "skip" as const };
    trained = await known.train(dataset, options);
    showResult();
    showColumns();
    void look();
  } catch (error) {
    // A network that has not loaded is asked for again.
    trainer?.catch(() => (trainer = undefined));
    fail(error);
  } finally {
    if (training === stop) {
      result.setAttribute("aria-busy", "false");
      progress.hidden = true;
    }
  }
}

function showProgress({ phase, done, total, etaMs }: MakerProgress): void {
  progress.hidden = false;
  progress.value = done / total;
  if (phase !== "embed") return setText(status, "makerTraining");
  const seconds = Math.ceil((etaMs ?? 0) / 1000);
  const left = seconds > 1 ? text("makerLeft", { seconds }) : "";
  setText(status, "makerEmbedding", { done, total, left });
}

function showResult(): void {
  element<HTMLButtonElement>("download").disabled = !trained;
  element("accuracy").hidden = !trained;
  element("confusion-part").hidden = !trained?.report.unseen;
  element("warnings").hidden = !trained;
  element("mistakes").replaceChildren();
  showCode();
  if (!trained) return setText(status, "makerNeeds");
  const { report } = trained;
  const { embedMs, trainMs } = report.timings;
  const seconds = format((embedMs + trainMs) / 1000, 1);
  setText(status, "makerTrained", { pictures: report.pictures, seconds });
  const share = (value: number) => format(value, 0, "percent");
  const found = report.unseen;
  if (found) {
    const [low, high] = found.interval;
    const values = { accuracy: share(found.accuracy), low: share(low), high: share(high) };
    setText(element("accuracy"), "makerAccuracy", values);
    showConfusion(found);
  } else {
    setText(element("accuracy"), "makerUnknown");
  }
  element("warnings").replaceChildren(...warnings(trained));
}

function warnings({ labels, report }: TrainedClassifier): HTMLElement[] {
  const { items } = state();
  const own = (label: string) => items.filter((item) => item.label === label);
  const few = labels.filter((label) => own(label).length < FEW);
  const once = labels.filter(
    (label) => new Set(own(label).map(({ session }) => session)).size === 1,
  );
  const names = report.skipped.map(({ name }) => name);
  const list: string[] = [];
  if (few.length > 0) list.push(text("makerFew", { labels: few.join(", ") }));
  if (once.length > 0) list.push(text("makerOneSession", { labels: once.join(", ") }));
  if (names.length > 0) list.push(text("makerSkipped", { names: names.slice(0, 8).join(", ") }));
  return list.map((words) => make("li", { textContent: words }));
}

function showConfusion(found: Evaluation): void {
  const { labels, confusionMatrix } = found;
  const head = (label: string, scope: string) => make("th", { textContent: label, scope });
  const rows = labels.map((label, y) =>
    make(
      "tr",
      {},
      head(label, "row"),
      ...labels.map((predicted, x) => {
        const count = confusionMatrix[y]?.[x] ?? 0;
        if (x === y || count === 0) {
          const className = x === y ? "right" : "";
          return make("td", { className, textContent: String(count || "") });
        }
        const button = make("button", {
          type: "button",
          textContent: String(count),
          ariaLabel: text("makerCell", { label, predicted, count }),
        });
        button.addEventListener("click", () => showMistakes(found, label, predicted));
        return make("td", {}, button);
      }),
    ),
  );
  const top = make("tr", {}, make("td"), ...labels.map((label) => head(label, "col")));
  element("confusion").replaceChildren(make("thead", {}, top), make("tbody", {}, ...rows));
}

function showMistakes(found: Evaluation, label: string, predicted: string): void {
  const own = found.mistakes.filter((one) => one.label === label && one.predicted === predicted);
  const cards = own.map(({ picture, score }) => {
    const item = picture as Item;
    const select = make("select", { ariaLabel: text("makerMoveTo", { name: item.name }) });
    for (const other of state().classes) {
      select.append(
        make("option", { value: other, textContent: other, selected: other === item.label }),
      );
    }
    select.addEventListener("change", () => move(item, select.value));
    const remove = make("button", {
      type: "button",
      className: "button small",
      textContent: text("makerRemove"),
      ariaLabel: text("makerRemovePicture", { name: item.name }),
    });
    remove.addEventListener("click", () => removeItem(item));
    const image = make("img", { src: item.url, alt: item.name });
    const sure = make("p", { className: "quiet", textContent: format(score, 0, "percent") });
    return make("li", {}, image, sure, select, remove);
  });
  element("mistakes").replaceChildren(
    make("h4", { textContent: text("makerMistakes", { label, predicted }) }),
    make("ul", { className: "mistake-list" }, ...cards),
  );
}

// Export

function fileName(): string {
  const name = element<HTMLInputElement>("name")
    .value.trim()
    .replace(/[\\/:*?"<>|\s]+/g, "-");
  return `${name || "my-classes"}.tflite`;
}

function showCode(): void {
  element("code").textContent = `import { createClassifier } from "achado";

const classifier = await createClassifier({ model: "${fileName()}" });
const { top } = await classifier.classify(document.querySelector("img"));
console.log(top.categoryName, top.score);`;
}

async function download(): Promise<void> {
  if (!trained) return;
  const name = fileName();
  const file = await trained.exportModel({ name: name.replace(/\.tflite$/, "") });
  const { same = 0, embeddings = 0, pictures = 0 } = trained.exported ?? {};
  const size = format(file.length / 1e6, 1);
  setText(element("exported"), "makerExported", { name, size, same, all: embeddings + pictures });
  save(new Blob([file]), name);
}

// What stays in the browser

let keeping: ReturnType<typeof setTimeout> | undefined;

function keepSoon(): void {
  clearTimeout(keeping);
  keeping = setTimeout(() => {
    void project()
      .then(keep)
      .then(
        () => setText(element("kept"), "makerKept"),
        (error) =>
          setText(element("kept"), "makerNotKept", { reason: String(error?.message ?? error) }),
      );
  }, KEEP_AFTER_MS);
}

async function project(): Promise<Blob> {
  const { classes, items } = state();
  const known = trained ? await trainer : undefined;
  const own = known ? items.map((item) => pictureOf(item, known)) : items;
  return saveProject(new ImageDataset(own, classes), { trainer: known, classifier: trained });
}

async function restore(): Promise<void> {
  const file = await recall();
  if (!file) return;
  const { dataset } = await openProject(file);
  await addAll(dataset);
  begin(state());
  setText(element("kept"), "makerRestored");
}

// The page

function onClick(id: string, action: () => void | Promise<void>): void {
  element(id).addEventListener("click", () => void Promise.resolve(action()).catch(fail));
}

startLanguages();
onClick("add-class", () => addClass(freeName((number) => text("makerClassNew", { number }))));
onClick("add-background", () =>
  addClass(freeName((at) => text("makerBackground") + (at > 1 ? ` ${at}` : ""))),
);
onClick("undo", undo);
onClick("redo", redo);
onClick("clear", () => {
  if (confirm(text("makerSure"))) change({ classes: [], items: [] });
});
onClick("save", async () => save(await project(), fileName().replace(/\.tflite$/, ".zip")));
onClick("download", download);
onClick("camera", async () => {
  if (camera) return stopCamera();
  await useCamera();
  void look();
});
element("open").addEventListener("change", (event) => {
  const input = event.target as HTMLInputElement;
  const [file] = input.files ?? [];
  input.value = "";
  if (file) void openFile(file);
});
element("try").addEventListener("change", (event) => {
  const [file] = (event.target as HTMLInputElement).files ?? [];
  if (!file) return;
  const shown = element<HTMLImageElement>("tried");
  shown.src = URL.createObjectURL(file);
  shown.hidden = false;
  if (trained) {
    trained
      .classify(file)
      .then(({ classifications }) => showScores(classifications[0]?.categories ?? []))
      .catch(fail);
  }
});
element("name").addEventListener("input", showCode);

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  const over = (event.target as Element).closest?.(".class-column");
  for (const one of columns.children) one.classList.toggle("over", one === over);
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  for (const one of columns.children) one.classList.remove("over");
  const data = event.dataTransfer;
  if (!data) return;
  const label = (event.target as Element).closest?.<HTMLElement>(".class-column")?.dataset.label;
  const files = [...data.files];
  const [first] = files;
  if (first && /\.(zip|tm)$/i.test(first.name)) return void openFile(first);
  const isFolder = [...data.items].some((item) => item.webkitGetAsEntry?.()?.isDirectory);
  if (label !== undefined && !isFolder) return void add(label, files).catch(fail);
  void ImageDataset.fromFolder(data).then(addAll).catch(fail);
});
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])].filter(({ type }) =>
    type.startsWith("image/"),
  );
  const label = state().classes.at(-1);
  if (files.length > 0 && label !== undefined) void add(label, files).catch(fail);
});
document.addEventListener("keydown", (event) => {
  const isText = event.target instanceof HTMLInputElement;
  if (isText || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
  event.preventDefault();
  if (event.shiftKey) redo();
  else undo();
});

onChange(() => {
  showColumns();
  trainSoon();
  keepSoon();
});
onLanguage(() => {
  showColumns();
  showResult();
});
showCode();
restore().catch(fail);
