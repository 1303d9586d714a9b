//! CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED, with bias, clamp and the addition that follows.

use achado_graph::TfliteKernel;
use achado_model::{Activation, DataType, Operator, Result, Tensor};

use super::arithmetic::{AddShift, activation_bounds};
use super::window::{Geometry, geometry};
use super::{At, Bind, Builder, Params, Shape, bounds};
use crate::places::Buffer;
use crate::template::Template;

/// Work-groups that fill a GPU.
const ENOUGH_GROUPS: usize = 128;

/// Grouped weights are written out with zeros up to this many elements.
const MAX_DENSE_WEIGHTS: usize = 1 << 22;

pub(super) fn lower<'a>(builder: &mut Builder<'a>, at: &At<'a>) -> Result<()> {
    match at.node.operator {
        Operator::DepthwiseConv2d { stride, dilation, padding, depth_multiplier, activation } => {
            let (input, weights) = (Shape::of(&at.input(0)?.shape), at.input(1)?);
            let &[_, kernel_h, kernel_w, out_c] = &weights.shape[..] else {
                return Err(at.unsupported("weights of this shape are not supported"));
            };
            let window = geometry(at, [kernel_h, kernel_w], stride, dilation, padding)?;
            let values = Weights::of(at, weights)?;
            if depth_multiplier == 1 && out_c == input.c {
                return depthwise(builder, at, &window, &values, activation);
            }
            // Few channels become many: a convolution whose weights are mostly zero.
            let taps = kernel_h * kernel_w;
            let multiplier = out_c / input.c.max(1);
            check_dense(at, out_c * taps * input.c)?;
            let dense = values.map(out_c * taps * input.c, |i| {
                let (out, tap, channel) = (i / (taps * input.c), i / input.c % taps, i % input.c);
                (out / multiplier.max(1) == channel).then_some(tap * out_c + out)
            });
            product(builder, at, Some(&window), &dense, out_c, activation)
        }
        Operator::Conv2d { stride, dilation, padding, activation } => {
            let (input, weights) = (Shape::of(&at.input(0)?.shape), at.input(1)?);
            let &[out_c, kernel_h, kernel_w, group_in] = &weights.shape[..] else {
                return Err(at.unsupported("weights of this shape are not supported"));
            };
            let window = geometry(at, [kernel_h, kernel_w], stride, dilation, padding)?;
            let values = Weights::of(at, weights)?;
            let taps = kernel_h * kernel_w;
            if group_in == input.c {
                let is_pointwise = taps == 1 && stride == [1, 1] && !window.is_padded();
                let window = (!is_pointwise).then_some(&window);
                return product(builder, at, window, &values, out_c, activation);
            }
            if group_in == 1 && out_c == input.c {
                let turned = values.map(taps * out_c, |i| Some(i % out_c * taps + i / out_c));
                return depthwise(builder, at, &window, &turned, activation);
            }
            let groups = input.c / group_in.max(1);
            let group_out = out_c / groups.max(1);
            check_dense(at, out_c * taps * input.c)?;
            let dense = values.map(out_c * taps * input.c, |i| {
                let (out, tap, channel) = (i / (taps * input.c), i / input.c % taps, i % input.c);
                (out / group_out.max(1) == channel / group_in)
                    .then_some((out * taps + tap) * group_in + channel % group_in)
            });
            product(builder, at, Some(&window), &dense, out_c, activation)
        }
        Operator::FullyConnected { activation, .. } => {
            let weights = at.input(1)?;
            let &[out_c, in_c] = &weights.shape[..] else {
                return Err(at.unsupported("weights of this shape are not supported"));
            };
            let values = Weights::of(at, weights)?;
            let input = Shape::of(&at.input(0)?.shape);
            if input.c != in_c && !input.c.is_multiple_of(4) {
                return Err(at.unsupported("an input that is flattened is not supported"));
            }
            product(builder, at, None, &values, out_c, activation)
        }
        _ => Err(at.unsupported("not a convolution")),
    }
}

fn check_dense(at: &At<'_>, elements: usize) -> Result<()> {
    if elements <= MAX_DENSE_WEIGHTS {
        return Ok(());
    }
    Err(at.unsupported("groups of this size are not supported"))
}

