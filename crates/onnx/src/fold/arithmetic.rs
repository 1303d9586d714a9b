//! Folding of arithmetic, in int64 or float32.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{DataType, Result};

use super::movement::repeated;
use super::{Folding, shapes};
use crate::constant::{Constant, Places, elements};

/// Numbers of one kind.
#[derive(Clone, Debug)]
enum Numbers {
    Integers(Vec<i64>),
    Reals(Vec<f32>),
}

/// A binary operator for both kinds.
struct Binary {
    integers: fn(i64, i64) -> Option<i64>,
    reals: fn(f32, f32) -> f32,
    is_test: bool,
}

/// Folds a node.
pub(super) fn fold(folding: &mut Folding<'_, '_>) -> Result<Constant> {
    let operator = folding.site.node.operator;
    let arithmetic = |integers, reals| Binary { integers, reals, is_test: false };
    let test = |integers, reals| Binary { integers, reals, is_test: true };
    match operator {
        "Add" => binary(folding, &arithmetic(i64::checked_add, |a, b| a + b)),
        "Sub" => binary(folding, &arithmetic(i64::checked_sub, |a, b| a - b)),
        "Mul" => binary(folding, &arithmetic(i64::checked_mul, |a, b| a * b)),
        "Div" => binary(folding, &arithmetic(i64::checked_div, |a, b| a / b)),
        "Pow" => binary(folding, &arithmetic(power, f32::powf)),
        "Min" => variadic(folding, &arithmetic(|a, b| Some(a.min(b)), f32::min)),
        "Max" => variadic(folding, &arithmetic(|a, b| Some(a.max(b)), f32::max)),
        "Mod" if !folding.site.flag("fmod", false)? => {
            // The sign of the divisor.
            let floor_mod = |a: i64, b: i64| {
                let rest = a.checked_rem(b)?;
                if rest != 0 && (rest < 0) != (b < 0) { rest.checked_add(b) } else { Some(rest) }
            };
            binary(folding, &arithmetic(floor_mod, |a, b| a - (a / b).floor() * b))
        }
        "Equal" => binary(folding, &test(|a, b| Some(i64::from(a == b)), |a, b| f32::from(a == b))),
        "Less" => binary(folding, &test(|a, b| Some(i64::from(a < b)), |a, b| f32::from(a < b))),
        "LessOrEqual" => {
            binary(folding, &test(|a, b| Some(i64::from(a <= b)), |a, b| f32::from(a <= b)))
        }
        "Greater" => binary(folding, &test(|a, b| Some(i64::from(a > b)), |a, b| f32::from(a > b))),
        "GreaterOrEqual" => {
            binary(folding, &test(|a, b| Some(i64::from(a >= b)), |a, b| f32::from(a >= b)))
        }
        "And" => binary(folding, &test(|a, b| Some(a & b), |a, b| a * b)),
        "Or" => binary(folding, &test(|a, b| Some(a | b), f32::max)),
        "Not" => unary(folding, |a| Some(i64::from(a == 0)), |a| f32::from(a == 0.0)),
        "Neg" => unary(folding, i64::checked_neg, |a| -a),
        "Abs" => unary(folding, i64::checked_abs, f32::abs),
        "Sqrt" => unary(folding, |_| None, f32::sqrt),
        "Exp" => unary(folding, |_| None, f32::exp),
        "Log" => unary(folding, |_| None, f32::ln),
        "Floor" => unary(folding, |_| None, f32::floor),
        "Ceil" => unary(folding, |_| None, f32::ceil),
        "Round" => unary(folding, |_| None, f32::round_ties_even),
        "Reciprocal" => unary(folding, |_| None, f32::recip),
        "Sum" => variadic(folding, &arithmetic(i64::checked_add, |a, b| a + b)),
        "Sign" => unary(folding, |a| Some(a.signum()), sign),
        "Relu" => unary(folding, |a| Some(a.max(0)), |a| if a < 0.0 { 0.0 } else { a }),
        "Sigmoid" => unary(folding, |_| None, |a| 1.0 / (1.0 + (-a).exp())),
        "Tanh" => unary(folding, |_| None, f32::tanh),
        "Sin" => unary(folding, |_| None, f32::sin),
        "Cos" => unary(folding, |_| None, f32::cos),
        "Xor" => {
            binary(folding, &test(|a, b| Some(a ^ b), |a, b| f32::from((a != 0.0) != (b != 0.0))))
        }
        "Clip" => clip(folding),
        "CumSum" => cumulative_sum(folding),
        "Where" => select(folding),
        "ReduceSum" | "ReduceProd" | "ReduceMax" | "ReduceMin" | "ReduceMean" | "ReduceL1"
        | "ReduceL2" | "ReduceSumSquare" => reduce(folding),
        _ => Err(folding.site.unsupported("this operator on constants is not supported")),
    }
}

