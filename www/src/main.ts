// The demo page: a picture or the camera in, the five best categories out. It uses the package as
// any page would.
import {
  type Camera,
  type ClassifierOptions,
  createClassifier,
  type ImageClassifier,
  openCamera,
} from "achado";
import { applyTexts, choose, type Language, text } from "./text.js";
import {
  element,
  showError,
  showProgress,
  showReady,
  showResult,
  showRuntime,
  showWorking,
} from "./view.js";

const stage = element("picture");
const empty = element("empty");
const preview = element<HTMLImageElement>("preview");
const file = element<HTMLInputElement>("file");
const cameraButton = element<HTMLButtonElement>("camera");
const ownModel = element<HTMLFormElement>("own-model");
const modelFile = element<HTMLInputElement>("model-file");
const labelsFile = element<HTMLInputElement>("labels-file");
const defaultButton = element<HTMLButtonElement>("default-model");

const TOP = 5;
/** Few enough to be read, and to leave a phone cool. */
const CAMERA_FPS = 8;
const CAMERA_SMOOTHING = 0.6;

let classifier: ImageClassifier | undefined;
/** The model that is loading or loaded; a newer one makes its results void. */
let loads = 0;
/** The picture in the page; a newer one makes its results void. */
let looks = 0;
let picture: Blob | undefined;
let camera: { stop(): void } | undefined;
/** Shows what the page shows again, in another language. */
let again: () => void = () => {};

function show(render: () => void): void {
  again = render;
  render();
}

async function load(options: ClassifierOptions): Promise<void> {
  const id = ++loads;
  const old = classifier;
  classifier = undefined;
  stopCamera();
  cameraButton.disabled = true;
  showRuntime(undefined);
  await old?.close();
  try {
    const made = await createClassifier({
      maxResults: TOP,
      ...options,
      onProgress: (progress) => {
        if (id === loads) show(() => showProgress(progress));
      },
    });
    if (id !== loads) return await made.close();
    classifier = made;
    cameraButton.disabled = false;
    show(showReady);
    showRuntime(made);
    if (picture) await look(picture);
  } catch (error) {
    if (id === loads) show(() => showError(error));
  }
}

/** Shows a picture and says what is on it. */
async function look(blob: Blob): Promise<void> {
  const id = ++looks;
  stopCamera();
  picture = blob;
  URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(blob);
  showInStage(preview);
  if (!classifier) return; // It looks when it has loaded.
  show(() => showWorking("working"));
  const start = performance.now();
  try {
    const result = await classifier.classify(blob);
    const totalMs = performance.now() - start;
    if (id !== looks) return;
    show(() => showResult(result, totalMs, false));
    showRuntime(classifier);
  } catch (error) {
    if (id !== looks) return;
    showInStage(undefined);
    picture = undefined;
    show(() => showError(error));
  }
}

function showInStage(shown: HTMLElement | undefined): void {
  preview.hidden = shown !== preview;
  empty.hidden = shown !== undefined;
  stage.querySelector("video")?.remove();
  if (shown && shown !== preview) stage.append(shown);
  stage.classList.toggle("full", shown !== undefined);
}

async function startCamera(): Promise<void> {
  const id = ++looks;
  const stopping = new AbortController();
  const running = { stop: () => stopping.abort() };
  camera = running;
  showCameraButton();
  show(() => showWorking("cameraOpening"));
  let opened: Camera | undefined;
  try {
    opened = await openCamera({ width: 640, height: 480, signal: stopping.signal });
    picture = undefined;
    opened.video.setAttribute("aria-label", text("cameraAlt"));
    showInStage(opened.video);
    if (!classifier) return;
    for await (const result of classifier.classifyStream(opened.video, {
      maxFps: CAMERA_FPS,
      smoothing: CAMERA_SMOOTHING,
      signal: stopping.signal,
    })) {
      const { preprocess, inference, postprocess } = result.timings;
      show(() => showResult(result, preprocess + inference + postprocess, true));
    }
  } catch (error) {
    if (id === looks && !stopping.signal.aborted) show(() => showError(error));
  } finally {
    opened?.close();
    if (camera === running) {
      camera = undefined;
      showCameraButton();
    }
    if (id === looks) showInStage(undefined);
  }
}

function stopCamera(): void {
  camera?.stop();
  camera = undefined;
  showCameraButton();
}

function showCameraButton(): void {
  cameraButton.dataset.text = camera ? "cameraStop" : "camera";
  cameraButton.textContent = text(camera ? "cameraStop" : "camera");
}

file.addEventListener("change", () => {
  const chosen = file.files?.[0];
  if (chosen) void look(chosen);
  file.value = ""; // So that the same file can be chosen again.
});

cameraButton.addEventListener("click", () => {
  if (camera) stopCamera();
  else void startCamera();
});

// A drop beside the stage would make the browser leave the page.
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  stage.classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) stage.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  stage.classList.remove("over");
  const dropped = event.dataTransfer?.files[0];
  if (dropped) void look(dropped);
});
document.addEventListener("paste", (event) => {
  const pasted = event.clipboardData?.files[0];
  if (pasted) void look(pasted);
});

ownModel.addEventListener("submit", (event) => {
  event.preventDefault();
  const model = modelFile.files?.[0];
  if (!model) return;
  void (async () => {
    const names = await labelsFile.files?.[0]?.text();
    const labels = names?.trimEnd().split(/\r?\n/);
    defaultButton.hidden = false;
    // An ONNX file does not say how it wants its pixels; most come from torchvision.
    const preprocess = /\.onnx$/i.test(model.name) ? ("imagenet" as const) : undefined;
    await load({ model, labels, preprocess });
  })();
});

defaultButton.addEventListener("click", () => {
  defaultButton.hidden = true;
  ownModel.reset();
  modelFile.focus();
  void load({});
});

for (const button of document.querySelectorAll<HTMLElement>("[data-language]")) {
  button.addEventListener("click", () => {
    choose(button.dataset.language as Language);
    applyTexts();
    again();
    if (classifier) showRuntime(classifier);
  });
}

applyTexts();
void load({});
