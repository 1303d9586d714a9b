//! The hot kernels, compiled in this crate for the types and the level that there are.
//!
//! A generic function is compiled in the crate that calls it, and as that crate is. The engine is
//! compiled for size: there register tiles are not unrolled and MobileNet V2 takes five times as
//! long (measured), though the package is 42 KB (gzip) smaller.

use core::ops::Range;

use crate::add::add_quantized;
use crate::average_pool_2d::average_pool_2d_bytes;
use crate::batch_matmul::BatchMatmul;
use crate::broadcast::Broadcast;
use crate::conv2d::{Conv2dDynamic, Conv2dFloat, Conv2dHybrid, Conv2dQuantized, Dynamic, Grids};
use crate::depthwise_conv2d::{DepthwiseFloat, DepthwiseQuantized};
use crate::fully_connected::{FullyConnectedFloat, FullyConnectedQuantized};
use crate::gemm::bytes::ByteDot;
use crate::max_pool_2d::max_pool_2d_quantized;
use crate::mean::mean_quantized;
use crate::mul::{MulQuantized, mul_quantized};
use crate::quantize::quantize_f32;
use crate::reduce::Reduction;
use crate::reference::QuantizedWeights;
use crate::reference::conv2d::Conv2dShape;
use crate::reference::depthwise_conv2d::DepthwiseShape;
use crate::requant::{AddRequantize, Affine, ReduceRequantize, Requantize};
use crate::shape::Window;
use crate::simd::{Element, Native};
use crate::squared_difference::SquaredDifference;

/// Declares methods of [`Compiled`] and implements each by the call that follows it.
macro_rules! compiled {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $of:ty),* $(,)?) $(-> $result:ty)? = $call:expr;)*) => {
        /// 8-bit elements, each with kernels of its own.
        pub trait Compiled: Element {
            $(
                $(#[$doc])*
                #[allow(clippy::too_many_arguments, reason = "those of the kernel")]
                fn $name($($argument: $of),*) $(-> $result)?;
            )*
        }

        compiled!(@implement i8; $(fn $name($($argument: $of),*) $(-> $result)? = $call;)*);
        compiled!(@implement u8; $(fn $name($($argument: $of),*) $(-> $result)? = $call;)*);
    };
    (@implement $element:ty; $(fn $name:ident($($argument:ident: $of:ty),*) $(-> $result:ty)? = $call:expr;)*) => {
        impl Compiled for $element {
            $(
                #[inline(never)]
                fn $name($($argument: $of),*) $(-> $result)? {
                    $call
                }
            )*
        }
    };
}

