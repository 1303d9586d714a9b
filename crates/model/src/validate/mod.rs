//! What holds for every [`Model`]: the graph here, each operator in `operators`.
#![deny(clippy::arithmetic_side_effects)]

mod movement;
mod operators;
mod rules;
mod weighted;

use crate::limits::{MAX_RANK, MAX_TENSOR_BYTES};
use crate::{DataType, Error, Model, Operator, Result, TensorId};

/// How a tensor gets its elements.
#[derive(Clone, Copy, PartialEq)]
enum Source {
    /// Not yet, in order of execution.
    None,
    Input,
    Constant,
    Node(usize),
}

impl Model {
    /// Checks the invariants that [`Model`] states, and of each operator the number, types and, where
    /// they are declared, shapes of its tensors. Readers and tools call it on what they have built.
    ///
    /// A declared shape of rank 0 on a computed tensor means that the file leaves it open: shapes are
    /// inferred when the model is compiled.
    ///
    /// # Errors
    /// `MODEL_FORMAT`, naming the tensor or operator; `UNSUPPORTED_TYPE` for types that the format
    /// allows and that achado lacks.
    pub fn validate(&self) -> Result<()> {
        for index in 0..self.tensors.len() {
            self.check_tensor(TensorId(index))?;
        }
        self.check_graph()?;
        for (index, node) in self.nodes.iter().enumerate() {
            operators::check(self, index, node)?;
        }
        let signature_ids = self.signatures.iter().flat_map(|s| s.inputs.iter().chain(&s.outputs));
        for (name, id) in signature_ids {
            self.check_id(*id, &|| format!("signature tensor {name:?}"))?;
        }
        Ok(())
    }

    fn check_tensor(&self, id: TensorId) -> Result<()> {
        let tensor = self.tensor(id);
        let error = |what: String| {
            Error::format(format!("{}: {what}", self.tensor_label(id))).with("tensor", id.0)
        };
        if tensor.shape.len() > MAX_RANK {
            return Err(error(format!(
                "{} dimensions, the limit is {MAX_RANK}",
                tensor.shape.len()
            )));
        }
        let size = tensor
            .shape
            .iter()
            .try_fold(tensor.dtype.size_bytes(), |size, &dim| size.checked_mul(dim.max(1)));
        if size.is_none_or(|size| size > MAX_TENSOR_BYTES) {
            return Err(error(format!(
                "shape {:?} of {} is larger than {MAX_TENSOR_BYTES} bytes",
                tensor.shape, tensor.dtype
            )));
        }
        if !tensor.dynamic.is_empty() && tensor.dynamic.len() != tensor.shape.len() {
            return Err(error(format!(
                "{} dynamic dimensions for shape {:?}",
                tensor.dynamic.len(),
                tensor.shape
            )));
        }
        if let Some(data) = &tensor.data {
            let needed = tensor.size_bytes();
            if data.len() != needed {
                return Err(error(format!("buffer needs {needed} bytes, has {}", data.len()))
                    .with("needed", needed)
                    .with("found", data.len()));
            }
        }
        if let Some(quantization) = &tensor.quantization {
            let count = quantization.scale.len();
            let fits = count == 1 || tensor.shape.get(quantization.axis) == Some(&count);
            if count == 0 || quantization.zero_point.len() != count || !fits {
                return Err(error(format!(
                    "{count} scales and {} zero points do not fit shape {:?} along dimension {}",
                    quantization.zero_point.len(),
                    tensor.shape,
                    quantization.axis
                )));
            }
            let bad = |&&scale: &&f32| !(scale.is_finite() && scale > 0.0);
            if let Some(bad) = quantization.scale.iter().find(bad) {
                return Err(error(format!("scale {bad} must be finite and above 0")));
            }
        }
        Ok(())
    }

