//! What is refused, and what the message says: who is at fault, where, what is needed.

mod common;

use achado_model::{Bytes, Detail, Error, Model, tflite};
use common::{
    FLOAT16, FLOAT32, INT8, MetadataSpec, ModelSpec, NodeSpec, STRING, TensorSpec, UINT8, Value,
    tiny, zip,
};

fn error(spec: &ModelSpec) -> Error {
    tflite::read(Bytes::from(spec.build())).unwrap_err()
}

/// The tiny model after `change`, without metadata, is refused with `code` and a message that holds
/// `part`.
#[track_caller]
fn refused(code: &str, part: &str, change: impl FnOnce(&mut ModelSpec)) {
    let mut spec = tiny::spec();
    spec.metadata = None;
    change(&mut spec);
    let error = error(&spec);
    assert_eq!(error.code.as_str(), code, "{error}");
    assert!(error.message.contains(part), "{error}");
}

#[track_caller]
fn format(part: &str, change: impl FnOnce(&mut ModelSpec)) {
    refused("MODEL_FORMAT", part, change);
}

/// The same with metadata.
#[track_caller]
fn metadata(code: &str, part: &str, change: impl FnOnce(&mut MetadataSpec, &mut Vec<zip::Entry>)) {
    let mut spec = tiny::spec();
    let mut entries = tiny::entries();
    change(spec.metadata.as_mut().unwrap(), &mut entries);
    if !entries.is_empty() {
        spec.archive = zip::build(&entries, 0);
    }
    let error = error(&spec);
    assert_eq!(error.code.as_str(), code, "{error}");
    assert!(error.message.contains(part), "{error}");
}

#[test]
fn another_schema_version() {
    format("schema version 4", |spec| spec.version = 4);
}

#[test]
fn a_model_without_a_graph() {
    // A root table without fields but the version.
    let mut fbb = flatbuffers::FlatBufferBuilder::new();
    let table = fbb.start_table();
    fbb.push_slot(4, 3u32, 0);
    let root = fbb.end_table(table);
    fbb.finish(root, Some("TFL3"));
    let error = tflite::read(Bytes::from(fbb.finished_data().to_vec())).unwrap_err();
    assert_eq!(error.message, "the model has no subgraph");
}

#[test]
fn a_truncated_model_says_where() {
    let file = tiny::file();
    let error = tflite::read(Bytes::from(file[..1000].to_vec())).unwrap_err();
    assert!(error.message.contains("beyond the end of the data at 0x3e8"), "{error}");
    assert!(error.message.contains("truncated"), "{error}");
}

#[test]
fn missing_operators_are_all_named_once() {
    let mut spec = tiny::spec();
    spec.nodes[1].code = 16; // LSTM
    spec.nodes[2].code = 16;
    spec.nodes[2].version = 1;
    spec.nodes[1].version = 1;
    spec.nodes[3] = NodeSpec { custom: "My\"Op", ..NodeSpec::new(32, &[7], &[9]) };
    spec.nodes[4].version = 99; // FULLY_CONNECTED
    spec.nodes[5].code = 4000;
    let error = error(&spec);
    assert_eq!(error.code.as_str(), "UNSUPPORTED_OPERATOR");
    assert_eq!(
        error.message,
        "the model needs operators that are not supported: LSTM version 1 (operator 1, output \
         tensor 6 \"depthwise\", and 1 more); custom operator \"My\\\"Op\" version 1 (operator 3, \
         output tensor 9 \"mean\"); FULLY_CONNECTED version 99 (operator 4, output tensor 12 \
         \"logits\", versions up to 13 are supported); builtin operator 4000 version 2 (operator \
         5, output tensor 13 \"scores\")"
    );
    assert_eq!(error.detail["operator"], Detail::Text("LSTM".to_owned()));
    assert_eq!(error.detail["index"], Detail::Number(1.0));
    assert_eq!(error.detail["version"], Detail::Number(1.0));
    assert_eq!(
        error.detail["operators"],
        Detail::Text(
            "LSTM, custom operator \"My\\\"Op\", FULLY_CONNECTED, builtin operator 4000".to_owned()
        )
    );
}

#[test]
fn control_flow_is_named() {
    refused("UNSUPPORTED_OPERATOR", "WHILE version 1 (operator 2, ", |spec| {
        spec.nodes[2] = NodeSpec::new(119, &[3, 6], &[7]);
        spec.further_subgraphs = 2;
    });
}

