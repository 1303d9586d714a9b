//! From the options table of an operator to its attributes: one function an operator, which its row in
//! [`operator_table`](crate::operator_table) names.
#![deny(clippy::arithmetic_side_effects)]

mod attributes;
mod custom;

pub(crate) use attributes::Attributes;

use self::custom::{detection_post_process, transpose_conv_bias};
use super::schema::options;
use crate::operator_table::for_each_operator;
use crate::{Activation, Operator, OperatorKind, Padding, Result};

macro_rules! define_read {
    ($($variant:ident $name:literal $code:tt $version:literal $least:tt..=$most:tt $outputs:tt $read:ident;)*) => {
        /// The operator with its attributes.
        pub(crate) fn read(kind: OperatorKind, attributes: Attributes<'_>) -> Result<Operator> {
            match kind {
                $(OperatorKind::$variant => read_row!($variant $read attributes),)*
            }
        }
    };
}

macro_rules! read_row {
    ($variant:ident plain $attributes:ident) => {
        Ok(Operator::$variant)
    };
    ($variant:ident $read:ident $attributes:ident) => {
        $read($attributes)
    };
}
for_each_operator!(define_read);

fn add(a: Attributes<'_>) -> Result<Operator> {
    Ok(Operator::Add { activation: a.of(options::ADD)?.activation(0)? })
}

fn average_pool_2d(a: Attributes<'_>) -> Result<Operator> {
    let Pool { filter, stride, padding, activation } = pool(a)?;
    Ok(Operator::AveragePool2d { filter, stride, padding, activation })
}

fn concatenation(a: Attributes<'_>) -> Result<Operator> {
    let a = a.of(options::CONCATENATION)?;
    Ok(Operator::Concatenation { axis: i64::from(a.integer(0, 0)?), activation: a.activation(1)? })
}

fn conv_2d(a: Attributes<'_>) -> Result<Operator> {
    let a = a.of(options::CONV_2D)?;
    Ok(Operator::Conv2d {
        padding: a.padding(0)?,
        stride: [a.at_least_1(2, 0, "stride_h")?, a.at_least_1(1, 0, "stride_w")?],
        activation: a.activation(3)?,
        dilation: [a.at_least_1(5, 1, "dilation_h")?, a.at_least_1(4, 1, "dilation_w")?],
    })
}

fn depthwise_conv_2d(a: Attributes<'_>) -> Result<Operator> {
    let a = a.of(options::DEPTHWISE_CONV_2D)?;
    Ok(Operator::DepthwiseConv2d {
        padding: a.padding(0)?,
        stride: [a.at_least_1(2, 0, "stride_h")?, a.at_least_1(1, 0, "stride_w")?],
        // TensorFlow Lite takes it from the shapes, and so does the reader: some files say 0.
        depth_multiplier: usize::try_from(a.integer(3, 0)?).unwrap_or(0),
        activation: a.activation(4)?,
        dilation: [a.at_least_1(6, 1, "dilation_h")?, a.at_least_1(5, 1, "dilation_w")?],
    })
}

fn depth_to_space(a: Attributes<'_>) -> Result<Operator> {
    let a = a.of(options::DEPTH_TO_SPACE)?;
    Ok(Operator::DepthToSpace { block: a.at_least_1(0, 0, "block_size")? })
}

fn fully_connected(a: Attributes<'_>) -> Result<Operator> {
    let a = a.of(options::FULLY_CONNECTED)?;
    if a.byte(1)? != 0 {
        return Err(a.unsupported("shuffled weights (weights_format 1)"));
    }
    Ok(Operator::FullyConnected { activation: a.activation(0)?, keep_num_dims: a.flag(2)? })
}

fn l2_normalization(a: Attributes<'_>) -> Result<Operator> {
    Ok(Operator::L2Normalization { activation: a.of(options::L2_NORM)?.activation(0)? })
}

fn l2_pool_2d(a: Attributes<'_>) -> Result<Operator> {
    let Pool { filter, stride, padding, activation } = pool(a)?;
    Ok(Operator::L2Pool2d { filter, stride, padding, activation })
}

