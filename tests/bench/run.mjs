// The bench crate in headless Chromium; `cargo xtask bench` builds it and prints tables of this.
//
//   node tests/bench/run.mjs FOLDER operators        FOLDER holds the crate's glue and wasm
//   node tests/bench/run.mjs FOLDER model RUNS FILE  a .tflite file
//
// The answer is one line of JSON, that of the crate's functions.
import path from "node:path";
import { ISOLATED, launch, startServer } from "../browser/support.mjs";

const [folder, what, runs, file] = process.argv.slice(2);
const overrides = { "/": { headers: { "Content-Type": "text/html" }, body: "<!doctype html>" } };
if (file) overrides["/model"] = { file: path.resolve(file) };
// Isolated: only then do browsers give times to 5 microseconds.
const server = await startServer({ root: folder, headers: ISOLATED, overrides });
const browser = await launch();
try {
  const page = await browser.newPage();
  await page.goto(`${server.url}/`);
  const found = await page.evaluate(
    async ([what, runs]) => {
      const { default: init, model, operators } = await import("/achado.js");
      await init({ module_or_path: "/achado_bg.wasm" });
      if (what === "operators") return operators();
      const response = await fetch("/model");
      return model(new Uint8Array(await response.arrayBuffer()), runs);
    },
    [what, Number(runs)],
  );
  console.log(found);
} finally {
  await browser.close();
  await server.close();
}
