//! Operators that pick a part of their operand.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{DataType, Node, Operator, Result};

use super::calculator::Calculator;
use crate::constant::Constant;
use crate::fold::shapes::{self, Range};
use crate::import::{Importer, TensorValue, Value};
use crate::site::Site;
use crate::view::View;

/// Split.
pub(super) fn split<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let value = importer.tensor_input(site, 0)?;
    let dims = value.view.dims();
    let axis = site.axis(site.int("axis", 0)?, dims.len())?;
    let whole = dims.get(axis).copied().unwrap_or(1);
    let named = match site.ints("split")? {
        Some(sizes) => Some(sizes.to_vec()),
        None => importer.optional_integers(site, 1)?,
    };
    let sizes = shapes::split(site, whole, named.as_deref())?;
    let (tensor, order) = importer.builder.one_by_one(&value.view)?;
    let place = order.iter().position(|&at| at == axis).unwrap_or(0);
    let shape = importer.builder.shape(tensor).to_vec();
    let mut outputs = Vec::with_capacity(sizes.len());
    let (dtype, quantization) = {
        let stored = importer.builder.tensor(tensor);
        (stored.dtype, stored.quantization.clone())
    };
    for (&name, &size) in site.node.outputs.iter().zip(&sizes) {
        let mut part = shape.clone();
        if let Some(place) = part.get_mut(place) {
            *place = size;
        }
        let id = importer.builder.add_tensor(name, dtype, &part, quantization.clone())?;
        let view = View::new(id, &part, &order);
        importer.bind(name, Value::Tensor(TensorValue { view, dtype: value.dtype }));
        outputs.push(id);
    }
    let name = site.output_name(0)?;
    let builder = &mut importer.builder;
    let axis_name = format!("{name}/axis");
    let axis = builder.add_int32(&axis_name, Vec::new(), &[place])?;
    let parts = sizes.len();
    let equal = sizes.windows(2).all(|pair| pair.first() == pair.last());
    let (operator, inputs) = match equal {
        true => (Operator::Split { parts }, vec![Some(axis), Some(tensor)]),
        false => {
            let sizes = builder.add_integers(&format!("{name}/sizes"), &sizes)?;
            (Operator::SplitV { parts }, vec![Some(tensor), Some(sizes), Some(axis)])
        }
    };
    builder.model.nodes.push(Node { operator, inputs, outputs });
    Ok(())
}

/// Slice.
pub(super) fn slice<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let value = importer.tensor_input(site, 0)?;
    let dims = value.view.dims();
    let parts = shapes::SliceOperands {
        starts: match site.ints("starts")? {
            Some(starts) => Some(starts.to_vec()),
            None => importer.optional_integers(site, 1)?,
        },
        ends: match site.ints("ends")? {
            Some(ends) => Some(ends.to_vec()),
            None => importer.optional_integers(site, 2)?,
        },
        axes: match site.ints("axes")? {
            Some(axes) => Some(axes.to_vec()),
            None => importer.optional_integers(site, 3)?,
        },
        steps: importer.optional_integers(site, 4)?,
    };
    let ranges = shapes::slice(site, &dims, &parts)?;
    let view = importer.pick(site, &value.view, &ranges, site.output_name(0)?)?;
    importer.bind_view(site, view, value.dtype)
}

impl<'a> Importer<'a> {
    /// The elements within a range of each logical dimension.
    pub(super) fn pick(
        &mut self,
        site: &Site<'a>,
        view: &View,
        ranges: &[Range],
        name: &str,
    ) -> Result<View> {
        let dims = view.dims();
        let whole =
            |(range, &dim): (&Range, &usize)| *range == Range { start: 0, step: 1, count: dim };
        if ranges.iter().zip(&dims).all(whole) {
            return Ok(view.clone());
        }
        if ranges.iter().any(|range| range.count == 0) {
            return Err(site.unsupported("a part without elements is not supported"));
        }
        let (tensor, order) = self.builder.one_by_one(view)?;
        let ranges: Vec<Range> = order
            .iter()
            .map(|&axis| ranges.get(axis).copied().unwrap_or(Range { start: 0, step: 1, count: 1 }))
            .collect();
        let shape: Vec<usize> = ranges.iter().map(|range| range.count).collect();
        if ranges.iter().any(|range| range.step < 1) {
            return self.reversed(site, view, &order, &ranges, name);
        }
        let begin: Vec<usize> = ranges.iter().map(|range| range.start).collect();
        let builder = &mut self.builder;
        let begin_id = builder.add_integers(&format!("{name}/begin"), &begin)?;
        let tensor = if ranges.iter().all(|range| range.step == 1) {
            let size = builder.add_integers(&format!("{name}/size"), &shape)?;
            builder.emit_like(Operator::Slice, &[tensor, begin_id, size], name, &shape)?
        } else {
            let step = |range: &Range| usize::try_from(range.step).unwrap_or(1);
            let steps: Vec<usize> = ranges.iter().map(step).collect();
            let ends: Vec<usize> = (ranges.iter().zip(&steps))
                .map(|(range, step)| {
                    let last = range.count.saturating_sub(1).saturating_mul(*step);
                    range.start.saturating_add(last).saturating_add(1)
                })
                .collect();
            let ends = builder.add_integers(&format!("{name}/end"), &ends)?;
            let steps = builder.add_integers(&format!("{name}/steps"), &steps)?;
            let operator = Operator::StridedSlice {
                begin_mask: 0,
                end_mask: 0,
                ellipsis_mask: 0,
                new_axis_mask: 0,
                shrink_axis_mask: 0,
                offset: false,
            };
            builder.emit_like(operator, &[tensor, begin_id, ends, steps], name, &shape)?
        };
        Ok(View::new(tensor, &shape, &order))
    }

