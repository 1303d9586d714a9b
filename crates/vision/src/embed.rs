//! Pictures as vectors: which tensor is the embedding, and its length.

use achado_model::{Error, Result, Tensor};

use crate::heads::Reals;
use crate::options::invalid;

/// How an embedding is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EmbedOptions {
    /// Divide by the Euclidean norm, unless that is 0. (`l2Normalize` in JavaScript.)
    pub l2_normalize: bool,
    /// Give bytes instead of floats, for values from -1 to 1. (`quantize`.)
    pub quantize: bool,
}

/// A picture as a vector.
#[derive(Clone, Debug, PartialEq)]
pub enum Embedding {
    /// The values.
    Float(Vec<f32>),
    /// `round(128 * x)`, clamped to -128..=127.
    Quantized(Vec<i8>),
}

/// An output as the embedding of one picture.
///
/// # Errors
/// `UNSUPPORTED_TYPE` where it holds no real numbers, `INVALID_OPTION` where bytes cannot hold them.
pub(crate) fn embedding(
    output: usize,
    tensor: &Tensor,
    bytes: &[u8],
    options: EmbedOptions,
) -> Result<Embedding> {
    let mut values = Vec::with_capacity(tensor.elements());
    Reals::of(output, tensor, "embeddings")?.read(bytes, &mut values);
    if options.l2_normalize {
        normalize(&mut values);
    }
    if !options.quantize {
        return Ok(Embedding::Float(values));
    }
    // 1.01 is 1 that was rounded on the way.
    if let Some(value) = values.iter().find(|value| value.is_nan() || value.abs() > 1.01) {
        return Err(invalid(
            "quantize",
            &format!("is for values from -1 to 1, here is {value}; give l2Normalize, too"),
        ));
    }
    Ok(Embedding::Quantized(quantize(&values)))
}

/// As MediaPipe's `GetInverseL2Norm`.
fn normalize(values: &mut [f32]) {
    let squares: f32 = values.iter().map(|value| value * value).sum();
    if squares > 0.0 {
        let inverse = 1.0 / squares.sqrt();
        values.iter_mut().for_each(|value| *value *= inverse);
    }
}

/// As MediaPipe's `FillQuantizedEmbedding`. Rust's cast clamps.
fn quantize(values: &[f32]) -> Vec<i8> {
    values.iter().map(|value| (value * 128.0).round() as i8).collect()
}

/// Why a model gives no embedding.
pub(crate) fn none(outputs: usize) -> Error {
    Error::unsupported_type(format!(
        "none of the model's {outputs} outputs is a vector [1, n], and no last dense layer was \
         found whose input is one"
    ))
}

#[cfg(test)]
mod tests {
    use achado_model::DataType;

    use super::*;
    use crate::testing::tensor;

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn vectors_are_normalised_and_quantised() {
        let output = tensor(DataType::Float32, &[1, 3], None);
        let bytes = floats(&[3.0, 0.0, -4.0]);
        let run = |options| embedding(0, &output, &bytes, options).unwrap();
        let plain = EmbedOptions::default();
        assert_eq!(run(plain), Embedding::Float(vec![3.0, 0.0, -4.0]));
        let unit = EmbedOptions { l2_normalize: true, ..plain };
        assert_eq!(run(unit), Embedding::Float(vec![0.6, 0.0, -0.8]));
        let bytes_of_unit = EmbedOptions { quantize: true, ..unit };
        // 76.8 and -102.4
        assert_eq!(run(bytes_of_unit), Embedding::Quantized(vec![77, 0, -102]));
        let long = EmbedOptions { quantize: true, ..plain };
        let error = embedding(0, &output, &bytes, long).unwrap_err();
        assert!(error.message.contains("here is 3; give l2Normalize"), "{error}");
        let one = embedding(0, &output, &floats(&[1.0, 0.0, 0.0]), bytes_of_unit).unwrap();
        assert_eq!(one, Embedding::Quantized(vec![127, 0, 0]));
        let nothing = embedding(0, &output, &floats(&[0.0; 3]), unit).unwrap();
        assert_eq!(nothing, Embedding::Float(vec![0.0; 3]));
    }

    #[test]
    fn integers_are_dequantised() {
        let output = tensor(DataType::UInt8, &[1, 2], Some((0.5, 128)));
        let found = embedding(0, &output, &[0, 130], EmbedOptions::default()).unwrap();
        assert_eq!(found, Embedding::Float(vec![-64.0, 1.0]));
        let output = tensor(DataType::Int16, &[1, 2], Some((0.25, 0)));
        let bytes: Vec<u8> = [-300i16, 2].iter().flat_map(|word| word.to_le_bytes()).collect();
        let found = embedding(0, &output, &bytes, EmbedOptions::default()).unwrap();
        assert_eq!(found, Embedding::Float(vec![-75.0, 0.5]));
        let indices = tensor(DataType::Int32, &[1, 1], None);
        let error = embedding(0, &indices, &[0; 4], EmbedOptions::default()).unwrap_err();
        assert!(error.message.contains("embeddings are float32, uint8, int8 or int16"), "{error}");
    }
}
