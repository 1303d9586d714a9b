// What commands on folders of pictures share.
import { readdir } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { Evaluation, MakerProgress, Picture, Skipped } from "../maker/types.js";
import type { Preprocess, PreprocessOptions } from "../types.js";
import { type Options, UsageError, type ValuesOf } from "./command.js";
import { MODEL_OPTIONS, modelOptions } from "./model-options.js";

const { labels: _, ...PREPARATION } = MODEL_OPTIONS;

/** How pictures are prepared for a model. */
export const PICTURE_OPTIONS = {
  fit: { type: "string", value: "F", help: "stretch (default), centerCrop or contain" },
  crop: {
    type: "string",
    value: "X",
    help: "the share of the picture that is used, such as 0.875",
  },
  ...PREPARATION,
} as const satisfies Options;

/** What these options say. */
export function preparation(values: ValuesOf<typeof PICTURE_OPTIONS>): {
  preprocess: PreprocessOptions | undefined;
  inputShapes: Record<string, readonly number[]> | undefined;
} {
  const { preprocess, inputShapes } = modelOptions({ ...values, labels: undefined });
  const { fit } = values;
  const cropFraction = numberOf("crop", values.crop);
  const own: Partial<Preprocess> = {
    // A wrong name is refused by name.
    ...(fit !== undefined && { fit: fit as Preprocess["fit"] }),
    ...(cropFraction !== undefined && { cropFraction }),
  };
  if (Object.keys(own).length === 0) return { preprocess, inputShapes };
  const base = typeof preprocess === "string" ? { preset: preprocess } : preprocess;
  return { preprocess: { ...base, ...own }, inputShapes };
}

/** A number on the command line. */
export function numberOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === "" || Number.isNaN(value)) {
    throw new UsageError(`--${option} needs a number, has "${text}"`);
  }
  return value;
}

const PICTURE = /\.(bmp|gif|jpe?g|png|webp)$/i;

/** Pictures that show a model what it will see. */
export const CALIBRATION_OPTIONS = {
  calibration: {
    type: "string",
    value: "DIR",
    help: "pictures of the kind that the model will see, some 100, in a folder and below",
  },
  pictures: {
    type: "string",
    value: "N",
    default: "200",
    help: "the most pictures that are taken of the folder (default 200)",
  },
} as const satisfies Options;

/**
 * The pictures that these options mean.
 *
 * @throws {UsageError}
 */
export async function calibrationPictures(folder: string, count: string): Promise<string[]> {
  const most = numberOf("pictures", count);
  if (most === undefined || !Number.isInteger(most) || most < 2) {
    throw new UsageError(`--pictures needs a whole number from 2, has "${count}"`);
  }
  const found = await pictureFiles(folder, most);
  if (found.length === 0) throw new UsageError(`there are no pictures in ${folder}`);
  return found;
}

/** The picture files in a folder and below, in the order of their names; at most `most`, evenly. */
async function pictureFiles(folder: string, most: number): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && PICTURE.test(entry.name))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
  if (files.length <= most) return files;
  return Array.from(
    { length: most },
    (_, i) => files[Math.floor((i * files.length) / most)] as string,
  );
}

/** Progress on one line of a terminal; elsewhere nothing. */
export function teller(): ((progress: MakerProgress) => void) | undefined {
  if (!process.stderr.isTTY) return undefined;
  return ({ phase, done, total, etaMs }) => {
    const left = etaMs !== undefined && etaMs > 1000 ? `, ${Math.ceil(etaMs / 1000)} s left` : "";
    const share = total > 1 ? `${done} of ${total}` : `${Math.round(100 * done)} %`;
    process.stderr.write(`\r\x1b[K${phase} ${share}${left}${done >= total ? "\r\x1b[K" : ""}`);
  };
}

export const say = (text: string) => process.stderr.write(`achado: ${text}\n`);

export function tellSkipped(skipped: readonly Skipped[]): void {
  for (const { name, reason } of skipped) say(`left out ${name}: ${reason}`);
}

/** An address that a page beside the report can follow. */
export function linkTo(report: string, folder: string, picture: Picture): string {
  const target = path.resolve(folder, picture.name);
  const relative = path.relative(path.dirname(path.resolve(report)), target);
  const parts = relative.split(path.sep);
  return path.isAbsolute(relative)
    ? pathToFileURL(target).href
    : parts.map(encodeURIComponent).join("/");
}

/** An evaluation with pictures by name, for JSON. */
export function plain(evaluation: Evaluation | null) {
  if (!evaluation) return null;
  const mistakes = evaluation.mistakes.map(({ picture, ...mistake }) => ({
    picture: picture.name,
    ...mistake,
  }));
  return { ...evaluation, mistakes };
}

const percent = (share: number | null) => (share === null ? "-" : `${(100 * share).toFixed(1)} %`);

export function summary(where: string, found: Evaluation): string {
  const { accuracy, interval, pictures, loss, calibrationError } = found;
  const width = Math.max(5, ...found.labels.map((label) => label.length));
  const lines = [
    `accuracy ${percent(accuracy)} of ${pictures} ${where} (95 % interval ${percent(interval[0])} to ${percent(interval[1])})`,
    `loss ${loss.toFixed(4)}, calibration error ${percent(calibrationError)}`,
    "",
    `${"class".padEnd(width)}  precision   recall       f1  pictures`,
  ];
  for (const { label, precision, recall, f1, support } of found.perClass) {
    const cells = [precision, recall, f1].map((share) => percent(share).padStart(8)).join(" ");
    lines.push(`${label.padEnd(width)}  ${cells.padStart(27)}  ${String(support).padStart(8)}`);
  }
  const worst = found.mistakes.slice(0, 10);
  if (worst.length > 0) lines.push("", `${found.mistakes.length} mistakes, the surest first:`);
  for (const { picture, label, predicted, score } of worst) {
    lines.push(`  ${picture.name}: ${label} taken for ${predicted} (${percent(score)})`);
  }
  return `${lines.join("\n")}\n\n`;
}
