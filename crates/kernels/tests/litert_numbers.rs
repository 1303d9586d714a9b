//! Tables of the built-in kernels, normalisation, BATCH_MATMUL and CAST give what TensorFlow Lite
//! gives, on recorded cases.

#[path = "common/cases.rs"]
mod cases;

use achado_kernels::batch_matmul::BatchMatmul;
use achado_kernels::cast::{Bool, CastFrom, CastTo, cast};
use achado_kernels::normalization::{
    LocalResponse, l2_normalization_f32, l2_normalization_quantized,
    local_response_normalization_f32, log_softmax_f32, log_softmax_quantized,
};
use achado_kernels::requant::builtin::{FixedMultiplier, FixedScale, Ties};
use achado_kernels::requant::{Quantized, Requantize};
use achado_kernels::simd::Native;
use achado_kernels::table;
use achado_kernels::unary::Unary;
use cases::{Case, Tensor, assert_equal, assert_near, parse};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn unary<T: Quantized>(case: &Case) {
    let operator = match case.operator {
        "exp" => Unary::Exp,
        "log" => Unary::Log,
        "abs" => Unary::Abs,
        "sqrt" => Unary::Sqrt,
        "rsqrt" => Unary::Rsqrt,
        _ => Unary::Gelu { approximate: case.key("approximate") == "True" },
    };
    let (input, out) = (&case.inputs[0], case.out().affine());
    let table = table::unary::<T>(operator, input.affine(), out).unwrap();
    let mut bytes = vec![0; input.bytes.len()];
    table::apply(&table, &input.bytes, &mut bytes);
    let found: Vec<T> = bytes.into_iter().map(|byte| T::from_i32(i32::from(byte))).collect();
    assert_equal(case, "table", &found);
}

#[test]
fn tables_of_builtin_kernels_equal_tensorflow_lite() {
    for case in &parse(include_str!("litert/unary_builtin.txt")) {
        each_type!(case, unary);
    }
}

fn normalised<T: Quantized>(case: &Case) {
    let (input, values) = (&case.inputs[0], case.inputs[0].elements::<T>());
    let (affine, output, depth) = (input.affine(), case.out().affine(), input.shape[1]);
    let mut out = vec![T::default(); values.len()];
    match case.operator {
        "l2_normalization" => {
            l2_normalization_quantized(affine.zero_point, depth, &values, &mut out);
        }
        _ => log_softmax_quantized(affine.scale, output, depth, &values, &mut out),
    }
    assert_equal(case, "kernel", &out);
}

#[test]
fn normalisation_equals_tensorflow_lite() {
    for case in &parse(include_str!("litert/normalisation.txt")) {
        if case.inputs[0].dtype != "float32" {
            each_type!(case, normalised);
            continue;
        }
        let (values, depth) = (case.inputs[0].floats(), *case.inputs[0].shape.last().unwrap());
        let mut out = vec![0.0; values.len()];
        match case.operator {
            "l2_normalization" => l2_normalization_f32(depth, &values, &mut out),
            "log_softmax" => log_softmax_f32(depth, &values, &mut out),
            _ => {
                // The attributes of the recording script.
                let params = LocalResponse { radius: 3, bias: 1.5, alpha: 0.2, beta: 0.6 };
                local_response_normalization_f32(&params, depth, &values, &mut out);
            }
        }
        assert_near(case, "kernel", &out);
    }
}

fn product(case: &Case) {
    let [a, b] = [0, 1].map(|i| &case.inputs[i]);
    let adjoint = case.pair("adjoint").map(|side| side == 1);
    let product = BatchMatmul::new(&a.shape, &b.shape, adjoint).unwrap();
    if a.dtype == "float32" {
        let mut out = vec![0.0; product.out_len()];
        product.run_f32(&a.floats(), &b.floats(), &mut out);
        assert_near(case, "kernel", &out);
        let [rows, depth, columns] = product.sizes();
        let first = a.floats();
        let mut in_rows = vec![0.0; first.len()];
        product.transpose_f32(&first, &mut in_rows);
        let matrices = b.floats().len() / (depth * columns);
        let mut packed = vec![f32::NAN; matrices * product.packed_len()];
        product.pack_f32(0..matrices, &b.floats(), &mut packed);
        out.fill(f32::NAN);
        // In two parts, as threads take them.
        let all = product.out_len() / columns;
        let (low, high) = out.split_at_mut(all / 3 * columns);
        product.run_packed_f32::<Native>(&in_rows, &packed, 0..all / 3, low);
        product.run_packed_f32::<Native>(&in_rows, &packed, all / 3..all, high);
        assert!(rows > 0);
        assert_near(case, "packed kernel", &out);
        return;
    }
    let affines = [a.affine(), b.affine(), case.out().affine()];
    let multiplier = FixedMultiplier::of_products(affines[0], affines[1], affines[2]);
    let mut out = vec![0i8; product.out_len()];
    let [a_zero, b_zero, zero_point] = affines.map(|affine| affine.zero_point);
    let fixed = FixedScale { multipliers: &[multiplier], ties: Ties::AWAY_FROM_ZERO };
    let requant = Requantize { scale: &[], fixed: Some(fixed), zero_point, min: -128, max: 127 };
    product.run_quantized([a_zero, b_zero], &requant, &a.elements(), &b.elements(), &mut out);
    assert_equal(case, "kernel", &out);
}

/// Casts to the output's type, and gives its bytes.
fn cast_from<F: CastFrom>(case: &Case, input: &[F]) -> Vec<u8> {
    fn to<F: CastFrom, T: CastTo, const N: usize>(
        input: &[F],
        zero: T,
        bytes: impl Fn(T) -> [u8; N],
    ) -> Vec<u8> {
        let mut out = vec![zero; input.len()];
        cast(input, &mut out);
        out.into_iter().flat_map(bytes).collect()
    }
    match case.out().dtype {
        "float32" => to(input, 0.0, f32::to_le_bytes),
        "int8" => to(input, 0, i8::to_le_bytes),
        "uint8" => to(input, 0, u8::to_le_bytes),
        "int32" => to(input, 0, i32::to_le_bytes),
        "int64" => to(input, 0, i64::to_le_bytes),
        _ => to(input, Bool(0), |x| [x.0]),
    }
}

fn casting(case: &Case) {
    let input: &Tensor = &case.inputs[0];
    let found = match input.dtype {
        "float32" => cast_from(case, &input.floats()),
        "int8" => cast_from(case, &input.elements::<i8>()),
        "uint8" => cast_from(case, &input.elements::<u8>()),
        "int32" => cast_from(case, &input.ints()),
        "int64" => cast_from(case, &input.longs()),
        _ => cast_from(case, &input.bytes.iter().map(|&x| Bool(x)).collect::<Vec<_>>()),
    };
    assert_eq!(found, case.out().bytes, "{} {:?}", case.name(), input.bytes);
}

#[test]
fn products_and_casts_equal_tensorflow_lite() {
    for case in &parse(include_str!("litert/products.txt")) {
        match case.operator {
            "cast" => casting(case),
            _ => product(case),
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    assert!(BatchMatmul::new(&[2, 3], &[4, 5], [false, false]).is_none());
    assert!(BatchMatmul::new(&[2, 3], &[5, 3], [false, true]).is_some());
    assert!(BatchMatmul::new(&[2, 2, 3], &[3, 3, 1], [false, false]).is_none());
    assert!(BatchMatmul::new(&[3], &[3, 1], [false, false]).is_none());
}
