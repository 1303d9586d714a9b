//! TRANSPOSE_CONV, MediaPipe's Convolution2DTransposeBias, and BATCH_MATMUL.

use achado_graph::legal::{Arithmetic, arithmetic, bounds, float_bias};
use achado_graph::{NodeRef, constant_floats};
use achado_kernels::aligned::AlignedVec;
use achado_kernels::batch_matmul::BatchMatmul;
use achado_kernels::compiled;
use achado_kernels::gemm::TILE_ROWS;
use achado_kernels::reference::fully_connected::{fully_connected_f32, fully_connected_quantized};
use achado_kernels::reference::{FloatWeights, wide};
use achado_kernels::requant::builtin::{FixedMultiplier, FixedScale, Ties};
use achado_kernels::requant::dynamic::Grid;
use achado_kernels::requant::{Quantized, Requantize};
use achado_kernels::simd::Element;
use achado_kernels::transpose_conv::{transpose_conv_f32, transpose_conv_quantized};
use achado_model::{Activation, DataType, Operator, Result, TensorId};

use super::operands::{affine, transpose_conv_shape};
use super::weights::{FloatParts, Grids, QuantizedParts, constant_weights, dynamic_range};
use super::{Builder, int16, with_quantized};
use crate::step::{Operands, Simple, Step};

/// TRANSPOSE_CONV and Convolution2DTransposeBias.
#[inline(never)]
pub(super) fn transpose_conv(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let shape = transpose_conv_shape(node)?;
    let activation = match node.node.operator {
        Operator::TransposeConv { activation, .. } => activation,
        _ => Activation::None,
    };
    let bounds = bounds(activation);
    // In the order of CONV_2D's operands.
    let order: &[usize] = if matches!(node.node.operator, Operator::TransposeConv { .. }) {
        &[2, 1, 3]
    } else {
        &[0, 1, 2]
    };
    let operand = |&at: &usize| node.node.inputs.get(at).copied().flatten();
    let ordered =
        node.node.with_operands(order.iter().map(operand).collect(), node.node.outputs.clone());
    let node = &NodeRef { node: &ordered, ..*node };
    let inputs = [node.input_id(0)?];
    match arithmetic(node)? {
        Arithmetic::Quantized => with_quantized!(node.input(0)?.dtype, T => {
            let ties = if T::MIN == 0 { Ties::UP } else { Ties::of_vectors(shape.out_c) };
            let parts = QuantizedParts::new(node, shape.out_c, 0, bounds, ties)?;
            let values = constant_weights::<T>(node)?.to_vec();
            builder.push_simple(node, "transposed", &inputs, move |operands| {
                let input = bytemuck::cast_slice::<u8, T>(operands.inputs[0]);
                let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
                let weights = parts.weights(&values);
                let zero_point = parts.input_zero_point();
                transpose_conv_quantized(&shape, input, zero_point, &weights, &parts.requant(), out);
            })
        }, else Err(node.unsupported_types())),
        Arithmetic::Wide => {
            let weights = int16::weights(node, shape.out_c, 0, bounds)?;
            let run = move |input: &[i16], out: &mut [i16]| {
                wide::transpose_conv(&shape, input, &weights, out);
            };
            int16::push_weighted(builder, node, run)
        }
        Arithmetic::Float => {
            let parts = FloatParts::new(node, shape.out_c, bounds)?.into_owned();
            let picture_len = node.picture(node.input(0)?)?[1..].iter().product();
            let inputs =
                [dynamic_range(builder, node, Grids { grid: Grid::Xnnpack, len: picture_len })?];
            builder.push_simple(node, "transposed f32", &inputs, move |operands| {
                let input = bytemuck::cast_slice(operands.inputs[0]);
                let out = bytemuck::cast_slice_mut(operands.outputs[0]);
                transpose_conv_f32(&shape, input, &parts.weights(), out);
            })
        }
    }
}

