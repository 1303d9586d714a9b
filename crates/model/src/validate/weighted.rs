//! The rules of operators with weights: convolutions, FULLY_CONNECTED, BATCH_MATMUL.

use super::operators::REAL;
use super::rules::Rules;
use crate::DataType::{Float16, Float32, Int8, Int16, Int32, Int64, UInt8};
use crate::Result;

impl Rules<'_> {
    /// Types and scales of an operator with weights; `axis` is that of the output channels.
    fn weighted(&self, axis: usize) -> Result<()> {
        self.weighted_operands([0, 1, 2], axis)
    }

    /// The same for operands in other places: input, weights and bias.
    fn weighted_operands(&self, [input, weights, bias]: [usize; 3], axis: usize) -> Result<()> {
        let (input, weights, output) = (self.input(input)?, self.input(weights)?, self.output(0));
        self.types(input, REAL)?;
        self.same_type(input, output)?;
        self.per_tensor(input)?;
        self.per_tensor(output)?;
        let (weight_types, bias_types): (&[_], &[_]) = match input.tensor.dtype {
            // Float16 and 8-bit weights of a float operator are widened when it is compiled.
            Float32 => (&[Float32, Float16, Int8, UInt8], &[Float32, Float16]),
            UInt8 => (&[UInt8], &[Int32]),
            Int8 => (&[Int8], &[Int32]),
            _ => (&[Int8], &[Int32, Int64]),
        };
        self.types(weights, weight_types)?;
        if matches!(weights.tensor.dtype, Int8 | UInt8) {
            match &weights.tensor.quantization {
                None => return Err(self.error("the weights have no scale")),
                Some(quantization) if quantization.scale.len() > 1 && quantization.axis != axis => {
                    return Err(self.error(format!(
                        "the weights are quantised along dimension {}, must be {axis}",
                        quantization.axis
                    )));
                }
                Some(_) => {}
            }
        }
        if let Some(bias) = self.optional(bias) {
            self.types(bias, bias_types)?;
            let channels = weights.shape().and_then(|shape| shape.get(axis));
            let found = bias.shape().map(|_| bias.tensor.elements());
            if let (Some(&channels), Some(found)) = (channels, found)
                && channels != found
            {
                return Err(self.shape_error(bias, &format!("{channels} elements")));
            }
        }
        Ok(())
    }

    /// The result's declared channels are the weights'.
    fn output_channels(&self, channels: usize) -> Result<()> {
        let output = self.output(0);
        match output.channels() {
            Some(found) if found != channels => {
                Err(self.shape_error(output, &format!("{channels} channels")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn conv_2d(&self) -> Result<()> {
        let (input, weights) = (self.input(0)?, self.input(1)?);
        self.rank(input, 4)?;
        self.rank(weights, 4)?;
        self.rank(self.output(0), 4)?;
        self.weighted(0)?;
        let Some(&[out, height, width, group]) = weights.shape() else { return Ok(()) };
        if [out, height, width, group].contains(&0) {
            return Err(self.shape_error(weights, "dimensions of 1 or more"));
        }
        if let Some(channels) = input.channels() {
            // Fewer channels in the weights than in the input mean grouped convolution.
            let groups = channels.checked_div(group).unwrap_or(0);
            if !channels.is_multiple_of(group) || groups == 0 || !out.is_multiple_of(groups) {
                let needed = format!("as last dimension a divisor of the {channels} channels");
                return Err(self.shape_error(weights, &needed));
            }
        }
        self.output_channels(out)
    }

    pub(super) fn depthwise_conv_2d(&self, depth_multiplier: usize) -> Result<()> {
        let (input, weights) = (self.input(0)?, self.input(1)?);
        self.rank(input, 4)?;
        self.rank(weights, 4)?;
        self.rank(self.output(0), 4)?;
        self.weighted(3)?;
        let Some(&[one, height, width, out]) = weights.shape() else { return Ok(()) };
        if one != 1 || [height, width, out].contains(&0) {
            return Err(self.shape_error(weights, "[1, height, width, channels]"));
        }
        if let Some(channels) = input.channels()
            && channels.checked_mul(depth_multiplier) != Some(out)
        {
            let needed = format!("a multiple of {channels} channels as last dimension");
            return Err(self.shape_error(weights, &needed));
        }
        self.output_channels(out)
    }

    pub(super) fn transpose_conv(&self) -> Result<()> {
        self.types(self.input(0)?, &[Int32])?;
        self.transposed_weights([2, 1, 3])
    }

    pub(super) fn transpose_conv_bias(&self) -> Result<()> {
        self.transposed_weights([0, 1, 2])
    }

    fn transposed_weights(&self, operands: [usize; 3]) -> Result<()> {
        let (input, weights) = (self.input(operands[0])?, self.input(operands[1])?);
        self.rank(input, 4)?;
        self.rank(weights, 4)?;
        self.rank(self.output(0), 4)?;
        self.weighted_operands(operands, 0)?;
        let Some(&[out, height, width, channels]) = weights.shape() else { return Ok(()) };
        if [out, height, width, channels].contains(&0) {
            return Err(self.shape_error(weights, "dimensions of 1 or more"));
        }
        match input.channels() {
            Some(found) if found != channels => {
                Err(self.shape_error(weights, &format!("{found} as last dimension")))
            }
            _ => self.output_channels(out),
        }
    }

    pub(super) fn batch_matmul(&self) -> Result<()> {
        let (a, b, output) = (self.input(0)?, self.input(1)?, self.output(0));
        self.types(a, &[Float32, Int8, UInt8, Int16, Int32])?;
        self.types(b, &[Float32, Int8, UInt8, Int16, Int32])?;
        self.types(output, &[Float32, Int8, UInt8, Int16, Int32])?;
        // Weights that meet floats may have a scale for each column.
        let is_hybrid = (a.tensor.dtype, b.tensor.dtype) == (Float32, Int8);
        for operand in [a, b, output] {
            if !is_hybrid {
                self.per_tensor(operand)?;
            }
            if let Some(shape) = operand.shape()
                && shape.len() < 2
            {
                return Err(self.shape_error(operand, "2 dimensions or more"));
            }
        }
        Ok(())
    }

    pub(super) fn fully_connected(&self) -> Result<()> {
        let (input, weights) = (self.input(0)?, self.input(1)?);
        self.rank(weights, 2)?;
        self.weighted(0)?;
        let Some(&[out, depth]) = weights.shape() else { return Ok(()) };
        if out == 0 || depth == 0 {
            return Err(self.shape_error(weights, "dimensions of 1 or more"));
        }
        if input.fixed_shape().is_some() && !input.tensor.elements().is_multiple_of(depth) {
            return Err(self.shape_error(input, &format!("a multiple of {depth} elements")));
        }
        self.output_channels(out)
    }
}
