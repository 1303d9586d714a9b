//! Weights and biases as integers.

use achado_model::{Bytes, DataType, Quantization, Tensor};

/// The least bound of a channel's weights, as in Google's quantizer: a channel of zeros gets a scale.
const LEAST_BOUND: f32 = 1e-9;

/// The elements of `shape` in the order of the tensor, with the channel of each along `axis`.
pub(crate) fn channel_of(shape: &[usize], axis: usize) -> impl Fn(usize) -> usize + use<> {
    let channels = shape.get(axis).copied().unwrap_or(1).max(1);
    let inner = shape.iter().skip(axis + 1).product::<usize>().max(1);
    move |index| index / inner % channels
}

/// Symmetric scales of weights, for each channel along `axis`, or one for all where it is `None`.
pub(crate) fn scales(weights: &[f32], shape: &[usize], axis: Option<usize>) -> Vec<f32> {
    let channel = axis.map(|axis| channel_of(shape, axis));
    let count = axis.map_or(1, |axis| shape[axis]);
    let mut bounds = vec![LEAST_BOUND; count];
    for (index, weight) in weights.iter().enumerate() {
        let bound = &mut bounds[channel.as_ref().map_or(0, |channel| channel(index))];
        *bound = bound.max(weight.abs());
    }
    bounds.into_iter().map(|bound| bound / 127.0).collect()
}

/// Widens scales whose bias would leave 32 bits, with room for the sum of products beside it.
pub(crate) fn fit_bias(scales: &mut [f32], bias: &[f32], input_scale: f32) {
    const MOST: f64 = (1u32 << 30) as f64;
    for (index, &bias) in bias.iter().enumerate() {
        let scale = if scales.len() == 1 { &mut scales[0] } else { &mut scales[index] };
        let least = f64::from(bias).abs() / (MOST * f64::from(input_scale));
        if f64::from(*scale) < least {
            *scale = least as f32;
        }
    }
}

/// int8 weights in `-127..=127` with zero point 0.
pub(crate) fn quantize(tensor: &Tensor, weights: &[f32], scale: Vec<f32>, axis: usize) -> Tensor {
    let channel = channel_of(&tensor.shape, axis);
    let per_channel = scale.len() > 1;
    let bytes: Vec<u8> = (weights.iter().enumerate())
        .map(|(index, weight)| {
            let scale = scale[if per_channel { channel(index) } else { 0 }];
            (weight / scale).round_ties_even().clamp(-127.0, 127.0) as i8 as u8
        })
        .collect();
    let zero_point = vec![0; scale.len()];
    let axis = if per_channel { axis } else { 0 };
    Tensor {
        dtype: DataType::Int8,
        quantization: Some(Quantization { scale, zero_point, axis }),
        data: Some(Bytes::from(bytes)),
        dynamic: Vec::new(),
        ..tensor.clone()
    }
}

/// A bias as int32, whose scale is the product of the input's and the weights'.
pub(crate) fn quantize_bias(tensor: &Tensor, bias: &[f64], scales: &[f32], input: f32) -> Tensor {
    let scale: Vec<f32> = scales.iter().map(|scale| scale * input).collect();
    let bytes = (bias.iter().enumerate())
        .flat_map(|(index, bias)| {
            let scale = scale[if scale.len() > 1 { index } else { 0 }];
            // `as` saturates; the scales leave room.
            let rounded = (bias / f64::from(scale)).round_ties_even() as i32;
            rounded.to_le_bytes()
        })
        .collect::<Vec<u8>>();
    let zero_point = vec![0; scale.len()];
    Tensor {
        dtype: DataType::Int32,
        quantization: Some(Quantization { scale, zero_point, axis: 0 }),
        data: Some(Bytes::from(bytes)),
        dynamic: Vec::new(),
        ..tensor.clone()
    }
}

/// A constant of floats as int8 with a scale and zero point that are given.
pub(crate) fn quantize_constant(tensor: &Tensor, values: &[f32], as_: &Quantization) -> Tensor {
    let (scale, zero_point) = as_.as_per_tensor().expect("activations have one scale");
    let bytes: Vec<u8> = (values.iter())
        .map(|value| {
            let rounded = (value / scale).round_ties_even() + zero_point as f32;
            rounded.clamp(-128.0, 127.0) as i8 as u8
        })
        .collect();
    Tensor {
        dtype: DataType::Int8,
        quantization: Some(as_.clone()),
        data: Some(Bytes::from(bytes)),
        dynamic: Vec::new(),
        ..tensor.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize]) -> Tensor {
        Tensor {
            name: "w".into(),
            dtype: DataType::Float32,
            shape: shape.to_vec(),
            dynamic: vec![],
            quantization: None,
            data: None,
        }
    }

    #[test]
    fn channels_have_their_own_scales() {
        let weights = [1.0, -2.0, 0.5, 0.25, 0.0, 0.0];
        assert_eq!(scales(&weights, &[3, 2], Some(0)), [2.0 / 127.0, 0.5 / 127.0, 1e-9 / 127.0]);
        assert_eq!(scales(&weights, &[3, 2], Some(1)), [1.0 / 127.0, 2.0 / 127.0]);
        assert_eq!(scales(&weights, &[3, 2], None), [2.0 / 127.0]);
        let quantized =
            quantize(&tensor(&[3, 2]), &weights, vec![2.0 / 127.0, 0.5 / 127.0, 1.0], 0);
        let bytes: Vec<i8> = quantized.data.unwrap().iter().map(|&byte| byte as i8).collect();
        // 63.5 is rounded to the even 64.
        assert_eq!(bytes, [64, -127, 127, 64, 0, 0]);
    }

    #[test]
    fn a_bias_fits_its_32_bits() {
        let mut scales = vec![1e-12, 1.0];
        fit_bias(&mut scales, &[1000.0, 1000.0], 0.01);
        assert_eq!(scales[1], 1.0);
        let bias = quantize_bias(&tensor(&[2]), &[1000.0, -1.0], &scales, 0.01);
        let data = bias.data.unwrap();
        let first = i32::from_le_bytes(data[..4].try_into().unwrap());
        let second = i32::from_le_bytes(data[4..].try_into().unwrap());
        assert!(first > (1 << 30) - 1000 && first <= (1 << 30) + 1000, "{first}");
        assert_eq!(second, -100);
    }
}
