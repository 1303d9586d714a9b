//! Matrix products in tiles of 4 rows by 8 columns: rows are pixels, columns output channels.
//!
//! A tile of 4 x 8 holds 8 accumulators and leaves room for 4 operands in x86's 16 registers. With
//! instructions in LLVM's order any larger tile spills in V8 (i16 pairs: 10-28 GMAC/s where 4 x 8 makes
//! 35-38). Relaxed builds keep to the written order (xtask/src/wasm.rs); there 5 rows of floats, and 6
//! of bytes, are multiplied together where one instruction is a product and its sum.

mod ahead;
pub mod bytes;
mod excess;
pub mod float;
mod packing;
mod pair_sums;
pub mod quantized;
pub mod sums;
pub(crate) mod tile;
mod words;

/// Rows of a tile.
pub const TILE_ROWS: usize = 4;
/// Columns of a panel of packed weights.
pub const PANEL: usize = 8;
