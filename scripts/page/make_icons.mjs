// Writes www/icons/ from www/icon.svg, as Chromium draws it:  node scripts/page/make_icons.mjs
import { mkdir, readFile } from "node:fs/promises";
import { launch } from "../../tests/browser/support.mjs";

const www = new URL("../../www/", import.meta.url);
const svg = await readFile(new URL("icon.svg", www), "utf8");
await mkdir(new URL("icons/", www), { recursive: true });
const browser = await launch();
const page = await browser.newPage();
// Maskable icons may lose all but a circle of 80 %: their ground fills the square.
for (const [name, size, share] of [
  ["icon-192", 192, 1],
  ["icon-512", 512, 1],
  ["maskable-512", 512, 0.8],
]) {
  const ground = share < 1 ? "#0f6b5c" : "transparent";
  await page.setViewportSize({ width: size, height: size });
  await page.setContent(
    `<style>body{margin:0;display:grid;place-items:center;height:100vh;background:${ground}}
     svg{width:${share * 100}vw}</style>${svg}`,
  );
  const file = new URL(`icons/${name}.png`, www);
  await page.screenshot({ path: file.pathname, omitBackground: true });
}
await browser.close();
