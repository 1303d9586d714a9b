//! What pair sums cannot hold of the weights, added in steps of its own.
//!
//! `a0 * w0 + a1 * w1` of unsigned bytes `a` leaves 16 bits only where both weights have the same
//! sign and `|w0 + w1|` is more than [`LIMIT`]. What it is more is taken out, and is multiplied by
//! itself.
//!
//! Tried and taken out again: to order the elements of each 16 of k so that few pairs of neighbours
//! need a step. Steps are fewer and cheaper since each column goes its own way: now it gains 1 % of
//! MobileNet V1, V2 and EfficientNet-Lite0 (interleaved runs in Chromium 156 without AVX-VNNI), and
//! takes 2.5 KB (gzip) and, of opening V1, 19 ms in place of 14 (medians of 7 starts).
//!
//! Tried and lost: two quads of a column in a step, whose pair sums are added before they are widened.
//! Fewer products, and the same time within 1 % for the three networks. Steps of two columns, or of
//! one, each with a list of its own, since the longest of four lists is longer than most: 40 % fewer
//! products of V1 where columns are by themselves; V1 and V2 the same within 1 %, EfficientNet-Lite0 up
//! to 3 % more. Steps for two tiles at once, whose weights are loaded once for both: the same. Columns
//! by themselves for four, seven or eight tiles at once: V1 at best 1 % less, V2 and EfficientNet-Lite0
//! 1-2 % more. Without any excess V1 would take 8.5 % less (interleaved runs, AMD EPYC of family 26).
//!
//! Not built: to add the pair sums of two quads while they have 16 bits, which saves one multiplication
//! of four and needs three times as many steps here. By counting, 8 % of these products on processors
//! with two multipliers and room for more instructions (AMD's Zen); a loss of as much where four
//! instructions begin in a cycle (Intel's before 2019).

use super::PANEL;
use super::bytes::{Dot, PairSums, QUAD_A, QUAD_B, QUAD_HALF};
use super::tile::transpose;
use crate::simd::Simd;

/// The largest `|w0 + w1|` of one sign whose pair sum stays in 16 bits: `255 * 128 <= 32767`.
const LIMIT: i16 = 128;

/// Columns that are computed together: half a panel.
const COLUMNS: usize = PANEL / 2;

/// The next excess of each of four columns: of a quad of its own, four weights.
///
/// A quad of half a panel is seldom in excess in more than one of its columns, whose weight is one
/// of sixteen. So rows are the lanes here, a tile's quad being four rows of it, and each column goes
/// its own way. That halved the steps of MobileNet V1's layers: 12.3 -> 11.8 ms (medians of interleaved
/// runs, Chromium 156 without AVX-VNNI).
#[derive(Clone, Copy)]
struct Step {
    /// Where in a tile the quads are, in bytes; 0 where a column has no more.
    offsets: [u32; COLUMNS],
    weights: [[i8; 4]; COLUMNS],
}

/// Weights beyond what pair sums can hold, by half panel.
#[derive(Clone)]
pub(super) struct Extra {
    /// By half panel: its range in `steps`. One more than there are halves.
    starts: Vec<u32>,
    steps: Vec<Step>,
}

impl Extra {
    /// For machines that need none.
    pub fn none() -> Self {
        Self { starts: Vec::new(), steps: Vec::new() }
    }

    /// Steps of all half panels.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// The size in memory.
    pub fn size_bytes(&self) -> usize {
        size_of_val(&*self.steps) + size_of_val(&*self.starts)
    }

    /// Takes out of `panels` what pair sums cannot hold.
    pub fn take_from<S: Simd>(panels: &mut [i8], quads: usize) -> Self {
        let mut starts = vec![0];
        let mut steps = Vec::new();
        for panel in panels.chunks_exact_mut(quads * QUAD_B) {
            for half in 0..2 {
                take_from_half::<S>(&mut panel[half * QUAD_HALF..], &mut steps);
                starts.push(steps.len() as u32);
            }
        }
        Self { starts, steps }
    }

    /// The excess of the halves of a panel, if there is any at all.
    pub fn halves(&self, panel: usize) -> Option<[HalfExtra<'_>; 2]> {
        let half = |half: usize| {
            let [start, end] = [half, half + 1].map(|i| self.starts[i] as usize);
            HalfExtra(&self.steps[start..end])
        };
        (!self.starts.is_empty()).then(|| [half(panel * 2), half(panel * 2 + 1)])
    }
}

