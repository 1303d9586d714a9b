// Turns www/ and pkg/ into www/dist: the demo page, its service worker, and each file that gets
// smaller by it also as Brotli and gzip make it, for servers that send such files.
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { build } from "esbuild";

const DIST = "www/dist";
/** What a browser asks for; source maps are for people, and the service worker is no page's file. */
const NOT_KEPT = /\.(map|br|gz)$|^sw\.js$/;
const COMPRESSIBLE = /\.(css|html|js|json|onnx|svg|tflite|txt|wasm|webmanifest)$/;
/** Files of the package that no page asks for: Node's, and what only an option brings. */
const UNUSED =
  /^achado\/dist\/(cli|(node|maker|inspect|quantize|bind)-node|node|node-worker|decode|tract|gpu|webgpu|bindings|vite|webpack|react|vue|svelte|elements|simple|model-cache|service-worker|offline|static|lite)\./;
/** Below that, headers weigh more than what is saved. */
const WORTH_BYTES = 512;
/** Brotli's best quality takes about a second a megabyte. */
const BEST_BELOW_BYTES = 2_000_000;
/** By hash: most of the package is the same from build to build. */
const COMPRESSED = "target/page-compressed";

/**
 * Builds the page.
 *
 * @param {import("esbuild").BuildOptions} common
 * @param {(project: string, flags: string[]) => void} typescript Checks types, or ends the program.
 */
export async function page(common, typescript) {
  rmSync(DIST, { recursive: true, force: true });
  const notCopied = new Set(["dist", "src", "tsconfig.json", "README.md"]);
  const scripts = [];
  for (const name of readdirSync("www")) {
    if (notCopied.has(name)) continue;
    cpSync(`www/${name}`, `${DIST}/${name}`, { recursive: true });
    if (!name.endsWith(".html")) continue;
    // A page asks for `./main.js`; its source is www/src/main.ts.
    for (const [, script] of readFileSync(`www/${name}`, "utf8").matchAll(
      /<script\b[^>]*\bsrc="\.\/([\w-]+)\.js"/g,
    )) {
      scripts.push(`www/src/${script}.ts`);
    }
  }
  for (const folder of ["dist", "models"]) {
    cpSync(`pkg/${folder}`, `${DIST}/achado/${folder}`, { recursive: true });
  }
  typescript("www/tsconfig.json", []);
  await build({
    ...common,
    entryPoints: [...new Set(scripts)],
    outdir: DIST,
    chunkNames: "[name]-[hash]",
    define: { ABOUT: JSON.stringify(await about()) },
    // The page takes the package as it is published, from a folder beside it.
    plugins: [
      {
        name: "achado",
        setup({ onResolve }) {
          onResolve({ filter: /^achado(\/(inspect|maker|quantize))?$/ }, ({ path: name }) => ({
            path: `./achado/dist/${name.split("/")[1] ?? "index"}.js`,
            external: true,
          }));
        },
      },
    ],
  });
  await serviceWorker(common);
  await Promise.all(
    filesOf(DIST)
      .filter((name) => COMPRESSIBLE.test(name) && !UNUSED.test(name))
      .map(compressFile),
  );
}

/** What the page says of the package that it shows. */
async function about() {
  const { version, license } = JSON.parse(readFileSync("pkg/package.json", "utf8"));
  const model = "models/efficientnet-lite0-int8.tflite";
  const gzipped = async (name) => (await compressed(readFileSync(`pkg/${name}`), "gz")).length;
  const first = ["dist/index.js", "dist/worker.js", "dist/relaxed.wasm"];
  const firstLoad = await Promise.all(first.map(gzipped));
  return {
    version,
    license,
    firstLoadGzipBytes: firstLoad.reduce((sum, bytes) => sum + bytes, 0),
    modelBytes: statSync(`pkg/${model}`).size,
  };
}

/** The package's scripts at which pages begin, and their workers. */
const PAGE_SCRIPTS = [
  "index",
  "worker",
  "maker",
  "maker-worker",
  "inspect",
  "quantize",
  "quantize-worker",
];

/** The service worker knows each file by its hash; its own bytes change with any of them. */
async function serviceWorker(common) {
  const files = filesOf(DIST).filter((name) => !NOT_KEPT.test(name));
  const hashes = Object.fromEntries(
    files.map((name) => [name, hash(readFileSync(`${DIST}/${name}`))]),
  );
  const scripts = reachable(PAGE_SCRIPTS.map((name) => `pkg/dist/${name}.js`));
  const shell = files.filter((name) => !name.startsWith("achado/") || scripts.has(name));
  await build({
    ...common,
    entryPoints: ["www/src/sw.ts"],
    alias: { "achado/service-worker": "./pkg/dist/service-worker.js" },
    outdir: DIST,
    splitting: false,
    format: "iife",
    define: { FILES: JSON.stringify(hashes), SHELL: JSON.stringify(shell) },
  });
}

/** The package's scripts that these import, at once or later, as the page names them. */
function reachable(starts) {
  const { outputs } = JSON.parse(readFileSync("target/package-metafile.json", "utf8"));
  const found = new Set();
  const queue = [...starts];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    const name = file.replace(/^pkg\//, "achado/");
    if (found.has(name)) continue;
    found.add(name);
    for (const { path: imported, external } of outputs[file]?.imports ?? []) {
      if (!external) queue.push(imported);
    }
  }
  return found;
}

function filesOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => path.relative(folder, path.join(parentPath, name)))
    .sort();
}

async function compressFile(name) {
  const bytes = readFileSync(`${DIST}/${name}`);
  if (bytes.length < WORTH_BYTES) return;
  for (const suffix of ["br", "gz"]) {
    const packed = await compressed(bytes, suffix);
    if (packed.length < 0.95 * bytes.length) writeFileSync(`${DIST}/${name}.${suffix}`, packed);
  }
}

/** Bytes compressed, from an earlier build where they were the same. */
async function compressed(bytes, suffix) {
  const kept = `${COMPRESSED}/${hash(bytes)}.${suffix}`;
  if (existsSync(kept)) return readFileSync(kept);
  const quality = bytes.length < BEST_BELOW_BYTES ? 11 : 9;
  const packed =
    suffix === "br"
      ? await promisify(brotliCompress)(bytes, {
          params: {
            [constants.BROTLI_PARAM_QUALITY]: quality,
            [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
          },
        })
      : await promisify(gzip)(bytes, { level: 9 });
  mkdirSync(COMPRESSED, { recursive: true });
  writeFileSync(kept, packed);
  return packed;
}

function hash(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}
