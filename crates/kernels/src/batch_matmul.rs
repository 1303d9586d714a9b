//! BATCH_MATMUL: `[..., rows, depth]` by `[..., depth, columns]`, batches broadcast.

use core::ops::Range;

use crate::broadcast::Broadcast;
use crate::gemm::PANEL;
use crate::gemm::float::{Matrix, Runs, pack_panels};
use crate::requant::builtin::FixedMultiplier;
use crate::requant::{Quantized, Requantize};
use crate::simd::Simd;

/// The geometry of a product of two batches of matrices.
#[derive(Clone, Copy, Debug)]
pub struct BatchMatmul {
    batches: Broadcast,
    /// Rows of the result, products summed, columns of the result.
    sizes: [usize; 3],
    /// How far neighbours of a row and of a column lie apart in each operand.
    strides: [[usize; 2]; 2],
}

impl BatchMatmul {
    /// For operands of these shapes, of which the last two dimensions are exchanged where
    /// `adjoint` says so. `None` where they do not fit each other.
    pub fn new(first: &[usize], second: &[usize], adjoint: [bool; 2]) -> Option<Self> {
        let (a_batch, a) = first.split_at(first.len().checked_sub(2)?);
        let (b_batch, b) = second.split_at(second.len().checked_sub(2)?);
        let matrix = |sides: &[usize], swapped: bool| {
            if swapped {
                ([sides[1], sides[0]], [1, sides[1]])
            } else {
                ([sides[0], sides[1]], [sides[1], 1])
            }
        };
        let ([rows, depth], a_strides) = matrix(a, adjoint[0]);
        let ([b_depth, columns], b_strides) = matrix(b, adjoint[1]);
        (depth == b_depth).then_some(Self {
            batches: Broadcast::new(a_batch, b_batch)?,
            sizes: [rows, depth, columns],
            strides: [a_strides, b_strides],
        })
    }

    /// Output elements.
    pub fn out_len(&self) -> usize {
        self.batches.out_len() * self.sizes[0] * self.sizes[2]
    }

    /// Rows of the result, products summed, columns of the result.
    pub fn sizes(&self) -> [usize; 3] {
        self.sizes
    }

    /// Multiplications with an addition.
    pub fn macs(&self) -> u64 {
        self.out_len() as u64 * self.sizes[1] as u64
    }

    /// Floats of one packed matrix of the second operand.
    pub fn packed_len(&self) -> usize {
        self.sizes[1] * self.sizes[2].next_multiple_of(PANEL)
    }

    /// Packs the matrices `batches` of the second operand into `packed`, which holds just these.
    pub fn pack_f32(&self, batches: Range<usize>, second: &[f32], packed: &mut [f32]) {
        let [_, depth, columns] = self.sizes;
        let len = depth * columns;
        for (batch, packed) in batches.zip(packed.chunks_exact_mut(self.packed_len())) {
            let matrix = &second[batch * len..][..len];
            pack_panels([columns, depth], self.strides[1], matrix, packed);
        }
    }

    /// The first operand's matrices with rows one after another, where they are adjoint.
    pub fn transpose_f32(&self, first: &[f32], out: &mut [f32]) {
        let [rows, depth, _] = self.sizes;
        let [row, step] = self.strides[0];
        let matrices = first.chunks_exact(rows * depth).zip(out.chunks_exact_mut(rows * depth));
        for (from, to) in matrices {
            for (r, to) in to.chunks_exact_mut(depth).enumerate() {
                for (k, to) in to.iter_mut().enumerate() {
                    *to = from[r * row + k * step];
                }
            }
        }
    }

