// What the wasm files are made of: the crates, their licences with all texts, and a bill of materials
// in CycloneDX's form.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const TEXTS = /^(?:licen[cs]e|copying|notice|copyright|unlicense)/i;

/** Crates of the workspace that become wasm files. */
const SHIPPED = ["achado", "achado-onnx", "achado-tract", "achado-maker", "achado-decode"];

/** The crates that the wasm files are linked from, by name and version. */
function crates() {
  const text = execFileSync(
    process.env.CARGO ?? "cargo",
    [
      "metadata",
      "--format-version=1",
      "--locked",
      "--all-features",
      "--filter-platform=wasm32-unknown-unknown",
    ],
    { maxBuffer: 256 << 20, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
  );
  const { packages, resolve, workspace_members } = JSON.parse(text);
  const byId = new Map(packages.map((one) => [one.id, one]));
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]));
  const own = new Set(workspace_members);
  const queue = workspace_members.filter((id) => SHIPPED.includes(byId.get(id).name));
  const found = new Set();
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    for (const { pkg, dep_kinds } of nodes.get(id).deps) {
      const isLinked = dep_kinds.some(({ kind }) => kind === null);
      const isMacro = byId.get(pkg).targets.some(({ kind }) => kind.includes("proc-macro"));
      if (isLinked && !isMacro) queue.push(pkg);
    }
  }
  return [...found]
    .filter((id) => !own.has(id))
    .map((id) => byId.get(id))
    .sort((a, b) => (a.name + a.version < b.name + b.version ? -1 : 1));
}

/** The texts of licences that lie beside a crate's manifest. */
function textsOf({ manifest_path: manifest }) {
  const folder = path.dirname(manifest);
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() && TEXTS.test(entry.name))
    .map(({ name }) =>
      readFileSync(path.join(folder, name), "utf8").replaceAll("\r\n", "\n").trim(),
    )
    .sort();
}

/** An SPDX expression; older manifests have a slash for OR. */
const expression = ({ license }) => (license ?? "").replaceAll("/", " OR ");

/**
 * Writes `THIRD-PARTY-LICENSES.txt` and `sbom.cdx.json` into the package.
 *
 * @param {string} folder The package's.
 * @param {{ name: string, version: string, license: string }} manifest
 */
export function writeLicenses(folder, manifest) {
  // Asking cargo and reading hundreds of files takes seconds, and the answer is mostly the same.
  const model = readFileSync(path.join(folder, "models/efficientnet-lite0-int8.tflite"));
  const key = createHash("sha256").update(readFileSync("Cargo.lock")).update(model);
  key.update(JSON.stringify(manifest)).update(readFileSync(fileURLToPath(import.meta.url)));
  const kept = path.join("target/licenses", key.digest("hex"));
  if (!existsSync(path.join(kept, BILL))) {
    mkdirSync(kept, { recursive: true });
    write(kept, model, manifest);
  }
  for (const file of [LICENSES, BILL]) cpSync(path.join(kept, file), path.join(folder, file));
}

const [LICENSES, BILL] = ["THIRD-PARTY-LICENSES.txt", "sbom.cdx.json"];

function write(folder, model, { name, version, license }) {
  const all = crates();
  const users = new Map();
  for (const one of all) {
    const texts = textsOf(one);
    for (const text of texts.length > 0 ? texts : [""]) {
      const list = users.get(text) ?? [];
      list.push(`${one.name} ${one.version} (${expression(one)})`);
      users.set(text, list);
    }
  }
  const parts = [...users].map(([text, list]) => {
    const own = text || "No text lies beside the crate; the licence is the one that is named.";
    return `${list.join("\n")}\n\n${own}\n`;
  });
  const line = `\n${"-".repeat(78)}\n\n`;
  const head = `The WebAssembly files of achado are linked from these crates of crates.io. The model that comes\nwith the package has its own licence: models/README.md.\n`;
  writeFileSync(path.join(folder, LICENSES), [head, ...parts].join(line));

  const components = all.map((one) => ({
    type: "library",
    "bom-ref": `pkg:cargo/${one.name}@${one.version}`,
    name: one.name,
    version: one.version,
    licenses: [{ expression: expression(one) }],
    purl: `pkg:cargo/${one.name}@${one.version}`,
  }));
  components.push({
    type: "machine-learning-model",
    "bom-ref": "efficientnet-lite0-int8.tflite",
    name: "efficientnet-lite0-int8.tflite",
    version: "1",
    hashes: [{ alg: "SHA-256", content: createHash("sha256").update(model).digest("hex") }],
    licenses: [{ expression: "Apache-2.0" }],
  });
  const bill = {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      component: {
        type: "library",
        "bom-ref": `pkg:npm/${name}@${version}`,
        name,
        version,
        licenses: [{ expression: license }],
        purl: `pkg:npm/${name}@${version}`,
      },
    },
    components,
  };
  writeFileSync(path.join(folder, BILL), `${JSON.stringify(bill, null, 2)}\n`);
}
