//! Weights that come next, brought into the cache while others are multiplied.
//!
//! WebAssembly has no prefetch. A tile takes a panel's weights faster than the third-level cache
//! or memory gives them, and the later tiles of the panel have no need of either: so each of them
//! reads some lines of the panel after it.

/// Bytes of a cache line.
const LINE: usize = 64;

/// The weights of the next panel, a share of them for each tile of this one.
pub(super) struct Ahead {
    at: *const u8,
    end: *const u8,
    share_bytes: usize,
}

impl Ahead {
    /// `weights` are those of the next panel, empty behind the last; they are read in `tiles` tiles.
    #[inline(always)]
    pub fn new<T>(weights: &[T], tiles: usize) -> Self {
        let weights = weights.as_ptr_range();
        let (at, end) = (weights.start.cast::<u8>(), weights.end.cast::<u8>());
        let bytes = end.addr() - at.addr();
        let share_bytes = (bytes / tiles.max(1)).next_multiple_of(LINE).max(LINE);
        Self { at, end, share_bytes }
    }

    /// Reads a tile's share.
    #[inline(always)]
    pub fn read(&mut self) {
        let stop = self.at.wrapping_add(self.share_bytes).min(self.end);
        while self.at < stop {
            // SAFETY: within the weights. Volatile: what is read is not used.
            unsafe { self.at.read_volatile() };
            self.at = self.at.wrapping_add(LINE);
        }
    }
}

/// The weights of the panel after `panel`, of panels of `len` elements; empty behind the last.
#[inline(always)]
pub(super) fn next_panel<T>(panels: &[T], len: usize, panel: usize) -> &[T] {
    panels.get((panel + 1) * len..(panel + 2) * len).unwrap_or_default()
}
