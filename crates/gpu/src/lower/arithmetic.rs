//! Operators of one element or two: ADD, MUL, ..., LOGISTIC, HARD_SWISH, ...

use achado_model::{Activation, Operator, Result, Tensor};

use super::reduction::steps;
use super::{At, Bind, Builder, Kind, Params, Shape, bounds};
use crate::template::Template;

/// The signed bytes at which a fused activation clamps, as XNNPACK rounds them.
pub(super) fn activation_bounds(
    at: &At<'_>,
    tensor: &Tensor,
    activation: Activation,
) -> Result<[i32; 2]> {
    let (scale, zero_point) = at.affine(tensor)?;
    let Kind::Bytes { offset } = at.kind(tensor)? else {
        return Err(at.unsupported("mixed types are not supported"));
    };
    let (low, high) = activation.range();
    let [min, max] = [offset - 128, offset + 127];
    let bound = |bound: f32| {
        let value = bound / scale + (zero_point + offset) as f32;
        value.clamp(min as f32, max as f32).round_ties_even() as i32 - offset
    };
    Ok([bound(low), bound(high)])
}

/// XNNPACK's sum of two quantised elements, of signed bytes:
/// `(bias + first * a + second * b) >> shift`, plus the zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AddShift {
    pub first: i32,
    pub second: i32,
    pub bias: i32,
    pub shift: u32,
    pub zero_point: i32,
}

impl AddShift {
    /// `None` where XNNPACK declines the scales.
    pub fn new(a: (f32, i32), b: (f32, i32), to: (f32, i32), subtract: bool) -> Option<Self> {
        let ratios = [a.0 / to.0, b.0 / to.0];
        if !ratios.iter().all(|ratio| (1.0 / 1024.0..256.0).contains(ratio)) {
            return None;
        }
        let exponent = (ratios[0].max(ratios[1]).to_bits() >> 23) as i32 - 127;
        let shift = (20 - exponent) as u32;
        let multiplier = |ratio: f32| (ratio * (1u32 << shift) as f32).round_ties_even() as i32;
        let (first, second) = (multiplier(ratios[0]), multiplier(ratios[1]));
        let second = if subtract { -second } else { second };
        let bias = (1 << (shift - 1)) - first * a.1 - second * b.1;
        Some(Self { first, second, bias, shift, zero_point: to.1 })
    }
}

/// Four dimensions, the last ones of a shape.
fn trailing(at: &At<'_>, shape: &[usize]) -> Result<[usize; 4]> {
    let mut four = [1; 4];
    if shape.len() > 4 {
        return Err(at.unsupported("more than four dimensions are not supported"));
    }
    four[4 - shape.len()..].copy_from_slice(shape);
    Ok(four)
}

/// Steps between elements of an operand along each dimension of the result, in quads.
fn strides(at: &At<'_>, shape: &[usize], out: [usize; 4]) -> Result<[usize; 4]> {
    let shape = trailing(at, shape)?;
    let quads = shape[3].div_ceil(4);
    let mut steps = [0; 4];
    let mut step = quads;
    for i in (0..3).rev() {
        steps[i] = if shape[i] == 1 { 0 } else { step };
        step *= shape[i];
    }
    steps[3] = usize::from(shape[3] > 1 || out[3] == 1);
    if (0..4).any(|i| shape[i] != 1 && shape[i] != out[i]) {
        return Err(at.unsupported("operands of these shapes are not supported"));
    }
    Ok(steps)
}

