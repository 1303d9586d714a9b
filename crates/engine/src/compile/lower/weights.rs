//! Constant weights and biases, checked and widened, and the arithmetic that their types ask for.

use std::borrow::Cow;

use achado_graph::{NodeRef, constant_floats};
use achado_kernels::gemm::float::PackedWeights;
use achado_kernels::reference::{FloatWeights, QuantizedWeights};
use achado_kernels::requant::builtin::{FixedMultiplier, FixedScale, Ties};
use achado_kernels::requant::dynamic::Grid;
use achado_kernels::requant::{Affine, Quantized, Requantize};
use achado_kernels::shared::Shared;
use achado_kernels::simd::Element;
use achado_model::{Activation, DataType, Result, Tensor, TensorId};

use super::Builder;
use super::elementwise::bounds;
use super::operands::affine;
use crate::step::{Operands, Simple};

/// Weights and bias of a quantised operator, as the kernels want them.
pub(super) struct QuantizedParts {
    weight_zero_point: i32,
    bias: Option<Vec<i32>>,
    pub input_zero_point: i32,
    scale: Vec<f32>,
    /// The scales of the built-in kernel, where that computes the operator.
    fixed: Option<(Vec<FixedMultiplier>, Ties)>,
    zero_point: i32,
    bounds: [i32; 2],
}

impl QuantizedParts {
    /// Checks types, scales and sizes. `channel_axis` is the weights' dimension of output channels.
    pub fn new<T: Quantized>(
        node: &NodeRef,
        out_c: usize,
        channel_axis: usize,
        activation: Activation,
    ) -> Result<Self> {
        let (input, weights, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
        let (from, to) = (affine(node, input)?, affine(node, output)?);
        Self::check_scales(node, out_c, channel_axis)?;
        let quantization = node.quantization(weights)?;
        let weight_zero_point = quantization.zero_point[0];
        if quantization.zero_point.iter().any(|&zero_point| zero_point != weight_zero_point) {
            return Err(node.unsupported("weights with several zero points"));
        }
        let range = if weights.dtype == DataType::UInt8 { 0..=255 } else { -128..=127 };
        if !range.contains(&weight_zero_point) {
            return Err(node.malformed("the weights' zero point is not of their type"));
        }
        // The order of the operations is XNNPACK's, and so are the bits.
        let scale = quantization.scale.iter().map(|&w| from.scale * w / to.scale).collect();
        let bias = match node.optional_input(2) {
            None => None,
            Some(bias) => Some(constant_bias(node, bias, out_c)?),
        };
        let (low, high) = activation.range();
        Ok(Self {
            weight_zero_point,
            bias,
            input_zero_point: from.zero_point,
            scale,
            fixed: None,
            zero_point: to.zero_point,
            bounds: to.activation_bounds::<T>([low, high]),
        })
    }

    /// The same with the arithmetic of the built-in kernel, which takes halves where `ties` says,
    /// if that computes the node.
    pub fn settle<T: Quantized>(
        mut self,
        node: &NodeRef,
        activation: Activation,
        ties: Ties,
    ) -> Result<Self> {
        if !node.is_builtin() {
            return Ok(self);
        }
        let (from, to) = (affine(node, node.input(0)?)?, affine(node, node.output(0)?)?);
        let multiplier = |&scale: &f32| {
            // uint8 has the product of a bias's scale, which is f32 (`kernel_util.cc`).
            let weights = Affine { scale, zero_point: 0 };
            let product = f64::from(from.scale) * f64::from(scale);
            match T::MIN {
                0 => FixedMultiplier::of_products(from, weights, to),
                _ => FixedMultiplier::new(product / f64::from(to.scale)),
            }
        };
        let scales = &node.quantization(node.input(1)?)?.scale;
        self.fixed = Some((scales.iter().map(multiplier).collect(), ties));
        self.bounds = to.builtin_activation_bounds::<T>(bounds(activation));
        Ok(self)
    }

    /// Whether the vector kernels take the scales.
    pub fn fits_vectors(&self) -> bool {
        self.requant().fixed.is_none_or(|fixed| fixed.fits_vectors())
    }

    /// Refuses weights that have neither one scale nor one for each output channel.
    pub fn check_scales(node: &NodeRef, out_c: usize, channel_axis: usize) -> Result<()> {
        let weights = node.input(1)?;
        let quantization = node.quantization(weights)?;
        let channels = quantization.scale.len();
        if channels != 1 && (channels != out_c || quantization.axis != channel_axis) {
            let axis = quantization.axis;
            let what = format!(
                "weights have {channels} scales along dimension {axis}, should have 1, or {out_c} \
                 along dimension {channel_axis}"
            );
            return Err(node.malformed(what));
        }
        Ok(())
    }

    pub fn weights<'a, W>(&'a self, values: &'a [W]) -> QuantizedWeights<'a, W> {
        let bias = self.bias.as_deref();
        QuantizedWeights { values, zero_point: self.weight_zero_point, bias }
    }

    pub fn requant(&self) -> Requantize<'_> {
        let [min, max] = self.bounds;
        let fixed = self.fixed.as_ref();
        let fixed = fixed.map(|(multipliers, ties)| FixedScale { multipliers, ties: *ties });
        Requantize { scale: &self.scale, fixed, zero_point: self.zero_point, min, max }
    }
}

