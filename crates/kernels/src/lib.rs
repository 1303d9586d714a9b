//! Pure arithmetic on slices: no models, no browser, no allocation in the hot paths.
//!
//! `reference` holds the naive truth of every operator; the modules beside it hold the fast
//! kernel of the same name, written once over the vector trait in `simd`.

pub mod add;
pub mod aligned;
pub mod arrange;
pub mod average_pool_2d;
pub mod batch_matmul;
pub mod binary;
mod blocks;
pub mod broadcast;
pub mod cast;
pub mod compiled;
pub mod concatenation;
pub mod conv2d;
pub mod depthwise_conv2d;
pub mod dequantize;
pub mod detection_postprocess;
pub mod dynamic_quantize;
pub mod fully_connected;
pub mod gemm;
pub mod indexed_copy;
pub mod l2_pool_2d;
pub mod lookup;
pub mod loops;
pub mod math;
pub mod max_pool_2d;
pub mod mean;
pub mod mul;
pub mod normalization;
pub mod order;
pub mod pad;
pub mod quantize;
pub mod reduce;
pub mod reference;
pub mod requant;
pub mod requant_vector;
pub mod resize;
pub mod resize_builtin;
pub mod shape;
pub mod shared;
pub mod simd;
pub mod softmax;
pub mod squared_difference;
pub mod strided_copy;
pub mod table;
pub mod transpose_conv;
pub mod unary;
