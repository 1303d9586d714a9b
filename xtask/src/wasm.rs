//! The wasm files of the package: one entry each, built by wasm-pack and optimised by wasm-opt.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{output_of, path_with, run, say, target_dir};
use crate::tools::{WASM_TARGET, WasmTools};

/// One wasm file with its glue, built into `src/js/generated/<name>/`.
pub struct Binary {
    /// Its folder's name, and the file's in the package: `dist/<name>.wasm`.
    pub name: &'static str,
    /// The crate that it is made of.
    pub crate_folder: &'static str,
    /// What the compiler may emit beyond [`BASE`], as rustc calls it.
    pub target_features: &'static [&'static str],
    /// The same beyond [`WASM_OPT_BASE`] for wasm-opt, which has names of its own.
    pub wasm_opt_features: &'static [&'static str],
    /// Further flags for rustc.
    pub rust_flags: &'static [&'static str],
    /// Further arguments for `cargo build`.
    pub cargo_arguments: &'static [&'static str],
    /// Variables that the build needs.
    pub environment: &'static [(&'static str, &'static str)],
    /// Whether `cargo xtask test` runs the wasm tests with these features.
    pub tested: bool,
}

/// In every browser with WebAssembly SIMD (Chromium 91, Firefox 89, Safari 16.4).
const BASE: &[&str] = &[
    "+simd128",
    "+bulk-memory",
    "+nontrapping-fptoint",
    "+sign-ext",
    "+mutable-globals",
    "+multivalue",
    "+reference-types",
];

const WASM_OPT_BASE: &[&str] = &[
    "--enable-simd",
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-multivalue",
    "--enable-reference-types",
];

/// Nobody uses the lowest 1024 bytes: they are the end of the stack. So an address and a constant that
/// is added to it go into one instruction, where LLVM has lost sight of that the sum does not wrap
/// around: in loops. It makes relaxed.wasm 3 KB smaller (gzip), and decides between loads and shuffles
/// in the kernels of crates/kernels/src/gemm.
const ADDRESSES: &str = "--low-memory-unused";

/// Browsers compile each function when it is first called, and once more when it is hot. Functions
/// of one caller, inlined without this limit, made two of 184 and 121 KB, most of which no model
/// needs. To the first label of the default model the worker took the processor 172 ms, and 108 with
/// a limit of 200, smaller functions in `compile/lower` and workers of one file each (`cargo xtask bench
/// --package --against`).
///
/// 40 in place of 200: relaxed.wasm is 5.6 KB smaller (gzip, of 376), onnx.wasm 12 of 240, tract.wasm 72
/// of 2349. A start of MobileNet V1 calls a hundred functions more, which have 20 KB less, and takes the
/// time it took, as V1, V2, V3-small and EfficientNet-Lite0 do (within 1 %, interleaved runs, AMD EPYC of
/// family 25, Chromium 156). 0, 10 and 20 are as small, 80 is 3 KB larger. Tried and lost:
/// `--always-inline-max-function-size` of 10 to 30, which saves a start up to 27 calls of 348 and adds up
/// to 16 KB to what it compiles; LLVM's `-hot-cold-split`, 0.1 KB.
const INLINED: &str = "40";

/// The same for cores without relaxed SIMD, where V1 took 1.4 % longer with 40, its products 2 %.
const INLINED_OF_SIMD128: &str = "200";

/// Instructions in the order in which they are written. The kernels of relaxed SIMD keep 15 vectors
/// alive, which is as many as V8 has registers for on x86. LLVM's own order loads all that a round
/// needs first, and V8 reorders nothing: a tile of 6 rows by 8 columns made 39-56 GMAC/s of 8-bit
/// products (AVX-VNNI) where it makes 57-88 so, and one of 4 rows 42-74 and 50-74; of floats 10-15
/// and 16-22 (6 rows), 11-19 and 19-21 (4 rows). Loops by themselves, operands in the first-level
/// cache, K of 32 to 512, Chromium 156; the machine's speed changed meanwhile.
///
/// Tried and lost: `-disable-lsr` besides, which leaves more addresses their constants. 9 KB less (gzip),
/// the 8-bit networks within 1 %, float ones 1 % slower and MobileNet V3-small 2-3 % (AMD EPYC of family
/// 26, interleaved runs).
const SOURCE_ORDER: &str = "-Cllvm-args=-pre-RA-sched=source";

