//! `fixtures/tiny_int8.tflite` is what the builder in `common/tiny.rs` writes.
//!
//! After a change there: `ACHADO_WRITE_FIXTURES=1 cargo test -p achado-model --test fixture`.

mod common;

use achado_model::{
    Activation, Bytes, DataType, Operator, Padding, TensorId, metadata::Normalization, tflite,
};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tiny_int8.tflite");

#[test]
fn the_fixture_is_the_builders() {
    let built = common::tiny::file();
    if std::env::var_os("ACHADO_WRITE_FIXTURES").is_some() {
        std::fs::write(PATH, &built).unwrap();
    }
    assert!(std::fs::read(PATH).unwrap() == built, "{PATH} differs from the builder's bytes");
}

#[test]
fn the_fixture_is_read_in_full() {
    let model = tflite::read(Bytes::from(std::fs::read(PATH).unwrap())).unwrap();
    assert_eq!(model.description, "tiny int8 classifier");
    assert_eq!(model.inputs, [TensorId(0)]);
    assert_eq!(model.outputs, [TensorId(13)]);
    let names: Vec<_> = model.nodes.iter().map(|node| node.operator.name()).collect();
    assert_eq!(
        names,
        ["CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED", "SOFTMAX"]
    );
    assert_eq!(
        model.nodes[0].operator,
        Operator::Conv2d {
            stride: [2, 2],
            dilation: [1, 1],
            padding: Padding::Same,
            activation: Activation::Relu6
        }
    );
    assert_eq!(
        model.nodes[1].operator,
        Operator::DepthwiseConv2d {
            stride: [1, 1],
            dilation: [1, 1],
            padding: Padding::Same,
            depth_multiplier: 1,
            activation: Activation::Relu
        }
    );
    assert_eq!(model.nodes[5].operator, Operator::Softmax { beta: 1.0 });

    let weights = model.tensor(TensorId(common::tiny::CONV_WEIGHTS));
    assert_eq!((weights.name.as_str(), weights.dtype), ("conv/w", DataType::Int8));
    assert_eq!(weights.shape, [4, 3, 3, 3]);
    assert_eq!(weights.data.as_ref().unwrap().len(), 108);
    let quantization = weights.quantization.as_ref().unwrap();
    assert_eq!(quantization.scale, [0.01, 0.02, 0.015, 0.0125]);
    assert_eq!((&quantization.zero_point[..], quantization.axis), (&[0; 4][..], 0));
    let axes = model.tensor(TensorId(common::tiny::AXES));
    assert_eq!(axes.constant_integers().unwrap(), [1, 2]);
    let input = model.tensor(model.inputs[0]);
    assert_eq!(input.quantization.as_ref().unwrap().as_per_tensor(), Some((0.007_843_138, -1)));
    assert!(!input.is_constant() && input.dynamic.is_empty());

    assert_eq!(model.signatures[0].key, "serving_default");
    assert_eq!(model.signatures[0].outputs, [("scores".to_owned(), TensorId(13))]);

    let metadata = model.metadata.unwrap();
    assert_eq!((metadata.name.as_str(), metadata.license.as_str()), ("Tiny", "MIT OR Apache-2.0"));
    assert_eq!(
        metadata.inputs[0].normalization,
        Some(Normalization { mean: vec![127.5], std: vec![127.5] })
    );
    let output = &metadata.outputs[0];
    assert_eq!((output.name.as_str(), output.score_threshold), ("probability", Some(0.25)));
    let labels: Vec<_> =
        output.labels.iter().map(|l| (l.locale.as_str(), l.names.join(" "))).collect();
    assert_eq!(
        labels,
        [("", "cat dog parrot".to_owned()), ("pt", "gato c\u{e3}o papagaio".to_owned())]
    );
}
