//! Kernels that only move elements, and RESIZE_BILINEAR, equal their references on random shapes.

mod common;

use achado_kernels::indexed_copy::IndexedCopy;
use achado_kernels::reference::{self, Operand};
use achado_kernels::requant::Quantized;
use achado_kernels::resize::ResizeBilinear;
use achado_kernels::strided_copy::{BatchCopy, StridedCopy};
use common::Random;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Random cases of a kernel.
const ROUNDS: u64 = 300;

fn count(values: usize) -> Vec<u32> {
    (0..values as u32).collect()
}

fn shape(random: &mut Random, rank: usize) -> Vec<usize> {
    (0..rank).map(|_| random.pick(&[1, 2, 3, 5, 18])).collect()
}

/// Runs reference and kernel on numbered elements; places that neither fills stay 77.
#[track_caller]
fn assert_same(
    shape: &[usize],
    len: usize,
    context: &dyn core::fmt::Debug,
    reference: impl Fn(Operand<u32>, &mut [u32]),
    kernel: impl Fn(&[u32], &mut [u32]),
) {
    let values = count(shape.iter().product());
    let (mut expected, mut found) = (vec![77; len], vec![77; len]);
    reference(Operand { shape, values: &values }, &mut expected);
    kernel(&values, &mut found);
    assert_eq!(expected, found, "{shape:?} {context:?}");
}

#[test]
fn transpose_equals_the_reference() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let rank = random.between(0, 5);
        let shape = shape(&mut random, rank);
        let mut order: Vec<usize> = (0..rank).collect();
        for i in (1..rank).rev() {
            order.swap(i, random.between(0, i));
        }
        let copy = StridedCopy::transpose(&shape, &order).unwrap();
        let len = shape.iter().product();
        let expected = |input: Operand<u32>, out: &mut [u32]| {
            reference::transpose::transpose(&order, input, out);
        };
        assert_same(&shape, len, &order, expected, |input, out| copy.apply(input, out));
    }
    assert!(StridedCopy::transpose(&[2, 3], &[0, 0]).is_none());
    assert!(StridedCopy::transpose(&[2, 3], &[0, 2]).is_none());
    assert!(StridedCopy::transpose(&[2, 3], &[0]).is_none());
    assert!(StridedCopy::transpose(&[1; 9], &[0; 9]).is_none());
}

#[test]
fn slices_equal_the_reference() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let rank = random.between(0, 5);
        let shape = shape(&mut random, rank);
        let (mut begin, mut step, mut size) = (vec![], vec![], vec![]);
        for &len in &shape {
            let first = random.between(0, len - 1);
            let pace = random.pick(&[1isize, 1, 2, -1, -3]);
            let room = if pace > 0 { len - 1 - first } else { first };
            begin.push(first);
            step.push(pace);
            size.push(random.between(0, room / pace.unsigned_abs() + 1));
        }
        let copy = StridedCopy::slice(&shape, &begin, &step, &size).unwrap();
        let expected = |input: Operand<u32>, out: &mut [u32]| {
            reference::strided_slice::strided_slice(&begin, &step, &size, input, out);
        };
        let context = (&begin, &step, &size);
        let len = size.iter().product();
        assert_same(&shape, len, &context, expected, |input, out| copy.apply(input, out));
    }
    assert!(StridedCopy::slice(&[4], &[1], &[1], &[4]).is_none());
    assert!(StridedCopy::slice(&[4], &[3], &[-2], &[3]).is_none());
    assert!(StridedCopy::slice(&[4], &[4], &[1], &[1]).is_none());
    assert!(StridedCopy::slice(&[4], &[4], &[1], &[0]).is_some());
    assert!(StridedCopy::slice(&[4], &[0], &[isize::MAX], &[3]).is_none());
}

