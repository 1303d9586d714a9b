//! Functions of one operand that the model has no operator for, as formulas. Approximations are
//! those of the Cephes library and of Eigen, for float32.
#![deny(clippy::arithmetic_side_effects)]

use std::f32::consts::{FRAC_PI_2, FRAC_PI_4, LN_2};

use achado_model::{DataType, Operator, Result};

use super::activation::{ADD, SUB};
use super::calculator::Calculator;
use crate::import::{Importer, TensorValue};
use crate::site::Site;

/// A function of the floats of one operand.
type Function = for<'c, 'a> fn(&mut Calculator<'c, 'a>, &TensorValue) -> Result<TensorValue>;

/// The function of an ONNX operator, if it is one of these.
fn function(operator: &str) -> Option<Function> {
    let function: Function = match operator {
        "Tan" => tan,
        "Asin" => asin,
        "Acos" => acos,
        "Atan" => atan,
        "Sinh" => sinh,
        "Cosh" => cosh,
        "Asinh" => asinh,
        "Acosh" => acosh,
        "Atanh" => atanh,
        "Erf" => erf,
        "Celu" => celu,
        "ThresholdedRelu" => thresholded_relu,
        "Shrink" => shrink,
        "Swish" => swish,
        "IsNaN" => is_nan,
        "IsInf" => is_infinite,
        _ => return None,
    };
    Some(function)
}

/// Lowers a node whose operator is one of these; `false` where it is none.
pub(super) fn lower<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<bool> {
    let Some(function) = function(site.node.operator) else { return Ok(false) };
    let mut calculator = Calculator::new(importer, site)?;
    let x = calculator.input(0)?;
    let result = function(&mut calculator, &x)?;
    calculator.give(0, result);
    Ok(true)
}

fn tan(c: &mut Calculator<'_, '_>, x: &TensorValue) -> Result<TensorValue> {
    let (sine, cosine) = (c.map(Operator::Sin, x)?, c.map(Operator::Cos, x)?);
    c.div(&sine, &cosine)
}

/// Cephes, `atanf.c`: the argument is brought below `tan(pi/8)`.
fn atan(c: &mut Calculator<'_, '_>, x: &TensorValue) -> Result<TensorValue> {
    const TAN_PI_8: f32 = 0.414_213_56;
    const TAN_3_PI_8: f32 = 2.414_213_7;
    let size = c.map(Operator::Abs, x)?;
    let is_large = c.test_with(Operator::Greater, &size, TAN_3_PI_8)?;
    let is_middle = c.test_with(Operator::Greater, &size, TAN_PI_8)?;
    let minus_one = c.number(-1.0, x.dtype)?;
    let large = c.div(&minus_one, &size)?;
    let (above, below) = (c.with(SUB, &size, 1.0)?, c.plus(&size, 1.0)?);
    let middle = c.div(&above, &below)?;
    let reduced = c.select(&is_middle, &middle, &size)?;
    let reduced = c.select(&is_large, &large, &reduced)?;
    let (zero, quarter, half) =
        (c.number(0.0, x.dtype)?, c.number(FRAC_PI_4, x.dtype)?, c.number(FRAC_PI_2, x.dtype)?);
    let offset = c.select(&is_middle, &quarter, &zero)?;
    let offset = c.select(&is_large, &half, &offset)?;
    let square = c.map(Operator::Square, &reduced)?;
    let series = [8.053_744_5e-2, -1.387_768_6e-1, 1.997_771_1e-1, -3.333_295e-1];
    let series = c.polynomial(&square, &series)?;
    let series = c.mul(&series, &square)?;
    let series = c.mul(&series, &reduced)?;
    let angle = c.add(&series, &reduced)?;
    let angle = c.add(&angle, &offset)?;
    let sign = c.map(Operator::Sign, x)?;
    c.mul(&angle, &sign)
}

/// `atan(x / sqrt((1 - x) (1 + x)))`.
fn asin(c: &mut Calculator<'_, '_>, x: &TensorValue) -> Result<TensorValue> {
    let one = c.number(1.0, x.dtype)?;
    let (below, above) = (c.sub(&one, x)?, c.plus(x, 1.0)?);
    let square = c.mul(&below, &above)?;
    let cosine = c.map(Operator::Sqrt, &square)?;
    let tangent = c.div(x, &cosine)?;
    atan(c, &tangent)
}

