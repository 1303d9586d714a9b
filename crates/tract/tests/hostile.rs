//! Files that are made to exhaust memory, and what tract itself lacks: errors before anything large
//! is allocated.

use std::path::Path;

use achado_model::{Error, ErrorCode};
use achado_tract::model;
use achado_vision::{ImageModelOptions, Preprocess};
use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto,
    tensor_proto,
};

/// The file of scripts/onnx/einsum.py after a change.
fn changed(change: impl FnOnce(&mut GraphProto)) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/onnx");
    let file = std::fs::read(folder.join("einsum.onnx")).expect("a fixture");
    let mut proto = ModelProto::decode(&file[..]).expect("an ONNX model");
    change(proto.graph.as_mut().expect("a graph"));
    proto.encode_to_vec()
}

fn refused(file: Vec<u8>, code: ErrorCode, words: &str) -> Error {
    let preprocess = Preprocess { mean: Some(vec![0.0]), ..Default::default() };
    let options = ImageModelOptions { preprocess, ..Default::default() };
    let error = model(file, &options).expect_err("an error");
    assert_eq!(error.code, code, "{error}");
    assert!(error.message.contains(words), "{error}");
    error
}

/// Puts a node between the convolution and what reads it.
fn between(graph: &mut GraphProto, node: NodeProto) {
    graph.node[1].input[0].clone_from(&node.output[0]);
    graph.node.insert(1, node);
}

fn node(operator: &str, inputs: &[&str]) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec!["between".into()],
        op_type: operator.into(),
        ..Default::default()
    }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: tensor_proto::DataType::Int64 as i32,
        int64_data: values.to_vec(),
        ..Default::default()
    }
}

#[test]
fn the_unchanged_file_is_run() {
    let preprocess = Preprocess { mean: Some(vec![0.0]), ..Default::default() };
    let options = ImageModelOptions { preprocess, ..Default::default() };
    assert!(model(changed(|_| {}), &options).is_ok());
}

#[test]
fn an_operator_that_nobody_has_is_named() {
    let file = changed(|graph| between(graph, node("Einstein", &["edges"])));
    refused(file, ErrorCode::UnsupportedOperator, "tract has no operator \"Einstein\"");
    // It would be taken for ONNX's own.
    let file = changed(|graph| graph.node[1].domain = "org.example".into());
    refused(file, ErrorCode::UnsupportedOperator, "\"Relu\" of domain \"org.example\"");
    let file = changed(|graph| between(graph, node("Multinomial", &["edges"])));
    refused(file, ErrorCode::UnsupportedOperator, "Multinomial needs randomness");
}

#[test]
fn values_without_bounds_are_refused_by_name() {
    let file = changed(|graph| {
        graph.initializer.push(integers("repeats", &[1, 1, 1 << 14, 1 << 14]));
        between(graph, node("Tile", &["edges", "repeats"]));
    });
    let error = refused(file, ErrorCode::OutOfMemory, "bytes; 268435456 are the most");
    assert!(error.detail.contains_key("tensor"), "{error}");
}

#[test]
fn graphs_without_end_are_refused() {
    let file = changed(|graph| {
        let last = graph.node.len() - 1;
        let unread = NodeProto { output: vec!["unread".into()], ..node("Neg", &["edges"]) };
        for at in 0..1 << 14 {
            let output = vec![format!("unread {at}")];
            graph.node.insert(last, NodeProto { output, ..unread.clone() });
        }
    });
    refused(file, ErrorCode::UnsupportedOperator, "nodes are too many for tract");
}

#[test]
fn elements_in_other_files_are_named() {
    let file = changed(|graph| {
        let weights = &mut graph.initializer[0];
        let entry = StringStringEntryProto { key: "location".into(), value: "weights.bin".into() };
        weights.external_data.push(entry);
        weights.data_location = Some(tensor_proto::DataLocation::External as i32);
        weights.raw_data.clear();
    });
    refused(file, ErrorCode::ModelFormat, "another file, \"weights.bin\"");
}

#[test]
fn sizes_that_do_not_fit_their_elements_are_refused() {
    let file = changed(|graph| graph.initializer[0].dims = vec![1 << 40, 1 << 40]);
    refused(file, ErrorCode::UnsupportedOperator, "tract cannot run it");
}

#[test]
fn graphs_inside_of_nodes_are_refused_before_they_are_read() {
    let file = changed(|graph| {
        let inner = AttributeProto { name: "body".into(), ..Default::default() };
        let inner = AttributeProto { g: Some(GraphProto::default()), ..inner };
        graph.node[1].attribute.push(inner);
    });
    refused(file, ErrorCode::UnsupportedOperator, "graphs inside of nodes");
}

#[test]
fn outputs_that_nothing_computes_are_named() {
    let file = changed(|graph| graph.output[0].name = "nothing".into());
    refused(file, ErrorCode::ModelFormat, "\"nothing\" is neither an input nor");
}