#[test]
fn repetitions_equal_the_reference() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let rank = random.between(0, 4);
        let full = shape(&mut random, rank);
        let missing = random.between(0, rank);
        let thin: Vec<usize> = full[missing..].iter().map(|&len| random.pick(&[1, len])).collect();
        let copy = StridedCopy::broadcast_to(&thin, &full).unwrap();
        let expected = |input: Operand<u32>, out: &mut [u32]| {
            reference::broadcast_to::broadcast_to(&full, input, out);
        };
        let len = full.iter().product();
        assert_same(&thin, len, &full, expected, |input, out| copy.apply(input, out));

        let multiples: Vec<usize> = thin.iter().map(|_| random.between(1, 3)).collect();
        let copy = StridedCopy::tile(&thin, &multiples).unwrap();
        let expected = |input: Operand<u32>, out: &mut [u32]| {
            reference::broadcast_to::tile(&multiples, input, out);
        };
        let len = thin.iter().zip(&multiples).map(|(len, n)| len * n).product();
        assert_same(&thin, len, &multiples, expected, |input, out| copy.apply(input, out));
    }
    assert!(StridedCopy::broadcast_to(&[2], &[3]).is_none());
    assert!(StridedCopy::broadcast_to(&[2, 2], &[2]).is_none());
}

#[test]
fn depth_and_space_equal_the_reference() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let block = random.between(1, 3);
        let [n, h, w, c] = [2, 4, 4, 5].map(|most| random.between(1, most));
        let deep = [n, h, w, c * block * block];
        let wide = [n, h * block, w * block, c];
        let len = wide.iter().product();
        let copy = StridedCopy::space_to_depth(wide, block).unwrap();
        let expected = |input: Operand<u32>, out: &mut [u32]| {
            reference::space_to_depth::space_to_depth(block, input, out);
        };
        assert_same(&wide, len, &block, expected, |input, out| copy.apply(input, out));
        let copy = StridedCopy::depth_to_space(deep, block).unwrap();
        let expected = |input: Operand<u32>, out: &mut [u32]| {
            reference::space_to_depth::depth_to_space(block, input, out);
        };
        assert_same(&deep, len, &block, expected, |input, out| copy.apply(input, out));
    }
    assert!(StridedCopy::space_to_depth([1, 3, 4, 1], 2).is_none());
    assert!(StridedCopy::depth_to_space([1, 3, 4, 3], 2).is_none());
    assert!(StridedCopy::depth_to_space([1, 3, 4, 3], 0).is_none());
}

#[test]
fn batch_and_space_equal_the_reference() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let block = [random.between(1, 3), random.between(1, 3)];
        let cells = [random.between(1, 4), random.between(1, 4)];
        let (n, c) = (random.between(1, 2), random.between(1, 3));
        let mut edges = [[0, 0]; 2];
        let mut sides = [0, 0];
        for axis in 0..2 {
            let whole = cells[axis] * block[axis];
            edges[axis][0] = random.between(0, (whole - 1).min(3));
            edges[axis][1] = random.between(0, (whole - 1 - edges[axis][0]).min(3));
            sides[axis] = whole - edges[axis][0] - edges[axis][1];
        }
        let picture = [n, sides[0], sides[1], c];
        let batch = [n * block[0] * block[1], cells[0], cells[1], c];
        let context = (block, edges);
        let copy = BatchCopy::space_to_batch(picture, block, edges).unwrap();
        let expected = |input: Operand<u32>, out: &mut [u32]| {
            reference::space_to_batch_nd::space_to_batch_nd(block, edges, input, out);
        };
        let len = batch.iter().product();
        assert_same(&picture, len, &context, expected, |input, out| copy.apply(input, out));
        let copy = BatchCopy::batch_to_space(picture, block, edges).unwrap();
        let expected = |input: Operand<u32>, out: &mut [u32]| {
            reference::space_to_batch_nd::batch_to_space_nd(picture, block, edges, input, out);
        };
        let len = picture.iter().product();
        assert_same(&batch, len, &context, expected, |input, out| copy.apply(input, out));
    }
    assert!(BatchCopy::space_to_batch([1, 3, 4, 1], [2, 2], [[0, 0], [0, 0]]).is_none());
}

