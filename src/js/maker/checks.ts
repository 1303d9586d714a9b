// Options that callers can get wrong.
import { AchadoError } from "../errors.js";
import { didYouMean } from "../names.js";

function invalid(option: string, message: string): AchadoError {
  return new AchadoError("INVALID_OPTION", `${option}: ${message}`, { option });
}

/** Options of other trainers that mean nothing here, and why. */
const MEANINGLESS: Record<string, string> = {
  epochs: "the head's loss is convex and is minimized to its one optimum: there are no epochs",
  batchSize: "all pictures count in every step: there are no batches",
  batch_size: "all pictures count in every step: there are no batches",
  learningRate: "the length of each step is found on the way: there is no learning rate",
  learning_rate: "the length of each step is found on the way: there is no learning rate",
  shuffle: "all pictures count in every step: their order means nothing",
  dropoutRate: "the head is one linear layer, which L2 keeps from overfitting: see l2",
  dropout: "the head is one linear layer, which L2 keeps from overfitting: see l2",
  momentum: "the length of each step is found on the way: there is no momentum",
};

/**
 * Refuses options of an unknown name.
 *
 * @throws {AchadoError} INVALID_OPTION
 */
export function checkNames(options: object, known: readonly string[]): void {
  if (typeof options !== "object" || options === null) {
    throw new AchadoError("INVALID_OPTION", "it needs an object of options");
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const why = Object.hasOwn(MEANINGLESS, name) ? MEANINGLESS[name] : undefined;
    if (why !== undefined) throw invalid(name, `${why}; leave the option out`);
    const hint = didYouMean(name, known);
    throw invalid(name, `there is no such option${hint}; there are ${known.join(", ")}`);
  }
}

/** @throws {AchadoError} INVALID_OPTION */
export function checkChoice(name: string, value: unknown, choices: readonly unknown[]): void {
  if (value === undefined || choices.includes(value)) return;
  const list = choices.map((choice) => JSON.stringify(choice)).join(", ");
  throw invalid(name, `must be one of ${list}, is ${JSON.stringify(value)}`);
}

/** @throws {AchadoError} INVALID_OPTION */
export function checkNumber(
  name: string,
  value: unknown,
  isGood: (value: number) => boolean,
  what: string,
): void {
  if (value === undefined || (typeof value === "number" && isGood(value))) return;
  throw invalid(name, `must be ${what}, is ${String(value)}`);
}
