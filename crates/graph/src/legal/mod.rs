//! What any backend needs of a node, as plain data: geometry with its paddings resolved, activations as
//! bounds, scales by channel, axes. One function a family; backends choose kernels by what it gives.

mod numbers;
mod weighted;
mod window;

pub use numbers::{bounds, quantized_bounds, shares_scale};
pub use weighted::{
    Arithmetic, Convolution, Requantization, arithmetic, check_bias, check_scales, float_bias,
    requantization, weighted,
};
pub use window::{Pool, PoolKind, Resize, pool, resize};
