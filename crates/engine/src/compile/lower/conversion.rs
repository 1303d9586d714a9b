//! CAST, QUANTIZE and DEQUANTIZE.

use achado_graph::NodeRef;
use achado_kernels::cast::{Bool, CastFrom, CastTo, cast};
use achado_kernels::compiled::Compiled;
use achado_kernels::dequantize::dequantize;
use achado_kernels::requant::builtin::BuiltinRescale;
use achado_kernels::requant::{Affine, Quantized};
use achado_kernels::table;
use achado_model::{DataType, Result};
use bytemuck::Pod;
use half::f16;

use super::elementwise::push_table;
use super::operands::affine;
use super::{Builder, with_quantized};

/// Elements that go from one type to the other by way of a third at a time.
const CHUNK: usize = 256;

/// Reads elements from their bytes.
type Read<T> = fn(&[u8], &mut [T]);
/// Writes elements as bytes.
type Write<T> = fn(&[T], &mut [u8]);

fn read<F: bytemuck::Pod + CastFrom, T: CastTo>(bytes: &[u8], out: &mut [T]) {
    cast(bytemuck::cast_slice::<u8, F>(bytes), out);
}

fn write<F: CastFrom, T: bytemuck::Pod + CastTo>(input: &[F], bytes: &mut [u8]) {
    cast(input, bytemuck::cast_slice_mut::<u8, T>(bytes));
}

fn reader<T: CastTo>(dtype: DataType) -> Read<T> {
    match dtype {
        DataType::Float32 => read::<f32, T>,
        DataType::Int8 => read::<i8, T>,
        DataType::UInt8 => read::<u8, T>,
        DataType::Int16 => read::<i16, T>,
        DataType::Int32 => read::<i32, T>,
        DataType::Int64 => read::<i64, T>,
        DataType::Bool => |bytes, out| {
            for (out, &x) in out.iter_mut().zip(bytes) {
                *out = T::cast(Bool(x));
            }
        },
        DataType::Float16 => |bytes, out| {
            for (out, &half) in out.iter_mut().zip(bytes.as_chunks().0) {
                *out = T::cast(f16::from_le_bytes(half).to_f32());
            }
        },
    }
}

fn writer<F: CastFrom>(dtype: DataType) -> Write<F> {
    match dtype {
        DataType::Float32 => write::<F, f32>,
        DataType::Int8 => write::<F, i8>,
        DataType::UInt8 => write::<F, u8>,
        DataType::Int16 => write::<F, i16>,
        DataType::Int32 => write::<F, i32>,
        DataType::Int64 => write::<F, i64>,
        DataType::Bool => |input, bytes| {
            for (out, &x) in bytes.iter_mut().zip(input) {
                *out = Bool::cast(x).0;
            }
        },
        DataType::Float16 => |input, bytes| {
            for (out, &x) in bytes.as_chunks_mut().0.iter_mut().zip(input) {
                *out = f16::from_f32(x.to_f32()).to_le_bytes();
            }
        },
    }
}

/// CAST: by way of float32 where a side is a float, else of int64, which hold every element.
#[inline(never)]
pub(super) fn convert(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    use DataType::{Float16, Float32};
    let (from, to) = (node.input(0)?.dtype, node.output(0)?.dtype);
    let inputs = [node.input_id(0)?];
    match (from, to) {
        _ if from == to => super::movement::view(builder, node),
        (Float32, _) => {
            let write = writer::<f32>(to);
            builder.push_simple(node, "cast", &inputs, move |operands| {
                write(bytemuck::cast_slice(operands.inputs[0]), operands.outputs[0]);
            })
        }
        (_, Float32) => {
            let read = reader::<f32>(from);
            builder.push_simple(node, "cast", &inputs, move |operands| {
                read(operands.inputs[0], bytemuck::cast_slice_mut(operands.outputs[0]));
            })
        }
        (Float16, _) => by_way_of::<f32>(builder, node, 0.0),
        _ => by_way_of::<i64>(builder, node, 0),
    }
}

/// CAST by way of `W`, a few elements at a time.
fn by_way_of<W: CastFrom + CastTo + Send + Sync + 'static>(
    builder: &mut Builder,
    node: &NodeRef,
    zero: W,
) -> Result<()> {
    let (from, to) = (node.input(0)?.dtype, node.output(0)?.dtype);
    let (read, write) = (reader::<W>(from), writer::<W>(to));
    let (from, to) = (from.size_bytes(), to.size_bytes());
    builder.push_simple(node, "cast", &[node.input_id(0)?], move |operands| {
        let mut wide = [zero; CHUNK];
        let outs = operands.outputs[0].chunks_mut(CHUNK * to);
        for (input, out) in operands.inputs[0].chunks(CHUNK * from).zip(outs) {
            let wide = &mut wide[..input.len() / from];
            read(input, wide);
            write(wide, out);
        }
    })
}

