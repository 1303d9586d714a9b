//! CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED.

use achado_model::{DataType, Operator, Result, Tensor};

use super::{bounds, quantized_bounds};
use crate::geometry::Window;
use crate::infer::{WindowAttributes, fully_connected_sizes, window};
use crate::{NodeRef, constant_floats};

/// A convolution; a FULLY_CONNECTED is one whose pixels are the rows of a matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Convolution {
    /// The pictures and the way of the window.
    pub window: Window,
    /// Input channels.
    pub in_c: usize,
    /// Output channels.
    pub out_c: usize,
    /// Groups: output channel `o` reads only the input channels of group `o / (out_c / groups)`.
    pub groups: usize,
    /// The weights' dimension of output channels: 0 for `[out_c, kernel_h, kernel_w, in_c / groups]`,
    /// 3 for `[1, kernel_h, kernel_w, out_c]`, where each input channel is a group.
    pub channel_axis: usize,
    /// What the result is clamped to.
    pub bounds: [f32; 2],
}

impl Convolution {
    /// Whether each output channel reads one of several input channels, or the operator says so.
    pub fn is_depthwise(&self) -> bool {
        self.channel_axis == 3 || self.groups == self.in_c && self.in_c > 1
    }
}

/// The convolution that a CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED is.
///
/// # Errors
/// `MODEL_FORMAT` where weights, window and input do not fit each other.
pub fn weighted(node: &NodeRef) -> Result<Convolution> {
    let (stride, dilation, padding, activation, is_depthwise) = match node.node.operator {
        Operator::Conv2d { stride, dilation, padding, activation } => {
            (stride, dilation, padding, activation, false)
        }
        Operator::DepthwiseConv2d { stride, dilation, padding, activation, .. } => {
            (stride, dilation, padding, activation, true)
        }
        Operator::FullyConnected { activation, .. } => {
            let [in_c, out_c] = fully_connected_sizes(node)?;
            let window = Window::of_rows(node.input(0)?.elements() / in_c);
            let bounds = bounds(activation);
            return Ok(Convolution { window, in_c, out_c, groups: 1, channel_axis: 0, bounds });
        }
        _ => return Err(node.malformed("not a product with weights")),
    };
    let picture = node.picture(node.input(0)?)?;
    let [first, kernel_h, kernel_w, last] = node.picture(node.input(1)?)?;
    let in_c = picture[3];
    let (out_c, groups) = if is_depthwise {
        // Shapes decide: files that TensorFlow Lite runs may carry another multiplier.
        if first != 1 || !last.is_multiple_of(in_c) {
            return Err(node.malformed(format!(
                "weights [{first}, {kernel_h}, {kernel_w}, {last}] do not fit {in_c} input channels"
            )));
        }
        (last, in_c)
    } else {
        let groups = in_c / last;
        if groups * last != in_c || !first.is_multiple_of(groups) {
            return Err(node.malformed(format!(
                "{in_c} input channels do not divide into groups of {last}, or {first} output \
                 channels into {groups} groups"
            )));
        }
        (first, groups)
    };
    let attributes = WindowAttributes { filter: [kernel_h, kernel_w], stride, dilation, padding };
    let window = window(node, picture, &attributes)?;
    let channel_axis = if is_depthwise { 3 } else { 0 };
    Ok(Convolution { window, in_c, out_c, groups, channel_axis, bounds: bounds(activation) })
}

/// What the types of input, weights and result ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// Input, weights and output of one 8-bit type.
    Quantized,
    /// Input and output of 16 bits, weights of 8.
    Wide,
    /// Input and output float32; weights of any type that widens to it.
    Float,
}

/// The arithmetic of a node whose operands are in CONV_2D's order.
///
/// # Errors
/// `UNSUPPORTED_TYPE` for other types.
pub fn arithmetic(node: &NodeRef) -> Result<Arithmetic> {
    use DataType::{Float16, Float32, Int8, Int16, UInt8};
    let types = (node.input(0)?.dtype, node.input(1)?.dtype, node.output(0)?.dtype);
    match types {
        (Int8, Int8, Int8) | (UInt8, UInt8, UInt8) => Ok(Arithmetic::Quantized),
        (Int16, Int8, Int16) => Ok(Arithmetic::Wide),
        (Float32, Float32 | Float16 | Int8 | UInt8, Float32) => Ok(Arithmetic::Float),
        _ => Err(node.unsupported_types()),
    }
}

