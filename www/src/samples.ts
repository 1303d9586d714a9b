// Pictures to try it with (their makers are named in samples/README.md).
import { PageError } from "./errors.js";
import { element, make } from "./dom.js";

/** By file name; the first one is shown when the page opens. */
export const SAMPLES = ["coffee", "cat", "camera", "officer", "rocket"] as const;
export type Sample = (typeof SAMPLES)[number];

/** Fills the list of samples. */
export function startSamples(choose: (sample: Sample) => void): void {
  element("samples").replaceChildren(
    ...SAMPLES.map((sample) => {
      const image = make("img", {
        src: `./samples/${sample}-small.jpg`,
        width: 112,
        height: 112,
        alt: "",
      });
      const button = make("button", { type: "button" }, image);
      button.dataset.textLabel = `sample_${sample}`;
      button.dataset.sample = sample;
      button.addEventListener("click", () => choose(sample));
      return make("li", {}, button);
    }),
  );
}

/** @throws {PageError} It is not there */
export async function fetchSample(sample: Sample): Promise<Blob> {
  const response = await fetch(`./samples/${sample}.jpg`);
  if (!response.ok)
    throw new PageError("PICTURE_FETCH", {}, `${response.status} for ${response.url}`);
  return response.blob();
}
