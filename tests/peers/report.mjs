// What was measured, as tables for a terminal.
import { median } from "./page.mjs";

const FIRST = "achado";

/** A fixed loop that takes this many times its best was not alone on the processor. */
export const DISTURBED = 1.15;

const fixed = (value, digits = 2) => (Number.isFinite(value) ? value.toFixed(digits) : "-");

/** Medians over rounds, and this runtime's time over achado's, from the same round each. */
export function summarise({ rows, macs }) {
  const owns = rows.filter(({ name, error }) => name.startsWith(FIRST) && !error);
  const calibrations = rows.flatMap(({ rounds }) => rounds.map((round) => round.calibration));
  const fastest = Math.min(...calibrations);
  return rows.map((row) => {
    if (row.error) return { name: row.name, file: row.file, error: row.error };
    const ms = median(row.rounds.map((round) => round.median));
    // Of the same file, if it runs that, too.
    const own = owns.find(({ file }) => file === row.file) ?? owns[0];
    const ratio = (time) =>
      own && !owns.includes(row)
        ? median(row.rounds.map((round, i) => round.median / time(own.rounds[i])))
        : undefined;
    const starts = row.starts.map((start) => start.ms);
    const calls = row.starts.map((start) => start.ms - start.importMs);
    return {
      name: row.name,
      version: row.version,
      file: row.file,
      ms,
      minMs: least(row, "min"),
      inferenceMs: row.rounds[0]?.inference && median(row.rounds.map((round) => round.inference)),
      gmacs: macs && macs / ms / 1e6,
      ratio: ratio((round) => round.median),
      // What is left of a busy machine's numbers: noise only ever adds.
      minRatio: own && !owns.includes(row) ? least(row, "min") / least(own, "min") : undefined,
      ratioToInference: own?.rounds[0]?.inference && ratio((round) => round.inference),
      loadMs: row.load?.loadMs,
      startMs: starts.length ? median(starts) : undefined,
      callMs: calls.length ? median(calls) : undefined,
      rounds: row.rounds.length,
      calm: row.rounds.filter(({ calibration }) => calibration <= DISTURBED * fastest).length,
      check: row.check,
      runtime: row.load?.runtime,
    };
  });
}

const least = ({ rounds }, name) => Math.min(...rounds.map((round) => round[name]));

function table(heads, lines) {
  const widths = heads.map((head, i) =>
    Math.max(head.length, ...lines.map((line) => line[i].length)),
  );
  const row = (cells) =>
    cells
      .map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
      .join("  ")
      .trimEnd();
  return [row(heads), ...lines.map(row)].join("\n");
}

export function printGroup(group) {
  const rows = summarise(group);
  console.log(`\n${group.model} ${group.dtype}, threads: ${group.threads}`);
  const heads = ["runtime", "version", "ms", "min", "network", "GMAC/s", "x achado", "x network"];
  heads.push("x min", "load", "1st label", "call", "top 1", "difference", "calm", "file");
  console.log(
    table(
      heads,
      rows
        .filter(({ error }) => !error)
        .map((row) => [
          row.name + (row.runtime ? ` (${row.runtime.simd}, ${row.runtime.threads})` : ""),
          row.version,
          fixed(row.ms),
          fixed(row.minMs),
          fixed(row.inferenceMs),
          fixed(row.gmacs, 1),
          fixed(row.ratio),
          fixed(row.ratioToInference),
          fixed(row.minRatio),
          fixed(row.loadMs, 0),
          fixed(row.startMs, 0),
          fixed(row.callMs, 0),
          row.check ? `${row.check.top1}/${row.check.of}` : "-",
          row.check?.largestDifference.toExponential(1) ?? "-",
          row.rounds ? `${row.calm}/${row.rounds}` : "-",
          row.file,
        ]),
    ),
  );
  for (const { name, file, error } of rows.filter((row) => row.error)) {
    console.log(`${name}: ${file} failed: ${error}`);
  }
}

export function printNotes({ host, rounds, missing }) {
  console.log(`
${host.cpu}, ${host.cores} cores; Chromium ${host.chromium}; medians of ${rounds} interleaved rounds.
ms: one classification, typed array or picture in, scores out; network: achado without preparing the
picture; x: the peer's time over achado's, over that of achado's network, and of the fastest runs
each; load: ms from the
runtime's start to a loaded model; 1st label: ms from an empty cache to the first label; call: of these,
those after the runtime's import, from its first call on; nothing: a worker, achado's core and the model,
brought together without computing; calm: rounds in which nothing else used the processor.`);
  if (missing.length) {
    console.log(`${missing.length} files of the manifest are not there: ${missing[0]}, ...`);
  }
}
