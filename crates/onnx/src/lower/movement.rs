//! Operators that move nothing but names and dimensions, and concatenation.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{Activation, DataType, Operator, Result};

use super::quantized::Output;
use crate::constant::{Constant, data_type, elements};
use crate::fold::shapes;
use crate::import::{Importer, TensorValue, Value};
use crate::site::Site;
use crate::view::View;

/// Identity.
pub(super) fn identity<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let value = importer.input(site, 0)?;
    importer.bind(site.output_name(0)?, value);
    Ok(())
}

/// Dropout, as it is when nothing is trained: the mask keeps all elements.
pub(super) fn dropout<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let number = |at: usize| -> Result<Option<f32>> {
        Ok(importer.optional_constant(site, at)?.and_then(|constant| constant.scalar()))
    };
    let ratio = number(1)?.unwrap_or(site.float("ratio", 0.5)?);
    if number(2)?.is_some_and(|training| training != 0.0) && ratio != 0.0 {
        return Err(site.unsupported("training, which drops elements at random, is not supported"));
    }
    if let Ok(mask) = site.output_name(1)
        && (importer.is_output(mask) || !importer.readers(mask).is_empty())
    {
        let dims = importer.input_dims(site)?;
        let count = elements(&dims)?;
        importer.builder.budget.take(count, 1)?;
        // The first versions have a mask of the operand's type.
        let all = match site.opset {
            10.. => Constant::new(DataType::Bool, dims, vec![1; count]),
            _ => Constant::from_floats(dims, &vec![1.0; count]),
        };
        importer.bind(mask, Importer::known(all));
    }
    identity(importer, site)
}

/// Cast. Floats are one type here.
pub(super) fn cast<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let value = importer.tensor_input(site, 0)?;
    let to = data_type(site, "to", shapes::cast_type(site)?)?;
    cast_to(importer, site, value, to)
}

/// CastLike.
pub(super) fn cast_like<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let value = importer.tensor_input(site, 0)?;
    let to = match importer.input(site, 1)? {
        Value::Constant(constant) if constant.is_real() => DataType::Float32,
        Value::Constant(constant) => constant.dtype,
        Value::Tensor(value) => value.dtype,
        Value::Dynamic(_) => return Err(site.unsupported("a part of a dynamic quantisation")),
    };
    cast_to(importer, site, value, to)
}

fn cast_to<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    value: TensorValue,
    to: DataType,
) -> Result<()> {
    if value.dtype == to {
        importer.bind(site.output_name(0)?, Value::Tensor(value));
        return Ok(());
    }
    let view = importer.as_onnx(&value)?;
    let shape = importer.builder.shape(view.tensor).to_vec();
    let name = site.output_name(0)?;
    let tensor = importer.builder.emit(Operator::Cast, &[view.tensor], name, to, &shape, None)?;
    importer.bind_view(site, view.of(tensor), to)
}

/// Transpose.
pub(super) fn transpose<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let value = importer.tensor_input(site, 0)?;
    let order = shapes::permutation(site, value.view.rank())?;
    let view = value.view.transpose(&order);
    importer.bind_view(site, view, value.dtype)
}

/// The same elements with other dimensions.
fn with_dims<'a>(importer: &mut Importer<'a>, site: &Site<'a>, dims: &[usize]) -> Result<()> {
    let value = importer.tensor_input(site, 0)?;
    let view = importer.reshaped(site, &value.view, dims)?;
    importer.bind_view(site, view, value.dtype)
}

impl<'a> Importer<'a> {
    /// A value with other dimensions; its elements are brought into their logical order only where
    /// the dimensions cut what cannot be cut.
    pub(super) fn reshaped(
        &mut self,
        site: &Site<'a>,
        view: &View,
        dims: &[usize],
    ) -> Result<View> {
        if let Some(reshaped) = view.reshape(dims) {
            return Ok(reshaped);
        }
        let found: usize = view.dims().iter().product();
        if dims.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim)) != Some(found) {
            return Err(site.malformed(format!("{:?} cannot become {dims:?}", view.dims())));
        }
        let plain: Vec<usize> = (0..view.rank()).collect();
        let tensor = self.builder.in_order(view, &plain)?;
        let tensor = self.builder.reshape(tensor, dims)?;
        Ok(View::plain(tensor, dims))
    }

    /// The logical dimensions of the first operand.
    fn input_dims(&mut self, site: &Site<'a>) -> Result<Vec<usize>> {
        Ok(self.tensor_input(site, 0)?.view.dims())
    }
}

/// Reshape.
pub(super) fn reshape<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    // The first version had an attribute.
    let wanted = match site.ints("shape")? {
        Some(shape) => Some(shape.to_vec()),
        None => importer.optional_integers(site, 1)?,
    };
    let Some(wanted) = wanted else {
        return Err(site.malformed("the new shape is missing"));
    };
    let dims = importer.input_dims(site)?;
    let dims = shapes::reshape(site, &dims, &wanted)?;
    with_dims(importer, site, &dims)
}

/// Flatten.
pub(super) fn flatten<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let dims = importer.input_dims(site)?;
    let dims = shapes::flatten(site, &dims)?;
    with_dims(importer, site, &dims)
}

/// Squeeze.
pub(super) fn squeeze<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let axes = importer.optional_integers(site, 1)?;
    let dims = importer.input_dims(site)?;
    let dims = shapes::squeeze(site, &dims, axes.as_deref())?;
    with_dims(importer, site, &dims)
}

/// Unsqueeze.
pub(super) fn unsqueeze<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let axes = importer.optional_integers(site, 1)?;
    let dims = importer.input_dims(site)?;
    let dims = shapes::unsqueeze(site, &dims, axes.as_deref())?;
    with_dims(importer, site, &dims)
}

