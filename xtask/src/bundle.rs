//! `cargo xtask build`: the npm package in pkg/ and the demo page in www/dist/.

use std::path::Path;

use anyhow::Result;

use crate::{
    shell::{node, run, say},
    tools, wasm,
};

/// What to build.
#[derive(Default)]
pub struct Options {
    /// Keep function names in the wasm files.
    pub names: bool,
    /// Stop after the wasm files and their glue.
    pub wasm_only: bool,
    /// Build only these wasm files; the others stay as they were.
    pub only: Vec<String>,
    /// Without link-time optimization and wasm-opt, and what is slow to build not at all.
    pub quick: bool,
}

/// Builds the wasm files, the package around them and the page that shows it.
pub fn build(options: Options) -> Result<()> {
    tools::node_modules()?;
    let tools = tools::wasm_tools()?;
    if options.quick || !options.only.is_empty() {
        wasm::build_some(&tools, &options.only, options.quick, options.names)?;
    } else {
        wasm::build_all(&tools, options.names)?;
    }
    if options.wasm_only {
        return Ok(());
    }
    say("bundling src/js into pkg/");
    run(node().args(["pkg-config/bundle.mjs", "package"]))?;
    say("bundling www/ into www/dist/");
    run(node().args(["pkg-config/bundle.mjs", "page"]))
}

/// Fails with a hint unless the package was built.
pub fn is_built() -> Result<()> {
    if !Path::new("pkg/package.json").is_file() {
        anyhow::bail!("pkg/ has not been built: run `cargo xtask build` first");
    }
    Ok(())
}
