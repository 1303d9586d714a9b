//! Windows over pictures: their geometry, AVERAGE_POOL_2D, MAX_POOL_2D, RESIZE_BILINEAR.

use achado_graph::TfliteKernel;
use achado_model::{Operator, Padding, Result};

use super::arithmetic::activation_bounds;
use super::{At, Bind, Builder, Kind, Params, Shape, bounds};
use crate::template::Template;

/// How a window moves. Pairs are `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub input: [usize; 2],
    pub out: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    pub pad: [usize; 2],
    padded: bool,
}

impl Geometry {
    /// A row of pixels, each by itself.
    pub fn none(pixels: usize) -> Self {
        Self {
            input: [1, pixels],
            out: [1, pixels],
            kernel: [1; 2],
            stride: [1; 2],
            dilation: [1; 2],
            pad: [0; 2],
            padded: false,
        }
    }

    pub fn is_padded(&self) -> bool {
        self.padded
    }
}

/// The window over the first operand. Output sizes are those of the settled result.
pub(super) fn geometry(
    at: &At<'_>,
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
) -> Result<Geometry> {
    let (input, output) = (&at.input(0)?.shape, &at.output().shape);
    let (&[_, in_h, in_w, _], &[_, out_h, out_w, _]) = (&input[..], &output[..]) else {
        return Err(at.unsupported("tensors that are no pictures are not supported"));
    };
    let (sizes, outs) = ([in_h, in_w], [out_h, out_w]);
    let mut pad = [0; 2];
    let mut padded = false;
    for i in 0..2 {
        let reach = (kernel[i].max(1) - 1) * dilation[i] + 1;
        let needed = (outs[i].max(1) - 1) * stride[i] + reach;
        (pad[i], padded) = match padding {
            Padding::Same => {
                let total = needed.saturating_sub(sizes[i]);
                (total / 2, padded || total > 0)
            }
            Padding::Valid => (0, padded),
            Padding::Explicit { top, bottom, left, right } => {
                let before = [top, left][i];
                (before, padded || before + [bottom, right][i] > 0)
            }
        };
    }
    Ok(Geometry { input: sizes, out: outs, kernel, stride, dilation, pad, padded })
}

/// AVERAGE_POOL_2D and MAX_POOL_2D.
pub(super) fn pool<'a>(builder: &mut Builder<'a>, at: &At<'a>) -> Result<()> {
    let (filter, stride, padding, activation, is_max) = match at.node.operator {
        Operator::AveragePool2d { filter, stride, padding, activation } => {
            (filter, stride, padding, activation, false)
        }
        Operator::MaxPool2d { filter, stride, padding, activation } => {
            (filter, stride, padding, activation, true)
        }
        _ => return Err(at.unsupported("not a pool")),
    };
    let window = geometry(at, filter, stride, [1; 2], padding)?;
    let output = Shape::of(&at.output().shape);
    let kind = at.kind(at.output())?;
    if at.kind(at.input(0)?)? != kind {
        return Err(at.unsupported("mixed types are not supported"));
    }
    let is_float = kind.is_float();
    // All pixels of a picture: threads share the sum.
    let is_whole = window.out == [1, 1] && !window.is_padded() && filter == window.input;
    if is_float && !is_max && is_whole && activation == achado_model::Activation::None {
        return super::reduction::mean_of(builder, at, filter[0] * filter[1]);
    }
    let text = Template::new(include_str!("../wgsl/pool_2d.wgsl"))
        .flag("MAX", is_max)
        .flag("MEAN_FLOAT", is_float && !is_max)
        .flag("MEAN_INT", !is_float && !is_max)
        .value("SCALAR", if is_float { "f32" } else { "i32" })
        .value("STORED", if is_float { "vec4<f32>" } else { "u32" })
        .value("LOWEST", if is_float { "-3.4e38" } else { "-128" })
        .value("UNPACK", if is_float { "" } else { "unpack4xI8" })
        .value("PACK", if is_float { "" } else { "pack4xI8" })
        .finish();
    let params = Params::default()
        .u(&[output.quads(), output.w, output.h, output.pixels()])
        .u(&[window.input[1], window.input[0], stride[0], stride[1]])
        .u(&[window.pad[0], window.pad[1], filter[0], filter[1]]);
    let params = match kind {
        Kind::Float => params.f(&bounds(activation)).i(&[0, 0]),
        Kind::Bytes { offset } => {
            builder.needs_packed_dot = true;
            if activation != achado_model::Activation::None {
                return Err(at.unsupported("a pool of bytes with an activation is not supported"));
            }
            params.i(&activation_bounds(at, at.output(), activation)?).i(&[offset, 0])
        }
    };
    let source = builder.computed(at, 0)?;
    let result = builder.result(at)?;
    let binds = vec![Bind::Arena(source), Bind::Arena(result)];
    builder.call(at, text, Builder::threads(output.total()), params, binds)
}

/// RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR.
pub(super) fn resize<'a>(builder: &mut Builder<'a>, at: &At<'a>) -> Result<()> {
    let (is_bilinear, align_corners, half_pixel) = match at.node.operator {
        Operator::ResizeBilinear { align_corners, half_pixel_centers } => {
            (true, align_corners, half_pixel_centers)
        }
        Operator::ResizeNearestNeighbor { align_corners, half_pixel_centers } => {
            (false, align_corners, half_pixel_centers)
        }
        _ => return Err(at.unsupported("not a RESIZE")),
    };
    let (input, output) = (Shape::of(&at.input(0)?.shape), Shape::of(&at.output().shape));
    let kind = at.kind(at.output())?;
    if at.kind(at.input(0)?)? != kind || at.input(0)?.shape.len() != 4 {
        return Err(at.unsupported("mixed types are not supported"));
    }
    let is_float = kind.is_float();
    if !is_float {
        if at.affine(at.input(0)?)? != at.affine(at.output())? {
            return Err(at.unsupported("bytes of several scales are not supported"));
        }
        if is_bilinear && at.node.kernel == TfliteKernel::Builtin {
            return Err(at.unsupported("the built-in kernels' rounding is not supported"));
        }
        builder.needs_packed_dot = true;
    }
    let mut words = Vec::new();
    for (len, out) in [(input.h, output.h), (input.w, output.w)] {
        for i in 0..out {
            match is_bilinear {
                true => words.extend(neighbors(i, len, out, align_corners, half_pixel)),
                false => words.push(nearest(i, len, out, align_corners, half_pixel) as u32),
            }
        }
    }
    let params = Params::default().u(&[
        output.quads(),
        output.w,
        output.h,
        output.pixels(),
        input.w,
        input.h,
        0,
        0,
    ]);
    let text = match is_bilinear {
        true => include_str!("../wgsl/resize_bilinear.wgsl"),
        false => include_str!("../wgsl/resize_nearest_neighbor.wgsl"),
    };
    let text = Template::new(text)
        .flag("FLOAT", is_float)
        .value("STORED", if is_float { "vec4<f32>" } else { "u32" })
        .value("UNPACK", if is_float { "" } else { "unpack4xI8" })
        .finish();
    let source = builder.computed(at, 0)?;
    let table = builder.words(&words);
    let result = builder.result(at)?;
    let binds = vec![Bind::Weights(table), Bind::Arena(source), Bind::Arena(result)];
    builder.call(at, text, Builder::threads(output.total()), params, binds)
}

/// The two input places that place `i` of `out` lies between, and the share of the second as f32 and in
/// 1/2048 (XNNPACK's `indirection.c`).
fn neighbors(i: usize, len: usize, out: usize, align_corners: bool, half_pixel: bool) -> [u32; 4] {
    let ends = usize::from(align_corners && out != 1);
    let scale = (len - ends) as f32 / (out - ends) as f32;
    let offset = if half_pixel && !align_corners { 0.5 * scale - 0.5 } else { 0.0 };
    let at = (i as f32 * scale + offset).max(0.0).min((len - 1) as f32);
    let first = at as usize;
    let share = at - first as f32;
    let fixed = (share * 2048.0).round_ties_even() as u32;
    [first as u32, (first + 1).min(len - 1) as u32, share.to_bits(), fixed]
}

/// The input place of place `i` of `out` (`reference/resize_nearest_neighbor.h`).
fn nearest(i: usize, len: usize, out: usize, align_corners: bool, half_pixel: bool) -> usize {
    let ends = usize::from(align_corners && out > 1);
    let scale = (len - ends) as f32 / (out - ends) as f32;
    let at = (i as f32 + if half_pixel { 0.5 } else { 0.0 }) * scale;
    let at = if align_corners { at.round() } else { at.floor() };
    (at as usize).min(len - 1)
}