/// Memory that JavaScript makes and that several instances share: src/js/threads.ts has its sizes.
/// The exports are what wasm-bindgen sets a thread up by.
const THREADS_RUST_FLAGS: &[&str] = &[
    "-Clink-arg=--shared-memory",
    "-Clink-arg=--import-memory",
    "-Clink-arg=--initial-memory=2097152",
    "-Clink-arg=--max-memory=1073741824",
    "-Clink-arg=--export=__wasm_init_tls",
    "-Clink-arg=--export=__tls_size",
    "-Clink-arg=--export=__tls_align",
    "-Clink-arg=--export=__tls_base",
    "-Clink-arg=--export=__heap_base",
];

/// The standard library that comes with Rust was compiled without atomics.
const THREADS_CARGO_ARGUMENTS: &[&str] = &["-Zbuild-std=std,panic_abort"];

/// Lets the pinned stable compiler take `-Z` and the instructions for sleeping.
const THREADS_ENVIRONMENT: &[(&str, &str)] = &[("RUSTC_BOOTSTRAP", "1")];

/// The files of the package, in the order in which they are built.
pub const BINARIES: &[Binary] = &[
    // Loaded when the caller allows it for an ONNX model that has no .tflite form. Slower by far than
    // the core in any case: small is better than fast. Counting is checked, since tract reads files
    // that nobody has validated; memory ends where no picture's model needs more. The glue is that
    // of simd128. First, since wasm-opt takes longest for it: meanwhile the others are compiled.
    Binary {
        name: "tract",
        crate_folder: ".",
        target_features: &[],
        wasm_opt_features: &[],
        rust_flags: &[
            // Random operators of tract: nothing else asks for randomness, and none is given.
            "--cfg=getrandom_backend=\"unsupported\"",
            "-Clink-arg=--max-memory=2147483648",
            // Constructors fill tract's lists of kernels; src/js/local.ts calls them once. Without
            // this the linker lets each export run them, and names the exports anew.
            "-Clink-arg=--export=__wasm_call_ctors",
        ],
        cargo_arguments: &["--features", "tract"],
        environment: &[
            ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
            ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true"),
        ],
        tested: false,
    },
    Binary {
        name: "simd128",
        crate_folder: ".",
        target_features: &[],
        wasm_opt_features: &[],
        rust_flags: &[],
        cargo_arguments: &[],
        environment: &[],
        tested: true,
    },
    // Chromium 114, Firefox 145; src/js/wasm.ts asks the browser. The glue is that of simd128.
    Binary {
        name: "relaxed",
        crate_folder: ".",
        target_features: &["+relaxed-simd"],
        wasm_opt_features: &["--enable-relaxed-simd"],
        rust_flags: &[],
        cargo_arguments: &[],
        environment: &[],
        tested: true,
    },
    // The same for cross-origin isolated pages; their glue knows of shared memory.
    Binary {
        name: "simd128-threads",
        crate_folder: ".",
        target_features: &["+atomics"],
        wasm_opt_features: &["--enable-threads"],
        rust_flags: THREADS_RUST_FLAGS,
        cargo_arguments: THREADS_CARGO_ARGUMENTS,
        environment: THREADS_ENVIRONMENT,
        tested: false,
    },
    Binary {
        name: "relaxed-threads",
        crate_folder: ".",
        target_features: &["+relaxed-simd", "+atomics"],
        wasm_opt_features: &["--enable-relaxed-simd", "--enable-threads"],
        rust_flags: THREADS_RUST_FLAGS,
        cargo_arguments: THREADS_CARGO_ARGUMENTS,
        environment: THREADS_ENVIRONMENT,
        tested: false,
    },
    // Loaded when an ONNX file is opened. It moves weights and computes next to nothing: small is
    // better than fast.
    Binary {
        name: "onnx",
        crate_folder: "crates/onnx",
        target_features: &[],
        wasm_opt_features: &[],
        rust_flags: &[],
        cargo_arguments: &[],
        environment: &[("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s")],
        tested: false,
    },
    // Loaded by achado/maker: trains heads and appends them to models.
    Binary {
        name: "maker",
        crate_folder: "crates/maker",
        target_features: &[],
        wasm_opt_features: &[],
        rust_flags: &[],
        cargo_arguments: &[],
        environment: &[],
        tested: false,
    },
    // Loaded when a model is quantized: it runs the float network over pictures.
    Binary {
        name: "quantize",
        crate_folder: "crates/maker",
        target_features: &[],
        wasm_opt_features: &[],
        rust_flags: &[],
        cargo_arguments: &["--features", "quantize"],
        environment: &[],
        tested: false,
    },
    // Loaded when a model is to run on WebGPU: it records the shaders. Small is better than fast.
    Binary {
        name: "gpu",
        crate_folder: "crates/gpu",
        target_features: &[],
        wasm_opt_features: &[],
        rust_flags: &[],
        cargo_arguments: &[],
        environment: &[("CARGO_PROFILE_RELEASE_OPT_LEVEL", "z")],
        tested: false,
    },
    // Pictures to pixels in Node; a browser has its own decoders and never loads it.
    Binary {
        name: "decode",
        crate_folder: "crates/decode",
        target_features: &[],
        wasm_opt_features: &[],
        rust_flags: &[],
        cargo_arguments: &[],
        environment: &[],
        tested: false,
    },
];

