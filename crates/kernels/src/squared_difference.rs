//! SQUARED_DIFFERENCE of 8-bit tensors. Arithmetic: see
//! [`reference::binary_quantized`](crate::reference::binary_quantized::SquaredDifference).

use crate::broadcast::Broadcast;
use crate::reference::binary_quantized as reference;
use crate::requant::builtin::FixedMultiplier;
use crate::requant::{Affine, Quantized};

/// Elements of a step, between whose two loops they are in the cache.
const STEP: usize = 64;

/// What a squared difference looks up and how its square is rescaled.
#[derive(Clone)]
pub struct SquaredDifference {
    /// By the bits of an element of each operand: what it is on the common scale.
    operands: [[i32; 256]; 2],
    multiplier: FixedMultiplier,
    zero_point: i32,
    /// For scales beyond what `run` computes.
    scalar: reference::SquaredDifference,
}

impl SquaredDifference {
    /// For tensors of `T` with these scales.
    pub fn new<T: Quantized>(first: Affine, second: Affine, output: Affine) -> Self {
        let scalar = reference::SquaredDifference::new(first, second, output);
        let table = |operand: usize| {
            core::array::from_fn(|bits| scalar.operand(operand, T::from_i32(bits as i32).into()))
        };
        let (multiplier, zero_point) = scalar.output();
        Self { operands: [table(0), table(1)], multiplier, zero_point, scalar }
    }

    // Not inlined: far scales alone go this way.
    #[inline(never)]
    fn one<T: Quantized>(&self, first: T, second: T) -> T {
        self.scalar.apply(first, second)
    }

    /// `out = (first - second)^2`.
    pub fn run<T: Quantized>(
        &self,
        broadcast: &Broadcast,
        first: &[T],
        second: &[T],
        out: &mut [T],
    ) {
        let FixedMultiplier { fraction, shift } = self.multiplier;
        if shift > 0 || fraction < 0 {
            return broadcast.apply(first, second, out, |a, b| self.one(a, b));
        }
        let index = |x: T| {
            let x: i32 = x.into();
            x as usize & 255
        };
        let at = |i: usize, operand: &[T], row: usize, step: usize, k: usize| {
            self.operands[i][index(operand[row + k * step])]
        };
        // Squares are positive, where half a unit away from zero is half a unit up.
        let (fraction, right) = (i64::from(fraction), shift.unsigned_abs());
        let half = 1i64 << right >> 1;
        let [a_step, b_step] = broadcast.row_steps();
        let len = broadcast.row_len();
        broadcast.for_each_row(|a, b, o| {
            for from in (0..len).step_by(STEP) {
                let out = &mut out[o + from..][..STEP.min(len - from)];
                let mut differences = [0i32; STEP];
                for (k, difference) in differences[..out.len()].iter_mut().enumerate() {
                    let k = from + k;
                    *difference = at(0, first, a, a_step, k) - at(1, second, b, b_step, k);
                }
                for (out, difference) in out.iter_mut().zip(differences) {
                    let square = i64::from(difference * difference);
                    let high = (square * fraction + (1 << 30)) >> 31;
                    let value = (high + half) >> right;
                    *out = T::saturated((value as i32).saturating_add(self.zero_point));
                }
            }
        });
    }
}