    /// Rows `rows` of all matrices of the float product, into `out`, which holds just these. Rows of
    /// the first operand lie one after another, the second is packed.
    pub fn run_packed_f32<S: Simd>(
        &self,
        first: &[f32],
        packed: &[f32],
        rows: Range<usize>,
        out: &mut [f32],
    ) {
        let [matrix_rows, depth, columns] = self.sizes;
        let len = self.packed_len();
        let steps = self.batches.row_steps();
        self.batches.for_each_row(|i, j, at| {
            for k in 0..self.batches.row_len() {
                let (i, j, before) = (i + k * steps[0], j + k * steps[1], (at + k) * matrix_rows);
                let from = rows.start.max(before);
                let end = rows.end.min(before + matrix_rows);
                if from >= end {
                    continue;
                }
                let matrix = Matrix::new(columns, depth, &packed[j * len..][..len]);
                let first = &first[(i * matrix_rows + from - before) * depth..];
                let out = &mut out[(from - rows.start) * columns..];
                let runs = Runs::one(depth);
                matrix.multiply::<S>(first, depth, runs, end - from, out, columns, &mut []);
            }
        });
    }

    /// Float product.
    pub fn run_f32(&self, first: &[f32], second: &[f32], out: &mut [f32]) {
        let [rows, depth, columns] = self.sizes;
        let [[a_row, a_step], [b_step, b_column]] = self.strides;
        self.for_each_batch(first, second, out, |a, b, out| {
            out.fill(0.0);
            for row in 0..rows {
                let out = &mut out[row * columns..(row + 1) * columns];
                for k in 0..depth {
                    let x = a[row * a_row + k * a_step];
                    if b_column == 1 {
                        // A row of the second operand at a time, which becomes vectors.
                        for (out, y) in out.iter_mut().zip(&b[k * b_step..]) {
                            *out += x * y;
                        }
                    } else {
                        for (column, out) in out.iter_mut().enumerate() {
                            *out += x * b[k * b_step + column * b_column];
                        }
                    }
                }
            }
        });
    }

    /// Quantised product: a 32-bit sum of products less the zero points, requantised.
    pub fn run_quantized<T: Quantized>(
        &self,
        zero_points: [i32; 2],
        requant: &Requantize,
        first: &[T],
        second: &[T],
        out: &mut [T],
    ) {
        let [rows, depth, columns] = self.sizes;
        let [[a_row, a_step], [b_step, b_column]] = self.strides;
        self.for_each_batch(first, second, out, |a, b, out| {
            for row in 0..rows {
                for column in 0..columns {
                    let sum = (0..depth).fold(0i32, |sum, k| {
                        let x: i32 = a[row * a_row + k * a_step].into();
                        let y: i32 = b[k * b_step + column * b_column].into();
                        sum.wrapping_add((x - zero_points[0]) * (y - zero_points[1]))
                    });
                    out[row * columns + column] = T::from_i32(requant.apply(sum, 0));
                }
            }
        });
    }

    /// Product of 16-bit elements without zero points, by the built-in kernel: a 64-bit sum through
    /// `multiplier`, which stands for `first scale * second scale / output scale`.
    pub fn run_wide<W: Quantized>(
        &self,
        multiplier: FixedMultiplier,
        first: &[i16],
        second: &[W],
        out: &mut [i16],
    ) {
        let [rows, depth, columns] = self.sizes;
        let [[a_row, a_step], [b_step, b_column]] = self.strides;
        self.for_each_batch(first, second, out, |a, b, out| {
            for (at, out) in out.iter_mut().enumerate().take(rows * columns) {
                let (row, column) = (at / columns, at % columns);
                let sum = (0..depth).fold(0i64, |sum, k| {
                    let y: i32 = b[k * b_step + column * b_column].into();
                    sum + i64::from(a[row * a_row + k * a_step]) * i64::from(y)
                });
                *out = i16::saturated(multiplier.apply_wide(sum));
            }
        });
    }

    fn for_each_batch<A, B, O>(
        &self,
        first: &[A],
        second: &[B],
        out: &mut [O],
        product: impl Fn(&[A], &[B], &mut [O]),
    ) {
        let [rows, depth, columns] = self.sizes;
        let (a, b, o) = (rows * depth, depth * columns, rows * columns);
        let steps = self.batches.row_steps();
        self.batches.for_each_row(|i, j, at| {
            for k in 0..self.batches.row_len() {
                let (i, j, at) = (i + k * steps[0], j + k * steps[1], at + k);
                product(&first[i * a..][..a], &second[j * b..][..b], &mut out[at * o..][..o]);
            }
        });
    }
}
