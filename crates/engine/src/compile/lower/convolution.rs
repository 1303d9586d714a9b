//! CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED.

use std::marker::PhantomData;

use achado_kernels::conv2d::{Conv2dFloat, Conv2dQuantized};
use achado_kernels::depthwise_conv2d::{self, DepthwiseFloat, DepthwiseQuantized};
use achado_kernels::fully_connected::{FullyConnectedFloat, FullyConnectedQuantized};
use achado_kernels::gemm::TILE_ROWS;
use achado_kernels::reference::conv2d::Conv2dShape;
use achado_kernels::reference::depthwise_conv2d::{
    DepthwiseShape, depthwise_conv2d_f32, depthwise_conv2d_quantized,
};
use achado_kernels::reference::{FloatWeights, QuantizedWeights, wide};
use achado_kernels::requant::dynamic::{snap, snap_builtin};
use achado_kernels::requant::{Quantized, Requantize};
use achado_kernels::simd::{Element, Native};
use achado_model::{Activation, DataType, Operator, Result, Tensor, TensorId};

use super::{Builder, int16, matrix, with_quantized};
use crate::compile::fold::constant_floats;
use crate::compile::infer::{WindowAttributes, window};
use crate::compile::node::NodeRef;
use crate::step::{Operands, Simple, Step};

/// Weights and bias of a quantised operator, as the kernels want them.
pub(super) struct QuantizedParts {
    weight_zero_point: i32,
    bias: Option<Vec<i32>>,
    pub input_zero_point: i32,
    scale: Vec<f32>,
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
        let (from, to) = (node.affine(input)?, node.affine(output)?);
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
            zero_point: to.zero_point,
            bounds: to.activation_bounds::<T>([low, high]),
        })
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
        Requantize { scale: &self.scale, zero_point: self.zero_point, min, max }
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
pub(super) struct FloatParts {
    values: Vec<f32>,
    bias: Option<Vec<f32>>,
    activation: [f32; 2],
}

/// A float bias with one element for each output channel.
pub(super) fn float_bias(node: &NodeRef, out_c: usize) -> Result<Option<Vec<f32>>> {
    let Some(bias) = node.optional_input(2) else { return Ok(None) };
    check_bias(node, bias, out_c)?;
    constant_floats(node, bias).map(Some)
}

impl FloatParts {
    pub fn new(node: &NodeRef, out_c: usize, activation: Activation) -> Result<Self> {
        let bias = float_bias(node, out_c)?;
        let (low, high) = activation.range();
        let values = constant_floats(node, node.input(1)?)?;
        Ok(Self { values, bias, activation: [low, high] })
    }

    pub fn weights(&self) -> FloatWeights<'_> {
        let Self { values, bias, activation } = self;
        FloatWeights { values, bias: bias.as_deref(), activation: *activation }
    }
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

/// The input of a float operator with 8-bit weights, snapped to the grid on which TensorFlow Lite
/// quantises it: a temporary, written by a step of its own. `len` elements share a grid. Other
/// weights take the input as it is.
pub(super) fn dynamic_range(
    builder: &mut Builder,
    node: &NodeRef,
    snap: fn(&[f32], &mut [f32]),
    len: usize,
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
            snap(input, out);
        }
    };
    builder.push(node, Simple { kernel: "dynamic range", run }, &[input], &[snapped]);
    Ok(snapped)
}

/// A packed 8-bit kernel with its element type.
struct Packed<K, T> {
    kernel: K,
    element: PhantomData<fn() -> T>,
}

impl<K, T> Packed<K, T> {
    fn new(kernel: K) -> Self {
        Self { kernel, element: PhantomData }
    }
}

