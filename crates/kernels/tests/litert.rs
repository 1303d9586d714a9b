//! References and kernels give what TensorFlow Lite gives, on recorded cases: the same elements
//! for 8-bit tensors, near floats for float ones.

#[path = "common/cases.rs"]
mod cases;

use achado_kernels::broadcast::Broadcast;
use achado_kernels::reduce::Reduction;
use achado_kernels::reference;
use achado_kernels::requant::{AddRequantize, MulRequantize, Quantized, ReduceRequantize};
use achado_kernels::shape::Window;
use achado_kernels::simd::Element;
use achado_kernels::unary::{Unary, unary_f32};
use achado_kernels::{
    add, average_pool_2d, concatenation, dequantize, max_pool_2d, mean, mul, pad, quantize,
    softmax, table,
};
use cases::{Case, Tensor, assert_equal, assert_near, parse};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn binary_float(case: &Case) {
    let [first, second] = [0, 1].map(|i| case.inputs[i].floats());
    let second = match case.operator {
        "sub" => second.iter().map(|x| -x).collect(),
        _ => second,
    };
    let (a, b) = (case.inputs[0].operand(&first), case.inputs[1].operand(&second));
    let (is_mul, activation) = (case.operator == "mul", case.activation());
    let mut out = vec![0.0; case.out().floats().len()];
    let reference = if is_mul { reference::mul::mul_f32 } else { reference::add::add_f32 };
    reference(activation, a, b, &mut out);
    assert_near(case, "reference", &out);
    let broadcast = Broadcast::new(a.shape, b.shape).unwrap();
    assert_eq!(broadcast.out_len(), out.len());
    let fast = if is_mul { mul::mul_f32 } else { add::add_f32 };
    fast(&broadcast, activation, &first, &second, &mut out);
    assert_near(case, "kernel", &out);
}

fn binary_quantized<T: Element>(case: &Case) {
    let [first, second] = [0, 1].map(|i| case.inputs[i].elements::<T>());
    let [a, b, o] = [&case.inputs[0], &case.inputs[1], case.out()].map(Tensor::affine);
    let (x, y) = (case.inputs[0].operand(&first), case.inputs[1].operand(&second));
    let broadcast = Broadcast::new(x.shape, y.shape).unwrap();
    let mut out = vec![T::default(); broadcast.out_len()];
    let xnnpack = o.activation_bounds::<T>(case.activation());
    if case.operator == "mul" {
        let params = mul::MulQuantized {
            requant: MulRequantize::new(a, b, o),
            zero_points: [a, b, o].map(|affine| affine.zero_point),
            bounds: xnnpack,
        };
        reference::mul::mul_quantized(&params, x, y, &mut out);
        assert_equal(case, "reference", &out);
        out.fill(T::default());
        mul::mul_quantized(&broadcast, &params, &first, &second, &mut out);
    } else {
        let requant = AddRequantize::new(a, b, o, case.operator == "sub");
        reference::add::add_quantized(&requant, xnnpack, x, y, &mut out);
        assert_equal(case, "reference", &out);
        out.fill(T::default());
        add::add_quantized(&broadcast, &requant, xnnpack, &first, &second, &mut out);
    }
    assert_equal(case, "kernel", &out);
}

fn binary(text: &str) {
    for case in &parse(text) {
        match case.inputs[0].dtype {
            "float32" => binary_float(case),
            _ => each_type!(case, binary_quantized),
        }
    }
}

#[test]
fn add_equals_tensorflow_lite() {
    binary(include_str!("litert/add.txt"));
}

#[test]
fn sub_equals_tensorflow_lite() {
    binary(include_str!("litert/sub.txt"));
}

#[test]
fn mul_equals_tensorflow_lite() {
    binary(include_str!("litert/mul.txt"));
}

