//! Shapes of operators over pictures: convolutions, pools, RESIZE; FULLY_CONNECTED.

use achado_model::{Operator, Padding, Result};

use crate::NodeRef;
use crate::geometry::{TransposeConv, Window};

/// How a window moves, as the operators say it.
pub struct WindowAttributes {
    /// Its sides.
    pub filter: [usize; 2],
    /// From one place to the next.
    pub stride: [usize; 2],
    /// Distance between taps.
    pub dilation: [usize; 2],
    /// What surrounds the picture.
    pub padding: Padding,
}

/// The window over pictures of `shape`; output sizes as TensorFlow Lite computes them.
pub fn window(
    node: &NodeRef,
    [batch, in_h, in_w, _]: [usize; 4],
    attributes: &WindowAttributes,
) -> Result<Window> {
    let WindowAttributes { filter, stride, dilation, padding } = *attributes;
    let side = |i: usize, size: usize, before: usize, after: usize| -> Result<[usize; 2]> {
        let too_large = || {
            let [h, w] = filter;
            node.malformed(format!("a window of {h} x {w} does not fit {in_h} x {in_w} pixels"))
        };
        let (filter, stride, dilation) = (filter[i], stride[i], dilation[i]);
        if filter == 0 || stride == 0 || dilation == 0 {
            return Err(node.malformed("filter, stride and dilation must be 1 or more"));
        }
        let reach = (filter - 1).checked_mul(dilation).and_then(|reach| reach.checked_add(1));
        let reach = reach.ok_or_else(too_large)?;
        let (out, before) = match padding {
            Padding::Same => {
                let out = size.div_ceil(stride);
                let needed = ((out - 1) * stride).checked_add(reach).ok_or_else(too_large)?;
                (out, needed.saturating_sub(size) / 2)
            }
            Padding::Valid | Padding::Explicit { .. } => {
                let padded = size.checked_add(before).and_then(|size| size.checked_add(after));
                let room = padded.and_then(|padded| padded.checked_sub(reach));
                (room.ok_or_else(too_large)? / stride + 1, before)
            }
        };
        // Kernels add offsets of taps to output coordinates; keep all of them far from overflow.
        let last = (out - 1).checked_mul(stride).and_then(|last| last.checked_add(reach));
        last.filter(|&last| last < usize::MAX / 4).ok_or_else(too_large)?;
        Ok([out, before])
    };
    let (top, bottom, left, right) = match padding {
        Padding::Explicit { top, bottom, left, right } => (top, bottom, left, right),
        _ => (0, 0, 0, 0),
    };
    let [out_h, pad_top] = side(0, in_h, top, bottom)?;
    let [out_w, pad_left] = side(1, in_w, left, right)?;
    let [kernel_h, kernel_w] = filter;
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

fn windowed(
    node: &NodeRef,
    attributes: &WindowAttributes,
    channels: Option<usize>,
) -> Result<Vec<usize>> {
    let picture = node.picture(node.input(0)?)?;
    let window = window(node, picture, attributes)?;
    Ok(vec![window.batch, window.out_h, window.out_w, channels.unwrap_or(picture[3])])
}

/// CONV_2D.
pub(super) fn conv2d(node: &NodeRef) -> Result<Vec<usize>> {
    let &Operator::Conv2d { stride, dilation, padding, .. } = &node.node.operator else {
        return Err(node.malformed("not a CONV_2D"));
    };
    let [out_c, h, w, _] = node.picture(node.input(1)?)?;
    let attributes = WindowAttributes { filter: [h, w], stride, dilation, padding };
    windowed(node, &attributes, Some(out_c))
}

/// DEPTHWISE_CONV_2D.
pub(super) fn depthwise_conv2d(node: &NodeRef) -> Result<Vec<usize>> {
    let &Operator::DepthwiseConv2d { stride, dilation, padding, .. } = &node.node.operator else {
        return Err(node.malformed("not a DEPTHWISE_CONV_2D"));
    };
    let [_, h, w, out_c] = node.picture(node.input(1)?)?;
    let attributes = WindowAttributes { filter: [h, w], stride, dilation, padding };
    windowed(node, &attributes, Some(out_c))
}

/// AVERAGE_POOL_2D, MAX_POOL_2D and L2_POOL_2D.
pub(super) fn pool(node: &NodeRef) -> Result<Vec<usize>> {
    match node.node.operator {
        Operator::AveragePool2d { filter, stride, padding, .. }
        | Operator::MaxPool2d { filter, stride, padding, .. }
        | Operator::L2Pool2d { filter, stride, padding, .. } => {
            let attributes = WindowAttributes { filter, stride, dilation: [1, 1], padding };
            windowed(node, &attributes, None)
        }
        _ => Err(node.malformed("not a pooling operator")),
    }
}

/// The sizes of a FULLY_CONNECTED: `[in, out]` of its weights, which the input fits.
pub fn fully_connected_sizes(node: &NodeRef) -> Result<[usize; 2]> {
    let (input, weights) = (node.input(0)?, node.input(1)?);
    let &[out_c, in_c] = &weights.shape[..] else {
        return Err(node.malformed(format!("weights have shape {:?}", weights.shape)));
    };
    let elements = input.elements();
    if in_c == 0 || out_c == 0 || elements == 0 || !elements.is_multiple_of(in_c) {
        return Err(node.malformed(format!(
            "an input of shape {:?} does not fit weights of shape {:?}",
            input.shape, weights.shape
        )));
    }
    Ok([in_c, out_c])
}

/// FULLY_CONNECTED.
pub(super) fn fully_connected(node: &NodeRef, keep_num_dims: bool) -> Result<Vec<usize>> {
    let ([in_c, out_c], input) = (fully_connected_sizes(node)?, node.input(0)?);
    if !keep_num_dims {
        return Ok(vec![input.elements() / in_c, out_c]);
    }
    let mut shape = input.shape.clone();
    if shape.pop() != Some(in_c) {
        return Err(node.malformed(format!("the last dimension should be {in_c}")));
    }
    shape.push(out_c);
    Ok(shape)
}

/// RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR.
pub(super) fn resize(node: &NodeRef) -> Result<Vec<usize>> {
    let [n, _, _, c] = node.picture(node.input(0)?)?;
    match super::dims(node, 1)?[..] {
        [h, w] if h > 0 && w > 0 => Ok(vec![n, h, w, c]),
        ref other => Err(node.malformed(format!("cannot resize to {other:?}"))),
    }
}

/// The geometry of TRANSPOSE_CONV `[shape, weights, input]` and Convolution2DTransposeBias
/// `[input, weights, bias]`.
pub fn transpose_conv(node: &NodeRef) -> Result<TransposeConv> {
    let (input, stride, padding) = match node.node.operator {
        Operator::TransposeConv { stride, padding, .. } => (node.input(2)?, stride, padding),
        Operator::Convolution2dTransposeBias { stride, padding } => {
            (node.input(0)?, stride, padding)
        }
        _ => return Err(node.malformed("not a transposed convolution")),
    };
    let [batch, in_h, in_w, in_c] = node.picture(input)?;
    let [out_c, kernel_h, kernel_w, weights_c] = node.picture(node.input(1)?)?;
    if in_c != weights_c {
        return Err(node.malformed(format!("weights of {weights_c} channels, input of {in_c}")));
    }
    let too_large = || node.malformed("the result is too large");
    let side = |size: usize, stride: usize, kernel: usize| -> Result<usize> {
        match padding {
            // MediaPipe's rule.
            Padding::Same => size.checked_mul(stride).ok_or_else(too_large),
            _ => (size - 1)
                .checked_mul(stride)
                .and_then(|reach| reach.checked_add(kernel))
                .ok_or_else(too_large),
        }
    };
    let out_size = match node.node.operator {
        Operator::TransposeConv { .. } => match super::dims(node, 0)?[..] {
            [n, h, w, c] if n == batch && c == out_c && h > 0 && w > 0 => [h, w],
            ref other => {
                return Err(node.malformed(format!(
                    "the result's shape should be [{batch}, height, width, {out_c}], is {other:?}"
                )));
            }
        },
        _ => [side(in_h, stride[0], kernel_h)?, side(in_w, stride[1], kernel_w)?],
    };
    // Offsets add output places, taps and padding: keep them far from overflow.
    let sizes = [in_h, in_w, kernel_h, kernel_w, stride[0], stride[1], out_size[0], out_size[1]];
    if stride.contains(&0) || sizes.iter().any(|&size| size > usize::MAX / 8) {
        return Err(too_large());
    }
    // The padding of the convolution whose gradient this is (`padding.h`): from the result to
    // the input.
    let pad = |i: usize, kernel: usize| match padding {
        Padding::Same => {
            let windows = out_size[i].div_ceil(stride[i]);
            ((windows - 1) * stride[i] + kernel).saturating_sub(out_size[i]) / 2
        }
        _ => 0,
    };
    Ok(TransposeConv {
        batch,
        in_size: [in_h, in_w],
        out_size,
        kernel: [kernel_h, kernel_w],
        stride,
        pad: [pad(0, kernel_h), pad(1, kernel_w)],
        in_c,
        out_c,
    })
}