/// CONV_2D.
#[inline(never)]
pub(super) fn conv2d(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let &Operator::Conv2d { stride, dilation, padding, activation } = &node.node.operator else {
        return Err(node.malformed("not a CONV_2D"));
    };
    let picture = node.picture(node.input(0)?)?;
    let [out_c, kernel_h, kernel_w, group_in] = node.picture(node.input(1)?)?;
    let in_c = picture[3];
    let groups = in_c / group_in;
    if groups * group_in != in_c || !out_c.is_multiple_of(groups) {
        return Err(node.malformed(format!(
            "{in_c} input channels do not divide into groups of {group_in}, or {out_c} output \
             channels into {groups} groups"
        )));
    }
    let attributes = WindowAttributes { filter: [kernel_h, kernel_w], stride, dilation, padding };
    let window = window(node, picture, &attributes)?;
    let shape = Conv2dShape { window, in_c, out_c, groups };
    let (inputs, outputs) = ([node.input_id(0)?], [node.output_id(0)?]);
    match arithmetic(node)? {
        Arithmetic::Quantized => with_quantized!(node.input(0)?.dtype, T => {
            let parts = QuantizedParts::new::<T>(node, out_c, 0, activation)?;
            let weights = parts.weights(constant_weights::<T>(node)?);
            let kernel = Conv2dQuantized::new::<T, T>(
                shape,
                parts.input_zero_point,
                &weights,
                &parts.requant(),
                builder.byte_dot,
            );
            builder.push(node, Packed::<_, T>::new(kernel), &inputs, &outputs);
        }, else return Err(node.unsupported_types())),
        Arithmetic::Wide => {
            let weights = int16::weights(node, out_c, 0, activation)?;
            let run = move |input: &[i16], out: &mut [i16]| {
                wide::conv2d(&shape, input, &weights, out);
            };
            int16::push_weighted(builder, node, run)?;
        }
        Arithmetic::Float => {
            let parts = FloatParts::new(node, out_c, activation)?;
            let kernel = Conv2dFloat::new(shape, &parts.weights());
            let is_pointwise = [kernel_h, kernel_w] == [1, 1];
            let grid_len = if is_pointwise { in_c } else { picture[1..].iter().product() };
            let inputs = [dynamic_range(builder, node, snap, grid_len)?];
            builder.push(node, Packed::<_, f32>::new(kernel), &inputs, &outputs);
        }
    }
    Ok(())
}

fn conv2d_macs(shape: &Conv2dShape) -> u64 {
    let Conv2dShape { window, in_c, out_c, groups } = shape;
    window.out_pixels() as u64
        * (window.kernel_h * window.kernel_w) as u64
        * (in_c / groups * out_c) as u64
}

impl<T: Element> Step for Packed<Conv2dQuantized, T> {
    fn kernel(&self) -> &'static str {
        self.kernel.kernel()
    }

    fn run(&self, operands: &mut Operands) {
        let input = bytemuck::cast_slice(operands.inputs[0]);
        let out: &mut [T] = bytemuck::cast_slice_mut(operands.outputs[0]);
        let out_c = self.kernel.shape().out_c;
        operands.pool.split(out, out_c, TILE_ROWS, operands.scratch, |pixels, out, scratch| {
            self.kernel.run::<Native, T>(input, pixels, out, scratch);
        });
    }

    fn scratch_bytes(&self) -> usize {
        self.kernel.scratch_bytes()
    }

    fn size_bytes(&self) -> usize {
        self.kernel.size_bytes()
    }

    fn macs(&self) -> u64 {
        conv2d_macs(self.kernel.shape())
    }
}

impl Step for Packed<Conv2dFloat, f32> {
    fn kernel(&self) -> &'static str {
        self.kernel.kernel()
    }

    fn run(&self, operands: &mut Operands) {
        let input = bytemuck::cast_slice(operands.inputs[0]);
        let out: &mut [f32] = bytemuck::cast_slice_mut(operands.outputs[0]);
        let out_c = self.kernel.shape().out_c;
        operands.pool.split(out, out_c, TILE_ROWS, operands.scratch, |pixels, out, scratch| {
            self.kernel.run::<Native>(input, pixels, out, scratch);
        });
    }

    fn scratch_bytes(&self) -> usize {
        self.kernel.scratch_bytes()
    }

    fn size_bytes(&self) -> usize {
        self.kernel.size_bytes()
    }

    fn macs(&self) -> u64 {
        conv2d_macs(self.kernel.shape())
    }
}