/// `[n, c, h, w]` and the size of a block.
fn blocks<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
) -> Result<(TensorValue, [usize; 4], usize)> {
    let value = importer.tensor_input(site, 0)?;
    let block = site.size(site.int("blocksize", 0)?, "blocksize")?;
    match value.view.dims()[..] {
        [n, c, h, w] if block > 0 => Ok((value, [n, c, h, w], block)),
        _ => Err(site.malformed(format!("blocks of {block} of {:?}", value.view.dims()))),
    }
}

/// DepthToSpace: cut into blocks, which are moved by whoever reads the result.
pub(super) fn depth_to_space<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let (value, [n, c, h, w], block) = blocks(importer, site)?;
    let area = block.saturating_mul(block);
    let channels = c.checked_div(area).filter(|_| c.is_multiple_of(area));
    let Some(channels) = channels else {
        return Err(site.malformed(format!("{c} channels for blocks of {block}")));
    };
    let (split, order) = match site.text("mode", "DCR")? {
        "DCR" => (vec![n, block, block, channels, h, w], [0, 3, 4, 1, 5, 2]),
        "CRD" => (vec![n, channels, block, block, h, w], [0, 1, 4, 2, 5, 3]),
        other => return Err(site.unsupported_attribute("mode", other)),
    };
    let view = importer.reshaped(site, &value.view, &split)?.transpose(&order);
    let dims = [n, channels, h.saturating_mul(block), w.saturating_mul(block)];
    let view = importer.reshaped(site, &view, &dims)?;
    importer.bind_view(site, view, value.dtype)
}

/// SpaceToDepth.
pub(super) fn space_to_depth<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let (value, [n, c, h, w], block) = blocks(importer, site)?;
    let (Some(rows), Some(columns)) = (h.checked_div(block), w.checked_div(block)) else {
        return Err(site.malformed("blocks of 0"));
    };
    if !h.is_multiple_of(block) || !w.is_multiple_of(block) {
        return Err(site.malformed(format!("blocks of {block} of {h} x {w} pixels")));
    }
    let split = [n, c, rows, block, columns, block];
    let view = importer.reshaped(site, &value.view, &split)?.transpose(&[0, 3, 5, 1, 2, 4]);
    let channels = c.saturating_mul(block).saturating_mul(block);
    let view = importer.reshaped(site, &view, &[n, channels, rows, columns])?;
    importer.bind_view(site, view, value.dtype)
}

/// Concat.
pub(super) fn concat<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let mut values = Vec::with_capacity(site.node.inputs.len());
    for at in 0..site.node.inputs.len() {
        values.push(importer.tensor_input(site, at)?);
    }
    let output = importer.output(site)?;
    concatenate(importer, site, values, output)
}

/// A concatenation to an output.
pub(super) fn concatenate<'a>(
    importer: &mut Importer<'a>,
    site: &Site<'a>,
    values: Vec<TensorValue>,
    output: Output<'a>,
) -> Result<()> {
    let Some(first) = values.first() else { return Err(site.malformed("no operands")) };
    let mut dims = first.view.dims();
    let rank = dims.len();
    let dtype = first.dtype;
    let axis = site.axis(site.int("axis", 1)?, rank)?;
    let mut total = 0usize;
    for value in &values {
        let found = value.view.dims();
        let fits =
            found.len() == rank && (0..rank).all(|at| at == axis || found.get(at) == dims.get(at));
        if !fits || value.dtype != dtype {
            return Err(site.malformed(format!("{found:?} does not join {dims:?}")));
        }
        total = total.saturating_add(found.get(axis).copied().unwrap_or(0));
    }
    if let Some(size) = dims.get_mut(axis) {
        *size = total;
    }
    // Integers of one scale, that of the result or that of all operands.
    let all_quantized = values.iter().all(|value| importer.is_quantized(value));
    let own = importer.target_like(first);
    let shared = own.filter(|_| values.iter().all(|value| importer.target_like(value) == own));
    let target = output.target.or(shared).filter(|_| all_quantized);
    let size = |value: &&TensorValue| -> usize { value.view.dims().iter().product() };
    let lead = values.iter().rev().max_by_key(size).unwrap_or(first).view.clone();
    let order = (lead.order_in(importer.builder.shape(lead.tensor)))
        .unwrap_or_else(|| lead.natural_order());
    let mut tensors = Vec::with_capacity(values.len());
    for value in &values {
        let view = match target {
            Some(target) => {
                let tensor = value.view.tensor;
                let name = format!("{}/rescaled", importer.builder.tensor(tensor).name);
                let (scale, zero_point) = (target.scale, target.zero_point);
                let rescaled =
                    importer.builder.quantize(tensor, target.dtype, scale, zero_point, &name)?;
                value.view.of(rescaled)
            }
            None => importer.as_onnx(value)?,
        };
        tensors.push(importer.builder.in_order(&view, &order)?);
    }
    let shape: Vec<usize> = order.iter().map(|&at| dims.get(at).copied().unwrap_or(1)).collect();
    let place = order.iter().position(|&at| at == axis).unwrap_or(0);
    let operator = Operator::Concatenation {
        axis: i64::try_from(place).unwrap_or(0),
        activation: Activation::None,
    };
    let tensor = importer.builder.emit_like(operator, &tensors, output.name, &shape)?;
    let output = Output { dtype: if target.is_some() { output.dtype } else { dtype }, ..output };
    importer.bind_output(&output, View::new(tensor, &shape, &order));
    Ok(())
}
