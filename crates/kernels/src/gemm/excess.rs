//! What pair sums cannot hold of the weights, added in steps of its own: see [`pairing`](super::pairing).

use super::bytes::{Dot, PairSums, QUAD_A, QUAD_B, QUAD_HALF};
use super::pairing::excess;
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
    pub fn take_from(panels: &mut [i8], quads: usize) -> Self {
        let mut starts = vec![0];
        let (mut extra_quads, mut extra_weights) = (Vec::new(), Vec::new());
        for panel in panels.chunks_exact_mut(quads * QUAD_B) {
            for half in 0..2 {
                for (quad, columns) in panel.chunks_exact_mut(QUAD_B).enumerate() {
                    let columns = &mut columns[half * QUAD_HALF..][..QUAD_HALF];
                    let mut taken = [0i8; QUAD_HALF];
                    for (pair, taken) in columns.chunks_exact_mut(2).zip(taken.chunks_exact_mut(2))
                    {
                        taken[0] = excess(pair[0], pair[1]);
                        pair[0] = pair[0].wrapping_sub(taken[0]);
                    }
                    if taken != [0; QUAD_HALF] {
                        extra_quads.push(quad as u32);
                        extra_weights.extend(taken);
                    }
                }
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
            // SAFETY: the caller's; there are 16 weights for each quad.
            let (rows, columns) =
                unsafe { (S::load(a.add(quad as usize * QUAD_A)), S::load(weights)) };
            weights = weights.wrapping_add(QUAD_HALF);
            macro_rules! row {
                ($r:literal) => {
                    if $r < R {
                        let x = S::i32x4_splat_lane::<$r>(rows);
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
