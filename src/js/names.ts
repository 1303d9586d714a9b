// Names of options and fields: an unknown one is refused, since it would be silently without effect.
import { AchadoError, type ErrorCode } from "./errors.js";

/** The names that an object may have, at every depth: `1` where the value has no names of its own. */
export interface Names {
  readonly [name: string]: Names | 1;
}

/** {@link Names} of a type, each of which must be there. */
export type NamesOf<T> = Readonly<Record<keyof T, Names | 1>>;

/**
 * Refuses names that are not known, at every depth, and what is no object where names are needed.
 *
 * @param what What the names are of, for messages: `option` or `field`.
 * @param path The names of the objects around it, each with a dot: `preprocess.`.
 * @throws {AchadoError} `code`, with the name and the nearest known one in the message
 */
export function checkNames(
  value: unknown,
  names: Names,
  what: "option" | "field" = "option",
  code: ErrorCode = "INVALID_OPTION",
  path = "",
): void {
  if (value === undefined || value === null) return;
  if (typeof value !== "object" || Array.isArray(value)) {
    const own = path.slice(0, -1) || "options";
    throw new AchadoError(code, `${own}: must be an object, is ${shown(value)}`, { [what]: own });
  }
  for (const [name, inner] of Object.entries(value)) {
    const known = Object.hasOwn(names, name) ? names[name] : undefined;
    if (known === undefined) {
      const full = path + name;
      const list = Object.keys(names);
      const message = `${full}: there is no such ${what}${didYouMean(name, list)}; there are ${list.join(", ")}`;
      throw new AchadoError(code, message, { [what]: full });
    }
    // A text may stand for an object, as presets do; other values are checked where they are used.
    if (known !== 1 && typeof inner !== "string") {
      checkNames(inner, known, what, code, `${path}${name}.`);
    }
  }
}

function shown(value: unknown): string {
  return Array.isArray(value) ? "a list" : typeof value === "string" ? `"${value}"` : String(value);
}

/** `, did you mean "scoreThreshold"?` where a known name is near, else nothing. */
export function didYouMean(name: string, known: readonly string[]): string {
  const key = name.toLowerCase();
  let best = { distance: Math.max(2, Math.floor(key.length / 3)) + 1, name: "" };
  for (const candidate of known) {
    const distance = distanceOf(key, candidate.toLowerCase());
    if (distance < best.distance) best = { distance, name: candidate };
  }
  // `rotation` for `rotationDegrees`, `threshold` for `scoreThreshold`.
  const part = (candidate: string) => key.length > 3 && candidate.toLowerCase().includes(key);
  const near = best.name || known.find(part);
  return near ? `, did you mean "${near}"?` : "";
}

/**
 * The optimal string alignment distance: insertions, deletions, substitutions and exchanges of
 * neighbours (Damerau and Levenshtein).
 */
function distanceOf(a: string, b: string): number {
  // Nobody misspells a name by more, and a long one must not cost time.
  if (Math.abs(a.length - b.length) > 12) return Infinity;
  let [before, last] = [[] as number[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      const [left = 0, up = 0, corner = 0] = [row[j - 1], last[j], last[j - 1]];
      let least = Math.min(left + 1, up + 1, corner + (same ? 0 : 1));
      const exchanged = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (exchanged) least = Math.min(least, (before[j - 2] ?? 0) + 1);
      row.push(least);
    }
    [before, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
