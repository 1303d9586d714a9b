//! `cargo xtask ready`: all that has to hold before a commit. CI runs the same.

use anyhow::Result;

use crate::shell::{cargo, node, run, say};
use crate::{bundle, size, suites, tools, wasm};

/// A check and the words for it in the list of those that failed.
type Check = (&'static str, fn() -> Result<()>);

const BUILD: &str = "build";

const CHECKS: &[Check] = &[
    ("Rust's format (cargo fmt --all)", || run(cargo().args(["fmt", "--all", "--check"]))),
    ("clippy", || {
        let arguments = ["clippy", "--locked", "--workspace", "--all-targets"];
        run(cargo().args(arguments).args(["--", "-D", "warnings"]))
    }),
    ("clippy for wasm32", || {
        tools::wasm_target()?;
        // The core binaries differ by features, and so by the code that is compiled.
        let cores = wasm::BINARIES.iter().filter(|binary| binary.crate_folder == ".");
        tools::rust_src()?;
        cores.into_iter().try_for_each(wasm::clippy)
    }),
    ("format of the rest (npx prettier --write .)", || {
        tools::node_modules()?;
        let prettier = "node_modules/prettier/bin/prettier.cjs";
        run(node().args([prettier, "--check", "--log-level", "warn", "."]))
    }),
    (BUILD, || bundle::build(bundle::Options::default())),
    ("size", size::size),
];

/// Runs every check, then every test, and prints the tests' sum on the last line. Whether nothing
/// failed.
pub fn ready() -> Result<bool> {
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        say(name);
        if let Err(error) = check() {
            eprintln!("error: {error:#}");
            failed.push(*name);
        }
    }
    if !failed.is_empty() {
        // Before the tests: their sum stays the last line.
        println!("\nnot ready: {}", failed.join("; "));
    }
    Ok(suites::test(&[], !failed.contains(&BUILD))? && failed.is_empty())
}
