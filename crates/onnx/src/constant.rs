//! Values that are known while the model is imported: weights, and the numbers that shapes are
//! computed with.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::limits::MAX_TENSOR_BYTES;
use achado_model::{Bytes, DataType, Error, Result};
use half::f16;

use crate::limits::Budget;
use crate::proto::TensorProto;
use crate::site::Site;

/// What an integer means: `real = scale * (integer - zero point)`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scaling {
    /// One, or one for each index of `axis`.
    pub scale: Vec<f32>,
    /// As many as `scale`.
    pub zero_point: Vec<i32>,
    pub axis: usize,
}

impl Scaling {
    /// The one scale and zero point, if they are the same for all elements.
    pub fn per_tensor(&self) -> Option<(f32, i32)> {
        match (&self.scale[..], &self.zero_point[..]) {
            (&[scale], &[zero_point]) => Some((scale, zero_point)),
            _ => None,
        }
    }
}

/// A constant tensor in ONNX's order of dimensions.
#[derive(Clone, Debug)]
pub(crate) struct Constant {
    pub dtype: DataType,
    pub shape: Vec<usize>,
    /// Little-endian.
    pub data: Bytes,
    /// Set where ONNX holds a float for what is stored as an integer: weights behind a
    /// DequantizeLinear.
    pub scaling: Option<Scaling>,
}

/// Dimensions of a value of the graph, which may be fewer in the model: neighbours that stay together
/// are one there.
pub(crate) const MAX_DIMENSIONS: usize = 32;

/// The number of elements, within what a tensor may hold.
pub(crate) fn elements(shape: &[usize]) -> Result<usize> {
    let bounded = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim.max(1)));
    if shape.len() > MAX_DIMENSIONS || bounded.is_none_or(|n| n > MAX_TENSOR_BYTES) {
        return Err(Error::unsupported_type(format!(
            "a tensor of shape {shape:?} has more than {MAX_TENSOR_BYTES} elements or \
             {MAX_DIMENSIONS} dimensions"
        )));
    }
    Ok(shape.iter().product())
}

/// `TensorProto.DataType` by name, as in messages.
pub(crate) fn type_name(data_type: i32) -> String {
    let name = match data_type {
        1 => "float",
        2 => "uint8",
        3 => "int8",
        4 => "uint16",
        5 => "int16",
        6 => "int32",
        7 => "int64",
        8 => "string",
        9 => "bool",
        10 => "float16",
        11 => "double",
        12 => "uint32",
        13 => "uint64",
        14 => "complex64",
        15 => "complex128",
        16 => "bfloat16",
        17..=20 => "float8",
        21 => "uint4",
        22 => "int4",
        _ => return format!("type {data_type}"),
    };
    name.to_owned()
}

/// The type that stands for an attribute's `TensorProto.DataType`; every float is float32.
pub(crate) fn data_type(site: &Site<'_>, name: &'static str, code: i64) -> Result<DataType> {
    Ok(match code {
        1 | 10 | 11 | 16 => DataType::Float32,
        2 => DataType::UInt8,
        3 => DataType::Int8,
        5 => DataType::Int16,
        6 => DataType::Int32,
        7 => DataType::Int64,
        9 => DataType::Bool,
        other => {
            let kind = type_name(i32::try_from(other).unwrap_or(0));
            return Err(site.unsupported_attribute(name, kind));
        }
    })
}

impl TensorProto<'_> {
    /// Refuses elements that lie in another file.
    pub fn check_is_inside(&self) -> Result<()> {
        let (name, Some(location)) = (self.name, self.external) else { return Ok(()) };
        Err(Error::format(format!(
            "tensor {name:?}: its elements lie in another file, {location:?}: save the model as \
             one file (onnx.save_model(..., save_as_external_data=False))"
        ))
        .with("tensor", name)
        .with("location", location))
    }
}

impl Constant {
    /// A constant of numbers made here.
    pub fn new(dtype: DataType, shape: Vec<usize>, data: Vec<u8>) -> Self {
        Self { dtype, shape, data: Bytes::from(data), scaling: None }
    }

    /// float32 numbers.
    pub fn from_floats(shape: Vec<usize>, values: &[f32]) -> Self {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::new(DataType::Float32, shape, data)
    }

