//! Weights set to zero by what their loss costs the layer's result, which the rest of their row makes up
//! for.
//!
//! Source: Frantar and Alistarh 2023, "SparseGPT" (columns from the first to the last, each error handed
//! on by the Cholesky factor of the inverse); how much each layer loses is decided by one threshold on
//! errors as shares of the results' variances.

use achado_engine::SessionOptions;
use achado_model::{Model, Node, Operator, Result, TensorId};

use super::groups::Reader;
use super::moments::{Collector, MOST_SEEN, Patch, Watch};
use super::surgery::{bias_of, set_floats};
use super::{Product, Pruned, PrunedLayer, is_own, out_of_reach, product, refit};
use crate::train::linear::{Matrix, axpy, cholesky};

/// Columns whose zeros are chosen together.
const BLOCK: usize = 64;
/// The greatest share of a layer's weights that becomes zero.
const MOST: f64 = 0.9;
/// Of the mean variance, added to each.
const RIDGE: f64 = 1e-2;

/// How weights are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// By what their loss costs, and the others refitted.
    #[default]
    Error,
    /// The smallest of each layer, and nothing refitted: what Error is to be compared with.
    Magnitude,
}

/// A layer whose weights may become zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Layer {
    node: usize,
    product: Product,
    watch: Watch,
    /// Rows of `columns` weights: outputs, and taps where these are apart.
    columns: usize,
}

impl Layer {
    pub fn watch(&self) -> Watch {
        self.watch
    }
}

/// The layers of a model.
pub(super) fn find(model: &Model, excluded: &[bool]) -> Vec<Layer> {
    let layer = |(index, node): (usize, &Node)| {
        let product = product(model, node)?;
        let owned =
            is_own(model, product.weights) && product.bias.is_none_or(|id| is_own(model, id));
        if excluded[index] || !owned {
            return None;
        }
        let shape = &model.tensor(product.weights).shape;
        let channels = shape.last().copied()?;
        let patch = Patch::of(model, node)?;
        let seen = patch.taps() * channels;
        let (watch, columns) = match seen <= MOST_SEEN && !patch.is_pixel() {
            true => (Watch::Windows(product.input, patch), seen),
            false => (Watch::Channels(product.input), channels),
        };
        (channels > 0).then_some(Layer { node: index, product, watch, columns })
    };
    model.nodes.iter().enumerate().filter_map(layer).collect()
}

/// Sets `target` of all weights to zero.
pub(super) fn zero(
    model: &Model,
    layers: &[Layer],
    collector: &Collector,
    target: f64,
    choice: Choice,
    (samples, session): (&[Vec<u8>], &SessionOptions),
) -> Result<Pruned> {
    let all: usize = weights_of(model);
    let here: Vec<usize> =
        layers.iter().map(|layer| model.tensor(layer.product.weights).elements()).collect();
    let wanted = (target * all as f64).ceil() as usize;
    let most: usize = here.iter().map(|&count| (count as f64 * MOST) as usize).sum();
    if wanted > most {
        return Err(out_of_reach(target, most as f64 / all.max(1) as f64, "weights"));
    }
    let shares = match choice {
        Choice::Magnitude => {
            let share = wanted as f64 / here.iter().sum::<usize>().max(1) as f64;
            vec![share; layers.len()]
        }
        Choice::Error => shares(model, layers, collector, wanted),
    };
    let mut pruned = model.clone();
    let mut told = Vec::with_capacity(layers.len());
    for (layer, &share) in layers.iter().zip(&shares) {
        let error = match choice {
            Choice::Magnitude => {
                smallest(&mut pruned, layer, share);
                f64::NAN
            }
            Choice::Error => fitted(&mut pruned, layer, collector, share),
        };
        let values = pruned.tensor(layer.product.weights).constant_floats().unwrap_or_default();
        told.push(PrunedLayer {
            name: model.tensor(model.nodes[layer.node].outputs[0]).name.clone(),
            before: values.len(),
            after: values.iter().filter(|&&value| value != 0.0).count(),
            error,
        });
    }
    if choice == Choice::Error {
        let readers: Vec<Reader> =
            layers.iter().map(|layer| Reader::of(model, layer.node, layer.product)).collect();
        let whole = |reader| refit::Layer { reader, rows: None };
        let readers: Vec<refit::Layer<'_>> = readers.iter().map(whole).collect();
        refit::refit(model, &mut pruned, &readers, samples, session)?;
    }
    pruned.validate()?;
    let zeros = zeros_of(&pruned);
    Ok(Pruned { model: pruned, layers: told, reached: zeros as f64 / all.max(1) as f64 })
}

/// Float weights of convolutions, also depthwise, and dense layers.
fn weight_tensors(model: &Model) -> impl Iterator<Item = TensorId> {
    let weights = |node: &Node| match node.operator {
        Operator::Conv2d { .. }
        | Operator::DepthwiseConv2d { .. }
        | Operator::FullyConnected { .. }
        | Operator::TransposeConv { .. } => node.inputs.get(1).copied().flatten(),
        _ => None,
    };
    let mut ids: Vec<TensorId> = model.nodes.iter().filter_map(weights).collect();
    ids.retain(|&id| model.tensor(id).is_constant());
    ids.sort();
    ids.dedup();
    ids.into_iter()
}

