//! What any backend needs of a node, as plain data: geometry with its paddings resolved, activations as
//! bounds, scales by channel, axes. One function a family; backends choose kernels by what it gives.

mod elementwise;
mod layout;
mod numbers;
mod weighted;
mod window;

pub use elementwise::{Pair, Rows, pair, pair_scales, reduction, rows};
pub use layout::{
    Concatenation, Pad, PadValue, Part, check_alike, concatenation, pad, transpose, zero_element,
};
pub use numbers::{bounds, quantized_bounds, shares_scale};
pub use weighted::{
    Arithmetic, Convolution, Requantization, arithmetic, check_bias, check_scales, float_bias,
    requantization, weighted,
};
pub use window::{Pool, PoolKind, Resize, pool, resize};
