//! Compiles a model and prints its profile: `cargo run --release --example run -- MODEL.tflite`.

use std::time::Instant;

use achado_engine::{Session, SessionOptions};
use achado_model::{Bytes, tflite};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args().skip(1) {
        let bytes = Bytes::from(std::fs::read(&path)?);
        let model = match tflite::read(bytes) {
            Ok(model) => model,
            Err(error) => {
                println!("{path}: {error}");
                continue;
            }
        };
        let start = Instant::now();
        let mut session = match Session::new(model, &SessionOptions::default()) {
            Ok(session) => session,
            Err(error) => {
                println!("{path}: {error}");
                continue;
            }
        };
        let packed_ms = start.elapsed().as_secs_f64() * 1e3;
        println!("{path}: packed in {packed_ms:.1} ms, {} bytes", session.memory_bytes());
        let profile = session.profile(3, &|| start.elapsed().as_secs_f64() * 1e3)?;
        for operator in &profile {
            let gmacs = operator.macs as f64 / operator.median_ms / 1e6;
            println!(
                "{:4} {:20} {:22} {:8.3} ms {gmacs:6.1} GMAC/s  {}",
                operator.index,
                operator.operator,
                operator.kernel,
                operator.median_ms,
                operator.name
            );
        }
    }
    Ok(())
}