fn weights_of(model: &Model) -> usize {
    weight_tensors(model).map(|id| model.tensor(id).elements()).sum()
}

fn zeros_of(model: &Model) -> usize {
    let zeros = |id: TensorId| {
        let values = model.tensor(id).constant_floats().unwrap_or_default();
        values.iter().filter(|&&value| value == 0.0).count()
    };
    weight_tensors(model).map(zeros).sum()
}

/// The variance of a layer's result by its weights and the covariance of what it reads.
fn result_variance(rows: &[f32], covariance: &Matrix) -> f64 {
    let width = covariance.cols;
    let mut row64 = vec![0.0; width];
    let mut sum = 0.0;
    for row in rows.chunks_exact(width) {
        for (into, &value) in row64.iter_mut().zip(row) {
            *into = f64::from(value);
        }
        for (i, &value) in row64.iter().enumerate() {
            if value != 0.0 {
                sum += value * crate::train::linear::dot(covariance.row(i), &row64);
            }
        }
    }
    sum.max(1e-12)
}

/// How much of each layer becomes zero: one bound for all on what a weight's loss costs.
fn shares(model: &Model, layers: &[Layer], collector: &Collector, wanted: usize) -> Vec<f64> {
    let mut costs: Vec<Vec<f32>> = Vec::with_capacity(layers.len());
    for layer in layers {
        let values = model.tensor(layer.product.weights).constant_floats().unwrap_or_default();
        let covariance = collector.of(layer.watch).covariance(RIDGE);
        let variance = result_variance(&values, &covariance);
        let pivots = pivots(covariance);
        let cost = |(at, &value): (usize, &f32)| {
            let pivot = pivots[at % layer.columns];
            (f64::from(value) * f64::from(value) / pivot / variance) as f32
        };
        costs.push(values.iter().enumerate().map(cost).collect());
    }
    let below = |bound: f32| -> Vec<usize> {
        (costs.iter())
            .map(|costs| {
                let count = costs.iter().filter(|&&cost| cost < bound).count();
                count.min((costs.len() as f64 * MOST) as usize)
            })
            .collect()
    };
    // By halves of the exponent: 60 steps end within the last digit.
    let (mut low, mut high) = (-40.0f64, 5.0f64);
    for _ in 0..48 {
        let middle = f64::midpoint(low, high);
        match below(10f64.powf(middle) as f32).iter().sum::<usize>() < wanted {
            true => low = middle,
            false => high = middle,
        }
    }
    let counts = below(10f64.powf(high) as f32);
    counts
        .iter()
        .zip(&costs)
        .map(|(&count, costs)| count as f64 / costs.len().max(1) as f64)
        .collect()
}

/// The diagonal of the inverse.
fn pivots(covariance: Matrix) -> Vec<f64> {
    let width = covariance.cols;
    match inverse_factor(covariance) {
        // The inverse is Uᵀ U.
        Some(factor) => {
            let mut squares = vec![0.0; width];
            for row in factor.data.chunks_exact(width) {
                for (square, value) in squares.iter_mut().zip(row) {
                    *square += value * value;
                }
            }
            squares
        }
        None => vec![1.0; width],
    }
}

/// `U`, an upper triangle with `Uᵀ U` the inverse of `matrix`.
fn inverse_factor(matrix: Matrix) -> Option<Matrix> {
    let n = matrix.cols;
    // From the last to the first, the lower triangle of the factor is an upper one.
    let mut turned = Matrix::zeros(n, n);
    for i in 0..n {
        for j in 0..n {
            turned.row_mut(i)[j] = matrix.row(n - 1 - i)[n - 1 - j];
        }
    }
    let lower = cholesky(turned)?;
    // matrix = R Rᵀ with R[i][j] = lower[n-1-i][n-1-j], so U is R's inverse: column by column.
    let mut inverse = Matrix::zeros(n, n);
    // Rows of the inverse of `lower`, from the first: e_i minus what is known already.
    for i in 0..n {
        let (known, rest) = inverse.data.split_at_mut(i * n);
        let row = &mut rest[..n];
        for (j, known) in known.chunks_exact(n).enumerate() {
            axpy(-lower.row(i)[j], &known[..=j], &mut row[..=j]);
        }
        row[i] = 1.0;
        let pivot = lower.row(i)[i];
        row[..=i].iter_mut().for_each(|value| *value /= pivot);
    }
    let mut upper = Matrix::zeros(n, n);
    for i in 0..n {
        for j in 0..n {
            upper.row_mut(i)[j] = inverse.row(n - 1 - i)[n - 1 - j];
        }
    }
    Some(upper)
}

/// Zeros the smallest weights of a layer.
fn smallest(model: &mut Model, layer: &Layer, share: f64) {
    let tensor = model.tensor(layer.product.weights);
    let shape = tensor.shape.clone();
    let mut values = tensor.constant_floats().unwrap_or_default();
    let count = (share * values.len() as f64).ceil() as usize;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].abs().total_cmp(&values[b].abs()));
    for &at in &order[..count.min(order.len())] {
        values[at] = 0.0;
    }
    set_floats(model, layer.product.weights, shape, &values);
}

