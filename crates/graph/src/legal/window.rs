//! Pools and RESIZE.

use achado_model::{Operator, Result};

use super::bounds;
use crate::NodeRef;
use crate::geometry::Window;
use crate::infer::{WindowAttributes, window};

/// What a pool makes of the elements under its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// The greatest.
    Max,
    /// The mean of those inside the picture.
    Average,
    /// The root of the mean of squares.
    L2,
}

/// AVERAGE_POOL_2D, MAX_POOL_2D or L2_POOL_2D.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pool {
    /// What it computes.
    pub kind: PoolKind,
    /// The pictures and the way of the window.
    pub window: Window,
    /// Channels, each by itself.
    pub channels: usize,
    /// What the result is clamped to.
    pub bounds: [f32; 2],
}

/// The pool that a node is.
///
/// # Errors
/// `MODEL_FORMAT` where the window does not fit the picture, `UNSUPPORTED_TYPE` where the type changes.
pub fn pool(node: &NodeRef) -> Result<Pool> {
    let (kind, filter, stride, padding, activation) = match node.node.operator {
        Operator::AveragePool2d { filter, stride, padding, activation } => {
            (PoolKind::Average, filter, stride, padding, activation)
        }
        Operator::MaxPool2d { filter, stride, padding, activation } => {
            (PoolKind::Max, filter, stride, padding, activation)
        }
        Operator::L2Pool2d { filter, stride, padding, activation } => {
            (PoolKind::L2, filter, stride, padding, activation)
        }
        _ => return Err(node.malformed("not a pooling operator")),
    };
    let input = node.input(0)?;
    if input.dtype != node.output(0)?.dtype {
        return Err(node.unsupported_types());
    }
    let picture = node.picture(input)?;
    let attributes = WindowAttributes { filter, stride, dilation: [1, 1], padding };
    let window = window(node, picture, &attributes)?;
    Ok(Pool { kind, window, channels: picture[3], bounds: bounds(activation) })
}

/// RESIZE_BILINEAR or RESIZE_NEAREST_NEIGHBOR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resize {
    /// `[n, h, w, c]` of the input.
    pub picture: [usize; 4],
    /// Height and width of the result.
    pub out_size: [usize; 2],
    /// Whether the corners of both pictures are the same points.
    pub align_corners: bool,
    /// Whether pixels are taken at their centers.
    pub half_pixel_centers: bool,
}

/// The resizing that a node is.
///
/// # Errors
/// `MODEL_FORMAT` where input or result is no picture, `UNSUPPORTED_TYPE` where the type changes.
pub fn resize(node: &NodeRef) -> Result<Resize> {
    let (Operator::ResizeBilinear { align_corners, half_pixel_centers }
    | Operator::ResizeNearestNeighbor { align_corners, half_pixel_centers }) = node.node.operator
    else {
        return Err(node.malformed("not a resizing operator"));
    };
    let (input, output) = (node.input(0)?, node.output(0)?);
    if input.dtype != output.dtype {
        return Err(node.unsupported_types());
    }
    let (picture, [_, out_h, out_w, _]) = (node.picture(input)?, node.picture(output)?);
    Ok(Resize { picture, out_size: [out_h, out_w], align_corners, half_pixel_centers })
}
