//! Softmax regression with L2: the loss, and its gradient.

use super::linear::{Matrix, axpy, dot};

/// `mean(w_i * -ln p_i) + penalty / 2 * |W|²`, the intercepts unpenalised, over some rows of a matrix.
///
/// Parameters are `[classes, features + 1]`, an intercept at each row's end. With
/// `penalty = l2 / sum(w)` it is scikit-learn's `LogisticRegression(C=1/l2)` divided by `C * sum(w)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Objective<'a> {
    pub x: &'a Matrix,
    /// Which rows of `x`.
    pub rows: &'a [usize],
    /// By row of `x`: the class, below `classes`.
    pub labels: &'a [usize],
    /// By row of `x`.
    pub weights: &'a [f64],
    pub classes: usize,
    pub penalty: f64,
}

impl Objective<'_> {
    /// The number of parameters.
    pub fn size(&self) -> usize {
        self.classes * (self.x.cols + 1)
    }

    /// The value at `parameters`, and its gradient.
    pub fn evaluate(&self, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        let features = self.x.cols;
        gradient.fill(0.0);
        let mut probabilities = vec![0.0; self.classes];
        let (mut loss, mut total) = (0.0, 0.0);
        for &row in self.rows {
            let x = self.x.row(row);
            let weight = self.weights[row];
            let label = self.labels[row];
            logits(parameters, x, &mut probabilities);
            loss += weight * (log_sum_exp(&probabilities) - probabilities[label]);
            softmax(&mut probabilities);
            probabilities[label] -= 1.0;
            for (class, probability) in probabilities.iter().enumerate() {
                let slope = weight * probability;
                let gradient = &mut gradient[class * (features + 1)..][..=features];
                axpy(slope, x, gradient);
                gradient[features] += slope;
            }
            total += weight;
        }
        let mut squares = 0.0;
        for class in 0..self.classes {
            let place = class * (features + 1)..class * (features + 1) + features;
            let weights = &parameters[place.clone()];
            gradient[place.start..=place.end].iter_mut().for_each(|element| *element /= total);
            axpy(self.penalty, weights, &mut gradient[place]);
            squares += dot(weights, weights);
        }
        loss / total + 0.5 * self.penalty * squares
    }
}

/// `W x + b` for parameters as [`Objective`] has them.
pub(crate) fn logits(parameters: &[f64], x: &[f64], out: &mut [f64]) {
    for (out, weights) in out.iter_mut().zip(parameters.chunks_exact(x.len() + 1)) {
        *out = dot(&weights[..x.len()], x) + weights[x.len()];
    }
}

/// `ln sum(exp(z))`, without overflow.
pub(crate) fn log_sum_exp(z: &[f64]) -> f64 {
    let most = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most + z.iter().map(|z| (z - most).exp()).sum::<f64>().ln()
}

/// `exp(z) / sum(exp(z))` in place, without overflow.
pub(crate) fn softmax(z: &mut [f64]) {
    let most = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    z.iter_mut().for_each(|z| *z = (*z - most).exp());
    let sum: f64 = z.iter().sum();
    z.iter_mut().for_each(|z| *z /= sum);
}

/// The place of the largest element, the first of equals.
pub(crate) fn argmax(z: &[f64]) -> usize {
    (0..z.len()).fold(0, |best, index| if z[index] > z[best] { index } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_the_slope() {
        let x = Matrix { cols: 2, data: vec![0.3, -1.0, 0.8, 0.1, -0.5, 0.4] };
        let objective = Objective {
            x: &x,
            rows: &[0, 2, 1],
            labels: &[0, 2, 1],
            weights: &[1.0, 0.5, 2.0],
            classes: 3,
            penalty: 0.1,
        };
        let at: Vec<f64> = (0..objective.size()).map(|i| (i as f64 * 0.7).sin()).collect();
        let mut gradient = vec![0.0; at.len()];
        let mut unused = gradient.clone();
        objective.evaluate(&at, &mut gradient);
        for (index, slope) in gradient.iter().enumerate() {
            let mut beside = |by: f64| {
                let mut at = at.clone();
                at[index] += by;
                objective.evaluate(&at, &mut unused)
            };
            let measured = (beside(1e-5) - beside(-1e-5)) / 2e-5;
            assert!((measured - slope).abs() < 1e-8, "{index}: {measured} {slope}");
        }
    }
}