fn pool_quantized<T: Quantized + Ord>(case: &Case) {
    let (input, window) = (case.inputs[0].elements::<T>(), case.window(case.pair("kernel")));
    let (channels, affine) = (case.out().shape[3], case.out().affine());
    let mut out = vec![T::default(); case.out().bytes.len()];
    if case.operator == "average_pool_2d" {
        let bounds = affine.builtin_activation_bounds::<T>(case.activation());
        reference::average_pool_2d::average_pool_2d_quantized(
            &window, channels, bounds, &input, &mut out,
        );
        assert_equal(case, "reference", &out);
        let rows = 0..window.batch * window.out_h;
        average_pool_2d::average_pool_2d_quantized(
            &window, channels, bounds, &input, rows, &mut out,
        );
    } else {
        let bounds = affine.activation_bounds::<T>(case.activation());
        reference::max_pool_2d::max_pool_2d_quantized(&window, channels, bounds, &input, &mut out);
        assert_equal(case, "reference", &out);
        let rows = 0..window.batch * window.out_h;
        max_pool_2d::max_pool_2d_quantized(&window, channels, bounds, &input, rows, &mut out);
    }
    assert_equal(case, "kernel", &out);
}

fn pool_float(case: &Case) {
    let (input, window) = (case.inputs[0].floats(), case.window(case.pair("kernel")));
    let channels = case.out().shape[3];
    let mut out = vec![0.0; case.out().bytes.len() / 4];
    type Pool = fn(&Window, usize, [f32; 2], &[f32], &mut [f32]);
    let kernels: [(&str, Pool); 2] = if case.operator == "average_pool_2d" {
        [
            ("reference", reference::average_pool_2d::average_pool_2d_f32),
            ("kernel", |window, channels, activation, input, out| {
                let rows = 0..window.batch * window.out_h;
                average_pool_2d::average_pool_2d_f32(
                    window, channels, activation, input, rows, out,
                );
            }),
        ]
    } else {
        [
            ("reference", reference::max_pool_2d::max_pool_2d_f32),
            ("kernel", |window, channels, activation, input, out| {
                let rows = 0..window.batch * window.out_h;
                max_pool_2d::max_pool_2d_f32(window, channels, activation, input, rows, out);
            }),
        ]
    };
    for (name, pool) in kernels {
        pool(&window, channels, case.activation(), &input, &mut out);
        assert_near(case, name, &out);
    }
}

#[test]
fn pooling_equals_tensorflow_lite() {
    for case in &parse(include_str!("litert/pooling.txt")) {
        match case.inputs[0].dtype {
            "float32" => pool_float(case),
            _ => each_type!(case, pool_quantized),
        }
    }
}

/// Which dimensions a reduction takes together.
fn reduced(case: &Case) -> Vec<bool> {
    let rank = case.inputs[0].shape.len();
    let mut reduced = vec![false; rank];
    for axis in case.inputs[1].ints() {
        reduced[axis.rem_euclid(rank as i32) as usize] = true;
    }
    reduced
}

fn reduce_quantized<T: Quantized>(case: &Case) {
    let (input, reduced) = (case.inputs[0].elements::<T>(), reduced(case));
    let operand = case.inputs[0].operand(&input);
    let reduction = Reduction::new(operand.shape, &reduced).unwrap();
    let make = if case.operator == "mean" { ReduceRequantize::mean } else { ReduceRequantize::sum };
    let requant = make(case.inputs[0].affine(), case.out().affine(), reduction.count());
    let mut out = vec![T::default(); reduction.out_len()];
    reference::mean::mean_quantized(&reduced, &requant, operand, &mut out);
    assert_equal(case, "reference", &out);
    out.fill(T::default());
    mean::mean_quantized(&reduction, &requant, &input, &mut out);
    assert_equal(case, "kernel", &out);
}

fn reduce_float(case: &Case) {
    let (input, reduced) = (case.inputs[0].floats(), reduced(case));
    let operand = case.inputs[0].operand(&input);
    let reduction = Reduction::new(operand.shape, &reduced).unwrap();
    let mut out = vec![0.0; reduction.out_len()];
    if case.operator == "mean" {
        reference::mean::mean_f32(&reduced, operand, &mut out);
        assert_near(case, "reference", &out);
        mean::mean_f32(&reduction, &input, &mut out);
    } else {
        reference::mean::sum_f32(&reduced, operand, &mut out);
        assert_near(case, "reference", &out);
        mean::sum_f32(&reduction, &input, &mut out);
    }
    assert_near(case, "kernel", &out);
}

#[test]
fn reductions_equal_tensorflow_lite() {
    for case in &parse(include_str!("litert/reductions.txt")) {
        match case.inputs[0].dtype {
            "float32" => reduce_float(case),
            _ => each_type!(case, reduce_quantized),
        }
    }
}

