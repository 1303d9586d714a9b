// The demo page: a picture or the camera in, the five best categories out. It uses the package as
// any page would.
import { AchadoError, type ClassifierResult } from "achado";
import { about } from "./about.js";
import {
  answerOf,
  progress,
  showAnswer,
  showFailure,
  showHint,
  showLoading,
  showWorking,
} from "./answer.js";
import {
  allowCamera,
  CAMERA_FPS,
  CAMERA_SMOOTHING,
  cameraIsOn,
  cameraSettingsChanged,
  startCameraControls,
  stopCamera,
} from "./camera.js";
import { codeFor } from "./code.js";
import { bringIntoView, element } from "./dom.js";
import { isAbort, PageError } from "./errors.js";
import { remember, startHistory } from "./history.js";
import {
  fromDataAddress,
  type Incoming,
  isAddress,
  isList,
  isModelAddress,
  read,
  sort,
} from "./incoming.js";
import { showInside } from "./inside.js";
import { noticeOf, recognize } from "./kinds.js";
import { lookAtMany, startMany, stopMany } from "./many.js";
import {
  askForPreprocess,
  clearModelMessages,
  hasOwnModel,
  ownAddress,
  putAddress,
  putLabels,
  putLabelsText,
  putModel,
  showModelError,
  showModelNotice,
  showWayBack,
  showWhichModel,
  startModelForm,
  submit,
} from "./model-form.js";
import {
  cancelLoading,
  type Choice,
  inUse,
  isLoading,
  load,
  PACKAGE_MODEL,
  TOP,
} from "./models.js";
import { keepForOffline } from "./offline.js";
import { prepare, reasonOf } from "./pictures.js";
import { ProgressView } from "./progress.js";
import { clearRegion, region, startRegion } from "./region.js";
import { fetchSample, type Sample, SAMPLES, startSamples } from "./samples.js";
import { showSeen } from "./sees.js";
import { startSharing } from "./share.js";
import { isMirrored, preview, put, showPicture, stage } from "./stage.js";
import { clearText, format, onLanguage, setText, startLanguages, text } from "./text.js";
import { hideWhy, startWhy } from "./why.js";

const file = element<HTMLInputElement>("file");
const note = element("picture-note");
const dropNow = element("drop-now");
const modelProgress = new ProgressView("model-");

/** What is looked at, if it is a file; a newer one makes its answers void. */
let picture: { blob: Blob; name: string } | undefined;
let looks = 0;
/** Whether the visitor has given a picture or used the camera; until then a sample is shown. */
let touched = false;

/** Opens a model. The one in use stays until that has worked. */
async function use(choice: Choice): Promise<void> {
  const first = inUse() === undefined && choice.origin === "package";
  if (first) showLoading();
  try {
    const loaded = await load(choice, (step) => {
      (first ? progress : modelProgress).show(step, choice.origin === "package");
    });
    modelProgress.hide();
    hideWhy();
    allowCamera(true);
    showWhichModel(loaded);
    showInside();
    showCode();
    const notice = noticeOf(
      loaded.classifier,
      loaded.name,
      loaded.options.activation !== undefined,
    );
    if (notice) showModelNotice(notice);
    if (picture) await look(picture.blob, picture.name, false);
    else if (!cameraIsOn()) showHint("hint");
    showSeen();
  } catch (error) {
    modelProgress.hide();
    if (isAbort(error)) {
      // Another choice has taken the place of this one, or the visitor has had enough.
      if (inUse() || isLoading()) return;
      showHint("cancelled");
      return showWayBack();
    }
    if (first) return showFailure(error, false);
    await explain(error, choice);
    // It had taken the place of the page's own before that had opened.
    if (!inUse() && !isLoading() && choice.origin !== "package") await use(PACKAGE_MODEL);
  }
}

/** Says why a model of the visitor's did not open. */
async function explain(error: unknown, { name, options, origin }: Choice): Promise<void> {
  const code = error instanceof AchadoError ? error.code : undefined;
  if (code === "MODEL_FETCH" && origin === "address") {
    return showModelError(new PageError("MODEL_FETCH_ADDRESS", {}, String(error)));
  }
  const silent = code === "METADATA_MISSING";
  const none = code === "UNSUPPORTED_TYPE" || code === "MODEL_FORMAT" || code === "INVALID_OPTION";
  const labelled = options.labels !== undefined && code === "INVALID_OPTION";
  if (silent || (none && !labelled)) {
    // How pixels become its input matters only if it is a classifier.
    const kind = await recognize(options.model, name, none);
    if (kind) return showModelError(kind);
  }
  if (silent) return askForPreprocess(name);
  showModelError(error);
}

