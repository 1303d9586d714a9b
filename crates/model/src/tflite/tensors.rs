//! From the schema's tensor, quantisation and buffer tables to [`Tensor`].
#![deny(clippy::arithmetic_side_effects)]

use std::ops::Range;

use super::reader::{Reader, gather};
use super::{schema, sparsity};
use crate::flatbuffer::Table;
use crate::limits::{MAX_RANK, MAX_TENSOR_BYTES};
use crate::{Bytes, DataType, Error, Quantization, Result, Tensor};

impl<'a> Reader<'a> {
    /// Tensor `index` with its constant, if it is one.
    pub(super) fn tensor(&mut self, index: usize) -> Result<Tensor> {
        let table = match self.tensors.get(index) {
            Some(table) => table?,
            None => return Err(Error::format(format!("tensor {index} is missing"))),
        };
        let dtype = self.data_type(index, table)?;
        let (shape, dynamic) = self.shape(index, table)?;
        self.check_plain(index, table)?;
        let name = table.string(schema::tensor::NAME, "a tensor's name")?;
        let quantization = self.quantization(index, table, dtype, &shape)?;
        let mut tensor =
            Tensor { name: self.own(name)?, dtype, shape, dynamic, quantization, data: None };
        if let Some(range) = self.data(index, table)? {
            let needed = checked_size(&tensor).ok_or_else(|| self.too_large(index, &tensor))?;
            if let Some(table) = table.table(schema::tensor::SPARSITY, "a tensor's sparsity")? {
                tensor.data = Some(self.dense(index, table, &tensor, range, needed)?);
                return Ok(tensor);
            }
            if range.len() != needed {
                return Err(Error::format(format!(
                    "{}: buffer needs {needed} bytes, has {} (at offset {:#x})",
                    self.label(index),
                    range.len(),
                    range.start
                ))
                .with("tensor", index)
                .with("needed", needed)
                .with("found", range.len())
                .with("offset", range.start));
            }
            tensor.data = self.file.slice(range);
        } else if checked_size(&tensor).is_none() {
            return Err(self.too_large(index, &tensor));
        }
        Ok(tensor)
    }

    fn too_large(&self, index: usize, tensor: &Tensor) -> Error {
        Error::format(format!(
            "{}: shape {:?} of {} is larger than {MAX_TENSOR_BYTES} bytes",
            self.label(index),
            tensor.shape,
            tensor.dtype
        ))
        .with("tensor", index)
    }

    fn data_type(&self, index: usize, table: Table<'a>) -> Result<DataType> {
        let code = table.scalar(schema::tensor::TYPE, 0u8)?;
        Ok(match code {
            0 => DataType::Float32,
            1 => DataType::Float16,
            2 => DataType::Int32,
            3 => DataType::UInt8,
            4 => DataType::Int64,
            6 => DataType::Bool,
            7 => DataType::Int16,
            9 => DataType::Int8,
            _ => {
                let label = self.label(index);
                let name = match schema::TENSOR_TYPES.get(usize::from(code)) {
                    Some(&name) => name.to_owned(),
                    None => format!("number {code}"),
                };
                return Err(Error::unsupported_type(format!(
                    "{label} has the element type {name}, which is not supported"
                ))
                .with("tensor", index)
                .with("type", name));
            }
        })
    }

