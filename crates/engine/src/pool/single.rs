//! The pool of builds without threads.

use core::ops::Range;

/// Runs the parts of a step in the caller's thread.
#[derive(Debug)]
pub(crate) struct Pool {}

impl Pool {
    /// There is one thread, however many are asked for.
    pub fn new(_threads: usize) -> Self {
        Self {}
    }

    /// How many threads share the work.
    pub fn threads(&self) -> usize {
        1
    }

    /// Calls `body(items, their part of out, scratch)` until all of `out`, `item_len` elements an
    /// item, is written. Parts are multiples of `grain` items but for the last.
    pub fn split<T: Send>(
        &self,
        out: &mut [T],
        item_len: usize,
        grain: usize,
        scratch: &mut [u8],
        body: impl Fn(Range<usize>, &mut [T], &mut [u8]) + Sync,
    ) {
        let _ = grain;
        body(0..out.len() / item_len, out, scratch);
    }
}
