// How good scores are: what is counted, and how sure the counts are.
import type { ClassReport, Evaluation, Mistake, Picture, Skipped } from "./types.js";

/** The 97.5 % point of the normal distribution. */
const Z = 1.959963984540054;

/** The interval of 95 % for a share of `right` in `all` (Wilson 1927). */
export function wilson(right: number, all: number): [number, number] {
  if (all === 0) return [0, 1];
  const share = right / all;
  const center = share + (Z * Z) / (2 * all);
  const spread = Z * Math.sqrt((share * (1 - share)) / all + (Z * Z) / (4 * all * all));
  const scale = 1 + (Z * Z) / all;
  return [Math.max(0, (center - spread) / scale), Math.min(1, (center + spread) / scale)];
}

/** `exp(z) / sum(exp(z))`, without overflow. */
export function softmax(logits: ArrayLike<number>): number[] {
  const list = Array.from(logits);
  const most = Math.max(...list);
  const raised = list.map((logit) => Math.exp(logit - most));
  const sum = raised.reduce((sum, value) => sum + value, 0);
  return raised.map((value) => value / sum);
}

/** The place of the largest, the first of equals. */
export function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let at = 1; at < values.length; at++) {
    if ((values[at] as number) > (values[best] as number)) best = at;
  }
  return best;
}

/** A picture with the scores that it got. */
export interface Scored {
  picture: Picture;
  /** By class, their sum 1. */
  scores: readonly number[];
}

const BINS = 10;

/** Counts what came out. */
export function evaluation(labels: string[], scored: Scored[], skipped: Skipped[]): Evaluation {
  const matrix = labels.map(() => labels.map(() => 0));
  const mistakes: Mistake[] = [];
  const bins = Array.from({ length: BINS }, () => ({ count: 0, right: 0, score: 0 }));
  let right = 0;
  let loss = 0;
  for (const { picture, scores } of scored) {
    const label = labels.indexOf(picture.label);
    const predicted = argmax(scores);
    const [score, labelScore] = [scores[predicted] as number, scores[label] as number];
    (matrix[label] as number[])[predicted] = ((matrix[label] as number[])[predicted] ?? 0) + 1;
    loss -= Math.log(Math.max(labelScore, Number.MIN_VALUE));
    const bin = bins[Math.min(BINS - 1, Math.floor(score * BINS))] as (typeof bins)[0];
    bin.count++;
    bin.score += score;
    if (predicted === label) {
      right++;
      bin.right++;
      continue;
    }
    const [from, to] = [picture.label, labels[predicted] as string];
    mistakes.push({ picture, label: from, predicted: to, score, labelScore });
  }
  // What is most surely wrong comes first: it may be the label.
  mistakes.sort((a, b) => a.labelScore - b.labelScore);
  const all = scored.length;
  const error = bins.reduce((sum, { right, score }) => sum + Math.abs(right - score), 0);
  return {
    labels: [...labels],
    pictures: all,
    accuracy: all === 0 ? Number.NaN : right / all,
    interval: wilson(right, all),
    loss: all === 0 ? Number.NaN : loss / all,
    perClass: labels.map((label, index) => classReport(label, index, matrix)),
    confusionMatrix: matrix,
    mistakes,
    calibrationError: all === 0 ? Number.NaN : error / all,
    skipped,
  };
}

function classReport(label: string, index: number, matrix: number[][]): ClassReport {
  const row = matrix[index] as number[];
  const support = row.reduce((sum, count) => sum + count, 0);
  const said = matrix.reduce((sum, row) => sum + (row[index] as number), 0);
  const found = row[index] as number;
  const share = (all: number) => (all === 0 ? null : found / all);
  const f1 = said + support === 0 ? null : (2 * found) / (said + support);
  return { label, precision: share(said), recall: share(support), f1, support };
}
