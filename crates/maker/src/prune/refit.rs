//! Layers fitted anew, from the first to the last, to what they wrote before anything was pruned: each
//! evens out what those before it have lost.

use achado_engine::SessionOptions;
use achado_model::{Model, Operator, Result, TensorId};

use super::groups::Reader;
use super::moments::{Patch, sampled};
use super::product;
use super::surgery::{bias_of, set_floats};
use crate::quantize::Watched;
use crate::train::linear::{Matrix, axpy, cholesky, dot, solve_lower, solve_upper};

/// Runs over all pictures: layers that are fitted in one of them do not see one another's changes.
const PASSES: usize = 10;
/// The most numbers that a layer sees of one pixel for it to be fitted.
const MOST_FITTED: usize = 2048;
/// Rounds over the weights of a row that is sparse, and multiplications after which there are fewer.
const ROUNDS: (usize, f64) = (20, 2e9);
/// Pixels of one picture that a layer is fitted to, at most.
const PIXELS: usize = 32;
/// What weights are held to those that they have, as a share of the mean variance of what they read; more
/// where there are few pixels.
const RIDGE: f64 = 3e-3;

/// Fits the layers that read cut channels, so that the sums they are part of come out as in `float`.
pub(super) fn refit(
    float: &Model,
    pruned: &mut Model,
    readers: &[Layer<'_>],
    samples: &[Vec<u8>],
    session: &SessionOptions,
) -> Result<()> {
    let mut readers = readers.to_vec();
    readers.sort_by_key(|layer| layer.reader.node);
    for some in readers.chunks(readers.len().div_ceil(PASSES).max(1)) {
        let fits = collect(float, pruned, some, samples, session)?;
        for fit in fits {
            fit.apply(pruned);
        }
    }
    Ok(())
}

/// A layer to be fitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer<'a> {
    pub reader: &'a Reader,
    /// The rows of its weights that are left, where some were cut.
    pub rows: Option<&'a [usize]>,
}

/// What a layer reads and is to write.
struct Fit {
    node: usize,
    patch: Patch,
    /// The other operand of the sum that the layer's result is part of.
    beside: Option<TensorId>,
    /// Of the float model, `[out, taps * in]`.
    weights: Matrix,
    bias: Vec<f64>,
    count: f64,
    read: Vec<f64>,
    written: Vec<f64>,
    /// `x xᵀ`, lower triangle.
    products: Matrix,
    /// `x yᵀ`.
    cross: Matrix,
}

impl Fit {
    fn new(float: &Model, pruned: &Model, layer: &Layer<'_>) -> Option<Self> {
        let reader = layer.reader;
        let node = &float.nodes[reader.node];
        let own = product(float, node)?;
        let patch = Patch::of(float, node)?;
        let floats = |id: TensorId| -> Vec<f64> {
            let values = float.tensor(id).constant_floats().unwrap_or_default();
            values.into_iter().map(f64::from).collect()
        };
        let all = float.tensor(own.weights).shape.first().copied()?;
        let (values, biases) = (floats(own.weights), own.bias.map(floats));
        let columns = values.len() / all.max(1);
        let rows: Vec<usize> = layer.rows.map_or_else(|| (0..all).collect(), <[usize]>::to_vec);
        let row = |&row: &usize| &values[row * columns..][..columns];
        let weights = Matrix { cols: columns, data: rows.iter().flat_map(row).copied().collect() };
        let bias =
            rows.iter().map(|&row| biases.as_ref().map_or(0.0, |biases| biases[row])).collect();
        let now = product(pruned, &pruned.nodes[reader.node])?;
        let shape = &pruned.tensor(now.weights).shape;
        let (outputs, inputs) = (rows.len(), shape[1..].iter().product::<usize>());
        if shape.first() != Some(&outputs) || inputs > MOST_FITTED {
            return None;
        }
        let output = node.outputs[0];
        let sum = float.nodes.iter().find(|other| {
            other.outputs.first() == Some(&reader.result) && other.inputs.contains(&Some(output))
        });
        let beside = sum.and_then(|sum| {
            let others = sum.inputs.iter().flatten().copied();
            let mut others = others.filter(|&id| id != output);
            others.next().filter(|&id| {
                outputs == all
                    && !float.tensor(id).is_constant()
                    && float.tensor(id).shape == float.tensor(output).shape
            })
        });
        Some(Self {
            node: reader.node,
            patch,
            beside,
            bias,
            weights,
            count: 0.0,
            read: vec![0.0; inputs],
            written: vec![0.0; outputs],
            products: Matrix::zeros(inputs, inputs),
            cross: Matrix::zeros(inputs, outputs),
        })
    }

