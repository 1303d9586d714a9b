// The form for a model of one's own: the file or its address, its names, and what the file does not
// say: how pixels become its input.
import type { ClassifierOptions, Preprocess, PreprocessPreset } from "achado";
import { bringIntoView, element } from "./dom.js";
import { hideError, PageError, showError } from "./errors.js";
import { type Choice, inUse, PACKAGE_MODEL } from "./models.js";
import { clearText, onLanguage, setText, text } from "./text.js";

const form = element<HTMLFormElement>("own-model");
const modelInput = element<HTMLInputElement>("model-file");
const modelName = element("model-file-name");
const address = element<HTMLInputElement>("model-address");
const labelsInput = element<HTMLInputElement>("labels-file");
const labelsName = element("labels-file-name");
const labelsText = element<HTMLTextAreaElement>("labels-text");
const preprocess = element<HTMLSelectElement>("preprocess");
const numbers = element("numbers");
const mean = element<HTMLInputElement>("mean");
const deviation = element<HTMLInputElement>("deviation");
const channels = element<HTMLSelectElement>("channels");
const fit = element<HTMLSelectElement>("fit");
const activation = element<HTMLSelectElement>("activation");
const back = element<HTMLButtonElement>("default-model");
const ask = element("ask");
const message = element("model-message");
const notice = element("model-notice");

/** Kept here: a file that was dropped is in no input. */
let modelFile: File | undefined;
/** What lies beside the model: labels, configurations, weights. The package finds out which is which. */
let companions: readonly File[] = [];
let labelsFile: File | undefined;

/** Whether a model of one's own is chosen, opened or not. */
export function hasOwnModel(): boolean {
  return modelFile !== undefined || address.value.trim() !== "";
}

/** Puts a model's file into the form; what was said of another model does not hold for it. */
export function putModel(file: File, others: readonly File[] = []): void {
  modelFile = file;
  companions = others;
  address.value = "";
  forgetSettings();
  showNames();
}

/** Puts an address into the form. */
export function putAddress(url: string): void {
  forget();
  address.value = url;
  showNames();
}

/** Puts a file with names into the form. */
export function putLabels(file: File): void {
  labelsFile = file;
  labelsText.value = "";
  showNames();
}

/** Puts pasted names into the form. */
export function putLabelsText(words: string): void {
  labelsFile = undefined;
  labelsText.value = words;
  showNames();
}

function forgetSettings(): void {
  for (const select of [preprocess, fit, activation, channels]) select.value = "auto";
  mean.value = deviation.value = "";
  numbers.hidden = true;
  labelsFile = undefined;
  labelsText.value = "";
  clearText(ask);
  ask.hidden = true;
}

function forget(): void {
  modelFile = undefined;
  companions = [];
  address.value = "";
  modelInput.value = "";
  labelsInput.value = "";
  forgetSettings();
}

function showNames(): void {
  const names = [modelFile, ...companions].flatMap((one) => one?.name ?? []);
  modelName.textContent = names.join(", ") || text("noFile");
  labelsName.textContent = labelsFile?.name ?? text("noFile");
}
onLanguage(showNames);

/** One number, or one a channel. */
function numbersOf(input: HTMLInputElement, otherwise: number): number[] {
  const words = input.value.trim();
  if (words === "") return [otherwise];
  const found = words.split(/[\s,;]+/).map(Number);
  if (found.some((one) => !Number.isFinite(one)) || ![1, 3].includes(found.length)) {
    throw new PageError("numbersWanted", { text: words });
  }
  return found;
}

function preprocessing(): ClassifierOptions["preprocess"] {
  const name = preprocess.value;
  const fitted = fit.value === "auto" ? {} : { fit: fit.value as Preprocess["fit"] };
  if (name === "numbers") {
    const order =
      channels.value === "auto" ? {} : { channels: channels.value as Preprocess["channels"] };
    return { mean: numbersOf(mean, 0), std: numbersOf(deviation, 1), ...order, ...fitted };
  }
  if (name === "auto") return fit.value === "auto" ? undefined : fitted;
  const preset = name as PreprocessPreset;
  return fit.value === "auto" ? preset : { preset, ...fitted };
}

