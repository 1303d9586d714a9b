//! Whole models: packing time, median of runs, profile.

use achado_engine::{Session, SessionOptions};
use achado_model::{Bytes, Result, tflite};
use serde_json::{Value, json};

use crate::clock::now_ms;

/// Milliseconds of running before the clock starts: browsers compile hot functions anew, with
/// optimisation, while a quick first version of them runs.
const WARM_UP_MS: f64 = 1000.0;

/// `{ packMs, medianMs, memoryBytes, profile: [{ operator, kernel, name, ms, gmacs }] }`, or
/// `{ error }`.
pub fn model(bytes: Vec<u8>, runs: usize) -> Value {
    measure(bytes, runs.max(1)).unwrap_or_else(|error| json!({ "error": error.to_string() }))
}

fn measure(bytes: Vec<u8>, runs: usize) -> Result<Value> {
    let start = now_ms();
    let mut session = Session::new(tflite::read(Bytes::from(bytes))?, &SessionOptions::default())?;
    let pack_ms = now_ms() - start;
    for index in 0..session.inputs().len() {
        for (i, byte) in session.input_bytes_mut(index)?.chunks_mut(4).enumerate() {
            // Small floats, and bytes that differ.
            byte.copy_from_slice(&(1.0 / (2 + i % 61) as f32).to_le_bytes()[..byte.len()]);
        }
    }
    let start = now_ms();
    while now_ms() - start < WARM_UP_MS {
        session.run()?;
    }
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = now_ms();
        session.run()?;
        times.push(now_ms() - start);
    }
    times.sort_by(f64::total_cmp);
    let profile: Vec<Value> = session
        .profile(runs, &now_ms)?
        .into_iter()
        .map(|operator| {
            json!({
                "operator": operator.operator, "kernel": operator.kernel, "name": operator.name,
                "ms": operator.median_ms, "gmacs": operator.macs as f64 / operator.median_ms / 1e6,
            })
        })
        .collect();
    Ok(json!({
        "packMs": pack_ms, "medianMs": times[times.len() / 2], "minMs": times[0],
        "memoryBytes": session.memory_bytes(), "profile": profile,
    }))
}