fn local_response_normalization(a: Attributes<'_>) -> Result<Operator> {
    let a = a.of(options::LOCAL_RESPONSE_NORMALIZATION)?;
    let radius = a.integer(0, 0)?;
    Ok(Operator::LocalResponseNormalization {
        radius: usize::try_from(radius)
            .map_err(|_| a.malformed(&format!("radius is {radius}, must be 0 or more")))?,
        bias: a.finite(1, "bias")?,
        alpha: a.finite(2, "alpha")?,
        beta: a.finite(3, "beta")?,
    })
}

fn max_pool_2d(a: Attributes<'_>) -> Result<Operator> {
    let Pool { filter, stride, padding, activation } = pool(a)?;
    Ok(Operator::MaxPool2d { filter, stride, padding, activation })
}

fn mul(a: Attributes<'_>) -> Result<Operator> {
    Ok(Operator::Mul { activation: a.of(options::MUL)?.activation(0)? })
}

fn reshape(a: Attributes<'_>) -> Result<Operator> {
    Ok(Operator::Reshape { new_shape: a.of(options::RESHAPE)?.integers(0, "new_shape")? })
}

fn resize_bilinear(a: Attributes<'_>) -> Result<Operator> {
    let a = a.of(options::RESIZE_BILINEAR)?;
    Ok(Operator::ResizeBilinear { align_corners: a.flag(2)?, half_pixel_centers: a.flag(3)? })
}

fn softmax(a: Attributes<'_>) -> Result<Operator> {
    Ok(Operator::Softmax { beta: a.of(options::SOFTMAX)?.float(0)? })
}

fn space_to_depth(a: Attributes<'_>) -> Result<Operator> {
    let a = a.of(options::SPACE_TO_DEPTH)?;
    Ok(Operator::SpaceToDepth { block: a.at_least_1(0, 0, "block_size")? })
}

fn gather(a: Attributes<'_>) -> Result<Operator> {
    let a = a.of(options::GATHER)?;
    Ok(Operator::Gather { axis: a.integer(0, 0)?.into(), batch_dims: a.integer(1, 0)?.into() })
}

fn mean(a: Attributes<'_>) -> Result<Operator> {
    Ok(Operator::Mean { keep_dims: a.of(options::REDUCER)?.flag(0)? })
}

fn sub(a: Attributes<'_>) -> Result<Operator> {
    Ok(Operator::Sub { activation: a.of(options::SUB)?.activation(0)? })
}

fn div(a: Attributes<'_>) -> Result<Operator> {
    Ok(Operator::Div { activation: a.of(options::DIV)?.activation(0)? })
}

fn squeeze(a: Attributes<'_>) -> Result<Operator> {
    Ok(Operator::Squeeze { dims: a.of(options::SQUEEZE)?.integers(0, "squeeze_dims")? })
}

fn strided_slice(a: Attributes<'_>) -> Result<Operator> {
    let a = a.of(options::STRIDED_SLICE)?;
    Ok(Operator::StridedSlice {
        begin_mask: a.mask(0)?,
        end_mask: a.mask(1)?,
        ellipsis_mask: a.mask(2)?,
        new_axis_mask: a.mask(3)?,
        shrink_axis_mask: a.mask(4)?,
        offset: a.flag(5)?,
    })
}

fn split(a: Attributes<'_>) -> Result<Operator> {
    let a = a.of(options::SPLIT)?;
    Ok(Operator::Split { parts: a.at_least_1(0, 0, "num_splits")? })
}

fn transpose_conv(a: Attributes<'_>) -> Result<Operator> {
    let a = a.of(options::TRANSPOSE_CONV)?;
    Ok(Operator::TransposeConv {
        padding: a.padding(0)?,
        stride: [a.at_least_1(2, 0, "stride_h")?, a.at_least_1(1, 0, "stride_w")?],
        activation: a.activation(3)?,
    })
}

fn sum(a: Attributes<'_>) -> Result<Operator> {
    Ok(Operator::Sum { keep_dims: a.of(options::REDUCER)?.flag(0)? })
}

