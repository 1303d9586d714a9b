//! `cargo xtask test`: every suite, one after the other, and their sum.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::counts::{Counts, of_node, of_rust};
use crate::shell::{cargo, node, output_of, path_with, say, target_dir, watched};
use crate::{bundle, tools, wasm};

/// A group of tests that one program runs.
pub struct Suite {
    name: &'static str,
    what: &'static str,
    pub needs_package: bool,
    run: fn() -> Result<Outcome>,
}

impl Suite {
    /// Whether it is one of every run.
    pub fn is_usual(&self) -> bool {
        !ON_REQUEST.contains(&self.name)
    }
}

/// A suite's name, what came of it, and its seconds.
pub type Row = (&'static str, Outcome, f64);

/// What a suite's programs said.
#[derive(Default)]
pub struct Outcome {
    counts: Counts,
    /// Why the suite failed although no test did: it did not compile, a program crashed.
    complaint: Option<String>,
}

const SUITES: &[Suite] = &[
    Suite { name: "native", what: "cargo test", needs_package: false, run: native },
    Suite {
        name: "wasm-node",
        what: "wasm-bindgen-test under Node, for each core binary's features that it has",
        needs_package: false,
        run: wasm_node,
    },
    Suite {
        name: "wasm-chromium",
        what: "wasm-bindgen-test in headless Chromium, likewise",
        needs_package: false,
        run: wasm_chromium,
    },
    Suite { name: "types", what: "tsc on each project", needs_package: true, run: types },
    Suite {
        name: "node",
        what: "the package and its command line in Node (tests/node)",
        needs_package: true,
        run: || node_tests("tests/node"),
    },
    Suite {
        name: "packaging",
        what: "the packed package in projects of its users (tests/packaging)",
        needs_package: true,
        run: || node_tests("tests/packaging"),
    },
    Suite {
        name: "browser",
        what: "the page in headless Chromium by Playwright (tests/browser)",
        needs_package: true,
        run: || node_tests("tests/browser"),
    },
    Suite {
        name: "integrations",
        what: "the package in other versions of tools, which npm installs (tests/integrations)",
        needs_package: true,
        run: || node_tests("tests/integrations"),
    },
    Suite {
        name: "firefox",
        what: "the package and the page in Firefox (tests/engines)",
        needs_package: true,
        run: || engine_tests("firefox", &["firefox-esr"], &["firefox-esr"]),
    },
    Suite {
        name: "webkit",
        what: "the package and the page in WebKitGTK (tests/engines)",
        needs_package: true,
        run: || {
            let programs = ["WebKitWebDriver", "Xvfb"];
            engine_tests("webkit", &programs, &["webkit2gtk-driver", "xvfb"])
        },
    },
];

/// Suites that run by name alone.
const ON_REQUEST: &[&str] = &["integrations", "firefox", "webkit"];

/// TypeScript projects: the package and the page.
const TYPESCRIPT_PROJECTS: &[&str] = &["src/js/tsconfig.json", "www/tsconfig.json"];

/// Prints the suites' names.
pub fn list() {
    for suite in SUITES {
        println!("{:<14} {}", suite.name, suite.what);
    }
}

/// Runs the suites with these names, or all of them, and prints the sum on the last line. Whether
/// nothing failed.
pub fn test(only: &[String]) -> Result<bool> {
    if let Some(unknown) = only.iter().find(|name| SUITES.iter().all(|s| s.name != **name)) {
        let names: Vec<_> = SUITES.iter().map(|suite| suite.name).collect();
        bail!("there is no suite `{unknown}`; there are {}", names.join(", "));
    }
    let chosen = |suite: &Suite| {
        if only.is_empty() { suite.is_usual() } else { only.iter().any(|name| name == suite.name) }
    };
    Ok(report(&run(chosen, None)))
}

/// Runs the suites that are `chosen`.
///
/// The package is built when the first suite needs it, unless the caller says what came of that.
pub fn run(chosen: impl Fn(&Suite) -> bool, mut built: Option<Result<(), String>>) -> Vec<Row> {
    let mut rows = Vec::new();
    for suite in SUITES.iter().filter(|suite| chosen(suite)) {
        let start = Instant::now();
        let ready = if suite.needs_package {
            built
                .get_or_insert_with(|| {
                    bundle::build(bundle::Options::default()).map_err(|error| format!("{error:#}"))
                })
                .clone()
        } else {
            Ok(())
        };
        say(&format!("suite {}: {}", suite.name, suite.what));
        let outcome = match ready {
            Ok(()) => (suite.run)().unwrap_or_else(|error| complaint(format!("{error:#}"))),
            Err(error) => complaint(format!("the package was not built: {error}")),
        };
        rows.push((suite.name, judge(outcome), start.elapsed().as_secs_f64()));
    }
    rows
}

fn complaint(text: String) -> Outcome {
    Outcome { counts: Counts::default(), complaint: Some(text) }
}

/// A suite that complains without a failed test, or that ran none, counts as one failure.
fn judge(mut outcome: Outcome) -> Outcome {
    if outcome.complaint.is_none() && outcome.counts.passed + outcome.counts.failed == 0 {
        outcome.complaint = Some("ran no test".to_owned());
    }
    if outcome.complaint.is_some() && outcome.counts.failed == 0 {
        outcome.counts.failed = 1;
    }
    outcome
}

/// Prints what came of the suites, and the sum on the last line. Whether nothing failed.
pub fn report(rows: &[Row]) -> bool {
    let mut sum = Counts::default();
    println!("\n{:<14} {:>7} {:>7} {:>8} {:>8}", "suite", "passed", "failed", "skipped", "seconds");
    for (name, outcome, seconds) in rows {
        let Counts { passed, failed, skipped } = outcome.counts;
        println!("{name:<14} {passed:>7} {failed:>7} {skipped:>8} {seconds:>8.1}");
        if let Some(complaint) = &outcome.complaint {
            println!("  {}", complaint.replace('\n', "\n  "));
        }
        sum += outcome.counts;
    }
    println!("\n{sum}");
    sum.failed == 0
}

/// Runs one program and adds its counts.
fn add(outcome: &mut Outcome, command: &mut Command, read: fn(&str) -> Counts) -> Result<()> {
    let (output, success) = watched(command)?;
    let counts = read(&output);
    outcome.counts += counts;
    if !success && counts.failed == 0 {
        let program = command.get_program().to_string_lossy().into_owned();
        outcome.complaint = Some(format!("{program} failed outside of its tests, see above"));
    }
    Ok(())
}

fn native() -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let arguments = ["test", "--locked", "--workspace", "--no-fail-fast"];
    add(&mut outcome, cargo().args(arguments), of_rust)?;
    Ok(outcome)
}

