//! Embeddings as the heads take them: of length 1, about their mean, in as few dimensions as they need.

use achado_model::{Error, Result};

use super::linear::{Matrix, axpy, cholesky, dot, solve_upper};

/// Directions in which pictures differ by less than this share of the largest variance are rounding.
const RANK_TOLERANCE: f64 = 1e-12;

/// Pictures as points. Heads are linear, so that only scalar products count: where there are far fewer
/// pictures than features, the points are turned, exactly, into a space of as many dimensions as there
/// are pictures.
#[derive(Clone, Debug)]
pub(crate) struct Space {
    /// The mean of the normalized embeddings, `[features]`.
    mean: Vec<f64>,
    /// The normalized embeddings less their mean, `[n, features]`; turned, only the pivots' rows.
    centered: Matrix,
    /// The points, `[n, dims]`; empty where `centered` are they.
    turned: Matrix,
    /// The pivots' points, in order: a lower triangle, `[dims, dims]`.
    triangle: Matrix,
}

impl Space {
    /// The space of `embeddings`, `[n, features]`.
    ///
    /// # Errors
    /// `INVALID_INPUT` for values that are no finite numbers.
    pub fn new(embeddings: &[f32], features: usize) -> Result<Self> {
        let mut x = Matrix { cols: features, data: Vec::with_capacity(embeddings.len()) };
        for (row, values) in embeddings.chunks_exact(features).enumerate() {
            let squares: f64 = values.iter().map(|&value| f64::from(value).powi(2)).sum();
            if !squares.is_finite() {
                return Err(Error::invalid_input(format!(
                    "the embedding of picture {row} holds a value that is no finite number: the \
                     model does not work on it"
                ))
                .with("picture", row));
            }
            // A picture without any feature stays at the origin, as L2_NORMALIZATION leaves it.
            let inverse = 1.0 / squares.sqrt().max(1e-6);
            x.data.extend(values.iter().map(|&value| f64::from(value) * inverse));
        }
        let n = x.rows();
        let mut mean = vec![0.0; features];
        for row in 0..n {
            axpy(1.0 / n as f64, x.row(row), &mut mean);
        }
        for row in 0..n {
            axpy(-1.0, &mean, x.row_mut(row));
        }
        let mut space =
            Self { mean, centered: x, turned: Matrix::default(), triangle: Matrix::default() };
        if 2 * n <= features {
            space.turn();
        }
        Ok(space)
    }

    /// Cholesky's factor of the points' scalar products, with pivots: its rows are the points in a
    /// basis of the space that they span.
    fn turn(&mut self) {
        let n = self.centered.rows();
        let mut rest: Vec<f64> =
            (0..n).map(|row| dot(self.centered.row(row), self.centered.row(row))).collect();
        let limit = RANK_TOLERANCE * rest.iter().copied().fold(0.0, f64::max);
        let mut l = Matrix::zeros(n, n);
        let mut pivots: Vec<usize> = Vec::new();
        while pivots.len() < n {
            let pivot = (0..n).fold(0, |best, row| if rest[row] > rest[best] { row } else { best });
            if rest[pivot] <= limit {
                break;
            }
            let column = pivots.len();
            let scale = rest[pivot].sqrt();
            let own = l.row(pivot)[..column].to_vec();
            for (row, rest) in rest.iter_mut().enumerate() {
                if pivots.contains(&row) {
                    continue;
                }
                let product = dot(self.centered.row(row), self.centered.row(pivot));
                let value = (product - dot(&l.row(row)[..column], &own)) / scale;
                l.row_mut(row)[column] = value;
                *rest -= value * value;
            }
            l.row_mut(pivot)[column] = scale;
            rest[pivot] = 0.0;
            pivots.push(pivot);
        }
        // One dimension at least, so that rows have a length.
        let dims = pivots.len().max(1);
        let narrow = |rows: &mut dyn Iterator<Item = usize>| {
            let data = rows.flat_map(|row| l.row(row)[..dims].to_vec()).collect();
            Matrix { cols: dims, data }
        };
        self.triangle = narrow(&mut pivots.iter().copied());
        self.turned = narrow(&mut (0..n));
        let data = pivots.iter().flat_map(|&row| self.centered.row(row).to_vec()).collect();
        self.centered = Matrix { cols: self.centered.cols, data };
    }

    /// The points, `[n, dims]`. Their mean is 0.
    pub fn points(&self) -> &Matrix {
        if self.turned.cols == 0 { &self.centered } else { &self.turned }
    }

    /// The number of features of an embedding.
    pub fn features(&self) -> usize {
        self.mean.len()
    }

    /// A linear function of a point, `w · point + bias`, as one of a normalized embedding.
    pub fn lift(&self, w: &[f64], bias: f64) -> (Vec<f64>, f64) {
        let weights = if self.turned.cols == 0 {
            w.to_vec()
        } else {
            let mut weights = vec![0.0; self.features()];
            if self.triangle.rows() > 0 {
                let mut shares = w.to_vec();
                solve_upper(&self.triangle, &mut shares);
                for (row, share) in shares.iter().enumerate() {
                    axpy(*share, self.centered.row(row), &mut weights);
                }
            }
            weights
        };
        let bias = bias - dot(&weights, &self.mean);
        (weights, bias)
    }
}

/// Sums of a scatter matrix `sum(w_i x_i x_iᵀ)` and a multiple of the identity, factored.
///
/// Gives `None` where that is not positive definite.
pub(crate) fn factor_scatter(
    rows: &mut dyn Iterator<Item = Vec<f64>>,
    dims: usize,
    ridge: f64,
) -> Option<Matrix> {
    let mut scatter = Matrix::zeros(dims, dims);
    for row in rows {
        for (i, value) in row.iter().enumerate() {
            axpy(*value, &row[..=i], &mut scatter.row_mut(i)[..=i]);
        }
    }
    for i in 0..dims {
        scatter.row_mut(i)[i] += ridge;
    }
    cholesky(scatter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embeddings(n: usize, features: usize) -> Vec<f32> {
        (0..n * features).map(|i| ((i * i % 97) as f32 * 0.37).sin() + 1.0).collect()
    }

    #[test]
    fn turning_keeps_scalar_products_and_functions() {
        let values = embeddings(9, 40);
        let space = Space::new(&values, 40).unwrap();
        let points = space.points();
        assert!(points.cols < 10, "{}", points.cols);
        let mut whole = Matrix { cols: 40, data: Vec::new() };
        for row in values.chunks(40) {
            let norm = row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
            whole.data.extend(row.iter().map(|&v| f64::from(v) / norm));
        }
        let w: Vec<f64> = (0..points.cols).map(|i| i as f64 - 2.5).collect();
        let (weights, bias) = space.lift(&w, 0.75);
        for row in 0..9 {
            let here = dot(&w, points.row(row)) + 0.75;
            let there = dot(&weights, whole.row(row)) + bias;
            assert!((here - there).abs() < 1e-9, "{row}: {here} {there}");
        }
    }

    #[test]
    fn equal_and_empty_pictures_have_a_place() {
        let space = Space::new(&[0.0; 24], 8).unwrap();
        assert_eq!(space.points().cols, 1);
        assert_eq!(space.lift(&[2.0], 1.5), (vec![0.0; 8], 1.5));
        assert!(Space::new(&[1.0, f32::NAN], 2).is_err());
        assert!(Space::new(&[1.0, f32::INFINITY], 2).is_err());
    }
}
