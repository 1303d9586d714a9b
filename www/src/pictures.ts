// From a file that should be a picture to what the classifier takes, or to the true reason why not.
import { AchadoError, type ImageInput } from "achado";
import { PageError } from "./errors.js";

/** Drawings have no pixels of their own: this many on their longer side. */
const DRAWING_SIDE = 1024;

/** What the first bytes of files are that some programs call pictures and no browser shows. */
const FOREIGN: readonly [type: string, starts: RegExp][] = [
  ["TIFF", /^(II\*\0|MM\0\*)/],
  ["PDF", /^%PDF/],
  ["PSD", /^8BPS/],
  ["HEIC", /^....ftyp(heic|heix|hevc|heim|heis|mif1|msf1)/s],
  ["JPEG 2000", /^\0\0\0\x0cjP {2}/],
  ["video", /^....ftyp/s],
  ["GIF", /^GIF8/],
];

/** The first bytes of a file, one character each. */
export async function firstBytes(file: Blob, count = 512): Promise<string> {
  const bytes = new Uint8Array(await file.slice(0, count).arrayBuffer());
  return String.fromCharCode(...bytes);
}

function isDrawing(start: string, type: string): boolean {
  return (
    type === "image/svg+xml" ||
    /^\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!DOCTYPE svg[^>]*>\s*)?<svg[\s>]/s.test(start)
  );
}

/** A picture that is ready to be classified. */
export interface Ready {
  readonly input: ImageInput;
  /** Something to tell about it. */
  readonly note?: PageError;
}

/**
 * Makes a file ready. Pictures stay as they are: the classifier decodes them.
 *
 * @throws {PageError} The file is empty
 */
export async function prepare(file: Blob, name: string): Promise<Ready> {
  if (file.size === 0) throw new PageError("emptyFile", { name });
  const start = await firstBytes(file);
  if (!isDrawing(start, file.type)) return { input: file };
  const image = await imageOf(
    file.type === "image/svg+xml" ? file : new Blob([file], { type: "image/svg+xml" }),
  );
  if (!image) throw new PageError("damagedPicture", { name });
  const largest = Math.max(image.naturalWidth, image.naturalHeight) || 1;
  const width = Math.max(1, Math.round(((image.naturalWidth || 1) / largest) * DRAWING_SIDE));
  const height = Math.max(1, Math.round(((image.naturalHeight || 1) / largest) * DRAWING_SIDE));
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  if (!context) throw new PageError("damagedPicture", { name });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(image, 0, 0, width, height);
  return { input: canvas, note: new PageError("svgPicture", { name, width, height }) };
}

/**
 * The true reason why a file could not be classified as a picture.
 *
 * @param error What classifying it rejected with
 */
export async function reasonOf(error: unknown, file: Blob, name: string): Promise<unknown> {
  const undecodable =
    error instanceof AchadoError &&
    error.code === "INVALID_INPUT" &&
    (error.detail.kind === "Blob" || error.detail.kind === "File");
  if (!undecodable) return error;
  const details = `${error.code}: ${error.message}`;
  if (file.size === 0) return new PageError("emptyFile", { name }, details);
  const start = await firstBytes(file);
  // A picture that stops in its middle is shown as far as it goes.
  if (isPicture(start) || (await imageOf(file))) {
    return new PageError("damagedPicture", { name }, details);
  }
  const type = FOREIGN.find(([, starts]) => starts.test(start))?.[0];
  return type
    ? new PageError("notPictureType", { name, type }, details)
    : new PageError("notPicture", { name }, details);
}

/** Whether a file begins as pictures do that browsers show. */
function isPicture(start: string): boolean {
  return /^(\xff\xd8\xff|\x89PNG\r\n|GIF8|RIFF....WEBP|BM|....ftypavif)/s.test(start);
}

/** The picture as an element that has loaded; nothing if the browser shows none of it. */
async function imageOf(file: Blob): Promise<HTMLImageElement | undefined> {
  const image = new Image();
  const address = URL.createObjectURL(file);
  try {
    const loaded = new Promise<boolean>((resolve) => {
      image.onload = () => resolve(true);
      image.onerror = () => resolve(false);
    });
    image.src = address;
    return (await loaded) ? image : undefined;
  } finally {
    URL.revokeObjectURL(address);
  }
}
