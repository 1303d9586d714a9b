//! `cargo xtask size`: what a user downloads, against the budget of pkg-config/size-budget.json.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::bundle;
use crate::shell::{node, output_of};

/// Bytes of one file: as it is, and as servers send it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bytes {
    raw: u64,
    gzip: u64,
    brotli: u64,
}

/// Compresses the files named by its arguments at the highest levels; a line of numbers for each.
const COMPRESS: &str = r#"
import { readFileSync } from "node:fs";
import { brotliCompressSync, gzipSync } from "node:zlib";
for (const name of process.argv.slice(1)) {
  const bytes = readFileSync(name);
  console.log(bytes.length, gzipSync(bytes, { level: 9 }).length, brotliCompressSync(bytes).length);
}
"#;

/// Prints the sizes and fails if a first load is over the budget.
pub fn size() -> Result<()> {
    bundle::is_built()?;
    let budget = json("pkg-config/size-budget.json")?;
    let metafile = json("target/package-metafile.json")?;
    let allowed = budget["firstLoadGzipBytes"].as_u64().context("the budget has no number")?;

    let mut files = Vec::new();
    walk(Path::new("pkg"), &mut files)?;
    files.sort();
    let sizes = measure(&files)?;
    println!("{:<52} {:>10} {:>10} {:>10}", "file", "raw", "gzip", "brotli");
    for (file, Bytes { raw, gzip, brotli }) in &sizes {
        println!("{:<52} {raw:>10} {gzip:>10} {brotli:>10}", file.display());
    }

    let mut over = Vec::new();
    for (variant, parts) in budget["variants"].as_object().context("the budget has no variants")? {
        let mut total = Bytes::default();
        let loaded = first_load(&metafile, &budget, parts)?;
        for file in &loaded {
            let bytes = sizes.get(file).with_context(|| {
                format!("{} is in the budget of {variant} and was not built", file.display())
            })?;
            total.raw += bytes.raw;
            total.gzip += bytes.gzip;
            total.brotli += bytes.brotli;
        }
        let Bytes { raw, gzip, brotli } = total;
        println!("{:<52} {raw:>10} {gzip:>10} {brotli:>10}", format!("first load, {variant}"));
        println!("  {} of {allowed} bytes gzip: {}", gzip, names(&loaded));
        if gzip > allowed {
            over.push(format!("{variant} by {} bytes", gzip - allowed));
        }
    }
    for (file, allowed) in budget["onDemand"].as_object().into_iter().flatten() {
        let bytes = sizes.get(&Path::new("pkg").join(file));
        let bytes = bytes.with_context(|| format!("{file} has a budget and was not built"))?;
        let limit = |name| allowed[name].as_u64().with_context(|| format!("{file}: no {name}"));
        let (gzip, brotli) = (limit("gzipBytes")?, limit("brotliBytes")?);
        println!("on demand, {file}: {} of {gzip} bytes gzip", bytes.gzip);
        println!("  {} of {brotli} bytes brotli", bytes.brotli);
        if bytes.gzip > gzip || bytes.brotli > brotli {
            over.push(format!("{file} with {} and {} bytes", bytes.gzip, bytes.brotli));
        }
    }
    if !over.is_empty() {
        bail!("over the budget: {}", over.join(", "));
    }
    Ok(())
}

fn names(files: &BTreeSet<PathBuf>) -> String {
    let names: Vec<_> =
        files.iter().filter_map(|file| file.file_name()?.to_str().map(str::to_owned)).collect();
    names.join(", ")
}

/// The files that a page downloads before its first result: the modules that the budget names, all
/// that these import, and the wasm file.
fn first_load(metafile: &Value, budget: &Value, variant: &Value) -> Result<BTreeSet<PathBuf>> {
    let outputs = metafile["outputs"].as_object().context("the metafile has no outputs")?;
    let strings = |value: &Value| -> Vec<String> {
        let all = value.as_array().into_iter().flatten();
        all.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut queue = Vec::new();
    for module in strings(&budget["modules"]).into_iter().chain(strings(&variant["modules"])) {
        let holds = |output: &Value| {
            output["entryPoint"] == *module || output["inputs"].get(&module).is_some()
        };
        let before = queue.len();
        queue.extend(outputs.iter().filter(|(_, file)| holds(file)).map(|(name, _)| name.clone()));
        if queue.len() == before {
            bail!("the budget names {module}, which is in no file of the package");
        }
    }
    let mut loaded = BTreeSet::new();
    while let Some(name) = queue.pop() {
        if !loaded.insert(PathBuf::from(&name)) {
            continue;
        }
        for import in outputs[&name]["imports"].as_array().into_iter().flatten() {
            if import["kind"] == "import-statement" && import["external"] != true {
                queue.extend(import["path"].as_str().map(str::to_owned));
            }
        }
    }
    loaded.extend(strings(&variant["files"]).into_iter().map(|file| Path::new("pkg").join(file)));
    Ok(loaded)
}

fn json(file: &str) -> Result<Value> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{file} cannot be read"))?;
    serde_json::from_str(&text).with_context(|| format!("{file} is not JSON"))
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn measure(files: &[PathBuf]) -> Result<BTreeMap<PathBuf, Bytes>> {
    let compress = ["--input-type=module", "--eval", COMPRESS, "--"];
    let output = output_of(node().args(compress).args(files))?;
    let mut sizes = BTreeMap::new();
    for (file, line) in files.iter().zip(output.lines()) {
        let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [raw, gzip, brotli] = numbers[..] else { bail!("no sizes for {}", file.display()) };
        sizes.insert(file.clone(), Bytes { raw, gzip, brotli });
    }
    if sizes.len() != files.len() {
        bail!("{} files have no size", files.len() - sizes.len());
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_first_load_follows_static_imports_only() {
        let metafile = json!({ "outputs": {
            "pkg/dist/index.js": {
                "entryPoint": "src/js/index.ts",
                "inputs": { "src/js/index.ts": {} },
                "imports": [
                    { "path": "pkg/dist/chunk-1.js", "kind": "import-statement" },
                    { "path": "pkg/dist/relaxed.js", "kind": "dynamic-import" },
                    { "path": "node:fs", "kind": "import-statement", "external": true },
                ],
            },
            "pkg/dist/chunk-1.js": {
                "inputs": { "src/js/shared.ts": {} },
                "imports": [{ "path": "pkg/dist/chunk-1.js", "kind": "import-statement" }],
            },
            "pkg/dist/relaxed.js": { "entryPoint": "relaxed.ts", "inputs": {}, "imports": [] },
            "pkg/dist/simd128.js": { "entryPoint": "simd128.ts", "inputs": {}, "imports": [] },
        }});
        let budget = json!({ "modules": ["src/js/index.ts", "src/js/shared.ts"] });
        let variant = json!({ "modules": ["simd128.ts"], "files": ["dist/simd128.wasm"] });
        let loaded = first_load(&metafile, &budget, &variant).unwrap();
        assert_eq!(names(&loaded), "chunk-1.js, index.js, simd128.js, simd128.wasm");

        let wrong = json!({ "modules": ["src/js/gone.ts"] });
        let message = first_load(&metafile, &wrong, &variant).unwrap_err().to_string();
        assert!(message.contains("src/js/gone.ts"), "{message}");
    }
}