#[test]
fn attributes_out_of_range() {
    format("operator 0 CONV_2D: stride_w is 0, must be 1 or more", |spec| {
        spec.nodes[0].options = Some((1, vec![(2, Value::Int(2))]));
    });
    format("operator 0 CONV_2D: stride_h is 0, must be 1 or more", |spec| {
        spec.nodes[0].options = None;
    });
    format("operator 0 CONV_2D: dilation_h is -1", |spec| {
        let fields = vec![(1, Value::Int(1)), (2, Value::Int(1)), (5, Value::Int(-1))];
        spec.nodes[0].options = Some((1, fields));
    });
    format("operator 0 CONV_2D: options are of kind 2, must be of kind 1", |spec| {
        spec.nodes[0].options.as_mut().unwrap().0 = 2;
    });
    format("operator 5 SOFTMAX: beta is 0", |spec| spec.nodes[5].options = None);
    refused("UNSUPPORTED_OPERATOR", "operator 2 ADD has the fused activation TANH", |spec| {
        spec.nodes[2].options = Some((11, vec![(0, Value::Byte(4))]));
    });
    refused("UNSUPPORTED_OPERATOR", "operator 4 FULLY_CONNECTED has shuffled weights", |spec| {
        spec.nodes[4].options = Some((8, vec![(1, Value::Byte(1))]));
    });
    refused("UNSUPPORTED_OPERATOR", "padding 9", |spec| {
        spec.nodes[0].options.as_mut().unwrap().1.push((0, Value::Byte(9)));
    });
}

#[test]
fn a_constant_of_another_size() {
    let mut spec = tiny::spec();
    spec.tensors[tiny::CONV_WEIGHTS].data.as_mut().unwrap().pop();
    let error = error(&spec);
    let Detail::Number(offset) = error.detail["offset"] else { panic!("{error:?}") };
    assert_eq!(
        error.message,
        format!(
            "tensor 1 \"conv/w\": buffer needs 108 bytes, has 107 (at offset {offset:#x})",
            offset = offset as u64
        )
    );
    assert_eq!(error.detail["needed"], Detail::Number(108.0));
    format("the file has", |spec| {
        spec.tensors[tiny::CONV_WEIGHTS].data = None;
        spec.tensors[tiny::CONV_WEIGHTS].external = Some((1 << 40, 108));
    });
}

#[test]
fn shapes_out_of_range() {
    format("tensor 0 \"image\" has a dimension of -2", |spec| spec.tensors[0].shape[3] = -2);
    format("tensor 0 \"image\" has 9 dimensions", |spec| spec.tensors[0].shape = vec![1; 9]);
    format("tensor 0 \"image\": shape [2147483647, 2147483647, 0] of int8 is larger", |spec| {
        spec.tensors[0].shape = vec![i32::MAX, i32::MAX, 0];
    });
}

#[test]
fn element_types() {
    refused("UNSUPPORTED_TYPE", "tensor 3 \"conv\" has the element type string", |spec| {
        spec.tensors[3].dtype = STRING;
    });
    refused("UNSUPPORTED_TYPE", "element type number 200", |spec| spec.tensors[3].dtype = 200);
    refused("UNSUPPORTED_TYPE", "tensor 3 \"conv\" is float16; only constants", |spec| {
        spec.tensors[3].dtype = FLOAT16;
    });
    refused("UNSUPPORTED_TYPE", "operator 2 ADD: tensor 3 \"conv\" is int8 and", |spec| {
        spec.tensors[6].dtype = UINT8;
        spec.nodes[1] = NodeSpec::new(114, &[3], &[6]);
    });
    refused("UNSUPPORTED_TYPE", "tensor 1 \"conv/w\" is float32, supported here: int8", |spec| {
        spec.tensors[1] = TensorSpec::new("conv/w", FLOAT32, &[4, 3, 3, 3]).floats(&[0.0; 108]);
    });
}

#[test]
fn state_and_sparsity() {
    refused("UNSUPPORTED_OPERATOR", "tensor 6 \"depthwise\" is a variable", |spec| {
        spec.tensors[6].is_variable = true;
    });
    refused("MODEL_FORMAT", "tensor 1 \"conv/w\" is sparse: the lists of its non-zero", |spec| {
        spec.tensors[1].is_sparse = true;
    });
}

#[test]
fn quantisation() {
    fn weights(spec: &mut ModelSpec) -> &mut common::QuantizationSpec {
        spec.tensors[tiny::CONV_WEIGHTS].quantization.as_mut().unwrap()
    }
    format("tensor 1 \"conv/w\": scale 0 must be finite and above 0", |spec| {
        weights(spec).scale[2] = 0.0;
    });
    format("scale NaN", |spec| weights(spec).scale[2] = f32::NAN);
    format("4 scales but 3 zero points", |spec| {
        weights(spec).zero_point.pop();
    });
    format("zero point 128 is outside -128..=127", |spec| weights(spec).zero_point[1] = 128);
    format("4 scales do not fit shape [4, 3, 3, 3]", |spec| weights(spec).dimension = 1);
    format("4 scales do not fit shape", |spec| weights(spec).dimension = -1);
    format("operator 0 CONV_2D: the weights are quantised along dimension 3", |spec| {
        spec.tensors[0].shape = vec![1, 8, 8, 4];
        let weights = TensorSpec::new("conv/w", INT8, &[4, 3, 3, 4]).data(vec![1; 144]);
        spec.tensors[1] = weights.per_channel(&[1.0; 4], 3);
    });
    format("tensor 0 \"image\" of int8 has no scale", |spec| spec.tensors[0].quantization = None);
    format("operator 0 CONV_2D: the weights have no scale", |spec| {
        spec.tensors[1].quantization = None;
    });
}