#[test]
fn indexed_copies_equal_the_reference() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let rank = random.between(0, 4);
        let shape = shape(&mut random, rank);
        let symmetric = random.between(0, 1) == 1;
        let padding: Vec<[usize; 2]> = shape
            .iter()
            .map(|&len| {
                let most = (len - usize::from(!symmetric)).min(4);
                [random.between(0, most), random.pick(&[0, most])]
            })
            .collect();
        let copy = IndexedCopy::mirror_pad(&shape, &padding, symmetric).unwrap();
        let expected = |input: Operand<u32>, out: &mut [u32]| {
            reference::mirror_pad::mirror_pad(&padding, symmetric, input, out);
        };
        let len = copy.out_len();
        assert_same(&shape, len, &padding, expected, |input, out| copy.apply(input, out));

        let reversed: Vec<bool> = shape.iter().map(|_| random.between(0, 1) == 1).collect();
        let copy = IndexedCopy::reverse(&shape, &reversed).unwrap();
        let expected = |input: Operand<u32>, out: &mut [u32]| {
            reference::transpose::reverse(&reversed, input, out);
        };
        let len = copy.out_len();
        assert_same(&shape, len, &reversed, expected, |input, out| copy.apply(input, out));

        let picture = [2, 7, 7, 3].map(|most| random.between(1, most));
        let size = [random.between(1, 15), random.between(1, 15)];
        let (align, half) = random.pick(&[(false, false), (true, false), (false, true)]);
        let copy = IndexedCopy::resize_nearest_neighbor(picture, size, align, half).unwrap();
        let expected = |input: Operand<u32>, out: &mut [u32]| {
            reference::resize_nearest_neighbor::resize_nearest_neighbor(
                size, align, half, input, out,
            );
        };
        let context = (size, align, half);
        let len = copy.out_len();
        assert_same(&picture, len, &context, expected, |input, out| copy.apply(input, out));
    }
    assert!(IndexedCopy::new(&[2, 2], &[vec![0, 2], vec![0]]).is_none());
    assert!(IndexedCopy::mirror_pad(&[3], &[[3, 0]], false).is_none());
    assert!(IndexedCopy::mirror_pad(&[3], &[[3, 0]], true).is_some());
}

fn resize<T: Quantized>() {
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let shape = [2, 7, 7, 20].map(|most| random.between(1, most));
        let size = [random.between(1, 15), random.between(1, 15)];
        let (align, half) = random.pick(&[(false, false), (true, false), (false, true)]);
        let len = shape[0] * size[0] * size[1] * shape[3];
        let resize = ResizeBilinear::new(shape, size, align, half);

        let values = random.elements::<T>(shape.iter().product());
        let input = Operand { shape: &shape, values: &values };
        let (mut expected, mut found) = (vec![T::default(); len], vec![T::default(); len]);
        reference::resize_bilinear::resize_bilinear_quantized(
            size,
            align,
            half,
            input,
            &mut expected,
        );
        resize.run_quantized(&values, &mut found);
        assert_eq!(expected, found, "seed {seed}: {shape:?} to {size:?}, {align} {half}");

        let values = random.floats(values.len());
        let input = Operand { shape: &shape, values: &values };
        let (mut expected, mut found) = (vec![0.0; len], vec![0.0; len]);
        reference::resize_bilinear::resize_bilinear_f32(size, align, half, input, &mut expected);
        resize.run_f32(&values, &mut found);
        for (e, f) in expected.iter().zip(&found) {
            // Three products and sums of values below 1.
            assert!((e - f).abs() < 1e-6, "seed {seed}: {e} is not {f}");
        }
    }
}

#[test]
fn resize_bilinear_equals_the_reference() {
    resize::<i8>();
    resize::<u8>();
}