/// BATCH_MATMUL.
#[inline(never)]
pub(super) fn batch_matmul(
    builder: &mut Builder,
    node: &NodeRef,
    adjoint: [bool; 2],
) -> Result<()> {
    let (a, b, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
    let product = BatchMatmul::new(&a.shape, &b.shape, adjoint).ok_or_else(|| {
        node.unsupported(format!("matrices of shapes {:?} and {:?}", a.shape, b.shape))
    })?;
    let dtypes = (a.dtype, b.dtype, output.dtype);
    if dtypes == (DataType::Float32, DataType::Int8, DataType::Float32) {
        // Hybrid: rows on grids of their own, by constant weights.
        let depth = a.shape[a.shape.len() - if adjoint[0] { 2 } else { 1 }];
        let columns = if adjoint[0] { a.shape[a.shape.len() - 1] } else { 1 };
        let weights = constant_floats(node, b)?;
        let is_builtin = node.is_builtin();
        let grid = if is_builtin { Grid::Symmetric } else { Grid::Xnnpack };
        let grid = Grids { grid, len: depth };
        let inputs = [match columns {
            1 => dynamic_range(builder, node, grid)?,
            _ => snapped_columns(builder, node, grid, columns)?,
        }];
        return matmul_f32(builder, node, product, inputs[0], adjoint[0], Some(&weights));
    }
    if matches!(dtypes, (DataType::Int16, DataType::Int16 | DataType::Int8, DataType::Int16)) {
        return int16::batch_matmul(builder, node, product);
    }
    if a.dtype != b.dtype || a.dtype != output.dtype {
        return Err(node.unsupported_types());
    }
    let inputs = [node.input_id(0)?, node.input_id(1)?];
    if a.dtype == DataType::Float32 {
        let weights = if b.is_constant() { Some(constant_floats(node, b)?) } else { None };
        return matmul_f32(builder, node, product, inputs[0], adjoint[0], weights.as_deref());
    }
    let (from, by, to) = (affine(node, a)?, affine(node, b)?, affine(node, output)?);
    let zero_points = [from, by].map(|affine| affine.zero_point);
    let scale = from.scale * by.scale / to.scale;
    let multiplier = FixedMultiplier::of_products(from, by, to);
    // uint8 has no kernel in TensorFlow Lite, which says nothing then.
    let is_builtin = node.is_builtin() || a.dtype == DataType::UInt8;
    with_quantized!(a.dtype, T => {
        builder.push_simple(node, "matmul", &inputs, move |operands| {
            let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
            let (a, b) = (operands.inputs[0], operands.inputs[1]);
            let (a, b) = (bytemuck::cast_slice(a), bytemuck::cast_slice(b));
            let multipliers = &[multiplier];
            let fixed = is_builtin
                .then_some(FixedScale { multipliers, ties: Ties::AWAY_FROM_ZERO });
            let (min, max) = (<T as Quantized>::MIN, <T as Quantized>::MAX);
            let requant =
                Requantize { scale: &[scale], fixed, zero_point: to.zero_point, min, max };
            product.run_quantized(zero_points, &requant, a, b, out);
        })
    }, else Err(node.unsupported_types()))
}

/// The first operand of a hybrid BATCH_MATMUL whose rows are the columns of a matrix.
fn snapped_columns(
    builder: &mut Builder,
    node: &NodeRef,
    Grids { grid, len: depth }: Grids,
    columns: usize,
) -> Result<TensorId> {
    let snapped = builder.temporary(node.input(0)?.size_bytes());
    let run = move |operands: &mut Operands| {
        let [out, rows, ..] = &mut operands.outputs;
        let [out, rows]: [&mut [f32]; 2] = [out, rows].map(|bytes| bytemuck::cast_slice_mut(bytes));
        let input: &[f32] = bytemuck::cast_slice(operands.inputs[0]);
        let matrices =
            input.chunks_exact(depth * columns).zip(out.chunks_exact_mut(depth * columns));
        let (row, snapped) = rows.split_at_mut(depth);
        for (matrix, out) in matrices {
            for column in 0..columns {
                for (to, from) in row.iter_mut().zip(matrix[column..].iter().step_by(columns)) {
                    *to = *from;
                }
                grid.snap(row, snapped);
                for (to, from) in out[column..].iter_mut().step_by(columns).zip(&*snapped) {
                    *to = *from;
                }
            }
        }
    };
    // A row before and after.
    let rows = builder.temporary(2 * depth * size_of::<f32>());
    let (step, outputs) = (Simple { kernel: "dynamic range", run }, [snapped, rows]);
    builder.push(node, step, &[node.input_id(0)?], &outputs);
    Ok(snapped)
}

/// FULLY_CONNECTED by the naive loop, with weights that are computed where none are given.
pub(super) fn push_reference<T: Element>(
    builder: &mut Builder,
    node: &NodeRef,
    sizes: [usize; 2],
    parts: QuantizedParts,
    values: Option<Vec<T>>,
) -> Result<()> {
    let both = [node.input_id(0)?, node.input_id(1)?];
    let inputs = if values.is_some() { &both[..1] } else { &both };
    builder.push_simple(node, "reference", inputs, move |operands| {
        let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
        let input = bytemuck::cast_slice::<u8, T>(operands.inputs[0]);
        let values = values.as_deref();
        let values = values.unwrap_or_else(|| bytemuck::cast_slice(operands.inputs[1]));
        let (zero_point, requant) = (parts.input_zero_point(), parts.requant());
        fully_connected_quantized(sizes, input, zero_point, &parts.weights(values), &requant, out);
    })
}

/// A float BATCH_MATMUL of `first`: steps that put its operands in order, and one that multiplies.
/// `weights` are the second operand, where it is a constant.
fn matmul_f32(
    builder: &mut Builder,
    node: &NodeRef,
    product: BatchMatmul,
    first: TensorId,
    is_adjoint: bool,
    weights: Option<&[f32]>,
) -> Result<()> {
    let size_bytes = |id: TensorId| node.graph.tensor(id).size_bytes();
    let mut first = first;
    if is_adjoint {
        let transposed = builder.temporary(size_bytes(node.input_id(0)?));
        let run = move |operands: &mut Operands| {
            let out = bytemuck::cast_slice_mut(operands.outputs[0]);
            product.transpose_f32(bytemuck::cast_slice(operands.inputs[0]), out);
        };
        builder.push(node, Simple { kernel: "transpose f32", run }, &[first], &[transposed]);
        first = transposed;
    }
    let [_, depth, columns] = product.sizes();
    let len = product.packed_len();
    let output = node.output_id(0)?;
    if let Some(weights) = weights {
        let matrices = weights.len() / (depth * columns);
        let mut packed = AlignedVec::zeroed(matrices * len);
        product.pack_f32(0..matrices, weights, &mut packed);
        builder.push(node, Matmul { product, packed: Some(packed) }, &[first], &[output]);
        return Ok(());
    }
    let second = node.input_id(1)?;
    let matrices = node.input(1)?.elements() / (depth * columns);
    let packed = builder.temporary(matrices * len * size_of::<f32>());
    let run = move |operands: &mut Operands| {
        let second = bytemuck::cast_slice(operands.inputs[0]);
        let out: &mut [f32] = bytemuck::cast_slice_mut(operands.outputs[0]);
        operands.pool.split(out, len, 1, operands.scratch, |matrices, out, _| {
            product.pack_f32(matrices, second, out);
        });
    };
    builder.push(node, Simple { kernel: "pack f32", run }, &[second], &[packed]);
    builder.push(node, Matmul { product, packed: None }, &[first, packed], &[output]);
    Ok(())
}

/// A float product of batches of matrices, the second of them packed: with the step, or by another.
struct Matmul {
    product: BatchMatmul,
    packed: Option<AlignedVec<f32>>,
}

impl Step for Matmul {
    fn kernel(&self) -> &'static str {
        "matmul f32"
    }

    fn run(&self, operands: &mut Operands) {
        let [first, second, ..] = operands.inputs;
        let first = bytemuck::cast_slice(first);
        let packed = match &self.packed {
            Some(packed) => packed,
            None => bytemuck::cast_slice(second),
        };
        let out: &mut [f32] = bytemuck::cast_slice_mut(operands.outputs[0]);
        let [_, _, columns] = self.product.sizes();
        operands.pool.split(out, columns, TILE_ROWS, operands.scratch, |rows, out, _| {
            compiled::batch_matmul_f32(&self.product, first, packed, rows, out);
        });
    }

    fn size_bytes(&self) -> usize {
        self.packed.as_ref().map_or(0, AlignedVec::size_bytes)
    }

    fn macs(&self) -> u64 {
        self.product.macs()
    }
}

