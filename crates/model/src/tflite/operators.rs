//! From an operator code and its options table to [`Operator`].
//!
//! To add an operator: its code in `builtin.rs`, its options in `schema.rs`, one arm here, its rules
//! in `validate/operators.rs`.
#![deny(clippy::arithmetic_side_effects)]

use super::{builtin, schema::options};
use crate::flatbuffer::Table;
use crate::{Activation, Error, Operator, Padding, Result};

/// The attributes of one operator of the file.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a> {
    /// `operator 3 CONV_2D`, for messages.
    pub label: &'a str,
    /// The kind of options in the file.
    pub kind: u8,
    /// The options; absent ones have the schema's defaults.
    pub table: Option<Table<'a>>,
}

/// Reads the attributes of one operator.
pub(crate) type Parse = fn(Attributes<'_>) -> Result<Operator>;

/// The highest version whose every attribute is understood, and how to read the attributes; `None`
/// for an operator that is missing here. Higher versions of an operator mostly mean further element
/// types, which are checked by themselves.
pub(crate) fn supported(code: i32) -> Option<(i32, Parse)> {
    Some(match code {
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
            (5, |a| Ok(Operator::Add { activation: a.of(options::ADD)?.activation(0)? }))
        }
        builtin::MUL => {
            (7, |a| Ok(Operator::Mul { activation: a.of(options::MUL)?.activation(0)? }))
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
        builtin::MEAN => {
            (3, |a| Ok(Operator::Mean { keep_dims: a.of(options::REDUCER)?.flag(0)? }))
        }
        builtin::PAD => (4, |_| Ok(Operator::Pad)),
        builtin::RESHAPE => (1, |a| {
            Ok(Operator::Reshape { new_shape: a.of(options::RESHAPE)?.integers(0, "new_shape")? })
        }),
        builtin::SQUEEZE => (2, |a| {
            Ok(Operator::Squeeze { dims: a.of(options::SQUEEZE)?.integers(0, "squeeze_dims")? })
        }),
        builtin::SOFTMAX => {
            (3, |a| Ok(Operator::Softmax { beta: a.of(options::SOFTMAX)?.float(0)? }))
        }
        builtin::LOGISTIC => (3, |_| Ok(Operator::Logistic)),
        builtin::RELU => (3, |_| Ok(Operator::Relu)),
        builtin::RELU6 => (3, |_| Ok(Operator::Relu6)),
        builtin::HARD_SWISH => (1, |_| Ok(Operator::HardSwish)),
        builtin::QUANTIZE => (4, |_| Ok(Operator::Quantize)),
        builtin::DEQUANTIZE => (6, |_| Ok(Operator::Dequantize)),
        builtin::CONCATENATION => (4, |a| {
            let a = a.of(options::CONCATENATION)?;
            Ok(Operator::Concatenation {
                axis: i64::from(a.integer(0, 0)?),
                activation: a.activation(1)?,
            })
        }),
        _ => return None,
    })
}

impl<'a> Attributes<'a> {
    /// These attributes if the options are of the kind that the operator has, or absent.
    fn of(self, kind: u8) -> Result<Self> {
        match (self.kind, self.table) {
            (found, Some(_)) if found != kind => Err(Error::format(format!(
                "{}: options are of kind {found}, must be of kind {kind}",
                self.label
            ))
            .with("operator", self.label)),
            (options::NONE, _) => Ok(Self { table: None, ..self }),
            _ => Ok(self),
        }
    }

    fn unsupported(&self, what: &str) -> Error {
        Error::unsupported_operator(format!("{} has {what}, which is not supported", self.label))
            .with("operator", self.label)
    }

    fn integer(&self, field: u16, default: i32) -> Result<i32> {
        self.table.map_or(Ok(default), |table| table.scalar(field, default))
    }

    fn byte(&self, field: u16) -> Result<u8> {
        self.table.map_or(Ok(0), |table| table.scalar(field, 0))
    }

    fn flag(&self, field: u16) -> Result<bool> {
        Ok(self.byte(field)? != 0)
    }

    fn float(&self, field: u16) -> Result<f32> {
        self.table.map_or(Ok(0.0), |table| table.scalar(field, 0.0))
    }

    fn integers(&self, field: u16, what: &'static str) -> Result<Vec<i64>> {
        let Some(table) = self.table else { return Ok(Vec::new()) };
        let values = table.vector::<i32>(field, what)?;
        if values.len() > crate::limits::MAX_RANK {
            return Err(Error::format(format!(
                "{}: {what} has {} dimensions, the limit is {}",
                self.label,
                values.len(),
                crate::limits::MAX_RANK
            ))
            .with("operator", self.label));
        }
        Ok(values.iter().map(i64::from).collect())
    }

    fn at_least_1(&self, field: u16, default: i32, what: &str) -> Result<usize> {
        let value = self.integer(field, default)?;
        usize::try_from(value).ok().filter(|&value| value >= 1).ok_or_else(|| {
            Error::format(format!("{}: {what} is {value}, must be 1 or more", self.label))
                .with("operator", self.label)
        })
    }

    /// The enum `Padding`.
    fn padding(&self, field: u16) -> Result<Padding> {
        match self.byte(field)? {
            0 => Ok(Padding::Same),
            1 => Ok(Padding::Valid),
            other => Err(self.unsupported(&format!("padding {other}"))),
        }
    }

    /// The enum `ActivationFunctionType`.
    fn activation(&self, field: u16) -> Result<Activation> {
        match self.byte(field)? {
            0 => Ok(Activation::None),
            1 => Ok(Activation::Relu),
            2 => Ok(Activation::ReluN1To1),
            3 => Ok(Activation::Relu6),
            4 => Err(self.unsupported("the fused activation TANH")),
            5 => Err(self.unsupported("the fused activation SIGN_BIT")),
            other => Err(self.unsupported(&format!("the fused activation {other}"))),
        }
    }
}
