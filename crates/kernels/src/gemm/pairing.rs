//! Which elements of k stand side by side in the pair-sum kernel.
//!
//! `a0 * w0 + a1 * w1` of unsigned bytes `a` leaves 16 bits only where both weights have the same
//! sign and `|w0 + w1| > 128`. Within each run of 16 elements of k the elements are paired so that
//! few columns offend; what is left over is [`excess`], to be added in steps of their own.

/// Elements that a shuffle can move among themselves.
pub(super) const RUN: usize = 16;

/// The largest `|w0 + w1|` of one sign whose pair sum stays in 16 bits: `255 * 128 <= 32767`.
const LIMIT: i32 = 128;

/// What must be taken from `w0` for the pair sum to stay in 16 bits; 0 for most pairs.
pub(super) fn excess(w0: i8, w1: i8) -> i8 {
    let sum = i32::from(w0) + i32::from(w1);
    if (w0 < 0) != (w1 < 0) || sum.abs() <= LIMIT {
        return 0;
    }
    // Between -128 and 126, and never larger than w0: |w1| is at most 128.
    (sum - LIMIT * sum.signum()) as i8
}

/// Counts, for a run of 16 elements of k, how many columns offend for each pair of elements.
#[derive(Default)]
pub(super) struct Offences([[u32; RUN]; RUN]);

impl Offences {
    /// Adds a column's weights of the run.
    pub fn add(&mut self, weights: &[i8; RUN]) {
        for (i, &w0) in weights.iter().enumerate() {
            // One of two offenders is beyond half of the limit.
            if i32::from(w0).abs() <= LIMIT / 2 {
                continue;
            }
            for (j, &w1) in weights.iter().enumerate() {
                let counted_before = j < i && i32::from(w1).abs() > LIMIT / 2;
                if j != i && !counted_before && excess(w0, w1) != 0 {
                    self.0[i][j] += 1;
                    self.0[j][i] += 1;
                }
            }
        }
    }

    /// An order of the first `len` elements (even) in which neighbours offend little: a greedy
    /// matching from the worst element on, improved by exchanging partners until that gains
    /// nothing. Elements from `len` on stay where they are.
    pub fn order(&self, len: usize) -> [u8; RUN] {
        let mut by_weight: [usize; RUN] = core::array::from_fn(|i| i);
        by_weight[..len].sort_by_key(|&i| core::cmp::Reverse(self.0[i][..len].iter().sum::<u32>()));
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
    fn large_weights_are_paired_with_small_ones() {
        let mut offences = Offences::default();
        let weights: [i8; RUN] = core::array::from_fn(|i| if i < 8 { 100 } else { 1 });
        offences.add(&weights);
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
