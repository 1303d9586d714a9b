//! What moves elements: RESHAPE, CONCATENATION, PAD, TRANSPOSE, SLICE, SPLIT.

use achado_model::{Operator, Result, Tensor};

use super::{At, Bind, Builder, Kind, Params, Shape};
use crate::places::Buffer;
use crate::template::Template;

/// RESHAPE, SQUEEZE and EXPAND_DIMS: nothing, where channels stay or need no padding.
pub(super) fn reshape<'a>(builder: &mut Builder<'a>, at: &At<'a>) -> Result<()> {
    let (input, output) = (at.input(0)?, at.output());
    let (kind, from, to) = (at.kind(output)?, Shape::of(&input.shape), Shape::of(&output.shape));
    if at.kind(input)? != kind || input.elements() != output.elements() {
        return Err(at.unsupported("mixed types are not supported"));
    }
    let source = builder.computed(at, 0)?;
    if from.c == to.c || (from.c.is_multiple_of(4) && to.c.is_multiple_of(4)) {
        builder.places[at.output_id().0] = Some(source);
        return Ok(());
    }
    let result = builder.result(at)?;
    let rows = [from.c, from.quads() * 4, to.c, to.quads() * 4];
    builder.repack(kind, output.elements(), rows, source, result, false);
    Ok(())
}

/// Four dimensions of a tensor, the last ones of its shape, in units that are moved: elements of
/// floats, quads of bytes; and the steps between them.
#[derive(Clone, Copy)]
struct Units {
    sizes: [usize; 4],
    steps: [usize; 4],
    /// Units of a row, padding included.
    row: usize,
}

impl Units {
    fn of(at: &At<'_>, tensor: &Tensor, kind: Kind) -> Result<Self> {
        let shape = &tensor.shape;
        if shape.len() > 4 {
            return Err(at.unsupported("more than four dimensions are not supported"));
        }
        let mut sizes = [1; 4];
        sizes[4 - shape.len()..].copy_from_slice(shape);
        let quads = sizes[3].div_ceil(4);
        let row = if kind.is_float() { quads * 4 } else { quads };
        if !kind.is_float() {
            sizes[3] = quads;
        }
        let steps = [sizes[1] * sizes[2] * row, sizes[2] * row, row, 1];
        Ok(Self { sizes, steps, row })
    }
}

/// A box of units that is copied.
struct Box4 {
    sizes: [usize; 4],
    from: i64,
    from_steps: [i64; 4],
    to: usize,
    to_steps: [usize; 4],
    fill: u32,
    low: [usize; 4],
    high: [usize; 4],
}

fn push<'a>(
    builder: &mut Builder<'a>,
    at: &At<'a>,
    source: Bind,
    result: Buffer,
    copy: &Box4,
) -> Result<()> {
    let access = if matches!(source, Bind::Arena(_)) { "read_write" } else { "read" };
    let text = Template::new(include_str!("../wgsl/move.wgsl")).value("ACCESS", access).finish();
    let total: usize = copy.sizes.iter().product();
    let steps = copy.from_steps.map(|step| step as i32);
    let params = Params::default()
        .u(&[copy.sizes[1], copy.sizes[2], copy.sizes[3], total])
        .i(&steps)
        .u(&copy.to_steps)
        .i(&[copy.from as i32])
        .u(&[copy.to, copy.fill as usize, 0])
        .u(&copy.low)
        .u(&copy.high);
    builder.call(at, text, Builder::threads(total), params, vec![source, Bind::Arena(result)])
}

/// The dimension, counted among four.
fn axis_of(at: &At<'_>, axis: i64, rank: usize) -> Result<usize> {
    let counted = if axis < 0 { axis + rank as i64 } else { axis };
    match usize::try_from(counted) {
        Ok(axis) if axis < rank && rank <= 4 => Ok(axis + 4 - rank),
        _ => Err(at.unsupported("this dimension is not supported")),
    }
}

fn check_alike(at: &At<'_>, tensor: &Tensor, kind: Kind) -> Result<()> {
    if at.kind(tensor)? != kind {
        return Err(at.unsupported("mixed types are not supported"));
    }
    if !kind.is_float() && at.affine(tensor)? != at.affine(at.output())? {
        return Err(at.unsupported("bytes of several scales are not supported"));
    }
    Ok(())
}

