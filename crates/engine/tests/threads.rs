//! Threads change no bit of any output.

use std::path::{Path, PathBuf};

use achado_engine::{Session, SessionOptions};
use achado_model::{Bytes, tflite};

/// The models of the repository, and those beside it where they are.
fn models() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared =
        std::env::var_os("ACHADO_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let beside = [
        "mobilenet_v1_0.25_224_quant_md.tflite",
        "mobilenet_v2_1.0_224_int8pc_u8io.tflite",
        "mobilenet_v1_0.25_224_f32_md.tflite",
        "cifar10_resnet8_int8.tflite",
    ];
    let mut models = vec![
        root.join("models/efficientnet-lite0-int8.tflite"),
        root.join("crates/model/tests/fixtures/tiny_int8.tflite"),
    ];
    models.extend(beside.iter().map(|name| shared.join("models/models").join(name)));
    models.retain(|file| file.exists());
    models
}

/// All outputs for an input of pseudo-random bytes.
fn outputs(file: &Path, threads: usize) -> Vec<Vec<u8>> {
    let model = tflite::read(Bytes::from(std::fs::read(file).expect("a file"))).expect("a model");
    let options = SessionOptions { threads, ..SessionOptions::default() };
    let mut session = Session::new(model, &options).expect("a session");
    let mut all = Vec::new();
    for seed in 1..=3_u32 {
        for input in 0..session.inputs().len() {
            let is_float = session.inputs()[input].dtype.name() == "float32";
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_le_bytes()[3]
            };
            let values = session.input_bytes_mut(input).expect("an input");
            if is_float {
                for value in values.chunks_exact_mut(4) {
                    value.copy_from_slice(&(f32::from(next()) / 127.5 - 1.0).to_le_bytes());
                }
            } else {
                values.fill_with(&mut next);
            }
        }
        session.run().expect("a run");
        for output in 0..session.outputs().len() {
            all.push(session.output_bytes(output).expect("an output").to_vec());
        }
    }
    all
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let models = models();
    for file in &models {
        let expected = outputs(file, 1);
        assert!(expected.iter().flatten().any(|&byte| byte != expected[0][0]), "all one value");
        for threads in [2, 3, 4] {
            let found = outputs(file, threads);
            assert!(found == expected, "{} with {threads} threads", file.display());
        }
        println!("{}: 1, 2, 3 and 4 threads agree", file.display());
    }
    assert!(models.len() >= 2);
}