/// ADD, SUB, MUL, DIV, MAXIMUM, MINIMUM, SQUARED_DIFFERENCE.
pub(super) fn binary<'a>(builder: &mut Builder<'a>, at: &At<'a>) -> Result<()> {
    let activation = match at.node.operator {
        Operator::Add { activation }
        | Operator::Sub { activation }
        | Operator::Mul { activation }
        | Operator::Div { activation } => activation,
        _ => Activation::None,
    };
    let kind = at.kind(at.output())?;
    let (first, second) = (at.input(0)?, at.input(1)?);
    if at.kind(first)? != kind || at.kind(second)? != kind {
        return Err(at.unsupported("mixed types are not supported"));
    }
    let out = trailing(at, &at.output().shape)?;
    let quads = out[3].div_ceil(4);
    let total = out[0] * out[1] * out[2] * quads;
    let params = Params::default()
        .u(&[out[1], out[2], quads, total])
        .u(&strides(at, &first.shape, out)?)
        .u(&strides(at, &second.shape, out)?)
        .u(&[out[3] - (quads - 1) * 4]);
    let mut table = None;
    let (compute, params) = if kind.is_float() {
        let compute = match at.node.operator {
            Operator::Add { .. } => "var value = x + y;",
            Operator::Sub { .. } => "var value = x - y;",
            Operator::Mul { .. } => "var value = x * y;",
            Operator::Div { .. } => "var value = x / y;",
            Operator::Maximum => "var value = max(x, y);",
            Operator::Minimum => "var value = min(x, y);",
            Operator::SquaredDifference => "var value = (x - y) * (x - y);",
            _ => return Err(at.unsupported("not an operator of two operands")),
        };
        (compute, params.u(&[0; 3]).f(&bounds(activation)).u(&[0; 6]))
    } else {
        builder.needs_packed_dot = true;
        let [a, b, to] = [first, second, at.output()].map(|tensor| at.affine(tensor));
        let (a, b, to) = (a?, b?, to?);
        let clamp = activation_bounds(at, at.output(), activation)?;
        match at.node.operator {
            Operator::Add { .. } | Operator::Sub { .. } => {
                let subtract = matches!(at.node.operator, Operator::Sub { .. });
                let Some(shift) = AddShift::new(a, b, to, subtract) else {
                    return Err(at.unsupported("scales this far apart are not supported"));
                };
                let params = params
                    .i(&[shift.first, shift.second, shift.shift as i32])
                    .i(&clamp)
                    .i(&[shift.bias, shift.zero_point, 0, 0, 0, 0]);
                let compute = "var value = ((p.bias + p.first * x + p.second * y) >> \
                               vec4(p.shift)) + p.zero_point;";
                (compute, params)
            }
            Operator::Mul { .. } => {
                let scale = a.0 * b.0 / to.0;
                if !(1.0 / 65536.0..256.0).contains(&scale) {
                    return Err(at.unsupported("scales this far apart are not supported"));
                }
                // The CPU's rounding, as the places where the result steps up.
                table = Some(steps([-(255 * 255), 255 * 255], |product| {
                    let scaled = (product as f32 * scale).round_ties_even() as i64;
                    (scaled + i64::from(to.1)).clamp(clamp[0].into(), clamp[1].into())
                }));
                let compute = "let product = (x - p.a_zero) * (y - p.b_zero);\nvar value = \
                               vec4(step_of(product.x), step_of(product.y), step_of(product.z), \
                               step_of(product.w));";
                (compute, params.i(&[0, 0, 0, -128, 127, 0, 0, a.1, b.1, 0, 0]))
            }
            _ => return Err(at.unsupported("this operator of bytes is not supported")),
        }
    };
    let (a, b) = (builder.operand(at, 0)?, builder.operand(at, 1)?);
    let access = |bind: &Bind| if matches!(bind, Bind::Arena(_)) { "read_write" } else { "read" };
    let is_float = kind.is_float();
    let text = Template::new(include_str!("../wgsl/binary.wgsl"))
        .flag("FLOAT", is_float)
        .flag("TABLE", table.is_some())
        // One tensor as both operands would be bound twice.
        .value("ACCESS_A", access(&a))
        .value("ACCESS_B", access(&b))
        .value("SCALAR", if is_float { "f32" } else { "i32" })
        .value("STORED", if is_float { "vec4<f32>" } else { "u32" })
        .value("UNPACK", if is_float { "" } else { "unpack4xI8" })
        .value("PACK", if is_float { "" } else { "pack4xI8" })
        .value("COMPUTE", compute)
        .finish();
    if let (Bind::Arena(a), Bind::Arena(b)) = (&a, &b)
        && a == b
    {
        return Err(at.unsupported("an operand that is both operands is not supported"));
    }
    let result = builder.result(at)?;
    let mut binds = vec![a, b, Bind::Arena(result)];
    if let Some(table) = table {
        let words: Vec<u32> = table.iter().map(|&step| step as u32).collect();
        binds.push(Bind::Weights(builder.words(&words)));
    }
    builder.call(at, text, Builder::threads(total), params, binds)
}

/// Abramowitz and Stegun 7.1.26: within 1.5e-7.
const ERF: &str = "fn erf(x: vec4<f32>) -> vec4<f32> {
let t = 1.0 / (1.0 + 0.3275911 * abs(x));
let y = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
return sign(x) * (1.0 - y * exp(-x * x));
}";

