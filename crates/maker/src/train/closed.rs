//! Heads in closed form: shrunk linear discriminant analysis, nearest centroid, ridge regression; and
//! what each would say about a picture if it had been trained without it.

use super::linear::{Matrix, axpy, dot, solve_lower, solve_upper};
use super::space::factor_scatter;

/// A linear head over points: `[classes, dims + 1]`, an intercept at each row's end.
pub(crate) type Parameters = Vec<f64>;

/// What a closed form gives.
#[derive(Clone, Debug)]
pub(crate) struct Solution {
    pub parameters: Parameters,
    /// By picture what the head says that was trained on all others, `[n, classes]`; NaN for the only
    /// picture of a class.
    pub left_out: Vec<f64>,
}

/// The pictures of each class.
struct Classes {
    counts: Vec<f64>,
    means: Matrix,
}

impl Classes {
    fn of(points: &Matrix, labels: &[usize], classes: usize) -> Self {
        let mut means = Matrix::zeros(classes, points.cols);
        let mut counts = vec![0.0; classes];
        for (row, &label) in labels.iter().enumerate() {
            counts[label] += 1.0;
            axpy(1.0, points.row(row), means.row_mut(label));
        }
        for (class, count) in counts.iter().enumerate() {
            means.row_mut(class).iter_mut().for_each(|value| *value /= f64::max(*count, 1.0));
        }
        Self { counts, means }
    }

    /// A point's distance from its class's mean.
    fn deviation(&self, point: &[f64], label: usize) -> Vec<f64> {
        point.iter().zip(self.means.row(label)).map(|(point, mean)| point - mean).collect()
    }
}

/// Linear discriminant analysis with one covariance for all classes, shrunk towards a sphere:
/// `(1 - shrinkage) S / n + shrinkage * trace(S) / (n features) I`, `S` the scatter within classes.
/// Logits are `log(prior) - (x - mean)ᵀ covariance⁻¹ (x - mean) / 2`, less what all classes have alike.
///
/// Priors are the classes' shares, or equal with `balanced`. A picture is left out by the formula of
/// Sherman and Morrison, the sphere kept in proportion to `S`'s. `None` where the covariance is
/// singular: with `shrinkage` 0.
pub(crate) fn discriminants(
    points: &Matrix,
    labels: &[usize],
    classes: usize,
    features: usize,
    shrinkage: f64,
    balanced: bool,
) -> Option<Solution> {
    let (n, dims) = (points.rows(), points.cols);
    let known = Classes::of(points, labels, classes);
    let deviation = |row: usize| known.deviation(points.row(row), labels[row]);
    let trace: f64 = (0..n).map(&deviation).map(|d| dot(&d, &d)).sum();
    // S + ridge I is the covariance times n / (1 - shrinkage). All alike have no scatter at all.
    let share = shrinkage.min(1.0 - 1e-9);
    let ridge = (share / (1.0 - share) * trace / features as f64).max(f64::MIN_POSITIVE);
    let factor = factor_scatter(&mut (0..n).map(deviation), dims, ridge)?;
    let scale = |count: f64| count / (1.0 - share);
    let prior = |count: f64, all: f64| match balanced {
        true => -(classes as f64).ln(),
        false => (count / all).ln(),
    };

    // In the coordinates in which S + ridge I is the identity, scalar products are what is needed.
    let whiten = |matrix: &Matrix| {
        let mut white = matrix.clone();
        (0..white.rows()).for_each(|row| solve_lower(&factor, white.row_mut(row)));
        white
    };
    let means = whiten(&known.means);
    let mut parameters = Vec::with_capacity(classes * (dims + 1));
    for (class, count) in known.counts.iter().enumerate() {
        let mean = means.row(class);
        let mut weights = mean.to_vec();
        solve_upper(&factor, &mut weights);
        parameters.extend(weights.iter().map(|weight| scale(n as f64) * weight));
        parameters.push(prior(*count, n as f64) - 0.5 * scale(n as f64) * dot(mean, mean));
    }

    let white = whiten(points);
    let mut left_out = vec![f64::NAN; n * classes];
    for (row, out) in left_out.chunks_exact_mut(classes).enumerate() {
        let (point, label) = (white.row(row), labels[row]);
        let count = known.counts[label];
        if count < 2.0 {
            continue;
        }
        let own = means.row(label);
        let away: Vec<f64> = point.iter().zip(own).map(|(point, mean)| point - mean).collect();
        // S without the picture is S - a d dᵀ.
        let a = count / (count - 1.0);
        let bend = a / (1.0 - a * dot(&away, &away));
        let product = |u: &[f64], v: &[f64]| dot(u, v) + bend * dot(u, &away) * dot(&away, v);
        for (class, out) in out.iter_mut().enumerate() {
            let mut mean = means.row(class).to_vec();
            let mut pictures = known.counts[class];
            if class == label {
                axpy(-1.0 / (count - 1.0), &away, &mut mean);
                pictures -= 1.0;
            }
            let distance = product(&mean, point) - 0.5 * product(&mean, &mean);
            *out = prior(pictures, n as f64 - 1.0) + scale(n as f64 - 1.0) * distance;
        }
    }
    Some(Solution { parameters, left_out })
}