#[test]
fn operands_out_of_range_or_missing() {
    format("operator 2 ADD: input 1 is tensor 14; the model has 14 tensors", |spec| {
        spec.nodes[2].inputs[1] = 14;
    });
    format("operator 2 ADD: output 0 is tensor -1", |spec| spec.nodes[2].outputs[0] = -1);
    format("operator 2 ADD: input 1 is left out", |spec| spec.nodes[2].inputs[1] = -1);
    format("operator 2 ADD: has 3 inputs and 1 output, needs 2 inputs", |spec| {
        spec.nodes[2].inputs.push(3);
    });
    format("operator 2 ADD: has 2 inputs and 2 outputs, needs 2 inputs and 1 output", |spec| {
        spec.tensors.push(TensorSpec::new("more", INT8, &[1]));
        spec.nodes[2].outputs.push(14);
    });
    format("output 0 of the model is tensor 99", |spec| spec.outputs = vec![99]);
    format("the model has no outputs", |spec| spec.outputs.clear());
    format("signature tensor \"scores\" is tensor 77", |spec| {
        spec.signature.as_mut().unwrap().outputs[0].1 = 77;
    });
}

#[test]
fn graphs_that_are_none() {
    format(
        "operator 1 DEPTHWISE_CONV_2D: input 0, tensor 7 \"sum\", is the result of the later \
         operator 2 ADD: the graph has a cycle",
        |spec| spec.nodes[1].inputs[0] = 7,
    );
    format("tensor 7 \"sum\", is its own result (operator 2 ADD)", |spec| {
        spec.nodes[2].inputs[0] = 7;
    });
    format(
        "operator 0 CONV_2D: input 0, tensor 0 \"image\", is neither an input, a constant nor the \
         result of an operator",
        |spec| spec.inputs.clear(),
    );
    format("output 0, tensor 3 \"conv\", is already the result of operator 0 CONV_2D", |spec| {
        spec.nodes[1].outputs[0] = 3;
    });
    format("output 0, tensor 1 \"conv/w\", is a constant", |spec| spec.nodes[1].outputs[0] = 1);
    format("output 0, tensor 0 \"image\", is an input of the model", |spec| {
        spec.nodes[1].outputs[0] = 0;
    });
    format("input 1 of the model, tensor 0 \"image\", is named twice", |spec| {
        spec.inputs = vec![0, 0];
    });
    format("input 1 of the model, tensor 1 \"conv/w\", is a constant", |spec| {
        spec.inputs = vec![0, 1];
    });
}

#[test]
fn shapes_that_do_not_fit() {
    format("tensor 1 \"conv/w\" has shape [4, 3, 3, 3], needs as last dimension a", |spec| {
        spec.tensors[0].shape = vec![1, 8, 8, 4];
    });
    format("tensor 2 \"conv/b\" has shape [5], needs 4 elements", |spec| {
        spec.tensors[2] = TensorSpec::new("conv/b", common::INT32, &[5]).integers(&[0; 5]);
    });
    format("tensor 0 \"image\" has shape [8, 8, 3], needs 4 dimensions", |spec| {
        spec.tensors[0].shape = vec![8, 8, 3];
    });
    format("tensor 3 \"conv\" has shape [1, 4, 4, 5], needs 4 channels", |spec| {
        spec.tensors[3].shape = vec![1, 4, 4, 5];
    });
    format("DEPTHWISE_CONV_2D: tensor 4 \"depthwise/w\" has shape [1, 3, 3, 4], needs", |spec| {
        spec.nodes[1].inputs[0] = 0;
    });
    format("operator 3 MEAN: axis 4 is out of range", |spec| {
        spec.tensors[tiny::AXES] = TensorSpec::new("axes", common::INT32, &[2]).integers(&[1, 4]);
    });
    format("tensor 3 \"conv\" has shape [1, 4, 4, 4], needs one that broadcasts with", |spec| {
        spec.tensors[6].shape = vec![1, 3, 4, 4];
        spec.nodes[2].inputs = vec![6, 3];
    });
    format("operator 3 RESHAPE: tensor 7 \"sum\" has shape [1, 4, 4, 4], needs as many", |spec| {
        spec.nodes[3] =
            NodeSpec::new(22, &[7], &[9]).options(17, vec![(0, Value::Ints(vec![1, 4]))]);
    });
    format("operator 3 RESHAPE: cannot reshape to [-1, -1]", |spec| {
        spec.nodes[3] =
            NodeSpec::new(22, &[7], &[9]).options(17, vec![(0, Value::Ints(vec![-1, -1]))]);
    });
    format("operator 3 SQUEEZE: dimension 1 of [1, 4, 4, 4] is not 1", |spec| {
        spec.nodes[3] = NodeSpec::new(43, &[7], &[9]).options(30, vec![(0, Value::Ints(vec![1]))]);
    });
    format("operator 3 PAD: tensor 8 \"axes\" has shape [2], needs [4, 2]", |spec| {
        spec.nodes[3] = NodeSpec::new(34, &[7, 8], &[9]);
    });
}

