//! Channels cut by what their loss costs the layers that read them, which are refitted.
//!
//! Sources: He et al. 2017, "Channel pruning for accelerating very deep neural networks" (the refit);
//! Frantar et al. 2022, "Optimal brain compression" (the order, which is exact for one channel after the
//! other).

use achado_engine::SessionOptions;
use achado_model::{Model, Result};

use super::groups::{Group, Reader};
use super::moments::{Collector, Watch};
use super::surgery::{bias_of, keep, reshape_to_result, set_floats};
use super::{Pruned, PrunedLayer, out_of_reach, refit, saved};
use crate::macs::{macs, total_macs};
use crate::train::linear::{Matrix, cholesky, solve_lower, solve_upper};

/// Channels are kept in steps: kernels compute so many at once.
const STEP: usize = 8;
/// The least share of channels that is kept.
const LEAST: f64 = 0.25;
/// Of the mean variance, added to each channel's.
const RIDGE: f64 = 1e-3;

/// What it costs to cut the channels of a group one after the other.
#[derive(Clone, Debug)]
struct Curve {
    /// The channel that goes first, second, ...
    order: Vec<usize>,
    /// The error by the number of channels that are gone.
    errors: Vec<f64>,
}

/// Cuts channels until `target` of the multiplications is gone.
pub(super) fn cut(
    model: &Model,
    groups: &[Group],
    collector: &Collector,
    target: f64,
    (samples, session): (&[Vec<u8>], &SessionOptions),
) -> Result<Pruned> {
    let curves: Vec<Curve> = groups.iter().map(|group| curve(model, group, collector)).collect();
    let gone = allocate(model, groups, &curves, target)?;
    let mut pruned = model.clone();
    let mut layers = Vec::new();
    for ((group, curve), &gone) in groups.iter().zip(&curves).zip(&gone) {
        let output = model.nodes[group.writers[0]].outputs[0];
        layers.push(PrunedLayer {
            name: model.tensor(output).name.clone(),
            before: group.channels,
            after: group.channels - gone,
            error: curve.errors[gone],
        });
        if gone > 0 {
            apply(&mut pruned, group, collector, &curve.order[..gone]);
        }
    }
    let rows: Vec<Vec<usize>> = (groups.iter().zip(&curves).zip(&gone))
        .map(|((group, curve), &gone)| kept(group.channels, &curve.order[..gone]))
        .collect();
    let mut readers: Vec<refit::Layer<'_>> = Vec::new();
    for reader in groups.iter().flat_map(|group| &group.readers) {
        let own = groups.iter().position(|group| group.writers.contains(&reader.node));
        readers.push(refit::Layer { reader, rows: own.map(|own| &rows[own][..]) });
    }
    refit::refit(model, &mut pruned, &readers, samples, session)?;
    pruned.validate()?;
    let reached = saved(model, &pruned);
    Ok(Pruned { model: pruned, layers, reached })
}

/// How the channels that a layer reads go together. Pooled ones have a row a picture, too few to tell: the
/// more channels there are for each, the more is taken from the pixels that were pooled.
fn covariance(reader: &Reader, collector: &Collector) -> Matrix {
    let own = collector.of(Watch::Channels(reader.product.input));
    let mut covariance = own.covariance(RIDGE);
    let Some(pooled) = reader.pooled else { return covariance };
    let of_pixels = collector.of(Watch::Channels(pooled)).covariance(RIDGE);
    let width = covariance.cols;
    let trace = |matrix: &Matrix| (0..width).map(|i| matrix.row(i)[i]).sum::<f64>();
    let share = width as f64 / (width as f64 + own.rows());
    let scale = share * trace(&covariance) / trace(&of_pixels).max(1e-300);
    for (value, pixel) in covariance.data.iter_mut().zip(&of_pixels.data) {
        *value = (1.0 - share) * *value + scale * pixel;
    }
    covariance
}

/// Weights as rows of one element a channel: each output and tap is a row.
fn rows_of(model: &Model, reader: &Reader, channels: usize) -> Matrix {
    let weights = model.tensor(reader.product.weights).constant_floats().unwrap_or_default();
    Matrix { cols: channels, data: weights.into_iter().map(f64::from).collect() }
}

