//! Whatever the bytes are, reading ends soon, never panics and allocates within its budget.

mod common;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use achado_model::limits::{READ_BUDGET_BASE_BYTES, READ_BUDGET_PER_BYTE};
use achado_model::{Bytes, Model, Result, tflite};
use common::{slot, tiny, zip};
use flatbuffers::FlatBufferBuilder;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The allocator counts for the whole process, so tests take turns.
static TURN: Mutex<()> = Mutex::new(());

/// No read of a file of these tests may take longer, also on a busy machine.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Reads, and checks the time and the peak of what was allocated beside the file.
fn read(file: &[u8]) -> Result<Model> {
    let budget = READ_BUDGET_BASE_BYTES + READ_BUDGET_PER_BYTE * file.len();
    let bytes = Bytes::from(file.to_vec());
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let start = Instant::now();
    let result = tflite::read(bytes);
    let elapsed = start.elapsed();
    let peak = ALLOCATOR.peak_usage().saturating_sub(before);
    assert!(peak <= budget, "{peak} bytes allocated, the budget is {budget}");
    assert!(elapsed < TIME_LIMIT, "reading took {elapsed:?}");
    result
}

/// Locks out the other tests of this file.
fn turn() -> std::sync::MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[test]
fn every_prefix_is_an_error() {
    let _turn = turn();
    let file = tiny::file();
    for length in 0..file.len() {
        let error = read(&file[..length]).expect_err(&format!("a prefix of {length} bytes"));
        assert_eq!(error.code.as_str(), "MODEL_FORMAT", "{length}: {error}");
    }
    read(&file).unwrap();
}

#[test]
fn ten_thousand_corruptions_are_errors_or_models() {
    let _turn = turn();
    let file = tiny::file();
    // SplitMix64.
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut random = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let (mut models, mut errors) = (0, std::collections::BTreeMap::new());
    for _ in 0..10_000 {
        let mut damaged = file.clone();
        let at = usize::try_from(random() % file.len() as u64).unwrap();
        let flip = u8::try_from(random() % 255).unwrap() + 1;
        damaged[at] ^= flip;
        match read(&damaged) {
            Ok(model) => {
                model.validate().unwrap();
                models += 1;
            }
            Err(error) => {
                assert!(error.message.len() < 20_000, "{error}");
                *errors.entry(error.code.as_str()).or_insert(0) += 1;
            }
        }
    }
    println!("10000 single-byte corruptions: {models} models, {errors:?}");
    assert!(models > 0 && errors.len() > 1);
}

/// Four bytes at once reach lengths and offsets of every size.
#[test]
fn extreme_words_are_errors_or_models() {
    let _turn = turn();
    let file = tiny::file();
    for at in (0..file.len() - 4).step_by(2) {
        for word in [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, u32::MAX] {
            let mut damaged = file.clone();
            damaged[at..at + 4].copy_from_slice(&word.to_le_bytes());
            if let Ok(model) = read(&damaged) {
                model.validate().unwrap();
            }
        }
    }
}

