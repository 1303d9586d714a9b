//! Custom operators: TFLite_Detection_PostProcess of the SSD detectors and MediaPipe's
//! Convolution2DTransposeBias.
#![deny(clippy::arithmetic_side_effects)]

use super::attributes::Attributes;
use crate::flexbuffer::Map;
use crate::{DetectionPostProcess, Operator, Padding, Result};

/// A FlexBuffer map; names and defaults are those of `detection_postprocess.cc`.
pub(super) fn detection_post_process(a: Attributes<'_>) -> Result<Operator> {
    let map = Map::read(a.custom).ok_or_else(|| a.malformed("the options are no map"))?;
    let number = |key: &str| {
        map.number(key).ok_or_else(|| a.malformed(&format!("the options lack the number {key:?}")))
    };
    let count = |key: &str, value: f64| {
        // Checked to be a small whole number, so the conversion is exact.
        let is_count = (0.0..=1e6).contains(&value) && value.fract() == 0.0;
        if is_count {
            Ok(value as usize)
        } else {
            Err(a.malformed(&format!("{key} is {value}, must be a count of at most 1000000")))
        }
    };
    let required = |key: &str| count(key, number(key)?);
    let scale = |key: &str| {
        let value = number(key)? as f32;
        if value.is_finite() && value != 0.0 {
            Ok(value)
        } else {
            Err(a.malformed(&format!("{key} is {value}, must be finite and not 0")))
        }
    };
    Ok(Operator::DetectionPostProcess(DetectionPostProcess {
        max_detections: required("max_detections")?,
        max_classes_per_detection: required("max_classes_per_detection")?,
        detections_per_class: match map.number("detections_per_class") {
            Some(value) => count("detections_per_class", value)?,
            None => 100,
        },
        use_regular_nms: map.number("use_regular_nms").is_some_and(|value| value != 0.0),
        nms_score_threshold: number("nms_score_threshold")? as f32,
        nms_iou_threshold: number("nms_iou_threshold")? as f32,
        num_classes: required("num_classes")?,
        scale: [scale("y_scale")?, scale("x_scale")?, scale("h_scale")?, scale("w_scale")?],
    }))
}

/// The first words of the C structure `TfLiteTransposeConvParams`: padding, width and height of the
/// stride.
pub(super) fn transpose_conv_bias(a: Attributes<'_>) -> Result<Operator> {
    let words: Vec<i32> =
        a.custom.as_chunks().0.iter().take(3).map(|word| i32::from_le_bytes(*word)).collect();
    let &[padding, stride_w, stride_h] = &words[..] else {
        return Err(a.malformed("the options are shorter than 12 bytes"));
    };
    let stride = |value: i32| {
        usize::try_from(value)
            .ok()
            .filter(|&value| value >= 1)
            .ok_or_else(|| a.malformed(&format!("the stride is {value}, must be 1 or more")))
    };
    let padding = match padding {
        1 => Padding::Same,
        2 => Padding::Valid,
        other => return Err(a.unsupported(&format!("padding {other}"))),
    };
    Ok(Operator::Convolution2dTransposeBias {
        stride: [stride(stride_h)?, stride(stride_w)?],
        padding,
    })
}
