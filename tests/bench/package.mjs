// The built package in headless Chromium: how soon it answers, how fast, and in how much memory.
// Usage: cargo xtask build && cargo xtask bench --package [options]; `--help` lists them.
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { alone, listener } from "../browser/alone.mjs";
import { ISOLATED, launch, PACKAGE, REPOSITORY, startServer } from "../browser/support.mjs";
import { TOLD } from "../browser/telling.mjs";

const HELP = `cargo xtask bench --package [--model FILE]... [options]

start   from createClassifier to the first label, and when each phase was over on the way: a new
        browser with an empty cache each time, driven by nobody, everything over loopback; on
        Linux also the processor's time of the workers, which other programs disturb less
run     the network alone by threads, in rounds that take turns; medians, and their ratio to the
        first; and a whole call, from pixels in the page to labels there
memory  WebAssembly memory after 100 runs and after all

  --model FILE      a .tflite model; may be repeated (default: the package's own)
  --threads A,B     thread counts (default 1,2)
  --rounds N        rounds of ten runs for each count (default 30; 0 leaves them out)
  --picture WxH     size of the rounds' picture (default 64x64)
  --starts N        starts of each count (default 5; 0 leaves them out)
  --against FOLDER  another build of the package to compare with, as pkg/ is laid out
  --json FILE       also write all that was measured
`;

