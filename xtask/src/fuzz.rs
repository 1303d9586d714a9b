//! Fuzzing: random and damaged input for readers, and random graphs for the engine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{cargo, find_program, run, say, target_dir};
use crate::tools;

/// A target of `fuzz/targets`.
struct Target {
    name: &'static str,
    /// What the files of the fixtures that it begins with end in.
    seeds: &'static [&'static str],
    /// The longest input that is tried, in bytes.
    max_bytes: u64,
}

const TARGETS: [Target; 5] = [
    Target { name: "tflite", seeds: &["tflite"], max_bytes: 64 << 10 },
    Target { name: "labels", seeds: &["txt", "json", "csv", "pbtxt"], max_bytes: 4 << 10 },
    Target { name: "onnx", seeds: &["onnx"], max_bytes: 128 << 10 },
    Target { name: "picture", seeds: &["png", "jpg", "gif", "webp", "bmp"], max_bytes: 32 << 10 },
    // Each byte is a decision; there are no files of this form.
    Target { name: "graph", seeds: &[], max_bytes: 400 },
];

/// Files that begin a corpus without any: pseudo-random decisions.
const RANDOM_SEEDS: u64 = 200;

/// What to fuzz, and how long.
pub struct Options {
    /// All where empty.
    pub only: Vec<String>,
    /// Of each target.
    pub seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { only: Vec::new(), seconds: 60 }
    }
}

/// Fuzzes each target for some time; an error is the first that fails, with the file of its input.
pub fn fuzz(options: &Options) -> Result<()> {
    let names = TARGETS.map(|target| target.name).join(", ");
    for name in &options.only {
        if TARGETS.iter().all(|target| target.name != name) {
            bail!("there is no target `{name}`: there are {names}");
        }
    }
    if find_program("c++").is_none() {
        bail!("libFuzzer is C++: install a compiler for it (on Debian: apt-get install g++)");
    }
    let bin = tools::cargo_fuzz()?;
    let folder = target_dir().join("fuzz");
    for target in &TARGETS {
        if !options.only.is_empty() && options.only.iter().all(|name| name != target.name) {
            continue;
        }
        let corpus = folder.join("corpus").join(target.name);
        let seeds = folder.join("seeds").join(target.name);
        for place in [&corpus, &seeds] {
            fs::create_dir_all(place)?;
        }
        let count = target.fill(&seeds)?;
        let artifacts = folder.join("artifacts").join(target.name);
        fs::create_dir_all(&artifacts)?;
        let seconds = options.seconds;
        say(&format!("fuzzing {} for {seconds} s from {count} seeds", target.name));
        let mut command: Command = cargo();
        command.args(["fuzz", "run", "--fuzz-dir", "fuzz", target.name]);
        command.args([&corpus, &seeds]).arg("--");
        command.arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-max_len={}", target.max_bytes));
        command.arg(format!("-artifact_prefix={}/", artifacts.display()));
        command.args(["-len_control=0", "-timeout=10", "-rss_limit_mb=3072", "-verbosity=0"]);
        command.env("PATH", crate::shell::path_with(std::slice::from_ref(&bin))?);
        command.env("CARGO_TARGET_DIR", &folder);
        // Sanitizers are options of nightly compilers; this one is as new, and takes them so.
        command.env("RUSTC_BOOTSTRAP", "1");
        run(&mut command).with_context(|| {
            format!(
                "{} fails: the input is in {}; mend it, and keep it in fuzz/crashers",
                target.name,
                artifacts.display()
            )
        })?;
    }
    Ok(())
}

impl Target {
    /// Copies what once failed and fixtures of the target's formats; gives how many there are.
    fn fill(&self, folder: &Path) -> Result<u64> {
        let mut count = 0;
        let crashers = Path::new("fuzz/crashers").join(self.name);
        if crashers.is_dir() {
            for entry in fs::read_dir(crashers)? {
                let entry = entry?;
                fs::copy(entry.path(), folder.join(entry.file_name()))?;
                count += 1;
            }
        }
        if self.seeds.is_empty() {
            return Ok(count + random_seeds(folder)?);
        }
        let mut queue: Vec<PathBuf> = vec!["tests/fixtures".into(), "crates".into()];
        while let Some(place) = queue.pop() {
            for entry in fs::read_dir(&place)? {
                let (path, kind) =
                    entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
                if kind.is_dir() {
                    queue.push(path);
                    continue;
                }
                let fits = path
                    .extension()
                    .is_some_and(|extension| self.seeds.iter().any(|known| extension == *known));
                if fits && fs::metadata(&path)?.len() <= self.max_bytes {
                    count += 1;
                    let name = path.file_name().context("a file has a name")?;
                    fs::copy(&path, folder.join(name))?;
                }
            }
        }
        Ok(count)
    }
}

fn random_seeds(folder: &Path) -> Result<u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for seed in 0..RANDOM_SEEDS {
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(120)
        .collect();
        fs::write(folder.join(format!("seed{seed}")), bytes)?;
    }
    Ok(RANDOM_SEEDS)
}
