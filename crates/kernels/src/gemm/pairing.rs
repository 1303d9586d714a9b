//! Which elements of k stand side by side in the pair-sum kernel.
//!
//! `a0 * w0 + a1 * w1` of unsigned bytes `a` leaves 16 bits only where both weights have the same
//! sign and `|w0 + w1| > 128`. Within each run of 16 elements of k the elements are paired so that
//! few columns offend; what is left over goes into steps of its own: [`excess`](super::excess).

use crate::simd::Simd;

/// Elements that a shuffle can move among themselves.
pub(super) const RUN: usize = 16;

/// The largest `|w0 + w1|` of one sign whose pair sum stays in 16 bits: `255 * 128 <= 32767`.
pub(super) const LIMIT: i16 = 128;

/// Counts, for a run of 16 elements of k, how many columns offend for each pair of elements.
///
/// Only where one of two weights is beyond half of the limit can they offend. Each such weight adds
/// its offences to its own row alone: 2 where the other weight is smaller, 1 where that adds to its
/// row, too. So a pair's two places together hold twice its count.
#[derive(Default)]
pub(super) struct Offences([[i16; RUN]; RUN]);

impl Offences {
    /// Adds a column's weights of the run; 1000 columns at most.
    #[inline(never)]
    pub fn add<S: Simd>(&mut self, weights: &[i8; RUN]) {
        let large = |w: i8| i16::from(w).abs() > LIMIT / 2;
        if !weights.iter().any(|&w| large(w)) {
            return;
        }
        let [zero, one] = [0, 1].map(S::i16x8_splat);
        let (least, most) = (S::i16x8_splat(-LIMIT), S::i16x8_splat(LIMIT));
        let half = S::i16x8_splat(LIMIT / 2);
        // SAFETY: 16 bytes.
        let v = unsafe { S::load(weights) };
        let words = [S::i16x8_extend_low_i8x16(v), S::i16x8_extend_high_i8x16(v)];
        let magnitude = |v: S::V| S::i16x8_max(v, S::i16x8_sub(zero, v));
        // 0 or 1 where a value is not negative.
        let sign = |v: S::V| S::i16x8_max(S::i16x8_min(v, one), zero);
        let shares = words.map(|v| {
            let is_large = sign(S::i16x8_sub(magnitude(v), half));
            S::i16x8_sub(S::i16x8_splat(2), is_large)
        });
        for (row, &weight) in self.0.iter_mut().zip(weights) {
            if !large(weight) {
                continue;
            }
            let weight = S::i16x8_splat(weight.into());
            for ((counts, v), share) in row.as_chunks_mut::<8>().0.iter_mut().zip(words).zip(shares)
            {
                let sum = S::i16x8_add(v, weight);
                let excess = S::i16x8_sub(sum, S::i16x8_max(S::i16x8_min(sum, most), least));
                let offends = S::i16x8_sub(zero, sign(magnitude(excess)));
                // SAFETY: eight counts.
                unsafe {
                    let counted = S::i16x8_add(S::load(counts), S::and(offends, share));
                    S::store(counts.as_mut_ptr(), counted);
                }
            }
        }
    }

    /// How many columns offend for each pair.
    fn counts(&self) -> Counts {
        let rows = &self.0;
        let count = |i: usize, j: usize| if i == j { 0 } else { (rows[i][j] + rows[j][i]) / 2 };
        Counts(core::array::from_fn(|i| core::array::from_fn(|j| count(i, j))))
    }

    /// An order of the first `len` elements (even) in which neighbours offend little.
    pub fn order(&self, len: usize) -> [u8; RUN] {
        self.counts().order(len)
    }
}

/// By pair of elements: the same in both of its places.
struct Counts([[i16; RUN]; RUN]);

