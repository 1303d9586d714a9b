//! BATCH_MATMUL.

use achado_model::{Operator, Result};

use super::{At, Bind, Builder, Params};
use crate::template::Template;

/// Two leading dimensions and a matrix.
fn split(at: &At<'_>, shape: &[usize]) -> Result<[usize; 4]> {
    match *shape {
        [h, w] => Ok([1, 1, h, w]),
        [b, h, w] => Ok([1, b, h, w]),
        [a, b, h, w] => Ok([a, b, h, w]),
        _ => Err(at.unsupported("operands of these dimensions are not supported")),
    }
}

/// BATCH_MATMUL of floats.
pub(super) fn batch_matmul<'a>(builder: &mut Builder<'a>, at: &At<'a>) -> Result<()> {
    let Operator::BatchMatmul { adj_x, adj_y } = at.node.operator else {
        return Err(at.unsupported("not a BATCH_MATMUL"));
    };
    let (first, second, output) = (at.input(0)?, at.input(1)?, at.output());
    for tensor in [first, second, output] {
        if !at.kind(tensor)?.is_float() {
            return Err(at.unsupported("a product of bytes is not supported"));
        }
    }
    if adj_x {
        return Err(at.unsupported("a first operand that is transposed is not supported"));
    }
    let (a, b, out) =
        (split(at, &first.shape)?, split(at, &second.shape)?, split(at, &output.shape)?);
    let [rows, columns, depth] = [a[2], out[3], a[3]];
    let (b_depth, b_columns) = if adj_y { (b[3], b[2]) } else { (b[2], b[3]) };
    if b_depth != depth || b_columns != columns {
        return Err(at.unsupported("matrices of these sizes are not supported"));
    }
    builder.macs += (out[0] * out[1] * rows * columns * depth) as u64;
    let quads = |shape: [usize; 4]| shape[3].div_ceil(4);
    let step = |shape: [usize; 4], i: usize| {
        let matrix = shape[2] * quads(shape);
        match (i, shape[i]) {
            (_, 1) => 0,
            (0, _) => shape[1] * matrix,
            _ => matrix,
        }
    };
    let total = out[0] * out[1] * rows * quads(out);
    let params = Params::default()
        .u(&[rows, quads(out), quads(a), total])
        .u(&[step(a, 0), step(a, 1), step(b, 0), step(b, 1)])
        .u(&[out[1], quads(b), columns, depth - 1]);
    let (a, b) = (builder.operand(at, 0)?, builder.operand(at, 1)?);
    if let (Bind::Arena(a), Bind::Arena(b)) = (&a, &b)
        && a == b
    {
        return Err(at.unsupported("an operand that is both operands is not supported"));
    }
    let access = |bind: &Bind| if matches!(bind, Bind::Arena(_)) { "read_write" } else { "read" };
    let text = Template::new(include_str!("../wgsl/batch_matmul.wgsl"))
        .flag("TRANSPOSED", adj_y)
        .value("ACCESS_A", access(&a))
        .value("ACCESS_B", access(&b))
        .finish();
    let result = builder.result(at)?;
    let binds = vec![a, b, Bind::Arena(result)];
    builder.call(at, text, Builder::threads(total), params, binds)
}
