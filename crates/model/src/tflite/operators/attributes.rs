//! Reading single attributes of an operator, with errors that name it.
#![deny(clippy::arithmetic_side_effects)]

use super::super::schema::options;
use crate::flatbuffer::Table;
use crate::{Activation, Error, Padding, Result};

/// The attributes of one operator of the file.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a> {
    /// `operator 3 CONV_2D`, for messages.
    pub label: &'a str,
    /// The kind of options in the file.
    pub kind: u8,
    /// The options; absent ones have the schema's defaults.
    pub table: Option<Table<'a>>,
    /// The options of a custom operator.
    pub custom: &'a [u8],
}

impl Attributes<'_> {
    /// These attributes if the options are of the kind that the operator has, or absent.
    pub fn of(self, kind: u8) -> Result<Self> {
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

    pub fn unsupported(&self, what: &str) -> Error {
        Error::unsupported_operator(format!("{} has {what}, which is not supported", self.label))
            .with("operator", self.label)
    }

    pub fn malformed(&self, what: &str) -> Error {
        Error::format(format!("{}: {what}", self.label)).with("operator", self.label)
    }

    pub fn integer(&self, field: u16, default: i32) -> Result<i32> {
        self.table.map_or(Ok(default), |table| table.scalar(field, default))
    }

    pub fn byte(&self, field: u16) -> Result<u8> {
        self.table.map_or(Ok(0), |table| table.scalar(field, 0))
    }

    pub fn flag(&self, field: u16) -> Result<bool> {
        Ok(self.byte(field)? != 0)
    }

    pub fn float(&self, field: u16) -> Result<f32> {
        self.table.map_or(Ok(0.0), |table| table.scalar(field, 0.0))
    }

    /// A float that is no infinity and a number.
    pub fn finite(&self, field: u16, what: &str) -> Result<f32> {
        let value = self.float(field)?;
        match value.is_finite() {
            true => Ok(value),
            false => Err(self.malformed(&format!("{what} is {value}, must be finite"))),
        }
    }

    /// The bits of a mask over dimensions.
    pub fn mask(&self, field: u16) -> Result<u32> {
        Ok(self.integer(field, 0)?.cast_unsigned())
    }

    pub fn integers(&self, field: u16, what: &'static str) -> Result<Vec<i64>> {
        let Some(table) = self.table else { return Ok(Vec::new()) };
        let values = table.vector::<i32>(field, what)?;
        if values.len() > crate::limits::MAX_RANK {
            return Err(self.malformed(&format!(
                "{what} has {} dimensions, the limit is {}",
                values.len(),
                crate::limits::MAX_RANK
            )));
        }
        Ok(values.iter().map(i64::from).collect())
    }

    pub fn at_least_1(&self, field: u16, default: i32, what: &str) -> Result<usize> {
        let value = self.integer(field, default)?;
        usize::try_from(value)
            .ok()
            .filter(|&value| value >= 1)
            .ok_or_else(|| self.malformed(&format!("{what} is {value}, must be 1 or more")))
    }

    /// The enum `Padding`.
    pub fn padding(&self, field: u16) -> Result<Padding> {
        match self.byte(field)? {
            0 => Ok(Padding::Same),
            1 => Ok(Padding::Valid),
            other => Err(self.unsupported(&format!("padding {other}"))),
        }
    }

    /// The enum `ActivationFunctionType`.
    pub fn activation(&self, field: u16) -> Result<Activation> {
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
