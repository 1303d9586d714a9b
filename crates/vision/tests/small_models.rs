//! Writes and checks the models of `tests/fixtures/small_models`.

#![cfg(not(target_arch = "wasm32"))]

use std::fs;
use std::path::Path;

use achado_model::metadata::{Labels, Normalization, TensorMetadata};
use achado_model::{
    Activation, Bytes, DataType, Metadata, Model, Node, Operator, Quantization, Tensor, TensorId,
    tflite,
};

/// A model in the making: tensors by their names.
#[derive(Default)]
struct Draft(Model);

impl Draft {
    fn tensor(&mut self, name: &str, dtype: DataType, shape: &[usize]) -> TensorId {
        self.0.tensors.push(Tensor {
            name: name.into(),
            dtype,
            shape: shape.to_vec(),
            dynamic: Vec::new(),
            quantization: None,
            data: None,
        });
        TensorId(self.0.tensors.len() - 1)
    }

    fn floats(&mut self, name: &str, shape: &[usize]) -> TensorId {
        self.tensor(name, DataType::Float32, shape)
    }

    fn weights(&mut self, name: &str, shape: &[usize], values: &[f32]) -> TensorId {
        let id = self.floats(name, shape);
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.0.tensors[id.0].data = Some(Bytes::from(data));
        id
    }

    fn node(&mut self, operator: Operator, inputs: &[TensorId], output: TensorId) {
        let inputs = inputs.iter().copied().map(Some).collect();
        self.0.nodes.push(Node { operator, inputs, outputs: vec![output] });
    }

    /// An image and its mean colour.
    fn mean_colour(&mut self) -> (TensorId, TensorId) {
        let image = self.floats("image", &[1, 2, 2, 3]);
        let axes = self.tensor("axes", DataType::Int32, &[2]);
        let data: Vec<u8> = [1i32, 2].iter().flat_map(|axis| axis.to_le_bytes()).collect();
        self.0.tensors[axes.0].data = Some(Bytes::from(data));
        let mean = self.floats("features", &[1, 3]);
        self.node(Operator::Mean { keep_dims: false }, &[image, axes], mean);
        (image, mean)
    }

    /// Two sums of the colours.
    fn dense(&mut self, name: &str, input: TensorId, values: &[f32; 6]) -> TensorId {
        let weights = self.weights(&format!("{name}/weights"), &[2, 3], values);
        let output = self.floats(name, &[1, 2]);
        let operator =
            Operator::FullyConnected { activation: Activation::None, keep_num_dims: false };
        let inputs = vec![Some(input), Some(weights), None];
        self.0.nodes.push(Node { operator, inputs, outputs: vec![output] });
        output
    }
}

const RED_OR_CYAN: [f32; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 1.0];
const RED_OR_BLUE: [f32; 6] = [1.0, 0.0, -1.0, -1.0, 0.0, 1.0];

fn picture_metadata() -> TensorMetadata {
    TensorMetadata {
        name: "image".into(),
        normalization: Some(Normalization { mean: vec![0.0], std: vec![255.0] }),
        ..Default::default()
    }
}

fn output_metadata(name: &str, labels: &[&str]) -> TensorMetadata {
    let names = labels.iter().map(|&label| label.into()).collect();
    let list = Labels { file_name: format!("{name}.txt"), locale: String::new(), names };
    TensorMetadata {
        name: name.into(),
        labels: if labels.is_empty() { Vec::new() } else { vec![list] },
        ..Default::default()
    }
}

fn two_heads() -> Model {
    let mut draft = Draft::default();
    let (image, features) = draft.mean_colour();
    draft.0.tensors[image.0].dynamic = vec![true, false, false, false];
    let logits = draft.dense("logits", features, &RED_OR_CYAN);
    let kind = draft.floats("kind", &[1, 2]);
    draft.node(Operator::Softmax { beta: 1.0 }, &[logits], kind);
    let tone = draft.dense("tone", features, &RED_OR_BLUE);
    for id in [features, logits, kind, tone] {
        draft.0.tensors[id.0].dynamic = vec![true, false];
    }
    Model {
        inputs: vec![image],
        outputs: vec![features, kind, tone],
        metadata: Some(Metadata {
            name: "two heads".into(),
            inputs: vec![picture_metadata()],
            outputs: vec![
                output_metadata("features", &[]),
                output_metadata("kind", &["cat", "dog"]),
                output_metadata("tone", &["warm", "cold"]),
            ],
            ..Default::default()
        }),
        ..draft.0
    }
}

fn one_picture() -> Model {
    let mut draft = Draft::default();
    let (image, features) = draft.mean_colour();
    let logits = draft.dense("logits", features, &RED_OR_CYAN);
    let flat = draft.floats("flat", &[2]);
    draft.node(Operator::Reshape { new_shape: vec![2] }, &[logits], flat);
    let reshaped = draft.floats("reshaped", &[1, 2]);
    draft.node(Operator::Reshape { new_shape: vec![1, 2] }, &[flat], reshaped);
    let scores = draft.floats("scores", &[1, 2]);
    draft.node(Operator::Softmax { beta: 1.0 }, &[reshaped], scores);
    Model {
        inputs: vec![image],
        outputs: vec![scores],
        metadata: Some(Metadata {
            inputs: vec![picture_metadata()],
            outputs: vec![output_metadata("scores", &[])],
            ..Default::default()
        }),
        ..draft.0
    }
}

fn tensors() -> Model {
    let mut draft = Draft::default();
    let a = draft.floats("a", &[2, 3]);
    let b = draft.floats("b", &[3]);
    let c = draft.tensor("c", DataType::Int64, &[2]);
    let sum = draft.floats("sum", &[2, 3]);
    draft.node(Operator::Add { activation: Activation::None }, &[a, b], sum);
    let bytes = draft.tensor("bytes", DataType::Int8, &[2, 3]);
    draft.0.tensors[bytes.0].quantization = Some(Quantization::per_tensor(0.5, -1));
    draft.node(Operator::Quantize, &[sum], bytes);
    let same = draft.tensor("same", DataType::Int64, &[2]);
    draft.node(Operator::Reshape { new_shape: vec![2] }, &[c], same);
    Model { inputs: vec![a, b, c], outputs: vec![sum, bytes, same], ..draft.0 }
}

#[test]
fn the_fixtures_are_what_is_written_here() {
    let folder =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/small_models"));
    for (name, model) in
        [("two_heads", two_heads()), ("one_picture", one_picture()), ("tensors", tensors())]
    {
        let bytes = tflite::write(&model).unwrap();
        let file = folder.join(name).with_extension("tflite");
        if std::env::var_os("ACHADO_WRITE_FIXTURES").is_some() {
            fs::write(&file, &bytes).unwrap();
        }
        assert!(fs::read(&file).unwrap() == bytes, "{name} is not what is written here");
        let read = tflite::read(Bytes::from(bytes)).unwrap();
        assert_eq!(read.inputs.len(), model.inputs.len());
    }
}
