//! Dense vectors and matrices of f64, as far as the heads need them.

/// A matrix in row-major order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Matrix {
    /// Columns; 0 only for an empty matrix.
    pub cols: usize,
    /// `rows * cols` elements.
    pub data: Vec<f64>,
}

impl Matrix {
    pub fn zeros(rows: usize, cols: usize) -> Self {
        Self { cols, data: vec![0.0; rows * cols] }
    }

    pub fn rows(&self) -> usize {
        self.data.len().checked_div(self.cols).unwrap_or(0)
    }

    pub fn row(&self, index: usize) -> &[f64] {
        &self.data[index * self.cols..][..self.cols]
    }

    pub fn row_mut(&mut self, index: usize) -> &mut [f64] {
        &mut self.data[index * self.cols..][..self.cols]
    }
}

/// Sums in flight: independent chains that the compiler keeps in vectors.
const LANES: usize = 8;

/// The scalar product. The order of additions is fixed, so that a build gives the same bits each time.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// `y += alpha * x`.
pub(crate) fn axpy(alpha: f64, x: &[f64], y: &mut [f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += alpha * x;
    }
}

/// The Cholesky factor of a symmetric positive definite matrix, in its lower triangle. Only that
/// triangle is read.
///
/// Gives `None` where a pivot is not above 0: the matrix is not positive definite.
pub(crate) fn cholesky(mut a: Matrix) -> Option<Matrix> {
    let n = a.cols;
    for i in 0..n {
        let (above, row) = a.data.split_at_mut(i * n);
        let row = &mut row[..n];
        for j in 0..i {
            let other = &above[j * n..][..=j];
            row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
        }
        let pivot = row[i] - dot(&row[..i], &row[..i]);
        if pivot.is_nan() || pivot <= 0.0 {
            return None;
        }
        row[i] = pivot.sqrt();
        row[i + 1..].fill(0.0);
    }
    Some(a)
}

/// Solves `L x = b` in place, for a lower triangle.
pub(crate) fn solve_lower(l: &Matrix, b: &mut [f64]) {
    for i in 0..l.cols {
        let row = l.row(i);
        b[i] = (b[i] - dot(&row[..i], &b[..i])) / row[i];
    }
}

/// Solves `Lᵀ x = b` in place, for a lower triangle.
pub(crate) fn solve_upper(l: &Matrix, b: &mut [f64]) {
    for i in (0..l.cols).rev() {
        let row = l.row(i);
        b[i] /= row[i];
        let (before, this) = b.split_at_mut(i);
        axpy(-this[0], &row[..i], before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_solves_its_matrix() {
        let a = Matrix { cols: 3, data: vec![4.0, 2.0, -2.0, 2.0, 10.0, 4.0, -2.0, 4.0, 9.0] };
        let l = cholesky(a.clone()).unwrap();
        let mut x = vec![1.0, -2.0, 3.0];
        let b = x.clone();
        solve_lower(&l, &mut x);
        solve_upper(&l, &mut x);
        for (row, b) in b.iter().enumerate() {
            assert!((dot(a.row(row), &x) - b).abs() < 1e-12);
        }
        assert!(cholesky(Matrix { cols: 2, data: vec![1.0, 2.0, 2.0, 1.0] }).is_none());
    }

    #[test]
    fn products_of_ragged_lengths() {
        for length in 0..20usize {
            let a: Vec<f64> = (0..length).map(|i| i as f64).collect();
            let expected: f64 = a.iter().map(|x| x * x).sum();
            assert_eq!(dot(&a, &a), expected);
        }
    }
}
