//! Folds for cross-validation: stratified by class, whole groups, the same for the same seed.

/// SplitMix64 (Steele, Lea & Flood 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `limit`, which is above 0; biased by less than `limit / 2^64`.
    fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    /// Fisher and Yates.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// By row: its fold, below `count`.
///
/// Rows of one group are in one fold. Groups go, largest first, each to the fold that then differs
/// least from an even share of every class.
pub(crate) fn assign(
    labels: &[usize],
    groups: &[usize],
    classes: usize,
    count: usize,
    seed: u64,
) -> Vec<usize> {
    let mut ids: Vec<usize> = groups.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let mut members = vec![Vec::new(); ids.len()];
    for (row, group) in groups.iter().enumerate() {
        members[ids.partition_point(|id| id < group)].push(row);
    }
    Random::new(seed).shuffle(&mut members);
    // Stable: groups of one size stay shuffled.
    members.sort_by_key(|rows| std::cmp::Reverse(rows.len()));
    let mut held = vec![vec![0usize; classes]; count];
    let mut sizes = vec![0usize; count];
    let mut folds = vec![0; labels.len()];
    for rows in members {
        // The fold that has fewest of these classes; of equals, the smallest.
        let fold = (0..count)
            .min_by_key(|&fold| {
                let same: usize = rows.iter().map(|&row| held[fold][labels[row]]).sum();
                (same, sizes[fold], fold)
            })
            .unwrap_or(0);
        for row in rows {
            held[fold][labels[row]] += 1;
            sizes[fold] += 1;
            folds[row] = fold;
        }
    }
    folds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_even_in_every_class_and_keep_groups_together() {
        let labels: Vec<usize> = (0..103).map(|row| [0, 0, 0, 1, 2][row % 5]).collect();
        let single: Vec<usize> = (0..103).collect();
        let folds = assign(&labels, &single, 3, 5, 7);
        for class in 0..3 {
            let counts: Vec<usize> = (0..5)
                .map(|fold| (0..103).filter(|&r| folds[r] == fold && labels[r] == class).count())
                .collect();
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(most - least <= 1, "{class}: {counts:?}");
        }
        assert_eq!(folds, assign(&labels, &single, 3, 5, 7));
        assert_ne!(folds, assign(&labels, &single, 3, 5, 8));
        let bursts: Vec<usize> = (0..103).map(|row| row / 9).collect();
        let folds = assign(&labels, &bursts, 3, 5, 7);
        for row in 1..103 {
            assert!(bursts[row] != bursts[row - 1] || folds[row] == folds[row - 1]);
        }
        assert!((0..5).all(|fold| folds.contains(&fold)));
    }
}
