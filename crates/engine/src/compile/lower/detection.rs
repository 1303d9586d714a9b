//! TFLite_Detection_PostProcess.

use achado_graph::NodeRef;
use achado_kernels::detection_postprocess::DetectionPostprocess;
use achado_kernels::requant::Affine;
use achado_model::{DataType, DetectionPostProcess, Result};

use super::Builder;
use super::operands::affine;
use crate::step::{Operands, Simple};

/// How an operand's elements become floats.
#[derive(Clone, Copy)]
enum Reading {
    Float,
    Signed(Affine),
    Unsigned(Affine),
}

impl Reading {
    fn floats(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::Float => bytemuck::cast_slice(bytes).to_vec(),
            Self::Signed(affine) => {
                bytes.iter().map(|&x| affine.dequantise(i32::from(x as i8))).collect()
            }
            Self::Unsigned(affine) => {
                bytes.iter().map(|&x| affine.dequantise(i32::from(x))).collect()
            }
        }
    }
}

/// Boxes, classes, scores and count; what is not found stays 0. Lists of candidates are made in
/// each run.
#[inline(never)]
pub(super) fn post_process(
    builder: &mut Builder,
    node: &NodeRef,
    attributes: &DetectionPostProcess,
) -> Result<()> {
    let kernel = DetectionPostprocess {
        max_detections: attributes.max_detections,
        max_classes_per_detection: attributes.max_classes_per_detection,
        detections_per_class: attributes.detections_per_class,
        num_classes: attributes.num_classes,
        use_regular_nms: attributes.use_regular_nms,
        score_threshold: attributes.nms_score_threshold,
        iou_threshold: attributes.nms_iou_threshold,
        scale: attributes.scale,
    };
    let encoding_len = node.input(0)?.shape.last().copied().unwrap_or(4);
    let reading = |i: usize| -> Result<Reading> {
        let input = node.input(i)?;
        match input.dtype {
            DataType::Float32 => Ok(Reading::Float),
            DataType::Int8 => Ok(Reading::Signed(affine(node, input)?)),
            DataType::UInt8 => Ok(Reading::Unsigned(affine(node, input)?)),
            _ => Err(node.unsupported_types()),
        }
    };
    let readings = [reading(0)?, reading(1)?, reading(2)?];
    let run = move |operands: &mut Operands| {
        let [boxes, scores, anchors] = [0, 1, 2].map(|i| readings[i].floats(operands.inputs[i]));
        let found = kernel.run(&boxes, encoding_len, &scores, &anchors);
        let rows = [found.boxes.as_flattened(), &found.classes, &found.scores];
        let [places, classes, scores, count] = &mut operands.outputs;
        for (out, values) in [places, classes, scores].into_iter().zip(rows) {
            let out: &mut [f32] = bytemuck::cast_slice_mut(out);
            out.fill(0.0);
            for (out, &value) in out.iter_mut().zip(values) {
                *out = value;
            }
        }
        bytemuck::cast_slice_mut::<u8, f32>(count)[0] = found.count as f32;
    };
    let ids = |at: [usize; 3]| -> Result<Vec<_>> { at.iter().map(|&i| node.input_id(i)).collect() };
    let outputs: Vec<_> = (0..4).map(|i| node.output_id(i)).collect::<Result<_>>()?;
    builder.push(node, Simple { kernel: "suppress", run }, &ids([0, 1, 2])?, &outputs);
    Ok(())
}
