//! Operators of two operands, operators that find elements, TRANSPOSE_CONV and detection give what
//! TensorFlow Lite gives, on recorded cases.

#[path = "common/cases.rs"]
mod cases;

use achado_kernels::arrange::{arg_extreme, cumsum, gather, gather_nd, top_k};
use achado_kernels::binary::{
    Binary, Comparison, Integer, Select, binary_f32, binary_integer, compare, maximum, minimum,
};
use achado_kernels::broadcast::Broadcast;
use achado_kernels::detection_postprocess::DetectionPostprocess;
use achado_kernels::reduce::Reduction;
use achado_kernels::reference::transpose_conv::TransposeConvShape;
use achado_kernels::reference::{self, FloatWeights, QuantizedWeights, binary_quantized};
use achado_kernels::requant::{Quantized, Requantize};
use achado_kernels::transpose_conv;
use cases::{Case, Tensor, assert_equal, assert_near, parse};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const ALL: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

fn operator(case: &Case) -> Option<Binary> {
    Some(match case.operator {
        "sub" => Binary::Sub,
        "div" => Binary::Div,
        "maximum" => Binary::Maximum,
        "minimum" => Binary::Minimum,
        "squared_difference" => Binary::SquaredDifference,
        "pow" => Binary::Pow,
        "floor_div" => Binary::FloorDiv,
        "floor_mod" => Binary::FloorMod,
        "prelu" => Binary::Prelu,
        _ => return None,
    })
}

fn comparison(case: &Case) -> Comparison {
    match case.operator {
        "equal" => Comparison::Equal,
        "not_equal" => Comparison::NotEqual,
        "less" => Comparison::Less,
        "less_equal" => Comparison::LessEqual,
        "greater" => Comparison::Greater,
        "greater_equal" => Comparison::GreaterEqual,
        other => panic!("{other}"),
    }
}

fn binary_quantised<T: Quantized + PartialOrd>(case: &Case, broadcast: &Broadcast) {
    let [first, second] = [0, 1].map(|i| case.inputs[i].elements::<T>());
    let (x, y) = (case.inputs[0].operand(&first), case.inputs[1].operand(&second));
    let mut out = vec![T::default(); broadcast.out_len()];
    match case.operator {
        "maximum" => maximum(broadcast, &first, &second, &mut out),
        "minimum" => minimum(broadcast, &first, &second, &mut out),
        "prelu" => {
            let [input, alpha] = [0, 1].map(|i| case.inputs[i].affine());
            let prelu = binary_quantized::Prelu::new(input, alpha, case.out().affine());
            binary_quantized::apply(x, y, &mut out, |x, y| prelu.apply(x, y));
        }
        _ => {
            let [a, b] = [0, 1].map(|i| case.inputs[i].affine());
            let squared = binary_quantized::SquaredDifference::new(a, b, case.out().affine());
            binary_quantized::apply(x, y, &mut out, |x, y| squared.apply(x, y));
        }
    }
    assert_equal(case, "kernel", &out);
}

fn binary_of_integers<T: Integer + Default + core::fmt::Debug>(
    case: &Case,
    broadcast: &Broadcast,
    read: impl Fn(&Tensor) -> Vec<T>,
) {
    let [first, second] = [0, 1].map(|i| read(&case.inputs[i]));
    if let Some(operator) = operator(case) {
        let mut out = vec![T::default(); broadcast.out_len()];
        assert!(binary_integer(operator, broadcast, &first, &second, &mut out));
        assert_eq!(out, read(case.out()), "{}", case.name());
    } else {
        let mut out = vec![0; broadcast.out_len()];
        compare(comparison(case), broadcast, &first, &second, &mut out);
        assert_eq!(out, case.out().bytes, "{}", case.name());
    }
}

fn select(case: &Case) {
    let [first, second] = [1, 2].map(|i| case.inputs[i].floats());
    let [c, a, b] = [0, 1, 2].map(|i| &case.inputs[i]);
    let select = Select::new(&c.shape, &a.shape, &b.shape).unwrap();
    let mut out = vec![0.0; select.out_len()];
    select.apply(&c.bytes, &first, &second, &mut out);
    assert_near(case, "kernel", &out);
}