fn sign(value: f32) -> f32 {
    if value == 0.0 { 0.0 } else { value.signum() }
}

/// Clip, with bounds as attributes before opset 11.
fn clip(folding: &mut Folding<'_, '_>) -> Result<Constant> {
    let mut result = folding.operand(0)?.clone();
    let least = Binary { integers: |a, b| Some(a.max(b)), reals: f32::max, is_test: false };
    let most = Binary { integers: |a, b| Some(a.min(b)), reals: f32::min, is_test: false };
    for (at, name, operator) in [(1, "min", least), (2, "max", most)] {
        let bound = match folding.optional(at) {
            Some(bound) => Some(bound.clone()),
            None if folding.site.has(name) => {
                let bound = folding.site.float(name, 0.0)?;
                Some(Constant::from_floats(Vec::new(), &[bound]))
            }
            None => None,
        };
        if let Some(bound) = bound {
            result = combine(folding, &result, &bound, &operator)?;
        }
    }
    Ok(result)
}

/// CumSum.
fn cumulative_sum(folding: &mut Folding<'_, '_>) -> Result<Constant> {
    let operand = folding.operand(0)?;
    let rank = operand.shape.len();
    let axis = match folding.integers(1)?[..] {
        [axis] => folding.site.axis(axis, rank)?,
        _ => return Err(folding.site.malformed("the axis is missing")),
    };
    let exclusive = folding.site.flag("exclusive", false)?;
    let reverse = folding.site.flag("reverse", false)?;
    folding.charge(operand.len())?;
    let size = operand.shape.get(axis).copied().unwrap_or(1);
    let inner: usize = operand.shape.iter().skip(axis.saturating_add(1)).product();
    let outer: usize = operand.shape.iter().take(axis).product();
    let place = |row: usize, at: usize, column: usize| {
        let at = if reverse { size.saturating_sub(at).saturating_sub(1) } else { at };
        row.saturating_mul(size).saturating_add(at).saturating_mul(inner).saturating_add(column)
    };
    let mut result = numbers(operand);
    for row in 0..outer {
        for column in 0..inner {
            let (mut whole, mut real) = (0i64, 0f32);
            for at in 0..size {
                let at = place(row, at, column);
                match &mut result {
                    Numbers::Integers(values) => {
                        let Some(value) = values.get_mut(at) else { continue };
                        let next = whole.wrapping_add(*value);
                        *value = if exclusive { whole } else { next };
                        whole = next;
                    }
                    Numbers::Reals(values) => {
                        let Some(value) = values.get_mut(at) else { continue };
                        let next = real + *value;
                        *value = if exclusive { real } else { next };
                        real = next;
                    }
                }
            }
        }
    }
    finish(folding, operand.shape.clone(), result, operand.dtype)
}

fn power(base: i64, exponent: i64) -> Option<i64> {
    base.checked_pow(u32::try_from(exponent).ok()?)
}

/// The type of a result: that of the operands.
fn finish(
    folding: &Folding<'_, '_>,
    shape: Vec<usize>,
    numbers: Numbers,
    dtype: DataType,
) -> Result<Constant> {
    Ok(match (numbers, dtype) {
        (Numbers::Reals(values), DataType::Bool) => {
            let data = values.iter().map(|&value| u8::from(value != 0.0)).collect();
            Constant::new(DataType::Bool, shape, data)
        }
        (Numbers::Reals(values), _) => Constant::from_floats(shape, &values),
        (Numbers::Integers(values), DataType::Bool) => {
            let data = values.iter().map(|&value| u8::from(value != 0)).collect();
            Constant::new(DataType::Bool, shape, data)
        }
        (Numbers::Integers(values), DataType::Int32) => {
            let mut data = Vec::with_capacity(values.len().saturating_mul(4));
            for value in values {
                let value = i32::try_from(value)
                    .map_err(|_| folding.site.malformed(format!("{value} does not fit int32")))?;
                data.extend(value.to_le_bytes());
            }
            Constant::new(DataType::Int32, shape, data)
        }
        (Numbers::Integers(values), DataType::Int16) => {
            let data = values.iter().flat_map(|value| value.to_le_bytes().into_iter().take(2));
            Constant::new(dtype, shape, data.collect())
        }
        (Numbers::Integers(values), DataType::UInt8 | DataType::Int8) => {
            let data = values.iter().map(|value| value.to_le_bytes()[0]).collect();
            Constant::new(dtype, shape, data)
        }
        (Numbers::Integers(values), _) => Constant::from_integers(shape, &values),
    })
}

