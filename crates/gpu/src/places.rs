//! Tensors in the arena: each at an offset of its own while it is needed.

use crate::recording::ALIGNMENT;

/// A tensor in the arena, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer(pub usize);

/// When and how large a tensor is.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    /// Bytes.
    pub bytes: usize,
    /// The first dispatch that uses it.
    pub first: usize,
    /// The last one.
    pub last: usize,
}

/// Offsets of all tensors, and the arena's size: largest first, each at the lowest offset that is free
/// for as long as it lives.
pub fn plan(lifetimes: &[Lifetime]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..lifetimes.len()).collect();
    order.sort_by_key(|&at| (std::cmp::Reverse(lifetimes[at].bytes), at));
    let mut offsets = vec![0; lifetimes.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut total = 0;
    for at in order {
        let Lifetime { bytes, first, last } = lifetimes[at];
        let meets =
            |&&other: &&usize| lifetimes[other].first <= last && first <= lifetimes[other].last;
        let mut taken: Vec<(usize, usize)> = (placed.iter().filter(meets))
            .map(|&other| (offsets[other], offsets[other] + lifetimes[other].bytes))
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (start, end) in taken {
            if offset + bytes <= start {
                break;
            }
            offset = offset.max(end.next_multiple_of(ALIGNMENT));
        }
        offsets[at] = offset;
        total = total.max(offset + bytes);
        placed.push(at);
    }
    (offsets, total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_of_different_times_share_a_place() {
        let of = |bytes, first, last| Lifetime { bytes, first, last };
        let lifetimes = [of(1000, 0, 1), of(500, 1, 2), of(900, 2, 3), of(10, 0, 3)];
        let (offsets, total) = plan(&lifetimes);
        assert_eq!(offsets, [0, 1024, 0, 1536]);
        assert_eq!(total, 1546);
    }
}
