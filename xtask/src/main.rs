//! `cargo xtask <command>`: builds, tests and shows achado, and installs what that needs.
#![forbid(unsafe_code)]

#[cfg(test)]
mod arrows;
mod bench;
mod bundle;
mod checks;
mod counts;
#[cfg(test)]
mod cycles;
mod fuzz;
mod serve;
mod shell;
mod size;
mod suites;
mod tools;
mod wasm;

use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use lexopt::prelude::*;

const USAGE: &str = "\
cargo xtask <command>

  demo    build everything and serve the demo page on 127.0.0.1
            --port N     listen on N (default 8080; 0 takes any free port)
            --isolated   send the COOP and COEP headers that threads need
            --no-build   serve what was built last
  build   build the npm package into pkg/ and the demo page into www/dist/
            --names      keep function names in the wasm files, for profilers
            --wasm-only  only the wasm files and their glue, into src/js/generated/
            --only F     only this wasm file, of those that were all built before; may be repeated
            --quick      for working on it: no link-time optimization, no wasm-opt, the plain core
                         in place of the relaxed one, tract and threads as they were
  test    run every test; the last line is `N passed, N failed`
            --only S     run one suite; may be repeated
            --list       print the suites' names
  ready   everything that has to hold before a commit: format, lints, types, tests, size
  size    print the size of each file of the package; fails over the budget
            of pkg-config/size-budget.json
  fuzz    try random and damaged files on the readers, and random graphs on the engine
            --seconds N  for each target (default 60)
            --only T     one target: tflite, labels, onnx, picture, graph; may be repeated
  bench   print how fast operators and models are, natively and in headless Chromium, and what
          share of the processor's ceiling that is
            --model FILE  measure this .tflite model, too; may be repeated
            --models-only leave out the operators
            --only B      one build: native, simd128, relaxed; may be repeated
            --runs N      runs of each model (default 30)
            --json OUT    also write all that was measured
          bench --peers measures the built package beside other runtimes; `--peers --help`
          prints its options
          bench --zoo FOLDER makes further networks there, where they are missing, and measures
          the built package on them beside other runtimes; options as of `--peers`
          bench --package measures it alone, with threads: start, runs and memory; `--package
          --help` prints its options

Each command installs what it needs and says so: the wasm32 target and rust-src by rustup,
wasm-bindgen-cli, wasm-pack and, to fuzz, cargo-fuzz by cargo into ~/.cache/achado/tools, npm packages into node_modules/,
and, for the browser tests as root on Debian, chromium and chromium-driver by apt-get.
ACHADO_CHROMIUM and CHROMEDRIVER name a browser and driver that are already there.
";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        // The reason is above, and the tests' sum stays the last line.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all went well; an error where something is to be said about it.
fn run() -> Result<bool> {
    let mut arguments = lexopt::Parser::from_env();
    let command = match arguments.next()? {
        Some(Value(command)) => command.string()?,
        Some(Long("help") | Short('h')) | None => {
            print!("{USAGE}");
            return Ok(true);
        }
        Some(other) => return Err(other.unexpected().into()),
    };
    std::env::set_current_dir(shell::root())?;
    match command.as_str() {
        "build" => {
            let mut options = bundle::Options::default();
            while let Some(argument) = arguments.next()? {
                match argument {
                    Long("names") => options.names = true,
                    Long("wasm-only") => options.wasm_only = true,
                    Long("only") => options.only.push(arguments.value()?.string()?),
                    Long("quick") => options.quick = true,
                    other => return Err(other.unexpected().into()),
                }
            }
            bundle::build(options)?;
        }
        "demo" => {
            let mut options = serve::Options::default();
            while let Some(argument) = arguments.next()? {
                match argument {
                    Long("port") => {
                        let port = arguments.value()?.string()?;
                        options.port = port.parse().map_err(|_| {
                            anyhow!("--port needs a number from 0 to 65535, has `{port}`")
                        })?;
                    }
                    Long("isolated") => options.isolated = true,
                    Long("no-build") => options.build = false,
                    other => return Err(other.unexpected().into()),
                }
            }
            serve::demo(options)?;
        }
        "test" => {
            let mut only = Vec::new();
            while let Some(argument) = arguments.next()? {
                match argument {
                    Long("only") => only.push(arguments.value()?.string()?),
                    Long("list") => {
                        suites::list();
                        return Ok(true);
                    }
                    other => return Err(other.unexpected().into()),
                }
            }
            return suites::test(&only);
        }
        "ready" => {
            no_more(&mut arguments)?;
            return checks::ready();
        }
        "bench" => {
            let mut options = bench::Options::default();
            while let Some(argument) = arguments.next()? {
                match argument {
                    Long("peers") => {
                        let rest: Vec<_> = arguments.raw_args()?.collect();
                        bench::peers(&rest)?;
                        return Ok(true);
                    }
                    Long("zoo") => {
                        let folder = arguments.value()?;
                        let rest: Vec<_> = arguments.raw_args()?.collect();
                        bench::zoo(std::path::Path::new(&folder), &rest)?;
                        return Ok(true);
                    }
                    Long("package") => {
                        let rest: Vec<_> = arguments.raw_args()?.collect();
                        bench::package(&rest)?;
                        return Ok(true);
                    }
                    Long("model") => options.models.push(arguments.value()?.into()),
                    Long("models-only") => options.models_only = true,
                    Long("only") => options.only.push(arguments.value()?.string()?),
                    Long("runs") => options.runs = arguments.value()?.parse()?,
                    Long("json") => options.json = Some(arguments.value()?.into()),
                    other => return Err(other.unexpected().into()),
                }
            }
            bench::bench(&options)?;
        }
        "fuzz" => {
            let mut options = fuzz::Options::default();
            while let Some(argument) = arguments.next()? {
                match argument {
                    Long("only") => options.only.push(arguments.value()?.string()?),
                    Long("seconds") => options.seconds = arguments.value()?.parse()?,
                    other => return Err(other.unexpected().into()),
                }
            }
            fuzz::fuzz(&options)?;
        }
        "size" => {
            no_more(&mut arguments)?;
            size::size()?;
        }
        other => bail!("there is no command `{other}`\n\n{USAGE}"),
    }
    Ok(true)
}

fn no_more(arguments: &mut lexopt::Parser) -> Result<()> {
    match arguments.next()? {
        Some(argument) => Err(argument.unexpected().into()),
        None => Ok(()),
    }
}
