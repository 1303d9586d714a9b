//! Finds dynamic quantisation among float operators, for integer kernels.
//!
//! A model whose activations are quantised while it runs computes whole numbers in float32; ONNX
//! models are converted to this:
//!
//! ```text
//! zero point = MINIMUM(ROUND(DIV(SUB(0, MINIMUM(_, 0)), MAXIMUM(_, least))), 255)     least > 0
//! whole      = MINIMUM(MAXIMUM(ROUND(DIV(x, scale)), SUB(0, zero point)), SUB(255, zero point))
//! result     = ADD(MUL(CONV_2D(whole, whole weights), factors), bias)
//! ```
//!
//! The pattern itself proves what integers need, whatever is in its open places: the dividend is
//! not negative and the divisor positive, and MINIMUM and MAXIMUM give their second operand where
//! the first is NaN, so the zero point is a whole number from 0 to 255, and `whole + zero point`
//! is one, too. Operands in another order prove nothing; such operators stay as they are. (Relaxed
//! SIMD lets NaN through at times: the elements are then any uint8.)
//!
//! Integer sums are exact, those of floats below 2^24 only. MUL and ADD round as they did.

use achado_model::{Activation, DataType, Model, Node, Operator, TensorId};

use super::readers::Readers;

/// A CONV_2D or FULLY_CONNECTED, without bias, of what is quantised dynamically.
pub(crate) struct Product {
    /// `x`, scale and zero point; the latter two have one element.
    pub quantised: [TensorId; 3],
    /// The whole numbers, of which no tensor needs to be made.
    pub whole: TensorId,
    /// What makes uint8 of the weights when it is added to them.
    pub weight_zero_point: i32,
    /// What the sums are multiplied by: one for each channel, or one for all.
    pub factors: Option<TensorId>,
    /// The constant that is added then: one for each channel, or one for all.
    pub bias: Option<TensorId>,
    pub activation: Activation,
}

const DIV: Operator = Operator::Div { activation: Activation::None };
const SUB: Operator = Operator::Sub { activation: Activation::None };

/// The products of a model, by node. A product takes the place of the last operator that it does
/// the work of; the others are marked in `folded`, as is what nobody reads then.
pub(crate) fn find(model: &mut Model, folded: &mut [bool]) -> Vec<Option<Product>> {
    let mut products: Vec<Option<Product>> = model.nodes.iter().map(|_| None).collect();
    // Few models have any, and the rest is spared the work.
    if model.nodes.iter().any(|node| matches!(node.operator, Operator::Round)) {
        find_some(model, folded, &mut products);
    }
    products
}

#[inline(never)]
fn find_some(model: &mut Model, folded: &mut [bool], products: &mut [Option<Product>]) {
    let mut graph = Graph::new(model, folded);
    for index in 0..products.len() {
        // A product that took a later place is there already.
        if graph.folded[index] || products[index].is_some() {
            continue;
        }
        if let Some(mut product) = graph.product(index) {
            let place = graph.join(index, &mut product);
            products[place] = Some(product);
        }
    }
}

struct Graph<'a> {
    model: &'a mut Model,
    folded: &'a mut [bool],
    readers: Readers,
    /// By tensor: the node that writes it.
    writer: Vec<Option<usize>>,
    /// By tensor: the zero point of weights, once it was looked for.
    weights: Vec<Option<Option<i32>>>,
}

impl<'a> Graph<'a> {
    fn new(model: &'a mut Model, folded: &'a mut [bool]) -> Self {
        let mut writer = vec![None; model.tensors.len()];
        for (index, node) in model.nodes.iter().enumerate().filter(|&(i, _)| !folded[i]) {
            for id in &node.outputs {
                writer[id.0] = Some(index);
            }
        }
        let readers = Readers::new(model, folded);
        let weights = vec![None; model.tensors.len()];
        Self { model, folded, readers, writer, weights }
    }

    /// The product of node `index`, as it stands alone.
    fn product(&mut self, index: usize) -> Option<Product> {
        let node = &self.model.nodes[index];
        let (Operator::Conv2d { activation, .. } | Operator::FullyConnected { activation, .. }) =
            node.operator
        else {
            return None;
        };
        let (&[Some(input), Some(weights)] | &[Some(input), Some(weights), _]) = &node.inputs[..]
        else {
            return None;
        };
        let whole = self.before_reshape(input);
        let quantised = self.quantised(whole)?;
        if let Some(bias) = node.inputs.get(2).copied().flatten() {
            let bias = self.model.tensor(bias).constant_floats()?;
            let channels = self.model.tensor(weights).shape.first();
            if channels != Some(&bias.len()) || bias.iter().any(|&bias| bias != 0.0) {
                return None;
            }
        }
        let known = self.weights[weights.0];
        let weight_zero_point = known.unwrap_or_else(|| self.weight_zero_point(weights));
        self.weights[weights.0] = Some(weight_zero_point);
        let (weight_zero_point, factors, bias) = (weight_zero_point?, None, None);
        Some(Product { quantised, whole, weight_zero_point, factors, bias, activation })
    }

    /// The tensor of which `id` is another shape, as rows of a matrix are.
    fn before_reshape(&self, id: TensorId) -> TensorId {
        let writer = self.writer[id.0].map(|writer| &self.model.nodes[writer]);
        match writer {
            Some(Node { operator: Operator::Reshape { .. }, inputs, .. }) => {
                inputs[0].unwrap_or(id)
            }
            _ => id,
        }
    }