/// The inverse of a symmetric positive definite matrix.
fn inverse(matrix: Matrix) -> Option<Matrix> {
    let factor = cholesky(matrix)?;
    let n = factor.cols;
    let mut inverse = Matrix::zeros(n, n);
    for i in 0..n {
        let column = inverse.row_mut(i);
        column[i] = 1.0;
        solve_lower(&factor, column);
        solve_upper(&factor, column);
    }
    Some(inverse)
}

/// One layer that reads, in the space of channels.
struct Reading {
    /// `Wᵀ W` of what is left of the weights, refitted.
    squares: Matrix,
    inverse: Matrix,
    /// One over the variance of the layer's result.
    weight: f64,
}

impl Reading {
    /// The error that the loss of a channel brings where the others make up for it.
    fn cost(&self, channel: usize) -> f64 {
        self.weight * self.squares.row(channel)[channel] / self.inverse.row(channel)[channel]
    }

    /// Takes a channel out of weights and inverse, both of which are kept for those that are left.
    fn remove(&mut self, channel: usize) {
        let pivot = self.inverse.row(channel)[channel];
        let shares: Vec<f64> = self.inverse.row(channel).iter().map(|x| x / pivot).collect();
        let column = self.squares.row(channel).to_vec();
        let own = column[channel];
        let n = shares.len();
        for i in 0..n {
            let (share, of_column) = (shares[i], column[i]);
            let row = self.squares.row_mut(i);
            for j in 0..n {
                row[j] += (own * share - of_column) * shares[j] - share * column[j];
            }
            let row = self.inverse.row_mut(i);
            let factor = share * pivot;
            for j in 0..n {
                row[j] -= factor * shares[j];
            }
        }
    }
}

fn curve(model: &Model, group: &Group, collector: &Collector) -> Curve {
    let channels = group.channels;
    let mut readings: Vec<Reading> = Vec::new();
    for reader in &group.readers {
        let rows = rows_of(model, reader, channels);
        let mut squares = Matrix::zeros(channels, channels);
        for row in rows.data.chunks_exact(channels) {
            for (i, &factor) in row.iter().enumerate() {
                crate::train::linear::axpy(factor, row, squares.row_mut(i));
            }
        }
        let covariance = covariance(reader, collector);
        let Some(inverse) = inverse(covariance) else { continue };
        let variance = collector.of(Watch::Variance(reader.result)).variance();
        readings.push(Reading { squares, inverse, weight: 1.0 / variance.max(1e-12) });
    }
    let most = channels - least_kept(channels);
    let mut is_gone = vec![false; channels];
    let mut curve = Curve { order: Vec::with_capacity(most), errors: vec![0.0] };
    let mut error = 0.0;
    for _ in 0..most {
        let cost = |channel: usize| readings.iter().map(|one| one.cost(channel)).sum::<f64>();
        let left = (0..channels).filter(|&channel| !is_gone[channel]);
        let costs = left.map(|channel| (cost(channel), channel));
        let Some((cost, channel)) = costs.min_by(|a, b| a.0.total_cmp(&b.0)) else { break };
        is_gone[channel] = true;
        readings.iter_mut().for_each(|one| one.remove(channel));
        error += cost.max(0.0);
        curve.order.push(channel);
        curve.errors.push(error);
    }
    curve
}

/// The fewest channels that are kept of some.
fn least_kept(channels: usize) -> usize {
    let least = ((channels as f64 * LEAST).ceil() as usize).max(1);
    if channels >= 2 * STEP { least.next_multiple_of(STEP).min(channels) } else { least }
}

/// The numbers of channels that may be gone: what is kept is a multiple of [`STEP`] where it can be.
fn steps(channels: usize) -> Vec<usize> {
    let step = if channels >= 2 * STEP { STEP } else { 1 };
    let kept =
        (least_kept(channels)..=channels).filter(|kept| kept % step == 0 || *kept == channels);
    kept.map(|kept| channels - kept).rev().collect()
}

