// What went wrong, in a sentence of the page's language, with achado's own words as details.
import { AchadoError } from "achado";
import { bringIntoView, make } from "./dom.js";
import { hasText, onLanguage, text, type TextKey, type Values } from "./text.js";

/** Something that the page itself found out. */
export class PageError extends Error {
  readonly key: TextKey;
  readonly values: Values;
  /** In English, for who asks for details. */
  readonly details: string;

  constructor(key: TextKey, values: Values = {}, details = "") {
    super(key);
    this.key = key;
    this.values = values;
    this.details = details;
  }
}

/** Whether something was stopped because the visitor wanted that. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** What each place shows, to show it again in another language. */
const shown = new Map<HTMLElement, { error: unknown; after: TextKey | undefined }>();

/**
 * Shows an error in its place.
 *
 * @param take Bring it into view and give it the focus: for answers to what the visitor just did.
 * @param after A sentence that follows.
 */
export function showError(place: HTMLElement, error: unknown, take = false, after?: TextKey): void {
  shown.set(place, { error, after });
  render(place, error, after);
  place.hidden = false;
  if (take) {
    place.focus({ preventScroll: true });
    bringIntoView(place);
  }
}

/** Takes an error away. */
export function hideError(place: HTMLElement): void {
  shown.delete(place);
  place.hidden = true;
  place.replaceChildren();
}

onLanguage(() => {
  for (const [place, { error, after }] of shown) render(place, error, after);
});

function render(place: HTMLElement, error: unknown, after: TextKey | undefined): void {
  const sentences = [sentenceOf(error), ...(after ? [text(after)] : [])];
  const paragraph = make("p", { textContent: sentences.join(" ") });
  const words = detailsOf(error);
  if (words === "") return place.replaceChildren(paragraph);
  const details = make("details", {}, make("summary", { textContent: text("details") }));
  details.append(make("code", { textContent: words, lang: "en" }));
  place.replaceChildren(paragraph, details);
}

function detailsOf(error: unknown): string {
  if (error instanceof PageError) return error.details;
  return error instanceof AchadoError ? `${error.code}: ${error.message}` : String(error);
}

const CAMERA_KEYS = new Set([
  "CAMERA_NotAllowedError",
  "CAMERA_NotFoundError",
  "CAMERA_NotReadableError",
  "CAMERA_insecure",
]);

/** Browsers' words for a script or file that could not be fetched. */
const NOT_FETCHED =
  /dynamically imported module|module script|Failed to fetch|NetworkError|Load failed/i;

function sentenceOf(error: unknown): string {
  if (error instanceof PageError) return text(error.key, error.values);
  if (isUnreachable(error)) return text("offline");
  if (!(error instanceof AchadoError)) return text("INTERNAL");
  const { code, detail, message } = error;
  if (code === "MODEL_FETCH" && typeof detail.status === "number") {
    return text("MODEL_FETCH_STATUS", { status: detail.status });
  }
  if (code === "MODEL_FORMAT" && /\bONNX\b/.test(message)) return text("MODEL_ONNX");
  if (isAboutLabels(error)) return text("MODEL_LABELS", { reason: message });
  if (code === "CAMERA_DENIED") {
    const key = `CAMERA_${String(detail.reason)}`;
    if (CAMERA_KEYS.has(key)) return text(key as TextKey);
  }
  // A code that this page never meets has no sentence of its own.
  return text(hasText(code) ? code : "otherError");
}

/** Whether the names that were given do not fit; the reason says by how many. */
function isAboutLabels({ code, detail, message }: AchadoError): boolean {
  return code === "INVALID_OPTION" && (detail.option === "labels" || /\blabels?\b/.test(message));
}

/** Whether a part of the page or package could not be had because the network is gone. */
function isUnreachable(error: unknown): boolean {
  if (error instanceof AchadoError) {
    const fetched = error.code === "MODEL_FETCH" || error.code === "BACKEND_UNAVAILABLE";
    return fetched && error.detail.status === undefined && !navigator.onLine;
  }
  return error instanceof TypeError && NOT_FETCHED.test(error.message);
}