/// Nearest centroid: logits are minus the squared distance from a class's mean, less what all classes
/// have alike.
pub(crate) fn centroids(points: &Matrix, labels: &[usize], classes: usize) -> Solution {
    let known = Classes::of(points, labels, classes);
    let mut parameters = Vec::with_capacity(classes * (points.cols + 1));
    for class in 0..classes {
        let mean = known.means.row(class);
        parameters.extend(mean.iter().map(|mean| 2.0 * mean));
        parameters.push(-dot(mean, mean));
    }
    let mut left_out = vec![f64::NAN; labels.len() * classes];
    for (row, out) in left_out.chunks_exact_mut(classes).enumerate() {
        let (point, label) = (points.row(row), labels[row]);
        let count = known.counts[label];
        if count < 2.0 {
            continue;
        }
        for (class, out) in out.iter_mut().enumerate() {
            let mut mean = known.means.row(class).to_vec();
            if class == label {
                axpy(-1.0 / (count - 1.0), &known.deviation(point, label), &mut mean);
            }
            *out = 2.0 * dot(&mean, point) - dot(&mean, &mean);
        }
    }
    Solution { parameters, left_out }
}

/// Ridge regression on one-hot targets, the intercepts unpenalised: `|Y - X W - b|² + l2 |W|²`. The
/// points' mean must be 0. What is left out is `y - e / (1 - h)`, `h` the leverage.
///
/// `None` where the points do not span their space and `l2` is 0.
pub(crate) fn ridge(
    points: &Matrix,
    labels: &[usize],
    classes: usize,
    l2: f64,
) -> Option<Solution> {
    let (n, dims) = (points.rows(), points.cols);
    let rows = &mut (0..n).map(|row| points.row(row).to_vec());
    let factor = factor_scatter(rows, dims, l2)?;
    let known = Classes::of(points, labels, classes);
    let mut parameters = Vec::with_capacity(classes * (dims + 1));
    for (class, count) in known.counts.iter().enumerate() {
        // Xᵀ y: the sum of the class's points.
        let mut weights: Vec<f64> =
            known.means.row(class).iter().map(|mean| count * mean).collect();
        solve_lower(&factor, &mut weights);
        solve_upper(&factor, &mut weights);
        parameters.extend(weights);
        parameters.push(count / n as f64);
    }
    let mut left_out = vec![0.0; n * classes];
    for (row, out) in left_out.chunks_exact_mut(classes).enumerate() {
        let mut white = points.row(row).to_vec();
        solve_lower(&factor, &mut white);
        let leverage = 1.0 / n as f64 + dot(&white, &white);
        super::softmax::logits(&parameters, points.row(row), out);
        for (class, out) in out.iter_mut().enumerate() {
            let target = f64::from(u8::from(class == labels[row]));
            *out = target - (target - *out) / (1.0 - leverage);
        }
    }
    Some(Solution { parameters, left_out })
}

#[cfg(test)]
mod tests {
    use super::super::softmax::logits;
    use super::*;

    const CLASSES: usize = 3;

    /// Points of mean 0 about three centers.
    fn points(n: usize, dims: usize) -> (Matrix, Vec<usize>) {
        let labels: Vec<usize> = (0..n).map(|row| row % CLASSES).collect();
        let mut x = Matrix::zeros(n, dims);
        for (row, &label) in labels.iter().enumerate() {
            for col in 0..dims {
                let noise = ((row * 31 + col * 17 + row * col) as f64 * 1.7).sin();
                x.row_mut(row)[col] = noise + f64::from(u8::from(col == label));
            }
        }
        center(&mut x);
        (x, labels)
    }

    fn center(x: &mut Matrix) {
        let n = x.rows();
        for col in 0..x.cols {
            let mean = (0..n).map(|row| x.row(row)[col]).sum::<f64>() / n as f64;
            (0..n).for_each(|row| x.row_mut(row)[col] -= mean);
        }
    }

