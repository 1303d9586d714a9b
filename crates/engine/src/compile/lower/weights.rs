//! Constant weights and biases, checked and widened, and the arithmetic that their types ask for.

use std::borrow::Cow;

use achado_graph::legal::{Requantization, float_bias, requantization};
use achado_graph::{NodeRef, constant_floats};
use achado_kernels::gemm::float::PackedWeights;
use achado_kernels::reference::{FloatWeights, QuantizedWeights};
use achado_kernels::requant::Requantize;
use achado_kernels::requant::builtin::{FixedMultiplier, FixedScale, Ties};
use achado_kernels::requant::dynamic::Grid;
use achado_kernels::shared::Shared;
use achado_kernels::simd::Element;
use achado_model::{DataType, Result, Tensor, TensorId};

use super::Builder;
use crate::step::{Operands, Simple};

/// Scales and bias of a quantized operator, as the kernels want them.
pub(super) struct QuantizedParts {
    numbers: Requantization,
    /// The scales of the built-in kernel, where that computes the operator.
    fixed: Option<(Vec<FixedMultiplier>, Ties)>,
}

impl QuantizedParts {
    /// Of a product into `out_c` channels, the weights' dimension `channel_axis`; the built-in kernel
    /// takes halves where `ties` says.
    pub fn new(
        node: &NodeRef,
        out_c: usize,
        channel_axis: usize,
        bounds: [f32; 2],
        ties: Ties,
    ) -> Result<Self> {
        let numbers = requantization(node, out_c, channel_axis, bounds)?;
        let multiplier = |&multiplier: &f64| FixedMultiplier::new(multiplier);
        let builtin = numbers.builtin.as_ref();
        let fixed = builtin.map(|scales| (scales.iter().map(multiplier).collect(), ties));
        Ok(Self { numbers, fixed })
    }

    /// The zero point of the input.
    pub fn input_zero_point(&self) -> i32 {
        self.numbers.input_zero_point
    }

    /// Whether the vector kernels take the scales.
    pub fn fits_vectors(&self) -> bool {
        self.requant().fixed.is_none_or(|fixed| fixed.fits_vectors())
    }

    pub fn weights<'a, W>(&'a self, values: &'a [W]) -> QuantizedWeights<'a, W> {
        let bias = self.numbers.bias.as_deref();
        QuantizedWeights { values, zero_point: self.numbers.weight_zero_point, bias }
    }

    pub fn requant(&self) -> Requantize<'_> {
        let &Requantization { ref scale, zero_point, bounds: [min, max], .. } = &self.numbers;
        let fixed = self.fixed.as_ref();
        let fixed = fixed.map(|(multipliers, ties)| FixedScale { multipliers, ties: *ties });
        Requantize { scale, fixed, zero_point, min, max }
    }
}

/// Weights and bias of a float operator.
pub(super) struct FloatParts<'a> {
    values: Cow<'a, [f32]>,
    bias: Option<Vec<f32>>,
    activation: [f32; 2],
}

impl<'a> FloatParts<'a> {
    pub fn new(node: &NodeRef<'a>, out_c: usize, bounds: [f32; 2]) -> Result<Self> {
        let bias = float_bias(node, out_c)?;
        let weights = node.input(1)?;
        // Old converters write the signed weights of hybrid operators as uint8.
        let zero_points = weights.quantization.iter().flat_map(|q| &q.zero_point);
        let signed;
        let weights = if weights.dtype == DataType::UInt8 && zero_points.clone().all(|&z| z == 0) {
            signed = Tensor { dtype: DataType::Int8, ..weights.clone() };
            &signed
        } else {
            weights
        };
        let in_place = match &node.input(1)?.data {
            Some(data) if weights.dtype == DataType::Float32 => bytemuck::try_cast_slice(data).ok(),
            _ => None,
        };
        let values = match in_place {
            Some(values) => Cow::Borrowed(values),
            None => Cow::Owned(constant_floats(node, weights)?),
        };
        Ok(Self { values, bias, activation: bounds })
    }

    /// Puts the weights into another order.
    pub fn reorder(&mut self, order: impl Fn(&[f32]) -> Vec<f32>) {
        self.values = Cow::Owned(order(&self.values));
    }

    /// The same, for a step that reads the weights as they are.
    pub fn into_owned(self) -> FloatParts<'static> {
        let Self { values, bias, activation } = self;
        FloatParts { values: Cow::Owned(values.into_owned()), bias, activation }
    }

    pub fn weights(&self) -> FloatWeights<'_> {
        let Self { values, bias, activation } = self;
        FloatWeights { values, bias: bias.as_deref(), activation: *activation }
    }
}

/// Float weights as a matrix of `columns`, with the bias, where they are packed in place.
pub(super) fn packed_weights(
    builder: &Builder,
    node: &NodeRef,
    columns: usize,
    [low, high]: [f32; 2],
) -> Result<Option<PackedWeights>> {
    let (id, weights) = (node.input_id(1)?, node.input(1)?);
    let Some(data) = builder.weights.get(id) else { return Ok(None) };
    let bias = float_bias(node, columns)?;
    let (file, range) = data.clone().into_parts();
    let (k, bias, bounds) = (weights.elements() / columns, bias.as_deref(), (low, high));
    const PACKED: &str = "it was floats when it was packed";
    Ok(Some(match weights.dtype {
        DataType::Float16 => {
            let halves = Shared::new(file, range).expect(PACKED);
            PackedWeights::halves(columns, k, halves, bias, bounds)
        }
        _ => {
            let floats = Shared::new(file, range).expect(PACKED);
            PackedWeights::in_place(columns, k, floats, bias, bounds)
        }
    }))
}

/// The bytes of constant weights, as elements.
pub(super) fn constant_weights<'a, W: Element>(node: &NodeRef<'a>) -> Result<&'a [W]> {
    match &node.input(1)?.data {
        Some(data) => Ok(bytemuck::cast_slice(data)),
        None => Err(node.unsupported("the weights must be a constant")),
    }
}

/// How TensorFlow Lite quantises the input of a float operator with 8-bit weights.
#[derive(Clone, Copy)]
pub(super) struct Grids {
    pub grid: Grid,
    /// Elements that share a grid.
    pub len: usize,
}

/// The input of a float operator with 8-bit weights, snapped to the grid on which TensorFlow Lite
/// quantises it: a temporary, written by a step of its own. Other weights take the input as it is.
pub(super) fn dynamic_range(
    builder: &mut Builder,
    node: &NodeRef,
    Grids { grid, len }: Grids,
) -> Result<TensorId> {
    let (input, weights) = (node.input_id(0)?, node.input(1)?);
    if !matches!(weights.dtype, DataType::Int8 | DataType::UInt8) {
        return Ok(input);
    }
    let snapped = builder.temporary(node.input(0)?.size_bytes());
    let run = move |operands: &mut Operands| {
        let out: &mut [f32] = bytemuck::cast_slice_mut(operands.outputs[0]);
        let input: &[f32] = bytemuck::cast_slice(operands.inputs[0]);
        for (input, out) in input.chunks_exact(len).zip(out.chunks_exact_mut(len)) {
            grid.snap(input, out);
        }
    };
    builder.push(node, Simple { kernel: "dynamic range", run }, &[input], &[snapped]);
    Ok(snapped)
}
