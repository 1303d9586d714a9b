//! Normalisations whose scales are computed, or whose statistics are results, too.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{DataType, Operator, Result};

use super::calculator::Calculator;
use crate::import::{Importer, TensorValue};
use crate::site::Site;

/// A value with mean 0 and variance 1 over some dimensions.
struct Standard {
    value: TensorValue,
    mean: TensorValue,
    variance: TensorValue,
    /// `1 / sqrt(variance + epsilon)`.
    factor: TensorValue,
}

fn standardize(
    c: &mut Calculator<'_, '_>,
    x: &TensorValue,
    axes: &[usize],
    epsilon: f32,
) -> Result<Standard> {
    let mean = c.mean(x, axes)?;
    let centred = c.sub(x, &mean)?;
    let squares = c.map(Operator::Square, &centred)?;
    let variance = c.mean(&squares, axes)?;
    let safe = c.plus(&variance, epsilon)?;
    let factor = c.map(Operator::Rsqrt, &safe)?;
    let value = c.mul(&centred, &factor)?;
    Ok(Standard { value, mean, variance, factor })
}

/// `x * scale + bias`, either of which may be left out.
fn scaled(
    c: &mut Calculator<'_, '_>,
    x: &TensorValue,
    scale: Option<TensorValue>,
    bias: Option<TensorValue>,
) -> Result<TensorValue> {
    let x = match scale {
        Some(scale) => c.mul(x, &scale)?,
        None => x.clone(),
    };
    match bias {
        Some(bias) => c.add(&x, &bias),
        None => Ok(x),
    }
}

/// Operand `at`, one number for each channel, beside a value of `rank` dimensions.
fn by_channel(c: &mut Calculator<'_, '_>, at: usize, rank: usize) -> Result<TensorValue> {
    let value = c.input(at)?;
    let count = value.view.dims().iter().product();
    let mut dims = vec![1; rank.saturating_sub(1).max(1)];
    if let Some(first) = dims.first_mut() {
        *first = count;
    }
    c.reshape(&value, &dims)
}

/// LayerNormalization over the dimensions from `axis` on.
pub(super) fn layer<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let mut c = Calculator::new(importer, site)?;
    let x = c.input(0)?;
    let rank = x.view.rank();
    let axis = site.axis(site.int("axis", -1)?, rank)?;
    let axes: Vec<usize> = (axis..rank).collect();
    let standard = standardize(&mut c, &x, &axes, site.float("epsilon", 1e-5)?)?;
    let (scale, bias) = (c.optional(1)?, c.optional(2)?);
    let result = scaled(&mut c, &standard.value, scale, bias)?;
    c.give(0, result);
    c.give(1, standard.mean);
    c.give(2, standard.factor);
    Ok(())
}

/// RMSNormalization over the dimensions from `axis` on.
pub(super) fn root_mean_square<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let mut c = Calculator::new(importer, site)?;
    let x = c.input(0)?;
    let rank = x.view.rank();
    let axis = site.axis(site.int("axis", -1)?, rank)?;
    let axes: Vec<usize> = (axis..rank).collect();
    let squares = c.map(Operator::Square, &x)?;
    let mean = c.mean(&squares, &axes)?;
    let safe = c.plus(&mean, site.float("epsilon", 1e-5)?)?;
    let factor = c.map(Operator::Rsqrt, &safe)?;
    let value = c.mul(&x, &factor)?;
    let scale = c.optional(1)?;
    let result = scaled(&mut c, &value, scale, None)?;
    c.give(0, result);
    Ok(())
}

