// What a release needs: licences of all that is linked, a bill of materials, one version everywhere.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { obstacles } from "../../pkg-config/release.mjs";

const read = (name) => readFile(new URL(`../../${name}`, import.meta.url), "utf8");

/** Licences that ask for no more than to be named. */
const PERMISSIVE =
  /^(0BSD|Apache-2\.0|BlueOak-1\.0\.0|BSD-[23]-Clause|ISC|MIT|Unicode-3\.0|Unlicense|Zlib)$/;

test("every crate of the wasm files is listed, with a permissive licence and its text", async () => {
  const bill = JSON.parse(await read("pkg/sbom.cdx.json"));
  const texts = await read("pkg/THIRD-PARTY-LICENSES.txt");
  const names = bill.components.map(({ name }) => name);
  for (const linked of ["wasm-bindgen", "png", "zune-jpeg", "prost", "tract-core"]) {
    assert.ok(names.includes(linked), `${linked} is missing`);
  }
  // Nothing of the tools that build.
  for (const tool of ["flatc", "clap", "wasm-pack", "syn", "proc-macro2"]) {
    assert.ok(!names.includes(tool), tool);
  }
  for (const { name, version, type, licenses } of bill.components) {
    const [{ expression }] = licenses;
    for (const one of expression.split(/ AND | OR |[()]/).filter(Boolean)) {
      assert.match(one, PERMISSIVE, `${name}: ${expression}`);
    }
    if (type === "library") assert.ok(texts.includes(`${name} ${version} (`), name);
  }
  const model = bill.components.at(-1);
  const bytes = await readFile(new URL(`../../models/${model.name}`, import.meta.url));
  assert.equal(model.hashes[0].content, createHash("sha256").update(bytes).digest("hex"));
});

test("a release needs one version in tag, manifests and changelog", async () => {
  const texts = {
    manifest: '{ "version": "1.2.3" }',
    cargo: '[package]\nversion = "1.2.3"\n',
    changelog: "# Changes\n\n## Unreleased\n\n## 1.2.3\n",
  };
  assert.deepEqual(obstacles("1.2.3", texts), []);
  assert.equal(obstacles("1.2.4", texts).length, 3);
  assert.match(obstacles("v1", texts).join(), /"v1" is no version/);
  const { version } = JSON.parse(await read("pkg-config/package.json"));
  const own = { manifest: await read("pkg-config/package.json"), cargo: await read("Cargo.toml") };
  assert.deepEqual(obstacles(version, { ...own, changelog: `## ${version}` }), []);
});
