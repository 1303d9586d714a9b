//! CONV_2D and FULLY_CONNECTED of what is quantised while the model runs; see
//! [`IntegerProduct`].

use achado_graph::{IntegerProduct, Kind, Node, NodeRef, constant_floats, legal};
use achado_kernels::compiled;
use achado_kernels::conv2d::{Conv2dDynamic, Dynamic};
use achado_kernels::dynamic_quantize::dynamic_quantize;
use achado_kernels::gemm::TILE_ROWS;
use achado_kernels::reference::QuantizedWeights;
use achado_model::{Operator, Result, TensorId};

use super::Builder;
use super::convolution::conv2d_macs;
use super::operands::conv2d_shape;
use crate::step::{Operands, Simple, Step};

/// A step that quantises, unless another product reads the same numbers, and one that multiplies.
#[inline(never)]
pub(super) fn product(
    builder: &mut Builder,
    node: &NodeRef,
    product: &IntegerProduct,
) -> Result<()> {
    let shape = conv2d_shape(&legal::weighted(node)?);
    let out_c = shape.out_c;
    let bias = match product.bias {
        None => vec![0.0; out_c],
        Some(id) => {
            let bias = constant_floats(node, node.graph.tensor(id))?;
            (0..out_c).map(|channel| bias[channel % bias.len()]).collect()
        }
    };
    let zero_point = product.weight_zero_point;
    let weights = constant_floats(node, node.input(1)?)?;
    let weights: Vec<u8> = weights.iter().map(|&x| (x as i32 + zero_point) as u8).collect();
    let weights = QuantizedWeights { values: &weights[..], zero_point, bias: None };
    let kernel = Conv2dDynamic::new(shape, &weights, bias, legal::bounds(product.activation));
    let [_, _, zero_point] = product.quantized;
    let mut inputs = vec![quantised(builder, node, product), zero_point];
    inputs.extend(product.factors);
    builder.push(node, kernel, &inputs, &[node.output_id(0)?]);
    Ok(())
}

/// The uint8 that a product reads: a temporary.
fn quantised(builder: &mut Builder, node: &NodeRef, product: &IntegerProduct) -> TensorId {
    let known = builder.quantised.iter().find(|[whole, _]| *whole == product.whole);
    if let Some(&[_, bytes]) = known {
        return bytes;
    }
    let bytes = builder.temporary(node.graph.tensor(product.whole).elements());
    builder.quantised.push([product.whole, bytes]);
    let run = |operands: &mut Operands| {
        let [x, scale, zero_point] = [0, 1, 2].map(|i| bytemuck::cast_slice(operands.inputs[i]));
        dynamic_quantize(scale[0], zero_point[0], x, operands.outputs[0]);
    };
    let quantise = Node {
        operator: Operator::Quantize,
        inputs: Vec::new(),
        outputs: vec![product.whole],
        kind: Kind::Operator,
        ..*node.node
    };
    let node = NodeRef { node: &quantise, ..*node };
    builder.push(&node, Simple { kernel: "dynamic quantize", run }, &product.quantized, &[bytes]);
    bytes
}

impl Step for Conv2dDynamic {
    fn kernel(&self) -> &'static str {
        self.kernel()
    }

    fn run(&self, operands: &mut Operands) {
        let [input, zero_point, factors, _] = operands.inputs;
        let zero_point: &[f32] = bytemuck::cast_slice(zero_point);
        let factors = if factors.is_empty() { &[1.0] } else { bytemuck::cast_slice(factors) };
        let dynamic = Dynamic { zero_point: zero_point[0] as u8, factors };
        let out: &mut [f32] = bytemuck::cast_slice_mut(operands.outputs[0]);
        let out_c = self.shape().out_c;
        operands.pool.split(out, out_c, TILE_ROWS, operands.scratch, |pixels, out, scratch| {
            compiled::conv2d_dynamic(self, input, &dynamic, pixels, out, scratch);
        });
    }

    fn scratch_bytes(&self) -> usize {
        self.scratch_bytes()
    }

    fn size_bytes(&self) -> usize {
        self.size_bytes()
    }

    fn macs(&self) -> u64 {
        conv2d_macs(self.shape())
    }
}
