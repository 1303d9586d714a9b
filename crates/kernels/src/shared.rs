//! Elements of a buffer that has several owners: weights that stay where their file is.

use core::marker::PhantomData;
use core::ops::{Deref, Range};
use std::sync::Arc;

use bytemuck::Pod;

/// A range of a buffer, as elements.
#[derive(Clone)]
pub struct Shared<T> {
    owner: Arc<Vec<u8>>,
    range: Range<usize>,
    elements: PhantomData<T>,
}

impl<T: Pod> Shared<T> {
    /// The elements in the bytes `range`; `None` where that is outside of the buffer, or no whole
    /// elements, or not aligned for them.
    pub fn new(owner: Arc<Vec<u8>>, range: Range<usize>) -> Option<Self> {
        bytemuck::try_cast_slice::<u8, T>(owner.get(range.clone())?).ok()?;
        Some(Self { owner, range, elements: PhantomData })
    }
}

impl<T: Pod> Deref for Shared<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        bytemuck::cast_slice(&self.owner[self.range.clone()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_whole_aligned_and_inside() {
        let owner = Arc::new(vec![7u8; 32]);
        let aligned = owner.as_ptr().align_offset(4);
        let shared = |range| Shared::<i32>::new(Arc::clone(&owner), range);
        assert_eq!(*shared(aligned..aligned + 8).unwrap(), [0x0707_0707; 2]);
        assert!(shared(aligned + 1..aligned + 9).is_none());
        assert!(shared(aligned..aligned + 7).is_none());
        assert!(shared(aligned..aligned + 64).is_none());
    }
}