    /// int64 numbers.
    pub fn from_integers(shape: Vec<usize>, values: &[i64]) -> Self {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::new(DataType::Int64, shape, data)
    }

    /// A tensor of the file; its elements stay there where the file has them as the model does.
    pub fn read(proto: &TensorProto<'_>, file: &Bytes, budget: &mut Budget) -> Result<Self> {
        let name = proto.name;
        let error =
            |what: String| Error::format(format!("tensor {name:?}: {what}")).with("tensor", name);
        proto.check_is_inside()?;
        let shape: Result<Vec<usize>> = (proto.dims.iter())
            .map(|&dim| usize::try_from(dim).map_err(|_| error(format!("a dimension of {dim}"))))
            .collect();
        let shape = shape?;
        let count = elements(&shape).map_err(|cause| error(cause.message.into_owned()))?;
        let (dtype, width) = match proto.data_type {
            1 => (DataType::Float32, 4),
            2 => (DataType::UInt8, 1),
            3 => (DataType::Int8, 1),
            5 => (DataType::Int16, 2),
            6 => (DataType::Int32, 4),
            7 => (DataType::Int64, 8),
            9 => (DataType::Bool, 1),
            10 => (DataType::Float16, 2),
            11 => (DataType::Float32, 8),
            12 => (DataType::Int64, 4),
            13 => (DataType::Int64, 8),
            16 => (DataType::Float32, 2),
            other => {
                let kind = type_name(other);
                return Err(Error::unsupported_type(format!(
                    "tensor {name:?} has the element type {kind}, which is not supported"
                ))
                .with("tensor", name)
                .with("type", kind));
            }
        };
        let needed = count.checked_mul(width).ok_or_else(|| error("it is too large".into()))?;
        let wrong = |found: usize| {
            error(format!("its data needs {needed} bytes, has {found}"))
                .with("needed", needed)
                .with("found", found)
        };
        let data = if let Some(raw) = proto.raw {
            if raw.bytes.len() != needed {
                return Err(wrong(raw.bytes.len()));
            }
            let end = raw.start.checked_add(needed).ok_or_else(|| wrong(0))?;
            Self::widen(proto.data_type, raw.bytes, budget)?
                .or_else(|| file.slice(raw.start..end))
                .ok_or_else(|| wrong(0))?
        } else {
            let spans = if proto.data_type == 11 { &proto.doubles } else { &proto.floats };
            let bytes: Vec<u8> = match proto.data_type {
                1 | 11 => {
                    budget.take(needed, 1)?;
                    spans.iter().flat_map(|span| span.bytes).copied().collect()
                }
                _ => {
                    budget.take(proto.integers.len(), width)?;
                    let cut = |value: &u64| value.to_le_bytes().into_iter().take(width);
                    proto.integers.iter().flat_map(cut).collect()
                }
            };
            if bytes.len() != needed {
                return Err(wrong(bytes.len()));
            }
            match Self::widen(proto.data_type, &bytes, budget)? {
                Some(wide) => wide,
                None => Bytes::from(bytes),
            }
        };
        Ok(Self { dtype, shape, data, scaling: None })
    }