/// CONCATENATION.
pub(super) fn concatenation<'a>(builder: &mut Builder<'a>, at: &At<'a>) -> Result<()> {
    let Operator::Concatenation { axis, activation } = at.node.operator else {
        return Err(at.unsupported("not a CONCATENATION"));
    };
    if activation != achado_model::Activation::None {
        return Err(at.unsupported("an activation is not supported"));
    }
    let output = at.output();
    let kind = at.kind(output)?;
    let axis = axis_of(at, axis, output.shape.len())?;
    let to = Units::of(at, output, kind)?;
    let sources: Vec<Bind> =
        (0..at.node.inputs.len()).map(|i| builder.operand(at, i)).collect::<Result<_>>()?;
    let result = builder.result(at)?;
    let count = sources.len();
    let mut start = 0;
    for (i, source) in sources.into_iter().enumerate() {
        let input = at.input(i)?;
        check_alike(at, input, kind)?;
        let from = Units::of(at, input, kind)?;
        let channels = input.shape.last().copied().unwrap_or(1);
        if axis == 3 && !kind.is_float() && i + 1 < count && !channels.is_multiple_of(4) {
            return Err(
                at.unsupported("bytes whose channels are no multiple of 4 are not supported")
            );
        }
        let mut sizes = from.sizes;
        let mut high = from.sizes;
        if axis != 3 {
            // Padding is zero in the source already.
            (sizes[3], high[3]) = (from.row, from.row);
        } else if i + 1 == count {
            sizes[3] = to.row - start;
        }
        let copy = Box4 {
            sizes,
            from: 0,
            from_steps: from.steps.map(|step| step as i64),
            to: start * to.steps[axis],
            to_steps: to.steps,
            fill: 0,
            low: [0; 4],
            high,
        };
        push(builder, at, source, result, &copy)?;
        start += from.sizes[axis];
    }
    Ok(())
}

/// PAD and PADV2.
pub(super) fn pad<'a>(builder: &mut Builder<'a>, at: &At<'a>) -> Result<()> {
    let (input, output) = (at.input(0)?, at.output());
    let kind = at.kind(output)?;
    check_alike(at, input, kind)?;
    let before: Vec<usize> = at
        .integers(1)?
        .chunks(2)
        .map(|pair| {
            usize::try_from(pair[0])
                .map_err(|_| at.unsupported("paddings below 0 are not supported"))
        })
        .collect::<Result<_>>()?;
    let rank = input.shape.len();
    let (from, to) = (Units::of(at, input, kind)?, Units::of(at, output, kind)?);
    let pads_channels = input.shape.last() != output.shape.last();
    let fill = match (kind, at.optional(2)) {
        (Kind::Float, None) => 0,
        (Kind::Float, Some(value)) => match value.constant_floats().as_deref() {
            Some([value]) if *value == 0.0 || output.shape.last().is_some_and(|c| c % 4 == 0) => {
                value.to_bits()
            }
            _ => return Err(at.unsupported("this border is not supported")),
        },
        (Kind::Bytes { .. }, None) => u32::from_le_bytes([at.affine(output)?.1 as i8 as u8; 4]),
        (Kind::Bytes { offset }, Some(value)) => match value.data.as_deref() {
            Some(&[byte]) if value.dtype == output.dtype => {
                u32::from_le_bytes([byte ^ if offset == 128 { 0x80 } else { 0 }; 4])
            }
            _ => return Err(at.unsupported("this border is not supported")),
        },
    };
    if pads_channels && !kind.is_float() {
        return Err(at.unsupported("borders along channels of bytes are not supported"));
    }
    let mut low = [0; 4];
    for (i, &before) in before.iter().enumerate() {
        low[i + 4 - rank] = before;
    }
    let mut sizes = to.sizes;
    sizes[3] = to.row;
    let mut high = [0, 1, 2, 3].map(|i| low[i] + from.sizes[i]);
    if !pads_channels {
        high[3] = to.row;
    }
    let offset: i64 = (0..4).map(|i| (low[i] * from.steps[i]) as i64).sum();
    let copy = Box4 {
        sizes,
        from: -offset,
        from_steps: from.steps.map(|step| step as i64),
        to: 0,
        to_steps: to.steps,
        fill,
        low,
        high,
    };
    let source = builder.operand(at, 0)?;
    let result = builder.result(at)?;
    push(builder, at, source, result, &copy)
}