    /// `x`, scale and zero point of whole numbers.
    fn quantised(&self, whole: TensorId) -> Option<[TensorId; 3]> {
        let [above, high] = self.operands(whole, &Operator::Minimum)?;
        let [rounded, low] = self.operands(above, &Operator::Maximum)?;
        let [quotient] = self.operands(rounded, &Operator::Round)?;
        let [x, scale] = self.operands(quotient, &DIV)?;
        let [zero, zero_point] = self.operands(low, &SUB)?;
        let [limit, same] = self.operands(high, &SUB)?;

        let [steps, greatest] = self.operands(zero_point, &Operator::Minimum)?;
        let [steps] = self.operands(steps, &Operator::Round)?;
        let [below, divisor] = self.operands(steps, &DIV)?;
        let [none, min] = self.operands(below, &SUB)?;
        let [_, most] = self.operands(min, &Operator::Minimum)?;
        let [_, least] = self.operands(divisor, &Operator::Maximum)?;

        let is = |id: TensorId, number: f32| self.number(id) == Some(number);
        let numbers = is(zero, 0.0) && is(limit, 255.0) && is(greatest, 255.0);
        let signs = is(none, 0.0) && is(most, 0.0) && self.number(least)? > 0.0;
        let elements = |id: TensorId| self.model.tensor(id).elements();
        let sizes = elements(x) == elements(whole) && [scale, zero_point].map(elements) == [1; 2];
        (numbers && signs && sizes && same == zero_point).then_some([x, scale, zero_point])
    }

    /// The operands of the float operator that writes `id`, where it is this one.
    fn operands<const N: usize>(&self, id: TensorId, is: &Operator) -> Option<[TensorId; N]> {
        let node = &self.model.nodes[self.writer[id.0]?];
        let is_float = self.model.tensor(id).dtype == DataType::Float32;
        let operands: Vec<TensorId> = node.inputs.iter().flatten().copied().collect();
        operands.try_into().ok().filter(|_| node.operator == *is && is_float)
    }

    /// The one element of a constant.
    fn number(&self, id: TensorId) -> Option<f32> {
        match self.model.tensor(id).constant_floats()?[..] {
            [number] => Some(number),
            _ => None,
        }
    }

    /// The zero point of weights that are whole numbers in one range of 256, where no sum of their
    /// products with numbers up to 255 leaves 32 bits.
    fn weight_zero_point(&self, id: TensorId) -> Option<i32> {
        let tensor = self.model.tensor(id);
        let values = tensor.constant_floats()?;
        let (mut min, mut max) = (0.0f32, 0.0f32);
        for &value in &values {
            // Neither is NaN.
            if value.fract() != 0.0 {
                return None;
            }
            (min, max) = (min.min(value), max.max(value));
        }
        if max - min > 255.0 {
            return None;
        }
        let products = values.len().checked_div(*tensor.shape.first()?)?;
        let largest = products.checked_mul(max.max(-min) as usize * 255)?;
        i32::try_from(largest).ok().map(|_| -min as i32)
    }

    /// Takes what follows node `index` into its product, and drops what nobody reads any more; the
    /// place of the product then.
    fn join(&mut self, index: usize, product: &mut Product) -> usize {
        let node = &self.model.nodes[index];
        let (operator, inputs) = (node.operator.clone(), node.inputs[..2].to_vec());
        let mut place = index;
        if let Some((reader, factors)) = self.tail(place, product, &inputs)
            && let Operator::Mul { activation } = self.model.nodes[reader].operator
        {
            (product.factors, product.activation) = (Some(factors), activation);
            self.folded[place] = true;
            place = reader;
        }
        if let Some((reader, bias)) = self.tail(place, product, &inputs)
            && let Operator::Add { activation } = self.model.nodes[reader].operator
            && self.model.tensor(bias).is_constant()
        {
            (product.bias, product.activation) = (Some(bias), activation);
            self.folded[place] = true;
            place = reader;
        }
        for id in product.quantised {
            self.readers.count[id.0] += 1;
        }
        if let Some(input) = inputs[0] {
            self.release(input);
        }
        let node = &mut self.model.nodes[place];
        (node.operator, node.inputs) = (operator, inputs);
        place
    }

    /// The one node that reads the result of node `place`, and its other operand, where that has
    /// one element for each channel, or one for all.
    fn tail(
        &self,
        place: usize,
        product: &Product,
        inputs: &[Option<TensorId>],
    ) -> Option<(usize, TensorId)> {
        let &[result] = &self.model.nodes[place].outputs[..] else { return None };
        let reader = self.readers.only(result)?;
        let node = &self.model.nodes[reader];
        let (&[Some(first), Some(second)], &[output]) = (&node.inputs[..], &node.outputs[..])
        else {
            return None;
        };
        let operand = if first == result { second } else { first };
        let (other, shape) = (self.model.tensor(operand), &self.model.tensor(result).shape);
        let elements = other.elements();
        let is_by_channel = other.shape.last() == Some(&elements)
            && Some(&elements) == self.model.tensor(inputs[1]?).shape.first();
        let fits = other.dtype == DataType::Float32
            && (elements == 1 || is_by_channel)
            && self.model.tensor(output).shape == *shape
            && product.activation == Activation::None;
        fits.then_some((reader, operand))
    }

    /// One reader of a tensor less: where there is none left, its writer is not needed.
    fn release(&mut self, id: TensorId) {
        self.readers.count[id.0] -= 1;
        let Some(writer) = self.writer[id.0].filter(|_| self.readers.count[id.0] == 0) else {
            return;
        };
        self.folded[writer] = true;
        for input in self.model.nodes[writer].inputs.clone().into_iter().flatten() {
            self.release(input);
        }
    }
}
