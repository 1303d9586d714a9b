// The area that shows the picture or camera, and what lies over it: the part that is looked at, and
// the map of what speaks for the answer.
import { element } from "./dom.js";
import { onLanguage, text } from "./text.js";

export const stage = element("picture");
export const preview = element<HTMLImageElement>("preview");
const empty = element("empty");
const overlays = document.querySelectorAll<HTMLElement>(".over-picture");

/** Fractions 0..1 of the picture as it is, from its top left. */
export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

let shown: HTMLImageElement | HTMLVideoElement | undefined;
let mirrored = false;

/** What the stage shows. */
export function inStage(): HTMLImageElement | HTMLVideoElement | undefined {
  return shown;
}

/** Whether left and right are swapped for the eye. */
export function isMirrored(): boolean {
  return mirrored;
}

export function setMirrored(on: boolean): void {
  mirrored = on;
  stage.classList.toggle("mirrored", on);
}

/** Shows a file as the picture. */
export function showPicture(file: Blob, name: string): void {
  URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(file);
  preview.dataset.name = name;
  describe();
  setMirrored(false);
  put(preview);
}

function describe(): void {
  const { name } = preview.dataset;
  preview.alt = name ? text("previewAltNamed", { name }) : text("previewAlt");
  if (shown instanceof HTMLVideoElement) shown.setAttribute("aria-label", text("cameraAlt"));
}
onLanguage(describe);

/** Shows a camera, or with nothing the empty stage. */
export function put(next: HTMLImageElement | HTMLVideoElement | undefined): void {
  shown = next;
  preview.hidden = next !== preview;
  empty.hidden = next !== undefined;
  stage.querySelector("video")?.remove();
  if (next && next !== preview) stage.append(next);
  stage.classList.toggle("full", next !== undefined);
  describe();
  placeOverlays();
}

/** The size in pixels of what the stage shows, upright; 0 by 0 until it is known. */
export function sizeShown(): { width: number; height: number } {
  if (shown instanceof HTMLVideoElement) {
    return { width: shown.videoWidth, height: shown.videoHeight };
  }
  return { width: shown?.naturalWidth ?? 0, height: shown?.naturalHeight ?? 0 };
}

/** Where in the stage the picture is, which keeps its shape, in pixels of the page. */
export function pictureRect(): { left: number; top: number; width: number; height: number } {
  const { clientWidth, clientHeight } = stage;
  const { width, height } = sizeShown();
  if (width === 0 || height === 0)
    return { left: 0, top: 0, width: clientWidth, height: clientHeight };
  const scale = Math.min(clientWidth / width, clientHeight / height);
  return {
    left: (clientWidth - width * scale) / 2,
    top: (clientHeight - height * scale) / 2,
    width: width * scale,
    height: height * scale,
  };
}

/** Lays an element over a part of the picture. */
export function layOver(target: HTMLElement, box: Box): void {
  const picture = pictureRect();
  const left = mirrored ? 1 - box.right : box.left;
  const place = {
    left: picture.left + left * picture.width,
    top: picture.top + box.top * picture.height,
    width: (box.right - box.left) * picture.width,
    height: (box.bottom - box.top) * picture.height,
  };
  for (const [side, pixels] of Object.entries(place)) {
    target.style.setProperty(side, `${pixels}px`);
  }
}

function placeOverlays(): void {
  for (const overlay of overlays) overlay.dispatchEvent(new Event("place"));
}

preview.addEventListener("load", placeOverlays);
new ResizeObserver(placeOverlays).observe(stage);
