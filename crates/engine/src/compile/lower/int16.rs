//! Operators on 16-bit activations, by the built-in kernels' arithmetic: XNNPACK has none of them.

use achado_graph::legal::{self, Pool, PoolKind, check_bias, check_scales, quantized_bounds};
use achado_graph::{NodeRef, TfliteKernel};
use achado_kernels::average_pool_2d::average_pool_2d_quantized;
use achado_kernels::batch_matmul::BatchMatmul;
use achado_kernels::lookup::{Lookup, Sigmoid};
use achado_kernels::max_pool_2d::max_pool_2d_quantized;
use achado_kernels::reference::binary_quantized::{Div, Prelu};
use achado_kernels::reference::unary_quantized as unary;
use achado_kernels::reference::wide::WideWeights;
use achado_kernels::requant::builtin::{BuiltinRescale, FixedMultiplier};
use achado_kernels::requant::{AddRequantize, Quantized};
use achado_kernels::softmax::WideSoftmax;
use achado_model::{DataType, Operator, Result};

use super::Builder;
use super::elementwise::broadcast;
use super::operands::{affine, pair_scales, window};
use super::weights::constant_weights;
use crate::step::Operands;

/// A function of one element.
type Map = Box<dyn Fn(i32) -> i16 + Send + Sync>;

/// Operators of one operand.
pub(super) fn map(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let (from, to) = (affine(node, node.input(0)?)?, affine(node, node.output(0)?)?);
    let relu = |range: [f32; 2]| -> Map {
        let rescale = BuiltinRescale::relu::<i16>(from, to, range);
        Box::new(move |x| rescale.apply(x))
    };
    let lookup = |f: fn(f32) -> f32| -> Map {
        let lookup = Lookup::new(from, to, f);
        Box::new(move |x| lookup.apply(x as i16))
    };
    let map: Map = match node.node.operator {
        Operator::Abs => Box::new(move |x| unary::abs(x, from, to)),
        Operator::Neg => Box::new(unary::neg),
        Operator::Sqrt => Box::new(move |x| unary::sqrt(x, from, to)),
        Operator::Relu => relu([0.0, f32::INFINITY]),
        Operator::Relu6 => relu([0.0, 6.0]),
        Operator::LeakyRelu { alpha } => {
            let params = unary::LeakyRelu::builtin(alpha, from, to);
            Box::new(move |x| params.apply(x))
        }
        Operator::Exp => lookup(unary::exp),
        Operator::Log => {
            let least = to.dequantise(i16::MIN.into());
            let log = Lookup::new(from, to, |x| if x <= 0.0 { least } else { unary::ln(x) });
            Box::new(move |x| log.apply(x as i16))
        }
        Operator::Rsqrt => {
            let most = f32::from(i16::MAX) * to.scale;
            let root = |x: f32| if x <= 0.0 { most } else { 1.0 / x.sqrt() };
            let rsqrt = Lookup::new(from, to, root);
            Box::new(move |x| rsqrt.apply(x as i16))
        }
        Operator::Logistic | Operator::Tanh => {
            // The built-in kernels know no other result.
            let zeros = [from.zero_point, to.zero_point];
            if to.scale != 1.0 / 32768.0 || zeros != [0, 0] {
                let what = "16-bit results need a scale of 2^-15, and zero points of 0";
                return Err(node.unsupported(what));
            }
            let too_large = || node.unsupported("an input with so large a scale");
            let sigmoid = Sigmoid::new(from.scale).ok_or_else(too_large)?;
            match node.node.operator {
                Operator::Tanh => Box::new(move |x| sigmoid.tanh(x as i16)),
                _ => Box::new(move |x| sigmoid.logistic(x as i16)),
            }
        }
        Operator::Gelu { approximate: true } => lookup(unary::gelu_by_tanh),
        Operator::Gelu { approximate: false } => lookup(unary::gelu),
        _ => return Err(node.unsupported_types()),
    };
    builder.push_simple(node, "map i16", &[node.input_id(0)?], move |operands| {
        let out = bytemuck::cast_slice_mut::<u8, i16>(operands.outputs[0]);
        for (out, &x) in out.iter_mut().zip(bytemuck::cast_slice::<u8, i16>(operands.inputs[0])) {
            *out = map(x.into());
        }
    })
}