/**
 * What the form says.
 *
 * @throws {PageError} An address or number that is none
 */
function choiceOf(): Choice {
  const given = preprocessing();
  const pasted = labelsText.value.trim() === "" ? undefined : new Blob([labelsText.value]);
  const labels = labelsFile ?? pasted;
  const options: ClassifierOptions = {
    ...(given && { preprocess: given }),
    ...(labels && { labels }),
    ...(activation.value !== "auto" && { activation: activation.value as "softmax" | "sigmoid" }),
  };
  const labelsName = labels && (labelsFile?.name ?? "labels.txt");
  if (modelFile) {
    const model = companions.length > 0 ? [modelFile, ...companions] : modelFile;
    return { name: modelFile.name, origin: "file", options: { model, ...options }, labelsName };
  }
  const words = address.value.trim();
  if (words === "") return { ...PACKAGE_MODEL, options, labelsName };
  const url = ownAddress(words);
  const name = decodeURIComponent(url.pathname.split("/").pop() ?? "") || url.host;
  return { name, origin: "address", options: { model: url, ...options }, labelsName };
}

/**
 * An address that this page may fetch from.
 *
 * @throws {PageError} It is none, or another server's
 */
export function ownAddress(words: string): URL {
  let url: URL;
  try {
    url = new URL(words, location.href);
  } catch {
    throw new PageError("badAddress", { address: words });
  }
  // The page's Content-Security-Policy says the same, in no words that a visitor would read.
  if (url.origin !== location.origin) {
    throw new PageError("foreignAddress", { origin: location.origin }, url.href);
  }
  return url;
}

/** Told of what the form wants. */
export interface FormEvents {
  use(choice: Choice): void;
  back(): void;
}

let events: FormEvents;

/** Starts the form. */
export function startModelForm(told: FormEvents): void {
  events = told;
  modelInput.addEventListener("change", () => {
    const files = [...(modelInput.files ?? [])];
    const model = files.find(({ name }) => /\.(tflite|onnx|zip)$/i.test(name)) ?? files[0];
    if (model)
      putModel(
        model,
        files.filter((one) => one !== model),
      );
  });
  labelsInput.addEventListener("change", () => {
    const [file] = labelsInput.files ?? [];
    if (file) putLabels(file);
  });
  // One or the other: what was written last counts.
  address.addEventListener("input", () => {
    modelFile = undefined;
    companions = [];
    modelInput.value = "";
    showNames();
  });
  labelsText.addEventListener("input", () => {
    labelsFile = undefined;
    labelsInput.value = "";
    showNames();
  });
  preprocess.addEventListener("change", () => {
    numbers.hidden = preprocess.value !== "numbers";
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  back.addEventListener("click", () => {
    forget();
    showNames();
    clearModelMessages();
    modelInput.focus();
    events.back();
  });
  showNames();
}

/** Uses what the form says, as if its button had been pressed. */
export function submit(): void {
  clearModelMessages();
  try {
    events.use(choiceOf());
  } catch (error) {
    showError(message, error, true);
  }
}

/** Takes away what the last attempt said. */
export function clearModelMessages(): void {
  hideError(message);
  notice.hidden = true;
  ask.hidden = true;
}

/** Asks how pixels become the input of a model that does not say it. */
export function askForPreprocess(name: string): void {
  setText(ask, "askPreprocess", { name });
  ask.hidden = false;
  preprocess.focus({ preventScroll: true });
  bringIntoView(preprocess, "center");
}

/** Says why a model did not open, beside the button that was pressed. */
export function showModelError(error: unknown): void {
  showError(message, error, true, inUse() ? "stillUsed" : undefined);
}

/** Says something about the model in use. */
export function showModelNotice({ key, values }: PageError): void {
  setText(notice, key, values);
  notice.hidden = false;
}

/** Offers the page's own model. */
export function showWayBack(): void {
  back.hidden = false;
}

/** Shows whether the model in use is one that can be given back. */
export function showWhichModel({ origin, options }: Choice): void {
  back.hidden = origin === "package" && Object.keys(options).length === 0;
}
