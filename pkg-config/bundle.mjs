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
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { writeLicenses } from "./licenses.mjs";
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
const ENTRY_POINTS = [
  ["index"],
  ["lite"],
  ["static"],
  ["only-onnx"],
  ["only-tract"],
  ["only-model"],
  ["worker"],
  ["threaded-worker"],
  ["maker"],
  ["maker-worker"],
  ["webgpu"],
  ["only-gpu"],
  ["quantize"],
  ["quantize-worker"],
  ["inspect"],
  ["node-worker"],
  ["node", "maker-node", "quantize-node", "inspect-node", "bind-node", "cli"],
  ["vite"],
  ["webpack"],
  ["bindings"],
  ["simple"],
  ["elements"],
  ["react"],
  ["vue"],
  ["svelte"],
  ["model-cache"],
  ["service-worker"],
];

/** Frameworks that adapters are for: the application has them. */
const FRAMEWORKS = ["react", "vue"];

/** These open models in Node where they need it, by an entry of its own. */
const LATER = ["./bind-node.js"];

/** Pages that the README leads users to. */
const USER_DOCS = [
  "bindings",
  "bundlers",
  "components",
  "errors",
  "files",
  "inspecting",
  "maker",
  "moving-over",
  "offline",
  "onnx-operators",
  "operators",
  "preprocessing",
  "pruning",
  "quantizing",
];

/** These entries take what is public, and the class of its errors, from the page's module. */
const FROM_PAGE = ["maker", "quantize", "inspect", "elements"];

const FROM_INDEX = {
  name: "from-index",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.{1,2}\/index\.js$/ }, () => ({ path: "./index.js", external: true }));
    onResolve({ filter: /\/errors\.js$/ }, () => ({ path: "errors", namespace: "from-index" }));
    onLoad({ filter: /.*/, namespace: "from-index" }, () => ({
      contents: 'export * from "./errors.ts"; export { AchadoError } from "./index.js";',
      resolveDir: path.resolve("src/js"),
    }));
  },
};

/**
 * These are the same in browsers and in Node: what they take from the package comes by its name, so
 * that each place gives its own.
 */
const FROM_NAME = ["bindings", "simple", "react", "vue", "svelte", "model-cache"];

const FROM_ACHADO = {
  name: "from-achado",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.{1,2}\/index\.js$/ }, () => ({ path: "achado", external: true }));
    onResolve({ filter: /\/errors\.js$/ }, () => ({ path: "errors", namespace: "from-achado" }));
    onLoad({ filter: /.*/, namespace: "from-achado" }, () => ({
      contents: 'export * from "./errors.ts"; export { AchadoError } from "./index.js";',
      resolveDir: path.resolve("src/js"),
    }));
  },
};

/** The same for `require` where that takes no ES modules: Jest, older Electron. */
const COMMON_JS = { index: {}, node: { platform: "node", ...ownAddress() } };

/** A CommonJS file's address, which `import.meta.url` is in ES modules. */
function ownAddress() {
  return {
    banner: { js: 'const achadoUrl = require("node:url").pathToFileURL(__filename).href;' },
    define: { "import.meta.url": "achadoUrl" },
  };
}

const manifest = JSON.parse(readFileSync("pkg-config/package.json", "utf8"));
const { version } = manifest;

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
  plugins: [portableGlue()],
};

/**
 * Names that the minifier leaves to others, as it does with what is not defined here: scripts are
 * appended to bundles, for workers from Blobs, and functions of theirs would be hidden by ours.
 */
const SHORT_NAMES = ["cb", "fn", "go", "io", "me", "my", "ok", "on", "ui", "vm"];

/**
 * Makes what wasm-bindgen wrote portable: nothing of the place is asked for before it is called, and
 * objects of other realms are what they are.
 */
