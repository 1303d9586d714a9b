//! Tensors in the order of the file that a model was converted from: `[n, c, h, w]` of ONNX, where
//! the network has `[n, h, w, c]`. Pictures are prepared in the network's order and need none of it.

use achado_model::{Result, SourceOrder, Tensor};

use crate::runner::Runner;

/// The inputs and outputs of a network as its file has them; empty where they are the same.
#[derive(Debug, Default)]
pub(crate) struct FileOrder {
    inputs: Vec<Turned>,
    outputs: Vec<Turned>,
}

/// A tensor as the file has it.
#[derive(Debug)]
struct Turned {
    tensor: Tensor,
    /// In elements of the other side, for each dimension of the side that is written.
    strides: Vec<usize>,
    /// The elements in the file's order; empty where they lie there as in the network.
    bytes: Vec<u8>,
    /// An input that was written since the last run.
    is_new: bool,
}

impl FileOrder {
    /// The orders of a network's first tensors.
    pub fn new(order: &SourceOrder, inputs: &[Tensor], outputs: &[Tensor]) -> Self {
        let turn = |tensors: &[Tensor], orders: &[Vec<usize>], is_input: bool| {
            let pairs = tensors.iter().zip(orders);
            pairs.map(|(tensor, order)| Turned::new(tensor, order, is_input)).collect()
        };
        Self {
            inputs: turn(inputs, &order.inputs, true),
            outputs: turn(outputs, &order.outputs, false),
        }
    }

    /// The inputs, if they are other than the network's.
    pub fn inputs(&self) -> Option<Vec<Tensor>> {
        tensors(&self.inputs)
    }

    /// The outputs, if they are other than the network's.
    pub fn outputs(&self) -> Option<Vec<Tensor>> {
        tensors(&self.outputs)
    }

    /// The elements of an input that lies in another order than the network's.
    pub fn input_bytes_mut(&mut self, index: usize) -> Option<&mut [u8]> {
        let input = self.inputs.get_mut(index).filter(|input| !input.bytes.is_empty())?;
        input.is_new = true;
        Some(&mut input.bytes)
    }

    /// The elements of an output that lies in another order than the network's.
    pub fn output_bytes(&self, index: usize) -> Option<&[u8]> {
        let output = self.outputs.get(index).filter(|output| !output.bytes.is_empty())?;
        Some(&output.bytes)
    }

    /// Forgets what was written to an input: the network's own has something newer.
    pub fn forget(&mut self, index: usize) {
        if let Some(input) = self.inputs.get_mut(index) {
            input.is_new = false;
        }
    }

    /// Brings the inputs that were written to the network.
    pub fn put_inputs<R: Runner>(&mut self, network: &mut R) -> Result<()> {
        for (index, input) in self.inputs.iter_mut().enumerate() {
            if std::mem::take(&mut input.is_new) {
                let width = input.tensor.dtype.size_bytes();
                let shape = network.inputs()[index].shape.clone();
                let to = network.input_bytes_mut(index)?;
                turn(&input.bytes, to, &shape, &input.strides, width);
            }
        }
        Ok(())
    }

    /// Fetches the outputs from the network.
    pub fn take_outputs<R: Runner>(&mut self, network: &R) -> Result<()> {
        for (index, output) in self.outputs.iter_mut().enumerate() {
            if !output.bytes.is_empty() {
                let Tensor { shape, dtype, .. } = &output.tensor;
                let from = network.output_bytes(index)?;
                turn(from, &mut output.bytes, shape, &output.strides, dtype.size_bytes());
            }
        }
        Ok(())
    }
}

fn tensors(turned: &[Turned]) -> Option<Vec<Tensor>> {
    (!turned.is_empty()).then(|| turned.iter().map(|turned| turned.tensor.clone()).collect())
}

