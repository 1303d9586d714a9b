//! The messages of `onnx.proto` as far as they are read. Strings and payloads stay in the file.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::limits::{MAX_NODES, MAX_OPERANDS, MAX_TENSORS};
use achado_model::{Error, Result};

use crate::constant::MAX_DIMENSIONS;
use crate::limits::Budget;
use crate::protobuf::{Span, Wire};

/// `TensorProto.DataType` of 64-bit integers.
pub(crate) const INT64: i32 = 7;
/// `TensorProto.DataType` of truth values.
pub(crate) const BOOL: i32 = 9;

/// `ModelProto`.
#[derive(Debug, Default)]
pub(crate) struct ModelProto<'a> {
    /// 0 where the file does not say it.
    pub ir_version: i64,
    pub producer: &'a str,
    /// Pairs of a domain and its version; "" is ONNX's own.
    pub opsets: Vec<(&'a str, i64)>,
    pub graph: Option<Graph<'a>>,
    /// `metadata_props`.
    pub properties: Vec<(&'a str, &'a str)>,
}

/// `GraphProto`.
#[derive(Debug, Default)]
pub(crate) struct Graph<'a> {
    pub name: &'a str,
    pub nodes: Vec<Node<'a>>,
    pub initializers: Vec<TensorProto<'a>>,
    pub has_sparse_initializers: bool,
    pub inputs: Vec<ValueInfo<'a>>,
    pub outputs: Vec<ValueInfo<'a>>,
}

/// `NodeProto`.
#[derive(Debug, Default)]
pub(crate) struct Node<'a> {
    /// "" stands for an operand left out.
    pub inputs: Vec<&'a str>,
    pub outputs: Vec<&'a str>,
    pub name: &'a str,
    pub operator: &'a str,
    pub domain: &'a str,
    pub attributes: Vec<Attribute<'a>>,
}

/// `AttributeProto`.
#[derive(Debug)]
pub(crate) struct Attribute<'a> {
    pub name: &'a str,
    pub value: AttributeValue<'a>,
}

