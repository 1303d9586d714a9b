//! What pair sums cannot hold of the weights, added in steps of its own.
//!
//! `a0 * w0 + a1 * w1` of unsigned bytes `a` leaves 16 bits only where both weights have the same
//! sign and `|w0 + w1|` is more than [`LIMIT`]. Weights of such pairs are taken out, and are
//! multiplied by themselves.
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
//! to 3 % more. Columns by themselves for four, seven or eight tiles at once: V1 at best 1 % less, V2
//! and EfficientNet-Lite0 1-2 % more. Without any excess V1 would have taken 8.5 % less. (Interleaved
//! runs, one quad after the other, AMD EPYC of family 26.)

use super::PANEL;
use super::bytes::{QUAD_A, QUAD_HALF};
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
    /// Where in `steps` the first half panel's begin, and where each one's end.
    bounds: Vec<u32>,
    steps: Vec<Step>,
}

impl Extra {
    /// Of `halves` half panels, none yet.
    pub fn with_capacity(halves: usize) -> Self {
        let mut bounds = Vec::with_capacity(halves + 1);
        bounds.push(0);
        Self { bounds, steps: Vec::new() }
    }

    /// Steps of all half panels.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// The size in memory.
    pub fn size_bytes(&self) -> usize {
        size_of_val(&*self.steps) + size_of_val(&*self.bounds)
    }

    /// Takes out of the next half panel what pair sums cannot hold, and tells what its quads hold
    /// then.
    pub fn take_from<S: Simd>(&mut self, half: &mut [i8], loads: &mut [Load]) {
        take_from_half::<S>(half, loads, &mut self.steps);
        self.bounds.push(self.steps.len() as u32);
    }

    /// The excess of half panel `half`.
    ///
    /// # Safety
    /// It has been taken.
    #[inline(always)]
    pub unsafe fn half(&self, half: usize) -> HalfExtra<'_> {
        // SAFETY: each half panel has an end behind the one before it, none beyond all steps.
        unsafe {
            let [start, end] = [half, half + 1].map(|i| *self.bounds.get_unchecked(i) as usize);
            HalfExtra(self.steps.get_unchecked(start..end))
        }
    }
}

/// What a quad's pair sums need of 16 bits, by pair: the sum of the positive weights of each, then of
/// the negative ones without their sign; 127 where it is more.
pub(super) type Load = [i8; 16];

/// Takes the excess out of half a panel, eight pairs at a time. Where a pair of a column's four weights
/// is beyond the limit, which one of two signs never is, they are taken whole: what a step cannot hold,
/// it leaves of each pair's sum in the pair's first byte. So little is left that most of these quads,
/// too, fit together with another.
#[inline(never)]
fn take_from_half<S: Simd>(half: &mut [i8], loads: &mut [Load], steps: &mut Vec<Step>) {
    let low_bytes = S::i16x8_splat(0xff);
    let (least, most) = (S::i16x8_splat(-LIMIT), S::i16x8_splat(LIMIT));
    let first = steps.len();
    // By column, where its next step is.
    let mut next = [first; COLUMNS];
    let quads = half.as_chunks_mut::<QUAD_HALF>().0;
    // Of eight pairs: their sums, and the load.
    let loads_of = |columns: &[i8; QUAD_HALF], load: &mut Load| {
        // SAFETY: 16 bytes.
        let v = unsafe { S::load(columns.as_ptr()) };
        let sums = S::i16x8_sum_pairs_i8x16(v);
        let positive = S::i16x8_sum_pairs_i8x16(S::i8x16_max(v, S::i8x16_splat(0)));
        let negative = S::i16x8_sub(positive, sums);
        // SAFETY: 16 bytes.
        unsafe { S::store(load.as_mut_ptr(), S::i8x16_narrow_i16x8(positive, negative)) };
        sums
    };
    for (quad, (columns, load)) in quads.iter_mut().zip(loads).enumerate() {
        let sums = loads_of(columns, load);
        let excess = S::i16x8_sub(sums, S::i16x8_max(S::i16x8_min(sums, most), least));
        if !S::any_true(excess) {
            continue;
        }
        let excess = S::and(excess, low_bytes);
        let (mut left, mut taken) = ([0u32; COLUMNS], [[0i8; 4]; COLUMNS]);
        // SAFETY: 16 bytes each.
        unsafe {
            S::store(left.as_mut_ptr(), excess);
            S::store(taken.as_mut_ptr(), S::i8x16_sub(S::load(columns.as_ptr()), excess));
        }
        let columns_left = columns.as_chunks_mut::<4>().0;
        for (column, &left) in left.iter().enumerate() {
            if left == 0 {
                continue;
            }
            let at = next[column];
            if at == steps.len() {
                steps.push(Step { offsets: [0; COLUMNS], weights: [[0; 4]; COLUMNS] });
            }
            steps[at].offsets[column] = (quad * QUAD_A) as u32;
            steps[at].weights[column] = taken[column];
            columns_left[column] = bytemuck::cast(left);
            next[column] += 1;
        }
        loads_of(columns, load);
    }
}

