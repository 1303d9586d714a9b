//! What goes into a model and comes out of it, for a runtime that reads ONNX files itself.
#![deny(clippy::arithmetic_side_effects)]

use std::collections::{BTreeMap, BTreeSet};

use achado_model::{Bytes, DataType, Error, Result};

use crate::ImportOptions;
use crate::constant::{elements, type_name};
use crate::import::Importer;
use crate::inputs::{check_names, input_dims};
use crate::limits::Budget;
use crate::proto::{Dim, ModelProto, ValueInfo};
use crate::weigh::weigh;

/// A model from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline {
    /// What wrote the file; empty where it does not say.
    pub producer: String,
    /// In the file's order, without initializers.
    pub inputs: Vec<InputOutline>,
    /// In the file's order.
    pub outputs: Vec<OutputOutline>,
}

/// An input with its shape, which is settled.
#[derive(Clone, Debug, PartialEq)]
pub struct InputOutline {
    /// The name in the file.
    pub name: String,
    /// The type in the file.
    pub dtype: DataType,
    /// In the file's order.
    pub shape: Vec<usize>,
    /// By dimension: whether the file leaves it open.
    pub dynamic: Vec<bool>,
    /// Whether it is `[n, c, h, w]`, as [`import`](crate::import) decides it.
    pub is_channels_first: bool,
}

/// An output.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputOutline {
    /// The name in the file.
    pub name: String,
    /// The operator that computes it, but for those that only move its elements; empty for none.
    pub operator: String,
}

/// Reads a file with the limits of [`import`](crate::import), and lowers nothing. What another
/// reader makes of all its messages stays within the same budget.
///
/// # Errors
/// - `MODEL_FORMAT`: as for [`import`](crate::import).
/// - `UNSUPPORTED_OPERATOR`: graphs inside of nodes, functions, sparse initializers.
/// - `UNSUPPORTED_TYPE`: the element type of an input.
/// - `INVALID_OPTION`: an open dimension, or an input shape that does not fit.
/// - `OUT_OF_MEMORY`: the file asks for more than the budget.
pub fn outline(file: &Bytes, options: &ImportOptions) -> Result<Outline> {
    let mut budget = Budget::for_file(file.len());
    weigh(file, &mut budget)?;
    let mut budget = Budget::for_file(file.len());
    let proto = ModelProto::read(file, &mut budget)?;
    let graph = proto.graph.as_ref().ok_or_else(|| {
        Error::format(
            "this is not an ONNX model: there is no graph in it, or the file is truncated",
        )
    })?;
    let mut initializers = BTreeSet::new();
    for tensor in &graph.initializers {
        tensor.check_is_inside()?;
        initializers.insert(tensor.name);
    }
    let opsets: BTreeMap<&str, i64> = proto.opsets.iter().copied().collect();
    let importer = Importer::new(file, graph, opsets, budget)?;
    let free: Vec<&ValueInfo<'_>> =
        graph.inputs.iter().filter(|info| !initializers.contains(info.name)).collect();
    check_names(options, free.iter().map(|info| info.name))?;
    let inputs: Result<Vec<_>> =
        free.iter().map(|info| importer.outline_input(info, options)).collect();

    let mut makers = BTreeMap::new();
    for node in &graph.nodes {
        makers.extend(node.outputs.iter().map(|&name| (name, node)));
    }
    let mut outputs = Vec::with_capacity(graph.outputs.len());
    for info in &graph.outputs {
        let name = info.name;
        let is_given = initializers.contains(name) || free.iter().any(|input| input.name == name);
        if !is_given && !makers.contains_key(name) {
            return Err(Error::format(format!(
                "output {name:?} is neither an input nor the result of a node"
            ))
            .with("tensor", name));
        }
        let mut operator = "";
        let mut at = name;
        // As many steps as there are nodes: the graph may have a cycle.
        for _ in 0..graph.nodes.len() {
            let Some(node) = makers.get(at) else { break };
            operator = node.operator;
            match operator {
                "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Identity" | "Dropout"
                | "Cast" => at = node.inputs.first().copied().unwrap_or_default(),
                _ => break,
            }
        }
        outputs.push(OutputOutline { name: name.to_owned(), operator: operator.to_owned() });
    }
    Ok(Outline { producer: proto.producer.to_owned(), inputs: inputs?, outputs })
}

impl<'a> Importer<'a> {
    fn outline_input(&self, info: &ValueInfo<'a>, options: &ImportOptions) -> Result<InputOutline> {
        let shape = input_dims(info, options)?;
        elements(&shape)?;
        let dtype = match info.data_type {
            1 => DataType::Float32,
            2 => DataType::UInt8,
            3 => DataType::Int8,
            5 => DataType::Int16,
            6 => DataType::Int32,
            7 => DataType::Int64,
            9 => DataType::Bool,
            10 => DataType::Float16,
            other => {
                let kind = type_name(other);
                return Err(Error::unsupported_type(format!(
                    "input {:?} has the element type {kind}, which is not supported",
                    info.name
                ))
                .with("tensor", info.name)
                .with("type", kind));
            }
        };
        let open = |dim: &Dim<'_>| matches!(dim, Dim::Open(_));
        Ok(InputOutline {
            name: info.name.to_owned(),
            dtype,
            dynamic: info.dims.iter().flatten().map(open).collect(),
            is_channels_first: shape.len() == 4 && self.is_channels_first(info.name, &shape),
            shape,
        })
    }
}