function portableGlue() {
  const coders = /^(?:let|const) (cachedText(De|En)coder) = .*$/gm;
  const lazily = (_, name, kind) => {
    const method = kind === "De" ? "decode: (bytes)" : "encode: (text)";
    const call = kind === "De" ? "decode(bytes)" : "encode(text)";
    const make = `new Text${kind}coder(${kind === "De" ? '"utf-8", { ignoreBOM: true }' : ""})`;
    const into =
      kind === "De"
        ? ""
        : `, encodeInto: (text, view) => (made${kind} ??= ${make}).encodeInto(text, view)`;
    return `let made${kind}; let ${name} = { ${method} => (made${kind} ??= ${make}).${call}${into} };`;
  };
  const edits = [
    [coders, lazily],
    [/^(?:if \(cachedTextDecoder\) )?cachedTextDecoder\.decode\(\);$/gm, ""],
    [/^if \((?:!\('encodeInto' in cachedTextEncoder\)|cachedTextEncoder)\) \{[^]*?^\}$/gm, ""],
    [
      /arg0 instanceof Object/g,
      '(typeof arg0 === "object" && arg0 !== null) || typeof arg0 === "function"',
    ],
    // What nobody here calls.
    [/^if \(Symbol\.dispose\) .*$/gm, ""],
    [/^ {4}if \(realloc === undefined\) \{[^]*?^ {4}\}$/gm, ""],
    [/ else \{\s*console\.warn\('using deprecated[^}]*\}/g, ""],
    [/!\(module instanceof WebAssembly\.Module\)/g, "ArrayBuffer.isView(module)"],
  ];
  return {
    name: "portable-glue",
    setup({ onLoad }) {
      onLoad({ filter: /[\\/]generated[\\/][\w-]+[\\/]achado\.js$/ }, ({ path: file }) => {
        let contents = readFileSync(file, "utf8");
        for (const [pattern, replacement] of edits) {
          contents = contents.replaceAll(pattern, replacement);
        }
        // Only tract's instance, of more than 8 MB, is made in the way that nobody waits for.
        if (!/[\\/]tract[\\/]/.test(file))
          contents = contents.replace(", __wbg_init as default", "");
        if (/^(?:let|const) cachedText|^cachedText|instanceof Object/m.test(contents)) {
          throw new Error(`${file} is not as wasm-bindgen used to write it`);
        }
        return { contents: `${contents}\nif (false) [${SHORT_NAMES}];`, loader: "js" };
      });
    },
  };
}

async function packageOf() {
  rmSync("pkg", { recursive: true, force: true });
  mkdirSync("pkg/bin", { recursive: true });

  const outputs = {};
  for (const names of ENTRY_POINTS) {
    const { metafile } = await build({
      ...COMMON,
      entryPoints: names.map((name) => ({
        in: `src/js/${name === "cli" ? "cli/main" : name}.ts`,
        // `achado/onnx` is dist/onnx.js.
        out: name.replace(/^only-/, ""),
      })),
      outdir: "pkg/dist",
      define: { ACHADO_VERSION: JSON.stringify(version) },
      chunkNames: "[name]-[hash]",
      external: ["node:*", ...FRAMEWORKS, ...(names.includes("bind-node") ? [] : LATER)],
      plugins: [
        ...COMMON.plugins,
        ...(FROM_PAGE.includes(names[0]) ? [FROM_INDEX] : []),
        ...(FROM_NAME.includes(names[0]) ? [FROM_ACHADO] : []),
      ],
    });
    Object.assign(outputs, metafile.outputs);
  }
  for (const [name, options] of Object.entries(COMMON_JS)) {
    await build({
      ...COMMON,
      entryPoints: [`src/js/${name}.ts`],
      outfile: `pkg/dist/${name}.cjs`,
      format: "cjs",
      splitting: false,
      sourcemap: false,
      external: ["node:*"],
      // Without one the files are where `assets` says.
      logOverride: { "empty-import-meta": "silent" },
      ...options,
      define: { ...options.define, ACHADO_VERSION: JSON.stringify(version) },
    });
  }
  // A classic script, as service workers are registered by default.
  await build({
    ...COMMON,
    entryPoints: ["src/js/offline.ts"],
    outdir: "pkg/dist",
    format: "iife",
    splitting: false,
    sourcemap: false,
    define: { ACHADO_VERSION: JSON.stringify(version) },
  });
  for (const name of ["index.js", "index.cjs", "lite.js", "static.js", ...WORKERS]) {
    leaveImports(`pkg/dist/${name}`);
  }
  // `cargo xtask size` reads from it which chunks a first load needs.
  mkdirSync("target", { recursive: true });
  writeFileSync("target/package-metafile.json", JSON.stringify({ outputs }));

  for (const binary of readdirSync("src/js/generated")) {
    cpSync(`src/js/generated/${binary}/achado_bg.wasm`, `pkg/dist/${binary}.wasm`);
  }
  declarations();

  // The command line is src/js/cli; npm needs a file of its own with the first line.
  writeFileSync("pkg/bin/achado.js", '#!/usr/bin/env node\nimport "../dist/cli.js";\n', {
    mode: 0o755,
  });
  for (const name of [
    "README.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "SECURITY.md",
  ]) {
    cpSync(name, `pkg/${name}`);
  }
  cpSync("models", "pkg/models", { recursive: true });
  mkdirSync("pkg/docs");
  for (const page of USER_DOCS) cpSync(`docs/${page}.md`, `pkg/docs/${page}.md`);
  cpSync("pkg-config/package.json", "pkg/package.json");
  writeLicenses("pkg", manifest);
}

/** Scripts of workers that run models. */
const WORKERS = ["worker.js", "threaded-worker.js"];

/** Tells bundlers that what is imported by an address is no module of theirs: minifying drops comments. */
function leaveImports(file) {
  const comments = "/*webpackIgnore:true*//*@vite-ignore*/";
  const text = readFileSync(file, "utf8");
  writeFileSync(file, text.replaceAll(/\bimport\((?=[\w$.]+\))/g, `import(${comments}`));
}

/** Entry points whose types are of their own; those of the others are index's. */
const TYPED = [
  "index",
  "maker",
  "quantize",
  "inspect",
  "lite",
  "only-onnx",
  "only-tract",
  "only-gpu",
  "only-model",
  "vite",
  "webpack",
  "bindings",
  "simple",
  "elements",
  "react",
  "vue",
  "svelte",
  "model-cache",
  "service-worker",
];

/**
 * Type-checks src/js and keeps the declarations that the public ones reach: the rest is private. For
 * `require` there is each a second time.
 */
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
  const queue = TYPED.map((name) => `${name}.d.ts`);
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (kept.has(file)) continue;
    kept.add(file);
    const text = readFileSync(path.join(everything, file), "utf8");
    for (const [, name] of text.matchAll(/["'](\.{1,2}\/[^"']+)\.js["']/g)) {
      queue.push(path.join(path.dirname(file), `${name}.d.ts`));
    }
  }
  for (const file of kept) {
    const text = readFileSync(path.join(everything, file), "utf8");
    const out = path.join("pkg/dist", file.replace(/^only-/, ""));
    mkdirSync(path.dirname(out), { recursive: true });
    writeFileSync(out, text);
    const commonJs = text.replaceAll(/(["']\.{1,2}\/[^"']+)\.js(["'])/g, "$1.cjs$2");
    writeFileSync(out.replace(/\.ts$/, ".cts"), commonJs);
  }
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
