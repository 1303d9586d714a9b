//! Prints, as JSON, what the operators do natively, or how fast a model is:
//! `achado-bench operators`, `achado-bench model RUNS FILE`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use serde_json::Value;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match measure(&arguments) {
        Ok(found) => {
            println!("{found}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &[&str]) -> Result<Value, String> {
    match arguments {
        ["operators"] => Ok(achado_bench::operators()),
        ["model", runs, file] => {
            let runs = runs.parse().map_err(|_| format!("RUNS is {runs}, no number"))?;
            let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
            Ok(achado_bench::model(bytes, runs))
        }
        _ => Err("needs `operators` or `model RUNS FILE`".to_owned()),
    }
}
