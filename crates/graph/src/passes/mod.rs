//! What edits a graph: one pass a file. Each says whether it changed anything.

mod choose_kernels;
mod fold_constants;
mod fuse;
mod infer_shapes;
mod integer_products;
mod keep_halves;
mod patterns;

pub use choose_kernels::choose_kernels;
pub use fold_constants::constant_floats;
pub use fuse::fuse;
pub use infer_shapes::infer_shapes;
pub use integer_products::find_integer_products;
pub use keep_halves::keep_halves;
pub use patterns::find_patterns;
