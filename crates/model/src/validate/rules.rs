//! The words in which an operator's rules are said.

use std::ops::RangeInclusive;

use crate::{DataType, Error, Model, Node, Result, Tensor, TensorId};

/// One operator under check.
pub(super) struct Rules<'a> {
    pub model: &'a Model,
    pub index: usize,
    pub node: &'a Node,
}

impl<'a> Rules<'a> {
    /// `operator 3 CONV_2D`, followed by `what`.
    pub fn error(&self, what: impl AsRef<str>) -> Error {
        let name = self.node.operator.name();
        Error::format(format!("operator {} {name}: {}", self.index, what.as_ref()))
            .with("operator", name)
            .with("index", self.index)
    }

    fn type_error(&self, what: &str) -> Error {
        Error { code: crate::ErrorCode::UnsupportedType, ..self.error(what) }
    }

    /// How many operands and results there are.
    pub fn arity(&self, inputs: RangeInclusive<usize>, outputs: usize) -> Result<()> {
        let (found, results) = (self.node.inputs.len(), self.node.outputs.len());
        if !inputs.contains(&found) || results != outputs {
            let (least, most) = inputs.into_inner();
            let needed = match most {
                usize::MAX => format!("{least} or more inputs"),
                _ if least == most => plural(least, "input"),
                _ => format!("{least} to {most} inputs"),
            };
            return Err(self.error(format!(
                "has {} and {}, needs {needed} and {}",
                plural(found, "input"),
                plural(results, "output"),
                plural(outputs, "output")
            )));
        }
        Ok(())
    }

    fn label(&self, id: TensorId) -> String {
        self.model.tensor_label(id)
    }

    /// Operand `at`, which must be there.
    pub fn input(&self, at: usize) -> Result<Operand<'a>> {
        self.optional(at).ok_or_else(|| self.error(format!("input {at} is left out")))
    }

    /// Operand `at`, which may be left out.
    pub fn optional(&self, at: usize) -> Option<Operand<'a>> {
        let id = self.node.inputs.get(at).copied().flatten()?;
        Some(Operand { id, tensor: self.model.tensor(id) })
    }

    /// Result `at`; `arity` has been checked.
    pub fn output(&self, at: usize) -> Operand<'a> {
        let id = self.node.outputs[at];
        Operand { id, tensor: self.model.tensor(id) }
    }

    /// `operand`'s element type is one of `types`.
    pub fn types(&self, operand: Operand<'_>, types: &[DataType]) -> Result<()> {
        if types.contains(&operand.tensor.dtype) {
            return Ok(());
        }
        let allowed: Vec<_> = types.iter().map(|dtype| dtype.name()).collect();
        Err(self
            .type_error(&format!(
                "{} is {}, supported here: {}",
                self.label(operand.id),
                operand.tensor.dtype,
                allowed.join(", ")
            ))
            .with("tensor", operand.id.0)
            .with("type", operand.tensor.dtype.name()))
    }

    /// Both have the same element type.
    pub fn same_type(&self, a: Operand<'_>, b: Operand<'_>) -> Result<()> {
        if a.tensor.dtype == b.tensor.dtype {
            return Ok(());
        }
        Err(self.type_error(&format!(
            "{} is {} and {} is {}, must be of one type",
            self.label(a.id),
            a.tensor.dtype,
            self.label(b.id),
            b.tensor.dtype
        )))
    }

    /// A quantised tensor has one scale and zero point; others need none.
    pub fn per_tensor(&self, operand: Operand<'_>) -> Result<()> {
        let Tensor { dtype, quantization, .. } = operand.tensor;
        if !matches!(dtype, DataType::Int8 | DataType::UInt8 | DataType::Int16) {
            return Ok(());
        }
        let what = match quantization {
            None => "has no scale",
            Some(quantization) if quantization.as_per_tensor().is_none() => {
                "is quantised per channel, must have one scale"
            }
            Some(_) => return Ok(()),
        };
        Err(self.error(format!("{} of {dtype} {what}", self.label(operand.id))))
    }

    /// The rank is `rank`, where the file declares one.
    pub fn rank(&self, operand: Operand<'_>, rank: usize) -> Result<()> {
        match operand.shape() {
            Some(shape) if shape.len() != rank => {
                Err(self.shape_error(operand, &format!("{rank} dimensions")))
            }
            _ => Ok(()),
        }
    }

    /// The shape of `operand` must be something else.
    pub fn shape_error(&self, operand: Operand<'_>, needed: &str) -> Error {
        self.error(format!(
            "{} has shape {:?}, needs {needed}",
            self.label(operand.id),
            operand.tensor.shape
        ))
        .with("tensor", operand.id.0)
    }
}

/// A tensor in its place.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a> {
    pub id: TensorId,
    pub tensor: &'a Tensor,
}

impl<'a> Operand<'a> {
    /// The declared shape, or `None` where the file leaves it open.
    pub fn shape(self) -> Option<&'a [usize]> {
        (self.tensor.is_constant() || !self.tensor.shape.is_empty()).then_some(&self.tensor.shape)
    }

    /// The last dimension, where it is declared and no choice of the caller.
    pub fn channels(self) -> Option<usize> {
        let chosen = self.tensor.dynamic.last().copied().unwrap_or(false);
        self.shape()?.last().copied().filter(|_| !chosen)
    }

    /// The declared shape, or `None` where it is open or has dimensions that a caller chooses.
    pub fn fixed_shape(self) -> Option<&'a [usize]> {
        self.shape().filter(|_| !self.tensor.dynamic.contains(&true))
    }
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
