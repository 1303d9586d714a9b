// The command line: finds the command, reads its options, prints help.
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { isError, messageOf } from "../kind.js";
import { didYouMean } from "../names.js";
import { type Command, describe, type Options, print, UsageError } from "./command.js";
import { bind } from "./commands/bind.js";
import { classify } from "./commands/classify.js";
import { convert } from "./commands/convert.js";
import { copy } from "./commands/copy.js";
import { embed } from "./commands/embed.js";
import { evaluate } from "./commands/evaluate.js";
import { inspect } from "./commands/inspect.js";
import { prune } from "./commands/prune.js";
import { quantize } from "./commands/quantize.js";
import { train } from "./commands/train.js";

const COMMANDS: readonly Command[] = [
  classify,
  convert,
  copy,
  bind,
  train,
  evaluate,
  embed,
  quantize,
  prune,
  inspect,
];

const COMMON = {
  help: { type: "boolean", short: "h", help: "show this, or the options of a command" },
  version: { type: "boolean", short: "V", help: "show the version" },
} as const satisfies Options;

/** Columns of the help; its second column, and how wide that is. */
const [INDENT, WIDTH] = [20, 76];

function line(term: string, text: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const last = lines.at(-1) ?? "";
    if (last !== "" && last.length + word.length + 1 > WIDTH) lines.push(word);
    else lines[lines.length - 1] = last === "" ? word : `${last} ${word}`;
  }
  const first = term.length < INDENT ? term.padEnd(INDENT) : `${term}\n${" ".repeat(INDENT)}`;
  return `${first}${lines.join(`\n${" ".repeat(INDENT)}`)}\n`;
}

function lines(options: Options): string {
  return Object.entries(options)
    .map(([name, { short, value, help }]) =>
      line(`  ${short ? `-${short}, ` : ""}--${name}${value ? ` ${value}` : ""}`, help),
    )
    .join("");
}

function helpOf({ name, usage, summary, options }: Command): string {
  return `usage: achado ${name} ${usage} [options]\n\n${summary}\n\noptions:\n${lines(options)}`;
}

function help(): string {
  const usages = COMMANDS.map(({ name, usage, summary }) =>
    line(`  ${name} ${usage}`, summary),
  ).join("");
  const parts = COMMANDS.map(({ name, options }) => `options of ${name}:\n${lines(options)}`);
  return `achado names what photos show, on this computer.

usage: achado COMMAND ... [options]

commands:
${usages}
${parts.join("\n")}
options of all:
${lines(COMMON)}
exit status:
  0  all went well
  1  a photo, a model or a file could not be used
  2  the command line is wrong
`;
}

/** The command's values and what else stands there. */
function read(found: Command, args: string[]) {
  const all = { ...found.options, ...COMMON };
  const settings = Object.entries<Options[string]>(all).map(([name, option]) => {
    const { type, short, multiple } = option;
    const initial = type === "boolean" ? false : multiple ? [] : option.default;
    return [
      name,
      {
        type,
        ...(short && { short }),
        ...(multiple && { multiple }),
        ...(initial !== undefined && { default: initial }),
      },
    ] as const;
  });
  try {
    return parseArgs({ args, allowPositionals: true, options: Object.fromEntries(settings) });
  } catch (error) {
    const [, dashes, name] = /'(--?)([\w-]+)/.exec(messageOf(error)) ?? [];
    const isUnknown = isError(error) && "code" in error && /UNKNOWN/.test(String(error.code));
    if (!isUnknown || name === undefined) throw new UsageError(messageOf(error));
    const owners = COMMANDS.filter(({ options }) =>
      Object.entries(options).some(([long, { short }]) => name === (dashes === "-" ? short : long)),
    );
    const other = owners.map((one) => one.name).join(" and ");
    const hint = other ? `; it is one of ${other}` : didYouMean(name, Object.keys(all));
    throw new UsageError(`${found.name} has no option ${dashes}${name}${hint}`);
  }
}

/** Runs a command line. Gives the exit status. */
export async function main(argv: string[]): Promise<number> {
  try {
    const at = argv.findIndex((one) => !one.startsWith("-"));
    const has = (name: keyof typeof COMMON) =>
      argv.includes(`--${name}`) || argv.includes(`-${COMMON[name].short}`);
    if (has("version")) {
      const file = await readFile(new URL("../package.json", import.meta.url), "utf8");
      return print(`achado ${(JSON.parse(file) as { version: string }).version}\n`);
    }
    const name = argv[at];
    const found = COMMANDS.find((one) => one.name === name);
    if (has("help")) return print(found ? helpOf(found) : help());
    if (name === undefined) throw new UsageError("what shall be done? Try: achado classify PHOTO");
    if (!found) {
      const near = didYouMean(
        name,
        COMMANDS.map((one) => one.name),
      );
      throw new UsageError(`there is no command "${name}"${near}`);
    }
    const { values, positionals } = read(
      found,
      argv.filter((_, index) => index !== at),
    );
    return await found.run(values as never, positionals);
  } catch (error) {
    const usage = error instanceof UsageError;
    process.stderr.write(`achado: ${describe(error)}\n`);
    if (usage) process.stderr.write("achado --help says more.\n");
    return usage ? 2 : 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
