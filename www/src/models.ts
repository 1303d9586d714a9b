// The model in use. Another one takes its place only when it has opened: until then, and if it does
// not open, the one before goes on answering.
import {
  type ClassifierOptions,
  createClassifier,
  type ImageClassifier,
  type Progress,
} from "achado";

import { checkIsClassifier } from "./kinds.js";

/** A model and what to open it with. */
export interface Choice {
  /** For people: a file's name, or what is at the end of an address. */
  readonly name: string;
  readonly origin: "package" | "file" | "address";
  readonly options: ClassifierOptions;
  /** Where the names of the classes come from, if not from the model's own file. */
  readonly labelsName?: string | undefined;
}

/** A model that has opened. */
export interface Loaded extends Choice {
  readonly classifier: ImageClassifier;
}

/** How many answers are shown. */
export const TOP = 5;

export const PACKAGE_MODEL: Choice = {
  name: "EfficientNet-Lite0",
  origin: "package",
  options: {},
};

let current: Loaded | undefined;
let loading: AbortController | undefined;

/** The model in use, if there is one yet. */
export function inUse(): Loaded | undefined {
  return current;
}

/** Whether a model is being opened. */
export function isLoading(): boolean {
  return loading !== undefined;
}

/** Stops what is being opened; its promise rejects with an AbortError. */
export function cancelLoading(): void {
  loading?.abort();
  loading = undefined;
}

/**
 * Opens a model and puts it in the place of the one in use. A later call stops an earlier one.
 *
 * @throws {AchadoError | PageError} The model before stays in use then
 */
export async function load(
  choice: Choice,
  onProgress: (progress: Progress) => void,
): Promise<Loaded> {
  cancelLoading();
  const mine = new AbortController();
  loading = mine;
  try {
    const classifier = await createClassifier({
      maxResults: TOP,
      ...choice.options,
      signal: mine.signal,
      onProgress: (progress) => {
        if (loading === mine) onProgress(progress);
      },
    });
    try {
      if (choice.origin !== "package") checkIsClassifier(classifier, choice.name);
    } catch (error) {
      void classifier.close();
      throw error;
    }
    const before = current;
    current = { ...choice, classifier };
    void before?.classifier.close();
    return current;
  } finally {
    if (loading === mine) loading = undefined;
  }
}