/// How the sums of 8-bit products become elements:
/// `round(sum * scale) + zero_point`, clamped to `bounds`.
#[derive(Clone, Debug, PartialEq)]
pub struct Requantization {
    /// What is taken off each element of the input.
    pub input_zero_point: i32,
    /// What is taken off each weight.
    pub weight_zero_point: i32,
    /// What each sum begins with, by output channel; 0 where there is none.
    pub bias: Option<Vec<i32>>,
    /// `input scale * weight scale / output scale` in f32 and in this order: one for all output
    /// channels, or one each.
    pub scale: Vec<f32>,
    /// The same in the built-in kernels' precision, where these compute the node.
    pub builtin: Option<Vec<f64>>,
    /// The result's zero point.
    pub zero_point: i32,
    /// Least and greatest element of the result.
    pub bounds: [i32; 2],
}

/// The numbers of an 8-bit product into `out_c` channels, which are the dimension `channel_axis` of the
/// weights.
///
/// # Errors
/// `MODEL_FORMAT` for scales, zero points and biases that do not fit, `UNSUPPORTED_OPERATOR` for weights
/// with several zero points and for a bias that is computed.
pub fn requantization(
    node: &NodeRef,
    out_c: usize,
    channel_axis: usize,
    bounds: [f32; 2],
) -> Result<Requantization> {
    let (input, weights, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
    let (from, to) = (node.affine(input)?, node.affine(output)?);
    check_scales(node, out_c, channel_axis)?;
    let quantization = node.quantization(weights)?;
    let weight_zero_point = quantization.zero_point.first().copied().unwrap_or(0);
    if quantization.zero_point.iter().any(|&zero_point| zero_point != weight_zero_point) {
        return Err(node.unsupported("weights with several zero points"));
    }
    let range = if weights.dtype == DataType::UInt8 { 0..=255 } else { -128..=127 };
    if !range.contains(&weight_zero_point) {
        return Err(node.malformed("the weights' zero point is not of their type"));
    }
    // The order of the operations is XNNPACK's, and so are the bits.
    let scale = quantization.scale.iter().map(|&w| from.scale * w / to.scale).collect();
    let builtin = node.is_builtin().then(|| {
        let multiplier = |&w: &f32| match output.dtype {
            // uint8 has the product of a bias's scale, which is f32 (`kernel_util.cc`).
            DataType::UInt8 => f64::from(from.scale * w) / f64::from(to.scale),
            _ => f64::from(from.scale) * f64::from(w) / f64::from(to.scale),
        };
        quantization.scale.iter().map(multiplier).collect()
    });
    let bias = match node.optional_input(2) {
        None => None,
        Some(bias) => Some(integer_bias(node, bias, out_c)?),
    };
    Ok(Requantization {
        input_zero_point: from.zero_point,
        weight_zero_point,
        bias,
        scale,
        builtin,
        zero_point: to.zero_point,
        bounds: quantized_bounds(to, output.dtype, bounds, node.node.kernel),
    })
}

/// Refuses weights that have neither one scale nor one for each output channel.
///
/// # Errors
/// `MODEL_FORMAT`.
pub fn check_scales(node: &NodeRef, out_c: usize, channel_axis: usize) -> Result<()> {
    let quantization = node.quantization(node.input(1)?)?;
    let channels = quantization.scale.len();
    if channels != 1 && (channels != out_c || quantization.axis != channel_axis) {
        let axis = quantization.axis;
        let what = format!(
            "weights have {channels} scales along dimension {axis}, should have 1, or {out_c} along \
             dimension {channel_axis}"
        );
        return Err(node.malformed(what));
    }
    Ok(())
}

/// An int32 bias with one element for each output channel.
fn integer_bias(node: &NodeRef, bias: &Tensor, out_c: usize) -> Result<Vec<i32>> {
    check_bias(node, bias, out_c)?;
    match (&bias.data, bias.dtype) {
        (Some(data), DataType::Int32) => {
            Ok(data.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect())
        }
        (None, _) => Err(node.unsupported("the bias must be a constant")),
        _ => Err(node.unsupported_types()),
    }
}

/// A float bias with one element for each output channel, where there is one.
///
/// # Errors
/// `MODEL_FORMAT` for another number of elements, and those of [`constant_floats`].
pub fn float_bias(node: &NodeRef, out_c: usize) -> Result<Option<Vec<f32>>> {
    let Some(bias) = node.optional_input(2) else { return Ok(None) };
    check_bias(node, bias, out_c)?;
    constant_floats(node, bias).map(Some)
}

/// Refuses a bias that has not one element for each output channel.
///
/// # Errors
/// `MODEL_FORMAT`.
pub fn check_bias(node: &NodeRef, bias: &Tensor, out_c: usize) -> Result<()> {
    if bias.elements() == out_c {
        return Ok(());
    }
    let what = format!("the bias should have {out_c} elements, has {}", bias.elements());
    Err(node.malformed(what))
}