#[test]
fn operators_of_two_operands_equal_tensorflow_lite() {
    for case in &parse(include_str!("litert/binary.txt")) {
        if case.operator == "select_v2" {
            select(case);
            continue;
        }
        let broadcast = Broadcast::new(&case.inputs[0].shape, &case.inputs[1].shape).unwrap();
        match (case.inputs[0].dtype, operator(case)) {
            ("float32", Some(operator)) => {
                let [first, second] = [0, 1].map(|i| case.inputs[i].floats());
                let mut out = vec![0.0; broadcast.out_len()];
                binary_f32(operator, &broadcast, ALL, &first, &second, &mut out);
                assert_near(case, "kernel", &out);
            }
            ("float32", None) => {
                let [first, second] = [0, 1].map(|i| case.inputs[i].floats());
                let mut out = vec![0; broadcast.out_len()];
                compare(comparison(case), &broadcast, &first, &second, &mut out);
                assert_eq!(out, case.out().bytes, "{}", case.name());
            }
            ("int32", _) => binary_of_integers(case, &broadcast, |t| t.ints()),
            ("int64", _) => binary_of_integers(case, &broadcast, |t| t.longs()),
            ("int8", _) => binary_quantised::<i8>(case, &broadcast),
            _ => binary_quantised::<u8>(case, &broadcast),
        }
    }
}

#[test]
fn integers_without_a_result_are_reported() {
    let same = Broadcast::new(&[2], &[2]).unwrap();
    let mut out = [0; 2];
    let mut of = |operator, a: [i32; 2], b: [i32; 2]| {
        binary_integer(operator, &same, &a, &b, &mut out).then_some(out)
    };
    assert_eq!(of(Binary::Div, [7, 1], [2, 0]), None);
    assert_eq!(of(Binary::FloorMod, [7, 1], [0, 1]), None);
    assert_eq!(of(Binary::Pow, [2, 2], [3, -1]), None);
    assert_eq!(of(Binary::FloorDiv, [-7, i32::MIN], [2, -1]), Some([-4, i32::MIN]));
    assert_eq!(of(Binary::FloorMod, [-7, 7], [2, -2]), Some([1, -1]));
    assert_eq!(of(Binary::Div, [-7, 7], [2, -2]), Some([-3, -3]));
    assert_eq!(of(Binary::Add, [i32::MAX, 1], [1, 1]), Some([i32::MIN, 2]));
}

/// `[axis, inner]` of a dimension.
fn sides(shape: &[usize], axis: usize) -> [usize; 2] {
    [shape[axis], shape[axis + 1..].iter().product()]
}

fn arg(case: &Case) {
    let axis = case.key("axis").parse().unwrap();
    let (sides, least) = (sides(&case.inputs[0].shape, axis), case.operator == "arg_min");
    let len = case.out().shape.iter().product();
    let (mut short, mut long) = (vec![0i32; len], vec![0i64; len]);
    let input = &case.inputs[0];
    macro_rules! run {
        ($values:expr) => {
            match case.out().dtype {
                "int32" => arg_extreme(sides, least, &$values, &mut short),
                _ => arg_extreme(sides, least, &$values, &mut long),
            }
        };
    }
    match input.dtype {
        "float32" => run!(input.floats()),
        "int8" => run!(input.elements::<i8>()),
        _ => run!(input.elements::<u8>()),
    }
    match case.out().dtype {
        "int32" => assert_eq!(short, case.out().ints(), "{}", case.name()),
        _ => assert_eq!(long, case.out().longs(), "{}", case.name()),
    }
}

