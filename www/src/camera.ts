// The camera: which one, mirrored or not, how fast, and a frame of it to keep.
import { AchadoError, type Camera, type ClassifierResult, openCamera } from "achado";
import { element, make } from "./dom.js";
import { inUse } from "./models.js";
import { region } from "./region.js";
import { isMirrored, put, setMirrored } from "./stage.js";
import { clearText, format, onLanguage, setText, text } from "./text.js";

const button = element<HTMLButtonElement>("camera");
const controls = element("camera-controls");
const choice = element<HTMLSelectElement>("camera-choice");
const mirror = element<HTMLInputElement>("camera-mirror");
const still = element<HTMLButtonElement>("camera-still");
const rate = element("camera-rate");

/** Few enough to be read, and to leave a phone cool. */
export const CAMERA_FPS = 8;
export const CAMERA_SMOOTHING = 0.6;
/** Over how many answers the rate is taken. */
const RATE_ANSWERS = 8;

interface Running {
  readonly stopping: AbortController;
  camera?: Camera;
}
let running: Running | undefined;

/** Told of what the camera does. */
export interface CameraEvents {
  onOpening(): void;
  onAnswer(result: ClassifierResult): void;
  onFailure(error: unknown): void;
  /** It was on, and nothing has taken its place. */
  onStopped(): void;
  onStill(picture: Blob): void;
}
let events: CameraEvents;

/** Whether the camera is on or about to be. */
export function cameraIsOn(): boolean {
  return running !== undefined;
}

/** Turns the camera off; whoever calls it shows something else. */
export function stopCamera(): void {
  const stopped = running;
  running = undefined;
  stopped?.stopping.abort();
  stopped?.camera?.close();
  showControls();
}

/** The button, the choice of camera and the rest. */
export function startCameraControls(told: CameraEvents): void {
  events = told;
  button.addEventListener("click", () => {
    if (!running) return void run(undefined);
    stopCamera();
    put(undefined);
    events.onStopped();
  });
  choice.addEventListener("change", () => {
    stopCamera();
    void run(choice.value);
  });
  mirror.addEventListener("change", () => {
    setMirrored(mirror.checked);
    settings++;
  });
  still.addEventListener("click", () => void keepFrame());
  onLanguage(showControls);
}

/** Whether there may be a camera to use: without a model there is nothing to use it for. */
export function allowCamera(allowed: boolean): void {
  button.disabled = !allowed;
}

/** Counted up when something changes that a stream takes once. */
let settings = 0;

/** The part that is looked at has changed. */
export function cameraSettingsChanged(): void {
  settings++;
}

async function run(deviceId: string | undefined): Promise<void> {
  const mine: Running = { stopping: new AbortController() };
  running = mine;
  const { signal } = mine.stopping;
  showControls();
  events.onOpening();
  try {
    const camera = await open(deviceId, signal);
    if (running !== mine) return camera.close();
    mine.camera = camera;
    const facing = camera.stream.getVideoTracks()[0]?.getSettings().facingMode;
    mirror.checked = facing === "user";
    put(camera.video);
    setMirrored(mirror.checked);
    showControls();
    await showChoices(camera);
    await classify(mine, camera.video, signal);
    if (running !== mine) return;
    // The device was unplugged.
    stopCamera();
    put(undefined);
    events.onStopped();
  } catch (error) {
    if (running !== mine) return;
    stopCamera();
    put(undefined);
    events.onFailure(error);
  }
}

/** As {@link openCamera}, of a certain device. */
function open(deviceId: string | undefined, signal: AbortSignal): Promise<Camera> {
  return openCamera({ width: 640, height: 480, signal, ...(deviceId && { deviceId }) });
}

/** Names frames until the stream ends, by whichever model is in use. */
async function classify(
  mine: Running,
  video: HTMLVideoElement,
  signal: AbortSignal,
): Promise<void> {
  const times: number[] = [];
  while (running === mine && !hasEnded(video)) {
    const used = inUse();
    if (!used) return;
    const set = settings;
    try {
      for await (const result of used.classifier.classifyStream(video, {
        maxFps: CAMERA_FPS,
        smoothing: CAMERA_SMOOTHING,
        mirror: isMirrored(),
        ...(region() && { regionOfInterest: region() }),
        signal,
      })) {
        if (running !== mine) return;
        events.onAnswer(result);
        showRate(times, result);
        if (inUse() !== used || settings !== set) break;
      }
    } catch (error) {
      // Another model has taken the place of this one.
      const replaced = error instanceof AchadoError && error.code === "CLOSED" && inUse() !== used;
      if (!replaced) throw error;
    }
  }
}

function hasEnded(video: HTMLVideoElement): boolean {
  const tracks = (video.srcObject as MediaStream | null)?.getVideoTracks() ?? [];
  return !tracks.some(({ readyState }) => readyState === "live");
}

function showRate(times: number[], { timings }: ClassifierResult): void {
  times.push(performance.now());
  if (times.length > RATE_ANSWERS) times.shift();
  const [first = 0, last = 0] = [times[0], times.at(-1)];
  // Not with each answer: nobody reads that fast, and it would lay out the page.
  if (times.length < RATE_ANSWERS || Math.floor(last / 1000) === Math.floor(shownAt / 1000)) return;
  shownAt = last;
  const perSecond = ((times.length - 1) * 1000) / (last - first);
  const latency = timings.preprocess + timings.inference + timings.postprocess;
  setText(rate, "cameraRate", { rate: format(perSecond, 1), latency: format(latency, 1) });
}
let shownAt = 0;

async function showChoices({ stream }: Camera): Promise<void> {
  const devices = await navigator.mediaDevices.enumerateDevices().catch(() => []);
  const cameras = devices.filter(({ kind }) => kind === "videoinput");
  const used = stream.getVideoTracks()[0]?.getSettings().deviceId;
  choice.replaceChildren(
    ...cameras.map(({ deviceId, label }, index) =>
      make("option", {
        value: deviceId,
        textContent: label || text("cameraNumber", { number: index + 1 }),
        selected: deviceId === used,
      }),
    ),
  );
  (choice.closest("label") as HTMLElement).hidden = cameras.length < 2;
}

async function keepFrame(): Promise<void> {
  const video = running?.camera?.video;
  if (!video || video.videoWidth === 0) return;
  const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
  const context = canvas.getContext("2d");
  if (isMirrored()) context?.setTransform(-1, 0, 0, 1, canvas.width, 0);
  context?.drawImage(video, 0, 0);
  const picture = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (picture) events.onStill(picture);
}

function showControls(): void {
  setText(button, running ? "cameraStop" : "camera");
  controls.hidden = !running?.camera;
  if (!running) clearText(rate);
}