fn wasm_node() -> Result<Outcome> {
    // Node 20 has no relaxed SIMD.
    wasm_pack_test(&["--node"], &[], |binary| !binary.target_features.contains(&"+relaxed-simd"))
}

fn wasm_chromium() -> Result<Outcome> {
    let browser = tools::browser()?;
    let webdriver = webdriver_configuration(&browser.chromium)?;
    let driver = browser.driver.to_string_lossy();
    wasm_pack_test(
        &["--headless", "--chrome", "--chromedriver", &driver],
        &[
            // Suites that name no place run in Node by themselves, and here in the browser.
            ("WASM_BINDGEN_USE_BROWSER", Path::new("1")),
            ("WASM_BINDGEN_TEST_WEBDRIVER_JSON", &webdriver),
        ],
        |_| true,
    )
}

/// `wasm-pack test` on every crate that has wasm tests, once for the features of each core binary
/// that the place runs.
fn wasm_pack_test(
    place: &[&str],
    environment: &[(&str, &Path)],
    runs: impl Fn(&wasm::Binary) -> bool,
) -> Result<Outcome> {
    tools::node_modules()?;
    let tools = tools::wasm_tools()?;
    let path = path_with(&tools.folders)?;
    let mut outcome = Outcome::default();
    for binary in wasm::BINARIES.iter().filter(|binary| binary.tested && runs(binary)) {
        for crate_folder in crates_with_wasm_tests()? {
            let mut command = Command::new(&tools.wasm_pack);
            command.args(["--log-level", "warn", "test", "--mode", "no-install"]).args(place);
            command.arg(&crate_folder).arg("--locked");
            command.args(binary.cargo_arguments);
            binary.configure(command.env("PATH", &path))?;
            // Whole networks run in one test; twenty seconds are the default.
            command.env("WASM_BINDGEN_TEST_TIMEOUT", "600").envs(environment.iter().copied());
            add(&mut outcome, &mut command, of_rust)?;
        }
    }
    Ok(outcome)
}