/// `2 atan(sqrt((1 - x) / (1 + x)))`.
fn acos(c: &mut Calculator<'_, '_>, x: &TensorValue) -> Result<TensorValue> {
    let one = c.number(1.0, x.dtype)?;
    let (below, above) = (c.sub(&one, x)?, c.plus(x, 1.0)?);
    let square = c.div(&below, &above)?;
    let tangent = c.map(Operator::Sqrt, &square)?;
    let half = atan(c, &tangent)?;
    c.times(&half, 2.0)
}

/// `e^x` and `e^-x`, halved.
fn half_exponentials(
    c: &mut Calculator<'_, '_>,
    x: &TensorValue,
) -> Result<(TensorValue, TensorValue)> {
    let negative = c.map(Operator::Neg, x)?;
    let (up, down) = (c.map(Operator::Exp, x)?, c.map(Operator::Exp, &negative)?);
    Ok((c.times(&up, 0.5)?, c.times(&down, 0.5)?))
}

/// `(e^x - e^-x) / 2`; near zero, where that loses digits, `2 t / (1 - t^2)` of `t = tanh(x / 2)`.
fn sinh(c: &mut Calculator<'_, '_>, x: &TensorValue) -> Result<TensorValue> {
    let (up, down) = half_exponentials(c, x)?;
    let large = c.sub(&up, &down)?;
    let half = c.times(x, 0.5)?;
    let t = c.map(Operator::Tanh, &half)?;
    let square = c.map(Operator::Square, &t)?;
    let one = c.number(1.0, x.dtype)?;
    let (above, below) = (c.times(&t, 2.0)?, c.sub(&one, &square)?);
    let small = c.div(&above, &below)?;
    let size = c.map(Operator::Abs, x)?;
    let is_small = c.test_with(Operator::Less, &size, 1.0)?;
    c.select(&is_small, &small, &large)
}

fn cosh(c: &mut Calculator<'_, '_>, x: &TensorValue) -> Result<TensorValue> {
    let (up, down) = half_exponentials(c, x)?;
    c.add(&up, &down)
}

/// `x` times a polynomial of `x^2`, and `x`.
fn odd_series(
    c: &mut Calculator<'_, '_>,
    x: &TensorValue,
    coefficients: &[f32],
) -> Result<TensorValue> {
    let square = c.map(Operator::Square, x)?;
    let series = c.polynomial(&square, coefficients)?;
    let series = c.mul(&series, &square)?;
    let series = c.mul(&series, x)?;
    c.add(&series, x)
}

/// Cephes, `asinhf.c`.
fn asinh(c: &mut Calculator<'_, '_>, x: &TensorValue) -> Result<TensorValue> {
    let series = [2.012_2e-2, -4.269_934e-2, 7.484_759e-2, -1.666_628_8e-1];
    let small = odd_series(c, x, &series)?;
    let size = c.map(Operator::Abs, x)?;
    let square = c.map(Operator::Square, x)?;
    let root = c.plus(&square, 1.0)?;
    let root = c.map(Operator::Sqrt, &root)?;
    let sum = c.add(&size, &root)?;
    let middle = c.map(Operator::Log, &sum)?;
    let large = c.map(Operator::Log, &size)?;
    let large = c.plus(&large, LN_2)?;
    let is_large = c.test_with(Operator::Greater, &size, 1500.0)?;
    let grown = c.select(&is_large, &large, &middle)?;
    let sign = c.map(Operator::Sign, x)?;
    let grown = c.mul(&grown, &sign)?;
    let is_small = c.test_with(Operator::Less, &size, 0.5)?;
    c.select(&is_small, &small, &grown)
}

/// `log(x + sqrt((x - 1) (x + 1)))`.
fn acosh(c: &mut Calculator<'_, '_>, x: &TensorValue) -> Result<TensorValue> {
    let (below, above) = (c.with(SUB, x, 1.0)?, c.plus(x, 1.0)?);
    let (below, above) = (c.map(Operator::Sqrt, &below)?, c.map(Operator::Sqrt, &above)?);
    let root = c.mul(&below, &above)?;
    let sum = c.add(x, &root)?;
    let middle = c.map(Operator::Log, &sum)?;
    let large = c.map(Operator::Log, x)?;
    let large = c.plus(&large, LN_2)?;
    let is_large = c.test_with(Operator::Greater, x, 1500.0)?;
    c.select(&is_large, &large, &middle)
}

