//! What is inside of a constant: its range, how much of it is zero, how its elements are distributed.

use achado_model::{DataType, Tensor};
use half::f16;

/// Bins of [`Statistics::histogram`].
const BINS: usize = 48;

/// The elements of a constant as real numbers: `scale * (q - zero_point)` where it is quantized.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// The least finite element.
    pub min: f64,
    /// The greatest finite element.
    pub max: f64,
    /// Of finite elements.
    pub mean: f64,
    /// Standard deviation of finite elements.
    pub deviation: f64,
    /// Elements that are exactly 0.
    pub zeros: usize,
    /// Elements that are infinite or no numbers.
    pub not_finite: usize,
    /// Finite elements by equal parts of `min..=max`; all in the first where these are equal.
    pub histogram: Vec<u32>,
}

/// The statistics of a constant; `None` for what is none, or has no elements.
pub fn statistics(tensor: &Tensor) -> Option<Statistics> {
    let values = reals(tensor)?;
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (mut count, mut sum, mut zeros) = (0usize, 0.0, 0);
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in finite() {
        count += 1;
        sum += value;
        zeros += usize::from(value == 0.0);
        (min, max) = (min.min(value), max.max(value));
    }
    if values.is_empty() {
        return None;
    }
    if count == 0 {
        (min, max) = (f64::NAN, f64::NAN);
    }
    let mean = sum / count.max(1) as f64;
    let mut histogram = vec![0u32; BINS];
    let mut squares = 0.0;
    let width = (max - min) / BINS as f64;
    for value in finite() {
        squares += (value - mean) * (value - mean);
        let bin = if width > 0.0 { (value - min) / width } else { 0.0 };
        // The greatest element belongs to the last bin.
        histogram[(bin as usize).min(BINS - 1)] += 1;
    }
    Some(Statistics {
        min,
        max,
        mean,
        deviation: (squares / count.max(1) as f64).sqrt(),
        zeros,
        not_finite: values.len() - count,
        histogram,
    })
}

/// The elements of a constant as real numbers.
fn reals(tensor: &Tensor) -> Option<Vec<f64>> {
    let data = tensor.data.as_ref()?;
    let quantization = tensor.quantization.as_ref();
    let axis = quantization.map_or(0, |quantization| quantization.axis);
    let inner = tensor.shape.iter().skip(axis + 1).product::<usize>().max(1);
    let real = |(index, q): (usize, i64)| match quantization {
        None => q as f64,
        Some(quantization) => {
            let channel = index / inner % quantization.scale.len().max(1);
            let zero = quantization.zero_point.get(channel).copied().unwrap_or(0);
            let scale = quantization.scale.get(channel).copied().unwrap_or(1.0);
            f64::from(scale) * (q - i64::from(zero)) as f64
        }
    };
    Some(match tensor.dtype {
        DataType::Float32 => {
            let floats = data.as_chunks().0.iter();
            floats.map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
        }
        DataType::Float16 => {
            data.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f64()).collect()
        }
        DataType::Int8 => {
            data.iter().map(|&byte| i64::from(byte as i8)).enumerate().map(real).collect()
        }
        DataType::UInt8 | DataType::Bool => {
            data.iter().map(|&byte| i64::from(byte)).enumerate().map(real).collect()
        }
        DataType::Int16 => {
            let integers = data.as_chunks().0.iter().map(|b| i64::from(i16::from_le_bytes(*b)));
            integers.enumerate().map(real).collect()
        }
        DataType::Int32 | DataType::Int64 => {
            tensor.constant_integers()?.into_iter().enumerate().map(real).collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use achado_model::{Bytes, Quantization};

    use super::*;

    fn constant(dtype: DataType, shape: &[usize], bytes: Vec<u8>) -> Tensor {
        Tensor {
            name: String::new(),
            dtype,
            shape: shape.to_vec(),
            dynamic: Vec::new(),
            quantization: None,
            data: Some(Bytes::from(bytes)),
        }
    }

    #[test]
    fn floats_have_their_range_zeros_and_histogram() {
        let values = [-1.0f32, 0.0, 0.0, 3.0, f32::NAN];
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let found = statistics(&constant(DataType::Float32, &[5], bytes)).unwrap();
        assert_eq!((found.min, found.max, found.zeros, found.not_finite), (-1.0, 3.0, 2, 1));
        assert_eq!(found.mean, 0.5);
        assert!((found.deviation - 2.25f64.sqrt()).abs() < 1e-12);
        assert_eq!(found.histogram.iter().sum::<u32>(), 4);
        assert_eq!((found.histogram[0], found.histogram[12], found.histogram[47]), (1, 2, 1));
    }

    #[test]
    fn integers_are_real_numbers_by_channel() {
        let mut tensor = constant(DataType::Int8, &[2, 2], vec![0, 2, 5, 251]);
        tensor.quantization =
            Some(Quantization { scale: vec![0.5, 2.0], zero_point: vec![0, 5], axis: 0 });
        let found = statistics(&tensor).unwrap();
        // 0, 1; 0, -20.
        assert_eq!((found.min, found.max, found.zeros), (-20.0, 1.0, 2));
    }

    #[test]
    fn what_has_no_elements_has_no_statistics() {
        assert_eq!(statistics(&constant(DataType::Float32, &[0], Vec::new())), None);
        let same = constant(DataType::Bool, &[2], vec![1, 1]);
        assert_eq!(statistics(&same).unwrap().histogram[0], 2);
    }
}