/// FULLY_CONNECTED with weights that another operator computes: nothing is packed.
pub(super) fn product_of_computed(
    builder: &mut Builder,
    node: &NodeRef,
    sizes @ [in_c, out_c]: [usize; 2],
    bounds: [f32; 2],
) -> Result<()> {
    let inputs = [node.input_id(0)?, node.input_id(1)?];
    match arithmetic(node)? {
        Arithmetic::Quantized => with_quantized!(node.input(0)?.dtype, T => {
            let parts = QuantizedParts::new(node, out_c, 0, bounds, Ties::UP)?;
            push_reference::<T>(builder, node, sizes, parts, None)
        }, else Err(node.unsupported_types())),
        Arithmetic::Float if node.input(1)?.dtype == DataType::Float32 => {
            let bias = float_bias(node, out_c)?;
            let rows = node.input(0)?.elements() / in_c.max(1);
            let product = BatchMatmul::new(&[rows, in_c], &[out_c, in_c], [false, true]);
            let is_bounded = bounds.iter().any(|bound| bound.is_finite());
            if let (Some(product), None, false) = (product, &bias, is_bounded) {
                return matmul_f32(builder, node, product, inputs[0], false, None);
            }
            builder.push_simple(node, "reference", &inputs, move |operands| {
                let out = bytemuck::cast_slice_mut(operands.outputs[0]);
                let (input, weights) = (operands.inputs[0], operands.inputs[1]);
                let weights = FloatWeights {
                    values: bytemuck::cast_slice(weights),
                    bias: bias.as_deref(),
                    activation: bounds,
                };
                fully_connected_f32(sizes, bytemuck::cast_slice(input), &weights, out);
            })
        }
        _ => Err(node.unsupported("the weights must be a constant")),
    }
}