impl Binary {
    /// RUSTFLAGS in cargo's form for flags that may hold spaces.
    pub fn encoded_rust_flags(&self) -> Result<String> {
        let features = [BASE, self.target_features].concat().join(",");
        let mut flags = vec![format!("-Ctarget-feature={features}")];
        if self.target_features.contains(&"+relaxed-simd") {
            flags.push(SOURCE_ORDER.to_owned());
        }
        flags.extend(self.rust_flags.iter().map(|&flag| flag.to_owned()));
        flags.extend(path_flags()?);
        Ok(flags.join("\u{1f}"))
    }

    /// Sets what cargo needs to know to build for this file.
    pub fn configure(&self, command: &mut Command) -> Result<()> {
        command
            .env("CARGO_ENCODED_RUSTFLAGS", self.encoded_rust_flags()?)
            .envs(self.environment.iter().copied());
        if self.environment == THREADS_ENVIRONMENT {
            // Build scripts ask for RUSTC_BOOTSTRAP: in the same folder cargo would compile all macros
            // anew whenever it comes or goes.
            command.env("CARGO_TARGET_DIR", std::path::absolute(target_dir().join("threads"))?);
        }
        Ok(())
    }

    /// Builds another crate as this file is built, into another folder.
    pub fn build_crate(
        &self,
        tools: &WasmTools,
        crate_folder: &str,
        out: &Path,
        names: bool,
    ) -> Result<()> {
        let out = self.compile(tools, crate_folder, out, false)?;
        self.optimise(&out, names)
    }