/// An int32 bias with one element for each output channel.
fn constant_bias(node: &NodeRef, bias: &Tensor, out_c: usize) -> Result<Vec<i32>> {
    check_bias(node, bias, out_c)?;
    match (&bias.data, bias.dtype) {
        (Some(data), DataType::Int32) => {
            Ok(data.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect())
        }
        (None, _) => Err(node.unsupported("the bias must be a constant")),
        _ => Err(node.unsupported_types()),
    }
}

pub(super) fn check_bias(node: &NodeRef, bias: &Tensor, out_c: usize) -> Result<()> {
    if bias.elements() == out_c {
        return Ok(());
    }
    let what = format!("the bias should have {out_c} elements, has {}", bias.elements());
    Err(node.malformed(what))
}

/// Weights and bias of a float operator.
pub(super) struct FloatParts<'a> {
    values: Cow<'a, [f32]>,
    bias: Option<Vec<f32>>,
    activation: [f32; 2],
}

/// A float bias with one element for each output channel.
pub(super) fn float_bias(node: &NodeRef, out_c: usize) -> Result<Option<Vec<f32>>> {
    let Some(bias) = node.optional_input(2) else { return Ok(None) };
    check_bias(node, bias, out_c)?;
    constant_floats(node, bias).map(Some)
}

impl<'a> FloatParts<'a> {
    pub fn new(node: &NodeRef<'a>, out_c: usize, activation: Activation) -> Result<Self> {
        let bias = float_bias(node, out_c)?;
        let (low, high) = activation.range();
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
        Ok(Self { values, bias, activation: [low, high] })
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
    activation: Activation,
) -> Result<Option<PackedWeights>> {
    let (id, weights) = (node.input_id(1)?, node.input(1)?);
    let Some(data) = builder.weights.get(id) else { return Ok(None) };
    let bias = float_bias(node, columns)?;
    let (file, range) = data.clone().into_parts();
    let (k, bias, bounds) = (weights.elements() / columns, bias.as_deref(), activation.range());
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

/// What the operands' types ask for.
pub(super) enum Arithmetic {
    /// Input and output of one 8-bit type.
    Quantized,
    /// Input and output of 16 bits, weights of 8.
    Wide,
    /// Input and output float32; weights of any type that widens to it.
    Float,
}

pub(super) fn arithmetic(node: &NodeRef) -> Result<Arithmetic> {
    use DataType::{Float16, Float32, Int8, Int16, UInt8};
    let types = (node.input(0)?.dtype, node.input(1)?.dtype, node.output(0)?.dtype);
    match types {
        (Int8, Int8, Int8) | (UInt8, UInt8, UInt8) => Ok(Arithmetic::Quantized),
        (Int16, Int8, Int16) => Ok(Arithmetic::Wide),
        (Float32, Float32 | Float16 | Int8 | UInt8, Float32) => Ok(Arithmetic::Float),
        _ => Err(node.unsupported_types()),
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
