//! `cargo xtask bench`: how fast operators and models are, natively and in Chromium, and beside
//! other runtimes. No test measures time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::shell::{cargo, node, output_of, run, say, target_dir};
use crate::{bundle, tools, wasm};

const CRATE: &str = "crates/bench";
const DEFAULT_MODEL: &str = "models/efficientnet-lite0-int8.tflite";
/// The build that runs outside of a browser.
const NATIVE: &str = "native";
/// The core binaries that run in the page's own thread.
const CORES: &[&str] = &["simd128", "relaxed"];

/// What to measure.
pub struct Options {
    /// Models besides the default one.
    pub models: Vec<PathBuf>,
    /// Builds by name; all if empty.
    pub only: Vec<String>,
    /// Runs of each model.
    pub runs: u32,
    /// Leave the operators out.
    pub models_only: bool,
    /// Where to write all that was measured.
    pub json: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { models: Vec::new(), only: Vec::new(), runs: 30, models_only: false, json: None }
    }
}

/// One build of the bench crate and how to ask it.
struct Build {
    name: &'static str,
    program: PathBuf,
}

impl Build {
    /// What the bench crate answers to `arguments`.
    fn ask(&self, arguments: &[&str]) -> Result<Value> {
        say(&format!("{}: {}", self.name, arguments.join(" ")));
        let output = if self.name == NATIVE {
            output_of(std::process::Command::new(&self.program).args(arguments))?
        } else {
            let browser = tools::browser()?;
            let mut page = node();
            page.arg("tests/bench/run.mjs").arg(&self.program).args(arguments);
            output_of(page.env("ACHADO_CHROMIUM", &browser.chromium))?
        };
        serde_json::from_str(&output).with_context(|| format!("{} answered no JSON", self.name))
    }
}

/// Measures this engine's builds and prints tables.
pub fn bench(options: &Options) -> Result<()> {
    let builds = builds(&options.only)?;
    let mut results = Map::new();
    if !options.models_only {
        let found = each(&builds, &["operators"])?;
        print!("\n{}", operators_table(&found)?);
        results.insert("operators".into(), json!(found));
    }
    let runs = options.runs.to_string();
    for file in models(&options.models)? {
        let file = file.to_string_lossy().into_owned();
        let found = each(&builds, &["model", &runs, &file])?;
        print!("\n{}", model_table(&file, &found)?);
        results.insert(file, json!(found));
    }
    if let Some(file) = &options.json {
        std::fs::write(file, format!("{:#}\n", Value::Object(results)))?;
    }
    Ok(())
}

/// The answers of all builds, by name in their order.
fn each<'a>(builds: &'a [Build], arguments: &[&str]) -> Result<Vec<(&'a str, Value)>> {
    builds.iter().map(|build| Ok((build.name, build.ask(arguments)?))).collect()
}

fn builds(only: &[String]) -> Result<Vec<Build>> {
    let cores: Vec<_> =
        wasm::BINARIES.iter().filter(|binary| CORES.contains(&binary.name)).collect();
    let names: Vec<_> = [NATIVE].into_iter().chain(cores.iter().map(|core| core.name)).collect();
    if let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("there is no build `{unknown}`; there are {}", names.join(", "));
    }
    let wanted = |name: &str| only.is_empty() || only.iter().any(|one| one == name);
    let mut builds = Vec::new();
    if wanted(NATIVE) {
        run(cargo().args(["build", "--locked", "--release", "-p", "achado-bench", "--bins"]))?;
        let program = target_dir().join("release/achado-bench");
        builds.push(Build { name: NATIVE, program });
    }
    tools::node_modules()?;
    for core in cores.into_iter().filter(|core| wanted(core.name)) {
        let out = target_dir().join("bench").join(core.name);
        core.build_crate(&tools::wasm_tools()?, CRATE, &out, false)?;
        builds.push(Build { name: core.name, program: out });
    }
    Ok(builds)
}