/**
 * Shows a picture and says what is on it.
 *
 * @param asked The visitor has just given it, and waits for the answer.
 */
async function look(blob: Blob, name: string, asked: boolean): Promise<void> {
  const id = ++looks;
  hideWhy();
  const fresh = picture?.blob !== blob;
  picture = { blob, name };
  stopCamera();
  if (fresh) {
    clearRegion();
    clearText(note);
    note.hidden = true;
    showPicture(blob, name);
  } else {
    put(preview);
  }
  const model = inUse();
  if (!model) return; // It looks when the model has opened.
  showWorking("working");
  try {
    const ready = await prepare(blob, name);
    const start = performance.now();
    const box = region();
    const result = await model.classifier.classify(ready.input, {
      ...(box && { regionOfInterest: box }),
    });
    const totalMs = performance.now() - start;
    if (id !== looks) return;
    const answer = answerOf(result, totalMs);
    showAnswer(answer);
    if (ready.note) tell(ready.note);
    await preview.decode().catch(() => {});
    if (id !== looks) return;
    remember(blob, name, preview, answer);
    showInside();
    showSeen();
    showCode();
    if (asked) bringIntoView(element("results-heading"));
  } catch (error) {
    if (id !== looks) return;
    // The model in use was replaced: its follower looks again.
    if (inUse() !== model && error instanceof AchadoError && error.code === "CLOSED") return;
    const reason = await reasonOf(error, blob, name);
    if (id !== looks) return;
    put(undefined);
    picture = undefined;
    showFailure(reason, asked);
  }
}

/** Says something beside the picture. */
function tell({ key, values }: PageError): void {
  setText(note, key, values);
  note.hidden = false;
}

async function lookAtSample(sample: Sample, asked: boolean): Promise<void> {
  const id = ++looks;
  try {
    const blob = await fetchSample(sample);
    // The visitor may have given a picture meanwhile.
    if (id !== looks) return;
    const looking = look(blob, `${sample}.jpg`, asked);
    if (!asked) tell(new PageError("isSample"));
    await looking;
  } catch (error) {
    if (id === looks && asked) showFailure(error, true);
  }
}

/** Takes what the visitor gave, whichever way. */
async function take(incoming: Incoming): Promise<void> {
  touched = true;
  if ("files" in incoming) return takeFiles(incoming.files);
  if ("text" in incoming) return takeText(incoming.text.trim());
  showFailure(new PageError("unknownThing"), true);
}

async function takeFiles(files: File[]): Promise<void> {
  const { pictures, model, companions, oneOfSeveral, labels } = await sort(files);
  if (model) {
    putModel(model, companions);
    if (labels) putLabels(labels);
    submit();
    if (oneOfSeveral) showModelNotice(new PageError("severalModels", { name: model.name }));
  } else if (labels) {
    const own = hasOwnModel();
    putLabels(labels);
    if (own) submit();
    else {
      clearModelMessages();
      showModelNotice(new PageError("labelsAlone", { name: labels.name }));
      bringIntoView(element("own-heading"));
    }
  }
  const [first] = pictures;
  if (!first) return;
  await look(first, first.name, pictures.length === 1 && !model);
  if (pictures.length > 1) await lookAtMany(pictures);
}

async function takeText(words: string): Promise<void> {
  if (isList(words)) {
    const own = hasOwnModel();
    putLabelsText(words);
    if (own) return submit();
    showModelNotice(new PageError("labelsAlone", { name: "labels.txt" }));
    return bringIntoView(element("own-heading"));
  }
  if (!isAddress(words))
    return showFailure(new PageError("unknownThing", {}, words.slice(0, 200)), true);
  try {
    if (/^data:/i.test(words)) return await look(fromDataAddress(words), text("pasted"), true);
    const url = ownAddress(words);
    if (isModelAddress(url)) {
      putAddress(url.href);
      return submit();
    }
    const response = await fetch(url);
    if (!response.ok) {
      throw new PageError("PICTURE_FETCH", {}, `${response.status} for ${url.href}`);
    }
    await look(
      await response.blob(),
      decodeURIComponent(url.pathname.split("/").pop() || url.host),
      true,
    );
  } catch (error) {
    showFailure(error, true);
  }
}

