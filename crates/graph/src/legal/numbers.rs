//! Scales and bounds.

use achado_model::{Activation, DataType, Result, Tensor};

use crate::geometry::Affine;
use crate::{NodeRef, TfliteKernel};

/// What an activation clamps to; infinite where it does not.
pub fn bounds(activation: Activation) -> [f32; 2] {
    let (low, high) = activation.range();
    [low, high]
}

/// The least and greatest element of a quantized type.
fn range(dtype: DataType) -> [i32; 2] {
    match dtype {
        DataType::UInt8 => [0, 255],
        DataType::Int16 => [-32768, 32767],
        _ => [-128, 127],
    }
}

/// The elements at which a quantized result of type `dtype` is clamped.
///
/// XNNPACK (`requantization.h`): `round_ties_even(bound / scale + zero_point)`, saturated. The built-in
/// kernels (`kernel_util.cc`): `round(bound / scale) + zero_point`, ties away from zero; infinite
/// bounds are the type's.
pub fn quantized_bounds(
    to: Affine,
    dtype: DataType,
    bounds: [f32; 2],
    kernel: TfliteKernel,
) -> [i32; 2] {
    let [min, max] = range(dtype);
    let Affine { scale, zero_point } = to;
    match kernel {
        TfliteKernel::Xnnpack => bounds.map(|bound| {
            let value = bound / scale + zero_point as f32;
            value.clamp(min as f32, max as f32).round_ties_even() as i32
        }),
        TfliteKernel::Builtin => {
            let [low, high] =
                bounds.map(|bound| ((bound / scale).round() as i32).saturating_add(zero_point));
            [low.max(min), high.min(max)]
        }
    }
}

/// Refuses operands whose elements stand for other numbers than those of `output`.
///
/// # Errors
/// `UNSUPPORTED_OPERATOR` where scales or zero points differ, `MODEL_FORMAT` where there are none.
pub fn shares_scale(node: &NodeRef, operands: &[&Tensor], output: &Tensor) -> Result<Affine> {
    let to = node.affine(output)?;
    for operand in operands {
        if node.affine(operand)? != to {
            let what = match operands.len() {
                1 => "input and output must share scale and zero point",
                _ => "operands and result must share scale and zero point",
            };
            return Err(node.unsupported(what));
        }
    }
    Ok(to)
}