/// The value of an attribute.
#[derive(Debug)]
pub(crate) enum AttributeValue<'a> {
    Float(f32),
    Int(i64),
    Text(&'a [u8]),
    Tensor(TensorProto<'a>),
    Floats(Vec<f32>),
    Ints(Vec<i64>),
    Texts(Vec<&'a [u8]>),
    /// A graph, read where it is decided on, and what names around it have become: old, new.
    Graph(Span<'a>, Vec<(&'a str, &'a str)>),
    /// A kind that no supported operator has.
    Other,
}

/// `TensorProto`.
#[derive(Debug, Default)]
pub(crate) struct TensorProto<'a> {
    pub name: &'a str,
    pub dims: Vec<i64>,
    pub data_type: i32,
    /// Elements, little-endian.
    pub raw: Option<Span<'a>>,
    /// `float_data`, packed, mostly one span.
    pub floats: Vec<Span<'a>>,
    /// `int32_data`, `int64_data` or `uint64_data`.
    pub integers: Vec<u64>,
    pub doubles: Vec<Span<'a>>,
    /// `string_data`.
    pub texts: Vec<&'a [u8]>,
    /// The elements lie in another file.
    pub external: Option<&'a str>,
}

/// Dimensions as messages write them: `[1, "height", ?]`.
pub(crate) fn shape_text(dims: &[Dim<'_>]) -> String {
    let texts = dims.iter().map(|dim| match dim {
        Dim::Known(size) => size.to_string(),
        Dim::Open("") => "?".to_owned(),
        Dim::Open(name) => format!("\"{name}\""),
    });
    format!("[{}]", texts.collect::<Vec<_>>().join(", "))
}

/// `ValueInfoProto` of a tensor.
#[derive(Debug, Default)]
pub(crate) struct ValueInfo<'a> {
    pub name: &'a str,
    /// `TensorProto.DataType`; 0 where the value is no tensor.
    pub data_type: i32,
    pub dims: Option<Vec<Dim<'a>>>,
}

/// One dimension of an input.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Dim<'a> {
    Known(i64),
    /// A name, or "" for a dimension of which nothing is said.
    Open(&'a str),
}

fn count(what: &str, found: usize, limit: usize) -> Result<()> {
    if found >= limit {
        return Err(Error::format(format!("more than {limit} {what}")).with("limit", limit));
    }
    Ok(())
}

/// The bits of a varint as the signed number that they stand for.
fn signed(value: u64) -> i64 {
    i64::from_le_bytes(value.to_le_bytes())
}

fn signed_32(value: u64) -> i32 {
    i32::try_from(signed(value)).unwrap_or(0)
}

impl<'a> ModelProto<'a> {
    /// Reads the file.
    pub fn read(file: &'a [u8], budget: &mut Budget) -> Result<Self> {
        let mut model = Self::default();
        for field in (Span { bytes: file, start: 0 }).fields() {
            match field? {
                (1, Wire::Varint(version)) => model.ir_version = signed(version),
                (2, Wire::Span(text)) => model.producer = text.text()?,
                (7, Wire::Span(graph)) => model.graph = Some(Graph::read(graph, budget)?),
                (8, Wire::Span(opset)) => {
                    count("opset imports", model.opsets.len(), MAX_OPERANDS)?;
                    budget.take(1, 48)?;
                    model.opsets.push(opset_import(opset)?);
                }
                (14, Wire::Span(entry)) => {
                    count("metadata properties", model.properties.len(), MAX_OPERANDS)?;
                    budget.take(1, 64)?;
                    model.properties.push(string_pair(entry)?);
                }
                _ => {}
            }
        }
        Ok(model)
    }
}

fn opset_import(span: Span<'_>) -> Result<(&str, i64)> {
    let (mut domain, mut version) = ("", 0);
    for field in span.fields() {
        match field? {
            (1, Wire::Span(text)) => domain = text.text()?,
            (2, Wire::Varint(value)) => version = signed(value),
            _ => {}
        }
    }
    Ok((own_domain(domain), version))
}

/// ONNX's own domain has two names.
fn own_domain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

fn string_pair(span: Span<'_>) -> Result<(&str, &str)> {
    let mut pair = ("", "");
    for field in span.fields() {
        match field? {
            (1, Wire::Span(text)) => pair.0 = text.text()?,
            (2, Wire::Span(text)) => pair.1 = text.text()?,
            _ => {}
        }
    }
    Ok(pair)
}

impl<'a> Graph<'a> {
    /// Reads the message.
    pub fn read(span: Span<'a>, budget: &mut Budget) -> Result<Self> {
        let mut graph = Self::default();
        for field in span.fields() {
            match field? {
                (1, Wire::Span(node)) => {
                    count("nodes", graph.nodes.len(), MAX_NODES)?;
                    // Twice: the vector grows by doubling.
                    budget.take(2, size_of::<Node<'_>>())?;
                    graph.nodes.push(Node::read(node, budget)?);
                }
                (2, Wire::Span(name)) => graph.name = name.text()?,
                (5, Wire::Span(tensor)) => {
                    count("initializers", graph.initializers.len(), MAX_TENSORS)?;
                    budget.take(2, size_of::<TensorProto<'_>>())?;
                    graph.initializers.push(TensorProto::read(tensor, budget)?);
                }
                (11, Wire::Span(info)) => {
                    count("inputs", graph.inputs.len(), MAX_TENSORS)?;
                    budget.take(2, size_of::<ValueInfo<'_>>())?;
                    graph.inputs.push(ValueInfo::read(info, budget)?);
                }
                (12, Wire::Span(info)) => {
                    count("outputs", graph.outputs.len(), MAX_OPERANDS)?;
                    budget.take(2, size_of::<ValueInfo<'_>>())?;
                    graph.outputs.push(ValueInfo::read(info, budget)?);
                }
                (15, Wire::Span(_)) => graph.has_sparse_initializers = true,
                _ => {}
            }
        }
        Ok(graph)
    }
}

impl<'a> Node<'a> {
    fn read(span: Span<'a>, budget: &mut Budget) -> Result<Self> {
        let mut node = Self::default();
        for field in span.fields() {
            match field? {
                (1, Wire::Span(name)) => {
                    count("operands of a node", node.inputs.len(), MAX_OPERANDS)?;
                    budget.take(2, size_of::<&str>())?;
                    node.inputs.push(name.text()?);
                }
                (2, Wire::Span(name)) => {
                    count("results of a node", node.outputs.len(), MAX_OPERANDS)?;
                    budget.take(2, size_of::<&str>())?;
                    node.outputs.push(name.text()?);
                }
                (3, Wire::Span(text)) => node.name = text.text()?,
                (4, Wire::Span(text)) => node.operator = text.text()?,
                (5, Wire::Span(attribute)) => {
                    count("attributes of a node", node.attributes.len(), MAX_OPERANDS)?;
                    budget.take(2, size_of::<Attribute<'_>>())?;
                    node.attributes.push(Attribute::read(attribute, budget)?);
                }
                (7, Wire::Span(text)) => node.domain = own_domain(text.text()?),
                _ => {}
            }
        }
        Ok(node)
    }
}

impl<'a> Attribute<'a> {
    fn read(span: Span<'a>, budget: &mut Budget) -> Result<Self> {
        let mut name = "";
        let mut kind = None;
        let (mut float, mut int, mut text, mut tensor) = (None, None, None, None);
        let mut graph = None;
        let (mut floats, mut ints, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        for field in span.fields() {
            match field? {
                (1, Wire::Span(value)) => name = value.text()?,
                (2, Wire::Fixed32(value)) => float = Some(f32::from_bits(value)),
                (3, Wire::Varint(value)) => int = Some(signed(value)),
                (4, Wire::Span(value)) => text = Some(value.bytes),
                (5, Wire::Span(value)) => tensor = Some(TensorProto::read(value, budget)?),
                (6, Wire::Span(value)) => graph = Some(value),
                (7, Wire::Fixed32(value)) => {
                    budget.take(2, 4)?;
                    floats.push(f32::from_bits(value));
                }
                (7, Wire::Span(packed)) => {
                    budget.take(2, packed.bytes.len())?;
                    floats
                        .extend(packed.bytes.as_chunks().0.iter().copied().map(f32::from_le_bytes));
                }
                (8, Wire::Varint(value)) => {
                    budget.take(2, 8)?;
                    ints.push(signed(value));
                }
                (8, Wire::Span(packed)) => {
                    budget.take(packed.bytes.len(), 16)?;
                    for value in packed.varints() {
                        ints.push(signed(value?));
                    }
                }
                (9, Wire::Span(value)) => {
                    budget.take(2, size_of::<&[u8]>())?;
                    texts.push(value.bytes);
                }
                (20, Wire::Varint(value)) => kind = Some(value),
                _ => {}
            }
        }
        // Old files do not say the kind; some writers leave out a value of 0.
        let value = match kind {
            Some(1) => AttributeValue::Float(float.unwrap_or(0.0)),
            Some(2) => AttributeValue::Int(int.unwrap_or(0)),
            Some(3) => AttributeValue::Text(text.unwrap_or_default()),
            Some(6) => AttributeValue::Floats(floats),
            Some(7) => AttributeValue::Ints(ints),
            Some(8) => AttributeValue::Texts(texts),
            _ => match (float, int, text, tensor) {
                (Some(value), ..) => AttributeValue::Float(value),
                (_, Some(value), ..) => AttributeValue::Int(value),
                (_, _, Some(value), _) => AttributeValue::Text(value),
                (_, _, _, Some(value)) => AttributeValue::Tensor(value),
                _ if !floats.is_empty() => AttributeValue::Floats(floats),
                _ if !ints.is_empty() => AttributeValue::Ints(ints),
                _ if !texts.is_empty() => AttributeValue::Texts(texts),
                _ => match graph {
                    Some(span) => AttributeValue::Graph(span, Vec::new()),
                    None => AttributeValue::Other,
                },
            },
        };
        Ok(Self { name, value })
    }
}

impl<'a> TensorProto<'a> {
    fn read(span: Span<'a>, budget: &mut Budget) -> Result<Self> {
        let mut tensor = Self::default();
        for field in span.fields() {
            match field? {
                (1, Wire::Varint(dim)) => {
                    count("dimensions of a tensor", tensor.dims.len(), MAX_DIMENSIONS)?;
                    tensor.dims.push(signed(dim));
                }
                (1, Wire::Span(packed)) => {
                    for dim in packed.varints() {
                        count("dimensions of a tensor", tensor.dims.len(), MAX_DIMENSIONS)?;
                        tensor.dims.push(signed(dim?));
                    }
                }
                (2, Wire::Varint(value)) => tensor.data_type = signed_32(value),
                (4, Wire::Span(packed)) => {
                    budget.take(2, size_of::<Span<'_>>())?;
                    tensor.floats.push(packed);
                }
                // One float on its own, as very old writers do.
                (4, Wire::Fixed32(_)) => {
                    return Err(Error::unsupported_type(
                        "a tensor whose float_data is not packed is not supported",
                    ));
                }
                (5 | 7 | 11, Wire::Varint(value)) => {
                    budget.take(2, 8)?;
                    tensor.integers.push(value);
                }
                (5 | 7 | 11, Wire::Span(packed)) => {
                    budget.take(packed.bytes.len(), 16)?;
                    for value in packed.varints() {
                        tensor.integers.push(value?);
                    }
                }
                (6, Wire::Span(text)) => {
                    budget.take(2, size_of::<&[u8]>())?;
                    tensor.texts.push(text.bytes);
                }
                (8, Wire::Span(text)) => tensor.name = text.text()?,
                (9, Wire::Span(raw)) => tensor.raw = Some(raw),
                (10, Wire::Span(packed)) => {
                    budget.take(2, size_of::<Span<'_>>())?;
                    tensor.doubles.push(packed);
                }
                (13, Wire::Span(entry)) => {
                    let (key, value) = string_pair(entry)?;
                    if key == "location" {
                        tensor.external = Some(value);
                    }
                }
                (14, Wire::Varint(1)) => {
                    tensor.external.get_or_insert("");
                }
                _ => {}
            }
        }
        Ok(tensor)
    }
}

impl<'a> ValueInfo<'a> {
    fn read(span: Span<'a>, budget: &mut Budget) -> Result<Self> {
        let mut info = Self::default();
        for field in span.fields() {
            match field? {
                (1, Wire::Span(text)) => info.name = text.text()?,
                (2, Wire::Span(kind)) => {
                    for field in kind.fields() {
                        // The first member of the union: a dense tensor.
                        if let (1, Wire::Span(tensor)) = field? {
                            info.read_tensor(tensor, budget)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(info)
    }

    fn read_tensor(&mut self, span: Span<'a>, budget: &mut Budget) -> Result<()> {
        for field in span.fields() {
            match field? {
                (1, Wire::Varint(value)) => self.data_type = signed_32(value),
                (2, Wire::Span(shape)) => {
                    let mut dims = Vec::new();
                    for field in shape.fields() {
                        if let (1, Wire::Span(entry)) = field? {
                            count("dimensions of a tensor", dims.len(), MAX_DIMENSIONS)?;
                            budget.take(2, size_of::<Dim<'_>>())?;
                            dims.push(dim(entry)?);
                        }
                    }
                    self.dims = Some(dims);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn dim(span: Span<'_>) -> Result<Dim<'_>> {
    let mut dim = Dim::Open("");
    for field in span.fields() {
        match field? {
            (1, Wire::Varint(value)) => dim = Dim::Known(signed(value)),
            (2, Wire::Span(text)) => dim = Dim::Open(text.text()?),
            _ => {}
        }
    }
    Ok(dim)
}