fn reduce_prod(a: Attributes<'_>) -> Result<Operator> {
    Ok(Operator::ReduceProd { keep_dims: a.of(options::REDUCER)?.flag(0)? })
}

fn reduce_max(a: Attributes<'_>) -> Result<Operator> {
    Ok(Operator::ReduceMax { keep_dims: a.of(options::REDUCER)?.flag(0)? })
}

fn pack(a: Attributes<'_>) -> Result<Operator> {
    Ok(Operator::Pack { axis: a.of(options::PACK)?.integer(1, 0)?.into() })
}

fn one_hot(a: Attributes<'_>) -> Result<Operator> {
    Ok(Operator::OneHot { axis: a.of(options::ONE_HOT)?.integer(0, 0)?.into() })
}

fn unpack(a: Attributes<'_>) -> Result<Operator> {
    let a = a.of(options::UNPACK)?;
    let parts = a.integer(0, 0)?;
    Ok(Operator::Unpack {
        parts: usize::try_from(parts)
            .map_err(|_| a.malformed(&format!("num is {parts}, must be 0 or more")))?,
        axis: a.integer(1, 0)?.into(),
    })
}

fn reduce_min(a: Attributes<'_>) -> Result<Operator> {
    Ok(Operator::ReduceMin { keep_dims: a.of(options::REDUCER)?.flag(0)? })
}

fn reduce_any(a: Attributes<'_>) -> Result<Operator> {
    Ok(Operator::ReduceAny { keep_dims: a.of(options::REDUCER)?.flag(0)? })
}

fn resize_nearest_neighbor(a: Attributes<'_>) -> Result<Operator> {
    let a = a.of(options::RESIZE_NEAREST_NEIGHBOR)?;
    Ok(Operator::ResizeNearestNeighbor {
        align_corners: a.flag(0)?,
        half_pixel_centers: a.flag(1)?,
    })
}

fn leaky_relu(a: Attributes<'_>) -> Result<Operator> {
    Ok(Operator::LeakyRelu { alpha: a.of(options::LEAKY_RELU)?.finite(0, "alpha")? })
}

fn mirror_pad(a: Attributes<'_>) -> Result<Operator> {
    let a = a.of(options::MIRROR_PAD)?;
    match a.byte(0)? {
        mode @ (0 | 1) => Ok(Operator::MirrorPad { symmetric: mode == 1 }),
        mode => Err(a.unsupported(&format!("mode {mode}"))),
    }
}

fn split_v(a: Attributes<'_>) -> Result<Operator> {
    let a = a.of(options::SPLIT_V)?;
    Ok(Operator::SplitV { parts: a.at_least_1(0, 0, "num_splits")? })
}

fn batch_matmul(a: Attributes<'_>) -> Result<Operator> {
    let a = a.of(options::BATCH_MATMUL)?;
    Ok(Operator::BatchMatmul { adj_x: a.flag(0)?, adj_y: a.flag(1)? })
}

fn cumsum(a: Attributes<'_>) -> Result<Operator> {
    let a = a.of(options::CUMSUM)?;
    Ok(Operator::Cumsum { exclusive: a.flag(0)?, reverse: a.flag(1)? })
}

fn reduce_all(a: Attributes<'_>) -> Result<Operator> {
    Ok(Operator::ReduceAll { keep_dims: a.of(options::REDUCER)?.flag(0)? })
}

fn gelu(a: Attributes<'_>) -> Result<Operator> {
    Ok(Operator::Gelu { approximate: a.of(options::GELU)?.flag(0)? })
}
/// What pools have in common.
struct Pool {
    filter: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
    activation: Activation,
}

fn pool(a: Attributes<'_>) -> Result<Pool> {
    let a = a.of(options::POOL_2D)?;
    Ok(Pool {
        padding: a.padding(0)?,
        stride: [a.at_least_1(2, 0, "stride_h")?, a.at_least_1(1, 0, "stride_w")?],
        filter: [a.at_least_1(4, 0, "filter_height")?, a.at_least_1(3, 0, "filter_width")?],
        activation: a.activation(5)?,
    })
}