    /// Dimensions with a negative step: whole ones back to front, of others the elements are picked.
    fn reversed(
        &mut self,
        site: &Site<'a>,
        view: &View,
        order: &[usize],
        ranges: &[Range],
        name: &str,
    ) -> Result<View> {
        let mut tensor = self.builder.in_order(view, order)?;
        let mut shape = self.builder.shape(tensor).to_vec();
        let mut axes = Vec::new();
        for (place, range) in ranges.iter().enumerate() {
            let size = shape.get(place).copied().unwrap_or(1);
            let last = size.saturating_sub(1);
            match *range {
                Range { start: 0, step: 1, count } if count == size => {}
                Range { start, step: -1, count } if start == last && count == size => {
                    axes.push(place);
                }
                Range { start, step, count } => {
                    self.builder.budget.take(count, 8)?;
                    let start = i64::try_from(start).unwrap_or(i64::MAX);
                    let at = |at: usize| {
                        let moved = i64::try_from(at).unwrap_or(0).saturating_mul(step);
                        usize::try_from(start.saturating_add(moved)).ok()
                    };
                    let indices: Option<Vec<usize>> = (0..count).map(at).collect();
                    let indices = indices.ok_or_else(|| site.malformed("a part beyond its end"))?;
                    if let Some(size) = shape.get_mut(place) {
                        *size = count;
                    }
                    let part = format!("{name}/part {place}");
                    let indices =
                        self.builder.add_integers(&format!("{part}/indices"), &indices)?;
                    let axis = i64::try_from(place).unwrap_or(0);
                    let operator = Operator::Gather { axis, batch_dims: 0 };
                    tensor = self.builder.emit_like(operator, &[tensor, indices], &part, &shape)?;
                }
            }
        }
        if !axes.is_empty() {
            let axes = self.builder.add_integers(&format!("{name}/axes"), &axes)?;
            let operands = [tensor, axes];
            tensor = self.builder.emit_like(Operator::ReverseV2, &operands, name, &shape)?;
        }
        Ok(View::new(tensor, &shape, order))
    }
}

/// Gather.
pub(super) fn gather<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let value = importer.tensor_input(site, 0)?;
    let dims = value.view.dims();
    let axis = site.axis(site.int("axis", 0)?, dims.len())?;
    let size = dims.get(axis).copied().unwrap_or(1);
    let name = site.output_name(0)?;
    let indices = match importer.input(site, 1)? {
        Value::Constant(constant) => constant,
        _ => return gather_computed(importer, site, &value, axis),
    };
    let places: Result<Vec<usize>> = (indices.integers().unwrap_or_default().iter())
        .map(|&index| site.axis(index, size))
        .collect();
    let places = places.map_err(|_| site.malformed(format!("an index beyond {size}")))?;
    let mut out_dims: Vec<usize> = dims.iter().take(axis).copied().collect();
    out_dims.extend(&indices.shape);
    out_dims.extend(dims.iter().skip(axis.saturating_add(1)));
    // Neighbours are a slice; a single index drops its dimension without moving anything else.
    let start = places.first().copied().unwrap_or(0);
    let neighbours = places.iter().copied().eq(start..start.saturating_add(places.len()));
    let view = if neighbours && !places.is_empty() {
        let mut ranges: Vec<Range> =
            dims.iter().map(|&count| Range { start: 0, step: 1, count }).collect();
        if let Some(range) = ranges.get_mut(axis) {
            *range = Range { start, step: 1, count: places.len() };
        }
        importer.pick(site, &value.view, &ranges, name)?
    } else {
        let (tensor, order) = importer.builder.one_by_one(&value.view)?;
        let place = order.iter().position(|&at| at == axis).unwrap_or(0);
        let mut shape = importer.builder.shape(tensor).to_vec();
        if let Some(size) = shape.get_mut(place) {
            *size = places.len();
        }
        let operator = Operator::Gather { axis: i64::try_from(place).unwrap_or(0), batch_dims: 0 };
        let builder = &mut importer.builder;
        let indices = builder.add_integers(&format!("{name}/indices"), &places)?;
        let tensor = builder.emit_like(operator, &[tensor, indices], name, &shape)?;
        View::new(tensor, &shape, &order)
    };
    let view = importer.reshaped(site, &view, &out_dims)?;
    importer.bind_view(site, view, value.dtype)
}

