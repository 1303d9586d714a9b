//! From a [`Model`] to the FlatBuffer, the zip with the label files behind it.
#![deny(clippy::arithmetic_side_effects)]

mod custom;
mod operators;
mod padding;
mod versions;

use std::collections::BTreeMap;

use self::operators::Encoded;
use super::{builtin, schema, source_order};
use crate::flatbuffer_writer::{Table, write as write_flatbuffer};
use crate::{Error, Model, Node, Quantization, Result, Tensor, TensorId, metadata};

/// What converters align constants to, so that kernels may read them in place.
const BUFFER_ALIGNMENT: usize = 16;

/// Writes the file.
pub(crate) fn write(model: &Model) -> Result<Vec<u8>> {
    match padding::spell_out(model)? {
        Some(spelt_out) => Writer::new(&spelt_out).write(),
        None => Writer::new(model).write(),
    }
}

struct Writer<'a> {
    model: &'a Model,
    buffers: Vec<Table<'a>>,
    codes: Vec<Table<'a>>,
    /// Where in `codes` each builtin code with its custom name and version stands.
    known_codes: BTreeMap<(i32, &'static str, i32), u32>,
}

/// A count or an index as the schema stores it.
fn index(value: usize) -> Result<i32> {
    i32::try_from(value).map_err(|_| Error::format(format!("{value} does not fit 32 bits")))
}