    fn without(x: &Matrix, labels: &[usize], left: usize) -> (Matrix, Vec<usize>) {
        let rows = (0..x.rows()).filter(|&row| row != left);
        let data = rows.clone().flat_map(|row| x.row(row).to_vec()).collect();
        (Matrix { cols: x.cols, data }, rows.map(|row| labels[row]).collect())
    }

    fn compare(solution: &Solution, x: &Matrix, retrain: impl Fn(usize) -> Vec<f64>) {
        for row in 0..x.rows() {
            let brute = retrain(row);
            for (class, expected) in brute.iter().enumerate() {
                let found = solution.left_out[row * CLASSES + class];
                let error = (found - expected).abs() / expected.abs().max(1.0);
                assert!(error < 1e-9, "{row} {class}: {found} {expected}");
            }
        }
    }

    #[test]
    fn ridge_leaves_out_as_training_without_does() {
        for (n, dims) in [(23, 5), (11, 14)] {
            let (x, labels) = points(n, dims);
            let solution = ridge(&x, &labels, CLASSES, 0.3).unwrap();
            compare(&solution, &x, |row| {
                let (mut rest, labels) = without(&x, &labels, row);
                let before = rest.row(0).to_vec();
                center(&mut rest);
                let shift: Vec<f64> =
                    before.iter().zip(rest.row(0)).map(|(old, new)| old - new).collect();
                let trained = ridge(&rest, &labels, CLASSES, 0.3).unwrap();
                let point: Vec<f64> =
                    x.row(row).iter().zip(&shift).map(|(point, mean)| point - mean).collect();
                let mut out = vec![0.0; CLASSES];
                logits(&trained.parameters, &point, &mut out);
                out
            });
        }
    }

    #[test]
    fn discriminants_leave_out_as_training_without_does() {
        for balanced in [false, true] {
            let (x, labels) = points(24, 6);
            let whole = discriminants(&x, &labels, CLASSES, 6, 0.2, balanced).unwrap();
            let trace = |x: &Matrix, labels: &[usize]| {
                let known = Classes::of(x, labels, CLASSES);
                let away = |row| known.deviation(x.row(row), labels[row]);
                (0..x.rows()).map(away).map(|d| dot(&d, &d)).sum::<f64>()
            };
            let ridge = 0.2 / 0.8 * trace(&x, &labels) / 6.0;
            compare(&whole, &x, |row| {
                let (rest, labels) = without(&x, &labels, row);
                // The shrinkage that gives the same sphere, and the scale that it brings along.
                let sphere = ridge * 6.0 / trace(&rest, &labels);
                let share = sphere / (1.0 + sphere);
                let trained = discriminants(&rest, &labels, CLASSES, 6, share, balanced).unwrap();
                let mut out = vec![0.0; CLASSES];
                logits(&trained.parameters, x.row(row), &mut out);
                let counts = Classes::of(&rest, &labels, CLASSES).counts;
                for (out, count) in out.iter_mut().zip(counts) {
                    let prior = match balanced {
                        true => -(CLASSES as f64).ln(),
                        false => (count / 23.0).ln(),
                    };
                    *out = prior + (*out - prior) * (1.0 - share) / 0.8;
                }
                out
            });
        }
    }

    #[test]
    fn centroids_leave_out_as_training_without_does() {
        let (x, labels) = points(12, 4);
        let solution = centroids(&x, &labels, CLASSES);
        compare(&solution, &x, |row| {
            let (rest, labels) = without(&x, &labels, row);
            let mut out = vec![0.0; CLASSES];
            logits(&centroids(&rest, &labels, CLASSES).parameters, x.row(row), &mut out);
            out
        });
    }

    #[test]
    fn an_only_picture_cannot_be_left_out() {
        let (x, mut labels) = points(7, 3);
        labels[6] = 2;
        let one = (0..7).find(|&row| labels[row] == 2).unwrap();
        let labels: Vec<usize> = labels
            .iter()
            .enumerate()
            .map(|(r, &l)| if r != one && l == 2 { 0 } else { l })
            .collect();
        let solution = centroids(&x, &labels, CLASSES);
        assert!(solution.left_out[one * CLASSES].is_nan());
        let solution = discriminants(&x, &labels, CLASSES, 3, 0.5, false).unwrap();
        assert!(solution.left_out[one * CLASSES].is_nan());
    }
}
