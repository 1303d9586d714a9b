//! What is written is read back the same, and the same model gives the same bytes.

mod common;

use achado_model::{
    Bytes, DataType, Labels, Metadata, Model, Node, Normalization, Operator, Padding, Tensor,
    TensorId, TensorMetadata, tflite,
};

#[track_caller]
fn read(bytes: Vec<u8>) -> Model {
    tflite::read(Bytes::from(bytes)).unwrap()
}

#[test]
fn a_model_comes_back_with_metadata_and_labels() {
    let model = read(common::tiny::file());
    let written = tflite::write(&model).unwrap();
    assert_eq!(read(written.clone()), model);
    assert_eq!(tflite::write(&model).unwrap(), written);
    assert_eq!(tflite::write(&read(written.clone())).unwrap(), written);
}

#[test]
fn constants_are_aligned_to_16_bytes() {
    let model = read(common::tiny::file());
    let weights = model.tensors[common::tiny::CONV_WEIGHTS].data.clone().unwrap();
    let written = tflite::write(&model).unwrap();
    let places = written.windows(weights.len()).enumerate();
    let places: Vec<usize> =
        places.filter(|(_, window)| **window == *weights).map(|(at, _)| at).collect();
    assert_eq!(places.len(), 1);
    assert_eq!(places[0] % 16, 0);
}

#[test]
fn scalars_empty_constants_open_dimensions_and_left_out_operands_come_back() {
    let tensor = |name: &str, shape: &[usize], data: Option<Vec<u8>>| Tensor {
        name: name.to_owned(),
        dtype: DataType::Float32,
        shape: shape.to_vec(),
        dynamic: Vec::new(),
        quantization: None,
        data: data.map(Bytes::from),
    };
    let mut input = tensor("input", &[1, 4, 4, 1], None);
    input.dynamic = vec![true, false, false, false];
    let mut output = input.clone();
    output.name = "output".to_owned();
    let model = Model {
        tensors: vec![
            input,
            tensor("one", &[], Some(1f32.to_le_bytes().to_vec())),
            tensor("nothing", &[0], Some(Vec::new())),
            output,
            tensor("weights", &[2, 16], Some(vec![0; 128])),
            tensor("scores", &[1, 2], None),
        ],
        nodes: vec![
            Node {
                operator: Operator::Add { activation: Default::default() },
                inputs: vec![Some(TensorId(0)), Some(TensorId(1))],
                outputs: vec![TensorId(3)],
            },
            Node {
                operator: Operator::FullyConnected {
                    activation: Default::default(),
                    keep_num_dims: false,
                },
                inputs: vec![Some(TensorId(3)), Some(TensorId(4)), None],
                outputs: vec![TensorId(5)],
            },
        ],
        inputs: vec![TensorId(0)],
        outputs: vec![TensorId(5)],
        ..Model::default()
    };
    model.validate().unwrap();
    assert_eq!(read(tflite::write(&model).unwrap()), model);
}

#[test]
fn explicit_padding_is_written_as_pad() {
    let mut model = read(common::tiny::file());
    let Operator::Conv2d { padding, .. } = &mut model.nodes[0].operator else { panic!() };
    *padding = Padding::Explicit { top: 1, bottom: 0, left: 0, right: 1 };
    let written = read(tflite::write(&model).unwrap());
    assert_eq!(written.nodes[0].operator, Operator::Pad);
    let Operator::Conv2d { padding, .. } = written.nodes[1].operator else { panic!() };
    assert_eq!(padding, Padding::Valid);
    let padded = written.tensor(written.nodes[0].outputs[0]);
    assert_eq!(padded.shape, [1, 9, 9, 3]);
    assert_eq!(padded.quantization, model.tensor(model.inputs[0]).quantization);
    let paddings = written.tensor(written.nodes[0].inputs[1].unwrap());
    assert_eq!(paddings.constant_integers().unwrap(), [0, 0, 1, 0, 0, 1, 0, 0]);
    assert_eq!(written.nodes[1].inputs[0], Some(written.nodes[0].outputs[0]));
}

fn with_labels(lists: &[(&str, &[&str])]) -> Model {
    let mut model = read(common::tiny::file());
    let list = |(file_name, names): &(&str, &[&str])| Labels {
        file_name: (*file_name).to_owned(),
        locale: String::new(),
        names: names.iter().map(|&name| name.to_owned()).collect(),
    };
    model.metadata = Some(Metadata {
        inputs: vec![TensorMetadata {
            normalization: Some(Normalization { mean: vec![1.0, 2.0, 3.0], std: vec![4.0] }),
            ..TensorMetadata::default()
        }],
        outputs: vec![TensorMetadata {
            labels: lists.iter().map(list).collect(),
            ..TensorMetadata::default()
        }],
        ..Metadata::default()
    });
    model
}

#[test]
fn label_lists_are_files() {
    let model = with_labels(&[("a.txt", &["gato", "c\u{e3}o", "", "x"]), ("b.txt", &["1", "2"])]);
    assert_eq!(read(tflite::write(&model).unwrap()), model);
    let twice = with_labels(&[("a.txt", &["1"]), ("a.txt", &["1"])]);
    assert_eq!(read(tflite::write(&twice).unwrap()), twice);
}

#[test]
fn custom_metadata_is_text_by_name() {
    let mut model = with_labels(&[]);
    let custom = &mut model.metadata.as_mut().unwrap().custom;
    *custom = vec![("a".to_owned(), "fit=contain\n".to_owned()), ("b".to_owned(), String::new())];
    let read = read(tflite::write(&model).unwrap());
    assert_eq!(read, model);
    assert_eq!(read.metadata.unwrap().custom("a"), Some("fit=contain\n"));
}

#[test]
fn label_lists_that_cannot_be_files_are_refused() {
    let error = tflite::write(&with_labels(&[("a.txt", &["two\nlines"])])).unwrap_err();
    assert_eq!(error.code.as_str(), "INVALID_OPTION");
    assert!(error.message.contains("\"two\\nlines\" of \"a.txt\""), "{error}");
    let error = tflite::write(&with_labels(&[("a.txt", &["1"]), ("a.txt", &["2"])])).unwrap_err();
    assert!(error.message.contains("\"a.txt\""), "{error}");
}

#[test]
fn models_that_are_not_valid_are_refused() {
    let mut model = read(common::tiny::file());
    model.outputs = vec![TensorId(999)];
    assert_eq!(tflite::write(&model).unwrap_err().code.as_str(), "MODEL_FORMAT");
}
