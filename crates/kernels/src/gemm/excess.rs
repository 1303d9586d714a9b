//! What pair sums cannot hold of the weights, added in steps of its own: see [`pairing`](super::pairing).

use super::bytes::{Dot, PairSums, QUAD_A, QUAD_B, QUAD_HALF};
use super::pairing::LIMIT;
use crate::aligned::AlignedVec;
use crate::simd::Simd;

/// Weights beyond what pair sums can hold: for each half panel, the quads that they belong to.
#[derive(Clone)]
pub(super) struct Extra {
    /// By half panel: its range in `quads`. One more than there are halves.
    starts: Vec<u32>,
    quads: Vec<u32>,
    /// `[quads][4 columns][4]`.
    weights: AlignedVec<i8>,
}

impl Extra {
    /// For machines that need none.
    pub fn none() -> Self {
        Self { starts: Vec::new(), quads: Vec::new(), weights: AlignedVec::zeroed(0) }
    }

    /// Quads of half panels that have a step of their own.
    pub fn steps(&self) -> usize {
        self.quads.len()
    }

    /// The size in memory.
    pub fn size_bytes(&self) -> usize {
        self.weights.size_bytes() + (self.quads.len() + self.starts.len()) * size_of::<u32>()
    }

    /// Takes out of `panels` what pair sums cannot hold.
    pub fn take_from<S: Simd>(panels: &mut [i8], quads: usize) -> Self {
        let mut starts = vec![0];
        let (mut extra_quads, mut extra_weights) = (Vec::new(), Vec::new());
        for panel in panels.chunks_exact_mut(quads * QUAD_B) {
            for half in 0..2 {
                let panel = &mut panel[half * QUAD_HALF..];
                take_from_half::<S>(panel, &mut extra_quads, &mut extra_weights);
                starts.push(extra_quads.len() as u32);
            }
        }
        let mut weights = AlignedVec::zeroed(extra_weights.len());
        weights.copy_from_slice(&extra_weights);
        Self { starts, quads: extra_quads, weights }
    }

    /// The excess of the halves of a panel, if there is any at all.
    pub fn halves(&self, panel: usize) -> Option<[HalfExtra<'_>; 2]> {
        let half = |half: usize| {
            let [start, end] = [half, half + 1].map(|i| self.starts[i] as usize);
            let weights = &self.weights[start * QUAD_HALF..end * QUAD_HALF];
            HalfExtra { quads: &self.quads[start..end], weights }
        };
        (!self.starts.is_empty()).then(|| [half(panel * 2), half(panel * 2 + 1)])
    }
}

/// Takes the excess out of half a panel, eight pairs at a time: of each pair, what its sum is beyond
/// the limit. A pair of two signs is never beyond it.
#[inline(never)]
fn take_from_half<S: Simd>(panel: &mut [i8], quads: &mut Vec<u32>, weights: &mut Vec<i8>) {
    let (ones, low_bytes) = (S::i16x8_splat(1), S::i16x8_splat(0xff));
    let (least, most) = (S::i16x8_splat(-LIMIT), S::i16x8_splat(LIMIT));
    for (quad, columns) in panel.chunks_mut(QUAD_B).enumerate() {
        let columns = &mut columns[..QUAD_HALF];
        // SAFETY: 16 bytes.
        let v = unsafe { S::load(columns.as_ptr()) };
        let halves = [S::i16x8_extend_low_i8x16(v), S::i16x8_extend_high_i8x16(v)];
        let [low, high] = halves.map(|words| S::i32x4_dot_i16x8(words, ones));
        let sums = S::i16x8_narrow_i32x4(low, high);
        let excess = S::i16x8_sub(sums, S::i16x8_max(S::i16x8_min(sums, most), least));
        // A pair's first byte gives; its second stays.
        let excess = S::and(excess, low_bytes);
        let mut taken = [0i8; QUAD_HALF];
        // SAFETY: 16 bytes.
        unsafe { S::store(taken.as_mut_ptr(), excess) };
        if bytemuck::cast::<_, [u64; 2]>(taken) == [0; 2] {
            continue;
        }
        for (weight, taken) in columns.iter_mut().zip(taken) {
            *weight = weight.wrapping_sub(taken);
        }
        quads.push(quad as u32);
        weights.extend_from_slice(&taken);
    }
}

/// [`Extra`] of four columns: quads, and 16 weights of each.
#[derive(Clone, Copy)]
pub(super) struct HalfExtra<'a> {
    quads: &'a [u32],
    weights: &'a [i8],
}

impl HalfExtra<'_> {
    /// Adds the products of the excess weights to half `HALF` of the sums.
    ///
    /// # Safety
    /// `a` is readable for all quads.
    #[inline(always)]
    pub unsafe fn add<S: Simd, const R: usize, const HALF: usize>(
        &self,
        a: *const u8,
        ones: S::V,
        sums: &mut [[S::V; 2]; R],
    ) {
        let mut weights = self.weights.as_ptr();
        for &quad in self.quads {
            // SAFETY: there are 16 weights for each quad.
            let columns = unsafe { S::load(weights) };
            let a = a.wrapping_add(quad as usize * QUAD_A);
            weights = weights.wrapping_add(QUAD_HALF);
            macro_rules! row {
                ($r:literal) => {
                    if $r < R {
                        // SAFETY: the caller's; one of the four rows of the quad.
                        let x = unsafe { S::load32_splat(a.wrapping_add($r * 4)) };
                        sums[$r][HALF] = PairSums::add::<S>(columns, x, sums[$r][HALF], ones);
                    }
                };
            }
            row!(0);
            row!(1);
            row!(2);
            row!(3);
        }
    }
}
