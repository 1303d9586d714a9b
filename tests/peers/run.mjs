// Measures achado beside other runtimes: `cargo xtask bench --peers` (which installs what it needs).
//
// All runtimes of a group (one model, type and number of threads) are loaded at once, each in a
// Chromium of its own. Then, in every round, each runs for a moment while the others are idle, in an
// order drawn anew. A ratio is the median over the rounds of the ratio within the round, so what
// the machine does meanwhile touches both sides alike.
import { readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { alone, listener } from "../browser/alone.mjs";
import { ISOLATED, launch, PACKAGE, REPOSITORY, startServer } from "../browser/support.mjs";
import { TOLD } from "../browser/telling.mjs";
import { findModels } from "./models.mjs";
import { DISTURBED, printGroup, printNotes } from "./report.mjs";
import { RUNTIMES } from "./runtimes.mjs";

const names = RUNTIMES.map(({ name }) => name);
const USAGE = `node tests/peers/run.mjs [options]
  --only NAMES     runtimes, separated by commas: ${names}
  --models DIR     folder with a manifest.json (tests/peers/models.mjs says what is in it)
  --networks NAMES models of the manifest, separated by commas
  --dtypes NAMES   f32,int8
  --threads N,...  1 (default), 2
  --builds NAMES   of achado: auto (default: what it chooses itself), simd128, relaxed
  --rounds N       9 (default)
  --runs N         at least so many runs a round, 10 by default, and at least 300 ms
  --starts N       how often the way to the first label is measured, 3 by default; 0 leaves it out
  --json FILE      also write everything that was measured`;

const OPTIONS = {
  only: { type: "string" },
  models: { type: "string" },
  networks: { type: "string" },
  dtypes: { type: "string", default: "f32,int8" },
  threads: { type: "string", default: "1" },
  builds: { type: "string", default: "auto" },
  rounds: { type: "string", default: "9" },
  runs: { type: "string", default: "10" },
  starts: { type: "string", default: "3" },
  json: { type: "string" },
  help: { type: "boolean" },
};
/** How often a disturbed batch is measured again. */
const RETRIES = 3;

const { values: given } = parseArgs({ options: OPTIONS });
if (given.help) {
  console.log(USAGE);
  process.exit(0);
}
const list = (text) => text.split(",").filter(Boolean);
const count = (name, least) => {
  const number = Number(given[name]);
  if (!Number.isInteger(number) || number < least) {
    throw new Error(`--${name} needs a whole number from ${least}, has ${given[name]}`);
  }
  return number;
};
const [rounds, runs, starts] = [count("rounds", 1), count("runs", 1), count("starts", 0)];
const unknown = list(given.only ?? "").filter((name) => !names.includes(name));
if (unknown.length) throw new Error(`no runtime ${unknown}; there are ${names}`);
const strange = list(given.dtypes).filter((dtype) => !["f32", "int8"].includes(dtype));
if (strange.length) throw new Error(`no type ${strange}; there are f32,int8`);

const here = new URL("./", import.meta.url);
const runtimes = RUNTIMES.filter(({ name }) => !given.only || list(given.only).includes(name)).map(
  (runtime) => ({ ...runtime, version: versionOf(runtime) }),
);
const { folder, inputs, artifacts, missing } = findModels(given.models, REPOSITORY);
const groups = groupsOf(artifacts);
if (!groups.length) throw new Error(`${folder} has no model for ${names} with these options`);

await bundle();
const stories = listener();
const server = await startServer({
  root: new URL("tests/peers/", REPOSITORY),
  headers: { ...ISOLATED, "Cross-Origin-Resource-Policy": "same-origin" },
  overrides: { [TOLD]: stories.answer },
  mounts: {
    "/achado/": PACKAGE,
    "/adapters/": new URL("target/peers/", REPOSITORY),
    "/fixtures/": new URL("tests/fixtures/", REPOSITORY),
    "/models/": folder,
  },
});
const results = { date: new Date().toISOString(), host: host(), rounds, missing, groups: [] };
try {
  for (const group of groups) {
    results.groups.push(await measure(group));
    printGroup(results.groups.at(-1));
    // Now, too: what has been measured is not lost if something fails later.
    if (given.json) writeFileSync(given.json, JSON.stringify(results, null, 1));
  }
} finally {
  await server.close();
}
printNotes(results);
if (results.groups.some(({ rows }) => rows.some(({ error }) => error))) process.exitCode = 1;

function host() {
  const [cpu] = os.cpus();
  return { cpu: cpu?.model, cores: os.cpus().length, node: process.version };
}

function versionOf({ package: name }) {
  const file = new URL(
    name ? `node_modules/${name}/package.json` : "package.json",
    name ? here : PACKAGE,
  );
  return JSON.parse(readFileSync(file, "utf8")).version;
}

/** Model, type and threads, with all runtimes that can run that. */
function groupsOf(artifacts) {
  const found = new Map();
  for (const threads of list(given.threads).map(Number)) {
    for (const artifact of artifacts) {
      const { model, dtype, format, variant } = artifact;
      if (given.networks && !list(given.networks).includes(model)) continue;
      if (!list(given.dtypes).includes(dtype)) continue;
      const key = `${model} ${dtype} ${threads}`;
      if (!found.has(key))
        found.set(key, { model, dtype, threads, macs: artifact.macs, cells: [] });
      for (const runtime of runtimes) {
        const fits = runtime.accepts.some(
          ([f, d, v]) => f === format && d === dtype && (v === undefined || v === variant),
        );
        if (!fits || !runtime.threads.includes(threads)) continue;
        const builds = runtime.name === "achado" ? list(given.builds) : ["auto"];
        for (const build of builds) {
          found.get(key).cells.push({
            name: build === "auto" ? runtime.name : `${runtime.name} ${build}`,
            runtime,
            artifact,
            options: { threads, artifact, build: build === "auto" ? undefined : build },
          });
        }
      }
    }
  }
  return [...found.values()].filter(({ cells }) => cells.length);
}

function bundle() {
  const entries = [...runtimes.map(({ name }) => `adapters/${name}.mjs`), "page.mjs"];
  return build({
    entryPoints: entries.map((entry) => fileURLToPath(new URL(entry, here))),
    outdir: fileURLToPath(new URL("target/peers/", REPOSITORY)),
    entryNames: "[name]",
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    logLevel: "error",
    external: ["/achado/*", "node:*", "fs", "path", "util", "crypto", "os", "worker_threads"],
  });
}

/** What a page is to do. */
function taskOf({ runtime, artifact, options }) {
  const { name, takes } = runtime;
  return { adapter: `/adapters/${name}.js`, takes, options, model: artifact.url, inputs };
}

/** From nothing to the first label, once. */
function start(cell) {
  const url = `${server.url}/start.html#${encodeURIComponent(JSON.stringify(taskOf(cell)))}`;
  return alone(url, stories, cell.runtime.chromium);
}

/** A fresh Chromium with an empty cache, and a way to call page.mjs in it. */
async function open({ runtime, artifact, options }) {
  const browser = await launch({ args: runtime.chromium });
  try {
    const page = await browser.newPage();
    await page.goto(`${server.url}/page.html`);
    const call = (name, argument) =>
      page.evaluate(
        async ([name, argument]) => (await import("/adapters/page.js"))[name](argument),
        [name, argument],
      );
    const task = taskOf({ runtime, artifact, options });
    return { call, task, version: browser.version(), close: () => browser.close() };
  } catch (error) {
    await browser.close();
    throw error;
  }
}

async function measure({ cells, ...group }) {
  say(`${group.model} ${group.dtype}, threads: ${group.threads}`);
  const rows = cells.map((cell) => ({
    name: cell.name,
    version: cell.runtime.version,
    file: cell.artifact.file,
    rounds: [],
    starts: [],
  }));
  const running = [];
  /** Does something for a row, whose failure is the row's alone. */
  const attempt = async (row, work) => {
    if (row.error) return;
    try {
      await work();
    } catch (error) {
      row.error = String(error.message ?? error).split("\n")[0];
    }
  };
  for (const [index, cell] of cells.entries()) {
    const row = rows[index];
    if (cell.runtime.runs === false) continue;
    await attempt(row, async () => {
      const opened = await open(cell);
      running.push({ row, opened, fastest: Infinity });
      row.load = await opened.call("load", opened.task);
      row.check = await opened.call("check", cell.artifact.expected);
      // Engines compile hot functions anew while they run.
      await opened.call("timed", { runs, ms: 500 });
      results.host.chromium = opened.version;
    });
  }
  for (let round = 0; round < rounds; round++) {
    for (const one of shuffled(running)) {
      await attempt(one.row, async () => one.row.rounds.push(await batch(one)));
    }
  }
  for (const { opened } of running) await opened.close().catch(() => {});
  for (let i = 0; i < starts; i++) {
    for (const index of shuffled([...cells.keys()])) {
      if (!cells[index].runtime.starts) continue;
      await attempt(rows[index], async () => {
        rows[index].starts.push(await start(cells[index]));
      });
    }
  }
  return { ...group, rows };
}

/** One batch of runs; again, if something else has used the processor meanwhile. */
async function batch(one) {
  let calmest;
  for (let i = 0; i <= RETRIES; i++) {
    const found = await one.opened.call("timed", { runs, ms: 300 });
    if (!calmest || found.calibration < calmest.calibration) calmest = found;
    one.fastest = Math.min(one.fastest, found.calibration);
    if (calmest.calibration <= DISTURBED * one.fastest) break;
  }
  return calmest;
}

function shuffled(values) {
  const mixed = [...values];
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [mixed[i], mixed[j]] = [mixed[j], mixed[i]];
  }
  return mixed;
}

function say(text) {
  console.error(`── ${text}`);
}
