// The package as its users get it: packed by npm, then installed in projects outside of this
// repository, where no node_modules of ours can be found by accident.
import { execFile } from "node:child_process";
import { cp, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const execute = promisify(execFile);
const here = fileURLToPath(new URL("./", import.meta.url));
export const repository = fileURLToPath(new URL("../../", import.meta.url));

/**
 * Runs a program and returns what it printed; a failure carries both of its streams.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {string} cwd
 */
export async function run(program, args, cwd) {
  try {
    const { stdout } = await execute(program, args, { cwd, maxBuffer: 64 << 20 });
    return stdout;
  } catch (error) {
    const streams = [error.stdout, error.stderr].filter(Boolean).join("\n");
    throw new Error(`${program} ${args.join(" ")} failed:\n${streams || error.message}`);
  }
}

let packed;

/**
 * `npm pack` on pkg/, once.
 *
 * @returns {Promise<{ file: string, files: { path: string, size: number, mode: number }[] }>}
 */
export function tarball() {
  packed ??= (async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), "achado-pack-"));
    const output = await run(
      "npm",
      ["pack", "--json", "--pack-destination", folder, path.join(repository, "pkg")],
      folder,
    );
    const answer = JSON.parse(output);
    // A list up to npm 11; by package name after it.
    const { filename, files } = Object.values(answer)[0];
    return { file: path.join(folder, filename), files };
  })();
  return packed;
}

/**
 * A fresh project with the packed package installed; removed when the test is over.
 *
 * @param {import("node:test").TestContext} t
 * @param {string} [template] A folder beside this file: its package.json and lock are installed.
 * @returns {Promise<string>} The project's folder.
 */
export async function project(t, template) {
  const folder = await mkdtemp(path.join(os.tmpdir(), "achado-project-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await cp(path.join(here, "shared"), folder, { recursive: true });
  if (template) {
    await cp(path.join(here, template), folder, { recursive: true });
    await run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder);
  }
  const { file } = await tarball();
  await run("npm", ["install", "--no-save", "--ignore-scripts", "--no-audit", file], folder);
  return folder;
}

/**
 * Opens a page of a bundled project and waits for the answer that shared/main.js leaves on it.
 *
 * @param {import("playwright-core").Browser} browser
 * @param {string} url
 */
export async function answerOf(browser, url) {
  const page = await browser.newPage();
  const failures = [];
  page.on("pageerror", (error) => failures.push(String(error)));
  page.on("response", (response) => {
    if (response.status() >= 400) failures.push(`${response.status()} ${response.url()}`);
  });
  const requests = [];
  page.on("request", (request) => requests.push(new URL(request.url()).pathname));
  await page.goto(url);
  const handle = await page
    .waitForFunction(() => globalThis.answer, undefined, { timeout: 60_000 })
    .catch((error) => {
      throw new Error(`${error.message}\n${failures.join("\n")}`);
    });
  const answer = await handle.jsonValue();
  await page.close();
  return { ...answer, failures, requests };
}
