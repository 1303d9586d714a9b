//! A small classifier as converters write them: int8, scales per channel, metadata, labels.

use super::zip::{self, Entry};
use super::{
    FileSpec, INT8, INT32, MetadataSpec, ModelSpec, NodeSpec, SignatureSpec, TensorMetadataSpec,
    TensorSpec, Value,
};

/// Weights of no meaning, the same in every run.
fn bytes(count: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let step = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..count).map(step).collect()
}

/// Values of -2048..2048, as biases.
fn biases(count: usize, seed: u32) -> Vec<i32> {
    bytes(count, seed).iter().map(|&byte| i32::from(byte) * 16 - 2048).collect()
}

pub const INPUT: i32 = 0;
pub const CONV_WEIGHTS: usize = 1;
pub const CONV_BIAS: usize = 2;
pub const CONV: usize = 3;
pub const AXES: usize = 8;

/// CONV_2D, DEPTHWISE_CONV_2D, ADD, MEAN, FULLY_CONNECTED, SOFTMAX on `[1, 8, 8, 3]`.
pub fn spec() -> ModelSpec {
    let weight_scale = [0.01, 0.02, 0.015, 0.0125];
    let bias_scale = weight_scale.map(|scale| scale * 0.007_843_138);
    let tensors = vec![
        TensorSpec::new("image", INT8, &[1, 8, 8, 3]).quantized(0.007_843_138, -1),
        TensorSpec::new("conv/w", INT8, &[4, 3, 3, 3])
            .per_channel(&weight_scale, 0)
            .data(bytes(108, 1)),
        TensorSpec::new("conv/b", INT32, &[4]).per_channel(&bias_scale, 0).integers(&biases(4, 2)),
        TensorSpec::new("conv", INT8, &[1, 4, 4, 4]).quantized(6.0 / 255.0, -128),
        TensorSpec::new("depthwise/w", INT8, &[1, 3, 3, 4])
            .per_channel(&weight_scale, 3)
            .data(bytes(36, 3)),
        TensorSpec::new("depthwise/b", INT32, &[4])
            .per_channel(&weight_scale.map(|scale| scale * 6.0 / 255.0), 0)
            .integers(&biases(4, 4)),
        TensorSpec::new("depthwise", INT8, &[1, 4, 4, 4]).quantized(0.05, 3),
        TensorSpec::new("sum", INT8, &[1, 4, 4, 4]).quantized(0.06, 0),
        TensorSpec::new("axes", INT32, &[2]).integers(&[1, 2]),
        TensorSpec::new("mean", INT8, &[1, 4]).quantized(0.04, 5),
        TensorSpec::new("dense/w", INT8, &[3, 4]).quantized(0.02, 0).data(bytes(12, 5)),
        TensorSpec::new("dense/b", INT32, &[3]).quantized(0.0008, 0).integers(&biases(3, 6)),
        TensorSpec::new("logits", INT8, &[1, 3]).quantized(0.1, -4),
        TensorSpec::new("scores", INT8, &[1, 3]).quantized(1.0 / 256.0, -128),
    ];
    let nodes = vec![
        NodeSpec::new(3, &[0, 1, 2], &[3])
            .version(3)
            .options(1, vec![(1, Value::Int(2)), (2, Value::Int(2)), (3, Value::Byte(3))]),
        NodeSpec::new(4, &[3, 4, 5], &[6]).version(3).options(
            2,
            vec![(1, Value::Int(1)), (2, Value::Int(1)), (3, Value::Int(1)), (4, Value::Byte(1))],
        ),
        NodeSpec::new(0, &[3, 6], &[7]).version(2).options(11, vec![]),
        NodeSpec::new(40, &[7, 8], &[9]).version(2).options(27, vec![]),
        NodeSpec::new(9, &[9, 10, 11], &[12]).version(4).options(8, vec![]),
        NodeSpec::new(25, &[12], &[13]).version(2).options(9, vec![(0, Value::Float(1.0))]),
    ];
    let metadata = MetadataSpec {
        strings: ["Tiny", "A test of the reader.", "1.0", "achado", "MIT OR Apache-2.0"],
        inputs: vec![TensorMetadataSpec {
            name: "image",
            description: "RGB",
            units: vec![(
                1,
                vec![(0, Value::Floats(vec![127.5])), (1, Value::Floats(vec![127.5]))],
            )],
            files: vec![],
        }],
        outputs: vec![TensorMetadataSpec {
            name: "probability",
            description: "",
            units: vec![(3, vec![(0, Value::Float(0.25))])],
            files: vec![
                FileSpec { name: "labels.txt", kind: 2, locale: "" },
                FileSpec { name: "labels_pt.txt", kind: 2, locale: "pt" },
            ],
        }],
        identifier: None,
    };
    ModelSpec {
        description: "tiny int8 classifier",
        tensors,
        nodes,
        inputs: vec![INPUT],
        outputs: vec![13],
        signature: Some(SignatureSpec {
            key: "serving_default",
            inputs: vec![("image", 0)],
            outputs: vec![("scores", 13)],
        }),
        metadata: Some(metadata),
        ..ModelSpec::default()
    }
}

/// The label files: one stored, one deflated.
pub fn entries() -> Vec<Entry> {
    vec![
        Entry::stored("labels.txt", b"cat\ndog\nparrot\n"),
        Entry::deflated("labels_pt.txt", "gato\nc\u{e3}o\npapagaio\n".as_bytes()),
    ]
}

/// The whole file, with the zip appended in place.
pub fn file() -> Vec<u8> {
    let mut spec = spec();
    let length = spec.build().len();
    spec.archive = zip::build(&entries(), length);
    spec.build()
}