#[test]
fn metadata_that_contradicts() {
    metadata("MODEL_FORMAT", "does not have the identifier M001", |spec, _| {
        spec.identifier = Some("M999");
    });
    metadata("MODEL_FORMAT", "the metadata describes 2 inputs, the model has 1", |spec, _| {
        spec.inputs.push(spec.inputs[0].clone());
    });
    let normalization = |mean: Vec<f32>, std: Vec<f32>| {
        vec![(1, vec![(0, Value::Floats(mean)), (1, Value::Floats(std))])]
    };
    metadata("MODEL_FORMAT", "metadata of input 0: a standard deviation is 0", |spec, _| {
        spec.inputs[0].units = normalization(vec![1.0], vec![0.0]);
    });
    metadata("MODEL_FORMAT", "a mean is NaN", |spec, _| {
        spec.inputs[0].units = normalization(vec![f32::NAN], vec![1.0]);
    });
    metadata("MODEL_FORMAT", "has 3 means and 2 standard deviations", |spec, _| {
        spec.inputs[0].units = normalization(vec![1.0; 3], vec![1.0; 2]);
    });
    metadata("MODEL_FORMAT", "has 0 means", |spec, _| {
        spec.inputs[0].units = normalization(vec![], vec![1.0]);
    });
    metadata("UNSUPPORTED_OPERATOR", "output 0 asks for score calibration", |spec, _| {
        spec.outputs[0].units = vec![(2, vec![])];
    });
}

#[test]
fn label_files_that_are_missing_or_damaged() {
    let code = "MODEL_FORMAT";
    metadata(code, "there is no zip at the end of the file", |_, entries| entries.clear());
    metadata(code, "\"labels_pt.txt\", which the zip at the end", |_, entries| {
        entries.pop();
    });
    metadata(code, "\"labels.txt\" has another CRC-32", |_, entries| entries[0].crc32 = Some(1));
    metadata(code, "\"labels_pt.txt\" has another CRC-32", |_, entries| {
        entries[1].size = Some(100);
    });
    metadata(code, "\"labels.txt\" is compressed by method 12", |_, entries| {
        entries[0].method = Some(12);
    });
    metadata(code, "\"labels.txt\" is encrypted", |_, entries| entries[0].flags = 1);
    metadata(code, "\"labels.txt\" is not UTF-8 at byte 1", |_, entries| {
        entries[0] = zip::Entry::stored("labels.txt", b"a\xff");
    });
}

/// What tools build is held to the same rules as files.
#[test]
fn a_model_built_by_hand_is_validated() {
    let mut spec = tiny::spec();
    spec.metadata = None;
    let model = tflite::read(Bytes::from(spec.build())).unwrap();
    #[track_caller]
    fn fails(model: &Model, part: &str, change: impl FnOnce(&mut Model)) {
        let mut model = model.clone();
        change(&mut model);
        let error = model.validate().unwrap_err();
        assert!(error.message.contains(part), "{error}");
    }
    fails(&model, "buffer needs 108 bytes, has 0", |model| {
        model.tensors[1].data = Some(Bytes::from(Vec::new()));
    });
    fails(&model, "is tensor 99", |model| model.nodes[0].outputs[0].0 = 99);
    fails(&model, "dynamic dimensions", |model| model.tensors[0].dynamic = vec![true]);
    fails(&model, "do not fit shape", |model| {
        model.tensors[1].quantization.as_mut().unwrap().zero_point.clear();
    });
    fails(&model, "strides, dilations and windows must be 1 or more", |model| {
        if let achado_model::Operator::Conv2d { stride, .. } = &mut model.nodes[0].operator {
            stride[0] = 0;
        }
    });
    model.validate().unwrap();
}