    fn check_id(&self, id: TensorId, whose: &dyn Fn() -> String) -> Result<()> {
        if id.0 < self.tensors.len() {
            return Ok(());
        }
        let count = self.tensors.len();
        Err(Error::format(format!("{} is tensor {}; the model has {count} tensors", whose(), id.0))
            .with("tensor", id.0))
    }

    /// Every operand is an input, a constant or an earlier result; nothing is written twice.
    fn check_graph(&self) -> Result<()> {
        let mut sources: Vec<Source> = (self.tensors.iter())
            .map(|tensor| if tensor.is_constant() { Source::Constant } else { Source::None })
            .collect();
        for (at, &id) in self.inputs.iter().enumerate() {
            self.check_id(id, &|| format!("input {at} of the model"))?;
            if sources[id.0] != Source::None {
                let what = match sources[id.0] {
                    Source::Constant => "is a constant",
                    _ => "is named twice",
                };
                return Err(Error::format(format!(
                    "input {at} of the model, {}, {what}",
                    self.tensor_label(id)
                ))
                .with("tensor", id.0));
            }
            sources[id.0] = Source::Input;
        }
        for (index, node) in self.nodes.iter().enumerate() {
            let label = || format!("operator {index} {}", node.operator.name());
            for (at, id) in node.inputs.iter().enumerate() {
                let Some(id) = *id else { continue };
                self.check_id(id, &|| format!("{}: input {at}", label()))?;
                if sources[id.0] == Source::None {
                    return Err(self.dangling(id, &format!("{}: input {at}", label()), index));
                }
            }
            for (at, &id) in node.outputs.iter().enumerate() {
                self.check_id(id, &|| format!("{}: output {at}", label()))?;
                let what = match sources[id.0] {
                    Source::None => {
                        if !matches!(node.operator, Operator::Densify | Operator::Cast) {
                            self.check_activation_type(id)?;
                        }
                        sources[id.0] = Source::Node(index);
                        continue;
                    }
                    Source::Input => "is an input of the model".to_owned(),
                    Source::Constant => "is a constant".to_owned(),
                    Source::Node(other) => format!(
                        "is already the result of operator {other} {}",
                        self.nodes[other].operator.name()
                    ),
                };
                let tensor = self.tensor_label(id);
                return Err(Error::format(format!("{}: output {at}, {tensor}, {what}", label()))
                    .with("operator", index)
                    .with("tensor", id.0));
            }
        }
        if self.outputs.is_empty() {
            return Err(Error::format("the model has no outputs"));
        }
        for (at, &id) in self.outputs.iter().enumerate() {
            self.check_id(id, &|| format!("output {at} of the model"))?;
            if sources[id.0] == Source::None {
                return Err(self.dangling(
                    id,
                    &format!("output {at} of the model"),
                    self.nodes.len(),
                ));
            }
        }
        Ok(())
    }

    fn dangling(&self, id: TensorId, whose: &str, index: usize) -> Error {
        let later = (self.nodes.iter().enumerate().skip(index))
            .find(|(_, node)| node.outputs.contains(&id));
        let what = match later {
            Some((later, node)) if later == index => {
                format!("is its own result (operator {later} {})", node.operator.name())
            }
            Some((later, node)) => format!(
                "is the result of the later operator {later} {}: the graph has a cycle, or its \
                 operators are out of order",
                node.operator.name()
            ),
            None => "is neither an input, a constant nor the result of an operator".to_owned(),
        };
        Error::format(format!("{whose}, {}, {what}", self.tensor_label(id))).with("tensor", id.0)
    }

    /// Only constants, inputs of the model and what CAST makes may be float16, and few operators
    /// take it.
    fn check_activation_type(&self, id: TensorId) -> Result<()> {
        if self.tensor(id).dtype == DataType::Float16 {
            return Err(Error::unsupported_type(format!(
                "{} is float16; only constants and results of CAST may be",
                self.tensor_label(id)
            ))
            .with("tensor", id.0));
        }
        Ok(())
    }
}