    /// Makes the file and its glue, but for wasm-opt; returns their folder.
    fn compile(
        &self,
        tools: &WasmTools,
        crate_folder: &str,
        out: &Path,
        quick: bool,
    ) -> Result<PathBuf> {
        say(&format!("building {}.wasm from {crate_folder}", self.name));
        let path = path_with(&tools.folders)?;
        // wasm-pack takes a relative folder as one of the crate's.
        let out = std::path::absolute(out)?;
        let mut pack = Command::new(&tools.wasm_pack);
        pack.args(["--log-level", "warn", "build"])
            .arg(crate_folder)
            .args(["--release", "--target", "web", "--mode", "no-install", "--no-pack"])
            .args(["--out-name", "achado", "--out-dir"])
            .arg(&out)
            .args(["--", "--locked"])
            .args(self.cargo_arguments);
        self.configure(pack.env("PATH", path))?;
        if quick {
            pack.envs(QUICK_ENVIRONMENT.iter().copied());
        }
        run(&mut pack)?;
        // wasm-pack's own .gitignore; the repository's covers the folder.
        std::fs::remove_file(out.join(".gitignore")).ok();
        Ok(out)
    }

    fn optimise(&self, folder: &Path, names: bool) -> Result<()> {
        let file = folder.join("achado_bg.wasm");
        let smaller = folder.join("optimised.wasm");
        let has_plain_simd = self.name.starts_with("simd128");
        let inlined = if has_plain_simd { INLINED_OF_SIMD128 } else { INLINED };
        let mut wasm_opt = wasm_opt();
        wasm_opt
            .arg("-O3")
            .arg(ADDRESSES)
            .args(["--one-caller-inline-max-function-size", inlined])
            .args(WASM_OPT_BASE)
            .args(self.wasm_opt_features);
        wasm_opt.arg("--strip-producers");
        if names {
            wasm_opt.arg("--debuginfo");
        }
        run(wasm_opt.arg(&file).arg("-o").arg(&smaller))?;
        std::fs::rename(&smaller, &file).context("the optimised wasm file cannot be moved")
    }
}

/// Panic messages hold paths of source files: short ones, the same whoever builds.
fn path_flags() -> Result<Vec<String>> {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(PathBuf::from(home).join(".cargo"))
    });
    let mut prefixes = vec![(crate::shell::root(), ".".to_owned())];
    // The standard library's sources, where they are installed, as they are called elsewhere.
    let sysroot = output_of(Command::new("rustc").args(["--print", "sysroot"]))?;
    let version = output_of(Command::new("rustc").arg("-vV"))?;
    if let Some(commit) = version.lines().find_map(|line| line.strip_prefix("commit-hash: ")) {
        let sources = PathBuf::from(sysroot.trim()).join("lib/rustlib/src/rust");
        prefixes.push((sources, format!("/rustc/{commit}")));
    }
    // One folder for each registry.
    let registries = cargo_home.and_then(|home| home.join("registry/src").read_dir().ok());
    let folders = registries.into_iter().flatten().flatten().map(|entry| entry.path());
    prefixes.extend(folders.map(|folder| (folder, "crates".to_owned())));
    // In a settled order: cargo builds all anew when the flags change.
    prefixes.sort();
    let flag =
        |(from, to): &(PathBuf, String)| format!("--remap-path-prefix={}={to}", from.display());
    Ok(prefixes.iter().map(flag).collect())
}

/// What `--quick` changes: each crate is compiled by itself, so that a change costs its own crate.
const QUICK_ENVIRONMENT: &[(&str, &str)] = &[
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "true"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
];

