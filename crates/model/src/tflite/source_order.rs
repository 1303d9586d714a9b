//! [`SourceOrder`] as bytes: for each input and then for each output the number of its dimensions,
//! then its permutation, a byte each.
#![deny(clippy::arithmetic_side_effects)]

use crate::limits::{Budget, MAX_RANK};
use crate::{Error, Model, Result, SourceOrder, TensorId};

/// The bytes of an order.
pub(super) fn write(order: &SourceOrder) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for order in order.inputs.iter().chain(&order.outputs) {
        let numbers = std::iter::once(order.len()).chain(order.iter().copied()).map(u8::try_from);
        for number in numbers {
            bytes.push(number.map_err(|_| Error::format("an order of too many dimensions"))?);
        }
    }
    Ok(bytes)
}

/// Reads an order that fits a model's inputs and outputs.
///
/// # Errors
/// `MODEL_FORMAT` where it does not fit.
pub(super) fn read(bytes: &[u8], model: &Model, budget: &mut Budget) -> Result<SourceOrder> {
    let mut rest = bytes;
    let mut orders = |ids: &[TensorId]| -> Result<Vec<Vec<usize>>> {
        budget
            .take(ids.len(), size_of::<Vec<usize>>().saturating_add(MAX_RANK.saturating_mul(8)))?;
        ids.iter().map(|id| permutation(&mut rest, model.tensor(*id).shape.len())).collect()
    };
    let order = SourceOrder { inputs: orders(&model.inputs)?, outputs: orders(&model.outputs)? };
    if rest.is_empty() { Ok(order) } else { Err(unfit()) }
}

/// The next permutation of `rank` dimensions.
fn permutation(rest: &mut &[u8], rank: usize) -> Result<Vec<usize>> {
    let (&count, after) = rest.split_first().ok_or_else(unfit)?;
    let (order, after) = after.split_at_checked(count.into()).ok_or_else(unfit)?;
    *rest = after;
    let order: Vec<usize> = order.iter().map(|&axis| axis.into()).collect();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted.iter().copied().eq(0..rank) { Ok(order) } else { Err(unfit()) }
}

fn unfit() -> Error {
    Error::format("the order of the source's dimensions does not fit the model's tensors")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataType, Tensor};

    fn model(shape: &[usize]) -> Model {
        let tensor = Tensor {
            name: "x".to_owned(),
            dtype: DataType::Float32,
            shape: shape.to_vec(),
            dynamic: Vec::new(),
            quantization: None,
            data: None,
        };
        let ends = vec![TensorId(0)];
        Model { tensors: vec![tensor], inputs: ends.clone(), outputs: ends, ..Model::default() }
    }

    #[test]
    fn an_order_comes_back_and_must_fit() {
        let order = SourceOrder { inputs: vec![vec![0, 2, 3, 1]], outputs: vec![vec![0, 1, 2, 3]] };
        let bytes = write(&order).unwrap();
        let read_as = |bytes: &[u8], shape: &[usize]| {
            read(bytes, &model(shape), &mut Budget::for_file(bytes.len()))
        };
        assert_eq!(read_as(&bytes, &[1, 4, 5, 3]), Ok(order));
        assert!(read_as(&bytes, &[1, 4]).is_err());
        assert!(read_as(&bytes[1..], &[1, 4, 5, 3]).is_err());
        assert!(read_as(&bytes[..9], &[1, 4, 5, 3]).is_err());
        assert!(read_as(&[4, 0, 2, 2, 1, 4, 0, 1, 2, 3], &[1, 4, 5, 3]).is_err());
    }
}
