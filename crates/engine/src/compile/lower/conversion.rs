//! CAST.

use achado_kernels::cast::{Bool, CastFrom, CastTo, cast};
use achado_model::{DataType, Result};

use super::Builder;
use crate::compile::node::NodeRef;

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

fn reader<T: CastTo>(node: &NodeRef, dtype: DataType) -> Result<Read<T>> {
    Ok(match dtype {
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
        DataType::Float16 => return Err(node.unsupported_types()),
    })
}

fn writer<F: CastFrom>(node: &NodeRef, dtype: DataType) -> Result<Write<F>> {
    Ok(match dtype {
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
        DataType::Float16 => return Err(node.unsupported_types()),
    })
}

/// CAST: by way of float32 where a side is, else of int64, which hold every element exactly.
pub(super) fn convert(builder: &mut Builder, node: &NodeRef) -> Result<()> {
    let (from, to) = (node.input(0)?.dtype, node.output(0)?.dtype);
    if from == to {
        return super::movement::view(builder, node);
    }
    if from == DataType::Float32 {
        let write = writer::<f32>(node, to)?;
        return builder.push_simple(node, "cast", &[node.input_id(0)?], move |operands| {
            write(bytemuck::cast_slice(operands.inputs[0]), operands.outputs[0]);
        });
    }
    if to == DataType::Float32 {
        let read = reader::<f32>(node, from)?;
        return builder.push_simple(node, "cast", &[node.input_id(0)?], move |operands| {
            read(operands.inputs[0], bytemuck::cast_slice_mut(operands.outputs[0]));
        });
    }
    let (read, write) = (reader::<i64>(node, from)?, writer::<i64>(node, to)?);
    let (from, to) = (from.size_bytes(), to.size_bytes());
    builder.push_simple(node, "cast", &[node.input_id(0)?], move |operands| {
        let mut wide = [0i64; CHUNK];
        let outs = operands.outputs[0].chunks_mut(CHUNK * to);
        for (input, out) in operands.inputs[0].chunks(CHUNK * from).zip(outs) {
            let wide = &mut wide[..input.len() / from];
            read(input, wide);
            write(wide, out);
        }
    })
}
