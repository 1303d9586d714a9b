//! Nodes whose operands are known are computed now: mostly the arithmetic of shapes, and weights
//! behind a Cast, a Transpose or a DequantizeLinear.
#![deny(clippy::arithmetic_side_effects)]

mod arithmetic;
mod indexed;
mod movement;
pub(crate) mod places;
pub(crate) mod shapes;
mod statistics;

use std::rc::Rc;

use achado_model::{Bytes, DataType, Result};

use crate::constant::{Constant, elements};
use crate::limits::Budget;
use crate::lower::quantized::scaled;
use crate::site::Site;

/// Whether the node's operator can be computed here.
pub(crate) fn folds(site: &Site<'_>) -> bool {
    site.node.domain.is_empty()
        && matches!(
            site.node.operator,
            "Constant"
                | "Identity"
                | "Cast"
                | "Shape"
                | "Size"
                | "ConstantOfShape"
                | "Range"
                | "Reshape"
                | "Flatten"
                | "Squeeze"
                | "Unsqueeze"
                | "Transpose"
                | "Concat"
                | "Slice"
                | "Gather"
                | "Expand"
                | "Tile"
                | "Add"
                | "Sub"
                | "Mul"
                | "Div"
                | "Mod"
                | "Pow"
                | "Min"
                | "Max"
                | "Equal"
                | "Less"
                | "LessOrEqual"
                | "Greater"
                | "GreaterOrEqual"
                | "And"
                | "Or"
                | "Not"
                | "Where"
                | "Neg"
                | "Abs"
                | "Sqrt"
                | "Exp"
                | "Log"
                | "Floor"
                | "Ceil"
                | "Round"
                | "Reciprocal"
                | "ReduceSum"
                | "ReduceProd"
                | "ReduceMax"
                | "ReduceMin"
                | "ReduceMean"
                | "DequantizeLinear"
                | "QuantizeLinear"
                | "CastLike"
                | "Clip"
                | "Sum"
                | "Sign"
                | "Relu"
                | "Sigmoid"
                | "Tanh"
                | "Sin"
                | "Cos"
                | "Xor"
                | "ReduceL1"
                | "ReduceL2"
                | "ReduceSumSquare"
                | "CumSum"
                | "EyeLike"
                | "Trilu"
                | "Split"
                | "NonZero"
                | "GatherElements"
                | "GatherND"
                | "ScatterElements"
                | "Scatter"
                | "ScatterND"
                | "BatchNormalization"
        )
}

/// One folding: the node, its operands, what is left to spend.
pub(crate) struct Folding<'f, 'a> {
    pub site: &'f Site<'a>,
    operands: &'f [Option<Rc<Constant>>],
    pub budget: &'f mut Budget,
}

impl<'f> Folding<'f, '_> {
    fn optional(&self, at: usize) -> Option<&'f Constant> {
        self.operands.get(at)?.as_deref()
    }

    fn operand(&self, at: usize) -> Result<&'f Constant> {
        self.optional(at).ok_or_else(|| self.site.malformed(format!("operand {at} is missing")))
    }

    fn count(&self) -> usize {
        self.operands.len()
    }

    fn optional_integers(&self, at: usize) -> Result<Option<Vec<i64>>> {
        match self.optional(at) {
            None => Ok(None),
            Some(constant) => match constant.integers() {
                Some(values) => Ok(Some(values)),
                None => Err(self.site.malformed(format!("operand {at} must be integers"))),
            },
        }
    }

    fn integers(&self, at: usize) -> Result<Vec<i64>> {
        match self.optional_integers(at)? {
            Some(values) => Ok(values),
            None => Err(self.site.malformed(format!("operand {at} is missing"))),
        }
    }

    /// Integers as sizes.
    fn sizes(&self, at: usize) -> Result<Vec<usize>> {
        self.integers(at)?.iter().map(|&size| self.site.size(size, "a size")).collect()
    }

    /// Room for `count` elements of a result, and the time to make them.
    fn charge(&mut self, count: usize) -> Result<()> {
        self.budget.take(count, 16)?;
        self.budget.work(count)
    }

    fn with_shape(&self, shape: Vec<usize>) -> Result<Constant> {
        Ok(self.operand(0)?.with_shape(shape))
    }
}

