//! What kernels take, from what the graph says.

use achado_graph::{NodeRef, geometry, infer};
use achado_kernels::reference::transpose_conv::TransposeConvShape;
use achado_kernels::requant::Affine;
use achado_kernels::shape::Window;
use achado_model::{Result, Tensor};

/// Scale and zero point of a tensor quantized as a whole.
pub(super) fn affine(node: &NodeRef, tensor: &Tensor) -> Result<Affine> {
    let geometry::Affine { scale, zero_point } = node.affine(tensor)?;
    Ok(Affine { scale, zero_point })
}

/// The window over pictures `[n, h, w, c]`.
pub(super) fn window(
    node: &NodeRef,
    picture: [usize; 4],
    attributes: &infer::WindowAttributes,
) -> Result<Window> {
    let window = infer::window(node, picture, attributes)?;
    let geometry::Window { batch, in_h, in_w, out_h, out_w, .. } = window;
    let geometry::Window { kernel_h, kernel_w, stride, dilation, pad_top, pad_left, .. } = window;
    Ok(Window {
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
    })
}

/// The geometry of a transposed convolution.
pub(super) fn transpose_conv_shape(node: &NodeRef) -> Result<TransposeConvShape> {
    let geometry::TransposeConv { batch, in_size, out_size, kernel, stride, pad, in_c, out_c } =
        infer::transpose_conv(node)?;
    Ok(TransposeConvShape { batch, in_size, out_size, kernel, stride, pad, in_c, out_c })
}
