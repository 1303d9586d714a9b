//! Every shader of the conformance models is read and checked by naga; recordings are counted.

use std::collections::HashSet;
use std::path::Path;

use achado_gpu::{ALIGNMENT, Limits, Recording, record};
use achado_model::{ErrorCode, tflite};
use naga::valid::{Capabilities, ValidationFlags, Validator};

/// Panics where a shader is wrong. `known` are those that were checked.
fn check_shaders(recording: &Recording, known: &mut HashSet<String>) {
    for text in &recording.shaders {
        if !known.insert(text.clone()) {
            continue;
        }
        let module = naga::front::wgsl::parse_str(text)
            .unwrap_or_else(|error| panic!("{}\n{text}", error.emit_to_string(text)));
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
        validator.validate(&module).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    }
}

/// Panics where a recording is not what WebGPU takes.
fn check_bindings(recording: &Recording) {
    for dispatch in &recording.dispatches {
        let pipeline = &recording.pipelines[dispatch.pipeline];
        assert_eq!(pipeline.layout.len(), dispatch.bindings.len());
        // The default limits: 8 storage buffers, 65535 work-groups.
        assert!(pipeline.layout.len() <= 9, "{}", pipeline.layout);
        assert!(dispatch.groups.iter().all(|&count| (1..=65535).contains(&count)), "{dispatch:?}");
        let mut of_arena = Vec::new();
        for (kind, range) in pipeline.layout.chars().zip(&dispatch.bindings) {
            assert!(range.start.is_multiple_of(ALIGNMENT) && !range.is_empty(), "{dispatch:?}");
            let size = match kind {
                'p' => recording.params.len(),
                'w' => recording.weights.len(),
                'a' => recording.arena_bytes,
                other => panic!("a binding of kind {other}"),
            };
            assert!(range.end <= size, "{dispatch:?} of {size}");
            if kind == 'a' {
                of_arena.push(range.clone());
            }
        }
        // Written ranges of one dispatch must not overlap; all of the arena are writable.
        for (i, a) in of_arena.iter().enumerate() {
            let apart = |b: &std::ops::Range<usize>| a.end <= b.start || b.end <= a.start;
            assert!(of_arena[i + 1..].iter().all(apart), "{dispatch:?}");
        }
    }
}

/// Operators of which every float32 model is recorded.
const FLOAT: [&str; 24] = [
    "ADD",
    "SUB",
    "MUL",
    "DIV",
    "MAXIMUM",
    "MINIMUM",
    "SQUARED_DIFFERENCE",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "AVERAGE_POOL_2D",
    "MAX_POOL_2D",
    "RELU",
    "RELU6",
    "HARD_SWISH",
    "LOGISTIC",
    "TANH",
    "GELU",
    "ELU",
    "ABS",
    "NEG",
    "EXP",
    "SQRT",
    "RSQRT",
    "SQUARE",
];

/// What is left out of them.
const LEFT_OUT: [&str; 2] = ["more than four dimensions", "MEAN over other dimensions"];

#[test]
fn every_shader_of_the_conformance_models_is_valid() {
    let mut known = HashSet::new();
    let (mut recorded, mut refused, mut missing) = (0, 0, Vec::new());
    for operator in achado_conformance::operators() {
        for case in achado_conformance::cases(operator) {
            let Ok(model) = tflite::read(case.model.into()) else { continue };
            let label = format!("{operator} {} {}", case.name, case.dtype);
            match record(model, Limits::default()) {
                Ok(recording) => {
                    recorded += 1;
                    check_shaders(&recording, &mut known);
                    check_bindings(&recording);
                }
                Err(error) => {
                    refused += 1;
                    let is_promised = FLOAT.contains(&operator) && case.dtype == "float32";
                    if is_promised && !LEFT_OUT.iter().any(|what| error.message.contains(what)) {
                        missing.push(format!("{label}: {error}"));
                    }
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    println!("{recorded} models of {} shaders, {refused} refused", known.len());
    assert!(recorded > 1000 && refused > 0, "{recorded}, {refused}");
}

fn default_model() -> Recording {
    let file = Path::new("../../models/efficientnet-lite0-int8.tflite");
    let model = tflite::read(std::fs::read(file).unwrap().into()).unwrap();
    record(model, Limits::default()).unwrap()
}

#[test]
fn the_default_model_takes_few_dispatches_and_moves_little_more_than_it_must() {
    let recording = default_model();
    check_shaders(&recording, &mut HashSet::new());
    check_bindings(&recording);
    println!("{} dispatches, {} shaders", recording.dispatches.len(), recording.shaders.len());
    // 50 convolutions and a dense layer, of which 9 add what went before; a mean, the ends.
    assert!(recording.dispatches.len() <= 56, "{}", recording.dispatches.len());
    assert!(recording.shaders.len() <= 20, "{}", recording.shaders.len());
    assert!(recording.needs_packed_dot && recording.tail.is_some());
    // Weights, biases and scales, in bytes, against the file.
    assert!(recording.weights.len() < 5_400_000, "{}", recording.weights.len());
    assert!((380_000_000..410_000_000).contains(&recording.macs), "{}", recording.macs);
    let large = recording.dispatches.iter().filter(|dispatch| {
        dispatch.operator == "CONV_2D" && dispatch.groups.iter().product::<u32>() >= 128
    });
    assert!(large.count() > 20);
}

#[test]
fn recordings_are_the_same_each_time() {
    assert_eq!(default_model().to_json(), default_model().to_json());
}

#[test]
fn limits_are_held_before_anything_is_allocated() {
    let file = Path::new("../../models/efficientnet-lite0-int8.tflite");
    let model = tflite::read(std::fs::read(file).unwrap().into()).unwrap();
    let limits = Limits { binding_bytes: 1 << 20, ..Limits::default() };
    let error = record(model, limits).unwrap_err();
    assert_eq!(error.code, ErrorCode::OutOfMemory);
    assert!(error.message.contains("on WebGPU, this device has 1048576"), "{error}");
}

/// Beyond the project's own files, where they are.
#[test]
fn real_models_take_few_dispatches() {
    let folder = Path::new("../../../shared/models/models");
    let most = [
        ("mobilenet_v1_0.25_224_f32_md.tflite", 31),
        ("mobilenet_v1_0.25_224_quant_md.tflite", 31),
        ("mobilenet_v2_1.0_224_int8pc_u8io.tflite", 56),
        ("mobilenet_v2_1.0_224_quant.tflite", 56),
    ];
    for (name, most) in most {
        let Ok(bytes) = std::fs::read(folder.join(name)) else {
            println!("{name} is not here: skipped");
            continue;
        };
        let recording = record(tflite::read(bytes.into()).unwrap(), Limits::default()).unwrap();
        check_shaders(&recording, &mut HashSet::new());
        check_bindings(&recording);
        assert!(recording.dispatches.len() <= most, "{name}: {}", recording.dispatches.len());
    }
}