impl Counts {
    /// [`Offences::order`]: a greedy matching from the worst element on, improved by exchanging
    /// partners until that gains nothing. Elements from `len` on stay where they are.
    fn order(&self, len: usize) -> [u8; RUN] {
        let mut by_weight: [usize; RUN] = core::array::from_fn(|i| i);
        by_weight[..len].sort_by_key(|&i| core::cmp::Reverse(self.0[i][..len].iter().sum::<i16>()));
        let mut taken = [false; RUN];
        let mut pairs: Vec<[usize; 2]> = Vec::with_capacity(RUN / 2);
        for &first in &by_weight[..len] {
            if taken[first] {
                continue;
            }
            taken[first] = true;
            let partners = (0..len).filter(|&j| !taken[j]);
            if let Some(second) = partners.min_by_key(|&j| self.0[first][j]) {
                taken[second] = true;
                pairs.push([first, second]);
            }
        }
        while self.improve(&mut pairs) {}
        let mut order: [u8; RUN] = core::array::from_fn(|i| i as u8);
        for (place, &i) in order.iter_mut().zip(pairs.as_flattened()) {
            *place = i as u8;
        }
        order
    }

    /// Exchanges partners of two pairs where that gains something.
    fn improve(&self, pairs: &mut [[usize; 2]]) -> bool {
        let cost = |[i, j]: [usize; 2]| self.0[i][j];
        for a in 0..pairs.len() {
            for b in a + 1..pairs.len() {
                let ([p, q], [r, s]) = (pairs[a], pairs[b]);
                let now = cost(pairs[a]) + cost(pairs[b]);
                for exchanged in [[[p, r], [q, s]], [[p, s], [q, r]]] {
                    if cost(exchanged[0]) + cost(exchanged[1]) < now {
                        [pairs[a], pairs[b]] = exchanged;
                        return true;
                    }
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Native;

    /// What must be taken from `w0` for the pair sum to stay in 16 bits; 0 for most pairs.
    fn excess(w0: i8, w1: i8) -> i8 {
        let sum = i16::from(w0) + i16::from(w1);
        // Between -128 and 126, and never larger than w0: |w1| is at most 128.
        (sum - sum.clamp(-LIMIT, LIMIT)) as i8
    }

    #[test]
    fn what_is_left_of_a_pair_stays_in_16_bits() {
        for w0 in i8::MIN..=i8::MAX {
            for w1 in i8::MIN..=i8::MAX {
                let excess = excess(w0, w1);
                let rest = i32::from(w0) - i32::from(excess);
                assert!((-128..=127).contains(&rest), "{w0} {w1}");
                for (a0, a1) in [(0, 255), (255, 0), (255, 255)] {
                    let sum = a0 * rest + a1 * i32::from(w1);
                    assert!(i16::try_from(sum).is_ok(), "{w0} {w1}");
                }
                assert!(i16::try_from(255 * i32::from(excess)).is_ok(), "{w0} {w1}");
            }
        }
    }

    #[test]
    fn offences_are_counted_for_each_pair() {
        let mut offences = Offences::default();
        let mut expected = [[0; RUN]; RUN];
        let mut next = 1u32;
        for _ in 0..96 {
            let weights: [i8; RUN] = core::array::from_fn(|_| {
                next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (next >> 24) as i8
            });
            offences.add::<Native>(&weights);
            for (i, row) in expected.iter_mut().enumerate() {
                for (j, count) in row.iter_mut().enumerate() {
                    *count += i16::from(i != j && excess(weights[i], weights[j]) != 0);
                }
            }
        }
        assert_eq!(offences.counts().0, expected);
    }

    #[test]
    fn large_weights_are_paired_with_small_ones() {
        let mut offences = Offences::default();
        let weights: [i8; RUN] = core::array::from_fn(|i| if i < 8 { 100 } else { 1 });
        offences.add::<Native>(&weights);
        let order = offences.order(RUN);
        let mut seen = [false; RUN];
        for pair in order.as_chunks::<2>().0 {
            let [a, b] = pair.map(usize::from);
            assert_eq!(excess(weights[a], weights[b]), 0);
            seen[a] = true;
            seen[b] = true;
        }
        assert_eq!(seen, [true; RUN]);
    }
}