/// Takes the excess out of half a panel, eight pairs at a time: of each pair, what its sum is beyond
/// the limit. A pair of two signs is never beyond it.
#[inline(never)]
fn take_from_half<S: Simd>(panel: &mut [i8], steps: &mut Vec<Step>) {
    let (ones, low_bytes) = (S::i16x8_splat(1), S::i16x8_splat(0xff));
    let (least, most) = (S::i16x8_splat(-LIMIT), S::i16x8_splat(LIMIT));
    let first = steps.len();
    // By column, where its next step is.
    let mut next = [first; COLUMNS];
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
        let taken: [[i8; 4]; COLUMNS] = bytemuck::cast(taken);
        for (column, (&weights, next)) in taken.iter().zip(&mut next).enumerate() {
            if weights == [0; 4] {
                continue;
            }
            if *next == steps.len() {
                steps.push(Step { offsets: [0; COLUMNS], weights: [[0; 4]; COLUMNS] });
            }
            steps[*next].offsets[column] = (quad * QUAD_A) as u32;
            steps[*next].weights[column] = weights;
            *next += 1;
        }
    }
}

/// [`Extra`] of four columns.
#[derive(Clone, Copy)]
pub(super) struct HalfExtra<'a>(&'a [Step]);

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
        let mut columns = [S::i32x4_splat(0); COLUMNS];
        for step in self.0 {
            for ((sum, &offset), weights) in
                columns.iter_mut().zip(&step.offsets).zip(&step.weights)
            {
                // SAFETY: the caller's; a quad of four rows, four weights.
                let [rows, weights] =
                    unsafe { [S::load(a.add(offset as usize)), S::load32_splat(weights)] };
                *sum = PairSums::add::<S>(weights, rows, *sum, ones);
            }
        }
        for (sums, row) in sums.iter_mut().zip(transpose::<S>(columns)) {
            sums[HALF] = S::i32x4_add(sums[HALF], row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Native;

    /// All pairs of weights, and the unsigned bytes that make their sums largest.
    #[test]
    fn what_is_left_of_a_pair_stays_in_16_bits() {
        for w0 in i8::MIN..=i8::MAX {
            for w1 in i8::MIN..=i8::MAX {
                // The first pair of the last column, the second of the first.
                let mut panel = [0; QUAD_B];
                (panel[12], panel[13], panel[2], panel[3]) = (w0, w1, w0, w1);
                let mut steps = Vec::new();
                take_from_half::<Native>(&mut panel, &mut steps);
                let (mut taken, mut left) = ([[0; 4]; COLUMNS], [[0; 4]; COLUMNS]);
                for step in &steps {
                    assert_eq!(step.offsets, [0; COLUMNS]);
                    taken = step.weights;
                }
                left.copy_from_slice(panel[..QUAD_HALF].as_chunks::<4>().0);
                for (column, pair) in [(3, 0), (0, 2)] {
                    let [left, taken] = [left, taken].map(|weights| {
                        [weights[column][pair], weights[column][pair + 1]].map(i32::from)
                    });
                    assert_eq!(left[0] + taken[0], i32::from(w0));
                    assert_eq!(left[1] + taken[1], i32::from(w1));
                    for (a0, a1) in [(0, 255), (255, 0), (255, 255)] {
                        for [x, y] in [left, taken] {
                            assert!(i16::try_from(a0 * x + a1 * y).is_ok(), "{w0} {w1}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn columns_take_steps_of_their_own() {
        let mut panel = [0; 3 * QUAD_B];
        // Column 0 in quads 0 and 2, column 2 in quad 1.
        for (quad, column) in [(0, 0), (2, 0), (1, 2)] {
            panel[quad * QUAD_B + column * 4..][..2].copy_from_slice(&[100, 100]);
        }
        let mut steps = Vec::new();
        take_from_half::<Native>(&mut panel, &mut steps);
        let [first, second] = steps[..] else { panic!("{} steps", steps.len()) };
        assert_eq!(first.offsets, [0, 0, QUAD_A as u32, 0]);
        assert_eq!(second.offsets, [2 * QUAD_A as u32, 0, 0, 0]);
        assert_eq!(first.weights, [[72, 0, 0, 0], [0; 4], [72, 0, 0, 0], [0; 4]]);
        assert_eq!(second.weights, [[72, 0, 0, 0], [0; 4], [0; 4], [0; 4]]);
    }
}