    /// Elements of types that the model lacks, in one that it has; `None` where it has the type.
    fn widen(data_type: i32, bytes: &[u8], budget: &mut Budget) -> Result<Option<Bytes>> {
        budget.work(bytes.len() / 8)?;
        let wide: Vec<u8> = match data_type {
            // Beyond float32 there is nothing that a network would notice.
            11 => {
                budget.take(bytes.len() / 2, 1)?;
                let doubles = bytes.as_chunks().0.iter();
                doubles.flat_map(|b| (f64::from_le_bytes(*b) as f32).to_le_bytes()).collect()
            }
            16 => {
                budget.take(bytes.len(), 2)?;
                let halves = bytes.as_chunks().0.iter();
                halves.flat_map(|&[low, high]| [0, 0, low, high]).collect()
            }
            12 => {
                budget.take(bytes.len(), 2)?;
                let integers = bytes.as_chunks().0.iter();
                integers.flat_map(|b| i64::from(u32::from_le_bytes(*b)).to_le_bytes()).collect()
            }
            _ => return Ok(None),
        };
        Ok(Some(Bytes::from(wide)))
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether ONNX holds a float here.
    pub fn is_real(&self) -> bool {
        self.scaling.is_some() || matches!(self.dtype, DataType::Float32 | DataType::Float16)
    }

    /// The elements as integers; `None` for floats.
    pub fn integers(&self) -> Option<Vec<i64>> {
        if self.scaling.is_some() {
            return None;
        }
        self.stored_integers()
    }

    /// The integers that are stored, whatever they mean.
    pub fn stored_integers(&self) -> Option<Vec<i64>> {
        let data = &*self.data;
        Some(match self.dtype {
            DataType::Int8 => data.iter().map(|&b| i64::from(i8::from_le_bytes([b]))).collect(),
            DataType::UInt8 | DataType::Bool => data.iter().map(|&b| i64::from(b)).collect(),
            DataType::Int16 => {
                data.as_chunks().0.iter().map(|b| i64::from(i16::from_le_bytes(*b))).collect()
            }
            DataType::Int32 => {
                data.as_chunks().0.iter().map(|b| i64::from(i32::from_le_bytes(*b))).collect()
            }
            DataType::Int64 => data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
            DataType::Float32 | DataType::Float16 => return None,
        })
    }

    /// The elements as floats: integers with a scaling are dequantised, others converted.
    pub fn floats(&self) -> Vec<f32> {
        let data = &*self.data;
        match self.dtype {
            DataType::Float32 => {
                data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
            }
            DataType::Float16 => {
                data.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect()
            }
            _ => {
                let integers = self.stored_integers().unwrap_or_default();
                let Some(Scaling { scale, zero_point, axis }) = &self.scaling else {
                    return integers.iter().map(|&value| value as f32).collect();
                };
                let inner: usize = self.shape.iter().skip(axis.saturating_add(1)).product();
                let channels = scale.len().max(1);
                let channel = |at: usize| {
                    at.checked_div(inner).and_then(|at| at.checked_rem(channels)).unwrap_or(0)
                };
                (integers.iter().enumerate())
                    .map(|(at, &value)| {
                        let channel = channel(at);
                        let zero = zero_point.get(channel).copied().unwrap_or(0);
                        let scale = scale.get(channel).copied().unwrap_or(1.0);
                        value.saturating_sub(i64::from(zero)) as f32 * scale
                    })
                    .collect()
            }
        }
    }

    /// The one element of a scalar or of a tensor with a single element.
    pub fn scalar(&self) -> Option<f32> {
        if self.len() == 1 { self.floats().first().copied() } else { None }
    }

    /// The same elements with other dimensions.
    pub fn with_shape(&self, shape: Vec<usize>) -> Self {
        // A scale for each channel goes along where its dimension stays.
        let scaling = self.scaling.clone().map(|mut scaling| {
            if scaling.scale.len() > 1 {
                let at = shape.iter().position(|&dim| dim == scaling.scale.len());
                scaling.axis = at.unwrap_or(scaling.axis);
            }
            scaling
        });
        Self { dtype: self.dtype, shape, data: self.data.clone(), scaling }
    }

    /// The same numbers as float32.
    pub fn to_real(&self) -> Self {
        match (self.dtype, &self.scaling) {
            (DataType::Float32, None) => self.clone(),
            _ => Self::from_floats(self.shape.clone(), &self.floats()),
        }
    }

    /// Elements picked by their places, in a new shape; the places must lie within.
    pub fn pick(
        &self,
        shape: Vec<usize>,
        places: impl Iterator<Item = usize>,
        budget: &mut Budget,
    ) -> Result<Self> {
        let size = self.dtype.size_bytes();
        let count = elements(&shape)?;
        budget.take(count, size)?;
        budget.work(count)?;
        let mut data = Vec::with_capacity(count.saturating_mul(size));
        for place in places {
            let start = place.saturating_mul(size);
            let element = self.data.get(start..start.saturating_add(size)).unwrap_or_default();
            data.extend_from_slice(element);
        }
        Ok(Self { dtype: self.dtype, shape, data: Bytes::from(data), scaling: None })
    }

    /// Dimension `i` of the result is dimension `order[i]`.
    pub fn transpose(&self, order: &[usize], budget: &mut Budget) -> Result<Self> {
        if order.iter().enumerate().all(|(at, &axis)| at == axis) {
            return Ok(self.clone());
        }
        let dim = |axis: &usize| self.shape.get(*axis).copied().unwrap_or(1);
        let shape: Vec<usize> = order.iter().map(dim).collect();
        let strides = strides(&self.shape);
        let strides: Vec<usize> =
            order.iter().map(|&axis| strides.get(axis).copied().unwrap_or(0)).collect();
        let places = Places::new(&shape, strides);
        let mut transposed = self.pick(shape, places, budget)?;
        transposed.scaling = self.scaling.clone().map(|mut scaling| {
            scaling.axis = order.iter().position(|&axis| axis == scaling.axis).unwrap_or(0);
            scaling
        });
        Ok(transposed)
    }
}

/// Elements between neighbours along each dimension of a row-major tensor.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    let mut stride = 1usize;
    for (at, &dim) in shape.iter().enumerate().rev() {
        if let Some(place) = strides.get_mut(at) {
            *place = stride;
        }
        stride = stride.saturating_mul(dim);
    }
    strides
}

