// `<achado-camera>`: the camera's picture with the labels of what it shows.
import { openCamera } from "../index.js";
import type { CameraOptions } from "../types.js";
import { AchadoElement, MODEL_ATTRIBUTES } from "./base.js";

/**
 * Names what the camera sees. It starts by its button or by `start()`; by itself where the user has
 * allowed the camera before, and with the attribute `autostart`.
 *
 * Slots: `start`, `stop`, `loading`. Parts: `stage`, `video`, `start`, `stop`, `labels`, `label`, `name`,
 * `score`, `bar`, `fill`, `status`, `error`. Events: `ready`, `result`, `error`.
 */
export class AchadoCamera extends AchadoElement {
  static readonly observedAttributes = [
    ...MODEL_ATTRIBUTES,
    "mirror",
    "facing-mode",
    "device-id",
    "max-fps",
    "smoothing",
    "autostart",
  ];

  #running: AbortController | undefined;
  /** Whether the camera is to run; undefined as long as nobody has said so. */
  #wanted: boolean | undefined;
  /** What runs now: anything else begins anew. */
  #settings = "";

  constructor() {
    super(`<div class="stage" part="stage"></div>
      <div class="controls" part="controls">
        <button type="button" part="start"><slot name="start">▶ Camera</slot></button>
        <button type="button" part="stop" hidden><slot name="stop">■ Camera</slot></button>
      </div>`);
    this.#button("start").addEventListener("click", () => this.start());
    this.#button("stop").addEventListener("click", () => this.pause());
  }

  /** Starts the camera. */
  start(): void {
    this.#wanted = true;
    this.refresh();
  }

  /** Stops the camera; the labels go with the picture. */
  pause(): void {
    this.#wanted = false;
    this.refresh();
  }

  /** Whether the camera runs, or is being started. */
  get running(): boolean {
    return this.#running !== undefined;
  }

  protected update(): void {
    if (this.#wanted === undefined) {
      if (this.hasAttribute("autostart")) this.#wanted = true;
      else void this.#startIfAllowed();
    }
    const settings = AchadoCamera.observedAttributes
      .map((name) => this.getAttribute(name))
      .join("\n");
    const isSame = this.#settings === settings && this.#lastOptions === this.options;
    if (this.#wanted === this.running && (isSame || !this.running)) return;
    this.stop();
    if (!this.#wanted) return;
    this.#settings = settings;
    this.#lastOptions = this.options;
    const running = new AbortController();
    this.#running = running;
    this.#showButtons();
    this.loading();
    this.#run(running.signal).then(
      // The camera was taken away: unplugged, or stopped by the system.
      () => this.#running === running && this.pause(),
      (error: unknown) => {
        if (running.signal.aborted) return;
        this.stop();
        this.#wanted = false;
        this.fail(error);
      },
    );
  }

  #lastOptions = this.options;

  protected stop(): void {
    this.#running?.abort();
    this.#running = undefined;
    this.#stage.replaceChildren();
    this.clear();
    this.setAttribute("state", "idle");
    this.#showButtons();
  }

  async #startIfAllowed(): Promise<void> {
    try {
      const camera = "camera" as PermissionName;
      const { state } = await navigator.permissions.query({ name: camera });
      if (state === "granted" && this.#wanted === undefined && this.isConnected) this.start();
    } catch {
      // Browsers that do not say.
    }
  }

  async #run(signal: AbortSignal): Promise<void> {
    const attribute = (name: string) => this.getAttribute(name) ?? undefined;
    const facing = attribute("facing-mode") ?? (this.hasAttribute("mirror") ? "user" : undefined);
    const [maxFps, smoothing] = [this.number("max-fps"), this.number("smoothing")];
    const opening = this.model();
    opening.catch(() => {});
    const camera = await openCamera({
      facingMode: facing as CameraOptions["facingMode"],
      deviceId: attribute("device-id"),
      signal,
    });
    try {
      camera.video.setAttribute("part", "video");
      this.#stage.replaceChildren(camera.video);
      const model = await opening;
      const mirror = this.hasAttribute("mirror");
      const options = { mirror, maxFps, smoothing, signal };
      for await (const result of model.classifyStream(camera.video, options)) {
        if (signal.aborted) break;
        this.show(result);
      }
    } finally {
      camera.close();
    }
  }

  get #stage(): HTMLElement {
    return this.root.querySelector(".stage") as HTMLElement;
  }

  #button(name: "start" | "stop"): HTMLElement {
    return this.root.querySelector(`button[part="${name}"]`) as HTMLElement;
  }

  #showButtons(): void {
    this.#button("start").hidden = this.running;
    this.#button("stop").hidden = !this.running;
  }
}
