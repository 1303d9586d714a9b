//! The rules of each operator.

use super::rules::{Operand, Rules};
use crate::DataType::{Bool, Float16, Float32, Int8, Int16, Int32, Int64, UInt8};
use crate::{DataType, Model, Node, Operator, Result};

pub(super) const REAL: &[DataType] = &[Float32, Int8, UInt8, Int16];
pub(super) const ARITHMETIC: &[DataType] = &[Float32, Int8, UInt8, Int16, Int32, Int64];
pub(super) const ANY: &[DataType] = &[Float32, Int8, UInt8, Int16, Int32, Int64, Bool];
pub(super) const INDEX: &[DataType] = &[Int32, Int64];

/// Checks one operator whose tensor ids are in range.
pub(super) fn check(model: &Model, index: usize, node: &Node) -> Result<()> {
    let rules = Rules { model, index, node };
    let kind = node.operator.kind();
    rules.arity(kind.inputs(), kind.outputs().unwrap_or(node.outputs.len()))?;
    match &node.operator {
        Operator::Conv2d { stride, dilation, .. } => {
            rules.windows(&[stride, dilation])?;
            rules.conv_2d()
        }
        Operator::DepthwiseConv2d { stride, dilation, depth_multiplier, .. } => {
            rules.windows(&[stride, dilation])?;
            rules.depthwise_conv_2d(*depth_multiplier)
        }
        Operator::FullyConnected { .. } => rules.fully_connected(),
        Operator::Add { .. }
        | Operator::Mul { .. }
        | Operator::Sub { .. }
        | Operator::Div { .. }
        | Operator::Maximum
        | Operator::Minimum
        | Operator::Pow
        | Operator::SquaredDifference => rules.binary(ARITHMETIC),
        Operator::FloorDiv | Operator::FloorMod => rules.plain_binary(ARITHMETIC),
        Operator::Prelu => rules.prelu(),
        Operator::Atan2 => rules.binary(&[Float32]),
        Operator::Equal
        | Operator::NotEqual
        | Operator::Less
        | Operator::LessEqual
        | Operator::Greater
        | Operator::GreaterEqual => rules.comparison(ANY),
        Operator::LogicalAnd | Operator::LogicalOr => rules.comparison(&[Bool]),
        Operator::Select | Operator::SelectV2 => rules.select(),
        Operator::AveragePool2d { filter, stride, .. }
        | Operator::MaxPool2d { filter, stride, .. } => {
            rules.windows(&[filter, stride])?;
            rules.unary(REAL)?;
            rules.rank(rules.input(0)?, 4)?;
            rules.rank(rules.output(0), 4)
        }
        Operator::L2Pool2d { filter, stride, .. } => {
            rules.windows(&[filter, stride])?;
            rules.unary(&[Float32])?;
            rules.rank(rules.input(0)?, 4)?;
            rules.rank(rules.output(0), 4)
        }
        Operator::Mean { .. }
        | Operator::Sum { .. }
        | Operator::ReduceProd { .. }
        | Operator::ReduceMax { .. }
        | Operator::ReduceMin { .. } => rules.reduction(ARITHMETIC),
        Operator::ReduceAny { .. } | Operator::ReduceAll { .. } => rules.reduction(&[Bool]),
        Operator::Pad | Operator::PadV2 | Operator::MirrorPad { .. } => rules.pad(),
        Operator::Reshape { new_shape } => rules.reshape(new_shape),
        Operator::Squeeze { dims } => rules.squeeze(dims),
        Operator::Softmax { beta } => {
            if !(beta.is_finite() && *beta > 0.0) {
                return Err(rules.error(format!("beta is {beta}, must be finite and above 0")));
            }
            rules.softmax()
        }
        Operator::Logistic
        | Operator::Relu
        | Operator::Relu6
        | Operator::ReluN1To1
        | Operator::Relu0To1
        | Operator::HardSwish
        | Operator::Tanh
        | Operator::Elu
        | Operator::Gelu { .. }
        | Operator::LeakyRelu { .. }
        | Operator::LogSoftmax
        | Operator::L2Normalization { .. } => rules.quantised_unary(REAL),
        Operator::Abs
        | Operator::Neg
        | Operator::Exp
        | Operator::Log
        | Operator::Sqrt
        | Operator::Rsqrt
        | Operator::Square
        | Operator::Sin
        | Operator::Cos
        | Operator::Floor
        | Operator::Ceil
        | Operator::Round
        | Operator::Sign => rules.quantised_unary(ARITHMETIC),
        Operator::LogicalNot => rules.unary(&[Bool]),
        Operator::ZerosLike => rules.unary(ANY),
        Operator::Densify => rules.densify(),
        Operator::Cast => rules.cast(),
        Operator::LocalResponseNormalization { .. } => {
            rules.unary(&[Float32])?;
            rules.rank(rules.input(0)?, 4)
        }
        Operator::Quantize => rules.quantize(),
        Operator::Dequantize => rules.dequantize(),
        Operator::Concatenation { axis, .. } => rules.concatenation(*axis),
        Operator::TransposeConv { stride, .. } => {
            rules.windows(&[stride])?;
            rules.transpose_conv()
        }
        Operator::Convolution2dTransposeBias { stride, .. } => {
            rules.windows(&[stride])?;
            rules.transpose_conv_bias()
        }
        Operator::BatchMatmul { .. } => rules.batch_matmul(),
        Operator::ResizeBilinear { .. } => rules.resize(REAL),
        Operator::ResizeNearestNeighbor { .. } => rules.resize(ANY),
        Operator::DetectionPostProcess(_) => rules.detection_post_process(),
        Operator::Transpose => rules.transpose(),
        Operator::Split { parts } => rules.split(*parts),
        Operator::SplitV { parts } => rules.split_v(*parts),
        Operator::Slice => rules.by_rank(1..3),
        Operator::StridedSlice { .. } => rules.strided_slice(),
        Operator::Pack { axis } => rules.pack(*axis),
        Operator::Unpack { axis, parts } => rules.unpack(*axis, *parts),
        Operator::Gather { axis, batch_dims } => rules.gather(*axis, *batch_dims),
        Operator::GatherNd => rules.gather_nd(),
        Operator::ExpandDims => rules.expand_dims(),
        Operator::BroadcastTo => {
            rules.moves(rules.input(0)?)?;
            rules.types(rules.input(1)?, INDEX)
        }
        Operator::Tile => rules.by_rank(1..2),
        Operator::Shape => rules.types(rules.output(0), INDEX),
        Operator::Rank => rules.types(rules.output(0), &[Int32]),
        Operator::Fill => {
            rules.types(rules.input(0)?, INDEX)?;
            rules.moves(rules.input(1)?)
        }
        Operator::Range => {
            rules.types(rules.input(0)?, &[Float32, Int32, Int64])?;
            (0..3).try_for_each(|at| rules.same_type(rules.input(at)?, rules.output(0)))
        }
        Operator::ArgMax | Operator::ArgMin => {
            rules.types(rules.input(0)?, ANY)?;
            rules.types(rules.output(0), INDEX)?;
            rules.constant_axes(rules.input(0)?, rules.input(1)?)
        }
        Operator::TopkV2 => {
            rules.types(rules.input(0)?, ARITHMETIC)?;
            rules.same_type(rules.input(0)?, rules.output(0))?;
            rules.types(rules.input(1)?, &[Int32, Int16])?;
            rules.types(rules.output(1), &[Int32, Int16])
        }
        Operator::Cumsum { .. } => {
            rules.types(rules.input(0)?, &[Float32, Int32, Int64])?;
            rules.same_type(rules.input(0)?, rules.output(0))?;
            rules.constant_axes(rules.input(0)?, rules.input(1)?)
        }
        Operator::ReverseV2 => {
            rules.moves(rules.input(0)?)?;
            rules.constant_axes(rules.input(0)?, rules.input(1)?)
        }
        Operator::SpaceToBatchNd | Operator::BatchToSpaceNd => rules.blocks_of_batches(),
        Operator::SpaceToDepth { block } | Operator::DepthToSpace { block } => {
            rules.unary(ANY)?;
            rules.rank(rules.input(0)?, 4)?;
            match *block {
                0 => Err(rules.error("block_size is 0, must be 1 or more")),
                _ => Ok(()),
            }
        }
        Operator::OneHot { axis } => rules.one_hot(*axis),
    }
}