fn unary_operator(case: &Case) -> Unary {
    match case.operator {
        "abs" => Unary::Abs,
        "ceil" => Unary::Ceil,
        "cos" => Unary::Cos,
        "elu" => Unary::Elu,
        "exp" => Unary::Exp,
        "floor" => Unary::Floor,
        "gelu" => Unary::Gelu { approximate: case.key("approximate") == "True" },
        "hard_swish" => Unary::HardSwish,
        "leaky_relu" => Unary::LeakyRelu { alpha: case.key("alpha").parse().unwrap() },
        "log" => Unary::Log,
        "logistic" => Unary::Logistic,
        "neg" => Unary::Neg,
        "relu" => Unary::Relu,
        "relu6" => Unary::Relu6,
        "relu_n1_to_1" => Unary::ReluN1To1,
        "round" => Unary::Round,
        "rsqrt" => Unary::Rsqrt,
        "sin" => Unary::Sin,
        "sqrt" => Unary::Sqrt,
        "square" => Unary::Square,
        "tanh" => Unary::Tanh,
        other => panic!("{other}"),
    }
}

fn unary_quantized<T: Quantized>(case: &Case) {
    let (input, out) = (case.inputs[0].affine(), case.out().affine());
    let table = table::unary::<T>(unary_operator(case), input, out).unwrap();
    assert_table::<T>(case, &table);
}

/// Applies a table to a case's input.
#[track_caller]
fn assert_table<T: Quantized>(case: &Case, table: &table::Table) {
    let mut out = vec![0; case.out().bytes.len()];
    table::apply(table, &case.inputs[0].bytes, &mut out);
    let out: Vec<T> = out.into_iter().map(|byte| T::from_i32(i32::from(byte))).collect();
    assert_equal(case, "table", &out);
}

#[test]
fn unary_operators_equal_tensorflow_lite() {
    for case in &parse(include_str!("litert/unary.txt")) {
        if case.inputs[0].dtype != "float32" {
            each_type!(case, unary_quantized);
            continue;
        }
        let (input, operator) = (case.inputs[0].floats(), unary_operator(case));
        let mut out = vec![0.0; input.len()];
        reference::unary::unary_f32(operator, &input, &mut out);
        assert_near(case, "reference", &out);
        unary_f32(operator, &input, &mut out);
        assert_near(case, "kernel", &out);
    }
}

fn quantize_float<T: Quantized>(case: &Case) {
    let (input, affine) = (case.inputs[0].floats(), case.out().affine());
    let mut out = vec![T::default(); input.len()];
    reference::quantize::quantize_f32(affine, &input, &mut out);
    assert_equal(case, "reference", &out);
    quantize::quantize_f32(affine, &input, &mut out);
    assert_equal(case, "kernel", &out);
}

fn dequantize_case<T: Quantized>(case: &Case) {
    let (input, affine) = (case.inputs[0].elements::<T>(), case.inputs[0].affine());
    let mut out = vec![0.0; input.len()];
    reference::dequantize::dequantize(affine, &input, &mut out);
    assert_eq!(out, case.out().floats(), "{}", case.name());
    dequantize::dequantize(affine, &input, &mut out);
    assert_eq!(out, case.out().floats(), "{}", case.name());
}

#[test]
fn conversions_equal_tensorflow_lite() {
    for case in &parse(include_str!("litert/conversions.txt")) {
        let affine = |tensor: &Tensor| tensor.affine();
        match (case.inputs[0].dtype, case.out().dtype) {
            ("float32", "int8") => quantize_float::<i8>(case),
            ("float32", "uint8") => quantize_float::<u8>(case),
            (_, "float32") => each_type!(case, dequantize_case),
            (from, to) => {
                let (input, out) = (affine(&case.inputs[0]), affine(case.out()));
                match (from, to) {
                    ("int8", "int8") => {
                        assert_table::<i8>(case, &table::quantize_same::<i8>(input, out));
                    }
                    ("uint8", "uint8") => {
                        assert_table::<u8>(case, &table::quantize_same::<u8>(input, out));
                    }
                    ("int8", _) => {
                        assert_table::<u8>(case, &table::quantize_between::<i8, u8>(input, out));
                    }
                    _ => {
                        assert_table::<i8>(case, &table::quantize_between::<u8, i8>(input, out));
                    }
                }
            }
        }
    }
}