fn numbers(constant: &Constant) -> Numbers {
    match constant.integers() {
        Some(values) => Numbers::Integers(values),
        None => Numbers::Reals(constant.floats()),
    }
}

fn unary(
    folding: &mut Folding<'_, '_>,
    integers: fn(i64) -> Option<i64>,
    reals: fn(f32) -> f32,
) -> Result<Constant> {
    let operand = folding.operand(0)?;
    folding.charge(operand.len())?;
    let numbers = match numbers(operand) {
        Numbers::Integers(values) => {
            let values: Option<Vec<i64>> = values.into_iter().map(integers).collect();
            match values {
                Some(values) => Numbers::Integers(values),
                None => return Err(folding.site.malformed("integers that this is not made for")),
            }
        }
        Numbers::Reals(values) => Numbers::Reals(values.into_iter().map(reals).collect()),
    };
    finish(folding, operand.shape.clone(), numbers, operand.dtype)
}

/// The shape that two shapes broadcast to.
fn broadcast(folding: &Folding<'_, '_>, a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |dims: &[usize], at: usize| {
        let missing = rank.saturating_sub(dims.len());
        at.checked_sub(missing).and_then(|at| dims.get(at)).copied().unwrap_or(1)
    };
    let mut shape = Vec::with_capacity(rank);
    for at in 0..rank {
        shape.push(match (size(a, at), size(b, at)) {
            (a, 1) => a,
            (1, b) => b,
            (a, b) if a == b => a,
            _ => return Err(folding.site.malformed(format!("{a:?} and {b:?} do not broadcast"))),
        });
    }
    elements(&shape)?;
    Ok(shape)
}

/// The places of a constant's elements when it is broadcast to a shape.
fn places(own: &[usize], shape: &[usize]) -> Places {
    let mut wide = vec![1; shape.len().saturating_sub(own.len())];
    wide.extend(own);
    Places::new(shape, repeated(&wide, shape))
}

fn combine(
    folding: &mut Folding<'_, '_>,
    a: &Constant,
    b: &Constant,
    operator: &Binary,
) -> Result<Constant> {
    let shape = broadcast(folding, &a.shape, &b.shape)?;
    folding.charge(elements(&shape)?)?;
    let pairs = places(&a.shape, &shape).zip(places(&b.shape, &shape));
    let result = match (numbers(a), numbers(b)) {
        (Numbers::Integers(x), Numbers::Integers(y)) => {
            let values: Option<Vec<i64>> =
                pairs.map(|(i, j)| (operator.integers)(*x.get(i)?, *y.get(j)?)).collect();
            match values {
                Some(values) => Numbers::Integers(values),
                None => return Err(folding.site.malformed("the result does not fit int64")),
            }
        }
        _ => {
            let (x, y) = (a.floats(), b.floats());
            let number = |values: &[f32], at: usize| values.get(at).copied().unwrap_or(0.0);
            let values = pairs.map(|(i, j)| (operator.reals)(number(&x, i), number(&y, j)));
            Numbers::Reals(values.collect())
        }
    };
    let dtype = if operator.is_test { DataType::Bool } else { a.dtype };
    finish(folding, shape, result, dtype)
}

fn binary(folding: &mut Folding<'_, '_>, operator: &Binary) -> Result<Constant> {
    let (a, b) = (folding.operand(0)?, folding.operand(1)?);
    combine(folding, a, b, operator)
}

fn variadic(folding: &mut Folding<'_, '_>, operator: &Binary) -> Result<Constant> {
    let mut result = folding.operand(0)?.clone();
    for at in 1..folding.count() {
        let next = folding.operand(at)?;
        result = combine(folding, &result, next, operator)?;
    }
    Ok(result)
}