/// Constant weights, in the model's order.
enum Weights {
    Float(Vec<f32>),
    /// Signed bytes, and their zero point.
    Bytes(Vec<i8>, i32),
}

impl Weights {
    fn of(at: &At<'_>, tensor: &Tensor) -> Result<Self> {
        let Some(data) = &tensor.data else {
            return Err(at.unsupported("weights that are not constant are not supported"));
        };
        if at.kind(at.input(0)?)?.is_float() {
            return floats(at, tensor).map(Self::Float);
        }
        let flip = match tensor.dtype {
            DataType::Int8 => 0,
            DataType::UInt8 => 0x80,
            _ => return Err(at.unsupported("these types are not supported")),
        };
        let Some(quantization) = &tensor.quantization else {
            return Err(at.unsupported("weights without scales are not supported"));
        };
        let zero_point = quantization.zero_point[0];
        if quantization.zero_point.iter().any(|&other| other != zero_point) {
            return Err(at.unsupported("weights with several zero points are not supported"));
        }
        let values = data.iter().map(|&byte| (byte ^ flip) as i8).collect();
        Ok(Self::Bytes(values, zero_point - i32::from(flip)))
    }

    /// Other weights, each from one of these, or zero.
    fn map(&self, len: usize, from: impl Fn(usize) -> Option<usize>) -> Self {
        match self {
            Self::Float(values) => {
                Self::Float((0..len).map(|i| from(i).map_or(0.0, |from| values[from])).collect())
            }
            Self::Bytes(values, zero) => {
                let value = |i| from(i).map_or(*zero as i8, |from| values[from]);
                Self::Bytes((0..len).map(value).collect(), *zero)
            }
        }
    }
}

/// A constant as floats, widened from halves.
pub(super) fn floats(at: &At<'_>, tensor: &Tensor) -> Result<Vec<f32>> {
    match (&tensor.data, tensor.dtype) {
        (Some(data), DataType::Float16) => Ok(data
            .as_chunks()
            .0
            .iter()
            .map(|bytes| half_to_float(u16::from_le_bytes(*bytes)))
            .collect()),
        _ => tensor
            .constant_floats()
            .ok_or_else(|| at.unsupported("8-bit weights among floats are not supported")),
    }
}