/** Shows the code that does what the page shows. */
function showCode(): void {
  const model = inUse() ?? PACKAGE_MODEL;
  const { preprocess, activation } = model.options;
  const source = cameraIsOn()
    ? ({ kind: "camera", maxFps: CAMERA_FPS, smoothing: CAMERA_SMOOTHING } as const)
    : ({ kind: "picture", name: `./${picture?.name ?? "picture.jpg"}` } as const);
  element("code").textContent = codeFor({
    model: model.origin === "package" ? undefined : model.name,
    labels: model.labelsName,
    options: { preprocess, activation, maxResults: TOP },
    source,
    region: region(),
    mirror: isMirrored(),
  });
}

function showAbout(): void {
  setText(element("claim"), "devClaim", { first: format(about.firstLoadGzipBytes / 1000, 0) });
  setText(element("about"), "about", { version: about.version, license: about.license });
}

startCameraControls({
  onOpening() {
    touched = true;
    looks++;
    stopMany();
    hideWhy();
    clearRegion();
    clearText(note);
    note.hidden = true;
    picture = undefined;
    showWorking("cameraOpening");
    showCode();
  },
  onAnswer(result: ClassifierResult) {
    showAnswer(answerOf(result, undefined));
    showSeen();
  },
  onFailure: (error) => showFailure(error, true),
  onStopped() {
    showHint("cameraStopped");
    showSeen();
    showCode();
  },
  onStill: (blob) => void look(blob, `${text("frame")}.png`, true),
});

startRegion(
  () => {
    cameraSettingsChanged();
    if (picture) void look(picture.blob, picture.name, false);
    showSeen();
    showCode();
  },
  () => {
    if (!cameraIsOn()) file.click();
  },
);

file.addEventListener("change", () => {
  const files = [...(file.files ?? [])];
  file.value = ""; // So that the same file can be chosen again.
  if (files.length > 0) void take({ files });
});

// A drop beside the stage would make the browser leave the page.
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  stage.classList.add("over");
  dropNow.hidden = false;
});
const notOver = () => {
  stage.classList.remove("over");
  dropNow.hidden = true;
};
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) notOver();
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  notOver();
  void take(read(event.dataTransfer));
});
document.addEventListener("paste", (event) => {
  // Into a field it goes as everywhere.
  if (event.target instanceof Element && event.target.closest("input, textarea")) return;
  const incoming = read(event.clipboardData);
  if ("nothing" in incoming) return;
  event.preventDefault();
  void take(incoming);
});

startModelForm({
  use: (choice) => void use(choice),
  back: () => void use(PACKAGE_MODEL),
});
element("model-cancel").addEventListener("click", cancelLoading);
element("cancel").addEventListener("click", cancelLoading);
startHistory((blob, name) => void look(blob, name, true));
startMany((blob, name) => void look(blob, name, true));
startSamples((sample) => {
  touched = true;
  void lookAtSample(sample, true);
});
startWhy();
startSharing();
onLanguage(() => {
  showAbout();
  showCode();
});

// Files that the installed application is opened with.
interface Launch {
  readonly files: readonly { getFile(): Promise<File> }[];
}
const queue = (
  globalThis as { launchQueue?: { setConsumer(take: (launch: Launch) => void): void } }
).launchQueue;
queue?.setConsumer(({ files }) => {
  if (files.length === 0) return;
  touched = true;
  void Promise.all(files.map((one) => one.getFile())).then((all) => take({ files: all }));
});

startLanguages();
allowCamera(false);
showAbout();
showCode();
void use(PACKAGE_MODEL).then(async () => {
  if (!touched && inUse()) await lookAtSample(SAMPLES[0], false);
  // The form takes ONNX files, and the page beside this one trains: what they need is kept, too.
  await keepForOffline(["./achado/dist/onnx.wasm", "./achado/dist/maker.wasm"]);
});
