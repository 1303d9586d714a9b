//! The rules of operators that move elements, and of those that find or count them.

use super::operators::{ANY, INDEX};
use super::rules::{Operand, Rules};
use crate::DataType::{Bool, Float32, Int16, Int32, Int64};
use crate::{DataType, Result};

/// Element types of GATHER's indices.
const GATHER_INDEX: &[DataType] = &[Int32, Int64, Int16];

impl Rules<'_> {
    /// `input` has a type that can be moved, and result 0 has it, too.
    pub(super) fn moves(&self, input: Operand<'_>) -> Result<()> {
        self.types(input, ANY)?;
        self.same_type(input, self.output(0))
    }

    /// Operand 0 moves; those of `per_dimension` have an integer for each of its dimensions.
    pub(super) fn by_rank(&self, per_dimension: std::ops::Range<usize>) -> Result<()> {
        let input = self.input(0)?;
        self.moves(input)?;
        for at in per_dimension {
            let operand = self.input(at)?;
            self.types(operand, INDEX)?;
            let rank = input.shape().map(<[usize]>::len);
            if let (Some(rank), Some(&[count])) = (rank, operand.shape())
                && rank != count
            {
                return Err(self.shape_error(operand, &format!("[{rank}]")));
            }
        }
        Ok(())
    }

    /// `axes` holds dimensions of `input`, as far as it is constant.
    pub(super) fn constant_axes(&self, input: Operand<'_>, axes: Operand<'_>) -> Result<()> {
        self.types(axes, INDEX)?;
        self.axes(&axes.tensor.constant_integers().unwrap_or_default(), input)
    }

    pub(super) fn transpose(&self) -> Result<()> {
        self.by_rank(1..2)?;
        let (input, permutation) = (self.input(0)?, self.input(1)?);
        let (Some(shape), Some(axes)) = (input.shape(), permutation.tensor.constant_integers())
        else {
            return Ok(());
        };
        self.axes(&axes, input)?;
        let rank = shape.len() as i64; // at most MAX_RANK
        let goes = |to: i64| axes.iter().any(|axis| axis.rem_euclid(rank.max(1)) == to);
        if axes.len() != shape.len() || !(0..rank).all(goes) {
            return Err(
                self.error(format!("{axes:?} does not permute the dimensions of {shape:?}"))
            );
        }
        Ok(())
    }

    pub(super) fn parts(&self, input: Operand<'_>, parts: usize) -> Result<()> {
        self.types(input, ANY)?;
        (0..parts).try_for_each(|at| self.same_type(input, self.output(at)))
    }

    pub(super) fn split(&self, parts: usize) -> Result<()> {
        self.arity(2..=2, parts)?;
        self.parts(self.input(1)?, parts)?;
        self.constant_axes(self.input(1)?, self.input(0)?)
    }

    pub(super) fn split_v(&self, parts: usize) -> Result<()> {
        self.arity(3..=3, parts)?;
        let sizes = self.input(1)?;
        self.types(sizes, INDEX)?;
        self.parts(self.input(0)?, parts)?;
        match sizes.tensor.constant_integers() {
            Some(found) if found.len() != parts => {
                return Err(self.shape_error(sizes, &format!("[{parts}]")));
            }
            Some(found) if found.iter().any(|&size| size < -1) => {
                return Err(self.error(format!("sizes {found:?} must be 0 or more, or one -1")));
            }
            _ => {}
        }
        self.constant_axes(self.input(0)?, self.input(2)?)
    }

    pub(super) fn strided_slice(&self) -> Result<()> {
        self.moves(self.input(0)?)?;
        for at in 1..4 {
            self.types(self.input(at)?, INDEX)?;
        }
        match self.input(3)?.tensor.constant_integers() {
            Some(strides) if strides.contains(&0) => Err(self.error("a stride is 0")),
            _ => Ok(()),
        }
    }

    pub(super) fn pack(&self, axis: i64) -> Result<()> {
        let first = self.input(0)?;
        self.moves(first)?;
        for at in 1..self.node.inputs.len() {
            let operand = self.input(at)?;
            self.same_type(first, operand)?;
            if let (Some(a), Some(b)) = (first.fixed_shape(), operand.fixed_shape())
                && a != b
            {
                return Err(self.shape_error(operand, &format!("that of input 0, {a:?}")));
            }
        }
        match first.shape() {
            Some(shape) => self.new_axis(axis, shape.len()),
            None => Ok(()),
        }
    }

    /// `axis` is a dimension that a result of one more dimension than `rank` has.
    pub(super) fn new_axis(&self, axis: i64, rank: usize) -> Result<()> {
        let dims = (rank as i64).saturating_add(1); // at most MAX_RANK + 1
        if (dims.saturating_neg()..dims).contains(&axis) {
            return Ok(());
        }
        Err(self.error(format!("axis {axis} is out of range for a result of {dims} dimensions")))
    }

    pub(super) fn unpack(&self, axis: i64, parts: usize) -> Result<()> {
        self.arity(1..=1, parts)?;
        let input = self.input(0)?;
        self.parts(input, parts)?;
        self.axes(&[axis], input)?;
        let Some(shape) = input.fixed_shape() else { return Ok(()) };
        let at = axis.rem_euclid((shape.len() as i64).max(1)); // at most MAX_RANK
        let found = usize::try_from(at).ok().and_then(|at| shape.get(at));
        match found {
            Some(&found) if found != parts => Err(self.shape_error(
                input,
                &format!("{parts} entries along dimension {axis}, one for each result"),
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn gather(&self, axis: i64, batch_dims: i64) -> Result<()> {
        let (input, indices) = (self.input(0)?, self.input(1)?);
        self.moves(input)?;
        self.types(indices, GATHER_INDEX)?;
        self.axes(&[axis], input)?;
        if batch_dims != 0 {
            self.axes(&[batch_dims], input)?;
        }
        let Some(shape) = input.fixed_shape() else { return Ok(()) };
        let at = axis.rem_euclid((shape.len() as i64).max(1)); // at most MAX_RANK
        let Some(&len) = usize::try_from(at).ok().and_then(|at| shape.get(at)) else {
            return Ok(());
        };
        self.constant_indices(indices, &[len])
    }

    pub(super) fn gather_nd(&self) -> Result<()> {
        let (input, indices) = (self.input(0)?, self.input(1)?);
        self.moves(input)?;
        self.types(indices, GATHER_INDEX)?;
        let (Some(shape), Some(found)) = (input.fixed_shape(), indices.shape()) else {
            return Ok(());
        };
        let depth = found.last().copied().unwrap_or(0);
        match shape.get(..depth) {
            Some(dims) => self.constant_indices(indices, dims),
            None => {
                Err(self
                    .shape_error(indices, &format!("at most {} as last dimension", shape.len())))
            }
        }
    }

    /// Constant indices lie within dimensions of these sizes, which take turns.
    pub(super) fn constant_indices(&self, indices: Operand<'_>, dims: &[usize]) -> Result<()> {
        let found = indices.tensor.constant_integers().unwrap_or_default();
        let mut pairs = found.iter().zip(dims.iter().cycle());
        let outside =
            pairs.find(|&(&index, &dim)| usize::try_from(index).map_or(true, |index| index >= dim));
        match outside {
            Some((index, dim)) => Err(self
                .error(format!(
                    "index {index} in {} is outside of 0..{dim}",
                    self.model.tensor_label(indices.id)
                ))
                .with("tensor", indices.id.0)),
            None => Ok(()),
        }
    }

    pub(super) fn expand_dims(&self) -> Result<()> {
        let (input, axis) = (self.input(0)?, self.input(1)?);
        self.moves(input)?;
        self.types(axis, INDEX)?;
        let (Some(shape), Some(axes)) = (input.shape(), axis.tensor.constant_integers()) else {
            return Ok(());
        };
        match axes[..] {
            [axis] => self.new_axis(axis, shape.len()),
            _ => Err(self.shape_error(axis, "one element")),
        }
    }

    pub(super) fn blocks_of_batches(&self) -> Result<()> {
        self.moves(self.input(0)?)?;
        let (block, borders) = (self.input(1)?, self.input(2)?);
        self.types(block, INDEX)?;
        self.types(borders, INDEX)?;
        if let (Some(&[dims]), Some(found)) = (block.shape(), borders.shape())
            && found != [dims, 2]
        {
            return Err(self.shape_error(borders, &format!("[{dims}, 2]")));
        }
        let blocks = block.tensor.constant_integers().unwrap_or_default();
        if blocks.iter().any(|&side| side < 1) {
            return Err(self.error(format!("blocks {blocks:?} must be 1 or more")));
        }
        let borders = borders.tensor.constant_integers().unwrap_or_default();
        if borders.iter().any(|&amount| amount < 0) {
            return Err(self.error(format!("borders {borders:?} must be 0 or more")));
        }
        Ok(())
    }

    pub(super) fn one_hot(&self, axis: i64) -> Result<()> {
        let (indices, on) = (self.input(0)?, self.input(2)?);
        self.types(indices, INDEX)?;
        self.types(self.input(1)?, INDEX)?;
        self.types(on, &[Float32, Int32, Int64, Bool, DataType::Int8, DataType::UInt8])?;
        self.same_type(on, self.input(3)?)?;
        self.same_type(on, self.output(0))?;
        match indices.shape() {
            Some(shape) => self.new_axis(axis, shape.len()),
            None => Ok(()),
        }
    }
}