/// The places of a strided walk through a tensor, row-major over `shape`.
pub(crate) struct Places {
    shape: Vec<usize>,
    strides: Vec<usize>,
    index: Vec<usize>,
    place: usize,
    left: usize,
}

impl Places {
    /// A walk over `shape`; a stride of 0 repeats.
    pub fn new(shape: &[usize], strides: Vec<usize>) -> Self {
        let left = shape.iter().product();
        Self { shape: shape.to_vec(), strides, index: vec![0; shape.len()], place: 0, left }
    }
}

impl Iterator for Places {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let place = self.place;
        for ((index, &dim), &stride) in
            self.index.iter_mut().zip(&self.shape).zip(&self.strides).rev()
        {
            *index = index.saturating_add(1);
            self.place = self.place.saturating_add(stride);
            if *index < dim {
                break;
            }
            self.place = self.place.saturating_sub(stride.saturating_mul(dim));
            *index = 0;
        }
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(constant: &Constant) -> Vec<i64> {
        constant.integers().unwrap()
    }

    #[test]
    fn transposing_moves_elements_and_channels() {
        let mut budget = Budget::for_file(0);
        let mut constant = Constant::from_integers(vec![2, 3], &[1, 2, 3, 4, 5, 6]);
        let turned = constant.transpose(&[1, 0], &mut budget).unwrap();
        assert_eq!(
            (turned.shape.as_slice(), numbers(&turned)),
            (&[3, 2][..], vec![1, 4, 2, 5, 3, 6])
        );
        constant.scaling =
            Some(Scaling { scale: vec![2.0, 10.0], zero_point: vec![1, 0], axis: 0 });
        assert_eq!(constant.floats(), [0.0, 2.0, 4.0, 40.0, 50.0, 60.0]);
        let turned = constant.transpose(&[1, 0], &mut budget).unwrap();
        assert_eq!(turned.scaling.as_ref().unwrap().axis, 1);
        assert_eq!(turned.floats(), [0.0, 40.0, 2.0, 50.0, 4.0, 60.0]);
    }

    #[test]
    fn widening_keeps_the_numbers() {
        let proto = |data_type, raw: &'static [u8]| TensorProto {
            dims: vec![1],
            data_type,
            raw: Some(crate::protobuf::Span { bytes: raw, start: 0 }),
            ..TensorProto::default()
        };
        let read = |proto| {
            Constant::read(&proto, &Bytes::from(Vec::new()), &mut Budget::for_file(0)).unwrap()
        };
        assert_eq!(read(proto(11, &[0, 0, 0, 0, 0, 0, 0xf8, 0x3f])).floats(), [1.5]);
        assert_eq!(read(proto(16, &[0xc0, 0x3f])).floats(), [1.5]);
        assert_eq!(numbers(&read(proto(12, &[0xff, 0xff, 0xff, 0xff]))), [0xffff_ffff]);
    }
}
