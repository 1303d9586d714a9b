//! Whatever the bytes are, the way from a file to its outputs ends: in an error, or in a model that
//! runs. No panic, no hang, no memory beyond the budget.

mod peak;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use achado_engine::{Session, SessionOptions};
use achado_model::limits::{READ_BUDGET_BASE_BYTES, READ_BUDGET_PER_BYTE};
use achado_model::{Bytes, Result, tflite};
use peak::{peak_of, turn};

/// What a session of these tests may hold.
const MEMORY_BYTES: usize = 64 << 20;

/// What compiling may hold beside the session, for each byte of the file: constants widened to
/// float32 and one operator's packed weights, whose panels of 8 channels may be mostly padding.
const COMPILE_BYTES_PER_BYTE: usize = 40;

/// No file of these tests may take longer to read, compile and run, also on a busy machine.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// Reads, compiles and, if `runs`, runs; checks the time and the peak of what was allocated.
fn try_file(file: &[u8], runs: bool) -> Result<()> {
    let budget = READ_BUDGET_BASE_BYTES
        + (READ_BUDGET_PER_BYTE + COMPILE_BYTES_PER_BYTE) * file.len()
        + MEMORY_BYTES;
    let bytes = Bytes::from(file.to_vec());
    let start = Instant::now();
    let (result, peak) = peak_of(|| use_model(bytes, runs));
    let elapsed = start.elapsed();
    assert!(peak <= budget, "{peak} bytes allocated, the budget is {budget}");
    assert!(elapsed < TIME_LIMIT, "it took {elapsed:?}");
    result
}

fn use_model(bytes: Bytes, runs: bool) -> Result<()> {
    let model = tflite::read(bytes)?;
    let options = SessionOptions { max_memory_bytes: MEMORY_BYTES, ..SessionOptions::default() };
    let mut session = Session::new(model, &options)?;
    assert!(session.memory_bytes() <= MEMORY_BYTES, "{} bytes", session.memory_bytes());
    for input in 0..session.inputs().len() {
        let size = session.inputs()[input].size_bytes();
        let values = session.input_bytes_mut(input)?;
        assert_eq!(values.len(), size);
        for (at, byte) in values.iter_mut().enumerate() {
            *byte = (at * 37 % 251) as u8;
        }
    }
    if runs {
        session.run()?;
    }
    for output in 0..session.outputs().len() {
        assert_eq!(session.output_bytes(output)?.len(), session.outputs()[output].size_bytes());
    }
    Ok(())
}

fn fixture() -> Vec<u8> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures/tiny_int8.tflite");
    std::fs::read(path).expect("the fixture")
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit as u64).expect("below a usize")
    }
}

#[test]
fn every_prefix_is_an_error() {
    let _turn = turn();
    let file = fixture();
    for length in 0..file.len() {
        let error = try_file(&file[..length], true).expect_err("a prefix");
        assert_eq!(error.code.as_str(), "MODEL_FORMAT", "{length}: {error}");
    }
    try_file(&file, true).expect("the whole file");
}

#[test]
fn ten_thousand_corruptions_are_errors_or_run() {
    let _turn = turn();
    let file = fixture();
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut ran, mut errors) = (0, BTreeMap::new());
    for _ in 0..10_000 {
        let mut damaged = file.clone();
        let at = random.below(file.len());
        damaged[at] ^= random.below(255) as u8 + 1;
        match try_file(&damaged, true) {
            Ok(()) => ran += 1,
            Err(error) => *errors.entry(error.code.as_str()).or_insert(0) += 1,
        }
    }
    println!("10000 single-byte corruptions: {ran} run, {errors:?}");
    assert!(ran > 0 && errors.len() > 1);
}

/// Models of one operator, with every operator and type that there is.
#[test]
fn ten_thousand_corruptions_of_every_operator_are_errors_or_run() {
    let _turn = turn();
    let operators: Vec<_> = achado_conformance::operators().collect();
    let mut random = Random(11);
    let (mut ran, mut errors) = (0, BTreeMap::new());
    for (at, operator) in operators.iter().enumerate() {
        // As many for each operator, 10,000 in all.
        let count = 10_000 * (at + 1) / operators.len() - 10_000 * at / operators.len();
        let mut cases = achado_conformance::cases(operator);
        cases.retain(|case| !case.model.is_empty());
        for _ in 0..count {
            let file = &cases[random.below(cases.len())].model;
            let mut damaged = file.clone();
            let at = random.below(file.len() - 4);
            if random.below(4) == 0 {
                let word = [0, 0x7fff_ffff, 0x8000_0000, u32::MAX][random.below(4)];
                damaged[at..at + 4].copy_from_slice(&word.to_le_bytes());
            } else {
                damaged[at] ^= random.below(255) as u8 + 1;
            }
            match try_file(&damaged, true) {
                Ok(()) => ran += 1,
                Err(error) => *errors.entry(error.code.as_str()).or_insert(0) += 1,
            }
        }
    }
    println!("10000 corruptions of {} operators: {ran} run, {errors:?}", operators.len());
    assert!(ran > 0 && errors.len() > 1);
}

/// Four bytes at once reach lengths, shapes and attributes of every size.
#[test]
fn extreme_words_are_errors_or_run() {
    let _turn = turn();
    let file = fixture();
    let mut ran = 0;
    for at in (0..file.len() - 4).step_by(2) {
        for word in [0, 1, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, u32::MAX] {
            let mut damaged = file.clone();
            damaged[at..at + 4].copy_from_slice(&word.to_le_bytes());
            ran += usize::from(try_file(&damaged, true).is_ok());
        }
    }
    assert!(ran > 0);
}

/// The graph of a real model: its tables stand before or behind the weights, so that most damage to
/// the whole file would only change a weight. Those that compile run seldom, which is what takes
/// the time.
#[test]
fn corruptions_of_the_default_model_are_errors_or_run() {
    let _turn = turn();
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/efficientnet-lite0-int8.tflite");
    let file = std::fs::read(path).expect("the default model");
    let graph = graph_bytes(&file);
    println!("{} of {} bytes are not in constants", graph.len(), file.len());
    let mut random = Random(7);
    let (mut compiled, mut ran, mut errors) = (0, 0, BTreeMap::new());
    for _ in 0..200 {
        let mut damaged = file.clone();
        let at = graph[random.below(graph.len())];
        damaged[at] ^= random.below(255) as u8 + 1;
        let runs = compiled % 40 == 0;
        match try_file(&damaged, runs) {
            Ok(()) => {
                compiled += 1;
                ran += usize::from(runs);
            }
            Err(error) => *errors.entry(error.code.as_str()).or_insert(0) += 1,
        }
    }
    println!("200 corruptions of the graph: {compiled} compile, {ran} of them run, {errors:?}");
    assert!(ran > 0 && errors.len() > 1);
}

/// Places of the file that are no constant's elements.
fn graph_bytes(file: &[u8]) -> Vec<usize> {
    let model = tflite::read(Bytes::from(file.to_vec())).expect("the default model");
    let mut is_constant = vec![false; file.len()];
    for data in model.tensors.iter().filter_map(|tensor| tensor.data.as_ref()) {
        if data.len() < 64 {
            continue;
        }
        // Constants are slices of the file, but of a copy of it: look for the bytes.
        let at =
            file.windows(data.len()).position(|window| window == &data[..]).expect("its bytes");
        is_constant[at..at + data.len()].fill(true);
    }
    (0..file.len()).filter(|&at| !is_constant[at]).collect()
}
