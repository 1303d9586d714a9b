//! What the commands need beyond Rust and Node, and how it is installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{self, cargo, find_program, output_of, run, say};

/// The target that browsers run.
pub const WASM_TARGET: &str = "wasm32-unknown-unknown";

const WASM_PACK_VERSION: &str = "0.15.1";

/// The version of cargo-fuzz that is installed.
const CARGO_FUZZ_VERSION: &str = "0.13.2";

/// Programs that turn the wasm32 build into something that JavaScript can load.
pub struct WasmTools {
    /// `wasm-pack`.
    pub wasm_pack: PathBuf,
    /// Folders that `wasm-pack` needs on PATH to find `wasm-bindgen` without a download.
    pub folders: Vec<PathBuf>,
}

/// Chromium and the driver by which wasm-bindgen's test runner controls it.
pub struct Browser {
    /// The browser.
    pub chromium: PathBuf,
    /// `chromedriver`, of the same version.
    pub driver: PathBuf,
}

/// The standard library for wasm32, by rustup.
pub fn wasm_target() -> Result<()> {
    let print = ["--print", "target-libdir", "--target", WASM_TARGET];
    let folder = output_of(Command::new("rustc").args(print))?;
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    if find_program("rustup").is_none() {
        bail!(
            "Rust's {WASM_TARGET} target is missing and there is no rustup to add it; install Rust \
             by rustup, or the target by the way that Rust was installed"
        );
    }
    say(&format!("installing Rust's {WASM_TARGET} target: browsers run wasm32"));
    run(Command::new("rustup").args(["target", "add", WASM_TARGET]))
}

/// The standard library's source, by rustup: threads need it compiled with atomics.
pub fn rust_src() -> Result<()> {
    let sysroot = output_of(Command::new("rustc").args(["--print", "sysroot"]))?;
    let lock = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock");
    if lock.is_file() {
        return Ok(());
    }
    if find_program("rustup").is_none() {
        bail!(
            "the standard library's source is missing and there is no rustup to add it; install \
             Rust by rustup, or its rust-src by the way that Rust was installed"
        );
    }
    say("installing Rust's rust-src: the cores with threads are built with it");
    run(Command::new("rustup").args(["component", "add", "rust-src"]))
}

/// `wasm-bindgen` and `wasm-pack`, built once by cargo into the cache folder.
pub fn wasm_tools() -> Result<WasmTools> {
    wasm_target()?;
    rust_src()?;
    let lock = std::fs::read_to_string("Cargo.lock").context("Cargo.lock cannot be read")?;
    let bindgen = locked_version(&lock, "wasm-bindgen")
        .context("Cargo.lock has no wasm-bindgen, so its program's version is not known")?;
    // The program reads what the crate of the very same version wrote.
    let bindgen = cargo_tool("wasm-bindgen", "wasm-bindgen-cli", bindgen, "writes the glue")?;
    let pack = cargo_tool("wasm-pack", "wasm-pack", WASM_PACK_VERSION, "builds and tests wasm")?;
    Ok(WasmTools { wasm_pack: pack.join("wasm-pack"), folders: vec![bindgen, pack] })
}

/// The folder of `cargo-fuzz`, built once by cargo into the cache folder.
pub fn cargo_fuzz() -> Result<PathBuf> {
    cargo_tool("cargo-fuzz", "cargo-fuzz", CARGO_FUZZ_VERSION, "builds and runs what is fuzzed")
}

/// The cache folder's `bin` of one program, installed if it is not there.
fn cargo_tool(program: &str, package: &str, version: &str, what_for: &str) -> Result<PathBuf> {
    let folder = cache_dir()?.join("tools").join(format!("{program}-{version}"));
    let bin = folder.join("bin");
    if bin.join(program).is_file() {
        return Ok(bin);
    }
    say(&format!(
        "installing {package} {version} into {} (it {what_for}; takes some minutes, once)",
        folder.display()
    ));
    // Its own build folder: it must not fill, nor wait for, that of the workspace.
    let build = folder.join("build");
    run(cargo()
        .args(["install", package, "--version", version, "--root"])
        .arg(&folder)
        .env("CARGO_TARGET_DIR", &build)
        // They run for seconds, so what counts is how fast they compile.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
    std::fs::remove_dir_all(&build).ok();
    Ok(bin)
}

fn cache_dir() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set, so there is no place for tools")?;
    Ok(base.join("achado"))
}

/// The version that Cargo.lock gives a package.
fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let entry = format!("name = \"{package}\"\nversion = \"");
    let (_, rest) = lock.split_once(&entry)?;
    rest.split('"').next()
}