/// PAD and CONCATENATION move elements of any type: here as bit patterns.
fn moves_of<T: Copy + Default + PartialEq + core::fmt::Debug>(
    case: &Case,
    zero: T,
    bits: impl Fn(&[u8]) -> T,
) {
    let elements =
        |t: &Tensor| -> Vec<T> { t.bytes.chunks_exact(size_of::<T>()).map(&bits).collect() };
    let inputs: Vec<Vec<T>> = case.inputs.iter().map(elements).collect();
    let expected = elements(case.out());
    let mut out = vec![T::default(); expected.len()];
    if case.operator == "pad" {
        let paddings = case.inputs[1].ints();
        let pads: Vec<[usize; 2]> =
            paddings.chunks_exact(2).map(|p| [p[0] as usize, p[1] as usize]).collect();
        let input = case.inputs[0].operand(&inputs[0]);
        reference::pad::pad(&pads, zero, input, &mut out);
        assert_eq!(out, expected, "{}", case.name());
        pad::Pad::new(input.shape, &pads).unwrap().apply(zero, input.values, &mut out);
    } else {
        let axis: usize = case.key("axis").parse().unwrap();
        let operands: Vec<_> =
            case.inputs.iter().zip(&inputs).map(|(t, values)| t.operand(values)).collect();
        reference::concatenation::concatenation(axis, &operands, &mut out);
        assert_eq!(out, expected, "{}", case.name());
        out.fill(T::default());
        let rows = case.out().shape[..axis].iter().product();
        let mut offset = 0;
        for values in &inputs {
            concatenation::concatenate_part(rows, offset, values, &mut out);
            offset += values.len() / rows;
        }
    }
    assert_eq!(out, expected, "{}", case.name());
}

/// Inputs of other scales than the output's.
fn concatenation_mapped(case: &Case) {
    let mut out = vec![0; case.out().bytes.len()];
    let output = case.out().affine();
    let mut offset = 0;
    for input in &case.inputs {
        match table::concatenation::<u8>(input.affine(), output) {
            None => concatenation::concatenate_part(1, offset, &input.bytes, &mut out),
            Some(table) => {
                concatenation::concatenate_part_mapped(1, offset, &table, &input.bytes, &mut out);
            }
        }
        offset += input.bytes.len();
    }
    assert_eq!(out, case.out().bytes, "{}", case.name());
}

#[test]
fn moves_equal_tensorflow_lite() {
    for case in &parse(include_str!("litert/moves.txt")) {
        let mixed = case.inputs.iter().any(|i| i.dtype == "uint8" && i.scales != case.out().scales);
        match case.inputs[0].dtype {
            _ if mixed => concatenation_mapped(case),
            "float32" => moves_of(case, 0, |b| u32::from_le_bytes(b.try_into().unwrap())),
            _ => moves_of(case, case.inputs[0].zero_point as u8, |b| b[0]),
        }
    }
}

fn softmax_quantized<T: Quantized + Ord>(case: &Case) {
    let (input, depth) = (case.inputs[0].elements::<T>(), case.inputs[0].shape[1]);
    let (scale, output) = (case.inputs[0].scales[0], case.out().affine());
    let beta: f32 = case.key("beta").parse().unwrap();
    let mut out = vec![T::default(); input.len()];
    reference::softmax::softmax_quantized(scale, beta, output, depth, &input, &mut out);
    assert_equal(case, "reference", &out);
    let table = softmax::SoftmaxTable::new(scale, beta, output);
    softmax::softmax_quantized(&table, depth, &input, &mut out);
    assert_equal(case, "kernel", &out);
}

#[test]
fn softmax_equals_tensorflow_lite() {
    for case in &parse(include_str!("litert/softmax.txt")) {
        if case.inputs[0].dtype != "float32" {
            each_type!(case, softmax_quantized);
            continue;
        }
        let (input, depth) = (case.inputs[0].floats(), case.inputs[0].shape[1]);
        let beta: f32 = case.key("beta").parse().unwrap();
        let mut out = vec![0.0; input.len()];
        reference::softmax::softmax_f32(beta, depth, &input, &mut out);
        assert_near(case, "reference", &out);
        softmax::softmax_f32(beta, depth, &input, &mut out);
        assert_near(case, "kernel", &out);
    }
}