impl Rules<'_> {
    fn windows(&self, pairs: &[&[usize; 2]]) -> Result<()> {
        if pairs.iter().any(|pair| pair.contains(&0)) {
            return Err(self.error("strides, dilations and windows must be 1 or more"));
        }
        Ok(())
    }

    /// One operand, one result, of one type.
    pub(super) fn unary(&self, types: &[DataType]) -> Result<()> {
        self.types(self.input(0)?, types)?;
        self.same_type(self.input(0)?, self.output(0))
    }

    /// The same, with scales where the type is quantised.
    fn quantised_unary(&self, types: &[DataType]) -> Result<()> {
        self.unary(types)?;
        self.per_tensor(self.input(0)?)?;
        self.per_tensor(self.output(0))
    }

    /// Like other unary operators, but that int8 may become int16.
    fn softmax(&self) -> Result<()> {
        let (input, output) = (self.input(0)?, self.output(0));
        self.types(input, REAL)?;
        if (input.tensor.dtype, output.tensor.dtype) != (Int8, Int16) {
            self.same_type(input, output)?;
        }
        self.per_tensor(input)?;
        self.per_tensor(output)
    }

    /// Two operands and a result of one type, whatever their scale.
    fn plain_binary(&self, types: &[DataType]) -> Result<()> {
        let (a, b) = (self.input(0)?, self.input(1)?);
        self.types(a, types)?;
        self.same_type(a, b)?;
        self.same_type(a, self.output(0))?;
        self.broadcast(a, b)
    }

    fn binary(&self, types: &[DataType]) -> Result<()> {
        let (a, b, output) = (self.input(0)?, self.input(1)?, self.output(0));
        self.types(a, types)?;
        self.same_type(a, b)?;
        self.same_type(a, output)?;
        for operand in [a, b, output] {
            self.per_tensor(operand)?;
        }
        self.broadcast(a, b)
    }

    /// 16-bit inputs have slopes of 8 bits.
    fn prelu(&self) -> Result<()> {
        let (input, slopes, output) = (self.input(0)?, self.input(1)?, self.output(0));
        if input.tensor.dtype != Int16 {
            return self.binary(&[Float32, Int8, UInt8]);
        }
        self.types(slopes, &[Int8])?;
        self.same_type(input, output)?;
        for operand in [input, slopes, output] {
            self.per_tensor(operand)?;
        }
        self.broadcast(input, slopes)
    }

    /// Shapes that NumPy's rules bring together.
    pub(super) fn broadcast(&self, a: Operand<'_>, b: Operand<'_>) -> Result<()> {
        if let (Some(x), Some(y)) = (a.fixed_shape(), b.fixed_shape()) {
            let mut pairs = x.iter().rev().zip(y.iter().rev());
            if pairs.any(|(&x, &y)| x != y && x != 1 && y != 1) {
                return Err(self.shape_error(b, &format!("one that broadcasts with {x:?}")));
            }
        }
        Ok(())
    }

    fn comparison(&self, types: &[DataType]) -> Result<()> {
        let (a, b) = (self.input(0)?, self.input(1)?);
        self.types(a, types)?;
        self.same_type(a, b)?;
        self.types(self.output(0), &[Bool])?;
        self.broadcast(a, b)
    }

    fn select(&self) -> Result<()> {
        let (a, b) = (self.input(1)?, self.input(2)?);
        self.types(self.input(0)?, &[Bool])?;
        self.types(a, ANY)?;
        self.same_type(a, b)?;
        self.same_type(a, self.output(0))?;
        self.broadcast(a, b)
    }

    /// Axes of a constant or of an attribute lie in `-rank..rank`.
    pub(super) fn axes(&self, axes: &[i64], input: Operand<'_>) -> Result<()> {
        let Some(shape) = input.shape() else { return Ok(()) };
        let rank = shape.len() as i64; // at most MAX_RANK
        let in_range = |axis: i64| axis >= rank.saturating_neg() && axis < rank;
        match axes.iter().find(|&&axis| !in_range(axis)) {
            Some(axis) => Err(self.error(format!(
                "axis {axis} is out of range for {} of shape {shape:?}",
                self.model.tensor_label(input.id)
            ))),
            None => Ok(()),
        }
    }

    fn reduction(&self, types: &[DataType]) -> Result<()> {
        let (input, axes, output) = (self.input(0)?, self.input(1)?, self.output(0));
        self.types(input, types)?;
        self.same_type(input, output)?;
        self.per_tensor(input)?;
        self.per_tensor(output)?;
        self.types(axes, &[Int32])?;
        self.axes(&axes.tensor.constant_integers().unwrap_or_default(), input)
    }

    fn pad(&self) -> Result<()> {
        let (input, paddings) = (self.input(0)?, self.input(1)?);
        self.types(input, ANY)?;
        self.same_type(input, self.output(0))?;
        if let Some(value) = self.optional(2) {
            self.same_type(input, value)?;
        }
        self.types(paddings, INDEX)?;
        if let (Some(shape), Some(found)) = (input.shape(), paddings.shape())
            && found != [shape.len(), 2]
        {
            return Err(self.shape_error(paddings, &format!("[{}, 2]", shape.len())));
        }
        let amounts = paddings.tensor.constant_integers().unwrap_or_default();
        match amounts.iter().find(|&&amount| !(0..=i64::from(i32::MAX)).contains(&amount)) {
            Some(amount) => Err(self.error(format!("a padding is {amount}, must be 0 or more"))),
            None => Ok(()),
        }
    }

    fn reshape(&self, new_shape: &[i64]) -> Result<()> {
        let input = self.input(0)?;
        self.types(input, ANY)?;
        self.same_type(input, self.output(0))?;
        // A constant second input goes before the attribute; one computed at run time is unknown.
        let wanted = match self.optional(1) {
            Some(shape) => {
                self.types(shape, INDEX)?;
                match shape.tensor.constant_integers() {
                    Some(wanted) if shape.tensor.shape.len() == 1 => wanted,
                    _ => return Ok(()),
                }
            }
            None => new_shape.to_vec(),
        };
        let open = wanted.iter().filter(|&&dim| dim == -1).count();
        if open > 1 || wanted.iter().any(|&dim| dim < -1) {
            return Err(self.error(format!("cannot reshape to {wanted:?}")));
        }
        if input.fixed_shape().is_some() && !wanted.contains(&0) {
            let known = wanted
                .iter()
                .filter(|&&dim| dim != -1)
                .try_fold(1usize, |known, &dim| known.checked_mul(usize::try_from(dim).ok()?));
            let elements = input.tensor.elements();
            let fits = known.is_some_and(|known| match open {
                0 => elements == known,
                _ => elements.is_multiple_of(known),
            });
            if !fits {
                return Err(self.shape_error(input, &format!("as many elements as {wanted:?} has")));
            }
        }
        Ok(())
    }

    fn squeeze(&self, dims: &[i64]) -> Result<()> {
        self.unary(ANY)?;
        let input = self.input(0)?;
        self.axes(dims, input)?;
        let Some(shape) = input.fixed_shape() else { return Ok(()) };
        let rank = shape.len() as i64; // at most MAX_RANK
        for &dim in dims {
            let at = usize::try_from(dim.rem_euclid(rank.max(1))).unwrap_or(0);
            if shape.get(at).is_some_and(|&size| size != 1) {
                return Err(self.error(format!("dimension {dim} of {shape:?} is not 1")));
            }
        }
        Ok(())
    }

    fn quantize(&self) -> Result<()> {
        let (input, output) = (self.input(0)?, self.output(0));
        self.types(input, &[Float32, Int8, UInt8, Int16, Int32])?;
        self.types(output, &[Int8, UInt8, Int16])?;
        self.per_tensor(input)?;
        self.per_tensor(output)
    }

    fn cast(&self) -> Result<()> {
        const CASTABLE: &[DataType] = &[Float32, Float16, Int8, UInt8, Int16, Int32, Int64, Bool];
        self.types(self.input(0)?, CASTABLE)?;
        self.types(self.output(0), CASTABLE)
    }

    fn densify(&self) -> Result<()> {
        let input = self.input(0)?;
        if !input.tensor.is_constant() {
            let label = self.model.tensor_label(input.id);
            return Err(self.error(format!("{label} must be a constant")));
        }
        self.same_type(input, self.output(0))
    }

    fn resize(&self, types: &[DataType]) -> Result<()> {
        let (input, size) = (self.input(0)?, self.input(1)?);
        self.types(input, types)?;
        self.same_type(input, self.output(0))?;
        self.rank(input, 4)?;
        self.types(size, &[Int32])?;
        match size.tensor.constant_integers() {
            Some(size) if size.len() != 2 || size.iter().any(|&side| side < 1) => {
                Err(self.error(format!("cannot resize to {size:?}, needs [height, width]")))
            }
            _ => Ok(()),
        }
    }

    fn detection_post_process(&self) -> Result<()> {
        for at in 0..3 {
            let input = self.input(at)?;
            self.types(input, &[Float32, UInt8, Int8])?;
            self.per_tensor(input)?;
        }
        (0..4).try_for_each(|at| self.types(self.output(at), &[Float32]))
    }

    fn dequantize(&self) -> Result<()> {
        let input = self.input(0)?;
        self.types(input, &[Int8, UInt8, Int16, Float16])?;
        self.types(self.output(0), &[Float32])?;
        if input.tensor.dtype != Float16 && input.tensor.quantization.is_none() {
            let label = self.model.tensor_label(input.id);
            return Err(self.error(format!("{label} has no scale")));
        }
        Ok(())
    }

    fn concatenation(&self, axis: i64) -> Result<()> {
        let (first, output) = (self.input(0)?, self.output(0));
        self.types(first, ANY)?;
        self.same_type(first, output)?;
        let Some(shape) = first.shape() else { return Ok(()) };
        self.axes(&[axis], first)?;
        let axis = axis.rem_euclid((shape.len() as i64).max(1)); // at most MAX_RANK
        let axis = usize::try_from(axis).unwrap_or(0);
        for at in 1..self.node.inputs.len() {
            let operand = self.input(at)?;
            self.same_type(first, operand)?;
            let (Some(a), Some(b)) = (first.fixed_shape(), operand.fixed_shape()) else { continue };
            let differs = |at: usize| at != axis && a[at] != b[at];
            if a.len() != b.len() || (0..a.len()).any(differs) {
                return Err(self.shape_error(
                    operand,
                    &format!("that of input 0, {a:?}, but for dimension {axis}"),
                ));
            }
        }
        Ok(())
    }
}