/// Computes a node.
pub(crate) fn fold(
    site: &Site<'_>,
    operands: &[Option<Rc<Constant>>],
    file: &Bytes,
    budget: &mut Budget,
) -> Result<Vec<Constant>> {
    let mut folding = Folding { site, operands, budget };
    let looked_at = operands.iter().flatten().map(|constant| constant.len().min(1 << 16)).sum();
    folding.budget.work(looked_at)?;
    let shape = |at: usize| folding.operand(at).map(|constant| constant.shape.clone());
    let result = match site.node.operator {
        "Constant" => constant(site, file, folding.budget)?,
        "Identity" => folding.operand(0)?.clone(),
        "Cast" => {
            let to = shapes::cast_type(site)?;
            cast(&mut folding, to)?
        }
        "CastLike" => {
            let like = folding.operand(1)?;
            let to = match like.dtype {
                _ if like.is_real() => 1,
                DataType::UInt8 => 2,
                DataType::Int8 => 3,
                DataType::Int16 => 5,
                DataType::Int32 => 6,
                DataType::Bool => 9,
                _ => 7,
            };
            cast(&mut folding, to)?
        }
        "EyeLike" => {
            let like = folding.operand(0)?;
            let dtype = if like.is_real() { DataType::Float32 } else { like.dtype };
            let count = elements(&like.shape)?;
            folding.charge(count)?;
            crate::lower::indexing::eye(site, &like.shape, dtype)?
        }
        "Split" => return indexed::split(&mut folding),
        "Trilu" | "NonZero" | "GatherElements" | "GatherND" | "ScatterElements" | "Scatter"
        | "ScatterND" => indexed::fold(&mut folding)?,
        "BatchNormalization" => statistics::batch(&mut folding)?,
        "Shape" => {
            let dims: Vec<i64> =
                shape(0)?.iter().map(|&dim| i64::try_from(dim).unwrap_or(i64::MAX)).collect();
            Constant::from_integers(vec![dims.len()], &dims)
        }
        "Size" => {
            let size = i64::try_from(folding.operand(0)?.len()).unwrap_or(i64::MAX);
            Constant::from_integers(Vec::new(), &[size])
        }
        "Reshape" => {
            let wanted = match site.ints("shape")? {
                Some(shape) => shape.to_vec(),
                None => folding.integers(1)?,
            };
            let dims = shapes::reshape(site, &shape(0)?, &wanted)?;
            folding.with_shape(dims)?
        }
        "Flatten" => {
            let dims = shapes::flatten(site, &shape(0)?)?;
            folding.with_shape(dims)?
        }
        "Squeeze" => {
            let axes = folding.optional_integers(1)?;
            let dims = shapes::squeeze(site, &shape(0)?, axes.as_deref())?;
            folding.with_shape(dims)?
        }
        "Unsqueeze" => {
            let axes = folding.optional_integers(1)?;
            let dims = shapes::unsqueeze(site, &shape(0)?, axes.as_deref())?;
            folding.with_shape(dims)?
        }
        "DequantizeLinear" => {
            let (constant, scale) = (folding.operand(0)?, folding.operand(1)?);
            scaled(site, constant, scale, folding.optional(2), site.int("axis", 1)?)?
        }
        "QuantizeLinear" => quantize(&mut folding)?,
        "ConstantOfShape" | "Range" | "Transpose" | "Concat" | "Slice" | "Gather" | "Expand"
        | "Tile" => movement::fold(&mut folding)?,
        _ => arithmetic::fold(&mut folding)?,
    };
    Ok(vec![result])
}