/// The float that a float16 stands for.
fn half_to_float(half: u16) -> f32 {
    let (sign, exponent, digits) =
        (u32::from(half >> 15) << 31, u32::from(half >> 10 & 31), u32::from(half & 1023));
    let magnitude = match exponent {
        // Exact: 10 digits times a power of two.
        0 => (digits as f32 * f32::from_bits(103 << 23)).to_bits(),
        31 => 0x7f80_0000 | digits << 13,
        _ => (exponent + 112) << 23 | digits << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// Bias, scale and bounds of a quantised product.
struct Quantized {
    bias: Vec<i32>,
    scale: Vec<f32>,
    in_zero: i32,
    out_zero: i32,
    bounds: [i32; 2],
}

fn bias_floats(at: &At<'_>, out_c: usize) -> Result<Vec<f32>> {
    let Some(bias) = at.optional(2) else { return Ok(vec![0.0; out_c]) };
    let values = floats(at, bias)?;
    if values.len() != out_c {
        return Err(at.unsupported("a bias of this shape is not supported"));
    }
    Ok(values)
}

impl Quantized {
    fn of(at: &At<'_>, out_c: usize, activation: Activation) -> Result<Self> {
        let (from, to) = (at.affine(at.input(0)?)?, at.affine(at.output())?);
        if at.input(0)?.dtype != at.output().dtype {
            return Err(at.unsupported("mixed types are not supported"));
        }
        let weights = at.input(1)?;
        let Some(quantization) = &weights.quantization else {
            return Err(at.unsupported("weights without scales are not supported"));
        };
        let scales = &quantization.scale;
        // The order of the operations is the CPU's, and so are the bits.
        let of =
            |channel: usize| from.0 * scales[if scales.len() == 1 { 0 } else { channel }] / to.0;
        if scales.len() != 1 && scales.len() != out_c {
            return Err(at.unsupported("weights with these scales are not supported"));
        }
        let scale: Vec<f32> = (0..out_c).map(of).collect();
        // What the exact arithmetic takes; sums of 2^31 then stay below 2^31 as products of interest.
        if scale.iter().any(|scale| !(1e-30..1.0e3).contains(scale)) {
            return Err(at.unsupported("scales this far apart are not supported"));
        }
        let bias = match at.optional(2) {
            None => vec![0; out_c],
            Some(bias) => match (&bias.data, bias.dtype) {
                (Some(data), DataType::Int32) if bias.elements() == out_c => {
                    data.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect()
                }
                _ => return Err(at.unsupported("this bias is not supported")),
            },
        };
        if at.node.kernel == TfliteKernel::Builtin {
            return Err(at.unsupported("the built-in kernels' rounding is not supported"));
        }
        let bounds = activation_bounds(at, at.output(), activation)?;
        Ok(Self { bias, scale, in_zero: from.1, out_zero: to.1, bounds })
    }
}

/// An addition that is done with the product before it.
struct Residual {
    buffer: Buffer,
    activation: Activation,
    shift: Option<AddShift>,
    bounds: [i32; 2],
}

/// The addition that alone reads a product, if its other operand is there already.
fn residual<'a>(builder: &mut Builder<'a>, at: &At<'a>) -> Result<Option<Residual>> {
    let id = at.output_id();
    let graph = at.graph;
    if builder.readers[id.0] != 1 {
        return Ok(None);
    }
    let mut rest = graph.nodes.iter().enumerate().skip(at.index + 1);
    let Some((index, node)) = rest.find(|(_, node)| node.inputs.contains(&Some(id))) else {
        return Ok(None);
    };
    let Operator::Add { activation } = node.operator else { return Ok(None) };
    let &[Some(a), Some(b)] = &node.inputs[..] else { return Ok(None) };
    let other = if a == id { b } else { a };
    let Some(buffer) = builder.places[other.0] else { return Ok(None) };
    let sum = graph.tensor(node.outputs[0]);
    let same = |tensor: &Tensor| tensor.shape == sum.shape && tensor.dtype == sum.dtype;
    if builder.tail[index] || !same(graph.tensor(id)) || !same(graph.tensor(other)) || a == b {
        return Ok(None);
    }
    let add = At { graph, index, node };
    let (shift, bounds) = if add.kind(sum)?.is_float() {
        (None, [0; 2])
    } else {
        let [first, second, to] =
            [id, other, node.outputs[0]].map(|id| add.affine(graph.tensor(id)));
        // The product is the first operand, whichever it was: the sum is symmetric.
        let Some(shift) = AddShift::new(first?, second?, to?, false) else { return Ok(None) };
        (Some(shift), activation_bounds(&add, sum, activation)?)
    };
    builder.done[index] = true;
    Ok(Some(Residual { buffer, activation, shift, bounds }))
}

/// Tiles of the matrix product: threads across channels and pixels, and pixels of a thread.
#[derive(Clone, Copy)]
struct Tile {
    tx: usize,
    ty: usize,
    rows: usize,
}

/// The largest tile with which there are work-groups enough.
fn tile(pixels: usize, quads: usize) -> Tile {
    let tx = if quads <= 4 { 4 } else { 8 };
    let ty = 64 / tx;
    let groups = |rows: usize| quads.div_ceil(tx) * pixels.div_ceil(ty * rows);
    let rows = [4, 2].into_iter().find(|&rows| groups(rows) >= ENOUGH_GROUPS).unwrap_or(1);
    Tile { tx, ty, rows }
}

/// CONV_2D and FULLY_CONNECTED with weights `[out, taps, in]`.
fn product<'a>(
    builder: &mut Builder<'a>,
    at: &At<'a>,
    window: Option<&Geometry>,
    weights: &Weights,
    out_c: usize,
    activation: Activation,
) -> Result<()> {
    let source = builder.computed(at, 0)?;
    let taps = window.map_or(1, |window| window.kernel[0] * window.kernel[1]);
    let elements = match weights {
        Weights::Float(values) => values.len(),
        Weights::Bytes(values, _) => values.len(),
    };
    let in_c = elements / out_c.max(1) / taps.max(1);
    let (in_quads, out_quads) = (in_c.div_ceil(4), out_c.div_ceil(4));
    let pixels = at.output().elements() / out_c.max(1);
    let depth = taps * in_quads;
    // Rows of zeros up to a whole tile.
    let padded_depth = depth.next_multiple_of(8);
    builder.macs += (pixels * out_c * taps * in_c) as u64;
    let unpadded;
    let (window, has_window) = match window {
        Some(window) => (window, true),
        None => {
            unpadded = Geometry::none(pixels);
            (&unpadded, false)
        }
    };
    let groups_of = tile(pixels, out_quads);
    let Tile { tx, ty, rows } = groups_of;
    let groups = [out_quads.div_ceil(tx), pixels.div_ceil(ty * rows), 1];
    let is_float = matches!(weights, Weights::Float(_));
    let residual = residual(builder, at)?;
    let text = if is_float {
        include_str!("../wgsl/conv_2d.wgsl")
    } else {
        include_str!("../wgsl/conv_2d_int8.wgsl")
    };
    let b_rows = if is_float { 32 } else { 8 };
    let weight_zero = if let Weights::Bytes(_, zero) = weights { *zero } else { 0 };
    let text = Template::new(text)
        .flag("WINDOW", has_window)
        .flag("RESIDUAL", residual.is_some())
        .flag("WEIGHT_ZERO", weight_zero != 0)
        .counter("rows", rows)
        .counter("loads", 8 * rows / tx)
        .counter("weights", (b_rows / ty).max(1))
        .value("THREADS", tx * ty)
        .value("TX", tx)
        .value("TY", ty)
        .value("TM", ty * rows)
        .value("ROWS", rows)
        .value("SIZE_A", ty * rows * 8)
        .value("SIZE_B", b_rows * tx)
        .finish();
    let text = if is_float { text } else { with_requantize(&text) };
    let shared = Params::default()
        .u(&[pixels, out_quads, in_quads, depth])
        .u(&[window.out[1], window.out[0], window.input[1], window.input[0]])
        .u(&[window.stride[0], window.stride[1], window.pad[0], window.pad[1]])
        .u(&[window.kernel[1], window.dilation[0], window.dilation[1]]);
    let (words, params) = match weights {
        Weights::Float(values) => {
            let mut words = vec![0u32; (padded_depth * 4 + 1) * out_quads * 4];
            for out in 0..out_c {
                for tap in 0..taps {
                    for channel in 0..in_c {
                        let row = tap * in_quads * 4 + channel;
                        words[row * out_quads * 4 + out] =
                            values[(out * taps + tap) * in_c + channel].to_bits();
                    }
                }
            }
            let bias = padded_depth * 4 * out_quads;
            for (word, value) in words[bias * 4..].iter_mut().zip(bias_floats(at, out_c)?) {
                *word = value.to_bits();
            }
            let sum = residual.as_ref().map_or([0.0; 2], |residual| bounds(residual.activation));
            (words, shared.u(&[bias]).f(&bounds(activation)).f(&sum))
        }
        Weights::Bytes(values, zero) => {
            builder.needs_packed_dot = true;
            let quantized = Quantized::of(at, out_c, activation)?;
            let Quantized { in_zero, .. } = quantized;
            let mut bytes = vec![*zero as i8; padded_depth * out_quads * 16];
            let mut sums = vec![0i32; out_quads * 4];
            for out in 0..out_quads * 4 {
                for tap in 0..taps {
                    for channel in 0..in_quads * 4 {
                        let value = if out < out_c && channel < in_c {
                            values[(out * taps + tap) * in_c + channel]
                        } else {
                            *zero as i8
                        };
                        let quad = tap * in_quads + channel / 4;
                        bytes[(quad * out_quads * 4 + out) * 4 + channel % 4] = value;
                        sums[out] = sums[out].wrapping_add(i32::from(value));
                    }
                }
            }
            let mut words: Vec<u32> = bytes
                .as_chunks()
                .0
                .iter()
                .map(|&[a, b, c, d]| u32::from_le_bytes([a as u8, b as u8, c as u8, d as u8]))
                .collect();
            let padded = (depth * 4) as i32;
            let bias = words.len() / 4;
            for (out, sum) in sums.iter().enumerate() {
                let bias = quantized.bias.get(out).copied().unwrap_or(0);
                let folded = bias
                    .wrapping_sub(in_zero.wrapping_mul(*sum))
                    .wrapping_add(padded.wrapping_mul(in_zero).wrapping_mul(*zero));
                words.push(folded as u32);
            }
            let scale =
                |out| quantized.scale.get(out).map_or(1.0f32.to_bits(), |s: &f32| s.to_bits());
            words.extend((0..out_quads * 4).map(scale));
            let [low, high] = quantized.bounds;
            let padding = i32::from_le_bytes([in_zero as i8 as u8; 4]);
            let params = shared.u(&[bias]).i(&[low, high, quantized.out_zero, padding]).i(&[*zero]);
            let params =
                match residual.as_ref().and_then(|r| r.shift.as_ref().map(|s| (s, r.bounds))) {
                    Some((shift, [low, high])) => params.i(&[
                        shift.first,
                        shift.second,
                        shift.shift as i32,
                        shift.bias,
                        shift.zero_point,
                        low,
                        high,
                    ]),
                    None => params.i(&[0; 7]),
                };
            (words, params)
        }
    };
    let place = builder.words(&words);
    let mut binds = vec![Bind::Weights(place), Bind::Arena(source)];
    match residual {
        None => {
            let result = builder.result(at)?;
            binds.push(Bind::Arena(result));
        }
        Some(residual) => {
            let add =
                at.graph.nodes.iter().find(|node| node.inputs.contains(&Some(at.output_id())));
            let id = add.map_or(at.output_id(), |node| node.outputs[0]);
            let result = builder.room(at, id)?;
            binds.push(Bind::Arena(result));
            binds.push(Bind::Arena(residual.buffer));
        }
    }
    builder.call(at, text, groups, params, binds)
}