/// A step that computes each pair of elements.
fn push_pairs(
    builder: &mut Builder,
    node: &NodeRef,
    f: impl Fn(i16, i16) -> i16 + Send + Sync + 'static,
) -> Result<()> {
    let broadcast = broadcast(node)?;
    let inputs = [node.input_id(0)?, node.input_id(1)?];
    builder.push_simple(node, "pairs i16", &inputs, move |operands: &mut Operands| {
        let out = bytemuck::cast_slice_mut(operands.outputs[0]);
        let (first, second) = (operands.inputs[0], operands.inputs[1]);
        let (first, second) = (bytemuck::cast_slice(first), bytemuck::cast_slice(second));
        broadcast.apply(first, second, out, &f);
    })
}

/// Operators of two operands.
pub(super) fn pairs(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let pair = legal::pair(node)?;
    if pair.dtype != DataType::Int16 {
        return Err(node.unsupported_types());
    }
    let ([first, second, output], clamp) = pair_scales(node, &pair, TfliteKernel::Builtin)?;
    let sum = |subtract, [min, max]: [i32; 2]| {
        let requant = AddRequantize::wide(first, second, output, subtract);
        move |a: i16, b: i16| i16::from_i32(requant.apply(a.into(), b.into()).max(min).min(max))
    };
    match node.node.operator {
        Operator::Add { .. } => push_pairs(builder, node, sum(false, clamp)),
        Operator::Sub { .. } => push_pairs(builder, node, sum(true, clamp)),
        Operator::Mul { .. } => {
            let ratio = first.scale * second.scale / output.scale;
            let multiplier = FixedMultiplier::new(f64::from(ratio));
            let [min, max] = clamp;
            push_pairs(builder, node, move |a, b| {
                let a = i32::from(a) - first.zero_point;
                let product = a.wrapping_mul(i32::from(b) - second.zero_point);
                let value = multiplier.apply(product).saturating_add(output.zero_point);
                i16::from_i32(value.max(min).min(max))
            })
        }
        Operator::Div { .. } => {
            let params = Div::new(first, second, output, clamp);
            push_pairs(builder, node, move |a, b| params.apply(a, b))
        }
        Operator::Maximum | Operator::Minimum if first != output || second != output => {
            Err(node.unsupported("operands and result must share scale and zero point"))
        }
        Operator::Maximum => push_pairs(builder, node, i16::max),
        Operator::Minimum => push_pairs(builder, node, i16::min),
        _ => Err(node.unsupported_types()),
    }
}

/// PRELU, with slopes of 8 bits.
pub(super) fn prelu(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let of = |at: usize| affine(node, node.input(at)?);
    let params = Prelu::new(of(0)?, of(1)?, affine(node, node.output(0)?)?);
    if node.input(1)?.dtype != DataType::Int8 || node.output(0)?.dtype != DataType::Int16 {
        return Err(node.unsupported_types());
    }
    let broadcast = broadcast(node)?;
    let inputs = [node.input_id(0)?, node.input_id(1)?];
    builder.push_simple(node, "pairs i16", &inputs, move |operands: &mut Operands| {
        let out = bytemuck::cast_slice_mut::<u8, i16>(operands.outputs[0]);
        let (first, second) = (operands.inputs[0], operands.inputs[1]);
        let first = bytemuck::cast_slice::<u8, i16>(first);
        let second = bytemuck::cast_slice::<u8, i8>(second);
        broadcast.apply(first, second, out, |x, slope| params.apply::<i16, i8>(x, slope));
    })
}

/// SOFTMAX of rows of `depth` elements.
pub(super) fn softmax(
    builder: &mut Builder,
    node: &NodeRef,
    beta: f32,
    depth: usize,
) -> Result<()> {
    let (from, to) = (affine(node, node.input(0)?)?, affine(node, node.output(0)?)?);
    if from.zero_point != 0 || to.zero_point != 0 {
        return Err(node.unsupported("16-bit activations need zero points of 0"));
    }
    let softmax = WideSoftmax::new(from.scale, beta);
    builder.push_simple(node, "softmax i16", &[node.input_id(0)?], move |operands| {
        let out = bytemuck::cast_slice_mut(operands.outputs[0]);
        softmax.run(depth, bytemuck::cast_slice(operands.inputs[0]), out);
    })
}