/// Constant: one of several attributes.
fn constant(site: &Site<'_>, file: &Bytes, budget: &mut Budget) -> Result<Constant> {
    if let Some(tensor) = site.tensor("value")? {
        return Constant::read(tensor, file, budget);
    }
    if site.has("value_float") {
        return Ok(Constant::from_floats(Vec::new(), &[site.float("value_float", 0.0)?]));
    }
    if site.has("value_int") {
        return Ok(Constant::from_integers(Vec::new(), &[site.int("value_int", 0)?]));
    }
    if let Some(values) = site.floats("value_floats")? {
        return Ok(Constant::from_floats(vec![values.len()], values));
    }
    if let Some(values) = site.ints("value_ints")? {
        return Ok(Constant::from_integers(vec![values.len()], values));
    }
    Err(site.unsupported("strings and sparse tensors are not supported"))
}

/// Cast to the type of a number.
fn cast(folding: &mut Folding<'_, '_>, to: i64) -> Result<Constant> {
    let operand = folding.operand(0)?;
    let shape = operand.shape.clone();
    // Half precision weights stay as they are, whatever they are cast to.
    if matches!(to, 1 | 10 | 11 | 16) && operand.is_real() {
        return Ok(operand.clone());
    }
    let count = elements(&shape)?;
    folding.charge(count)?;
    let integers = || match operand.integers() {
        Some(values) => values,
        // Towards zero, saturating.
        None => operand.floats().iter().map(|&value| value as i64).collect(),
    };
    Ok(match to {
        1 | 10 | 11 | 16 => Constant::from_floats(shape, &operand.floats()),
        2 => {
            let data = integers().iter().map(|value| value.to_le_bytes()[0]).collect();
            Constant::new(DataType::UInt8, shape, data)
        }
        3 => {
            let data = integers().iter().map(|value| value.to_le_bytes()[0]).collect();
            Constant::new(DataType::Int8, shape, data)
        }
        5 => {
            let narrow = integers();
            let data = narrow.iter().flat_map(|value| value.to_le_bytes().into_iter().take(2));
            Constant::new(DataType::Int16, shape, data.collect())
        }
        6 => {
            let narrow = integers();
            let data = narrow.iter().flat_map(|value| value.to_le_bytes().into_iter().take(4));
            Constant::new(DataType::Int32, shape, data.collect())
        }
        7 => Constant::from_integers(shape, &integers()),
        9 => {
            let data = operand.floats().iter().map(|&value| u8::from(value != 0.0)).collect();
            Constant::new(DataType::Bool, shape, data)
        }
        other => {
            let kind = crate::constant::type_name(i32::try_from(other).unwrap_or(0));
            return Err(folding.site.unsupported_attribute("to", kind));
        }
    })
}

/// QuantizeLinear: `saturate(round(x / scale) + zero point)`, ties to even.
fn quantize(folding: &mut Folding<'_, '_>) -> Result<Constant> {
    let operand = folding.operand(0)?;
    let scale = folding.operand(1)?;
    let zero = folding.optional(2);
    let dtype = zero.map_or(DataType::UInt8, |zero| zero.dtype);
    let (low, high) = match dtype {
        DataType::UInt8 => (0.0, 255.0),
        DataType::Int8 => (-128.0, 127.0),
        other => return Err(folding.site.unsupported(format!("quantising to {other}"))),
    };
    let axis = folding.site.int("axis", 1)?;
    // What the result's integers mean, channel by channel.
    let blank = Constant::new(dtype, operand.shape.clone(), vec![0; operand.len()]);
    let meaning = scaled(folding.site, &blank, scale, zero, axis)?;
    let Some(scaling) = &meaning.scaling else { return Ok(blank) };
    folding.charge(operand.len())?;
    let inner: usize = operand.shape.iter().skip(scaling.axis.saturating_add(1)).product();
    let channels = scaling.scale.len().max(1);
    let data = (operand.floats().iter().enumerate())
        .map(|(at, &value)| {
            let channel =
                at.checked_div(inner).and_then(|at| at.checked_rem(channels)).unwrap_or(0);
            let scale = scaling.scale.get(channel).copied().unwrap_or(1.0);
            let zero = scaling.zero_point.get(channel).copied().unwrap_or(0);
            let integer = ((value / scale).round_ties_even() + zero as f32).clamp(low, high);
            // In range of the type; the low byte is the integer.
            (integer as i32).to_le_bytes()[0]
        })
        .collect();
    Ok(Constant::new(dtype, operand.shape.clone(), data))
}