/// The default model, the shared ones where there are any, and those that were named.
fn models(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = vec![PathBuf::from(DEFAULT_MODEL)];
    let mut shared = Vec::new();
    for entry in shared_models().iter().flat_map(|folder| folder.read_dir()).flatten() {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "tflite") {
            shared.push(file);
        }
    }
    shared.sort();
    files.extend(shared);
    files.extend(named.iter().cloned());
    Ok(files)
}

/// Models that are too large for the repository, with a manifest.
fn shared_models() -> Option<PathBuf> {
    let shared =
        std::env::var_os("ACHADO_SHARED").map_or_else(|| "../shared".into(), PathBuf::from);
    let folder = shared.join("bench/models");
    folder.join("manifest.json").is_file().then_some(folder)
}

/// Rows of operators and layers; for each build GMAC/s and the share of the ceiling.
fn operators_table(found: &[(&str, Value)]) -> Result<String> {
    let mut text = String::new();
    for (build, answer) in found {
        let ceilings = answer["ceilings"].as_object().context("no ceilings")?;
        let ceilings: Vec<_> =
            ceilings.iter().map(|(name, gmacs)| format!("{name} {}", fixed(gmacs, 1))).collect();
        text += &format!("{build} ceilings, GMAC/s: {}\n", ceilings.join(", "));
    }
    text += &format!("\n{:<22} {:<26}", "GMAC/s", "layer");
    for (build, _) in found {
        text += &format!(" {build:>8} share");
    }
    text.push('\n');
    let first = found.first().context("nothing was measured")?;
    for (index, row) in rows(&first.1, "operators")?.iter().enumerate() {
        text += &format!("{:<22} {:<26}", word(row, "operator"), word(row, "layer"));
        for (_, answer) in found {
            let row = &rows(answer, "operators")?[index];
            let share = row["share"].as_f64().map_or("-".into(), |x| format!("{:.0}%", x * 100.0));
            text += &format!(" {:>8} {share:>5}", fixed(&row["gmacs"], 1));
        }
        text.push('\n');
    }
    Ok(text)
}

/// Times of each build, then where they go by operator and kernel.
fn model_table(file: &str, found: &[(&str, Value)]) -> Result<String> {
    let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
    let mut text = format!("{name}\n");
    text += &format!(
        "{:<10} {:>9} {:>9} {:>9} {:>9}\n",
        "build", "pack ms", "median ms", "min ms", "memory MB"
    );
    for (build, answer) in found {
        if let Some(error) = answer["error"].as_str() {
            text += &format!("{build:<10} {error}\n");
            continue;
        }
        let memory = answer["memoryBytes"].as_f64().map(|bytes| bytes / 1e6);
        text += &format!(
            "{build:<10} {:>9} {:>9} {:>9} {:>9}\n",
            fixed(&answer["packMs"], 1),
            fixed(&answer["medianMs"], 2),
            fixed(&answer["minMs"], 2),
            fixed(&json!(memory), 1),
        );
    }
    for (build, answer) in found.iter().filter(|(_, answer)| answer["error"].is_null()) {
        text += &format!(
            "{:<10} {:<24} {:<34} {:>5} {:>8} {:>6} {:>7}\n",
            build, "operator", "kernel", "count", "ms", "share", "GMAC/s"
        );
        for line in profile_lines(rows(answer, "profile")?) {
            text += &format!("{:<10} {line}\n", "");
        }
    }
    Ok(text)
}

/// Operators of one name and kernel together, the slowest first.
fn profile_lines(profile: &[Value]) -> Vec<String> {
    #[derive(Default)]
    struct Sum {
        count: usize,
        ms: f64,
        gmac: f64,
    }
    let mut sums = BTreeMap::<(&str, &str), Sum>::new();
    for row in profile {
        let sum = sums.entry((word(row, "operator"), word(row, "kernel"))).or_default();
        let ms = row["ms"].as_f64().unwrap_or_default();
        sum.count += 1;
        sum.ms += ms;
        // No time, no speed: JSON has no infinity.
        sum.gmac += row["gmacs"].as_f64().unwrap_or_default() * ms * 1e-3;
    }
    let total: f64 = sums.values().map(|sum| sum.ms).sum();
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by(|(_, a), (_, b)| b.ms.total_cmp(&a.ms));
    let line = |((operator, kernel), Sum { count, ms, gmac }): ((&str, &str), Sum)| {
        let share = ms / total * 100.0;
        let speed = if gmac > 0.0 { format!("{:.1}", gmac / ms * 1e3) } else { "-".into() };
        format!("{operator:<24} {kernel:<34} {count:>5} {ms:>8.3} {share:>5.1}% {speed:>7}")
    };
    sums.into_iter().map(line).collect()
}