    /// One pixel: what the float model reads, what the pruned one reads, and what is added to it.
    fn add(&mut self, float: &[f32], now: &[f32], drift: Option<(&[f32], &[f32])>) {
        let float: Vec<f64> = float.iter().map(|&value| f64::from(value)).collect();
        let now: Vec<f64> = now.iter().map(|&value| f64::from(value)).collect();
        let mut target = self.bias.clone();
        for (row, target) in target.iter_mut().enumerate() {
            *target += dot(self.weights.row(row), &float);
        }
        if let Some((before, after)) = drift {
            for ((target, &before), &after) in target.iter_mut().zip(before).zip(after) {
                *target += f64::from(before) - f64::from(after);
            }
        }
        self.count += 1.0;
        axpy(1.0, &now, &mut self.read);
        axpy(1.0, &target, &mut self.written);
        for (i, &value) in now.iter().enumerate() {
            if value != 0.0 {
                axpy(value, &now[..=i], &mut self.products.row_mut(i)[..=i]);
                axpy(value, &target, self.cross.row_mut(i));
            }
        }
    }

    fn apply(mut self, model: &mut Model) {
        let Some(own) = product(model, &model.nodes[self.node]) else { return };
        let count = self.count.max(1.0);
        let inputs = self.read.len();
        let outputs = self.written.len();
        let means: Vec<f64> = self.read.iter().map(|sum| sum / count).collect();
        let results: Vec<f64> = self.written.iter().map(|sum| sum / count).collect();
        let mut trace = 0.0;
        for (i, &mean) in means.iter().enumerate() {
            let row = &mut self.products.row_mut(i)[..=i];
            row.iter_mut().for_each(|value| *value /= count);
            axpy(-mean, &means[..=i], row);
            trace += row[i].max(0.0);
            let row = self.cross.row_mut(i);
            row.iter_mut().for_each(|value| *value /= count);
            axpy(-mean, &results, row);
        }
        let ridge = (RIDGE * trace / inputs.max(1) as f64 * (1.0 + 30.0 * inputs as f64 / count))
            .max(1e-12);
        for i in 0..inputs {
            self.products.row_mut(i)[i] += ridge;
        }
        let shape = model.tensor(own.weights).shape.clone();
        let mut weights = model.tensor(own.weights).constant_floats().unwrap_or_default();
        let mut biases = Vec::with_capacity(outputs);
        let mut column = vec![0.0; inputs];
        let solver = Solver::new(self.products, &weights);
        for (output, row) in weights.chunks_exact_mut(inputs).enumerate() {
            for (i, (into, &weight)) in column.iter_mut().zip(&*row).enumerate() {
                *into = self.cross.row(i)[output] + ridge * f64::from(weight);
            }
            solver.solve(row, &mut column);
            for (weight, &fitted) in row.iter_mut().zip(&column) {
                *weight = fitted as f32;
            }
            biases.push((results[output] - dot(&column, &means)) as f32);
        }
        set_floats(model, own.weights, shape, &weights);
        let bias = bias_of(model, self.node, outputs);
        let shape = model.tensor(bias).shape.clone();
        set_floats(model, bias, shape, &biases);
    }
}

/// Solves for the rows of a layer's weights.
enum Solver {
    /// By the factor of the products.
    Dense(Matrix),
    /// Zeros stay: by rounds over the weights that are none, each set to its best beside the others.
    Sparse { products: Matrix, rounds: usize },
    /// Rows stay as they are.
    None,
}

impl Solver {
    /// `products` in the lower triangle.
    fn new(mut products: Matrix, weights: &[f32]) -> Self {
        let left = weights.iter().filter(|&&weight| weight != 0.0).count();
        if left == weights.len() {
            return cholesky(products).map_or(Self::None, Self::Dense);
        }
        let n = products.cols;
        for i in 0..n {
            for j in 0..i {
                products.row_mut(j)[i] = products.row(i)[j];
            }
        }
        let (most, budget) = ROUNDS;
        let rounds = (budget / (left.max(1) as f64 * n as f64)) as usize;
        Self::Sparse { products, rounds: rounds.clamp(2, most) }
    }

    /// From the right side to the row, which begins as `row`.
    fn solve(&self, row: &[f32], side: &mut [f64]) {
        match self {
            Self::Dense(factor) => {
                solve_lower(factor, side);
                solve_upper(factor, side);
            }
            Self::Sparse { products, rounds } => {
                let mut now: Vec<f64> = row.iter().map(|&weight| f64::from(weight)).collect();
                let left: Vec<usize> = (0..now.len()).filter(|&i| row[i] != 0.0).collect();
                for _ in 0..*rounds {
                    for &i in &left {
                        let products = products.row(i);
                        now[i] += (side[i] - dot(products, &now)) / products[i];
                    }
                }
                side.copy_from_slice(&now);
            }
            Self::None => {
                for (side, &weight) in side.iter_mut().zip(row) {
                    *side = f64::from(weight);
                }
            }
        }
    }
}