/// DEPTHWISE_CONV_2D.
#[inline(never)]
pub(super) fn depthwise_conv2d(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let &Operator::DepthwiseConv2d { stride, dilation, padding, activation, .. } =
        &node.node.operator
    else {
        return Err(node.malformed("not a DEPTHWISE_CONV_2D"));
    };
    let picture = node.picture(node.input(0)?)?;
    let [one, kernel_h, kernel_w, out_c] = node.picture(node.input(1)?)?;
    let in_c = picture[3];
    // Shapes decide: files that TensorFlow Lite runs may carry another multiplier.
    if one != 1 || !out_c.is_multiple_of(in_c) {
        return Err(node.malformed(format!(
            "weights [{one}, {kernel_h}, {kernel_w}, {out_c}] do not fit {in_c} input channels"
        )));
    }
    let attributes = WindowAttributes { filter: [kernel_h, kernel_w], stride, dilation, padding };
    let window = window(node, picture, &attributes)?;
    let shape = DepthwiseShape { window, in_c, multiplier: out_c / in_c };
    let (inputs, outputs) = ([node.input_id(0)?], [node.output_id(0)?]);
    let fast = depthwise_conv2d::fits(&shape);
    match arithmetic(node)? {
        Arithmetic::Quantized => with_quantized!(node.input(0)?.dtype, T => {
            let parts = QuantizedParts::new::<T>(node, out_c, 3, activation)?;
            let values = constant_weights::<T>(node)?;
            if fast {
                let kernel = DepthwiseQuantized::new(
                    shape,
                    parts.input_zero_point,
                    &parts.weights(values),
                    &parts.requant(),
                );
                builder.push(node, Packed::<_, T>::new(kernel), &inputs, &outputs);
            } else {
                let values = values.to_vec();
                builder.push_simple(node, "reference", &inputs, move |operands| {
                    let input = bytemuck::cast_slice::<u8, T>(operands.inputs[0]);
                    let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
                    depthwise_conv2d_quantized(
                        &shape,
                        input,
                        parts.input_zero_point,
                        &parts.weights(&values),
                        &parts.requant(),
                        out,
                    );
                })?;
            }
        }, else return Err(node.unsupported_types())),
        Arithmetic::Wide => {
            let weights = int16::weights(node, out_c, 3, activation)?;
            let run = move |input: &[i16], out: &mut [i16]| {
                wide::depthwise_conv2d(&shape, input, &weights, out);
            };
            int16::push_weighted(builder, node, run)?;
        }
        Arithmetic::Float => {
            let parts = FloatParts::new(node, out_c, activation)?;
            let picture_len = picture[1..].iter().product();
            let inputs = [dynamic_range(builder, node, snap_builtin, picture_len)?];
            if fast {
                let kernel = DepthwiseFloat::new(shape, &parts.weights());
                builder.push(node, Packed::<_, f32>::new(kernel), &inputs, &outputs);
            } else {
                builder.push_simple(node, "reference", &inputs, move |operands| {
                    let input = bytemuck::cast_slice(operands.inputs[0]);
                    let out = bytemuck::cast_slice_mut(operands.outputs[0]);
                    depthwise_conv2d_f32(&shape, input, &parts.weights(), out);
                })?;
            }
        }
    }
    Ok(())
}

fn depthwise_macs(shape: &DepthwiseShape) -> u64 {
    let window = &shape.window;
    (window.out_pixels() * shape.in_c) as u64 * (window.kernel_h * window.kernel_w) as u64
}

impl<T: Element> Step for Packed<DepthwiseQuantized, T> {
    fn kernel(&self) -> &'static str {
        self.kernel.kernel()
    }

    fn run(&self, operands: &mut Operands) {
        let input = bytemuck::cast_slice(operands.inputs[0]);
        let out: &mut [T] = bytemuck::cast_slice_mut(operands.outputs[0]);
        let row_len = self.kernel.shape().window.out_w * self.kernel.shape().in_c;
        operands.pool.split(out, row_len, 1, operands.scratch, |rows, out, scratch| {
            self.kernel.run::<Native, T>(input, rows, out, scratch);
        });
    }

    fn scratch_bytes(&self) -> usize {
        self.kernel.scratch_bytes()
    }

    fn size_bytes(&self) -> usize {
        self.kernel.size_bytes()
    }

    fn macs(&self) -> u64 {
        depthwise_macs(self.kernel.shape())
    }
}

impl Step for Packed<DepthwiseFloat, f32> {
    fn kernel(&self) -> &'static str {
        self.kernel.kernel()
    }

    fn run(&self, operands: &mut Operands) {
        let input = bytemuck::cast_slice(operands.inputs[0]);
        let out: &mut [f32] = bytemuck::cast_slice_mut(operands.outputs[0]);
        let row_len = self.kernel.shape().window.out_w * self.kernel.shape().in_c;
        operands.pool.split(out, row_len, 1, operands.scratch, |rows, out, scratch| {
            self.kernel.run::<Native>(input, rows, out, scratch);
        });
    }

    fn scratch_bytes(&self) -> usize {
        self.kernel.scratch_bytes()
    }

    fn size_bytes(&self) -> usize {
        self.kernel.size_bytes()
    }

    fn macs(&self) -> u64 {
        depthwise_macs(self.kernel.shape())
    }
}

