//! What a file may make a reader hold.
#![deny(clippy::arithmetic_side_effects)]

use crate::{Error, ErrorCode, Result};

/// Tensors of the main subgraph. The largest vision models have some thousands.
pub const MAX_TENSORS: usize = 1 << 16;
/// Operators of the main subgraph.
pub const MAX_NODES: usize = 1 << 16;
/// Operands or results of one operator. CONCATENATION and PACK have some dozens.
pub const MAX_OPERANDS: usize = 1 << 12;
/// Dimensions of a tensor. TensorFlow Lite's kernels stop at 6, its broadcasting at 8.
pub const MAX_RANK: usize = 8;
/// Bytes of one tensor, and so also its elements: what a 32-bit target can index with signed
/// arithmetic, on every target, so that a model is accepted everywhere or nowhere.
pub const MAX_TENSOR_BYTES: usize = i32::MAX as usize;
/// Bytes of one associated file after inflation. A label list of 21,843 classes has 0.4 MB.
pub const MAX_ASSOCIATED_FILE_BYTES: usize = 4 << 20;
/// What reading allocates at most beside the file itself: this many bytes ...
pub const READ_BUDGET_BASE_BYTES: usize = 8 << 20;
/// ... and this many for each byte of the file. A table of the file takes some four times its
/// size as a Rust value; files whose offsets point many times at the same bytes could claim
/// quadratically much.
pub const READ_BUDGET_PER_BYTE: usize = 4;

/// What is left of the memory that a file may claim.
#[derive(Clone, Debug)]
pub struct Budget {
    left: usize,
    total: usize,
    /// What the memory is for, as messages begin.
    purpose: &'static str,
}

impl Budget {
    /// The read budget of a file of `length` bytes.
    pub(crate) fn for_file(length: usize) -> Self {
        Self::new("reading", READ_BUDGET_BASE_BYTES, READ_BUDGET_PER_BYTE, length)
    }

    /// `base` bytes and `per_byte` for each of the `length` bytes of a file; `purpose` begins the
    /// message, as in "reading".
    pub fn new(purpose: &'static str, base: usize, per_byte: usize, length: usize) -> Self {
        let total = length.saturating_mul(per_byte).saturating_add(base);
        Self { left: total, total, purpose }
    }

    /// Takes room for `count` values of `size` bytes before they are allocated.
    ///
    /// # Errors
    /// `OUT_OF_MEMORY` where less is left.
    pub fn take(&mut self, count: usize, size: usize) -> Result<()> {
        let needed = count.saturating_mul(size);
        self.left = self.left.checked_sub(needed).ok_or_else(|| {
            Error::new(
                ErrorCode::OutOfMemory,
                format!(
                    "{} this model needs more than {} bytes beside the file, the most for a file of \
                     its size",
                    self.purpose, self.total
                ),
            )
            .with("budget", self.total)
        })?;
        Ok(())
    }

    /// The bytes that are left.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Gives room back for `bytes` bytes that were taken, and are free again.
    pub fn give_back(&mut self, bytes: usize) {
        self.left = self.left.saturating_add(bytes).min(self.total);
    }

    /// Takes room for a string or byte vector, with the allocator's share.
    pub(crate) fn take_bytes(&mut self, length: usize) -> Result<()> {
        self.take(1, length.saturating_add(32))
    }
}
