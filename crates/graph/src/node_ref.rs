//! A node with its model: checked access to operands, errors that name the operator.

use achado_model::{DataType, Error, ErrorCode, Quantization, Result, Tensor, TensorId};

use crate::geometry::Affine;
use crate::{Graph, Node, TfliteKernel};

/// A node of the graph while it is lowered.
#[derive(Clone, Copy)]
pub struct NodeRef<'a> {
    /// The graph. While a pass goes through its nodes, it may have none.
    pub graph: &'a Graph,
    /// The node.
    pub node: &'a Node,
}

impl<'a> NodeRef<'a> {
    /// Whether TensorFlow Lite's own kernel gives the numbers, not XNNPACK's.
    pub fn is_builtin(&self) -> bool {
        self.node.kernel == TfliteKernel::Builtin
    }

    /// `operator 3 CONV_2D "conv1/Relu6"`, as in messages.
    pub fn label(&self) -> String {
        let name = self.node.outputs.first().map_or("", |&id| &self.graph.tensor(id).name);
        format!("operator {} {} {name:?}", self.node.index, self.node.operator.name())
    }

    /// An error of this operator.
    pub fn error(&self, code: ErrorCode, what: impl AsRef<str>) -> Error {
        Error::new(code, format!("{}: {}", self.label(), what.as_ref()))
            .with("operator", self.node.operator.name())
            .with("index", self.node.index)
    }

    /// The file contradicts itself.
    pub fn malformed(&self, what: impl AsRef<str>) -> Error {
        self.error(ErrorCode::ModelFormat, what)
    }

    /// An attribute or combination that is missing here.
    pub fn unsupported(&self, what: impl AsRef<str>) -> Error {
        self.error(ErrorCode::UnsupportedOperator, what)
    }

    /// Types that are missing here.
    pub fn unsupported_types(&self) -> Error {
        let name = |id: &TensorId| self.graph.tensor(*id).dtype.name();
        let inputs: Vec<_> = self.node.inputs.iter().flatten().map(name).collect();
        let outputs: Vec<_> = self.node.outputs.iter().map(name).collect();
        let what = format!("cannot compute ({}) -> ({})", inputs.join(", "), outputs.join(", "));
        self.error(ErrorCode::UnsupportedType, what)
    }

    /// The id of operand `i`.
    pub fn input_id(&self, i: usize) -> Result<TensorId> {
        let id = self.node.inputs.get(i).copied().flatten();
        id.ok_or_else(|| self.malformed(format!("operand {i} is missing")))
    }

    /// Operand `i`.
    pub fn input(&self, i: usize) -> Result<&'a Tensor> {
        Ok(self.graph.tensor(self.input_id(i)?))
    }

    /// Operand `i`, which may be left out.
    pub fn optional_input(&self, i: usize) -> Option<&'a Tensor> {
        self.node.inputs.get(i).copied().flatten().map(|id| self.graph.tensor(id))
    }

    /// The id of result `i`.
    pub fn output_id(&self, i: usize) -> Result<TensorId> {
        let id = self.node.outputs.get(i).copied();
        id.ok_or_else(|| self.malformed(format!("result {i} is missing")))
    }

    /// Result `i`.
    pub fn output(&self, i: usize) -> Result<&'a Tensor> {
        Ok(self.graph.tensor(self.output_id(i)?))
    }

    /// The integers of operand `i`, which must be constant.
    pub fn constant_integers(&self, i: usize) -> Result<Vec<i64>> {
        let tensor = self.input(i)?;
        tensor.constant_integers().ok_or_else(|| {
            let label = self.input_id(i).map(|id| self.graph.tensor_label(id)).unwrap_or_default();
            self.unsupported(format!("{label} must be a constant of integers"))
        })
    }

    /// The one integer of operand `i`, which must be constant.
    pub fn constant_integer(&self, i: usize) -> Result<i64> {
        match self.constant_integers(i)?[..] {
            [value] => Ok(value),
            ref other => {
                Err(self.malformed(format!("operand {i} is {other:?}, must be one integer")))
            }
        }
    }

    /// The dimension that the constant operand `i` names, of a tensor with `rank` dimensions.
    pub fn constant_axis(&self, i: usize, rank: usize) -> Result<usize> {
        self.axis(self.constant_integer(i)?, rank)
    }

    /// `[elements along dimension axis, elements within one of its entries]`.
    pub fn around_axis(&self, shape: &[usize], axis: usize) -> [usize; 2] {
        [shape[axis], shape[axis + 1..].iter().product()]
    }

    /// A picture's `[n, h, w, c]`, none of them 0.
    pub fn picture(&self, tensor: &Tensor) -> Result<[usize; 4]> {
        match tensor.shape[..] {
            [n, h, w, c] if n > 0 && h > 0 && w > 0 && c > 0 => Ok([n, h, w, c]),
            _ => Err(self.malformed(format!(
                "tensor {:?} should be a picture [n, h, w, c], has shape {:?}",
                tensor.name, tensor.shape
            ))),
        }
    }

    /// Scale and zero point of a tensor quantised as a whole.
    pub fn affine(&self, tensor: &Tensor) -> Result<Affine> {
        let range = match tensor.dtype {
            DataType::Int8 => -128..=127,
            DataType::UInt8 => 0..=255,
            DataType::Int16 => -32768..=32767,
            _ => return Err(self.unsupported_types()),
        };
        let quantization = self.quantization(tensor)?;
        let Some((scale, zero_point)) = quantization.as_per_tensor() else {
            let what = format!("tensor {:?} must have one scale, has several", tensor.name);
            return Err(self.unsupported(what));
        };
        if !range.contains(&zero_point) {
            let what = format!(
                "zero point {zero_point} of tensor {:?} is not of type {}",
                tensor.name, tensor.dtype
            );
            return Err(self.malformed(what));
        }
        Ok(Affine { scale, zero_point })
    }

    /// The quantisation that a tensor must have.
    pub fn quantization(&self, tensor: &'a Tensor) -> Result<&'a Quantization> {
        tensor.quantization.as_ref().ok_or_else(|| {
            self.malformed(format!("tensor {:?} should be quantised, has no scale", tensor.name))
        })
    }
}

impl NodeRef<'_> {
    /// `axis`, counted from the end where negative, of a tensor with `rank` dimensions.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize> {
        let from_end = i64::try_from(rank).map_or(axis, |rank| axis.saturating_add(rank));
        let counted = if axis < 0 { from_end } else { axis };
        usize::try_from(counted).ok().filter(|&axis| axis < rank).ok_or_else(|| {
            self.malformed(format!("axis {axis} is outside of a tensor with {rank} dimensions"))
        })
    }
}
