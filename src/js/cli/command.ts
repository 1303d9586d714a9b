// What a command of the command line is, and what commands share.
import { isError } from "../kind.js";
import { didYouMean } from "../names.js";

/** An option, `--name VALUE` or `--name`. */
export interface Option {
  readonly type: "string" | "boolean";
  readonly short?: string;
  readonly multiple?: boolean;
  readonly default?: string;
  /** The word that stands for its value in the help. */
  readonly value?: string;
  readonly help: string;
}

export type Options = Readonly<Record<string, Option>>;

/** The values of options, as they stand on the command line. */
export type ValuesOf<O extends Options> = {
  readonly [K in keyof O]: O[K]["type"] extends "boolean"
    ? boolean
    : O[K] extends { multiple: true }
      ? readonly string[]
      : O[K] extends { default: string }
        ? string
        : string | undefined;
};

/** A command; `achado --help` is made of its words. */
export interface Command<O extends Options = Options> {
  readonly name: string;
  /** What stands after the name: `PHOTO...`. */
  readonly usage: string;
  readonly summary: string;
  readonly options: O;
  /**
   * @returns The exit status.
   * @throws {UsageError} for a mistake on the command line
   */
  run(values: ValuesOf<O>, positionals: readonly string[]): Promise<number>;
}

/** A command whose values have the types of its options. */
export function command<const O extends Options>(one: Command<O>): Command {
  return one as unknown as Command;
}

/** A mistake on the command line. */
export class UsageError extends Error {}

/** Prints to standard output; gives the exit status of success. */
export function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

/** The words of an error, as they are written on a command line. */
export function describe(error: unknown): string {
  if (!isError(error)) return String(error);
  const { code, path } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return `there is no file ${path}`;
  if (code === "EISDIR") return "this is a folder, not a file";
  // The hint of an ONNX model's refusal.
  return error.message.replace('onnxFallback: "tract"', "--onnx-fallback tract");
}

/** Numbers with commas between. */
export function numbers(option: string, text: string): number[] {
  const list = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (list.some((number) => !Number.isFinite(number))) {
    throw new UsageError(`--${option} needs numbers with commas between, has "${text}"`);
  }
  return list;
}

/** Names with commas between, each of a list. */
export function names<T extends string>(option: string, text: string, known: readonly T[]): T[] {
  return text.split(",").map((name) => {
    const found = known.find((one) => one === name.trim());
    if (found) return found;
    const near = didYouMean(name.trim(), known);
    throw new UsageError(
      `--${option}: there is no "${name}"${near}; there are ${known.join(", ")}`,
    );
  });
}