/// TRANSPOSE.
pub(super) fn transpose<'a>(builder: &mut Builder<'a>, at: &At<'a>) -> Result<()> {
    let (input, output) = (at.input(0)?, at.output());
    let kind = at.kind(output)?;
    check_alike(at, input, kind)?;
    let rank = input.shape.len();
    let (from, to) = (Units::of(at, input, kind)?, Units::of(at, output, kind)?);
    let mut from_steps = from.steps.map(|step| step as i64);
    let mut last = 3;
    for (i, &axis) in at.integers(1)?.iter().enumerate() {
        let axis = axis_of(at, axis, rank)?;
        from_steps[i + 4 - rank] = from.steps[axis] as i64;
        last = axis;
    }
    if !kind.is_float() && last != 3 {
        return Err(at.unsupported("bytes whose channels move are not supported"));
    }
    let mut sizes = to.sizes;
    sizes[3] = to.row;
    let copy = Box4 {
        sizes,
        from: 0,
        from_steps,
        to: 0,
        to_steps: to.steps,
        fill: 0,
        low: [0; 4],
        high: to.sizes,
    };
    let source = builder.operand(at, 0)?;
    let result = builder.result(at)?;
    push(builder, at, source, result, &copy)
}

/// SLICE, STRIDED_SLICE and SPLIT.
pub(super) fn slice<'a>(builder: &mut Builder<'a>, at: &At<'a>) -> Result<()> {
    let data = usize::from(matches!(at.node.operator, Operator::Split { .. }));
    let input = at.input(data)?;
    let kind = at.kind(at.output())?;
    check_alike(at, input, kind)?;
    let rank = input.shape.len();
    let from = Units::of(at, input, kind)?;
    let source = builder.operand(at, data)?;
    let mut along = 0;
    for &id in &at.node.outputs {
        let output = at.graph.tensor(id);
        if output.shape.len() != rank {
            return Err(at.unsupported("dimensions that go away are not supported"));
        }
        let (mut begin, mut strides) = (vec![0i64; rank], vec![1i64; rank]);
        match at.node.operator {
            Operator::Slice => begin = at.integers(1)?,
            Operator::StridedSlice {
                begin_mask,
                ellipsis_mask,
                new_axis_mask,
                shrink_axis_mask,
                ..
            } => {
                if ellipsis_mask | new_axis_mask | shrink_axis_mask != 0 {
                    return Err(at.unsupported("these masks are not supported"));
                }
                for (i, (first, stride)) in
                    at.integers(1)?.into_iter().zip(at.integers(3)?).enumerate()
                {
                    let size = input.shape[i] as i64;
                    strides[i] = stride;
                    let first = if first < 0 { first + size } else { first };
                    begin[i] = match (begin_mask >> i & 1, stride > 0) {
                        (1, true) => 0,
                        (1, false) => size - 1,
                        (_, true) => first.clamp(0, size),
                        (_, false) => first.clamp(-1, size - 1),
                    };
                }
            }
            Operator::Split { .. } => {
                let axis = at.integers(0)?[0];
                let axis = axis_of(at, axis, rank)? + rank - 4;
                begin[axis] = along;
                along += output.shape[axis] as i64;
            }
            _ => return Err(at.unsupported("not a slice")),
        }
        let to = Units::of(at, output, kind)?;
        let mut from_steps = from.steps.map(|step| step as i64);
        let mut offset = 0;
        for i in 0..rank {
            let four = i + 4 - rank;
            let in_quads = four == 3 && !kind.is_float();
            if in_quads && (strides[i] != 1 || begin[i] % 4 != 0) {
                return Err(at.unsupported(
                    "bytes between channels that are no multiple of 4 are not supported",
                ));
            }
            offset += if in_quads { begin[i] / 4 } else { begin[i] } * from.steps[four] as i64;
            from_steps[four] *= strides[i];
        }
        let mut sizes = to.sizes;
        sizes[3] = to.row;
        let copy = Box4 {
            sizes,
            from: offset,
            from_steps,
            to: 0,
            to_steps: to.steps,
            fill: 0,
            low: [0; 4],
            high: to.sizes,
        };
        let result = builder.room(at, id)?;
        push(builder, at, source.clone(), result, &copy)?;
    }
    Ok(())
}