const { values } = parseArgs({
  options: {
    model: { type: "string", multiple: true },
    threads: { type: "string", default: "1,2" },
    rounds: { type: "string", default: "30" },
    picture: { type: "string", default: "64x64" },
    starts: { type: "string", default: "5" },
    against: { type: "string" },
    json: { type: "string" },
    help: { type: "boolean" },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit();
}
const RUNS_PER_ROUND = 10;
const ROUNDS = Number(values.rounds);
const SIDES = values.picture.split("x").map(Number);
const packages = [PACKAGE];
if (values.against) packages.push(pathToFileURL(`${path.resolve(values.against)}/`));
/** What takes turns: each package with each count. */
const subjects = packages.flatMap((root, index) =>
  values.threads
    .split(",")
    .map((threads) => ({ root, base: `/${index}/`, threads: Number(threads) })),
);
const models = values.model ?? [
  new URL("models/efficientnet-lite0-int8.tflite", REPOSITORY).pathname,
];

/** Models without metadata for their input get this; others have their own. */
const OPTIONS = { model: "/model", preprocess: { mean: [127.5], std: [127.5] } };

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** Milliseconds that the processor has spent on workers of a browser; none where there is no /proc. */
async function workersCpu(browser) {
  let ms;
  for (const id of await readdir("/proc").catch(() => [])) {
    const stat = await readFile(`/proc/${id}/stat`, "utf8").catch(() => "");
    // Behind the name, which may hold anything: the state, the parent and the group.
    const [, , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (Number(group) !== browser) continue;
    for (const thread of await readdir(`/proc/${id}/task`).catch(() => [])) {
      const read = (name) => readFile(`/proc/${id}/task/${thread}/${name}`, "utf8");
      if (!(await read("comm").catch(() => "")).startsWith("DedicatedWorker")) continue;
      const [nanoseconds] = (await read("schedstat").catch(() => "0")).split(" ");
      ms = (ms ?? 0) + Number(nanoseconds) / 1e6;
    }
  }
  return ms === undefined ? {} : { "worker cpu": ms };
}

/** In the page: milliseconds from the call until the end of each phase and until the label. */
async function start({ base, options }) {
  const { createClassifier } = await import(`${base}dist/index.js`);
  const picture = new ImageData(64, 64);
  const at = {};
  const begin = performance.now();
  const onProgress = ({ phase, loaded, total }) => {
    if (loaded === total) at[phase] = performance.now() - begin;
  };
  const classifier = await createClassifier({ ...options, onProgress });
  at.ready = performance.now() - begin;
  await classifier.classify(picture);
  at.label = performance.now() - begin;
  return at;
}

/** A page that measures its start, and tells. */
const START = `<!doctype html>
<meta charset="utf-8" />
<link rel="icon" href="data:," />
<title>bench</title>
<script type="module">
  import { tell } from "/telling.mjs";
  const start = ${start};
  tell(() => start(JSON.parse(decodeURIComponent(location.hash.slice(1)))));
</script>
`;

/** In the page: times of network and call by subject, memory after 100 runs and at the end. */
async function run({ subjects, options, sides, rounds, runsPerRound }) {
  const picture = new ImageData(...sides);
  const all = [];
  for (const { base, threads } of subjects) {
    const { createClassifier } = await import(`${base}dist/index.js`);
    const classifier = await createClassifier({ ...options, threads });
    if (classifier.runtime.threads !== threads) {
      throw new Error(JSON.stringify(classifier.runtime.fallbacks));
    }
    all.push({ classifier, times: [], calls: [], memory: [] });
  }
  // Engines compile hot functions anew while they run.
  for (const { classifier } of all) {
    for (let i = 0; i < runsPerRound; i++) await classifier.classify(picture);
  }
  for (let round = 1; round <= rounds; round++) {
    for (const { classifier, times, calls, memory } of all) {
      for (let i = 0; i < runsPerRound; i++) {
        const begin = performance.now();
        times.push((await classifier.classify(picture)).timings.inference);
        calls.push(performance.now() - begin);
      }
      const runs = (round + 1) * runsPerRound;
      if (runs === 100 || round === rounds) memory.push([runs, classifier.runtime.memoryBytes]);
    }
  }
  return all.map(({ classifier, times, calls, memory }) => ({
    simd: classifier.runtime.simd,
    times,
    calls,
    memory,
  }));
}

const results = [];
const stories = listener();
const html = (body) => ({ headers: { "Content-Type": "text/html" }, body });
for (const model of models) {
  const overrides = {
    "/": html("<!doctype html><title>bench"),
    "/start.html": html(START),
    "/telling.mjs": { file: new URL("tests/browser/telling.mjs", REPOSITORY) },
    [TOLD]: stories.answer,
    "/model": { file: path.resolve(model) },
  };
  const mounts = Object.fromEntries(packages.map((root, index) => [`/${index}/`, root]));
  const server = await startServer({ root: PACKAGE, mounts, headers: ISOLATED, overrides });
  try {
    results.push(await measure(path.basename(model), server.url));
  } finally {
    await server.close();
  }
}
if (values.json) {
  await writeFile(values.json, `${JSON.stringify(results, null, 2)}\n`);
}

/** What `run` gives in a page of a new browser. */
async function inPage(url, task) {
  const browser = await launch();
  try {
    const page = await browser.newPage();
    await page.goto(url);
    return await page.evaluate(run, task);
  } finally {
    await browser.close();
  }
}

async function measure(model, url) {
  console.log(model);
  const starts = subjects.map(() => []);
  for (let i = 0; i < Number(values.starts); i++) {
    for (const [index, { base, threads }] of subjects.entries()) {
      const options = { ...OPTIONS, threads, warmup: false };
      const task = encodeURIComponent(JSON.stringify({ base, options }));
      starts[index].push(await alone(`${url}/start.html#${task}`, stories, [], workersCpu));
    }
  }
  const nameOf = ({ root, threads }) =>
    `${root === PACKAGE ? "" : `${values.against}, `}${threads} ${threads === 1 ? "thread" : "threads"}`;
  for (const [index, found] of starts.entries()) {
    if (!found.length) continue;
    const phases = Object.keys(found[0]).map(
      (phase) => `${phase} ${median(found.map((at) => at[phase])).toFixed(0)}`,
    );
    const label = found.map((at) => at.label);
    const [least, most] = [Math.min(...label), Math.max(...label)].map((ms) => ms.toFixed(0));
    console.log(`  start, ${nameOf(subjects[index])}, ms: ${phases.join(", ")}`);
    console.log(`    label least ${least}, most ${most}, of ${found.length}`);
  }
  if (ROUNDS < 1) return { model, starts };
  const task = {
    subjects,
    options: OPTIONS,
    sides: SIDES,
    rounds: ROUNDS,
    runsPerRound: RUNS_PER_ROUND,
  };
  const runs = await inPage(url, task);
  for (const [index, { simd, times, calls, memory }] of runs.entries()) {
    const ratio = median(runs[0].times) / median(times);
    const ms = `${median(times).toFixed(2)} ms (least ${Math.min(...times).toFixed(2)})`;
    console.log(`  run, ${nameOf(subjects[index])}, ${simd}: ${ms}, ${ratio.toFixed(2)}x`);
    console.log(`    a call with ${values.picture}: ${median(calls).toFixed(2)} ms`);
    for (const [count, bytes] of memory) {
      console.log(`    memory after ${count} runs: ${(bytes / 1e6).toFixed(2)} MB`);
    }
  }
  return { model, subjects: subjects.map(nameOf), starts, runs };
}