/// QUANTIZE.
#[inline(never)]
pub(super) fn quantize(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    use DataType::{Float32, Int8, Int16, Int32, UInt8};
    let (input, output) = (node.input(0)?, node.output(0)?);
    let to = affine(node, output)?;
    let from = || affine(node, input);
    match (input.dtype, output.dtype) {
        (Float32, Int16) => push_map(builder, node, move |x: f32| to.quantise_builtin::<i16>(x)),
        (Float32, _) => with_quantized!(output.dtype, T => {
            builder.push_simple(node, "quantize", &[node.input_id(0)?], move |operands| {
                let out = bytemuck::cast_slice_mut::<u8, T>(operands.outputs[0]);
                T::quantize(to, bytemuck::cast_slice(operands.inputs[0]), out);
            })
        }, else Err(node.unsupported_types())),
        (Int8, Int8) => push_table(builder, node, table::quantize_same::<i8>(from()?, to)),
        (UInt8, UInt8) => push_table(builder, node, table::quantize_same::<u8>(from()?, to)),
        (Int8, UInt8) => push_table(builder, node, table::quantize_between::<i8, u8>(from()?, to)),
        (UInt8, Int8) => push_table(builder, node, table::quantize_between::<u8, i8>(from()?, to)),
        (Int8, Int16) => push_rescale::<i8, i16>(builder, node),
        (UInt8, Int16) => push_rescale::<u8, i16>(builder, node),
        (Int16, Int8) => push_rescale::<i16, i8>(builder, node),
        (Int16, Int16) => push_rescale::<i16, i16>(builder, node),
        (Int32, Int8) => push_rescale::<i32, i8>(builder, node),
        (Int32, Int16) => push_rescale::<i32, i16>(builder, node),
        _ => Err(node.unsupported_types()),
    }
}

/// A step that maps elements one by one.
fn push_map<I: Pod, O: Pod>(
    builder: &mut Builder,
    node: &NodeRef,
    map: impl Fn(I) -> O + Send + Sync + 'static,
) -> Result<()> {
    builder.push_simple(node, "map", &[node.input_id(0)?], move |operands| {
        let out = bytemuck::cast_slice_mut::<u8, O>(operands.outputs[0]);
        for (out, &x) in out.iter_mut().zip(bytemuck::cast_slice::<u8, I>(operands.inputs[0])) {
            *out = map(x);
        }
    })
}

/// QUANTIZE from one integer type to another.
fn push_rescale<I: Pod + Into<i32>, O: Pod + Quantized>(
    builder: &mut Builder,
    node: &NodeRef,
) -> Result<()> {
    let (input, to) = (node.input(0)?, affine(node, node.output(0)?)?);
    // Any number may be the zero point of an int32; TensorFlow Lite takes no scale as 0.
    let from = match (input.dtype, input.quantization.as_ref().map(|q| q.as_per_tensor())) {
        (DataType::Int32, Some(Some((scale, zero_point)))) => Affine { scale, zero_point },
        (DataType::Int32, _) => return Err(node.unsupported("an int32 input without one scale")),
        _ => affine(node, input)?,
    };
    let rescale = BuiltinRescale::quantize_wide::<O>(from, to);
    push_map(builder, node, move |x: I| rescale.apply::<O>(x.into()))
}

/// DEQUANTIZE of a tensor that is computed; constants were folded.
#[inline(never)]
pub(super) fn dequantise(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let (input, output) = (node.input(0)?, node.output(0)?);
    if output.dtype != DataType::Float32 {
        return Err(node.unsupported_types());
    }
    match input.dtype {
        DataType::Float16 => convert(builder, node),
        DataType::Int8 => dequantise_of::<i8>(builder, node),
        DataType::UInt8 => dequantise_of::<u8>(builder, node),
        DataType::Int16 => dequantise_of::<i16>(builder, node),
        _ => Err(node.unsupported_types()),
    }
}

fn dequantise_of<T: Pod + Quantized>(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let from = affine(node, node.input(0)?)?;
    builder.push_simple(node, "dequantize", &[node.input_id(0)?], move |operands| {
        let out = bytemuck::cast_slice_mut(operands.outputs[0]);
        dequantize(from, bytemuck::cast_slice::<u8, T>(operands.inputs[0]), out);
    })
}
