//! From an operator code and its options table to [`Operator`].
//!
//! To add an operator: its code in `builtin.rs`; without attributes a line in `operators/plain.rs`,
//! else its options in `schema.rs` and an arm here and in `writer/operators.rs`; its rules in
//! `validate/`.
#![deny(clippy::arithmetic_side_effects)]

mod attributes;
mod custom;
mod plain;

pub(crate) use attributes::Attributes;

use super::{builtin, schema::options};
use crate::{Operator, Result};

/// How to get an operator.
pub(crate) enum Parse {
    /// It has no attributes.
    Plain(&'static Operator),
    /// From its attributes.
    With(fn(Attributes<'_>) -> Result<Operator>),
}

impl Parse {
    /// The operator with its attributes.
    pub fn read(&self, attributes: Attributes<'_>) -> Result<Operator> {
        match self {
            Self::Plain(operator) => Ok((*operator).clone()),
            Self::With(read) => read(attributes),
        }
    }
}

/// The highest version whose every attribute is understood, and how to read the attributes; `None`
/// for an operator that is missing here. Higher versions of an operator mostly mean further element
/// types, which are checked by themselves. `custom` is the name of a custom operator.
pub(crate) fn supported(code: i32, custom: &str) -> Option<(i32, Parse)> {
    if code == builtin::CUSTOM {
        return custom::supported(custom);
    }
    if let Some(plain) = plain::by_code(code) {
        return Some((plain.version, Parse::Plain(&plain.operator)));
    }
    let (version, read): (i32, fn(Attributes<'_>) -> Result<Operator>) = match code {
        builtin::CONV_2D => (8, |a| {
            let a = a.of(options::CONV_2D)?;
            Ok(Operator::Conv2d {
                padding: a.padding(0)?,
                stride: [a.at_least_1(2, 0, "stride_h")?, a.at_least_1(1, 0, "stride_w")?],
                activation: a.activation(3)?,
                dilation: [a.at_least_1(5, 1, "dilation_h")?, a.at_least_1(4, 1, "dilation_w")?],
            })
        }),
        builtin::DEPTHWISE_CONV_2D => (7, |a| {
            let a = a.of(options::DEPTHWISE_CONV_2D)?;
            Ok(Operator::DepthwiseConv2d {
                padding: a.padding(0)?,
                stride: [a.at_least_1(2, 0, "stride_h")?, a.at_least_1(1, 0, "stride_w")?],
                // TensorFlow Lite takes it from the shapes, and so does the reader: some files say 0.
                depth_multiplier: usize::try_from(a.integer(3, 0)?).unwrap_or(0),
                activation: a.activation(4)?,
                dilation: [a.at_least_1(6, 1, "dilation_h")?, a.at_least_1(5, 1, "dilation_w")?],
            })
        }),
        builtin::FULLY_CONNECTED => (13, |a| {
            let a = a.of(options::FULLY_CONNECTED)?;
            if a.byte(1)? != 0 {
                return Err(a.unsupported("shuffled weights (weights_format 1)"));
            }
            Ok(Operator::FullyConnected { activation: a.activation(0)?, keep_num_dims: a.flag(2)? })
        }),
        builtin::ADD => {
            (6, |a| Ok(Operator::Add { activation: a.of(options::ADD)?.activation(0)? }))
        }
        builtin::MUL => {
            (8, |a| Ok(Operator::Mul { activation: a.of(options::MUL)?.activation(0)? }))
        }
        builtin::AVERAGE_POOL_2D => (3, |a| {
            let a = a.of(options::POOL_2D)?;
            Ok(Operator::AveragePool2d {
                padding: a.padding(0)?,
                stride: [a.at_least_1(2, 0, "stride_h")?, a.at_least_1(1, 0, "stride_w")?],
                filter: [a.at_least_1(4, 0, "filter_height")?, a.at_least_1(3, 0, "filter_width")?],
                activation: a.activation(5)?,
            })
        }),
        builtin::MAX_POOL_2D => (3, |a| {
            let a = a.of(options::POOL_2D)?;
            Ok(Operator::MaxPool2d {
                padding: a.padding(0)?,
                stride: [a.at_least_1(2, 0, "stride_h")?, a.at_least_1(1, 0, "stride_w")?],
                filter: [a.at_least_1(4, 0, "filter_height")?, a.at_least_1(3, 0, "filter_width")?],
                activation: a.activation(5)?,
            })
        }),
        builtin::L2_POOL_2D => (1, |a| {
            let a = a.of(options::POOL_2D)?;
            Ok(Operator::L2Pool2d {
                padding: a.padding(0)?,
                stride: [a.at_least_1(2, 0, "stride_h")?, a.at_least_1(1, 0, "stride_w")?],
                filter: [a.at_least_1(4, 0, "filter_height")?, a.at_least_1(3, 0, "filter_width")?],
                activation: a.activation(5)?,
            })
        }),
        builtin::MEAN => {
            (3, |a| Ok(Operator::Mean { keep_dims: a.of(options::REDUCER)?.flag(0)? }))
        }
        builtin::RESHAPE => (1, |a| {
            Ok(Operator::Reshape { new_shape: a.of(options::RESHAPE)?.integers(0, "new_shape")? })
        }),
        builtin::SQUEEZE => (2, |a| {
            Ok(Operator::Squeeze { dims: a.of(options::SQUEEZE)?.integers(0, "squeeze_dims")? })
        }),
        builtin::SOFTMAX => {
            (4, |a| Ok(Operator::Softmax { beta: a.of(options::SOFTMAX)?.float(0)? }))
        }
        builtin::CONCATENATION => (7, |a| {
            let a = a.of(options::CONCATENATION)?;
            Ok(Operator::Concatenation {
                axis: i64::from(a.integer(0, 0)?),
                activation: a.activation(1)?,
            })
        }),
        builtin::SUB => {
            (5, |a| Ok(Operator::Sub { activation: a.of(options::SUB)?.activation(0)? }))
        }
        builtin::DIV => {
            (2, |a| Ok(Operator::Div { activation: a.of(options::DIV)?.activation(0)? }))
        }
        builtin::GELU => (3, |a| Ok(Operator::Gelu { approximate: a.of(options::GELU)?.flag(0)? })),
        builtin::LEAKY_RELU => (2, |a| {
            Ok(Operator::LeakyRelu { alpha: a.of(options::LEAKY_RELU)?.finite(0, "alpha")? })
        }),
        builtin::L2_NORMALIZATION => (2, |a| {
            Ok(Operator::L2Normalization { activation: a.of(options::L2_NORM)?.activation(0)? })
        }),
        builtin::LOCAL_RESPONSE_NORMALIZATION => (1, |a| {
            let a = a.of(options::LOCAL_RESPONSE_NORMALIZATION)?;
            let radius = a.integer(0, 0)?;
            Ok(Operator::LocalResponseNormalization {
                radius: usize::try_from(radius)
                    .map_err(|_| a.malformed(&format!("radius is {radius}, must be 0 or more")))?,
                bias: a.finite(1, "bias")?,
                alpha: a.finite(2, "alpha")?,
                beta: a.finite(3, "beta")?,
            })
        }),
        builtin::TRANSPOSE_CONV => (5, |a| {
            let a = a.of(options::TRANSPOSE_CONV)?;
            Ok(Operator::TransposeConv {
                padding: a.padding(0)?,
                stride: [a.at_least_1(2, 0, "stride_h")?, a.at_least_1(1, 0, "stride_w")?],
                activation: a.activation(3)?,
            })
        }),
        builtin::RESIZE_BILINEAR => (4, |a| {
            let a = a.of(options::RESIZE_BILINEAR)?;
            Ok(Operator::ResizeBilinear {
                align_corners: a.flag(2)?,
                half_pixel_centers: a.flag(3)?,
            })
        }),
        builtin::RESIZE_NEAREST_NEIGHBOR => (4, |a| {
            let a = a.of(options::RESIZE_NEAREST_NEIGHBOR)?;
            Ok(Operator::ResizeNearestNeighbor {
                align_corners: a.flag(0)?,
                half_pixel_centers: a.flag(1)?,
            })
        }),
        builtin::MIRROR_PAD => (3, |a| {
            let a = a.of(options::MIRROR_PAD)?;
            match a.byte(0)? {
                mode @ (0 | 1) => Ok(Operator::MirrorPad { symmetric: mode == 1 }),
                mode => Err(a.unsupported(&format!("mode {mode}"))),
            }
        }),
        builtin::SPLIT => (5, |a| {
            let a = a.of(options::SPLIT)?;
            Ok(Operator::Split { parts: a.at_least_1(0, 0, "num_splits")? })
        }),
        builtin::SPLIT_V => (3, |a| {
            let a = a.of(options::SPLIT_V)?;
            Ok(Operator::SplitV { parts: a.at_least_1(0, 0, "num_splits")? })
        }),
        builtin::STRIDED_SLICE => (8, |a| {
            let a = a.of(options::STRIDED_SLICE)?;
            Ok(Operator::StridedSlice {
                begin_mask: a.mask(0)?,
                end_mask: a.mask(1)?,
                ellipsis_mask: a.mask(2)?,
                new_axis_mask: a.mask(3)?,
                shrink_axis_mask: a.mask(4)?,
                offset: a.flag(5)?,
            })
        }),
        builtin::PACK => {
            (5, |a| Ok(Operator::Pack { axis: a.of(options::PACK)?.integer(1, 0)?.into() }))
        }
        builtin::UNPACK => (6, |a| {
            let a = a.of(options::UNPACK)?;
            let parts = a.integer(0, 0)?;
            Ok(Operator::Unpack {
                parts: usize::try_from(parts)
                    .map_err(|_| a.malformed(&format!("num is {parts}, must be 0 or more")))?,
                axis: a.integer(1, 0)?.into(),
            })
        }),
        builtin::GATHER => (8, |a| {
            let a = a.of(options::GATHER)?;
            Ok(Operator::Gather {
                axis: a.integer(0, 0)?.into(),
                batch_dims: a.integer(1, 0)?.into(),
            })
        }),
        builtin::REDUCE_MAX => {
            (3, |a| Ok(Operator::ReduceMax { keep_dims: a.of(options::REDUCER)?.flag(0)? }))
        }
        builtin::REDUCE_MIN => {
            (3, |a| Ok(Operator::ReduceMin { keep_dims: a.of(options::REDUCER)?.flag(0)? }))
        }
        builtin::REDUCE_PROD => {
            (2, |a| Ok(Operator::ReduceProd { keep_dims: a.of(options::REDUCER)?.flag(0)? }))
        }
        builtin::REDUCE_ANY => {
            (1, |a| Ok(Operator::ReduceAny { keep_dims: a.of(options::REDUCER)?.flag(0)? }))
        }
        builtin::REDUCE_ALL => {
            (1, |a| Ok(Operator::ReduceAll { keep_dims: a.of(options::REDUCER)?.flag(0)? }))
        }
        builtin::SUM => (2, |a| Ok(Operator::Sum { keep_dims: a.of(options::REDUCER)?.flag(0)? })),
        builtin::CUMSUM => (1, |a| {
            let a = a.of(options::CUMSUM)?;
            Ok(Operator::Cumsum { exclusive: a.flag(0)?, reverse: a.flag(1)? })
        }),
        builtin::BATCH_MATMUL => (4, |a| {
            let a = a.of(options::BATCH_MATMUL)?;
            Ok(Operator::BatchMatmul { adj_x: a.flag(0)?, adj_y: a.flag(1)? })
        }),
        builtin::SPACE_TO_DEPTH => (2, |a| {
            let a = a.of(options::SPACE_TO_DEPTH)?;
            Ok(Operator::SpaceToDepth { block: a.at_least_1(0, 0, "block_size")? })
        }),
        builtin::DEPTH_TO_SPACE => (2, |a| {
            let a = a.of(options::DEPTH_TO_SPACE)?;
            Ok(Operator::DepthToSpace { block: a.at_least_1(0, 0, "block_size")? })
        }),
        builtin::ONE_HOT => {
            (1, |a| Ok(Operator::OneHot { axis: a.of(options::ONE_HOT)?.integer(0, 0)?.into() }))
        }
        _ => return None,
    };
    Some((version, Parse::With(read)))
}
