//! A quantized network beside the float one: how far each tensor is off, how often both agree.

use achado_engine::SessionOptions;
use achado_model::{DataType, Error, Model, Result, Tensor};

use super::calibrate::Watched;

/// One tensor of the quantized model beside that of the float model, over all samples.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerError {
    /// TensorFlow Lite's name of the operator that writes it.
    pub operator: &'static str,
    /// The tensor's name.
    pub name: String,
    /// Root mean square of the difference in steps of the tensor's scale. 0.29 is rounding alone.
    pub rmse_over_scale: f64,
    /// Signal to noise, in decibels; infinite where all is equal.
    pub snr_db: f64,
    /// Cosine of the angle between both.
    pub cosine: f64,
}

/// What [`compare`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// By operator of the float model that is computed in integers, in order.
    pub layers: Vec<LayerError>,
    /// The share of samples whose greatest element of the first output is the same.
    pub top1_agreement: f64,
    /// How many samples were run.
    pub samples: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    signal: f64,
    other: f64,
    product: f64,
    noise: f64,
    count: f64,
}

/// The elements of a tensor as real numbers.
fn reals(tensor: &Tensor, bytes: &[u8], into: &mut Vec<f32>) {
    let (scale, zero_point) =
        tensor.quantization.as_ref().and_then(|q| q.as_per_tensor()).unwrap_or((1.0, 0));
    let real = |value: i32| (value - zero_point) as f32 * scale;
    into.clear();
    match tensor.dtype {
        DataType::Float32 => {
            into.extend(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        }
        DataType::Int8 => into.extend(bytes.iter().map(|&byte| real(i32::from(byte as i8)))),
        DataType::UInt8 => into.extend(bytes.iter().map(|&byte| real(i32::from(byte)))),
        DataType::Int16 => into.extend(
            bytes.as_chunks().0.iter().map(|bytes| real(i32::from(i16::from_le_bytes(*bytes)))),
        ),
        DataType::Float16 | DataType::Int32 | DataType::Int64 | DataType::Bool => {}
    }
}

/// The place of the greatest element, the first of equal ones.
fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

/// The elements of a float input as `tensor` has them: quantized where it is.
pub fn convert_input(tensor: &Tensor, floats: &[u8], into: &mut Vec<u8>) {
    into.clear();
    let Some((scale, zero_point)) = tensor.quantization.as_ref().and_then(|q| q.as_per_tensor())
    else {
        into.extend_from_slice(floats);
        return;
    };
    let (low, high) = match tensor.dtype {
        DataType::Int8 => (-128.0, 127.0),
        DataType::UInt8 => (0.0, 255.0),
        _ => {
            into.extend_from_slice(floats);
            return;
        }
    };
    let quantized = floats.as_chunks().0.iter().map(|bytes| {
        let value = (f32::from_le_bytes(*bytes) / scale).round_ties_even() + zero_point as f32;
        // The low byte serves both types.
        value.clamp(low, high) as i32 as u8
    });
    into.extend(quantized);
}

/// Runs both models over samples of float inputs, `[sample][input]`. Tensors have the same
/// numbers in both.
///
/// # Errors
/// `INVALID_INPUT` without samples, or with one that does not fit; those of
/// [`achado_engine::Session::new`].
pub(crate) fn compare(
    float: &Model,
    quantized: &Model,
    samples: &[Vec<Vec<u8>>],
    options: &SessionOptions,
) -> Result<Comparison> {
    if samples.is_empty() {
        return Err(Error::invalid_input("there is no sample to compare both models with"));
    }
    let mut operators = Vec::new();
    let mut watched = Vec::new();
    for node in &float.nodes {
        for &output in &node.outputs {
            if quantized.tensor(output).dtype == DataType::Int8 {
                operators.push(node.operator.name());
                watched.push(output);
            }
        }
    }
    let mut float_run = Watched::new(float, &watched, options)?;
    let mut quantized_run = Watched::new(quantized, &watched, options)?;
    let mut sums = vec![Sums::default(); watched.len()];
    let mut scales = vec![1.0f32; watched.len()];
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let mut agreements = 0usize;
    for sample in samples {
        let inputs: Vec<&[u8]> = sample.iter().map(Vec::as_slice).collect();
        float_run.run(&inputs)?;
        quantized_run.run_floats(sample)?;

        let output = |watched: &Watched, into: &mut Vec<f32>| -> Result<usize> {
            let tensor = &watched.session.outputs()[0];
            reals(tensor, watched.session.output_bytes(0)?, into);
            Ok(argmax(into))
        };
        agreements += usize::from(output(&float_run, &mut a)? == output(&quantized_run, &mut b)?);

        let mut values: Vec<Vec<f32>> = Vec::with_capacity(watched.len());
        float_run.each(&mut |_, tensor, bytes| {
            let mut of_tensor = Vec::new();
            reals(tensor, bytes, &mut of_tensor);
            values.push(of_tensor);
            Ok(())
        })?;
        let mut index = 0;
        quantized_run.each(&mut |_, tensor, bytes| {
            reals(tensor, bytes, &mut b);
            if let Some((scale, _)) = tensor.quantization.as_ref().and_then(|q| q.as_per_tensor()) {
                scales[index] = scale;
            }
            let sum = &mut sums[index];
            for (&signal, &other) in values[index].iter().zip(&b) {
                let (signal, other) = (f64::from(signal), f64::from(other));
                sum.signal += signal * signal;
                sum.other += other * other;
                sum.product += signal * other;
                sum.noise += (signal - other) * (signal - other);
                sum.count += 1.0;
            }
            index += 1;
            Ok(())
        })?;
    }
    let layers = (operators.iter().zip(&watched).zip(sums.iter().zip(&scales)))
        .map(|((&operator, &id), (sum, &scale))| {
            let length = (sum.signal * sum.other).sqrt();
            LayerError {
                operator,
                name: float.tensor(id).name.clone(),
                rmse_over_scale: (sum.noise / sum.count.max(1.0)).sqrt() / f64::from(scale),
                snr_db: 10.0 * (sum.signal / sum.noise).log10(),
                cosine: if length > 0.0 { sum.product / length } else { 1.0 },
            }
        })
        .collect();
    Ok(Comparison {
        layers,
        top1_agreement: agreements as f64 / samples.len() as f64,
        samples: samples.len(),
    })
}
