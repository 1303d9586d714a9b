//! What kernels take, from what the graph says.

use achado_graph::legal::{self, Pair};
use achado_graph::{NodeRef, TfliteKernel, geometry, infer};
use achado_kernels::reference::conv2d::Conv2dShape;
use achado_kernels::reference::depthwise_conv2d::DepthwiseShape;
use achado_kernels::reference::transpose_conv::TransposeConvShape;
use achado_kernels::requant::Affine;
use achado_kernels::shape::Window;
use achado_model::{Result, Tensor};

/// Scale and zero point of a tensor quantized as a whole.
pub(super) fn affine(node: &NodeRef, tensor: &Tensor) -> Result<Affine> {
    node.affine(tensor).map(kernel_affine)
}

/// Scale and zero point, as kernels take them.
pub(super) fn kernel_affine(affine: geometry::Affine) -> Affine {
    let geometry::Affine { scale, zero_point } = affine;
    Affine { scale, zero_point }
}

/// The scales of two quantized operands and of the result, and what the result is clamped to in the
/// arithmetic of `kernel`.
#[inline(never)]
pub(super) fn pair_scales(
    node: &NodeRef,
    pair: &Pair,
    kernel: TfliteKernel,
) -> Result<([Affine; 3], [i32; 2])> {
    let scales = legal::pair_scales(node)?;
    let bounds = legal::quantized_bounds(scales[2], pair.dtype, pair.bounds, kernel);
    Ok((scales.map(kernel_affine), bounds))
}

/// A window, as kernels take it.
pub(super) fn window(window: &geometry::Window) -> Window {
    let &geometry::Window { batch, in_h, in_w, out_h, out_w, .. } = window;
    let &geometry::Window { kernel_h, kernel_w, stride, dilation, pad_top, pad_left, .. } = window;
    Window {
        batch,
        in_h,
        in_w,
        out_h,
        out_w,
        kernel_h,
        kernel_w,
        stride,
        dilation,
        pad_top,
        pad_left,
    }
}

/// A convolution with all channels of its groups.
pub(super) fn conv2d_shape(convolution: &legal::Convolution) -> Conv2dShape {
    let &legal::Convolution { in_c, out_c, groups, .. } = convolution;
    Conv2dShape { window: window(&convolution.window), in_c, out_c, groups }
}

/// A convolution that goes channel by channel.
pub(super) fn depthwise_shape(convolution: &legal::Convolution) -> DepthwiseShape {
    let &legal::Convolution { in_c, out_c, .. } = convolution;
    DepthwiseShape { window: window(&convolution.window), in_c, multiplier: out_c / in_c }
}

/// The geometry of a transposed convolution.
pub(super) fn transpose_conv_shape(node: &NodeRef) -> Result<TransposeConvShape> {
    let geometry::TransposeConv { batch, in_size, out_size, kernel, stride, pad, in_c, out_c } =
        infer::transpose_conv(node)?;
    Ok(TransposeConvShape { batch, in_size, out_size, kernel, stride, pad, in_c, out_c })
}
