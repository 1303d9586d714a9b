// Checks that a version can be released: `node pkg-config/release.mjs 1.2.3`.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * What stands in the way of a release; empty if nothing does.
 *
 * @param {string} version
 * @param {{ manifest: string, cargo: string, changelog: string }} texts
 */
export function obstacles(version, { manifest, cargo, changelog }) {
  const found = [];
  if (!/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version)) found.push(`"${version}" is no version`);
  const own = JSON.parse(manifest).version;
  if (own !== version) found.push(`pkg-config/package.json has the version ${own}, not ${version}`);
  const [, crates] = /^version = "([^"]+)"$/m.exec(cargo) ?? [];
  if (crates !== version) found.push(`Cargo.toml has the version ${crates}, not ${version}`);
  const titles = [...changelog.matchAll(/^## \[?([^\]\s]+)/gm)].map(([, title]) => title);
  if (!titles.includes(version)) found.push(`CHANGELOG.md has no section "## ${version}"`);
  return found;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const read = (name) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");
  const [version = ""] = process.argv.slice(2);
  const texts = {
    manifest: read("pkg-config/package.json"),
    cargo: read("Cargo.toml"),
    changelog: read("CHANGELOG.md"),
  };
  const found = obstacles(version, texts);
  for (const obstacle of found) console.error(obstacle);
  process.exitCode = found.length > 0 ? 1 : 0;
}
