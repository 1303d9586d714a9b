//! Running other programs: every one is printed before it starts, and a failure names it.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail};

/// The repository's root. xtask lies one folder below it.
pub fn root() -> PathBuf {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.pop();
    path
}

/// Says what is being done, on the error stream so that results stay alone on the other.
pub fn say(message: &str) {
    eprintln!("\u{2500}\u{2500} {message}");
}

/// Where cargo puts what it builds.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The cargo that runs this program.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The Node that runs scripts.
pub fn node() -> Command {
    Command::new("node")
}

/// Finds a program on PATH.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// PATH with folders put in front.
pub fn path_with(front: &[PathBuf]) -> Result<OsString> {
    let old = std::env::var_os("PATH").unwrap_or_default();
    let all = front.iter().cloned().chain(std::env::split_paths(&old));
    Ok(std::env::join_paths(all)?)
}

/// Runs to the end and fails unless the program succeeds.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    eprintln!("$ {shown}");
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("`{shown}` could not be started"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// What the program prints on its output stream; fails unless it succeeds.
pub fn output_of(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("`{shown}` could not be started"))?;
    if !output.status.success() {
        bail!("`{shown}` failed ({})", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program whose output is shown as it comes and also returned, with whether it succeeded.
pub fn watched(command: &mut Command) -> Result<(String, bool)> {
    let shown = show(command);
    eprintln!("$ {shown}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{shown}` could not be started"))?;
    let mut text = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            let part = String::from_utf8_lossy(&line);
            let mut out = std::io::stdout().lock();
            out.write_all(part.as_bytes())?;
            out.flush()?;
            text.push_str(&part);
            line.clear();
        }
    }
    let status = child.wait()?;
    Ok((text, status.success()))
}

/// Commands of this program that run beside the caller's own work, one after the other. What they
/// say is kept, so that the two do not mix.
pub struct Aside(JoinHandle<Vec<(&'static str, Result<Told>)>>);

/// What a program said on both streams, and whether it succeeded.
type Told = (Vec<u8>, bool);

/// Starts commands of this program aside; none follows one that failed.
pub fn aside(commands: &'static [&'static str]) -> Result<Aside> {
    let program = std::env::current_exe()?;
    Ok(Aside(std::thread::spawn(move || {
        let mut results = Vec::new();
        for name in commands {
            let result = told(Command::new(&program).arg(name));
            let success = matches!(result, Ok((_, true)));
            results.push((*name, result));
            if !success {
                break;
            }
        }
        results
    })))
}

impl Aside {
    /// Waits for the end, shows what each command said, and names those that failed.
    pub fn tell(self) -> Vec<&'static str> {
        let mut failed = Vec::new();
        for (name, result) in self.0.join().expect("the thread does not panic") {
            say(name);
            let success = result.and_then(|(text, success)| {
                let mut out = std::io::stdout().lock();
                out.write_all(&text)?;
                out.flush()?;
                Ok(success)
            });
            match success {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => eprintln!("error: {error:#}"),
            }
            failed.push(name);
        }
        failed
    }
}

fn told(command: &mut Command) -> Result<Told> {
    let (mut reader, writer) = std::io::pipe()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .with_context(|| format!("`{}` could not be started", show(command)))?;
    // The pipe ends with its last writer.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut text = Vec::new();
    reader.read_to_end(&mut text)?;
    Ok((text, child.wait()?.success()))
}

fn show(command: &Command) -> String {
    let mut shown = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        shown.push(' ');
        shown.push_str(&argument.to_string_lossy());
    }
    shown
}