    /// The dimensions, and which of them a caller may choose.
    fn shape(&mut self, index: usize, table: Table<'a>) -> Result<(Vec<usize>, Vec<bool>)> {
        let dims = table.vector::<i32>(schema::tensor::SHAPE, "a tensor's shape")?;
        if dims.len() > MAX_RANK {
            return Err(Error::format(format!(
                "{} has {} dimensions, the limit is {MAX_RANK}",
                self.label(index),
                dims.len()
            ))
            .with("tensor", index));
        }
        let signature =
            table.vector::<i32>(schema::tensor::SHAPE_SIGNATURE, "a tensor's shape signature")?;
        let mut dynamic: Vec<bool> = dims.iter().map(|dim| dim == -1).collect();
        if signature.len() == dims.len() {
            for (dynamic, dim) in dynamic.iter_mut().zip(signature.iter()) {
                *dynamic |= dim == -1;
            }
        }
        if !dynamic.contains(&true) {
            dynamic = Vec::new();
        }
        self.budget.take_bytes(dims.len().saturating_mul(size_of::<usize>()))?;
        self.budget.take_bytes(dynamic.len())?;
        let shape = gather(dims.iter().map(|dim| match dim {
            // The converter writes 1 where the signature says -1; old files write -1 itself.
            -1 => Ok(1),
            _ => usize::try_from(dim).map_err(|_| {
                Error::format(format!("{} has a dimension of {dim}", self.label(index)))
                    .with("tensor", index)
            }),
        }))?;
        Ok((shape, dynamic))
    }

    /// The elements of a sparse constant, whose non-zero ones lie in `range` of the file.
    fn dense(
        &mut self,
        index: usize,
        table: Table<'a>,
        tensor: &Tensor,
        range: Range<usize>,
        needed: usize,
    ) -> Result<Bytes> {
        let values = self.file.get(range).unwrap_or_default();
        let size = tensor.dtype.size_bytes();
        match sparsity::densify(table, &tensor.shape, size, values, needed, &mut self.budget)? {
            Ok(dense) => Ok(Bytes::from(dense)),
            Err(what) => Err(Error::format(format!("{} is sparse: {what}", self.label(index)))
                .with("tensor", index)),
        }
    }

    /// Refuses state, and constants of other files.
    fn check_plain(&self, index: usize, table: Table<'a>) -> Result<()> {
        if table.flag(schema::tensor::IS_VARIABLE)? {
            return Err(Error::unsupported_operator(format!(
                "{} is a variable; models that keep state between runs are not supported",
                self.label(index)
            ))
            .with("tensor", index));
        }
        if table.scalar(schema::tensor::EXTERNAL_BUFFER, 0u32)? != 0 {
            return Err(Error::unsupported_type(format!(
                "{} has its elements in another file, which is not supported; store the model as \
                 one file",
                self.label(index)
            ))
            .with("tensor", index));
        }
        Ok(())
    }

    fn quantization(
        &mut self,
        index: usize,
        table: Table<'a>,
        dtype: DataType,
        shape: &[usize],
    ) -> Result<Option<Quantization>> {
        let Some(table) = table.table(schema::tensor::QUANTIZATION, "a tensor's quantisation")?
        else {
            return Ok(None);
        };
        if table.scalar(schema::quantization::DETAILS_TYPE, 0u8)? != 0 {
            return Err(Error::unsupported_type(format!(
                "{} has a custom quantisation, which is not supported",
                self.label(index)
            ))
            .with("tensor", index));
        }
        let scale = table.vector::<f32>(schema::quantization::SCALE, "scales")?;
        let zero_point = table.vector::<i64>(schema::quantization::ZERO_POINT, "zero points")?;
        // Float tensors carry at most the range seen in training; int64 and bool have none.
        let quantised =
            matches!(dtype, DataType::Int8 | DataType::UInt8 | DataType::Int16 | DataType::Int32);
        if scale.len() == 0 || !quantised {
            return Ok(None);
        }
        // Scales, zero points and the allocator's share of both, before any is looked at.
        self.budget.take(scale.len(), 8)?;
        self.budget.take(2, 32)?;
        let format = |what: String| {
            Error::format(format!("{}: {what}", self.label(index))).with("tensor", index)
        };
        let bad_scale = |&scale: &f32| !(scale.is_finite() && scale > 0.0);
        if let Some(bad) = scale.iter().find(bad_scale) {
            if dtype == DataType::Int32 {
                // A bias has the scale of input times weights, whatever underflowed in the file.
                return Ok(None);
            }
            return Err(format(format!("scale {bad} must be finite and above 0")));
        }
        if zero_point.len() != scale.len() && zero_point.len() > 1 {
            return Err(format(format!(
                "{} scales but {} zero points",
                scale.len(),
                zero_point.len()
            )));
        }
        let axis = table.scalar(schema::quantization::QUANTIZED_DIMENSION, 0i32)?;
        let axis = if scale.len() == 1 { Some(0) } else { usize::try_from(axis).ok() };
        let axis = axis.filter(|&axis| {
            scale.len() == 1 || shape.get(axis).is_some_and(|&channels| channels == scale.len())
        });
        let Some(axis) = axis else {
            return Err(format(format!(
                "{} scales do not fit shape {shape:?} along its quantised dimension",
                scale.len()
            )));
        };
        let (low, high) = match dtype {
            DataType::Int8 => (-128, 127),
            DataType::UInt8 => (0, 255),
            DataType::Int16 => (-32768, 32767),
            _ => (i32::MIN, i32::MAX),
        };
        let in_range = |zero_point: i64| {
            i32::try_from(zero_point)
                .ok()
                .filter(|zero| (low..=high).contains(zero))
                .ok_or_else(|| format(format!("zero point {zero_point} is outside {low}..={high}")))
        };
        let zero_point = match zero_point.len() {
            0 => vec![in_range(0)?; scale.len()],
            1 => {
                let zero_point = zero_point.iter().next().unwrap_or(0);
                vec![in_range(zero_point)?; scale.len()]
            }
            _ => gather(zero_point.iter().map(in_range))?,
        };
        Ok(Some(Quantization { scale: scale.iter().collect(), zero_point, axis }))
    }