fn reduce(case: &Case) {
    let reduction = Reduction::new(&case.inputs[0].shape, &[false, true, false]).unwrap();
    let mut floats = vec![0.0; reduction.out_len()];
    let mut ints = vec![0; reduction.out_len()];
    let input = &case.inputs[0];
    macro_rules! fold {
        ($values:expr, $start:expr, $f:expr, $out:expr) => {
            reduction.fold(&$values, $start, $f, |tile, first| {
                for (out, &x) in $out[first..].iter_mut().zip(tile) {
                    *out = x.into();
                }
            })
        };
    }
    match (input.dtype, case.operator) {
        ("float32", "reduce_max") => fold!(input.floats(), f32::NEG_INFINITY, f32::max, floats),
        ("float32", "reduce_min") => fold!(input.floats(), f32::INFINITY, f32::min, floats),
        ("float32", _) => fold!(input.floats(), 1.0f32, |a, x| a * x, floats),
        ("int32", "reduce_max") => fold!(input.ints(), i32::MIN, i32::max, ints),
        ("int32", "reduce_min") => fold!(input.ints(), i32::MAX, i32::min, ints),
        ("int32", _) => fold!(input.ints(), 1i32, |a, x| a * x, ints),
        ("int8", "reduce_max") => fold!(input.elements::<i8>(), i8::MIN, i8::max, ints),
        ("int8", _) => fold!(input.elements::<i8>(), i8::MAX, i8::min, ints),
        (_, "reduce_max") => fold!(input.elements::<u8>(), u8::MIN, u8::max, ints),
        _ => fold!(input.elements::<u8>(), u8::MAX, u8::min, ints),
    }
    match input.dtype {
        "float32" => assert_near(case, "kernel", &floats),
        "int32" => assert_eq!(ints, case.out().ints(), "{}", case.name()),
        _ => {
            let bytes: Vec<u8> = ints.iter().map(|&x| x as u8).collect();
            assert_eq!(bytes, case.out().bytes, "{}", case.name());
        }
    }
}

#[test]
fn arrangements_equal_tensorflow_lite() {
    for case in &parse(include_str!("litert/arranging.txt")) {
        let input = &case.inputs[0];
        let mut out = vec![0.0; case.out().shape.iter().product()];
        match case.operator {
            "arg_max" | "arg_min" => arg(case),
            "topk_v2" => {
                let k = case.inputs[1].ints()[0] as usize;
                let mut indexes = vec![0i32; out.len()];
                top_k(input.shape[1], k, &input.floats(), &mut out, &mut indexes);
                assert_near(case, "kernel", &out);
                assert_eq!(indexes, case.outputs[1].ints(), "{}", case.name());
            }
            "gather" => {
                let sides = sides(&input.shape, case.key("axis").parse().unwrap());
                gather(sides, &case.inputs[1].ints(), &input.floats(), &mut out).unwrap();
                assert_near(case, "kernel", &out);
            }
            "gather_nd" => {
                let indexes = case.inputs[1].ints();
                gather_nd(&input.shape, 2, &indexes, &input.floats(), &mut out).unwrap();
                assert_near(case, "kernel", &out);
            }
            "cumsum" => {
                let options = ["exclusive", "reverse"].map(|key| case.key(key) == "1");
                let values = input.floats();
                cumsum(sides(&input.shape, 1), options, 0.0, |a, b| a + b, &values, &mut out);
                assert_near(case, "kernel", &out);
            }
            _ => reduce(case),
        }
    }
}

#[test]
fn indexes_out_of_range_are_reported() {
    let mut out = [0; 2];
    assert_eq!(gather([3, 1], &[2i32, 3], &[1, 2, 3], &mut out), Err(1));
    assert_eq!(gather([3, 1], &[-1i64, 0], &[1, 2, 3], &mut out), Err(0));
    assert_eq!(gather_nd(&[2, 2], 2, &[1i32, 1, 0, 2], &[1, 2, 3, 4], &mut out), Err(3));
    assert_eq!(gather_nd(&[2, 2], 1, &[1i32], &[1, 2, 3, 4], &mut out), Ok(()));
    assert_eq!(out, [3, 4]);
}

