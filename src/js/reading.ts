// Pixels of pictures, read where the engine runs: large ones part by part, so that neither a canvas nor
// WebAssembly's memory has to hold all of one.
import type { Frame } from "./engine.js";
import { AchadoError } from "./errors.js";
import { inputError } from "./pixels.js";

/** Rows of RGBA pixels, which are asked for from the top. */
export interface Source {
  readonly width: number;
  readonly height: number;
  /** Whether transparent pixels show the page behind, or else the color that they have. */
  readonly page: boolean;
  /**
   * The rows from `start` to before `end`; stale with the next call.
   *
   * @throws {AchadoError} TAINTED_CANVAS, INVALID_INPUT
   */
  rows(start: number, end: number): Uint8Array | Uint8ClampedArray;
  /** Lets go of the picture. */
  close(): void;
}

/** The longest side of a bitmap that is read, in pixels. */
const MAX_SIDE = 16_384;

/** Reused: making a canvas for each frame costs more than reading it. */
let context: OffscreenCanvasRenderingContext2D | null = null;

/** The most pixels of a canvas that is kept. */
const MOST_KEPT_PIXELS = 1 << 23;

/**
 * Whatever a frame is, as rows.
 *
 * @param onBackground Whether the caller has said what is behind transparent pixels.
 */
export function sourceOf(frame: Frame, onBackground: boolean): Source {
  if ("encoded" in frame) throw new Error("files are decoded before they come here");
  if ("data" in frame) {
    const { data, width, height, alpha } = frame;
    const rows = (start: number, end: number) => data.subarray(start * width * 4, end * width * 4);
    return { width, height, page: alpha === "page", rows, close: () => {} };
  }
  const { bitmap, alpha } = frame;
  const { width, height } = bitmap;
  let stored: Stored | undefined;
  const close = () => {
    stored?.close();
    bitmap.close();
    const canvas = context?.canvas;
    if (canvas && canvas.width * canvas.height > MOST_KEPT_PIXELS) context = null;
  };
  const rows = (start: number, end: number) => {
    try {
      if (Math.max(width, height) > MAX_SIDE) {
        throw invalid(
          `the picture is ${width}x${height} pixels; scale it down to ${MAX_SIDE} a side`,
          { width, height },
        );
      }
      const pixels = draw(bitmap, start, end);
      // A canvas multiplies colors by alpha, which is enough to put them on a background.
      if (alpha !== "stored" || onBackground || isOpaque(pixels)) return pixels;
      stored ??= new Stored(bitmap);
      return stored.rows(start, end);
    } catch (cause) {
      // A canvas that was drawn on from another origin stays unreadable.
      context = null;
      throw inputError(cause);
    }
  };
  return { width, height, page: alpha === "page", rows, close };
}

function invalid(message: string, detail: Record<string, unknown> = {}): AchadoError {
  return new AchadoError("INVALID_INPUT", message, detail);
}

/** Colors of a pixel that is drawn over; a picture has hardly both. */
const MARKS = [
  [18, 52, 86],
  [171, 205, 239],
] as const;

/** Draws rows on a canvas of their size, and reads them back. */
function draw(bitmap: ImageBitmap, start: number, end: number): Uint8ClampedArray {
  const { width } = bitmap;
  const height = end - start;
  context ??= new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw invalid("this browser gives no 2D canvas to read pixels with");
  const { canvas } = context;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  context.imageSmoothingEnabled = false;
  // Some browsers leave a canvas blank that is too large for them, without saying so: the last pixel
  // is marked, and has to be another afterwards.
  for (const [red, green, blue] of MARKS) {
    context.globalCompositeOperation = "source-over";
    context.fillStyle = `rgb(${red} ${green} ${blue})`;
    context.fillRect(width - 1, height - 1, 1, 1);
    context.globalCompositeOperation = "copy";
    context.drawImage(bitmap, 0, start, width, height, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    const [r, g, b, a] = data.subarray(-4);
    if (r !== red || g !== green || b !== blue || a !== 255) return data;
  }
  throw invalid(
    `this browser draws nothing on a canvas of ${width}x${height} pixels; scale the picture down`,
    { width, height },
  );
}

function isOpaque({ buffer, byteOffset, length }: Uint8ClampedArray): boolean {
  // WebAssembly's machines have the last byte uppermost.
  return new Uint32Array(buffer, byteOffset, length / 4).every((pixel) => pixel >= 0xff000000);
}

/**
 * The colors of a file's transparent pixels, which a 2D canvas does not keep: as a texture they can be
 * read.
 */
class Stored {
  readonly #gl: WebGL2RenderingContext;
  readonly #width: number;
  #pixels = new Uint8Array(0);

  constructor(bitmap: ImageBitmap) {
    const gl = new OffscreenCanvas(1, 1).getContext("webgl2");
    if (!gl) {
      throw invalid(
        "the picture has transparent pixels, and this browser does not give their colors (it has no WebGL here); give the color behind them as preprocess.background",
        { option: "preprocess.background" },
      );
    }
    this.#gl = gl;
    this.#width = bitmap.width;
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
    gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
    const { FRAMEBUFFER, COLOR_ATTACHMENT0, TEXTURE_2D } = gl;
    const texture = gl.getParameter(gl.TEXTURE_BINDING_2D) as WebGLTexture;
    gl.framebufferTexture2D(FRAMEBUFFER, COLOR_ATTACHMENT0, TEXTURE_2D, texture, 0);
    if (gl.checkFramebufferStatus(FRAMEBUFFER) !== gl.FRAMEBUFFER_COMPLETE || gl.getError() !== 0) {
      this.close();
      throw invalid(
        `this browser does not give the colors of the transparent pixels of a picture of ${bitmap.width}x${bitmap.height} pixels; scale it down, or give the color behind them as preprocess.background`,
        { option: "preprocess.background", width: bitmap.width, height: bitmap.height },
      );
    }
  }

  /** Textures have the first row first, as it was put in. */
  rows(start: number, end: number): Uint8Array {
    const gl = this.#gl;
    const bytes = this.#width * (end - start) * 4;
    if (this.#pixels.length !== bytes) this.#pixels = new Uint8Array(bytes);
    gl.readPixels(0, start, this.#width, end - start, gl.RGBA, gl.UNSIGNED_BYTE, this.#pixels);
    return this.#pixels;
  }

  close(): void {
    this.#gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}