/// node_modules/, exactly as package-lock.json says.
pub fn node_modules() -> Result<()> {
    let version = output_of(shell::node().arg("--version"))
        .context("Node is missing: install Node 20.19 or newer, with npm")?;
    if !node_is_new_enough(version.trim()) {
        bail!("Node {} is too old: 20.19 or newer is needed", version.trim());
    }
    npm_ci("", "TypeScript, esbuild, wasm-opt, Prettier, Playwright")
}

/// tests/peers/node_modules/: the runtimes that this one is measured against.
pub fn peers() -> Result<()> {
    npm_ci("tests/peers/", "LiteRT.js, ONNX Runtime Web, TensorFlow.js, MediaPipe (some 300 MB)")
}

/// `node_modules/` of a folder, whose name ends in a slash or is empty for the root's.
fn npm_ci(folder: &str, packages: &str) -> Result<()> {
    // npm's own marker has another form than the lock, so the lock that was installed is kept.
    let marker = format!("{folder}node_modules/.installed-lock.json");
    let lock = format!("{folder}package-lock.json");
    let lock = std::fs::read(&lock).with_context(|| format!("{lock} cannot be read"))?;
    if std::fs::read(&marker).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    say(&format!("installing npm packages into {folder}node_modules/: {packages}"));
    // Scripts would download; the packages carry their programs already.
    let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    run(Command::new("npm").args(arguments).current_dir(Path::new(".").join(folder)))?;
    std::fs::write(marker, lock)?;
    Ok(())
}

fn node_is_new_enough(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (20, 19),
        _ => false,
    }
}

/// Chromium and chromedriver: from the environment, from PATH, or by apt-get.
pub fn browser() -> Result<Browser> {
    if let Some(browser) = find_browser()? {
        return Ok(browser);
    }
    let remedy = "elsewhere install both, of the same version, and name them by ACHADO_CHROMIUM and \
                  CHROMEDRIVER";
    install(&["chromium", "chromium-driver"], remedy)?;
    find_browser()?.context("chromium was installed and is still not found on PATH")
}

/// Programs of Debian's packages: from PATH, or by apt-get.
pub fn debian(programs: &[&str], packages: &[&str]) -> Result<()> {
    if programs.iter().all(|program| find_program(program).is_some()) {
        return Ok(());
    }
    install(packages, "elsewhere have them on PATH")
}

/// Installs packages by apt-get where that is possible.
fn install(packages: &[&str], remedy: &str) -> Result<()> {
    let names = packages.join(" ");
    let debian = std::fs::read_to_string("/etc/os-release")
        .is_ok_and(|text| text.lines().any(|line| line == "ID=debian"));
    let is_root = output_of(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !(debian && is_root) {
        bail!("the tests need {names}: on Debian `sudo apt-get install {names}`; {remedy}");
    }
    say(&format!("installing {names} by apt-get: browser tests run in them"));
    let apt = |arguments: &[&str]| {
        run(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "-q"])?;
    apt(&[&["install", "-q", "-y", "--no-install-recommends"], packages].concat())
}

fn find_browser() -> Result<Option<Browser>> {
    let chromium = named(&["ACHADO_CHROMIUM", "CHROME"])?.or_else(|| {
        ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"]
            .into_iter()
            .find_map(find_program)
    });
    let driver = named(&["CHROMEDRIVER"])?.or_else(|| find_program("chromedriver"));
    Ok(chromium.zip(driver).map(|(chromium, driver)| Browser { chromium, driver }))
}

/// The file that the first of these variables names.
fn named(variables: &[&str]) -> Result<Option<PathBuf>> {
    for variable in variables {
        let Some(value) = std::env::var_os(variable).filter(|value| !value.is_empty()) else {
            continue;
        };
        let file = PathBuf::from(value);
        if !file.is_file() {
            bail!("{variable} is {}, and there is no such file", file.display());
        }
        return Ok(Some(file));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_names_one_version_of_a_package() {
        let lock = "[[package]]\nname = \"wasm-bindgen-shared\"\nversion = \"9.9.9\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\nsource = \"x\"\n";
        assert_eq!(locked_version(lock, "wasm-bindgen"), Some("0.2.130"));
        assert_eq!(locked_version(lock, "wasm"), None);
    }

    #[test]
    fn node_versions_compare_as_numbers() {
        for (version, expected) in
            [("v20.19.0", true), ("v20.9.0", false), ("v18.20.1", false), ("v22.0.0", true)]
        {
            assert_eq!(node_is_new_enough(version), expected, "{version}");
        }
        assert!(!node_is_new_enough("nonsense"));
    }
}