fn transposed_shape(case: &Case) -> TransposeConvShape {
    let (weights, input, out) = (&case.inputs[1].shape, &case.inputs[2].shape, &case.out().shape);
    let stride = case.pair("stride");
    let kernel = [weights[1], weights[2]];
    let pad = |axis: usize| match case.key("padding") {
        "same" => {
            let side = out[axis + 1];
            let covered = (side.div_ceil(stride[axis]) - 1) * stride[axis] + kernel[axis];
            covered.saturating_sub(side) / 2
        }
        _ => 0,
    };
    TransposeConvShape {
        batch: input[0],
        in_size: [input[1], input[2]],
        out_size: [out[1], out[2]],
        kernel,
        stride,
        pad: [pad(0), pad(1)],
        in_c: input[3],
        out_c: weights[0],
    }
}

fn transpose_conv_quantised<T: Quantized>(case: &Case) {
    let (shape, output) = (transposed_shape(case), case.out().affine());
    let (weights, input) = (&case.inputs[1], &case.inputs[2]);
    let (values, bias) = (weights.elements::<T>(), case.inputs[3].ints());
    let weights_ref =
        QuantizedWeights { values: &values, zero_point: weights.zero_point, bias: Some(&bias) };
    let scale: Vec<f32> =
        weights.scales.iter().map(|w| input.scales[0] * w / output.scale).collect();
    let requant = Requantize {
        scale: &scale,
        fixed: None,
        zero_point: output.zero_point,
        min: T::MIN,
        max: T::MAX,
    };
    let (x, zero) = (input.elements::<T>(), input.zero_point);
    let mut out = vec![T::default(); case.out().bytes.len()];
    use reference::transpose_conv::transpose_conv_quantized as expected;
    expected(&shape, &x, zero, &weights_ref, &requant, &mut out);
    assert_equal(case, "reference", &out);
    out.fill(T::default());
    transpose_conv::transpose_conv_quantized(&shape, &x, zero, &weights_ref, &requant, &mut out);
    assert_equal(case, "kernel", &out);
}

#[test]
fn transpose_conv_equals_tensorflow_lite() {
    for case in &parse(include_str!("litert/transpose_conv.txt")) {
        match case.inputs[1].dtype {
            "int8" => transpose_conv_quantised::<i8>(case),
            "uint8" => transpose_conv_quantised::<u8>(case),
            _ => {
                let shape = transposed_shape(case);
                let [values, x, bias] = [1, 2, 3].map(|i| case.inputs[i].floats());
                let weights = FloatWeights { values: &values, bias: Some(&bias), activation: ALL };
                let mut out = vec![0.0; case.out().bytes.len() / 4];
                reference::transpose_conv::transpose_conv_f32(&shape, &x, &weights, &mut out);
                assert_near(case, "reference", &out);
                transpose_conv::transpose_conv_f32(&shape, &x, &weights, &mut out);
                assert_near(case, "kernel", &out);
            }
        }
    }
}

#[test]
fn detections_equal_tensorflow_lite() {
    for case in &parse(include_str!("litert/detection.txt")) {
        let [encodings, scores, anchors] = [0, 1, 2].map(|i| case.inputs[i].floats());
        // The attributes of the recording script.
        let operator = DetectionPostprocess {
            max_detections: 6,
            max_classes_per_detection: case.key("classes").parse().unwrap(),
            detections_per_class: 4,
            num_classes: 3,
            use_regular_nms: case.key("regular") == "1",
            score_threshold: 0.2,
            iou_threshold: 0.4,
            scale: [10.0, 10.0, 5.0, 5.0],
        };
        let found = operator.run(&encodings, 4, &scores, &anchors);
        let count = case.outputs[3].floats()[0];
        assert_eq!(found.count as f32, count, "{}", case.name());
        // TensorFlow Lite leaves the places behind the last detection as they were.
        let entries = found.scores.len();
        assert!(entries > 2, "the case should find something");
        assert_eq!(found.classes, case.outputs[1].floats()[..entries], "{}", case.name());
        assert_eq!(found.scores, case.outputs[2].floats()[..entries], "{}", case.name());
        for (e, f) in case.out().floats().iter().zip(found.boxes.iter().flatten()) {
            assert!((e - f).abs() < 1e-6, "{}: {f} is not {e}", case.name());
        }
    }
}
