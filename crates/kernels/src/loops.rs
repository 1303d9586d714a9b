//! Nested loops over dimensions, with offsets into several buffers.

use core::ops::Range;

/// Greatest rank of a tensor that the index-moving and element-wise kernels take.
pub const MAX_RANK: usize = 8;

/// Up to [`MAX_RANK`] nested loops that move an offset in each of `N` buffers.
///
/// A loop that continues the one inside it in every buffer is merged into it, so that the
/// innermost loop is as long as the layout allows. Offsets wrap: a stride of `usize::MAX` steps
/// back by one.
#[derive(Clone, Copy, Debug)]
pub struct Loops<const N: usize> {
    /// Innermost first.
    loops: [Loop<N>; MAX_RANK],
    depth: usize,
}

/// One loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loop<const N: usize> {
    /// Steps.
    pub len: usize,
    /// How far a step moves in each buffer, in elements.
    pub strides: [usize; N],
}

impl<const N: usize> Loops<N> {
    /// No loops: one visit, at offset 0.
    pub fn new() -> Self {
        Self { loops: [Loop { len: 1, strides: [0; N] }; MAX_RANK], depth: 0 }
    }

    /// Puts a loop around those there are; `None` where that makes more than [`MAX_RANK`].
    #[must_use]
    pub fn surround(&mut self, len: usize, strides: [usize; N]) -> Option<()> {
        if len == 1 {
            return Some(());
        }
        if let Some(last) = self.loops[..self.depth].last_mut() {
            let continues = |i: usize| strides[i] == last.strides[i].wrapping_mul(last.len);
            if (0..N).all(continues) {
                last.len *= len;
                return Some(());
            }
        }
        *self.loops.get_mut(self.depth)? = Loop { len, strides };
        self.depth += 1;
        Some(())
    }

    /// Takes the innermost loop out; one of length 1 where there is none.
    pub fn take_innermost(&mut self) -> Loop<N> {
        self.take(|_| true).unwrap_or(Loop { len: 1, strides: [0; N] })
    }

    /// Takes out the innermost loop for which `wanted` is true.
    pub fn take(&mut self, wanted: impl Fn(&Loop<N>) -> bool) -> Option<Loop<N>> {
        let at = self.loops[..self.depth].iter().position(wanted)?;
        let found = self.loops[at];
        self.loops.copy_within(at + 1.., at);
        self.depth -= 1;
        Some(found)
    }

    /// The innermost loop.
    pub fn innermost(&self) -> Option<&Loop<N>> {
        self.loops[..self.depth].first()
    }

    /// Visits.
    pub fn count(&self) -> usize {
        self.loops[..self.depth].iter().map(|l| l.len).product()
    }

    /// Calls `body` with the offsets of each visit, the innermost loop fastest.
    #[inline]
    pub fn for_each(&self, body: impl FnMut([usize; N])) {
        self.for_each_of(0..self.count(), body);
    }

    /// The same for the visits `range` alone, of all counted in their order.
    #[inline]
    pub fn for_each_of(&self, range: Range<usize>, mut body: impl FnMut([usize; N])) {
        self.visit(range, &mut body);
    }

    // One for all kernels, which do their work through a pointer.
    #[inline(never)]
    fn visit(&self, range: Range<usize>, body: &mut dyn FnMut([usize; N])) {
        let loops = &self.loops[..self.depth];
        let mut counters = [0; MAX_RANK];
        let mut offsets = [0usize; N];
        let mut before = range.start;
        for (counter, l) in counters.iter_mut().zip(loops).take_while(|_| range.start > 0) {
            *counter = before % l.len;
            before /= l.len;
            for (offset, stride) in offsets.iter_mut().zip(l.strides) {
                *offset = offset.wrapping_add(stride.wrapping_mul(*counter));
            }
        }
        for _ in range {
            body(offsets);
            for (counter, l) in counters.iter_mut().zip(loops) {
                *counter += 1;
                let steps = if *counter < l.len { 1 } else { 1usize.wrapping_sub(l.len) };
                for (offset, stride) in offsets.iter_mut().zip(l.strides) {
                    *offset = offset.wrapping_add(stride.wrapping_mul(steps));
                }
                if *counter < l.len {
                    break;
                }
                *counter = 0;
            }
        }
    }
}

impl<const N: usize> Default for Loops<N> {
    fn default() -> Self {
        Self::new()
    }
}