fn rows<'a>(answer: &'a Value, name: &str) -> Result<&'a Vec<Value>> {
    answer[name].as_array().with_context(|| format!("the answer has no {name}"))
}

fn word<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or("-")
}

fn fixed(value: &Value, digits: usize) -> String {
    value.as_f64().map_or("-".into(), |value| format!("{value:.digits$}"))
}

/// Measures the built package beside other runtimes. `arguments` are those of
/// tests/peers/run.mjs.
pub fn peers(arguments: &[std::ffi::OsString]) -> Result<()> {
    tools::node_modules()?;
    bundle::is_built()?;
    tools::peers()?;
    let browser = tools::browser()?;
    let mut command = node();
    command.arg("tests/peers/run.mjs");
    let chooses = arguments.iter().any(|argument| argument == "--models");
    if let Some(folder) = shared_models().filter(|_| !chooses) {
        command.arg("--models").arg(folder);
    }
    run(command.args(arguments).env("ACHADO_CHROMIUM", &browser.chromium))
}

/// Makes the networks of scripts/zoo in `folder`, where they are missing, and measures them beside other
/// runtimes. `arguments` are those of tests/peers/run.mjs; all of the folder, or those that `--networks`
/// names.
pub fn zoo(folder: &Path, arguments: &[std::ffi::OsString]) -> Result<()> {
    let names = arguments.iter().position(|argument| argument == "--networks");
    let names = names.and_then(|at| arguments.get(at + 1)).map(|names| names.to_string_lossy());
    let mut make = std::process::Command::new("python3");
    make.arg("scripts/zoo/make.py").arg(folder);
    make.args(names.iter().flat_map(|names| names.split(',')));
    run(&mut make)?;
    let mut all = vec!["--models".into(), folder.into()];
    all.extend_from_slice(arguments);
    peers(&all)
}

/// Measures the built package: start, runs by threads, memory. `arguments` are those of
/// tests/bench/package.mjs.
pub fn package(arguments: &[std::ffi::OsString]) -> Result<()> {
    tools::node_modules()?;
    bundle::is_built()?;
    let browser = tools::browser()?;
    let mut command = node();
    command.arg("tests/bench/package.mjs").args(arguments);
    run(command.env("ACHADO_CHROMIUM", &browser.chromium))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_summed_by_operator_and_kernel() {
        let row = |operator: &str, ms: f64, gmacs: Value| json!({ "operator": operator, "kernel": "k", "name": "t", "ms": ms, "gmacs": gmacs });
        let profile = [
            row("ADD", 1.0, Value::Null),
            row("CONV_2D", 2.0, json!(30.0)),
            row("CONV_2D", 1.0, json!(15.0)),
        ];
        let lines = profile_lines(&profile);
        let words: Vec<Vec<_>> =
            lines.iter().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[0], ["CONV_2D", "k", "2", "3.000", "75.0%", "25.0"]);
        assert_eq!(words[1], ["ADD", "k", "1", "1.000", "25.0%", "-"]);
    }

    #[test]
    fn operators_stand_in_one_row_for_all_builds() {
        let answer = |gmacs: f64| {
            json!({
                "ceilings": { "i16 dot": 40.0 },
                "operators": [{
                    "operator": "conv2d int8", "layer": "pointwise", "gmacs": gmacs,
                    "share": gmacs / 40.0,
                }],
            })
        };
        let table =
            operators_table(&[("native", answer(10.0)), ("simd128", answer(30.0))]).unwrap();
        assert!(table.contains("native ceilings, GMAC/s: i16 dot 40.0"), "{table}");
        let row: Vec<_> = table.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(row, ["conv2d", "int8", "pointwise", "10.0", "25%", "30.0", "75%"]);
    }
}