/// Gather by indices that are computed; those below zero count from the end.
fn gather_computed<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    value: &TensorValue,
    axis: usize,
) -> Result<()> {
    let mut c = Calculator::new(importer, site)?;
    let (x, indices) = (c.onnx(value)?, c.input(1)?);
    let size = x.view.dims().get(axis).copied().unwrap_or(1);
    let raised = c.plus(&indices, size as f32)?;
    let is_below = c.test_with(Operator::Less, &indices, 0.0)?;
    let indices = c.select(&is_below, &raised, &indices)?;
    let (dims, index_dims) = (x.view.dims(), indices.view.dims());
    let plain: Vec<usize> = (0..dims.len()).collect();
    let index_plain: Vec<usize> = (0..index_dims.len()).collect();
    let builder = &mut c.importer.builder;
    let tensor = builder.in_order(&x.view, &plain)?;
    let indices = builder.in_order(&indices.view, &index_plain)?;
    let mut shape: Vec<usize> = dims.iter().take(axis).copied().collect();
    shape.extend(&index_dims);
    shape.extend(dims.iter().skip(axis.saturating_add(1)));
    let operator = Operator::Gather { axis: i64::try_from(axis).unwrap_or(0), batch_dims: 0 };
    let name = site.output_name(0)?;
    let tensor = builder.emit_like(operator, &[tensor, indices], name, &shape)?;
    importer.bind_view(site, View::plain(tensor, &shape), value.dtype)
}

/// TopK over the last dimension.
pub(super) fn top_k<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let mut view = importer.onnx_input(site, 0)?;
    let rank = view.rank();
    let axis = site.axis(site.int("axis", -1)?, rank)?;
    let name = site.output_name(0)?;
    let is_least = !site.flag("largest", true)?;
    if is_least {
        // The greatest of the negated.
        let shape = importer.builder.shape(view.tensor).to_vec();
        let negated = format!("{name}/negated");
        let operands = [view.tensor];
        view = view.of(importer.builder.emit_like(Operator::Neg, &operands, &negated, &shape)?);
    }
    let count = match site.has("k") {
        true => site.int("k", 1)?,
        false => match importer.optional_integers(site, 1)?.as_deref() {
            Some(&[count]) => count,
            _ => return Err(site.malformed("the number of elements is missing")),
        },
    };
    let count = site.size(count, "k")?;
    let mut order: Vec<usize> = (0..rank).collect();
    order.retain(|&at| at != axis);
    order.push(axis);
    let tensor = importer.builder.in_order(&view, &order)?;
    let mut shape = importer.builder.shape(tensor).to_vec();
    match shape.last_mut() {
        Some(size) if *size >= count && count > 0 => *size = count,
        _ => return Err(site.malformed(format!("{count} elements of {:?}", view.dims()))),
    }
    let dtype = importer.builder.tensor(tensor).dtype;
    let k = Constant::new(
        DataType::Int32,
        Vec::new(),
        i32::try_from(count).unwrap_or(i32::MAX).to_le_bytes().to_vec(),
    );
    let builder = &mut importer.builder;
    let k = builder.add_constant(&format!("{name}/k"), &k)?;
    let values = builder.add_tensor(name, dtype, &shape, None)?;
    let index_name = site.node.outputs.get(1).copied().unwrap_or_default();
    let narrow = builder.add_tensor(&format!("{name}/indices"), DataType::Int32, &shape, None)?;
    builder.model.nodes.push(Node {
        operator: Operator::TopkV2,
        inputs: vec![Some(tensor), Some(k)],
        outputs: vec![values, narrow],
    });
    if !index_name.is_empty() {
        let wide =
            builder.emit(Operator::Cast, &[narrow], index_name, DataType::Int64, &shape, None)?;
        let view = View::new(wide, &shape, &order);
        importer.bind(index_name, Value::Tensor(TensorValue { view, dtype: DataType::Int64 }));
    }
    let values = match is_least {
        true => {
            let least = format!("{name}/least");
            importer.builder.emit_like(Operator::Neg, &[values], &least, &shape)?
        }
        false => values,
    };
    importer.bind_view(site, View::new(values, &shape, &order), dtype)
}