fn collect(
    float: &Model,
    pruned: &Model,
    readers: &[Layer<'_>],
    samples: &[Vec<u8>],
    session: &SessionOptions,
) -> Result<Vec<Fit>> {
    let mut fits: Vec<Fit> =
        readers.iter().filter_map(|reader| Fit::new(float, pruned, reader)).collect();
    let input = |fit: &Fit| float.nodes[fit.node].inputs[0];
    let mut ids: Vec<TensorId> =
        fits.iter().flat_map(|fit| [input(fit), fit.beside]).flatten().collect();
    ids.sort();
    ids.dedup();
    if ids.is_empty() {
        return Ok(fits);
    }
    // Only what lies before the last of them is run.
    let last = fits.iter().map(|fit| fit.node).max().unwrap_or(0);
    let mut before = Watched::new(&until(float, last, &ids), &ids, session)?;
    let mut after = Watched::new(&until(pruned, last, &ids), &ids, session)?;
    for (picture, sample) in samples.iter().enumerate() {
        let (float_values, now_values) =
            (values(&mut before, sample)?, values(&mut after, sample)?);
        let of = |values: &[Values], id: TensorId| values.iter().position(|one| one.0 == id);
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for fit in &mut fits {
            let Some(id) = float.nodes[fit.node].inputs[0] else { continue };
            let (Some(a), Some(b)) = (of(&float_values, id), of(&now_values, id)) else { continue };
            let ((_, shape, floats), (_, now_shape, nows)) = (&float_values[a], &now_values[b]);
            let beside = fit.beside.and_then(|id| {
                let (a, b) = (of(&float_values, id)?, of(&now_values, id)?);
                Some((&float_values[a].2, &now_values[b].2))
            });
            let outputs = fit.written.len();
            for at in sampled(fit.patch.places(shape), picture, PIXELS) {
                fit.patch.gather(shape, floats, at, &mut x);
                fit.patch.gather(now_shape, nows, at, &mut y);
                let pixel = |values: &'_ [f32]| -> Vec<f32> {
                    values.get(at * outputs..(at + 1) * outputs).unwrap_or_default().to_vec()
                };
                let drift = beside.map(|(a, b)| (pixel(a), pixel(b)));
                let drift = drift.as_ref().map(|(a, b)| (&a[..], &b[..]));
                fit.add(&x, &y, drift);
            }
        }
    }
    Ok(fits)
}

/// The model up to an operator, with what is watched as its outputs.
fn until(model: &Model, last: usize, ids: &[TensorId]) -> Model {
    let mut model = model.clone();
    model.nodes.truncate(last + 1);
    model.outputs = ids.iter().copied().filter(|id| !model.inputs.contains(id)).collect();
    model.signatures.clear();
    model.metadata = None;
    model.source_order = None;
    if model.outputs.is_empty() {
        model.outputs = vec![model.nodes[last].outputs[0]];
    }
    model
}

/// A tensor with its shape and elements.
type Values = (TensorId, Vec<usize>, Vec<f32>);

fn values(watched: &mut Watched, sample: &[u8]) -> Result<Vec<Values>> {
    watched.run(&[sample])?;
    let mut values = Vec::new();
    watched.each(&mut |id, tensor, bytes| {
        let floats = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
        values.push((id, tensor.shape.clone(), floats.collect()));
        Ok(())
    })?;
    Ok(values)
}

impl Patch {
    /// What a convolution or dense layer sees of one place.
    pub fn of(model: &Model, node: &achado_model::Node) -> Option<Self> {
        let own = product(model, node)?;
        Some(match (&node.operator, &model.tensor(own.weights).shape[..]) {
            (&Operator::Conv2d { stride, dilation, padding, .. }, &[_, height, width, _]) => {
                Self::window([height, width], stride, dilation, padding)
            }
            _ => Self::pixel(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Zeros stay, and no weight beside them can be made better.
    #[test]
    fn sparse_rows_end_at_their_best() {
        let products = Matrix { cols: 3, data: vec![4.0, 0.0, 0.0, 1.0, 3.0, 0.0, 0.5, -1.0, 2.0] };
        let side = [1.0, 2.0, 3.0];
        let mut found = side;
        let row = [1.0f32, 0.0, -1.0];
        Solver::new(products.clone(), &row).solve(&row, &mut found);
        assert_eq!(found[1], 0.0);
        // 4 a + 0.5 c = 1, 0.5 a + 2 c = 3.
        let c = (3.0 - 0.125) / (2.0 - 0.0625);
        assert!((found[2] - c).abs() < 1e-9 && (found[0] - (1.0 - 0.5 * c) / 4.0).abs() < 1e-9);
        let mut whole = side;
        Solver::new(products, &[1.0; 3]).solve(&[1.0; 3], &mut whole);
        let back = 4.0 * whole[0] + whole[1] + 0.5 * whole[2];
        assert!((back - 1.0).abs() < 1e-9, "{back}");
    }
}
