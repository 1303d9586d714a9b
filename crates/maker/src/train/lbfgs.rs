//! Minimises a smooth convex function by L-BFGS, one iteration at a time.
//!
//! Two-loop recursion: Nocedal & Wright, *Numerical Optimization*, algorithm 7.4. Steps satisfy the
//! weak Wolfe conditions, found by bisection (Lewis & Overton 2013), which ends for convex functions.

use std::collections::VecDeque;

use super::linear::{axpy, dot};

/// Pairs of steps and differences of gradients that stand for the Hessian.
const HISTORY: usize = 10;
/// Sufficient decrease, as a share of what the slope promises.
const C1: f64 = 1e-4;
/// The same.
const C2: f64 = 0.9;
const MAX_TRIALS: usize = 40;

/// Where an iteration has led.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Further iterations get lower.
    Going,
    /// The gradient is as small as was asked for, or rounding lets nothing get lower.
    Done,
}

/// A function at `x`: writes its gradient and gives its value.
pub(crate) type Function<'a> = dyn FnMut(&[f64], &mut [f64]) -> f64 + 'a;

/// A minimisation under way.
#[derive(Clone, Debug)]
pub(crate) struct Lbfgs {
    pub x: Vec<f64>,
    pub value: f64,
    gradient: Vec<f64>,
    /// Steps, differences of gradients, and one over their product; oldest first.
    history: VecDeque<(Vec<f64>, Vec<f64>, f64)>,
    /// The largest element of the gradient at which to end.
    tolerance: f64,
    pub iterations: usize,
}

impl Lbfgs {
    /// Begins at `x`.
    pub fn new(x: Vec<f64>, tolerance: f64, function: &mut Function<'_>) -> Self {
        let mut gradient = vec![0.0; x.len()];
        let value = function(&x, &mut gradient);
        Self { x, value, gradient, history: VecDeque::new(), tolerance, iterations: 0 }
    }

    fn steepness(&self) -> f64 {
        self.gradient.iter().fold(0.0, |most: f64, element| most.max(element.abs()))
    }

    /// One iteration.
    pub fn step(&mut self, function: &mut Function<'_>) -> Step {
        if self.steepness() <= self.tolerance {
            return Step::Done;
        }
        let mut direction = self.direction();
        let mut slope = dot(&direction, &self.gradient);
        if slope.is_nan() || slope >= 0.0 {
            // The history has lost its meaning to rounding: begin again.
            self.history.clear();
            direction = self.gradient.iter().map(|element| -element).collect();
            slope = dot(&direction, &self.gradient);
        }
        let first = match self.history.is_empty() {
            true => 1.0 / slope.abs().sqrt().max(1.0),
            false => 1.0,
        };
        let Some((length, x, value, gradient)) = self.search(&direction, slope, first, function)
        else {
            return Step::Done;
        };
        let taken: Vec<f64> = direction.iter().map(|element| length * element).collect();
        let change: Vec<f64> =
            gradient.iter().zip(&self.gradient).map(|(new, old)| new - old).collect();
        let product = dot(&taken, &change);
        if product > 0.0 {
            if self.history.len() == HISTORY {
                self.history.pop_front();
            }
            self.history.push_back((taken, change, 1.0 / product));
        }
        (self.x, self.value, self.gradient) = (x, value, gradient);
        self.iterations += 1;
        match self.steepness() <= self.tolerance {
            true => Step::Done,
            false => Step::Going,
        }
    }

    /// Minus the gradient times the inverse Hessian, as far as the history knows it.
    fn direction(&self) -> Vec<f64> {
        let mut q: Vec<f64> = self.gradient.iter().map(|element| -element).collect();
        let mut alphas = Vec::with_capacity(self.history.len());
        for (step, change, inverse) in self.history.iter().rev() {
            let alpha = inverse * dot(step, &q);
            axpy(-alpha, change, &mut q);
            alphas.push(alpha);
        }
        if let Some((_, change, inverse)) = self.history.back() {
            let scale = 1.0 / (inverse * dot(change, change));
            q.iter_mut().for_each(|element| *element *= scale);
        }
        for ((step, change, inverse), alpha) in self.history.iter().zip(alphas.iter().rev()) {
            let beta = inverse * dot(change, &q);
            axpy(alpha - beta, step, &mut q);
        }
        q
    }

    /// A step along `direction` that gets low enough and flat enough; `None` where rounding hides it.
    #[allow(clippy::type_complexity, reason = "the parts are named where they are taken")]
    fn search(
        &self,
        direction: &[f64],
        slope: f64,
        first: f64,
        function: &mut Function<'_>,
    ) -> Option<(f64, Vec<f64>, f64, Vec<f64>)> {
        let (mut low, mut high, mut length) = (0.0, f64::INFINITY, first);
        let mut gradient = vec![0.0; self.x.len()];
        // The values themselves are rounded.
        let slack = 4.0 * f64::EPSILON * self.value.abs();
        for _ in 0..MAX_TRIALS {
            let mut x = self.x.clone();
            axpy(length, direction, &mut x);
            let value = function(&x, &mut gradient);
            if value.is_nan() || value > self.value + C1 * length * slope + slack {
                high = length;
            } else if dot(direction, &gradient) < C2 * slope {
                low = length;
            } else {
                // Nothing moves any more.
                let moved = value < self.value || gradient != self.gradient;
                return moved.then_some((length, x, value, gradient));
            }
            length = match high.is_finite() {
                true => 0.5 * (low + high),
                false => 2.0 * length,
            };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_point_of_an_ill_conditioned_valley_is_found() {
        let scales: Vec<f64> = (0..12).map(|i| 10f64.powi(i % 4)).collect();
        let mut function = |x: &[f64], gradient: &mut [f64]| {
            let mut value = 0.0;
            for ((x, gradient), scale) in x.iter().zip(gradient).zip(&scales) {
                // ln cosh: convex, and nowhere a parabola.
                value += scale * (x - 1.0).cosh().ln();
                *gradient = scale * (x - 1.0).tanh();
            }
            value
        };
        let mut search = Lbfgs::new(vec![0.0; 12], 1e-10, &mut function);
        while search.step(&mut function) == Step::Going {}
        assert!(search.x.iter().all(|x| (x - 1.0).abs() < 1e-9), "{:?}", search.x);
        assert!(search.iterations < 60, "{}", search.iterations);
    }
}
