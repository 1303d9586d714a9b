//! A shared slice of a file: constants point into the model's bytes and copy nothing.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// A range of a shared buffer. Cloning shares; the buffer is freed with its last range.
#[derive(Clone)]
pub struct Bytes {
    owner: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Bytes {
    /// The sub-range `range` of these bytes, sharing the buffer, or `None` if it is out of bounds.
    pub fn slice(&self, range: Range<usize>) -> Option<Self> {
        let start = self.range.start.checked_add(range.start)?;
        let end = self.range.start.checked_add(range.end)?;
        (start <= end && end <= self.range.end)
            .then(|| Self { owner: Arc::clone(&self.owner), range: start..end })
    }

    /// Whether they lie in this buffer.
    pub fn is_of(&self, owner: &Arc<Vec<u8>>) -> bool {
        Arc::ptr_eq(&self.owner, owner)
    }

    /// Whether others have this buffer, too.
    pub fn is_shared(&self) -> bool {
        Arc::strong_count(&self.owner) > 1
    }

    /// The buffer and the range.
    pub fn into_parts(self) -> (Arc<Vec<u8>>, Range<usize>) {
        (self.owner, self.range)
    }

    /// A range of a shared buffer, or `None` if it is out of bounds.
    pub fn of(owner: Arc<Vec<u8>>, range: Range<usize>) -> Option<Self> {
        owner.get(range.clone()).is_some().then_some(Self { owner, range })
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { owner: Arc::new(bytes), range }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.owner[self.range.clone()]
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({} bytes)", self.len())
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}