/// Zeros weights of a layer, and lets those that are left make up for them. Gives the error that is
/// left as a share of the variance of the layer's result.
fn fitted(model: &mut Model, layer: &Layer, collector: &Collector, share: f64) -> f64 {
    let tensor = model.tensor(layer.product.weights);
    let shape = tensor.shape.clone();
    let original = tensor.constant_floats().unwrap_or_default();
    let moments = collector.of(layer.watch);
    let (covariance, means) = (moments.covariance(RIDGE), moments.means());
    let width = layer.columns;
    let Some(factor) = inverse_factor(covariance.clone()) else {
        smallest(model, layer, share);
        return f64::NAN;
    };
    let rows = original.len() / width.max(1);
    let mut weights =
        Matrix { cols: width, data: original.iter().map(|&value| f64::from(value)).collect() };
    let mut errors = vec![0.0; BLOCK];
    // What is too little or too much in one block is evened out in the next.
    let mut zeroed = 0usize;
    for start in (0..width).step_by(BLOCK) {
        let end = (start + BLOCK).min(width);
        let wanted = (share * (end * rows) as f64).ceil() as usize;
        let count = wanted.saturating_sub(zeroed).min((end - start) * rows);
        let is_zero = choose(&weights, &factor, start, end, count);
        zeroed += count;
        for (row, is_zero) in is_zero.chunks_exact(end - start).enumerate() {
            let values = weights.row_mut(row);
            for column in start..end {
                let error = &mut errors[column - start];
                *error = 0.0;
                if !is_zero[column - start] {
                    continue;
                }
                let of_factor = factor.row(column);
                *error = values[column] / of_factor[column];
                values[column] = 0.0;
                axpy(-*error, &of_factor[column + 1..end], &mut values[column + 1..end]);
            }
            // What lies behind the block, once for all of its columns.
            for column in start..end {
                let error = errors[column - start];
                if error != 0.0 {
                    axpy(-error, &factor.row(column)[end..], &mut values[end..]);
                }
            }
        }
    }
    let now: Vec<f32> = weights.data.iter().map(|&value| value as f32).collect();
    let outputs = shape[0].max(1);
    let per_output = original.len() / outputs;
    let mut shifts = vec![0.0; outputs];
    for (at, (&before, &after)) in original.iter().zip(&now).enumerate() {
        shifts[at / per_output] += f64::from(before - after) * means[at % width];
    }
    let lost: Vec<f32> = original.iter().zip(&now).map(|(before, after)| before - after).collect();
    let error = result_variance(&lost, &covariance) / result_variance(&original, &covariance);
    set_floats(model, layer.product.weights, shape, &now);
    let bias = bias_of(model, layer.node, outputs);
    let tensor = model.tensor(bias);
    let shape = tensor.shape.clone();
    let biases: Vec<f32> = (tensor.constant_floats().unwrap_or_default().iter().zip(&shifts))
        .map(|(&bias, shift)| (f64::from(bias) + shift) as f32)
        .collect();
    set_floats(model, bias, shape, &biases);
    error
}

/// Which weights of some columns become zero: the `count` whose loss costs least.
fn choose(weights: &Matrix, factor: &Matrix, start: usize, end: usize, count: usize) -> Vec<bool> {
    let width = end - start;
    let mut costs = Vec::with_capacity(weights.rows() * width);
    for row in weights.data.chunks_exact(weights.cols) {
        costs.extend((start..end).map(|column| {
            let pivot = factor.row(column)[column];
            (row[column] / pivot).powi(2)
        }));
    }
    let mut is_zero = vec![false; costs.len()];
    if count == 0 {
        return is_zero;
    }
    let mut order: Vec<usize> = (0..costs.len()).collect();
    if count < order.len() {
        order.select_nth_unstable_by(count - 1, |&a, &b| {
            costs[a].total_cmp(&costs[b]).then(a.cmp(&b))
        });
    }
    for &at in &order[..count.min(order.len())] {
        is_zero[at] = true;
    }
    is_zero
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_makes_the_inverse() {
        let a = Matrix { cols: 3, data: vec![4.0, 2.0, -2.0, 2.0, 10.0, 4.0, -2.0, 4.0, 9.0] };
        let u = inverse_factor(a.clone()).unwrap();
        for i in 0..3 {
            for j in 0..3 {
                // a (Uᵀ U) is the identity.
                let inverse = |k: usize, j: usize| -> f64 {
                    (0..3).map(|row| u.row(row)[k] * u.row(row)[j]).sum()
                };
                let product: f64 = (0..3).map(|k| a.row(i)[k] * inverse(k, j)).sum();
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-12, "{i} {j}");
                assert!(j >= i || u.row(i)[j] == 0.0);
            }
        }
        let diagonal: Vec<f64> = pivots(a);
        assert!((diagonal[0] - (u.row(0)[0] * u.row(0)[0])).abs() < 1e-12);
    }
}