/// Folders of the workspace's crates that depend on wasm-bindgen-test.
fn crates_with_wasm_tests() -> Result<Vec<PathBuf>> {
    let metadata =
        output_of(cargo().args(["metadata", "--locked", "--no-deps", "--format-version=1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let has_tests = |package: &&serde_json::Value| {
        package["dependencies"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["name"] == "wasm-bindgen-test"))
    };
    Ok(packages
        .iter()
        .filter(has_tests)
        .filter_map(|package| Path::new(package["manifest_path"].as_str()?).parent())
        .map(Path::to_owned)
        .collect())
}

/// pkg-config/webdriver.json with the browser's path, written below the build folder.
fn webdriver_configuration(chromium: &Path) -> Result<PathBuf> {
    let text = std::fs::read_to_string("pkg-config/webdriver.json")?;
    let mut configuration: serde_json::Value = serde_json::from_str(&text)?;
    configuration["goog:chromeOptions"]["binary"] = chromium.to_string_lossy().into();
    let folder = std::path::absolute(target_dir())?;
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("webdriver.json");
    std::fs::write(&file, configuration.to_string())?;
    Ok(file)
}

fn types() -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for project in TYPESCRIPT_PROJECTS {
        let mut tsc = node();
        tsc.args(["node_modules/typescript/bin/tsc", "-p", project]);
        match watched(&mut tsc)? {
            (_, true) => outcome.counts.passed += 1,
            (_, false) => outcome.counts.failed += 1,
        }
    }
    Ok(outcome)
}

/// `tests/engines/NAME.test.mjs`, with the programs of a browser that Debian has as `packages`.
fn engine_tests(name: &str, programs: &[&str], packages: &[&str]) -> Result<Outcome> {
    tools::debian(programs, packages)?;
    tools::node_modules()?;
    let mut outcome = Outcome::default();
    let mut command = node();
    command.args(["--test", "--test-reporter=spec"]);
    command.arg(format!("tests/engines/{name}.test.mjs"));
    add(&mut outcome, &mut command, of_node)?;
    Ok(outcome)
}

/// `node --test` on a folder's `*.test.mjs` files.
fn node_tests(folder: &str) -> Result<Outcome> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("{folder} cannot be read"))? {
        let file = entry?.path();
        if file.to_string_lossy().ends_with(".test.mjs") {
            files.push(file);
        }
    }
    files.sort();
    let browser = tools::browser()?;
    let mut outcome = Outcome::default();
    if !files.is_empty() {
        let mut command = node();
        // One file at a time: each starts browsers or servers of its own, and times are measured.
        command.args(["--test", "--test-concurrency=1", "--test-reporter=spec"]);
        command.args(&files).env("ACHADO_CHROMIUM", &browser.chromium);
        add(&mut outcome, &mut command, of_node)?;
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_without_tests_or_with_a_complaint_is_a_failure() {
        assert_eq!(judge(Outcome::default()).counts.failed, 1);
        let passed = Counts { passed: 4, ..Counts::default() };
        let complaining = Outcome { counts: passed, complaint: Some("crashed".into()) };
        assert_eq!(judge(complaining).counts.failed, 1);
        assert_eq!(judge(Outcome { counts: passed, complaint: None }).counts, passed);
        let skipped = Counts { skipped: 2, ..Counts::default() };
        assert_eq!(judge(Outcome { counts: skipped, complaint: None }).counts.failed, 1);
    }

    #[test]
    fn only_known_suites_can_be_chosen() {
        let message = test(&["nativ".into()]).unwrap_err().to_string();
        assert!(message.contains("no suite `nativ`") && message.contains("native"), "{message}");
    }

    #[test]
    fn one_failure_makes_the_run_fail() {
        let failed = judge(Outcome::default());
        assert!(!report(&[("native", failed, 0.1)]));
        let counts = Counts { passed: 1, ..Counts::default() };
        assert!(report(&[("native", Outcome { counts, complaint: None }, 0.1)]));
    }
}
