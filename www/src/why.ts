// Why the answer: the picture is covered bit by bit, and where the answer's score falls, there is
// what speaks for it (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks").
import { nameOf, scoreText, shownAnswer } from "./answer.js";
import { element, make } from "./dom.js";
import { isAbort } from "./errors.js";
import { inUse, TOP } from "./models.js";
import { region } from "./region.js";
import { inStage, layOver, sizeShown } from "./stage.js";
import { clearText, onLanguage, setText, text } from "./text.js";

const button = element<HTMLButtonElement>("why");
const heat = element<HTMLCanvasElement>("heat");
const working = element("why-working");
const status = element("why-status");
const bar = element<HTMLProgressElement>("why-progress");
const said = element("why-result");

/** Cells a side, and how many of them a patch covers. */
const [CELLS, PATCH] = [9, 2.4];
/** The model makes the picture smaller anyway. In pixels. */
const LONGEST_SIDE = 448;
/** A fall that is smaller than this, of the score, tells nothing. */
const LEAST_DROP = 0.02;

let running: AbortController | undefined;

/** The button, and how the work is stopped. */
export function startWhy(): void {
  button.addEventListener("click", () => {
    if (heat.hidden) void explain();
    else hideWhy();
  });
  element("why-cancel").addEventListener("click", hideWhy);
  heat.addEventListener("place", place);
  onLanguage(() => {
    if (!heat.hidden) heat.setAttribute("aria-label", text("whyAlt"));
  });
}

/** Takes the map away and stops making one. */
export function hideWhy(): void {
  running?.abort();
  running = undefined;
  heat.hidden = true;
  working.hidden = true;
  clearText(said);
  setText(button, "why");
}

function place(): void {
  if (!heat.hidden) layOver(heat, region() ?? { left: 0, top: 0, right: 1, bottom: 1 });
}

async function explain(): Promise<void> {
  const [top] = shownAnswer()?.best ?? [];
  const model = inUse();
  const picture = pictureLookedAt();
  if (!top || !model || !picture) return;
  hideWhy();
  const mine = new AbortController();
  running = mine;
  const { signal } = mine;
  const { classifier } = model;
  working.hidden = false;
  try {
    // The answer need not be among the best five of a covered picture.
    await classifier.setOptions({ maxResults: -1 });
    const scoreOf = async (images: ImageBitmap[]) => {
      const results = await classifier.classifyBatch(images, { signal });
      return results.map(
        ({ classifications }) =>
          classifications[0]?.categories.find(({ index }) => index === top.index)?.score ?? 0,
      );
    };
    const [whole = 0] = await scoreOf([await createImageBitmap(picture)]);
    const drops: number[] = [];
    for (let row = 0; row < CELLS; row++) {
      const done = row * CELLS;
      setText(status, "whyWorking", { done, total: CELLS * CELLS });
      bar.value = row / CELLS;
      const covered = await Promise.all(
        Array.from({ length: CELLS }, (_, column) =>
          createImageBitmap(cover(picture, column, row)),
        ),
      );
      signal.throwIfAborted();
      try {
        drops.push(...(await scoreOf(covered)).map((score) => whole - score));
      } finally {
        for (const one of covered) one.close();
      }
    }
    if (running !== mine) return;
    running = undefined;
    working.hidden = true;
    show(drops, whole, nameOf(top));
  } catch (error) {
    if (running === mine) hideWhy();
    if (!isAbort(error)) throw error;
  } finally {
    // The model may have been replaced and closed meanwhile.
    await classifier.setOptions({ maxResults: TOP }).catch(() => {});
  }
}

/** The part that is looked at, with its shape kept: the classifier fits it as it fits the whole. */
function pictureLookedAt(): HTMLCanvasElement | undefined {
  const source = inStage();
  const { width, height } = sizeShown();
  if (!source || width === 0) return undefined;
  const { left, top, right, bottom } = region() ?? { left: 0, top: 0, right: 1, bottom: 1 };
  const [w, h] = [(right - left) * width, (bottom - top) * height];
  const scale = Math.min(1, LONGEST_SIDE / Math.max(w, h));
  const canvas = make("canvas", {
    width: Math.max(1, Math.round(w * scale)),
    height: Math.max(1, Math.round(h * scale)),
  });
  const context = canvas.getContext("2d");
  context?.drawImage(source, left * width, top * height, w, h, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** The picture with a grey patch around the middle of a cell. */
function cover(picture: HTMLCanvasElement, column: number, row: number): HTMLCanvasElement {
  const { width, height } = picture;
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d");
  if (!context) return picture;
  context.drawImage(picture, 0, 0);
  context.fillStyle = "#808080";
  const [w, h] = [(PATCH * width) / CELLS, (PATCH * height) / CELLS];
  const [x, y] = [((column + 0.5) * width) / CELLS, ((row + 0.5) * height) / CELLS];
  context.fillRect(x - w / 2, y - h / 2, w, h);
  return canvas;
}

/** Draws the drops as light where they are large and dusk elsewhere, one pixel a cell, smoothed. */
function show(drops: readonly number[], whole: number, name: string): void {
  const most = Math.max(...drops);
  const matters = most > LEAST_DROP * Math.abs(whole);
  const values = { name, drop: scoreText(most).replace(/^−|^-/, "") };
  setText(said, matters ? "whyResult" : "whyNothing", values);
  if (!matters) return;
  const small = make("canvas", { width: CELLS, height: CELLS });
  const pixels = new ImageData(CELLS, CELLS);
  drops.forEach((drop, cell) => {
    const strength = Math.min(1, Math.max(0, drop / most));
    const colour = strength > 0.5 ? [255, 190, 40] : [10, 20, 30];
    const alpha = strength > 0.5 ? (strength - 0.5) * 1.1 : (0.5 - strength) * 1.5;
    pixels.data.set([...colour, Math.round(255 * alpha)], cell * 4);
  });
  small.getContext("2d")?.putImageData(pixels, 0, 0);
  heat.width = heat.height = CELLS * 16;
  const context = heat.getContext("2d");
  if (!context) return;
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, heat.width, heat.height);
  heat.setAttribute("aria-label", text("whyAlt"));
  heat.dataset.peak = String(drops.indexOf(most));
  heat.hidden = false;
  place();
  setText(button, "whyHide");
}
