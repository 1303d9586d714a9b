//! Folding of normalisations.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::Result;

use super::Folding;
use crate::constant::Constant;

/// BatchNormalization: by its statistics, or in training by those of the operand, as networks with
/// standardised weights are written.
pub(super) fn batch(folding: &mut Folding<'_, '_>) -> Result<Constant> {
    let x = folding.operand(0)?;
    let channels = x.shape.get(1).copied().unwrap_or(1);
    let values = x.floats();
    folding.charge(x.len())?;
    let parameter = |at: usize| -> Result<Vec<f32>> {
        let values = folding.operand(at)?.floats();
        match values.len() == channels {
            true => Ok(values),
            false => {
                Err(folding.site.malformed(format!("operand {at} does not fit {:?}", x.shape)))
            }
        }
    };
    let (scale, bias) = (parameter(1)?, parameter(2)?);
    let (mut mean, mut variance) = (parameter(3)?, parameter(4)?);
    let inner: usize = x.shape.iter().skip(2).product();
    let channel = |at: usize| {
        at.checked_div(inner.max(1)).and_then(|at| at.checked_rem(channels.max(1))).unwrap_or(0)
    };
    if folding.site.flag("training_mode", false)? {
        let count = x.len().checked_div(channels).unwrap_or(0).max(1) as f64;
        let mut sums = vec![0f64; channels];
        for (at, &value) in values.iter().enumerate() {
            if let Some(sum) = sums.get_mut(channel(at)) {
                *sum += f64::from(value);
            }
        }
        let means: Vec<f64> = sums.iter().map(|sum| sum / count).collect();
        let mut squares = vec![0f64; channels];
        for (at, &value) in values.iter().enumerate() {
            let channel = channel(at);
            let mean = means.get(channel).copied().unwrap_or(0.0);
            if let Some(sum) = squares.get_mut(channel) {
                *sum += (f64::from(value) - mean) * (f64::from(value) - mean);
            }
        }
        mean = means.iter().map(|&mean| mean as f32).collect();
        variance = squares.iter().map(|sum| (sum / count) as f32).collect();
    }
    let epsilon = folding.site.float("epsilon", 1e-5)?;
    let get = |all: &[f32], at: usize| all.get(at).copied().unwrap_or(0.0);
    let factors: Vec<f32> = (scale.iter().zip(&variance))
        .map(|(scale, variance)| scale / (variance + epsilon).sqrt())
        .collect();
    let result: Vec<f32> = (values.iter().enumerate())
        .map(|(at, &value)| {
            let channel = channel(at);
            (value - get(&mean, channel)) * get(&factors, channel) + get(&bias, channel)
        })
        .collect();
    Ok(Constant::from_floats(x.shape.clone(), &result))
}
