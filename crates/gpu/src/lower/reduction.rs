//! MEAN over a picture, SOFTMAX.

use achado_graph::Normalization;
use achado_model::{Operator, Result};

use super::{At, Bind, Builder, Kind, Params, Shape};
use crate::template::Template;

/// MEAN over height and width.
pub(super) fn mean<'a>(builder: &mut Builder<'a>, at: &At<'a>) -> Result<()> {
    if !matches!(at.node.operator, Operator::Mean { .. }) {
        return Err(at.unsupported("not a MEAN"));
    }
    let shape = &at.input(0)?.shape;
    let rank = shape.len() as i64;
    let mut axes: Vec<i64> =
        at.integers(1)?.iter().map(|&axis| if axis < 0 { axis + rank } else { axis }).collect();
    axes.sort_unstable();
    axes.dedup();
    let pixels = match (&axes[..], &shape[..]) {
        ([1, 2], &[_, h, w, _]) => h * w,
        ([1], &[_, w, _]) => w,
        _ => return Err(at.unsupported("MEAN over other dimensions is not supported")),
    };
    mean_of(builder, at, pixels)
}

/// The mean of each image's `pixels`.
pub(super) fn mean_of<'a>(builder: &mut Builder<'a>, at: &At<'a>, pixels: usize) -> Result<()> {
    let input = Shape::of(&at.input(0)?.shape);
    let kind = at.kind(at.output())?;
    if at.kind(at.input(0)?)? != kind {
        return Err(at.unsupported("mixed types are not supported"));
    }
    let is_float = kind.is_float();
    let text = Template::new(include_str!("../wgsl/mean.wgsl"))
        .flag("INT", !is_float)
        .value("SCALAR", if is_float { "f32" } else { "i32" })
        .value("STORED", if is_float { "vec4<f32>" } else { "u32" })
        .value("UNPACK", if is_float { "" } else { "unpack4xI8" })
        .finish();
    let factor = 1.0 / pixels as f32;
    let params = Params::default().u(&[input.quads(), pixels]).f(&[factor]).u(&[0]);
    let source = builder.computed(at, 0)?;
    let result = builder.result(at)?;
    let mut binds = vec![Bind::Arena(source), Bind::Arena(result)];
    if let Kind::Bytes { offset } = kind {
        builder.needs_packed_dot = true;
        let (from, to) = (at.affine(at.input(0)?)?, at.affine(at.output())?);
        // As XNNPACK's reduction rounds, over elements as the model has them.
        let scale = from.0 / to.0 * factor;
        let (from_zero, to_zero) = (from.1 + offset, to.1 + offset);
        let shift = to_zero as f32 - pixels as f32 * from_zero as f32 * scale;
        let count = pixels as i64;
        let table = steps([-128 * count, 127 * count], |sum| {
            let raw = sum + i64::from(offset) * count;
            let value = (raw as f32 * scale + shift).round_ties_even();
            (value as i64).clamp(i64::from(offset) - 128, i64::from(offset) + 127)
                - i64::from(offset)
        });
        let words: Vec<u32> = table.iter().map(|&step| step as u32).collect();
        binds.push(Bind::Weights(builder.words(&words)));
    }
    builder.call(at, text, [input.quads(), input.n, 1], params, binds)
}

/// The least arguments at which a monotone function onto -128..=127 reaches -127, -126, ...; more than
/// the last argument where it does not.
pub(super) fn steps([first, last]: [i64; 2], function: impl Fn(i64) -> i64) -> Vec<i32> {
    let mut table = Vec::with_capacity(256);
    for value in -127..=127 {
        // The least argument with function(x) >= value.
        let (mut low, mut high) = (first, last + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if function(middle) >= value {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        table.push(i32::try_from(low).unwrap_or(i32::MAX));
    }
    table.push(i32::MAX);
    table
}

/// SOFTMAX of floats over the last dimension.
pub(super) fn softmax<'a>(builder: &mut Builder<'a>, at: &At<'a>, beta: f32) -> Result<()> {
    let shape = Shape::of(&at.input(0)?.shape);
    if !at.kind(at.output())?.is_float() || at.input(0)?.shape.is_empty() {
        return Err(at.unsupported("SOFTMAX of bytes is not supported"));
    }
    if shape.pixels() > super::MAX_GROUPS as usize {
        return Err(at.unsupported("this many rows are not supported"));
    }
    let text = Template::new(include_str!("../wgsl/softmax.wgsl")).finish();
    let params = Params::default().u(&[shape.quads(), shape.c]).f(&[beta]).u(&[0]);
    let source = builder.computed(at, 0)?;
    let result = builder.result(at)?;
    let binds = vec![Bind::Arena(source), Bind::Arena(result)];
    builder.call(at, text, [shape.pixels(), 1, 1], params, binds)
}

/// Layer and RMS normalization of floats over the last dimension.
pub(super) fn normalization<'a>(
    builder: &mut Builder<'a>,
    at: &At<'a>,
    parts: &Normalization,
) -> Result<()> {
    let shape = Shape::of(&at.output().shape);
    if shape.pixels() > super::MAX_GROUPS as usize {
        return Err(at.unsupported("this many rows are not supported"));
    }
    let text = Template::new(include_str!("../wgsl/normalization.wgsl"))
        .flag("CENTERED", parts.is_centered)
        .finish();
    let params =
        Params::default().u(&[shape.quads(), shape.c]).f(&[parts.epsilon, 1.0 / shape.c as f32]);
    let source = builder.computed(at, 0)?;
    let result = builder.result(at)?;
    let mut words = vec![0u32; shape.quads() * 8];
    let of = |list: &[f32], channel: usize| list[if list.len() == 1 { 0 } else { channel }];
    for channel in 0..shape.c {
        words[channel] = of(&parts.gamma, channel).to_bits();
        words[shape.quads() * 4 + channel] = of(&parts.beta, channel).to_bits();
    }
    let place = builder.words(&words);
    let binds = vec![Bind::Weights(place), Bind::Arena(source), Bind::Arena(result)];
    builder.call(at, text, [shape.pixels(), 1, 1], params, binds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_steps_is_the_function() {
        let function = |x: i64| (x as f32 * 0.37 - 3.5).round_ties_even() as i64;
        let clamped = |x: i64| function(x).clamp(-128, 127);
        let table = steps([-1000, 1000], clamped);
        for x in -1000..=1000 {
            // As the shader looks it up.
            let (mut at, mut stride) = (0usize, 128);
            while stride > 0 {
                if x >= i64::from(table[at + stride - 1]) {
                    at += stride;
                }
                stride >>= 1;
            }
            assert_eq!(at as i64 - 128, clamped(x), "{x}");
        }
    }
}