/// FULLY_CONNECTED.
#[inline(never)]
pub(super) fn fully_connected(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let &Operator::FullyConnected { activation, .. } = &node.node.operator else {
        return Err(node.malformed("not a FULLY_CONNECTED"));
    };
    let (input, weights) = (node.input(0)?, node.input(1)?);
    let &[out_c, in_c] = &weights.shape[..] else {
        return Err(node.malformed(format!("weights have shape {:?}", weights.shape)));
    };
    let elements = input.elements();
    if in_c == 0 || out_c == 0 || elements == 0 || !elements.is_multiple_of(in_c) {
        return Err(node.malformed(format!(
            "an input of shape {:?} does not fit weights of shape {:?}",
            input.shape, weights.shape
        )));
    }
    if !weights.is_constant() {
        return matrix::product_of_computed(builder, node, activation);
    }
    let (inputs, outputs) = ([node.input_id(0)?], [node.output_id(0)?]);
    let sizes = [in_c, out_c];
    let macs = elements as u64 * out_c as u64;
    match arithmetic(node)? {
        Arithmetic::Quantized => with_quantized!(input.dtype, T => {
            let parts = QuantizedParts::new::<T>(node, out_c, 0, activation)?;
            let weights = parts.weights(constant_weights::<T>(node)?);
            let kernel = FullyConnectedQuantized::new::<T, T>(
                sizes,
                parts.input_zero_point,
                &weights,
                &parts.requant(),
                builder.byte_dot,
            );
            builder.push(node, Rows { packed: Packed::<_, T>::new(kernel), out_c, macs }, &inputs, &outputs);
        }, else return Err(node.unsupported_types())),
        Arithmetic::Wide => {
            let weights = int16::weights(node, out_c, 0, activation)?;
            let run = move |input: &[i16], out: &mut [i16]| {
                wide::fully_connected(sizes, input, &weights, out);
            };
            int16::push_weighted(builder, node, run)?;
        }
        Arithmetic::Float => {
            let parts = FloatParts::new(node, out_c, activation)?;
            let kernel = FullyConnectedFloat::new(sizes, &parts.weights());
            let inputs = [dynamic_range(builder, node, snap, in_c)?];
            let packed = Packed::<_, f32>::new(kernel);
            builder.push(node, Rows { packed, out_c, macs }, &inputs, &outputs);
        }
    }
    Ok(())
}

/// A packed FULLY_CONNECTED.
struct Rows<K, T> {
    packed: Packed<K, T>,
    out_c: usize,
    macs: u64,
}

impl<T: Element> Step for Rows<FullyConnectedQuantized, T> {
    fn kernel(&self) -> &'static str {
        self.packed.kernel.kernel()
    }

    fn run(&self, operands: &mut Operands) {
        let input = bytemuck::cast_slice(operands.inputs[0]);
        let out: &mut [T] = bytemuck::cast_slice_mut(operands.outputs[0]);
        operands.pool.split(out, self.out_c, TILE_ROWS, operands.scratch, |rows, out, scratch| {
            self.packed.kernel.run::<Native, T>(input, rows, out, scratch);
        });
    }

    fn scratch_bytes(&self) -> usize {
        self.packed.kernel.scratch_bytes()
    }

    fn size_bytes(&self) -> usize {
        self.packed.kernel.size_bytes()
    }

    fn macs(&self) -> u64 {
        self.macs
    }
}

impl Step for Rows<FullyConnectedFloat, f32> {
    fn kernel(&self) -> &'static str {
        "gemm f32"
    }

    fn run(&self, operands: &mut Operands) {
        let input = bytemuck::cast_slice(operands.inputs[0]);
        let out: &mut [f32] = bytemuck::cast_slice_mut(operands.outputs[0]);
        operands.pool.split(out, self.out_c, TILE_ROWS, operands.scratch, |rows, out, _| {
            self.packed.kernel.run::<Native>(input, rows, out);
        });
    }

    fn size_bytes(&self) -> usize {
        self.packed.kernel.size_bytes()
    }

    fn macs(&self) -> u64 {
        self.macs
    }
}