/// The most columns of the input that a thread keeps.
const MAX_COLUMNS: usize = 16;

/// DEPTHWISE_CONV_2D with weights `[taps, channels]`.
fn depthwise<'a>(
    builder: &mut Builder<'a>,
    at: &At<'a>,
    window: &Geometry,
    weights: &Weights,
    activation: Activation,
) -> Result<()> {
    let source = builder.computed(at, 0)?;
    let output = Shape::of(&at.output().shape);
    let quads = output.quads();
    let [kernel_h, kernel_w] = window.kernel;
    let (stride, dilation) = (window.stride[1], window.dilation[1]);
    let columns = |wide: usize| (wide - 1) * stride + (kernel_w - 1) * dilation + 1;
    let wide = if columns(4) <= MAX_COLUMNS && output.w > 2 { 4 } else { 1 };
    builder.macs += (output.pixels() * output.c * kernel_h * kernel_w) as u64;
    let is_float = matches!(weights, Weights::Float(_));

    // Each column is read once, and used by all taps and pixels that meet it.
    let mut taps = String::new();
    let line = |text: String, taps: &mut String| {
        taps.push_str(&text);
        taps.push('\n');
    };
    if is_float {
        line(format!("let tap = ky * {kernel_w}u * p.quads + quad;"), &mut taps);
    } else {
        line(format!("let tap = (ky * {kernel_w}u * p.quads + quad);"), &mut taps);
    }
    for t in 0..kernel_w {
        let stored = format!("weights[tap + {t}u * p.quads]");
        line(
            if is_float {
                format!("let w{t} = {stored};")
            } else {
                format!("let w{t} = unpack4xI8({stored}) - p.weight_zero;")
            },
            &mut taps,
        );
    }
    for column in 0..columns(wide) {
        let uses: Vec<(usize, usize)> = (0..wide)
            .flat_map(|i| (0..kernel_w).map(move |t| (i, t)))
            .filter(|(i, t)| i * stride + t * dilation == column)
            .collect();
        if uses.is_empty() {
            continue;
        }
        let stored = format!("src[(row + left + {column}u) * p.quads + quad]");
        let loaded = if is_float { stored } else { format!("unpack4xI8({stored}) - p.in_zero") };
        line(format!("if (left + {column}u < p.in_w) {{ let v = {loaded};"), &mut taps);
        for (i, t) in uses {
            line(format!("sum{i} += v * w{t};"), &mut taps);
        }
        line("}".to_owned(), &mut taps);
    }
    let text = Template::new(include_str!("../wgsl/depthwise_conv_2d.wgsl"))
        .flag("FLOAT", is_float)
        .counter("wide", wide)
        .value("WIDE", wide)
        .value("TAPS", taps.trim_end())
        .value("SCALAR", if is_float { "f32" } else { "i32" })
        .value("STORED", if is_float { "vec4<f32>" } else { "u32" })
        .value("WEIGHTS", if is_float { "vec4<f32>" } else { "u32" })
        .finish();
    let text = if is_float { text } else { with_requantize(&text) };
    let rows = output.n * output.h;
    let params = Params::default()
        .u(&[quads, output.w, output.h, rows, window.input[1], window.input[0]])
        .u(&[window.stride[0], stride, window.pad[0], window.pad[1], kernel_h])
        .u(&[window.dilation[0]]);
    let channels = quads * 4;
    let (words, params) = match weights {
        Weights::Float(values) => {
            let mut words = vec![0u32; (kernel_h * kernel_w + 1) * channels];
            for (i, value) in values.iter().enumerate() {
                words[i / output.c * channels + i % output.c] = value.to_bits();
            }
            let bias = kernel_h * kernel_w * quads;
            for (word, value) in words[bias * 4..].iter_mut().zip(bias_floats(at, output.c)?) {
                *word = value.to_bits();
            }
            (words, params.f(&bounds(activation)).i(&[0, 0, 0]).u(&[bias, 0, 0]))
        }
        Weights::Bytes(values, zero) => {
            builder.needs_packed_dot = true;
            let quantized = Quantized::of(at, output.c, activation)?;
            let mut bytes = vec![*zero as u8; kernel_h * kernel_w * channels];
            for (i, value) in values.iter().enumerate() {
                bytes[i / output.c * channels + i % output.c] = *value as u8;
            }
            let mut words: Vec<u32> =
                bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
            let bias = words.len();
            for quad in 0..quads {
                let lanes = quad * 4..quad * 4 + 4;
                words.extend(
                    lanes.clone().map(|c| quantized.bias.get(c).copied().unwrap_or(0) as u32),
                );
                let one = 1.0f32.to_bits();
                words.extend(lanes.map(|c| quantized.scale.get(c).map_or(one, |s| s.to_bits())));
            }
            let [low, high] = quantized.bounds;
            let zeros = [low, high, quantized.in_zero, *zero, quantized.out_zero];
            (words, params.i(&zeros).u(&[bias, 0, 0]))
        }
    };
    let place = builder.words(&words);
    let result = builder.result(at)?;
    let across = quads * output.w.div_ceil(wide);
    let groups = [across.div_ceil(64), rows, 1];
    let binds = vec![Bind::Weights(place), Bind::Arena(source), Bind::Arena(result)];
    builder.call(at, text, groups, params, binds)
}

/// A shader with the functions that requantise.
pub(super) fn with_requantize(text: &str) -> String {
    format!("{text}{}", Template::new(include_str!("../wgsl/requantize.wgsl")).finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_widened() {
        let pairs = [(0x3c00, 1.0), (0xc000, -2.0), (0x0001, 5.960_464_5e-8), (0x7bff, 65504.0)];
        for (half, float) in pairs {
            assert_eq!(half_to_float(half), float);
        }
        assert!(half_to_float(0x7e00).is_nan());
    }

    #[test]
    fn small_layers_have_small_tiles() {
        let groups = |pixels: usize, quads: usize| {
            let Tile { tx, ty, rows } = tile(pixels, quads);
            quads.div_ceil(tx) * pixels.div_ceil(ty * rows)
        };
        // The last layers of MobileNet V1: 7 x 7 pixels, 1024 channels; 14 x 14 and 512.
        assert!(groups(49, 256) >= ENOUGH_GROUPS);
        assert!(groups(196, 128) >= ENOUGH_GROUPS);
        assert_eq!(tile(12544, 16).rows, 4);
    }
}