/// [`Extra`] of four columns.
#[derive(Clone, Copy)]
pub(super) struct HalfExtra<'a>(&'a [Step]);

impl HalfExtra<'_> {
    /// Of each step and column: where its quad is, the column, and the weights.
    #[cfg(test)]
    pub fn taken(&self) -> impl Iterator<Item = (usize, usize, [i8; 4])> {
        self.0.iter().flat_map(|step| {
            (0..COLUMNS).map(|column| (step.offsets[column] as usize, column, step.weights[column]))
        })
    }

    /// Adds the products of the excess weights to the sums of four columns, by tile and row. Two tiles
    /// at once: MobileNet V1 16.7 -> 16.3 ms, V2 11.3 -> 11.15, EfficientNet-Lite0 13.8 -> 13.7 (the least
    /// of interleaved runs, Intel Xeon of family 6, model 207, Chromium 156 without AVX-VNNI).
    ///
    /// # Safety
    /// Each of `a` is readable for all quads.
    #[inline(always)]
    pub unsafe fn add<S: Simd, const TILES: usize, const R: usize>(
        &self,
        a: [*const u8; TILES],
        ones: S::V,
        sums: &mut [[S::V; R]; TILES],
    ) {
        let mut found = [[S::i32x4_splat(0); COLUMNS]; TILES];
        for step in self.0 {
            macro_rules! column {
                ($c:literal) => {
                    let offset = step.offsets[$c] as usize;
                    // SAFETY: four weights.
                    let weights = unsafe { S::load32_splat(&step.weights[$c]) };
                    for (columns, a) in found.iter_mut().zip(a) {
                        // SAFETY: the caller's; a quad of four rows.
                        let rows = unsafe { S::load(a.add(offset)) };
                        let pairs = S::i16x8_relaxed_dot(weights, rows);
                        columns[$c] = S::i32x4_add(columns[$c], S::i32x4_dot_i16x8(pairs, ones));
                    }
                };
            }
            column!(0);
            column!(1);
            column!(2);
            column!(3);
        }
        for (sums, columns) in sums.iter_mut().zip(found) {
            for (sum, row) in sums.iter_mut().zip(transpose::<S>(columns)) {
                *sum = S::i32x4_add(*sum, row);
            }
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
                let mut panel = [0; QUAD_HALF];
                (panel[12], panel[13], panel[2], panel[3]) = (w0, w1, w0, w1);
                let mut steps = Vec::new();
                take_from_half::<Native>(&mut panel, &mut [[0; 16]], &mut steps);
                let (mut taken, mut left) = ([[0; 4]; COLUMNS], [[0; 4]; COLUMNS]);
                for step in &steps {
                    assert_eq!(step.offsets, [0; COLUMNS]);
                    taken = step.weights;
                }
                left.copy_from_slice(panel.as_chunks::<4>().0);
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
        let mut panel = [0; 3 * QUAD_HALF];
        // Column 0 in quads 0 and 2, column 2 in quad 1.
        for (quad, column) in [(0, 0), (2, 0), (1, 2)] {
            panel[quad * QUAD_HALF + column * 4..][..2].copy_from_slice(&[100, 100]);
        }
        let mut steps = Vec::new();
        take_from_half::<Native>(&mut panel, &mut [[0; 16]; 3], &mut steps);
        let [first, second] = steps[..] else { panic!("{} steps", steps.len()) };
        assert_eq!(first.offsets, [0, 0, QUAD_A as u32, 0]);
        assert_eq!(second.offsets, [2 * QUAD_A as u32, 0, 0, 0]);
        assert_eq!(first.weights, [[28, 100, 0, 0], [0; 4], [28, 100, 0, 0], [0; 4]]);
        assert_eq!(second.weights, [[28, 100, 0, 0], [0; 4], [0; 4], [0; 4]]);
    }
}