/// Operators of one operand.
pub(super) fn unary<'a>(builder: &mut Builder<'a>, at: &At<'a>) -> Result<()> {
    let (input, output) = (at.input(0)?, at.output());
    let (from, to) = (at.kind(input)?, at.kind(output)?);
    if !from.is_float() || !to.is_float() {
        return bytes(builder, at, from, to);
    }
    let (mut functions, mut a) = ("", 0.0);
    let expression = match at.node.operator {
        Operator::Relu => "max(x, vec4<f32>())",
        Operator::Relu6 => "clamp(x, vec4<f32>(), vec4(6.0))",
        Operator::ReluN1To1 => "clamp(x, vec4(-1.0), vec4(1.0))",
        Operator::Relu0To1 => "clamp(x, vec4<f32>(), vec4(1.0))",
        Operator::HardSwish => "x * clamp(x + 3.0, vec4<f32>(), vec4(6.0)) / 6.0",
        Operator::Logistic => "1.0 / (1.0 + exp(-clamp(x, vec4(-80.0), vec4(80.0))))",
        Operator::Tanh => "tanh(clamp(x, vec4(-12.0), vec4(12.0)))",
        Operator::Gelu { approximate: false } => {
            functions = ERF;
            "0.5 * x * (1.0 + erf(clamp(x, vec4(-12.0), vec4(12.0)) * 0.70710678))"
        }
        Operator::Gelu { approximate: true } => {
            "0.5 * x * (1.0 + tanh(clamp(0.7978845608 * x * (1.0 + 0.044715 * x * x), \
             vec4(-12.0), vec4(12.0))))"
        }
        Operator::Elu => "select(exp(min(x, vec4<f32>())) - 1.0, x, x > vec4<f32>())",
        Operator::LeakyRelu { alpha } => {
            a = alpha;
            "select(x * p.a, x, x > vec4<f32>())"
        }
        Operator::Abs => "abs(x)",
        Operator::Neg => "-x",
        Operator::Exp => "exp(x)",
        Operator::Sqrt => "sqrt(x)",
        Operator::Rsqrt => "inverseSqrt(x)",
        Operator::Square => "x * x",
        _ => return Err(at.unsupported("this operator is not supported")),
    };
    map(builder, at, functions, expression, a)
}

/// `x / (1 + e^-x)`, which a MUL and a LOGISTIC spell out.
pub(super) fn silu<'a>(builder: &mut Builder<'a>, at: &At<'a>) -> Result<()> {
    map(builder, at, "", "x / (1.0 + exp(-clamp(x, vec4(-80.0), vec4(80.0))))", 0.0)
}

/// A function of each element of the first operand.
fn map<'a>(
    builder: &mut Builder<'a>,
    at: &At<'a>,
    functions: &str,
    expression: &str,
    a: f32,
) -> Result<()> {
    let shape = Shape::of(&at.output().shape);
    let text = Template::new(include_str!("../wgsl/unary.wgsl"))
        .value("FUNCTIONS", functions)
        .value("EXPRESSION", expression)
        .finish();
    let quads = shape.quads();
    let params = Params::default()
        .u(&[shape.total(), quads, shape.c - (quads.max(1) - 1) * 4, 0])
        .f(&[a, 0.0, 0.0, 0.0]);
    let source = builder.computed(at, 0)?;
    let result = builder.result(at)?;
    let binds = vec![Bind::Arena(source), Bind::Arena(result)];
    builder.call(at, text, Builder::threads(shape.total()), params, binds)
}

/// QUANTIZE of bytes: between int8 and uint8 of one grid, which is another view of the same signed bytes,
/// and from one grid to another of the same type.
fn bytes<'a>(builder: &mut Builder<'a>, at: &At<'a>, from: Kind, to: Kind) -> Result<()> {
    if from.is_float() || to.is_float() {
        return Err(at.unsupported("between floats and bytes it is not supported"));
    }
    let (a, b) = (at.affine(at.input(0)?)?, at.affine(at.output())?);
    if at.node.operator == Operator::Quantize && a == b {
        let source = builder.computed(at, 0)?;
        builder.places[at.output_id().0] = Some(source);
        return Ok(());
    }
    // XNNPACK's rescaling, in 1/256.
    let ratio = a.0 / b.0;
    let is_taken = from == to && (1.0 / 256.0..=128.0).contains(&ratio);
    if at.node.operator == Operator::Quantize && is_taken {
        let multiplier = (256.0 * ratio).round_ties_even() as i32;
        let entry = |x: i32| ((((x - a.1) * multiplier + 128) >> 8) + b.1).clamp(-128, 127);
        let entries: Vec<u8> = (-128..=127).map(|x| entry(x) as u8).collect();
        let table = Bind::Weights(builder.constant(&entries));
        let total = Shape::of(&at.output().shape).total();
        let source = builder.computed(at, 0)?;
        let result = builder.result(at)?;
        let text = Template::new(include_str!("../wgsl/table.wgsl")).finish();
        let params = Params::default().u(&[total, 0, 0, 0]);
        let binds = vec![Bind::Arena(source), Bind::Arena(result), table];
        return builder.call(at, text, Builder::threads(total), params, binds);
    }
    Err(at.unsupported("this operator of bytes is not supported"))
}