/// Builds the named files as [`build_all`] does, or all of one thread but tract.wasm without link-time
/// optimization and wasm-opt where `quick` is set: for working on them, not for measuring. The plain
/// core then stands in for relaxed.wasm, whose glue is the same; other files stay as they were.
pub fn build_some(tools: &WasmTools, only: &[String], quick: bool, names: bool) -> Result<()> {
    let known = |name: &String| BINARIES.iter().any(|binary| binary.name == name);
    if let Some(name) = only.iter().find(|name| !known(name)) {
        let names: Vec<_> = BINARIES.iter().map(|binary| binary.name).collect();
        bail!("there is no wasm file `{name}`; these are: {}", names.join(", "));
    }
    let folder = |name: &str| Path::new("src/js/generated").join(name);
    let by_default =
        |name: &str| !name.ends_with("-threads") && name != "tract" && name != "relaxed";
    for binary in BINARIES {
        let named = only.iter().any(|name| name == binary.name);
        if !(named || only.is_empty() && by_default(binary.name)) {
            continue;
        }
        let out = binary.compile(tools, binary.crate_folder, &folder(binary.name), quick)?;
        if !quick {
            binary.optimise(&out, names)?;
        } else if binary.name == "simd128" && !only.iter().any(|name| name == "relaxed") {
            let relaxed = folder("relaxed");
            std::fs::create_dir_all(&relaxed)?;
            for entry in out.read_dir()? {
                let entry = entry?;
                std::fs::copy(entry.path(), relaxed.join(entry.file_name()))?;
            }
        }
    }
    Ok(())
}

/// Builds every file, and forgets those that are no longer in the list.
pub fn build_all(tools: &WasmTools, names: bool) -> Result<()> {
    for entry in Path::new("src/js/generated").read_dir().into_iter().flatten() {
        let entry = entry?;
        if !BINARIES.iter().any(|binary| entry.file_name() == binary.name) {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    // wasm-opt has one thread: it works on a file while the next is compiled.
    std::thread::scope(|scope| -> Result<()> {
        let mut optimising = Vec::new();
        for binary in BINARIES {
            let out = Path::new("src/js/generated").join(binary.name);
            let out = binary.compile(tools, binary.crate_folder, &out, false)?;
            optimising.push(scope.spawn(move || binary.optimise(&out, names)));
        }
        optimising.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))
    })?;
    same_glue("simd128", "relaxed")?;
    same_glue("simd128", "tract")?;
    same_glue("simd128-threads", "relaxed-threads")
}

/// src/js imports the glue of one of these and runs both: which is known only in the browser.
fn same_glue(one: &str, other: &str) -> Result<()> {
    let glue = |name| std::fs::read(format!("src/js/generated/{name}/achado.js"));
    if glue(one)? != glue(other)? {
        bail!("the glue of {one} and {other} differs; src/js/local.ts needs it to be the same");
    }
    Ok(())
}

fn wasm_opt() -> Command {
    let mut command = Command::new("node");
    command.arg("node_modules/binaryen/bin/wasm-opt");
    command
}

/// Lints of the code that only wasm32 compiles: of the crates of a core binary and, with those of
/// the plain one, of all others, whose code asks for no features.
pub fn clippy(binary: &Binary) -> Result<()> {
    let mut command = crate::shell::cargo();
    command.args(["clippy", "--locked", "--lib", "--target", WASM_TARGET]);
    if binary.name == "simd128" {
        // tract compiles with the flags of its own file alone.
        command.args(["--workspace", "--exclude", "xtask", "--exclude", "achado-tract"]);
    } else {
        command.args(["--package", "achado"]);
    }
    // Lints see no difference between one standard library and another, which takes long to build.
    let others = |argument: &&str| !THREADS_CARGO_ARGUMENTS.contains(argument);
    command.args(binary.cargo_arguments.iter().copied().filter(others));
    binary.configure(command.args(["--", "-D", "warnings"]))?;
    run(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_binary_has_a_name_of_its_own_and_as_many_wasm_opt_features() {
        for (index, binary) in BINARIES.iter().enumerate() {
            assert!(BINARIES[..index].iter().all(|other| other.name != binary.name));
            let flags = binary.encoded_rust_flags().unwrap();
            assert!(flags.starts_with("-Ctarget-feature=+simd128,"), "{flags}");
            assert_eq!(binary.wasm_opt_features.len(), binary.target_features.len());
        }
        assert!(BINARIES.iter().any(|binary| binary.tested));
    }
}