/// Cephes, `atanhf.c`.
fn atanh(c: &mut Calculator<'_, '_>, x: &TensorValue) -> Result<TensorValue> {
    let series = [1.817_400_8e-1, 8.243_703e-2, 1.466_914_3e-1, 1.997_821_7e-1, 3.333_373e-1];
    let small = odd_series(c, x, &series)?;
    let one = c.number(1.0, x.dtype)?;
    let (above, below) = (c.plus(x, 1.0)?, c.sub(&one, x)?);
    let ratio = c.div(&above, &below)?;
    let large = c.map(Operator::Log, &ratio)?;
    let large = c.times(&large, 0.5)?;
    let size = c.map(Operator::Abs, x)?;
    let is_small = c.test_with(Operator::Less, &size, 0.5)?;
    c.select(&is_small, &small, &large)
}

/// Eigen, `generic_fast_erf_float`: a quotient of polynomials within -4 and 4.
fn erf(c: &mut Calculator<'_, '_>, x: &TensorValue) -> Result<TensorValue> {
    let above = [
        -2.726_142e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_6e-5,
        -7.349_906_3e-4,
        -2.954_600_1e-3,
        -1.609_603_3e-2,
    ];
    let below = [-1.456_607_2e-5, -2.133_74e-4, -1.682_827e-3, -7.373_329e-3, -1.426_474e-2];
    let x = c.with(Operator::Maximum, x, -4.0)?;
    let x = c.with(Operator::Minimum, &x, 4.0)?;
    let square = c.map(Operator::Square, &x)?;
    let (above, below) = (c.polynomial(&square, &above)?, c.polynomial(&square, &below)?);
    let above = c.mul(&above, &x)?;
    c.div(&above, &below)
}

/// `max(x, 0) + alpha elu(min(x, 0) / alpha)`.
fn celu(c: &mut Calculator<'_, '_>, x: &TensorValue) -> Result<TensorValue> {
    let alpha = c.site.float("alpha", 1.0)?;
    let above = c.map(Operator::Relu, x)?;
    let below = c.with(Operator::Minimum, x, 0.0)?;
    let below = c.times(&below, 1.0 / alpha)?;
    let below = c.map(Operator::Elu, &below)?;
    let below = c.times(&below, alpha)?;
    c.add(&above, &below)
}

fn thresholded_relu(c: &mut Calculator<'_, '_>, x: &TensorValue) -> Result<TensorValue> {
    let alpha = c.site.float("alpha", 1.0)?;
    let zero = c.number(0.0, x.dtype)?;
    let is_above = c.test_with(Operator::Greater, x, alpha)?;
    c.select(&is_above, x, &zero)
}

/// `x + bias` below `-lambd`, `x - bias` above `lambd`, 0 between.
fn shrink(c: &mut Calculator<'_, '_>, x: &TensorValue) -> Result<TensorValue> {
    let (lambda, bias) = (c.site.float("lambd", 0.5)?, c.site.float("bias", 0.0)?);
    if !x.is_real() {
        return Err(c.site.unsupported(format!("{} is not supported", x.dtype)));
    }
    let zero = c.number(0.0, x.dtype)?;
    let (raised, lowered) = (c.with(ADD, x, bias)?, c.with(SUB, x, bias)?);
    let is_below = c.test_with(Operator::Less, x, -lambda)?;
    let is_above = c.test_with(Operator::Greater, x, lambda)?;
    let above = c.select(&is_above, &lowered, &zero)?;
    c.select(&is_below, &raised, &above)
}

/// `x / (1 + e^(-alpha x))`.
fn swish(c: &mut Calculator<'_, '_>, x: &TensorValue) -> Result<TensorValue> {
    let alpha = c.site.float("alpha", 1.0)?;
    let scaled = if alpha == 1.0 { x.clone() } else { c.times(x, alpha)? };
    let gate = c.map(Operator::Logistic, &scaled)?;
    c.mul(x, &gate)
}

fn is_nan(c: &mut Calculator<'_, '_>, x: &TensorValue) -> Result<TensorValue> {
    // A copy of its own: nothing else is unequal to itself.
    let same = c.times(x, 1.0)?;
    c.test(Operator::NotEqual, x, &same)
}

fn is_infinite(c: &mut Calculator<'_, '_>, x: &TensorValue) -> Result<TensorValue> {
    let detects = (c.site.flag("detect_positive", true)?, c.site.flag("detect_negative", true)?);
    match detects {
        (true, true) => {
            let size = c.map(Operator::Abs, x)?;
            c.test_with(Operator::Equal, &size, f32::INFINITY)
        }
        (true, false) => c.test_with(Operator::Equal, x, f32::INFINITY),
        (false, true) => c.test_with(Operator::Equal, x, f32::NEG_INFINITY),
        (false, false) => {
            let none = c.test_with(Operator::Less, x, f32::NEG_INFINITY)?;
            debug_assert_eq!(none.dtype, DataType::Bool);
            Ok(none)
        }
    }
}