    /// Where a constant's bytes lie in the file; `None` for a tensor without.
    fn data(&self, index: usize, table: Table<'a>) -> Result<Option<Range<usize>>> {
        let buffer = table.scalar(schema::tensor::BUFFER, 0u32)?;
        if buffer == 0 {
            return Ok(None);
        }
        self.buffer(buffer, &|| self.label(index))
    }

    /// Where buffer `index` lies in the file; `None` where it is empty.
    pub(super) fn buffer(
        &self,
        index: u32,
        whose: &dyn Fn() -> String,
    ) -> Result<Option<Range<usize>>> {
        let buffer = usize::try_from(index)
            .ok()
            .and_then(|index| self.buffers.get(index))
            .ok_or_else(|| {
                Error::format(format!(
                    "{} has buffer {index}; the model has {} buffers",
                    whose(),
                    self.buffers.len()
                ))
            })??;
        let data = buffer.vector::<u8>(schema::buffer::DATA, "a buffer's data")?;
        if data.len() > 0 {
            return Ok(Some(data.range()));
        }
        // Files above 2 GiB keep constants behind the FlatBuffer, at an offset from the file's
        // beginning; 0 and 1 are no offsets.
        let offset = buffer.scalar(schema::buffer::OFFSET, 0u64)?;
        let size = buffer.scalar(schema::buffer::SIZE, 0u64)?;
        if offset <= 1 || size == 0 {
            return Ok(None);
        }
        let range = usize::try_from(offset)
            .ok()
            .zip(usize::try_from(size).ok())
            .and_then(|(start, size)| Some(start..start.checked_add(size)?))
            .filter(|range| range.end <= self.file.len());
        range.map(Some).ok_or_else(|| {
            Error::format(format!(
                "{}: buffer needs {size} bytes at offset {offset:#x}, the file has {} bytes: it is \
                 truncated or damaged",
                whose(),
                self.file.len()
            ))
        })
    }
}

/// The bytes of a tensor, where they and its count of elements stay within [`MAX_TENSOR_BYTES`].
fn checked_size(tensor: &Tensor) -> Option<usize> {
    // Dimensions of 0 count as 1 here, so that no product of some of the dimensions overflows.
    let bound = tensor
        .shape
        .iter()
        .try_fold(tensor.dtype.size_bytes(), |size, &dim| size.checked_mul(dim.max(1)))?;
    (bound <= MAX_TENSOR_BYTES).then(|| tensor.size_bytes())
}
