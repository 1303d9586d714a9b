//! Kernels that move or mix pixels give what TensorFlow Lite gives, on recorded cases.

#[path = "common/cases.rs"]
mod cases;

use achado_kernels::indexed_copy::IndexedCopy;
use achado_kernels::reference;
use achado_kernels::requant::Quantized;
use achado_kernels::resize::ResizeBilinear;
use achado_kernels::strided_copy::{BatchCopy, StridedCopy};
use cases::{Case, assert_equal, assert_near, parse};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The size, and whether corners are aligned and pixels have centres.
fn resizing(case: &Case) -> ([usize; 2], bool, bool) {
    let [height, width] = case.inputs[1].ints()[..] else { panic!("{}", case.name()) };
    ([height as usize, width as usize], case.key("align") == "1", case.key("half") == "1")
}

fn picture(case: &Case) -> [usize; 4] {
    case.inputs[0].shape[..].try_into().unwrap()
}

fn resize_quantized<T: Quantized>(case: &Case) {
    let (size, align, half) = resizing(case);
    let values = case.inputs[0].elements::<T>();
    let input = case.inputs[0].operand(&values);
    let mut out = vec![T::default(); case.out().bytes.len()];
    if case.operator == "resize_bilinear" {
        use reference::resize_bilinear::resize_bilinear_quantized as expected;
        expected(size, align, half, input, &mut out);
        assert_equal(case, "reference", &out);
        ResizeBilinear::new(picture(case), size, align, half).run_quantized(&values, &mut out);
    } else {
        use reference::resize_nearest_neighbor::resize_nearest_neighbor as expected;
        expected(size, align, half, input, &mut out);
        assert_equal(case, "reference", &out);
        IndexedCopy::resize_nearest_neighbor(picture(case), size, align, half)
            .unwrap()
            .apply(&values, &mut out);
    }
    assert_equal(case, "kernel", &out);
}

fn resize_float(case: &Case) {
    let (size, align, half) = resizing(case);
    let values = case.inputs[0].floats();
    let input = case.inputs[0].operand(&values);
    let mut out = vec![0.0; case.out().bytes.len() / 4];
    if case.operator == "resize_bilinear" {
        use reference::resize_bilinear::resize_bilinear_f32 as expected;
        expected(size, align, half, input, &mut out);
        assert_near(case, "reference", &out);
        ResizeBilinear::new(picture(case), size, align, half).run_f32(&values, &mut out);
    } else {
        use reference::resize_nearest_neighbor::resize_nearest_neighbor as expected;
        expected(size, align, half, input, &mut out);
        assert_near(case, "reference", &out);
        IndexedCopy::resize_nearest_neighbor(picture(case), size, align, half)
            .unwrap()
            .apply(&values, &mut out);
    }
    assert_near(case, "kernel", &out);
}

#[test]
fn resizing_equals_tensorflow_lite() {
    for case in &parse(include_str!("litert/resizing.txt")) {
        match case.inputs[0].dtype {
            "float32" => resize_float(case),
            _ => each_type!(case, resize_quantized),
        }
    }
}

/// The integers of input `i`.
fn sizes(case: &Case, i: usize) -> Vec<usize> {
    case.inputs[i].ints().into_iter().map(|x| usize::try_from(x).unwrap()).collect()
}

fn pairs(case: &Case, i: usize) -> Vec<[usize; 2]> {
    sizes(case, i).chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect()
}

#[test]
fn movements_equal_tensorflow_lite() {
    for case in &parse(include_str!("litert/movement.txt")) {
        let values = case.inputs[0].floats();
        let input = case.inputs[0].operand(&values);
        let shape = input.shape;
        let mut expected = vec![0.0; case.out().bytes.len() / 4];
        let mut found = expected.clone();
        let block = || case.key("block").parse::<usize>().unwrap();
        match case.operator {
            "transpose" => {
                let order = sizes(case, 1);
                reference::transpose::transpose(&order, input, &mut expected);
                StridedCopy::transpose(shape, &order).unwrap().apply(&values, &mut found);
            }
            "mirror_pad" => {
                let (padding, symmetric) = (pairs(case, 1), case.key("symmetric") == "1");
                reference::mirror_pad::mirror_pad(&padding, symmetric, input, &mut expected);
                let copy = IndexedCopy::mirror_pad(shape, &padding, symmetric).unwrap();
                copy.apply(&values, &mut found);
            }
            "reverse_v2" => {
                let axes = sizes(case, 1);
                let reversed: Vec<bool> = (0..shape.len()).map(|i| axes.contains(&i)).collect();
                reference::transpose::reverse(&reversed, input, &mut expected);
                IndexedCopy::reverse(shape, &reversed).unwrap().apply(&values, &mut found);
            }
            "broadcast_to" => {
                let size = sizes(case, 1);
                reference::broadcast_to::broadcast_to(&size, input, &mut expected);
                StridedCopy::broadcast_to(shape, &size).unwrap().apply(&values, &mut found);
            }
            "tile" => {
                let multiples = sizes(case, 1);
                reference::broadcast_to::tile(&multiples, input, &mut expected);
                StridedCopy::tile(shape, &multiples).unwrap().apply(&values, &mut found);
            }
            "slice" => {
                let (begin, size, step) = (sizes(case, 1), sizes(case, 2), vec![1; shape.len()]);
                reference::strided_slice::strided_slice(&begin, &step, &size, input, &mut expected);
                let copy = StridedCopy::slice(shape, &begin, &step, &size).unwrap();
                copy.apply(&values, &mut found);
            }
            "space_to_depth" => {
                reference::space_to_depth::space_to_depth(block(), input, &mut expected);
                let copy = StridedCopy::space_to_depth(picture(case), block()).unwrap();
                copy.apply(&values, &mut found);
            }
            "depth_to_space" => {
                reference::space_to_depth::depth_to_space(block(), input, &mut expected);
                let copy = StridedCopy::depth_to_space(picture(case), block()).unwrap();
                copy.apply(&values, &mut found);
            }
            other => {
                let block: [usize; 2] = sizes(case, 1).try_into().unwrap();
                let edges: [[usize; 2]; 2] = pairs(case, 2).try_into().unwrap();
                let out_shape: [usize; 4] = case.out().shape[..].try_into().unwrap();
                use reference::space_to_batch_nd as batches;
                let copy = if other == "space_to_batch_nd" {
                    batches::space_to_batch_nd(block, edges, input, &mut expected);
                    BatchCopy::space_to_batch(picture(case), block, edges)
                } else {
                    batches::batch_to_space_nd(out_shape, block, edges, input, &mut expected);
                    BatchCopy::batch_to_space(out_shape, block, edges)
                };
                copy.unwrap().apply(&values, &mut found);
            }
        }
        assert_near(case, "reference", &expected);
        assert_near(case, "kernel", &found);
    }
}