/// BatchNormalization by statistics that are computed, or in training by those of the batch.
pub(super) fn batch<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let trains = site.flag("training_mode", false)?;
    let mut c = Calculator::new(importer, site)?;
    let asks_for_more = (1..site.node.outputs.len()).any(|at| c.is_asked(at));
    if asks_for_more && !trains {
        return Err(site.unsupported("statistics as results without training_mode"));
    }
    let x = c.input(0)?;
    let rank = x.view.rank();
    let epsilon = site.float("epsilon", 1e-5)?;
    let (scale, bias) = (by_channel(&mut c, 1, rank)?, by_channel(&mut c, 2, rank)?);
    let (mean, variance) = (by_channel(&mut c, 3, rank)?, by_channel(&mut c, 4, rank)?);
    let value = if trains {
        let axes: Vec<usize> = (0..rank).filter(|&axis| axis != 1).collect();
        let standard = standardize(&mut c, &x, &axes, epsilon)?;
        let momentum = site.float("momentum", 0.9)?;
        for (at, old, new) in [(1, &mean, &standard.mean), (2, &variance, &standard.variance)] {
            let count: usize = new.view.dims().iter().product();
            let (old, new) = (c.reshape(old, &[count])?, c.reshape(new, &[count])?);
            let (old, new) = (c.times(&old, momentum)?, c.times(&new, 1.0 - momentum)?);
            let running = c.add(&old, &new)?;
            c.give(at, running);
        }
        standard.value
    } else {
        let centred = c.sub(&x, &mean)?;
        let safe = c.plus(&variance, epsilon)?;
        let factor = c.map(Operator::Rsqrt, &safe)?;
        c.mul(&centred, &factor)?
    };
    let result = scaled(&mut c, &value, Some(scale), Some(bias))?;
    c.give(0, result);
    Ok(())
}

/// InstanceNormalization by a scale and a bias that are computed.
pub(super) fn instance<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let mut c = Calculator::new(importer, site)?;
    let x = c.input(0)?;
    let rank = x.view.rank();
    let axes: Vec<usize> = (2..rank).collect();
    let standard = standardize(&mut c, &x, &axes, site.float("epsilon", 1e-5)?)?;
    let (scale, bias) = (by_channel(&mut c, 1, rank)?, by_channel(&mut c, 2, rank)?);
    let result = scaled(&mut c, &standard.value, Some(scale), Some(bias))?;
    c.give(0, result);
    Ok(())
}

/// GroupNormalization by a scale and a bias that are computed.
pub(super) fn group<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let groups = site.size(site.int("num_groups", 1)?, "num_groups")?;
    let mut c = Calculator::new(importer, site)?;
    let x = c.input(0)?;
    let dims = x.view.dims();
    let (n, channels) = match dims[..] {
        [n, channels, ..] if groups > 0 && channels.is_multiple_of(groups) => (n, channels),
        _ => return Err(site.malformed(format!("{groups} groups of shape {dims:?}"))),
    };
    let each = channels.checked_div(groups).unwrap_or(1);
    let split = [&[n, groups, each], dims.get(2..).unwrap_or_default()].concat();
    let grouped = c.reshape(&x, &split)?;
    let axes: Vec<usize> = (2..split.len()).collect();
    let standard = standardize(&mut c, &grouped, &axes, site.float("epsilon", 1e-5)?)?;
    // Opset 18 has a number for each group, opset 21 one for each channel.
    let parameter = |c: &mut Calculator<'_, 'a>, at: usize| -> Result<TensorValue> {
        let value = c.input(at)?;
        let found: usize = value.view.dims().iter().product();
        let mut shape = vec![1; split.len().saturating_sub(1)];
        let sizes = if found == channels { [groups, each] } else { [groups, 1] };
        if found != channels && found != groups {
            return Err(site.malformed(format!("{found} numbers for {channels} channels")));
        }
        shape.iter_mut().zip(sizes).for_each(|(size, wanted)| *size = wanted);
        c.reshape(&value, &shape)
    };
    let (scale, bias) = (parameter(&mut c, 1)?, parameter(&mut c, 2)?);
    let result = scaled(&mut c, &standard.value, Some(scale), Some(bias))?;
    let result = c.reshape(&result, &dims)?;
    c.give(0, result);
    Ok(())
}

/// MeanVarianceNormalization.
pub(super) fn mean_variance<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let mut c = Calculator::new(importer, site)?;
    let x = c.input(0)?;
    let axes = site.axes(site.ints("axes")?.unwrap_or(&[0, 2, 3]), x.view.rank())?;
    let mean = c.mean(&x, &axes)?;
    let centred = c.sub(&x, &mean)?;
    let squares = c.map(Operator::Square, &centred)?;
    let variance = c.mean(&squares, &axes)?;
    let deviation = c.map(Operator::Sqrt, &variance)?;
    let safe = c.plus(&deviation, 1e-9)?;
    let result = c.div(&centred, &safe)?;
    debug_assert_eq!(result.dtype, DataType::Float32);
    c.give(0, result);
    Ok(())
}