/// How many channels of each group go: always the cheapest by multiplication saved.
fn allocate(model: &Model, groups: &[Group], curves: &[Curve], target: f64) -> Result<Vec<usize>> {
    let all: Vec<u64> = model.nodes.iter().map(|node| macs(model, node)).collect();
    let whole = total_macs(model).max(1) as f64;
    let mut gone = vec![0usize; groups.len()];
    // What is left of each operator: the product of both sides.
    let left_of = |gone: &[usize]| {
        let mut shares = vec![1.0; all.len()];
        for (group, &gone) in groups.iter().zip(gone) {
            let share = 1.0 - gone as f64 / group.channels as f64;
            let nodes = group.writers.iter().chain(&group.depthwise).copied();
            for node in nodes.chain(group.readers.iter().map(|reader| reader.node)) {
                shares[node] *= share;
            }
        }
        all.iter().zip(&shares).map(|(&macs, share)| macs as f64 * share).sum::<f64>()
    };
    let mut left = left_of(&gone);
    while 1.0 - left / whole < target - 1e-9 {
        let mut best: Option<(f64, usize, usize, f64)> = None;
        for (index, group) in groups.iter().enumerate() {
            let mut tried = gone.clone();
            for step in steps(group.channels).into_iter().filter(|&step| step > gone[index]) {
                tried[index] = step;
                let then = left_of(&tried);
                let cost = curves[index].errors[step] - curves[index].errors[gone[index]];
                let price = cost / (left - then).max(1e-9);
                if best.is_none_or(|best| price < best.0) {
                    best = Some((price, index, step, then));
                }
                // What is beyond the target is not needed.
                if 1.0 - then / whole >= target {
                    break;
                }
            }
        }
        let Some((_, index, step, then)) = best else {
            return Err(out_of_reach(target, 1.0 - left / whole, "multiplications"));
        };
        gone[index] = step;
        left = then;
    }
    Ok(gone)
}

/// The channels that are not gone.
fn kept(channels: usize, gone: &[usize]) -> Vec<usize> {
    (0..channels).filter(|channel| !gone.contains(channel)).collect()
}

/// Takes channels out of all that has them, and refits what reads them.
fn apply(model: &mut Model, group: &Group, collector: &Collector, gone: &[usize]) {
    let kept = kept(group.channels, gone);
    for reader in &group.readers {
        redistribute(model, reader, collector, group.channels, &kept, gone);
    }
    for &node in &group.writers {
        let inputs = model.nodes[node].inputs.clone();
        if let Some(weights) = inputs[1] {
            keep(model, weights, 0, &kept);
        }
        if let Some(bias) = inputs.get(2).copied().flatten() {
            keep(model, bias, 0, &kept);
        }
    }
    for &node in &group.depthwise {
        let inputs = model.nodes[node].inputs.clone();
        if let Some(weights) = inputs[1] {
            keep(model, weights, 3, &kept);
        }
        if let Some(bias) = inputs.get(2).copied().flatten() {
            keep(model, bias, 0, &kept);
        }
    }
    for &constant in &group.constants {
        let last = model.tensor(constant).shape.len() - 1;
        keep(model, constant, last, &kept);
    }
    for &tensor in &group.tensors {
        if let Some(last) = model.tensors[tensor.0].shape.last_mut() {
            *last = kept.len();
        }
    }
    for &node in &group.reshapes {
        reshape_to_result(model, node);
    }
}

