//! Element-wise work on rows of 8-bit elements, sixteen at a time.

use crate::simd::{Element, Simd};

/// Elements of a block: a vector of bytes.
const BLOCK: usize = 16;

/// Sixteen elements as four vectors of 32-bit lanes.
pub(crate) type Lanes<S> = [<S as Simd>::V; 4];

/// An element-wise function of one or two 8-bit operands.
pub(crate) trait Kernel<S: Simd, T: Element> {
    /// Results in 32-bit lanes from operands in 16-bit lanes, eight each; they may leave the type,
    /// but not 32 bits.
    fn vector(&self, first: [S::V; 2], second: [S::V; 2]) -> Lanes<S>;

    /// The same for one pair, within the type and its bounds.
    fn scalar(&self, first: T, second: T) -> T;
}

/// `out = kernel(first, second)`, clamped to `bounds`. Operands are as long as `out`, or of one
/// element, which serves for all.
#[inline]
pub(crate) fn row<S: Simd, T: Element>(
    kernel: &impl Kernel<S, T>,
    [min, max]: [i32; 2],
    first: &[T],
    second: &[T],
    out: &mut [T],
) {
    let len = out.len();
    assert!([first.len(), second.len()].iter().all(|&operand| operand == len || operand == 1));
    let at = |operand: &[T], i: usize| operand[if operand.len() == 1 { 0 } else { i }];
    if len < BLOCK {
        for (i, out) in out.iter_mut().enumerate() {
            *out = kernel.scalar(at(first, i), at(second, i));
        }
        return;
    }
    let splat = |operand: &[T]| {
        let x: i32 = operand[0].into();
        [S::i16x8_splat(x as i16); 2]
    };
    let (first_splat, second_splat) = (splat(first), splat(second));
    let (low, high) = (S::i16x8_splat(min as i16), S::i16x8_splat(max as i16));
    let load = |operand: &[T], splat: [S::V; 2], i: usize| {
        if operand.len() == 1 {
            return splat;
        }
        let from = operand[i..i + BLOCK].as_ptr();
        // SAFETY: sixteen elements lie there, as the slice has shown.
        unsafe { [T::load_extend::<S>(from), T::load_extend::<S>(from.add(BLOCK / 2))] }
    };
    let mut block = |i: usize| {
        let [a, b, c, d] =
            kernel.vector(load(first, first_splat, i), load(second, second_splat, i));
        // Bounded between the two steps: see VectorRequantize::narrow.
        let [a, b] = [S::i16x8_narrow_i32x4(a, b), S::i16x8_narrow_i32x4(c, d)]
            .map(|words| S::i16x8_min(S::i16x8_max(words, low), high));
        let bytes = T::narrow::<S>(a, b);
        // SAFETY: the slice has sixteen elements.
        unsafe { S::store(out[i..i + BLOCK].as_mut_ptr(), bytes) };
    };
    for i in (0..=len - BLOCK).step_by(BLOCK) {
        block(i);
    }
    if !len.is_multiple_of(BLOCK) {
        // Overlaps the block before: the results there are the same.
        block(len - BLOCK);
    }
}
