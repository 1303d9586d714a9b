// Turns src/js into pkg/ (the npm package) and www/ into www/dist (the demo page).
//
//   node pkg-config/bundle.mjs package   src/js/*.ts, the generated glue and the wasm files -> pkg/
//   node pkg-config/bundle.mjs page      www/ and pkg/ -> www/dist/
//
// `cargo xtask build` and `demo` run both after the core binaries have been built into
// src/js/generated/<binary>/ (achado.js, achado.d.ts, achado_bg.wasm).
//
// Every output of the package lies flat in pkg/dist/, so `new URL("./simd128.wasm",
// import.meta.url)` and `new URL("./worker.js", import.meta.url)` are right in whichever chunk the
// bundler puts them, and Vite, webpack and plain servers all understand that form.
import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { page } from "./page.mjs";

const root = fileURLToPath(new URL("../", import.meta.url));
process.chdir(root);

/** Browsers with WebAssembly SIMD on by default and module workers: Firefox came last, in 2023. */
const TARGET = ["es2022", "chrome94", "firefox114", "safari16.4", "node20"];

/**
 * Modules of src/js that someone starts at: the page, its workers, Node and the command line. Only
 * those that stand together share chunks: the page's module and each worker is one file, with
 * nothing to be asked for after it has come. What the page imports on demand shares nothing with it.
 */
const ENTRY_POINTS = [["index"], ["worker"], ["threaded-worker"], ["node", "cli"]];

const COMMON = {
  bundle: true,
  format: "esm",
  legalComments: "none",
  logLevel: "warning",
  metafile: true,
  minify: true,
  platform: "neutral",
  sourcemap: "linked",
  splitting: true,
  target: TARGET,
};

async function packageOf() {
  rmSync("pkg", { recursive: true, force: true });
  mkdirSync("pkg/bin", { recursive: true });

  const outputs = {};
  for (const names of ENTRY_POINTS) {
    const { metafile } = await build({
      ...COMMON,
      entryPoints: names.map((name) => `src/js/${name}.ts`),
      outdir: "pkg/dist",
      chunkNames: "[name]-[hash]",
      external: ["node:*"],
    });
    Object.assign(outputs, metafile.outputs);
  }
  // `cargo xtask size` reads from it which chunks a first load needs.
  mkdirSync("target", { recursive: true });
  writeFileSync("target/package-metafile.json", JSON.stringify({ outputs }));

  for (const binary of readdirSync("src/js/generated")) {
    cpSync(`src/js/generated/${binary}/achado_bg.wasm`, `pkg/dist/${binary}.wasm`);
  }
  declarations();

  // The command line is src/js/cli.ts; npm needs a file of its own with the first line.
  if (existsSync("src/js/cli.ts")) {
    writeFileSync("pkg/bin/achado.js", '#!/usr/bin/env node\nimport "../dist/cli.js";\n', {
      mode: 0o755,
    });
  }
  for (const name of ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"]) {
    cpSync(name, `pkg/${name}`);
  }
  cpSync("models", "pkg/models", { recursive: true });
  cpSync("pkg-config/package.json", "pkg/package.json");
}

/** Type-checks src/js and keeps the declarations that the public ones reach: the rest is private. */
function declarations() {
  const everything = path.resolve("target/declarations");
  rmSync(everything, { recursive: true, force: true });
  typescript("src/js/tsconfig.json", [
    "--noEmit",
    "false",
    "--declaration",
    "--emitDeclarationOnly",
    "--outDir",
    everything,
  ]);
  const kept = new Set();
  const queue = ["index.d.ts"];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (kept.has(file)) continue;
    kept.add(file);
    const text = readFileSync(path.join(everything, file), "utf8");
    for (const [, name] of text.matchAll(/["'](\.{1,2}\/[^"']+)\.js["']/g)) {
      queue.push(path.join(path.dirname(file), `${name}.d.ts`));
    }
  }
  for (const file of kept) cpSync(path.join(everything, file), path.join("pkg/dist", file));
}

function typescript(project, flags) {
  try {
    execFileSync(
      process.execPath,
      ["node_modules/typescript/bin/tsc", "-p", project, "--pretty", ...flags],
      { stdio: "inherit" },
    );
  } catch {
    process.exit(1); // tsc has said why.
  }
}

const commands = { package: packageOf, page: () => page(COMMON, typescript) };
const command = commands[process.argv[2]];
if (!command) {
  console.error(`usage: node pkg-config/bundle.mjs ${Object.keys(commands).join("|")}`);
  process.exit(2);
}
await command();
