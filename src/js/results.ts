// A classification on its way from the core: numbers, which become objects where they are wanted.
import type { Category, ClassifierResult, HeadInfo } from "./types.js";

/** The names of a head's classes; each list is empty or has one name a class. */
export interface Names {
  category: string[];
  display: string[];
}

/** The same from the core: names end to end, and how long each is. */
export type JoinedNames = Record<keyof Names, { text: string; lengths: Uint32Array }>;

/** Takes names apart. */
export function splitNames({ category, display }: JoinedNames): Names {
  return { category: split(category), display: split(display) };
}

function split({ text, lengths }: JoinedNames["category"]): string[] {
  let end = 0;
  return Array.from(lengths, (length) => {
    const start = end;
    end += length;
    return text.slice(start, end);
  });
}

/**
 * Results, one after the other: the times of preprocessing, inference and postprocessing; of each
 * head the number of categories, and of each of these index and score (src/answer.rs).
 */
export function readResults(
  numbers: Float64Array,
  heads: HeadInfo[],
  names: Names[],
): ClassifierResult[] {
  let at = 0;
  const next = () => numbers[at++] as number;
  const results: ClassifierResult[] = [];
  while (at < numbers.length) {
    const timings = { preprocess: next(), inference: next(), postprocess: next() };
    const classifications = heads.map(({ headIndex, headName }, head) => {
      const { category, display } = names[head] as Names;
      const categories = Array.from({ length: next() }, (): Category => {
        const [index, score] = [next(), next()];
        const categoryName = category[index] ?? "";
        return { index, score, categoryName, displayName: display[index] ?? "" };
      });
      return { headIndex, headName, categories };
    });
    results.push({ classifications, top: classifications[0]?.categories[0] ?? null, timings });
  }
  return results;
}