compiled! {
    /// [`Conv2dQuantized::new`] with weights of the same type.
    fn pack_conv2d(
        shape: Conv2dShape,
        input_zero_point: i32,
        weights: &QuantizedWeights<Self>,
        requant: &Requantize,
        byte_dot: Option<ByteDot>,
    ) -> Conv2dQuantized
        = Conv2dQuantized::new::<Self, Self>(shape, input_zero_point, weights, requant, byte_dot);

    /// [`Conv2dQuantized::run`].
    fn conv2d(
        kernel: &Conv2dQuantized,
        input: &[Self],
        pixels: Range<usize>,
        out: &mut [Self],
        scratch: &mut [u8],
    ) = kernel.run::<Native, Self>(input, pixels, out, scratch);

    /// [`DepthwiseQuantized::new`] with weights of the same type.
    fn pack_depthwise(
        shape: DepthwiseShape,
        input_zero_point: i32,
        weights: &QuantizedWeights<Self>,
        requant: &Requantize,
        byte_dot: Option<ByteDot>,
    ) -> DepthwiseQuantized
        = DepthwiseQuantized::new::<Self, Self>(
            shape, input_zero_point, weights, requant, byte_dot
        );

    /// [`DepthwiseQuantized::run`].
    fn depthwise(
        kernel: &DepthwiseQuantized,
        input: &[Self],
        rows: Range<usize>,
        out: &mut [Self],
        scratch: &mut [u8],
    ) = kernel.run::<Native, Self>(input, rows, out, scratch);

    /// [`FullyConnectedQuantized::new`] with weights of the same type.
    fn pack_fully_connected(
        sizes: [usize; 2],
        input_zero_point: i32,
        weights: &QuantizedWeights<Self>,
        requant: &Requantize,
        byte_dot: Option<ByteDot>,
    ) -> FullyConnectedQuantized
        = FullyConnectedQuantized::new::<Self, Self>(
            sizes, input_zero_point, weights, requant, byte_dot,
        );

    /// [`FullyConnectedQuantized::run`].
    fn fully_connected(
        kernel: &FullyConnectedQuantized,
        input: &[Self],
        rows: Range<usize>,
        out: &mut [Self],
        scratch: &mut [u8],
    ) = kernel.run::<Native, Self>(input, rows, out, scratch);

    /// [`add_quantized`].
    fn add(
        broadcast: &Broadcast,
        requant: &AddRequantize,
        bounds: [i32; 2],
        first: &[Self],
        second: &[Self],
        out: &mut [Self],
    ) = add_quantized(broadcast, requant, bounds, first, second, out);

    /// [`mul_quantized`].
    fn mul(
        broadcast: &Broadcast,
        params: &MulQuantized,
        first: &[Self],
        second: &[Self],
        out: &mut [Self],
    ) = mul_quantized(broadcast, params, first, second, out);

    /// [`mean_quantized`] to the same type.
    fn mean(
        reduction: &Reduction,
        requant: &ReduceRequantize,
        input: &[Self],
        out: &mut [Self],
    ) = mean_quantized(reduction, requant, input, out);

    /// [`average_pool_2d_bytes`].
    fn average_pool_2d(
        window: &Window,
        channels: usize,
        bounds: [i32; 2],
        input: &[Self],
        rows: Range<usize>,
        out: &mut [Self],
    ) = average_pool_2d_bytes::<Native, Self>(window, channels, bounds, input, rows, out);

    /// [`max_pool_2d_quantized`].
    fn max_pool_2d(
        window: &Window,
        channels: usize,
        bounds: [i32; 2],
        input: &[Self],
        rows: Range<usize>,
        out: &mut [Self],
    ) = max_pool_2d_quantized(window, channels, bounds, input, rows, out);

    /// [`SquaredDifference::run`].
    fn squared_difference(
        broadcast: &Broadcast,
        params: &SquaredDifference,
        first: &[Self],
        second: &[Self],
        out: &mut [Self],
    ) = params.run(broadcast, first, second, out);

    /// [`quantize_f32`].
    fn quantize(output: Affine, input: &[f32], out: &mut [Self])
        = quantize_f32(output, input, out);
}

/// [`Conv2dFloat::run`].
#[inline(never)]
pub fn conv2d_f32(
    kernel: &Conv2dFloat,
    input: &[f32],
    pixels: Range<usize>,
    out: &mut [f32],
    scratch: &mut [u8],
) {
    kernel.run::<Native>(input, pixels, out, scratch);
}

/// [`Conv2dDynamic::run`].
#[inline(never)]
pub fn conv2d_dynamic(
    kernel: &Conv2dDynamic,
    input: &[u8],
    dynamic: &Dynamic,
    pixels: Range<usize>,
    out: &mut [f32],
    scratch: &mut [u8],
) {
    kernel.run::<Native>(input, dynamic, pixels, out, scratch);
}

/// [`Conv2dHybrid::run`].
#[inline(never)]
pub fn conv2d_hybrid(
    kernel: &Conv2dHybrid,
    input: &[u8],
    grids: &Grids,
    pixels: Range<usize>,
    out: &mut [f32],
    scratch: &mut [u8],
) {
    kernel.run::<Native>(input, grids, pixels, out, scratch);
}

/// [`DepthwiseFloat::run`].
#[inline(never)]
pub fn depthwise_f32(
    kernel: &DepthwiseFloat,
    input: &[f32],
    rows: Range<usize>,
    out: &mut [f32],
    scratch: &mut [u8],
) {
    kernel.run::<Native>(input, rows, out, scratch);
}

/// [`FullyConnectedFloat::run`].
#[inline(never)]
pub fn fully_connected_f32(
    kernel: &FullyConnectedFloat,
    input: &[f32],
    rows: Range<usize>,
    out: &mut [f32],
    scratch: &mut [u8],
) {
    kernel.run::<Native>(input, rows, out, scratch);
}

/// [`BatchMatmul::run_packed_f32`].
#[inline(never)]
pub fn batch_matmul_f32(
    product: &BatchMatmul,
    first: &[f32],
    packed: &[f32],
    rows: Range<usize>,
    out: &mut [f32],
) {
    product.run_packed_f32::<Native>(first, packed, rows, out);
}