/// A file whose lists name one table many times; `fill` writes the subgraph's fields.
fn aliased(fill: impl Fn(&mut FlatBufferBuilder<'static>) -> Vec<u8>) -> Vec<u8> {
    fill(&mut FlatBufferBuilder::new())
}

fn finish(
    fbb: &mut FlatBufferBuilder<'static>,
    graph: [Option<flatbuffers::WIPOffset<flatbuffers::UnionWIPOffset>>; 4],
    codes: Option<flatbuffers::WIPOffset<flatbuffers::UnionWIPOffset>>,
    signatures: Option<flatbuffers::WIPOffset<flatbuffers::UnionWIPOffset>>,
) -> Vec<u8> {
    let table = fbb.start_table();
    for (field, value) in (0u16..).zip(graph) {
        if let Some(value) = value {
            fbb.push_slot_always(slot(field), value);
        }
    }
    let graph = fbb.end_table(table);
    let graphs = fbb.create_vector(&[graph]);
    let table = fbb.start_table();
    fbb.push_slot(slot(0), 3u32, 0);
    if let Some(codes) = codes {
        fbb.push_slot_always(slot(1), codes);
    }
    fbb.push_slot_always(slot(2), graphs);
    if let Some(signatures) = signatures {
        fbb.push_slot_always(slot(7), signatures);
    }
    let root = fbb.end_table(table);
    fbb.finish(root, Some("TFL3"));
    fbb.finished_data().to_vec()
}

#[test]
fn many_tensors_of_one_long_name_exceed_the_budget() {
    let _turn = turn();
    let file = aliased(|fbb| {
        let name = fbb.create_string(&"x".repeat(1 << 20));
        let table = fbb.start_table();
        fbb.push_slot_always(slot(3), name);
        let tensor = fbb.end_table(table);
        let tensors = fbb.create_vector(&vec![tensor; 60_000]).as_union_value();
        finish(fbb, [Some(tensors), None, None, None], None, None)
    });
    assert_eq!(read(&file).unwrap_err().code.as_str(), "OUT_OF_MEMORY");
}

#[test]
fn many_tensors_of_one_long_list_of_scales_exceed_the_budget() {
    let _turn = turn();
    for last in [1.0f32, 0.0] {
        for dtype in [common::INT8, common::INT32] {
            let file = aliased(|fbb| {
                let mut scales = vec![1.0f32; 200_000];
                scales[199_999] = last;
                let scales = fbb.create_vector(&scales);
                let table = fbb.start_table();
                fbb.push_slot_always(slot(2), scales);
                let quantization = fbb.end_table(table);
                let shape = fbb.create_vector(&[200_000i32]);
                let table = fbb.start_table();
                fbb.push_slot_always(slot(0), shape);
                fbb.push_slot(slot(1), dtype, 0);
                fbb.push_slot_always(slot(4), quantization);
                let tensor = fbb.end_table(table);
                let tensors = fbb.create_vector(&vec![tensor; 60_000]).as_union_value();
                finish(fbb, [Some(tensors), None, None, None], None, None)
            });
            assert!(read(&file).is_err());
        }
    }
}

#[test]
fn many_operators_of_one_long_custom_name_exceed_the_budget() {
    let _turn = turn();
    for builtin in [0i8, 32] {
        let file = aliased(|fbb| {
            let name = fbb.create_string(&"x".repeat(1 << 20));
            let table = fbb.start_table();
            fbb.push_slot(slot(0), builtin, 0);
            fbb.push_slot_always(slot(1), name);
            let code = fbb.end_table(table);
            let codes = fbb.create_vector(&[code]).as_union_value();
            let table = fbb.start_table();
            let operator = fbb.end_table(table);
            let operators = fbb.create_vector(&vec![operator; 60_000]).as_union_value();
            finish(fbb, [None, None, None, Some(operators)], Some(codes), None)
        });
        assert!(read(&file).is_err());
    }
}

#[test]
fn many_operators_of_long_lists_exceed_the_budget() {
    let _turn = turn();
    let file = aliased(|fbb| {
        let table = fbb.start_table();
        fbb.push_slot(slot(0), 2i8, 0);
        let code = fbb.end_table(table);
        let codes = fbb.create_vector(&[code]).as_union_value();
        let inputs = fbb.create_vector(&[0i32; 4096]);
        let table = fbb.start_table();
        fbb.push_slot_always(slot(1), inputs);
        let operator = fbb.end_table(table);
        let operators = fbb.create_vector(&vec![operator; 60_000]).as_union_value();
        let table = fbb.start_table();
        let tensor = fbb.end_table(table);
        let tensors = fbb.create_vector(&[tensor]).as_union_value();
        finish(fbb, [Some(tensors), None, None, Some(operators)], Some(codes), None)
    });
    assert_eq!(read(&file).unwrap_err().code.as_str(), "OUT_OF_MEMORY");
}

#[test]
fn many_signatures_exceed_the_budget() {
    let _turn = turn();
    let file = aliased(|fbb| {
        let table = fbb.start_table();
        let map = fbb.end_table(table);
        let maps = fbb.create_vector(&vec![map; 4096]);
        let table = fbb.start_table();
        fbb.push_slot_always(slot(0), maps);
        let signature = fbb.end_table(table);
        let signatures = fbb.create_vector(&vec![signature; 60_000]).as_union_value();
        let table = fbb.start_table();
        let tensor = fbb.end_table(table);
        let tensors = fbb.create_vector(&[tensor]).as_union_value();
        finish(fbb, [Some(tensors), None, None, None], None, Some(signatures))
    });
    assert_eq!(read(&file).unwrap_err().code.as_str(), "OUT_OF_MEMORY");
}

/// A model whose only label file is `entry`.
fn with_labels(entry: zip::Entry) -> Vec<u8> {
    let mut spec = tiny::spec();
    spec.metadata.as_mut().unwrap().outputs[0].files.truncate(1);
    spec.archive = zip::build(&[entry], 0);
    spec.build()
}

#[test]
fn zip_bombs_are_refused() {
    let _turn = turn();
    // 64 MB of zeros in 64 kB: over the limit of one file.
    let file = with_labels(zip::Entry::deflated("labels.txt", &vec![0; 64 << 20]));
    assert!(file.len() < 100_000);
    let error = read(&file).unwrap_err();
    assert!(error.message.contains("has 67108864 bytes, the limit is"), "{error}");
    // The same, but the directory claims fewer: inflation stops there.
    let file = with_labels(zip::Entry {
        size: Some(1000),
        ..zip::Entry::deflated("labels.txt", &vec![b'\n'; 64 << 20])
    });
    let error = read(&file).unwrap_err();
    assert!(error.message.contains("\"labels.txt\" does not inflate"), "{error}");
    // Within the limit of a file, but a name a byte.
    let file = with_labels(zip::Entry::deflated("labels.txt", &vec![b'\n'; 4 << 20]));
    assert_eq!(read(&file).unwrap_err().code.as_str(), "OUT_OF_MEMORY");
}

#[test]
fn a_label_file_named_many_times_exceeds_a_limit() {
    let _turn = turn();
    let mut spec = tiny::spec();
    let files = &mut spec.metadata.as_mut().unwrap().outputs[0].files;
    let file = files[0].clone();
    *files = vec![file; 250];
    let names = "n\n".repeat(100_000);
    spec.archive = zip::build(&[zip::Entry::stored("labels.txt", names.as_bytes())], 0);
    assert_eq!(read(&spec.build()).unwrap_err().code.as_str(), "OUT_OF_MEMORY");
}
