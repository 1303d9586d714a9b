//! What follows a convolution or a matrix product and becomes a part of it: a bias, a scale for
//! each channel (batch normalisation), an activation.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{Activation, Result};

use super::quantized::Output;
use crate::constant::Constant;
use crate::import::Importer;
use crate::site::Site;

/// `activation(x * scale + shift)`, for each channel.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail {
    pub scale: Option<Vec<f32>>,
    pub shift: Option<Vec<f32>>,
    pub activation: Activation,
}

impl Tail {
    fn multiply(&mut self, factors: &[f32]) {
        let scale = self.scale.get_or_insert_with(|| vec![1.0; factors.len()]);
        scale.iter_mut().zip(factors).for_each(|(scale, factor)| *scale *= factor);
        if let Some(shift) = &mut self.shift {
            shift.iter_mut().zip(factors).for_each(|(shift, factor)| *shift *= factor);
        }
    }

    fn add(&mut self, terms: &[f32]) {
        let shift = self.shift.get_or_insert_with(|| vec![0.0; terms.len()]);
        shift.iter_mut().zip(terms).for_each(|(shift, term)| *shift += term);
    }

    /// Weights whose first dimension is the channels, scaled.
    pub fn scale_weights(&self, weights: &Constant) -> Constant {
        let Some(scale) = &self.scale else { return weights.clone() };
        let mut values = weights.floats();
        let each = values.len().checked_div(scale.len()).unwrap_or(0).max(1);
        for (values, factor) in values.chunks_mut(each).zip(scale) {
            values.iter_mut().for_each(|value| *value *= factor);
        }
        Constant::from_floats(weights.shape.clone(), &values)
    }

    /// The bias with what follows.
    pub fn bias(&self, bias: Option<Vec<f32>>) -> Option<Vec<f32>> {
        let scaled = match (bias, &self.scale) {
            (Some(mut bias), Some(scale)) => {
                bias.iter_mut().zip(scale).for_each(|(bias, factor)| *bias *= factor);
                Some(bias)
            }
            (bias, _) => bias,
        };
        match (scaled, &self.shift) {
            (Some(mut bias), Some(shift)) => {
                bias.iter_mut().zip(shift).for_each(|(bias, term)| *bias += term);
                Some(bias)
            }
            (None, Some(shift)) => Some(shift.clone()),
            (bias, None) => bias,
        }
    }
}

/// A constant that has one number for each index of dimension `axis` of a value of `rank`
/// dimensions, or one for all of them.
pub(super) fn per_channel(
    constant: &Constant,
    axis: usize,
    rank: usize,
    channels: usize,
) -> Option<Vec<f32>> {
    if !constant.is_real() {
        return None;
    }
    if constant.len() == 1 && constant.shape.len() <= rank {
        return Some(vec![constant.scalar()?; channels]);
    }
    let missing = rank.checked_sub(constant.shape.len())?;
    let place = axis.checked_sub(missing)?;
    let fits = (constant.shape.iter().enumerate())
        .all(|(at, &dim)| if at == place { dim == channels } else { dim == 1 });
    fits.then(|| constant.floats())
}

/// What an operator can take in besides an activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Affine {
    /// Nothing: it computes with integers.
    Nothing,
    /// A bias, and a scale for each channel.
    Full,
}

impl<'a> Importer<'a> {
    /// Takes into an operator what alone reads its result, as long as that fits. `axis` is the
    /// dimension of the channels of a result of `rank` dimensions.
    pub(super) fn fuse_tail(
        &mut self,
        output: &mut Output<'a>,
        axis: usize,
        rank: usize,
        channels: usize,
        affine: Affine,
    ) -> Result<Tail> {
        let mut tail = Tail::default();
        while affine == Affine::Full
            && let Some(reader) = self.only_reader(output.name)
        {
            if !self.fuse_affine(&mut tail, &reader, output.name, axis, rank, channels) {
                break;
            }
            *output = self.output(&reader)?;
            self.finish(reader.index);
        }
        tail.activation = self.fuse_activation(output)?;
        Ok(tail)
    }

    /// Takes one node into `tail`, if it is a scale or a shift for each channel.
    fn fuse_affine(
        &self,
        tail: &mut Tail,
        reader: &Site<'a>,
        name: &str,
        axis: usize,
        rank: usize,
        channels: usize,
    ) -> bool {
        let other = || {
            let at = reader.node.inputs.iter().position(|input| *input != name)?;
            let constant = self.constant(reader.input_name(at)?)?;
            per_channel(&constant, axis, rank, channels)
        };
        match (reader.node.domain, reader.node.operator) {
            ("", "Add") => match other() {
                Some(terms) => tail.add(&terms),
                None => return false,
            },
            ("", "Mul") => match other() {
                Some(factors) => tail.multiply(&factors),
                None => return false,
            },
            ("", "BatchNormalization") if axis == 1 => match self.batch_affine(reader) {
                Some((factors, terms)) if factors.len() == channels => {
                    tail.multiply(&factors);
                    tail.add(&terms);
                }
                _ => return false,
            },
            _ => return false,
        }
        true
    }

    /// `x * factor + term` of a BatchNormalization with constant statistics:
    /// `factor = scale / sqrt(variance + epsilon)`, `term = bias - mean * factor`.
    pub(super) fn batch_affine(&self, site: &Site<'a>) -> Option<(Vec<f32>, Vec<f32>)> {
        let constant = |at: usize| Some(self.constant(site.input_name(at)?)?.floats());
        let (scale, bias) = (constant(1)?, constant(2)?);
        let (mean, variance) = (constant(3)?, constant(4)?);
        let epsilon = site.float("epsilon", 1e-5).ok()?;
        if [bias.len(), mean.len(), variance.len()] != [scale.len(); 3] {
            return None;
        }
        let factors: Vec<f32> = (scale.iter().zip(&variance))
            .map(|(scale, variance)| scale / (variance + epsilon).sqrt())
            .collect();
        let terms = (bias.iter().zip(&mean).zip(&factors))
            .map(|((bias, mean), factor)| bias - mean * factor)
            .collect();
        Some((factors, terms))
    }
}