/// What the lost channels did is done by those that are left, as far as they go together: for a 1x1
/// convolution this is the least squares fit of its result, for others that of each tap.
fn redistribute(
    model: &mut Model,
    reader: &Reader,
    collector: &Collector,
    channels: usize,
    kept: &[usize],
    gone: &[usize],
) {
    let covariance = covariance(reader, collector);
    let means = collector.of(Watch::Channels(reader.product.input)).means();
    let mut of_kept = Matrix::zeros(kept.len(), kept.len());
    for (row, &i) in kept.iter().enumerate() {
        for (column, &j) in kept.iter().enumerate() {
            of_kept.row_mut(row)[column] = covariance.row(i)[j];
        }
    }
    // By lost channel, what of each kept one stands for it.
    let mut shares: Vec<Vec<f64>> = Vec::with_capacity(gone.len());
    let factor = cholesky(of_kept);
    for &i in gone {
        let mut share: Vec<f64> = kept.iter().map(|&j| covariance.row(i)[j]).collect();
        match &factor {
            Some(factor) => {
                solve_lower(factor, &mut share);
                solve_upper(factor, &mut share);
            }
            None => share.fill(0.0),
        }
        shares.push(share);
    }
    let rows = rows_of(model, reader, channels);
    let shape = model.tensor(reader.product.weights).shape.clone();
    let outputs = shape[0];
    let taps = rows.rows() / outputs.max(1);
    let mut weights = Vec::with_capacity(rows.rows() * kept.len());
    let mut shifts = vec![0.0; outputs];
    let mut fitted = vec![0.0; kept.len()];
    for (at, row) in rows.data.chunks_exact(channels).enumerate() {
        for (into, &channel) in fitted.iter_mut().zip(kept) {
            *into = row[channel];
        }
        let mut shift = 0.0;
        for (share, &channel) in shares.iter().zip(gone) {
            crate::train::linear::axpy(row[channel], share, &mut fitted);
            shift += row[channel] * means[channel];
        }
        for (&now, &channel) in fitted.iter().zip(kept) {
            shift -= (now - row[channel]) * means[channel];
            weights.push(now as f32);
        }
        shifts[at / taps.max(1)] += shift;
    }
    let mut shape = shape;
    if let Some(last) = shape.last_mut() {
        *last = kept.len();
    }
    set_floats(model, reader.product.weights, shape, &weights);
    let bias = bias_of(model, reader.node, outputs);
    let tensor = model.tensor(bias);
    let values = tensor.constant_floats().unwrap_or_default();
    let shifted: Vec<f32> =
        values.iter().zip(&shifts).map(|(&bias, shift)| (f64::from(bias) + shift) as f32).collect();
    let shape = tensor.shape.clone();
    set_floats(model, bias, shape, &shifted);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Errors of the greedy order are those of least squares over the channels that are left.
    #[test]
    fn costs_are_what_least_squares_leaves() {
        let n = 5;
        let mut seed = 1u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(seed >> 8) / f64::from(1 << 24) - 0.5
        };
        let samples: Vec<Vec<f64>> = (0..40).map(|_| (0..n).map(|_| random()).collect()).collect();
        let mut covariance = Matrix::zeros(n, n);
        for sample in &samples {
            for (i, value) in sample.iter().enumerate() {
                crate::train::linear::axpy(value / 40.0, sample, covariance.row_mut(i));
            }
        }
        let weights: Vec<f64> = (0..n).map(|_| random()).collect();
        let mut squares = Matrix::zeros(n, n);
        for (i, value) in weights.iter().enumerate() {
            crate::train::linear::axpy(*value, &weights, squares.row_mut(i));
        }
        let mut reading =
            Reading { squares, inverse: inverse(covariance.clone()).unwrap(), weight: 1.0 };
        let mut total = 0.0;
        let mut kept: Vec<usize> = (0..n).collect();
        for channel in [3, 0, 4] {
            total += reading.cost(channel);
            reading.remove(channel);
            kept.retain(|&other| other != channel);
            // The residual of y = wᵀx on the kept channels: wᵀ C w - cᵀ C_kk⁻¹ c, c = C_k w.
            let product: Vec<f64> =
                (0..n).map(|i| crate::train::linear::dot(covariance.row(i), &weights)).collect();
            let mut of_kept = Matrix::zeros(kept.len(), kept.len());
            for (row, &i) in kept.iter().enumerate() {
                for (column, &j) in kept.iter().enumerate() {
                    of_kept.row_mut(row)[column] = covariance.row(i)[j];
                }
            }
            let mut half: Vec<f64> = kept.iter().map(|&i| product[i]).collect();
            solve_lower(&cholesky(of_kept).unwrap(), &mut half);
            let whole = crate::train::linear::dot(&product, &weights);
            let wanted = whole - crate::train::linear::dot(&half, &half);
            assert!((total - wanted).abs() < 1e-9, "{total} {wanted}");
        }
    }

    #[test]
    fn channels_are_kept_in_steps() {
        assert_eq!(steps(16), [0, 8]);
        assert_eq!(steps(20), [0, 4, 12]);
        assert_eq!(steps(4), [0, 1, 2, 3]);
        assert_eq!(least_kept(1280), 320);
    }
}