fn select(folding: &mut Folding<'_, '_>) -> Result<Constant> {
    let (test, a, b) = (folding.operand(0)?, folding.operand(1)?, folding.operand(2)?);
    let shape = broadcast(folding, &a.shape, &b.shape)?;
    let shape = broadcast(folding, &shape, &test.shape)?;
    folding.charge(elements(&shape)?)?;
    let tests: Vec<bool> = test.floats().iter().map(|&value| value != 0.0).collect();
    let tests = places(&test.shape, &shape).map(|at| tests.get(at).copied().unwrap_or(false));
    let pairs = places(&a.shape, &shape).zip(places(&b.shape, &shape)).zip(tests);
    let result = match (numbers(a), numbers(b)) {
        (Numbers::Integers(x), Numbers::Integers(y)) => {
            let pick = |((i, j), yes)| if yes { x.get(i) } else { y.get(j) };
            Numbers::Integers(pairs.map(|pair| pick(pair).copied().unwrap_or(0)).collect())
        }
        _ => {
            let (x, y) = (a.floats(), b.floats());
            let pick = |((i, j), yes)| if yes { x.get(i) } else { y.get(j) };
            Numbers::Reals(pairs.map(|pair| pick(pair).copied().unwrap_or(0.0)).collect())
        }
    };
    finish(folding, shape, result, a.dtype)
}

fn reduce(folding: &mut Folding<'_, '_>) -> Result<Constant> {
    let operand = folding.operand(0)?;
    let named = match folding.site.ints("axes")? {
        Some(axes) => Some(axes.to_vec()),
        None => folding.optional_integers(1)?,
    };
    let rank = operand.shape.len();
    let Some(axes) = shapes::reduced_axes(folding.site, named.as_deref(), rank)? else {
        return Ok(operand.clone());
    };
    let keep = folding.site.flag("keepdims", true)?;
    // The kept dimensions outside, the reduced ones inside.
    let mut order: Vec<usize> = (0..rank).filter(|axis| !axes.contains(axis)).collect();
    let outer: usize =
        order.iter().map(|&axis| operand.shape.get(axis).copied().unwrap_or(1)).product();
    order.extend((0..rank).filter(|axis| axes.contains(axis)));
    folding.charge(operand.len())?;
    let turned = operand.transpose(&order, folding.budget)?;
    let inner = turned.len().checked_div(outer).unwrap_or(0).max(1);
    let operator = folding.site.node.operator;
    let result = match numbers(&turned) {
        Numbers::Integers(values) => {
            let rows = values.chunks(inner).map(|row| match operator {
                "ReduceSum" => row.iter().try_fold(0i64, |sum, &value| sum.checked_add(value)),
                "ReduceProd" => row.iter().try_fold(1i64, |sum, &value| sum.checked_mul(value)),
                "ReduceMax" => row.iter().max().copied(),
                "ReduceMin" => row.iter().min().copied(),
                "ReduceL1" => row.iter().try_fold(0i64, |sum, value| {
                    value.checked_abs().and_then(|size| sum.checked_add(size))
                }),
                "ReduceSumSquare" => row.iter().try_fold(0i64, |sum, value| {
                    value.checked_mul(*value).and_then(|square| sum.checked_add(square))
                }),
                _ => None,
            });
            match rows.collect::<Option<Vec<i64>>>() {
                Some(values) => Numbers::Integers(values),
                None => return Err(folding.site.malformed("the result does not fit int64")),
            }
        }
        Numbers::Reals(values) => {
            let rows = values.chunks(inner).map(|row| match operator {
                "ReduceProd" => row.iter().product(),
                "ReduceMax" => row.iter().copied().fold(f32::NEG_INFINITY, f32::max),
                "ReduceMin" => row.iter().copied().fold(f32::INFINITY, f32::min),
                "ReduceMean" => row.iter().sum::<f32>() / row.len() as f32,
                "ReduceL1" => row.iter().map(|value| value.abs()).sum(),
                "ReduceSumSquare" => row.iter().map(|value| value * value).sum(),
                "ReduceL2" => row.iter().map(|value| value * value).sum::<f32>().sqrt(),
                _ => row.iter().sum(),
            });
            Numbers::Reals(rows.collect())
        }
    };
    let shape = (operand.shape.iter().enumerate())
        .filter(|(axis, _)| keep || !axes.contains(axis))
        .map(|(axis, &size)| if axes.contains(&axis) { 1 } else { size })
        .collect();
    finish(folding, shape, result, operand.dtype)
}
