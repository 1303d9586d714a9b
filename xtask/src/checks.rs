//! `cargo xtask ready`: all that has to hold before a commit. CI runs the same.

use anyhow::Result;

use crate::shell::{aside, cargo, node, run, say};
use crate::{suites, tools, wasm};

/// A check and the words for it in the list of those that failed.
type Check = (&'static str, fn() -> Result<()>);

const FORMATS: &[Check] = &[
    ("Rust's format (cargo fmt --all)", || run(cargo().args(["fmt", "--all", "--check"]))),
    ("format of the rest (npx prettier --write .)", || {
        let prettier = "node_modules/prettier/bin/prettier.cjs";
        run(node().args([prettier, "--check", "--log-level", "warn", "."]))
    }),
];

/// After the tests: lints have work for all processors, while many tests and much of a build have
/// work for one. Those go together.
const LINTS: &[Check] = &[
    ("clippy", || {
        let arguments = ["clippy", "--locked", "--workspace", "--all-targets"];
        run(cargo().args(arguments).args(["--", "-D", "warnings"]))
    }),
    ("clippy for wasm32", || {
        // The core binaries differ by features, and so by the code that is compiled.
        let cores = wasm::BINARIES.iter().filter(|binary| binary.crate_folder == ".");
        cores.into_iter().try_for_each(wasm::clippy)
    }),
];

/// Commands of this program that run beside the tests that need no package. Cargo locks a folder for
/// each profile, so that neither side waits for the other.
const ASIDE: &[&str] = &[BUILD, "size"];
const BUILD: &str = "build";

/// Runs every check and every test, and prints the tests' sum on the last line. Whether nothing
/// failed.
pub fn ready() -> Result<bool> {
    let mut failed = Vec::new();
    // First, since both sides need them.
    failed.extend(failure(&("tools", || {
        tools::node_modules()?;
        tools::wasm_tools().map(drop)
    })));
    say(&format!("{}: beside what follows, told when done", ASIDE.join(", ")));
    let package = aside(ASIDE)?;
    failed.extend(FORMATS.iter().filter_map(failure));
    let mut rows = suites::run(|suite| !suite.needs_package, None);
    failed.extend(LINTS.iter().filter_map(failure));

    let failed_aside = package.tell();
    let built = match failed_aside.contains(&BUILD) {
        false => Ok(()),
        true => Err("see above".to_owned()),
    };
    failed.extend(failed_aside);
    rows.extend(suites::run(|suite| suite.needs_package && suite.is_usual(), Some(built)));
    if !failed.is_empty() {
        // Before the tests' sum, which stays the last line.
        println!("\nnot ready: {}", failed.join("; "));
    }
    Ok(suites::report(&rows) && failed.is_empty())
}

/// The check's name if it fails.
fn failure((name, check): &Check) -> Option<&'static str> {
    say(name);
    let error = check().err()?;
    eprintln!("error: {error:#}");
    Some(name)
}
