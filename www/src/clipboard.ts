// Copying text.
import { element } from "./dom.js";
import { setText } from "./text.js";

/** Copies text, and says in its place whether that worked. */
export async function copy(words: string, place: HTMLElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(words);
    setText(place, "copied");
  } catch {
    setText(place, "notCopied");
  }
}

/** Buttons that copy the text of the element that they name. */
export function startCopyButtons(): void {
  for (const button of document.querySelectorAll<HTMLElement>("[data-copies]")) {
    button.addEventListener("click", async () => {
      await copy(element(button.dataset.copies ?? "").textContent ?? "", button);
      setTimeout(() => setText(button, "copy"), 2000);
    });
  }
}
