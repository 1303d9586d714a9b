// The last pictures that were looked at, to look at again.
import { nameOf, type Answer } from "./answer.js";
import { element, make } from "./dom.js";
import { onLanguage, text } from "./text.js";

const card = element("past");
const list = element("history");

const MOST = 10;
/** In pixels. */
const SIDE = 112;

interface Entry {
  readonly file: Blob;
  readonly name: string;
  readonly thumbnail: HTMLCanvasElement;
  answer: Answer;
}
/** Newest first. */
const entries: Entry[] = [];
let again: (file: Blob, name: string) => void = () => {};

/** @param look Called to look at an old picture again. */
export function startHistory(look: (file: Blob, name: string) => void): void {
  again = look;
}

/** Remembers a picture; one that is there already moves to the front. */
export function remember(file: Blob, name: string, shown: HTMLImageElement, answer: Answer): void {
  const known = entries.findIndex((entry) => entry.file === file);
  const [old] = known < 0 ? [] : entries.splice(known, 1);
  const thumbnail = old?.thumbnail ?? squareOf(shown);
  entries.unshift({ file, name, thumbnail, answer });
  entries.length = Math.min(entries.length, MOST);
  render();
}

function squareOf(image: HTMLImageElement): HTMLCanvasElement {
  const canvas = make("canvas", { width: SIDE, height: SIDE, ariaHidden: "true" });
  const side = Math.min(image.naturalWidth, image.naturalHeight);
  const [left, top] = [(image.naturalWidth - side) / 2, (image.naturalHeight - side) / 2];
  canvas.getContext("2d")?.drawImage(image, left, top, side, side, 0, 0, SIDE, SIDE);
  return canvas;
}

function render(): void {
  // The picture that is shown is not yet one of before.
  card.hidden = entries.length < 2;
  list.replaceChildren(
    ...entries.map(({ file, name, thumbnail, answer }) => {
      const [top] = answer.best;
      const found = top ? nameOf(top) : text("historyNoAnswer");
      const button = make("button", {
        type: "button",
        title: text("historyItem", { file: name, answer: found }),
      });
      button.append(
        thumbnail,
        make("span", { textContent: found, lang: top ? "" : document.documentElement.lang }),
      );
      button.addEventListener("click", () => again(file, name));
      return make("li", {}, button);
    }),
  );
}
onLanguage(render);
