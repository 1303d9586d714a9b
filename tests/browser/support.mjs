// What every browser test needs: a server, Chromium, screenshots and a fake camera.
//
//   import { launch, screenshot, startServer } from "./support.mjs";
//   const server = await startServer({ root: PAGE });
//   const browser = await launch({ camera: await cameraFromPicture(CAT_JPG) });
//   const page = await browser.newPage();       // playwright's Page
//
// Run one file by `node --test tests/browser/page.test.mjs` after `cargo xtask build`.
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export { ISOLATED, startServer } from "./server.mjs";

/** The repository's root, as a URL that ends with a slash. */
export const REPOSITORY = new URL("../../", import.meta.url);
/** The built demo page. */
export const PAGE = new URL("www/dist/", REPOSITORY);
/** The built npm package. */
export const PACKAGE = new URL("pkg/", REPOSITORY);

/** The wasm file that Chromium chooses among those of the package. */
export const CORE = "/dist/relaxed.wasm";

/** Where Chromium is: `ACHADO_CHROMIUM`, `CHROME`, or the usual names on PATH. */
export function chromiumPath() {
  for (const name of ["ACHADO_CHROMIUM", "CHROME"]) {
    const value = process.env[name];
    if (!value) continue;
    if (!existsSync(value)) throw new Error(`${name} is ${value}, and there is no such file`);
    return value;
  }
  const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
  const folders = (process.env.PATH ?? "").split(path.delimiter);
  for (const name of names) {
    for (const folder of folders) {
      const candidate = path.join(folder, name);
      if (existsSync(candidate)) return candidate;
    }
  }
  throw new Error(
    "Chromium was not found: `cargo xtask test` installs it on Debian; elsewhere set ACHADO_CHROMIUM",
  );
}

/** The flags that Chromium is always started with. */
export const FLAGS = [
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Chromium's sandbox refuses to run as root, which is what CI containers are.
  ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
];

/**
 * Starts headless Chromium.
 *
 * @param {object} [options]
 * @param {string} [options.camera] A .mjpeg or .y4m file that plays as the camera, see
 *   {@link cameraFromPicture}; permission is given without a prompt. Without it there is no camera.
 * @param {string[]} [options.args] Further command-line flags.
 * @returns {Promise<import("playwright-core").Browser>}
 */
export async function launch({ camera, args = [] } = {}) {
  const flags = [...FLAGS, ...args];
  if (camera) {
    flags.push(
      "--use-fake-device-for-media-stream",
      "--use-fake-ui-for-media-stream",
      `--use-file-for-fake-video-capture=${camera}`,
    );
  }
  return chromium.launch({ executablePath: chromiumPath(), headless: true, args: flags });
}

/**
 * Keeps a picture of the page under tests/browser/screenshots/ (not in git) for people to look at.
 *
 * @param {import("playwright-core").Page} page
 * @param {string} name File name without its ending.
 * @returns {Promise<string>} The file's path.
 */
export async function screenshot(page, name) {
  const folder = fileURLToPath(new URL("screenshots/", import.meta.url));
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, `${name}.png`);
  await page.screenshot({ path: file, fullPage: true });
  return file;
}

/**
 * Makes a camera recording of one still picture: a Motion-JPEG file is JPEG pictures one after
 * another, and Chromium plays it in a loop.
 *
 * @param {string | URL} picture A baseline .jpg; Chromium's camera takes its size from it, and
 *   wants even numbers.
 * @param {number} [frames]
 * @returns {Promise<string>} Path of the .mjpeg file in a temporary folder.
 */
export async function cameraFromPicture(picture, frames = 2) {
  const jpeg = await readFile(picture);
  if (jpeg[0] !== 0xff || jpeg[1] !== 0xd8) throw new Error(`${picture} is not a JPEG file`);
  const folder = await mkdtemp(path.join(os.tmpdir(), "achado-camera-"));
  const file = path.join(folder, "camera.mjpeg");
  await writeFile(file, Buffer.concat(Array.from({ length: frames }, () => jpeg)));
  return file;
}
