//! Buffers that start on a cache line.

use bytemuck::{Pod, Zeroable};

/// The size of a cache line, and of [`Line`].
pub const LINE_BYTES: usize = 64;

/// One cache line: vector loads from a multiple of 16 bytes never cross two.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Line([u8; LINE_BYTES]);

// SAFETY: all bits are bytes, there is no padding, zero is a value.
unsafe impl Zeroable for Line {}
// SAFETY: as above; `repr(C)`, `Copy`, no interior mutability.
unsafe impl Pod for Line {}

/// A fixed number of elements, aligned to a cache line, zero at first.
#[derive(Clone)]
pub struct AlignedVec<T> {
    lines: Vec<Line>,
    len: usize,
    elements: core::marker::PhantomData<T>,
}

impl<T: Pod> AlignedVec<T> {
    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        let lines = bytemuck::zeroed_vec((len * size_of::<T>()).div_ceil(LINE_BYTES));
        Self { lines, len, elements: core::marker::PhantomData }
    }

    /// No elements, and room for `len`.
    pub fn with_capacity(len: usize) -> Self {
        let lines = Vec::with_capacity((len * size_of::<T>()).div_ceil(LINE_BYTES));
        Self { lines, len: 0, elements: core::marker::PhantomData }
    }

    /// Adds zeros, until there are `len` elements. Who adds them little by little, and writes each
    /// part at once, touches memory once: as much as a model weighs is in no cache any more when it
    /// has been zeroed.
    pub fn grow(&mut self, len: usize) {
        let more = (len * size_of::<T>()).div_ceil(LINE_BYTES).saturating_sub(self.lines.len());
        self.lines.reserve_exact(more);
        // SAFETY: there is room for as many lines, and zeros are lines. One fill, where `resize`
        // goes line by line.
        unsafe {
            self.lines.spare_capacity_mut().as_mut_ptr().write_bytes(0, more);
            self.lines.set_len(self.lines.len() + more);
        }
        self.len = self.len.max(len);
    }

    /// The size in memory.
    pub fn size_bytes(&self) -> usize {
        self.lines.len() * LINE_BYTES
    }
}

impl<T: Pod> core::ops::Deref for AlignedVec<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }
}

impl<T: Pod> core::ops::DerefMut for AlignedVec<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}