impl Turned {
    /// Dimension `i` of the network's tensor is dimension `order[i]` of the file's.
    fn new(tensor: &Tensor, order: &[usize], is_input: bool) -> Self {
        let place = |axis: usize| order.iter().position(|&at| at == axis).unwrap_or(axis);
        let places: Vec<usize> = (0..order.len()).map(place).collect();
        let mut file = tensor.clone();
        file.shape = places.iter().map(|&at| tensor.shape[at]).collect();
        if !tensor.dynamic.is_empty() {
            file.dynamic = places.iter().map(|&at| tensor.dynamic[at]).collect();
        }
        let wide = |axis: &&usize| file.shape[**axis] != 1;
        let moves = !order.iter().filter(wide).is_sorted();
        let strides = if is_input {
            let own = strides(&file.shape);
            order.iter().map(|&axis| own[axis]).collect()
        } else {
            let own = strides(&tensor.shape);
            places.iter().map(|&at| own[at]).collect()
        };
        let bytes = if moves { vec![0; file.size_bytes()] } else { Vec::new() };
        Self { tensor: file, strides, bytes, is_new: false }
    }
}

/// Elements between neighbours along each dimension.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for at in (1..shape.len()).rev() {
        strides[at - 1] = strides[at] * shape[at];
    }
    strides
}

/// Writes a tensor of `shape` from elements that lie `strides` apart.
fn turn(from: &[u8], to: &mut [u8], shape: &[usize], strides: &[usize], width: usize) {
    match width {
        1 => turn_of::<1>(from, to, shape, strides),
        2 => turn_of::<2>(from, to, shape, strides),
        4 => turn_of::<4>(from, to, shape, strides),
        _ => turn_of::<8>(from, to, shape, strides),
    }
}

fn turn_of<const N: usize>(from: &[u8], to: &mut [u8], shape: &[usize], strides: &[usize]) {
    let (Some((&row, outer)), Some(&step)) = (shape.split_last(), strides.last()) else { return };
    if row == 0 {
        return;
    }
    let (from, to) = (from.as_chunks::<N>().0, to.as_chunks_mut::<N>().0);
    let mut index = vec![0; outer.len()];
    for row in to.chunks_exact_mut(row) {
        let start: usize = index.iter().zip(strides).map(|(at, stride)| at * stride).sum();
        for (out, element) in row.iter_mut().zip(from[start..].iter().step_by(step.max(1))) {
            *out = *element;
        }
        for (at, &size) in index.iter_mut().zip(outer).rev() {
            *at += 1;
            if *at < size {
                break;
            }
            *at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use achado_model::DataType;

    use super::*;

    fn tensor(shape: &[usize]) -> Tensor {
        Tensor {
            name: "x".to_owned(),
            dtype: DataType::Int16,
            shape: shape.to_vec(),
            dynamic: Vec::new(),
            quantization: None,
            data: None,
        }
    }

    #[test]
    fn inputs_and_outputs_turn_to_and_fro() {
        // `[n, h, w, c]` here, `[n, c, h, w]` there.
        let (own, order) = (tensor(&[1, 2, 3, 2]), [0, 2, 3, 1]);
        let file: Vec<u8> = (0..12u16).flat_map(u16::to_le_bytes).collect();
        let input = Turned::new(&own, &order, true);
        assert_eq!(input.tensor.shape, [1, 2, 2, 3]);
        let mut pixels = vec![0; 24];
        turn(&file, &mut pixels, &own.shape, &input.strides, 2);
        let firsts: Vec<u8> = pixels.iter().step_by(2).copied().collect();
        assert_eq!(firsts, [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]);
        let output = Turned::new(&own, &order, false);
        let mut back = vec![0; 24];
        turn(&pixels, &mut back, &output.tensor.shape, &output.strides, 2);
        assert_eq!(back, file);
    }

    #[test]
    fn nothing_moves_where_other_dimensions_are_one() {
        let turned = Turned::new(&tensor(&[1, 1, 1, 5]), &[0, 2, 3, 1], false);
        assert_eq!(turned.tensor.shape, [1, 5, 1, 1]);
        assert!(turned.bytes.is_empty());
        assert!(!Turned::new(&tensor(&[1, 2, 1, 5]), &[0, 2, 3, 1], false).bytes.is_empty());
    }
}
