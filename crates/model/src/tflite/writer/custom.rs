//! Options of custom operators: bytes whose meaning is the operator's own.
#![deny(clippy::arithmetic_side_effects)]

use super::index;
use crate::{DetectionPostProcess, Error, Operator, Padding, Result};

/// A custom operator's options; `None` for a builtin one.
pub(super) fn options(operator: &Operator) -> Result<Option<Vec<u8>>> {
    match operator {
        Operator::Convolution2dTransposeBias { stride, padding } => {
            transpose_conv(stride, *padding).map(Some)
        }
        Operator::DetectionPostProcess(attributes) => detection(attributes).map(Some),
        _ => Ok(None),
    }
}

/// `TfLiteTransposeConvParams` as MediaPipe stores it: padding, horizontal and vertical stride.
fn transpose_conv(stride: &[usize; 2], padding: Padding) -> Result<Vec<u8>> {
    let padding = match padding {
        Padding::Same => 1,
        Padding::Valid => 2,
        Padding::Explicit { .. } => {
            return Err(Error::unsupported_operator(
                "explicit padding of Convolution2DTransposeBias cannot be written",
            ));
        }
    };
    let values = [padding, index(stride[1])?, index(stride[0])?];
    Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

fn detection(attributes: &DetectionPostProcess) -> Result<Vec<u8>> {
    let DetectionPostProcess {
        max_detections,
        max_classes_per_detection,
        detections_per_class,
        use_regular_nms,
        nms_score_threshold,
        nms_iou_threshold,
        num_classes,
        scale: [y_scale, x_scale, h_scale, w_scale],
    } = *attributes;
    // In the order of the keys' bytes, which readers search by bisection.
    Ok(flexbuffer_map(&[
        ("detections_per_class", Flexible::Integer(index(detections_per_class)?)),
        ("h_scale", Flexible::Float(h_scale)),
        ("max_classes_per_detection", Flexible::Integer(index(max_classes_per_detection)?)),
        ("max_detections", Flexible::Integer(index(max_detections)?)),
        ("nms_iou_threshold", Flexible::Float(nms_iou_threshold)),
        ("nms_score_threshold", Flexible::Float(nms_score_threshold)),
        ("num_classes", Flexible::Integer(index(num_classes)?)),
        ("use_regular_nms", Flexible::Bool(use_regular_nms)),
        ("w_scale", Flexible::Float(w_scale)),
        ("x_scale", Flexible::Float(x_scale)),
        ("y_scale", Flexible::Float(y_scale)),
    ]))
}

/// A value of a FlexBuffer.
#[derive(Clone, Copy)]
enum Flexible {
    Integer(i32),
    Float(f32),
    Bool(bool),
}

/// A FlexBuffer that is one map, every element 32 bits wide. Layout: keys, the vector of offsets
/// back to them, then `[offset back to the keys' vector, their width, count, values, types]`, then
/// the root: offset back to the values, type, width.
fn flexbuffer_map(entries: &[(&str, Flexible)]) -> Vec<u8> {
    /// `BIT_WIDTH_32` of the packed types.
    const WIDTH_32: u8 = 2;
    const MAP: u8 = 9;
    let mut out: Vec<u8> = Vec::new();
    let place = |out: &Vec<u8>| u32::try_from(out.len()).unwrap_or(u32::MAX);
    let mut keys = Vec::new();
    for (key, _) in entries {
        keys.push(place(&out));
        out.extend(key.as_bytes());
        out.push(0);
    }
    while !out.len().is_multiple_of(4) {
        out.push(0);
    }
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX).to_le_bytes();
    out.extend(count);
    let key_vector = place(&out);
    for key in keys {
        let back = place(&out).saturating_sub(key);
        out.extend(back.to_le_bytes());
    }
    let back = place(&out).saturating_sub(key_vector);
    out.extend(back.to_le_bytes());
    out.extend(4u32.to_le_bytes());
    out.extend(count);
    let values = place(&out);
    for (_, value) in entries {
        out.extend(match *value {
            Flexible::Integer(value) => value.to_le_bytes(),
            Flexible::Float(value) => value.to_le_bytes(),
            Flexible::Bool(value) => u32::from(value).to_le_bytes(),
        });
    }
    for (_, value) in entries {
        let kind = match value {
            Flexible::Integer(_) => 1u8,
            Flexible::Float(_) => 3,
            Flexible::Bool(_) => 26,
        };
        out.push((kind << 2) | WIDTH_32);
    }
    // The values and the types take five bytes an entry: the distance fits one byte.
    let back = place(&out).saturating_sub(values);
    out.push(u8::try_from(back).unwrap_or(u8::MAX));
    out.extend([(MAP << 2) | WIDTH_32, 1]);
    out
}
