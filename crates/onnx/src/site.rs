//! A node under import: its attributes, and errors that name it.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{Error, ErrorCode, Result};

use crate::proto::{AttributeValue, Node, TensorProto};

/// A node, its place in the graph and the version of its operators.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    pub node: &'a Node<'a>,
    pub index: usize,
    /// The version of the node's domain that the file imports.
    pub opset: i64,
}

impl<'a> Site<'a> {
    /// `Conv`, or `com.microsoft.QLinearAdd`.
    pub fn operator(&self) -> String {
        match self.node.domain {
            "" => self.node.operator.to_owned(),
            domain => format!("{domain}.{}", self.node.operator),
        }
    }

    /// `node 12 "conv1" (Conv, opset 13)`.
    pub fn label(&self) -> String {
        let name = match self.node.name {
            "" => self.node.outputs.first().copied().unwrap_or_default(),
            name => name,
        };
        format!("node {} {name:?} ({}, opset {})", self.index, self.operator(), self.opset)
    }

    #[cold]
    fn error(&self, code: ErrorCode, what: &str) -> Error {
        Error::new(code, format!("{}: {what}", self.label()))
            .with("operator", self.operator())
            .with("node", self.node.name)
            .with("index", self.index)
            .with("opset", self.opset as f64)
    }

    /// The file contradicts itself.
    pub fn malformed(&self, what: impl AsRef<str>) -> Error {
        self.error(ErrorCode::ModelFormat, what.as_ref())
    }

    /// The node asks for what achado lacks.
    pub fn unsupported(&self, what: impl AsRef<str>) -> Error {
        self.error(ErrorCode::UnsupportedOperator, what.as_ref())
    }

    /// The same, for the value of an attribute.
    pub fn unsupported_attribute(&self, name: &'static str, value: impl std::fmt::Debug) -> Error {
        let what = format!("attribute {name:?} is {value:?}, which is not supported");
        self.unsupported(what).with("attribute", name)
    }

    /// Names the node in an error that came up on the way.
    pub fn explain(&self, error: Error) -> Error {
        if error.detail.contains_key("node") {
            return error;
        }
        let explained = self.error(error.code, &error.message);
        error.detail.into_iter().fold(explained, |error, (key, value)| {
            match error.detail.get(key) {
                Some(_) => error,
                None => error.with(key, value),
            }
        })
    }

    fn attribute(&self, name: &str) -> Option<&'a AttributeValue<'a>> {
        let attributes = &self.node.attributes;
        attributes.iter().find(|attribute| attribute.name == name).map(|found| &found.value)
    }

    fn wrong_kind(&self, name: &'static str) -> Error {
        self.malformed(format!("attribute {name:?} is of the wrong kind")).with("attribute", name)
    }

    /// Whether the node has the attribute.
    pub fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// An integer attribute.
    pub fn int(&self, name: &'static str, default: i64) -> Result<i64> {
        match self.attribute(name) {
            None => Ok(default),
            Some(AttributeValue::Int(value)) => Ok(*value),
            Some(_) => Err(self.wrong_kind(name)),
        }
    }

    /// An integer attribute that is 0 or 1.
    pub fn flag(&self, name: &'static str, default: bool) -> Result<bool> {
        Ok(self.int(name, i64::from(default))? != 0)
    }

    /// A float attribute.
    pub fn float(&self, name: &'static str, default: f32) -> Result<f32> {
        match self.attribute(name) {
            None => Ok(default),
            Some(AttributeValue::Float(value)) => Ok(*value),
            Some(_) => Err(self.wrong_kind(name)),
        }
    }

    /// A list of integers; `None` where it is absent.
    pub fn ints(&self, name: &'static str) -> Result<Option<&'a [i64]>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(AttributeValue::Ints(values)) => Ok(Some(values)),
            // An empty list without a kind looks like nothing.
            Some(AttributeValue::Other) => Ok(Some(&[])),
            Some(_) => Err(self.wrong_kind(name)),
        }
    }

    /// A list of floats; `None` where it is absent.
    pub fn floats(&self, name: &'static str) -> Result<Option<&'a [f32]>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(AttributeValue::Floats(values)) => Ok(Some(values)),
            Some(AttributeValue::Other) => Ok(Some(&[])),
            Some(_) => Err(self.wrong_kind(name)),
        }
    }

    /// A string attribute.
    pub fn text(&self, name: &'static str, default: &'a str) -> Result<&'a str> {
        match self.attribute(name) {
            None => Ok(default),
            Some(AttributeValue::Text(bytes)) => {
                str::from_utf8(bytes).map_err(|_| self.wrong_kind(name))
            }
            Some(_) => Err(self.wrong_kind(name)),
        }
    }

    /// A list of strings; `None` where it is absent.
    pub fn texts(&self, name: &'static str) -> Result<Option<Vec<String>>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(AttributeValue::Texts(all)) => {
                let text = |bytes: &&[u8]| str::from_utf8(bytes).map(str::to_owned);
                let texts: Option<Vec<String>> = all.iter().map(|one| text(one).ok()).collect();
                texts.map(Some).ok_or_else(|| self.wrong_kind(name))
            }
            Some(AttributeValue::Other) => Ok(Some(Vec::new())),
            Some(_) => Err(self.wrong_kind(name)),
        }
    }

    /// A tensor attribute.
    pub fn tensor(&self, name: &'static str) -> Result<Option<&'a TensorProto<'a>>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(AttributeValue::Tensor(tensor)) => Ok(Some(tensor)),
            Some(_) => Err(self.wrong_kind(name)),
        }
    }

    /// The name of operand `at`; `None` where it is left out.
    pub fn input_name(&self, at: usize) -> Option<&'a str> {
        self.node.inputs.get(at).copied().filter(|name| !name.is_empty())
    }

    /// The name of result `at`.
    pub fn output_name(&self, at: usize) -> Result<&'a str> {
        let name = self.node.outputs.get(at).copied().filter(|name| !name.is_empty());
        name.ok_or_else(|| self.malformed(format!("output {at} is missing")))
    }

    /// An axis as a place in `0..rank`.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize> {
        let rank_signed = i64::try_from(rank).unwrap_or(i64::MAX);
        let place = if axis < 0 { axis.saturating_add(rank_signed) } else { axis };
        usize::try_from(place).ok().filter(|&place| place < rank).ok_or_else(|| {
            self.malformed(format!("axis {axis} is out of range for {rank} dimensions"))
        })
    }

    /// Axes as places in `0..rank`.
    pub fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>> {
        axes.iter().map(|&axis| self.axis(axis, rank)).collect()
    }

    /// A number that must not be negative.
    pub fn size(&self, value: i64, what: &str) -> Result<usize> {
        usize::try_from(value).map_err(|_| self.malformed(format!("{what} is {value}")))
    }
}