fn metadata_entry(name: &'static str, buffer: u32) -> Table<'static> {
    Table::default().text(schema::metadata::NAME, name).scalar(schema::metadata::BUFFER, buffer)
}

fn indices(ids: &[TensorId]) -> Result<Vec<i32>> {
    ids.iter().map(|id| index(id.0)).collect()
}

impl<'a> Writer<'a> {
    fn new(model: &'a Model) -> Self {
        // Buffer 0 is the empty one, by convention.
        let buffers = vec![Table::default()];
        Self { model, buffers, codes: Vec::new(), known_codes: BTreeMap::new() }
    }

    fn write(mut self) -> Result<Vec<u8>> {
        let model = self.model;
        let tensors: Result<_> = model.tensors.iter().map(|tensor| self.tensor(tensor)).collect();
        let nodes: Result<_> = model.nodes.iter().map(|node| self.node(node)).collect();
        let graph = Table::default()
            .tables(schema::subgraph::TENSORS, tensors?)
            .vector(schema::subgraph::INPUTS, indices(&model.inputs)?)
            .vector(schema::subgraph::OUTPUTS, indices(&model.outputs)?)
            .tables(schema::subgraph::OPERATORS, nodes?)
            .text(schema::subgraph::NAME, "main");
        let mut root = Table::default()
            .scalar(schema::model::VERSION, schema::VERSION)
            .tables(schema::model::SUBGRAPHS, vec![graph])
            .text(schema::model::DESCRIPTION, &*model.description);
        let mut files = metadata::Files::default();
        let mut entries = Vec::new();
        if let Some(order) = &model.source_order {
            let buffer = self.buffer(source_order::write(order)?)?;
            entries.push(metadata_entry(schema::SOURCE_ORDER_NAME, buffer));
        }
        if let Some(metadata) = &model.metadata {
            let bytes = metadata::write(metadata, &mut files)?;
            let buffer = self.buffer(bytes)?;
            entries.push(metadata_entry(schema::METADATA_NAME, buffer));
        }
        if !entries.is_empty() {
            root = root.tables(schema::model::METADATA, entries);
        }
        if !model.signatures.is_empty() {
            let signatures: Result<_> = (model.signatures.iter())
                .map(|signature| {
                    Ok(Table::default()
                        .tables(schema::signature_def::INPUTS, tensor_maps(&signature.inputs)?)
                        .tables(schema::signature_def::OUTPUTS, tensor_maps(&signature.outputs)?)
                        .text(schema::signature_def::SIGNATURE_KEY, &*signature.key)
                        .scalar(schema::signature_def::SUBGRAPH_INDEX, 0u32))
                })
                .collect();
            root = root.tables(schema::model::SIGNATURE_DEFS, signatures?);
        }
        let root = root
            .tables(schema::model::OPERATOR_CODES, self.codes)
            .tables(schema::model::BUFFERS, self.buffers);
        let mut file = write_flatbuffer(root, schema::IDENTIFIER)?;
        files.append_to(&mut file)?;
        Ok(file)
    }

    /// Adds a buffer and gives its number.
    fn buffer(&mut self, bytes: impl Into<std::borrow::Cow<'a, [u8]>>) -> Result<u32> {
        let bytes = bytes.into();
        let number = index(self.buffers.len())?.unsigned_abs();
        let table = match bytes.is_empty() {
            true => Table::default(),
            false => Table::default().bytes(schema::buffer::DATA, bytes, BUFFER_ALIGNMENT),
        };
        self.buffers.push(table);
        Ok(number)
    }

    fn tensor(&mut self, tensor: &'a Tensor) -> Result<Table<'a>> {
        let shape: Vec<i32> = tensor.shape.iter().map(|&dim| index(dim)).collect::<Result<_>>()?;
        let buffer = match &tensor.data {
            Some(data) => self.buffer(&**data)?,
            None => 0,
        };
        let mut table = Table::default()
            .vector(schema::tensor::SHAPE, shape.iter().copied())
            .scalar(schema::tensor::TYPE, tensor.dtype.tensor_type())
            .scalar(schema::tensor::BUFFER, buffer)
            .text(schema::tensor::NAME, &*tensor.name);
        if let Some(quantization) = &tensor.quantization {
            table = table.table(schema::tensor::QUANTIZATION, self::quantization(quantization)?);
        }
        if !tensor.dynamic.is_empty() {
            let signature = shape.iter().zip(&tensor.dynamic);
            let signature = signature.map(|(&dim, &dynamic)| if dynamic { -1 } else { dim });
            table = table.vector(schema::tensor::SHAPE_SIGNATURE, signature);
        }
        Ok(table)
    }

    fn node(&mut self, node: &'a Node) -> Result<Table<'a>> {
        let Encoded { code, version, options, custom } = operators::encode(self.model, node)?;
        let (name, custom) = custom.unzip();
        let key = (code, name.unwrap_or_default(), version);
        let opcode = match self.known_codes.get(&key) {
            Some(&opcode) => opcode,
            None => {
                let opcode = index(self.codes.len())?.unsigned_abs();
                self.codes.push(operator_code(code, name, version));
                self.known_codes.insert(key, opcode);
                opcode
            }
        };
        let inputs: Result<Vec<i32>> =
            node.inputs.iter().map(|id| id.map_or(Ok(-1), |id| index(id.0))).collect();
        let mut table = Table::default()
            .scalar(schema::operator::OPCODE_INDEX, opcode)
            .vector(schema::operator::INPUTS, inputs?)
            .vector(schema::operator::OUTPUTS, indices(&node.outputs)?);
        if let Some(custom) = custom {
            table = table.bytes(schema::operator::CUSTOM_OPTIONS, custom, 1);
        }
        Ok(match options {
            Some((kind, options)) => table
                .scalar(schema::operator::BUILTIN_OPTIONS_TYPE, kind)
                .table(schema::operator::BUILTIN_OPTIONS, options),
            None => table,
        })
    }
}

/// Codes below 127 stand in the old field too, where old runtimes look.
fn operator_code(code: i32, custom: Option<&'static str>, version: i32) -> Table<'static> {
    let old = i8::try_from(code).unwrap_or(builtin::BEYOND_OLD_FIELD);
    let table = Table::default()
        .scalar(schema::operator_code::DEPRECATED_BUILTIN_CODE, old)
        .scalar(schema::operator_code::VERSION, version)
        .scalar(schema::operator_code::BUILTIN_CODE, code);
    match custom {
        Some(name) => table.text(schema::operator_code::CUSTOM_CODE, name),
        None => table,
    }
}

fn quantization(quantization: &Quantization) -> Result<Table<'static>> {
    let Quantization { scale, zero_point, axis } = quantization;
    Ok(Table::default()
        .vector(schema::quantization::SCALE, scale.iter().copied())
        .vector(schema::quantization::ZERO_POINT, zero_point.iter().map(|&zero| i64::from(zero)))
        .scalar(schema::quantization::QUANTIZED_DIMENSION, index(*axis)?))
}

fn tensor_maps(names: &[(String, TensorId)]) -> Result<Vec<Table<'_>>> {
    let map = |(name, id): &'_ (String, TensorId)| {
        Ok(Table::default()
            .text(schema::tensor_map::NAME, name.clone())
            .scalar(schema::tensor_map::TENSOR_INDEX, index(id.0)?.unsigned_abs()))
    };
    names.iter().map(map).collect()
}