/// BATCH_MATMUL, with a second operand of 16 or 8 bits.
pub(super) fn batch_matmul(
    builder: &mut Builder,
    node: &NodeRef,
    product: BatchMatmul,
) -> Result<()> {
    let (a, b) = (node.input(0)?, node.input(1)?);
    let [from, by, to] = [affine(node, a)?, affine(node, b)?, affine(node, node.output(0)?)?];
    if [from, by, to].iter().any(|affine| affine.zero_point != 0) {
        return Err(node.unsupported("16-bit activations need zero points of 0"));
    }
    let (multiplier, is_wide) =
        (FixedMultiplier::of_products(from, by, to), b.dtype == DataType::Int16);
    let inputs = [node.input_id(0)?, node.input_id(1)?];
    builder.push_simple(node, "matmul i16", &inputs, move |operands| {
        let out = bytemuck::cast_slice_mut(operands.outputs[0]);
        let (a, b) = (bytemuck::cast_slice(operands.inputs[0]), operands.inputs[1]);
        if is_wide {
            product.run_wide::<i16>(multiplier, a, bytemuck::cast_slice(b), out);
        } else {
            product.run_wide::<i8>(multiplier, a, bytemuck::cast_slice(b), out);
        }
    })
}

/// AVERAGE_POOL_2D and MAX_POOL_2D, clamped to `clamp`.
pub(super) fn pool(
    builder: &mut Builder,
    node: &NodeRef,
    pool: Pool,
    clamp: [i32; 2],
) -> Result<()> {
    let (window, channels, is_max) =
        (window(&pool.window), pool.channels, pool.kind == PoolKind::Max);
    let kernel = if is_max { "max" } else { "average" };
    builder.push_simple(node, kernel, &[node.input_id(0)?], move |operands| {
        let out = bytemuck::cast_slice_mut::<u8, i16>(operands.outputs[0]);
        let input = bytemuck::cast_slice(operands.inputs[0]);
        let rows = 0..window.batch * window.out_h;
        if is_max {
            max_pool_2d_quantized(&window, channels, clamp, input, rows, out);
        } else {
            average_pool_2d_quantized(&window, channels, clamp, input, rows, out);
        }
    })
}

/// Weights of an operator whose operands are in CONV_2D's order.
pub(super) fn weights(
    node: &NodeRef,
    out_c: usize,
    channel_axis: usize,
    bounds: [f32; 2],
) -> Result<WideWeights> {
    // Checks scales and sizes as for 8 bits.
    let (input, filter, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
    check_scales(node, out_c, channel_axis)?;
    let (from, to) = (node.affine(input)?, node.affine(output)?);
    let quantization = node.quantization(filter)?;
    let zeros = quantization.zero_point.iter().all(|&zero| zero == 0);
    if filter.dtype != DataType::Int8 || !zeros || from.zero_point != 0 || to.zero_point != 0 {
        return Err(node.unsupported("16-bit activations need zero points of 0"));
    }
    let scale = |channel: usize| {
        let scales = &quantization.scale;
        if scales.len() == 1 { scales[0] } else { scales[channel] }
    };
    let ratio = |channel| f64::from(from.scale) * f64::from(scale(channel)) / f64::from(to.scale);
    let bias = match node.optional_input(2) {
        None => vec![0; out_c],
        Some(bias) => {
            check_bias(node, bias, out_c)?;
            bias.constant_integers()
                .ok_or_else(|| node.unsupported("the bias must be a constant"))?
        }
    };
    Ok(WideWeights {
        values: constant_weights::<i8>(node)?.to_vec(),
        bias,
        ratios: (0..out_c).map(ratio).collect(),
        bounds: quantized_bounds(to, output.dtype, bounds, TfliteKernel::Builtin),
    })
}

/// A step of an operator with [`weights`].
pub(super) fn push_weighted(
    builder: &mut Builder,
    node: &NodeRef,
    run: impl Fn(&[i16], &mut [i16]) + Send + Sync + 'static,
) -> Result<()> {
    builder.push_simple(node, "reference", &[node.input_id(0)?], move |operands| {
        let out = bytemuck::cast_slice_mut(operands.outputs[0]);
        run(bytemuck::cast_slice(operands.inputs[0]), out);
    })
}
