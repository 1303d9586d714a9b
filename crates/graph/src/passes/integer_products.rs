//! Finds dynamic quantization among float operators, for integer kernels.
//!
//! A model whose activations are quantized while it runs computes whole numbers in float32; ONNX
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

use achado_model::{Activation, DataType, Operator, Result, TensorId};

use crate::{Changed, Graph, IntegerProduct, Kind, Limits, Node, Uses};

const DIV: Operator = Operator::Div { activation: Activation::None };
const SUB: Operator = Operator::Sub { activation: Activation::None };

/// Finds the products. One takes the place of the last operator that it does the work of; the others
/// are folded, as is what nobody reads then. All shapes must be known.
///
/// # Errors
/// None.
pub fn find_integer_products(graph: &mut Graph, _: &Limits) -> Result<Changed> {
    // Few models have any, and the rest is spared the work.
    let has_some = graph.nodes.iter().any(|node| matches!(node.operator, Operator::Round));
    Ok(has_some && find_some(graph))
}

#[inline(never)]
fn find_some(graph: &mut Graph) -> bool {
    let (uses, weights) = (Uses::new(graph), vec![None; graph.tensors.len()]);
    let mut finder = Finder { graph, uses, weights };
    let mut changed = false;
    for index in 0..finder.graph.nodes.len() {
        // A product that took a later place is there already.
        if !finder.graph.nodes[index].is_operator() {
            continue;
        }
        if let Some(mut product) = finder.product(index) {
            let place = finder.join(index, &mut product);
            finder.graph.nodes[place].kind = Kind::IntegerProduct(product);
            changed = true;
        }
    }
    changed
}

struct Finder<'a> {
    graph: &'a mut Graph,
    uses: Uses,
    /// By tensor: the zero point of weights, once it was looked for.
    weights: Vec<Option<Option<i32>>>,
}

impl Finder<'_> {
    /// The product of node `index`, as it stands alone.
    fn product(&mut self, index: usize) -> Option<IntegerProduct> {
        let node = &self.graph.nodes[index];
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
        let quantized = self.quantized(whole)?;
        if let Some(bias) = node.inputs.get(2).copied().flatten() {
            let bias = self.graph.tensor(bias).constant_floats()?;
            let channels = self.graph.tensor(weights).shape.first();
            if channels != Some(&bias.len()) || bias.iter().any(|&bias| bias != 0.0) {
                return None;
            }
        }
        let known = self.weights[weights.0];
        let weight_zero_point = known.unwrap_or_else(|| self.weight_zero_point(weights));
        self.weights[weights.0] = Some(weight_zero_point);
        let (weight_zero_point, factors, bias) = (weight_zero_point?, None, None);
        Some(IntegerProduct { quantized, whole, weight_zero_point, factors, bias, activation })
    }

    /// The tensor of which `id` is another shape, as rows of a matrix are.
    fn before_reshape(&self, id: TensorId) -> TensorId {
        let writer = self.uses.producer(id).map(|writer| &self.graph.nodes[writer]);
        match writer {
            Some(Node { operator: Operator::Reshape { .. }, inputs, .. }) => {
                inputs.first().copied().flatten().unwrap_or(id)
            }
            _ => id,
        }
    }

    /// `x`, scale and zero point of whole numbers.
    fn quantized(&self, whole: TensorId) -> Option<[TensorId; 3]> {
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
        let elements = |id: TensorId| self.graph.tensor(id).elements();
        let sizes = elements(x) == elements(whole) && [scale, zero_point].map(elements) == [1; 2];
        (numbers && signs && sizes && same == zero_point).then_some([x, scale, zero_point])
    }

    /// The operands of the float operator that writes `id`, where it is this one.
    fn operands<const N: usize>(&self, id: TensorId, is: &Operator) -> Option<[TensorId; N]> {
        let node = &self.graph.nodes[self.uses.producer(id)?];
        let is_float = self.graph.tensor(id).dtype == DataType::Float32;
        let operands: Vec<TensorId> = node.inputs.iter().flatten().copied().collect();
        operands.try_into().ok().filter(|_| node.operator == *is && is_float)
    }

    /// The one element of a constant.
    fn number(&self, id: TensorId) -> Option<f32> {
        match self.graph.tensor(id).constant_floats()?[..] {
            [number] => Some(number),
            _ => None,
        }
    }

    /// The zero point of weights that are whole numbers in one range of 256, where no sum of their
    /// products with numbers up to 255 leaves 32 bits.
    fn weight_zero_point(&self, id: TensorId) -> Option<i32> {
        let tensor = self.graph.tensor(id);
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
    fn join(&mut self, index: usize, product: &mut IntegerProduct) -> usize {
        let node = &self.graph.nodes[index];
        let (operator, inputs) = (node.operator.clone(), node.inputs[..2].to_vec());
        let mut place = index;
        if let Some((reader, factors)) = self.tail(place, product, &inputs)
            && let Operator::Mul { activation } = self.graph.nodes[reader].operator
        {
            (product.factors, product.activation) = (Some(factors), activation);
            self.graph.remove(place);
            place = reader;
        }
        if let Some((reader, bias)) = self.tail(place, product, &inputs)
            && let Operator::Add { activation } = self.graph.nodes[reader].operator
            && self.graph.tensor(bias).is_constant()
        {
            (product.bias, product.activation) = (Some(bias), activation);
            self.graph.remove(place);
            place = reader;
        }
        for id in product.quantized {
            self.uses.retain(id);
        }
        if let Some(input) = inputs[0] {
            self.release(input);
        }
        let node = &mut self.graph.nodes[place];
        (node.operator, node.inputs) = (operator, inputs);
        place
    }

    /// The one node that reads the result of node `place`, and its other operand, where that has
    /// one element for each channel, or one for all.
    fn tail(
        &self,
        place: usize,
        product: &IntegerProduct,
        inputs: &[Option<TensorId>],
    ) -> Option<(usize, TensorId)> {
        let &[result] = &self.graph.nodes[place].outputs[..] else { return None };
        let reader = self.uses.sole_consumer(result)?;
        let node = &self.graph.nodes[reader];
        let (&[Some(first), Some(second)], &[output]) = (&node.inputs[..], &node.outputs[..])
        else {
            return None;
        };
        let operand = if first == result { second } else { first };
        let (other, shape) = (self.graph.tensor(operand), &self.graph.tensor(result).shape);
        let elements = other.elements();
        let is_by_channel = other.shape.last() == Some(&elements)
            && Some(&elements) == self.graph.tensor(inputs[1]?).shape.first();
        let fits = other.dtype == DataType::Float32
            && (elements == 1 || is_by_channel)
            && self.graph.tensor(output).shape == *shape
            && product.activation == Activation::None;
        fits.then_some((reader, operand))
    }

    /// One reader of a tensor less: where there is none left, its writer is not needed.
    fn release(&mut self, id: TensorId) {
        if self.uses.release(id) > 0 {
            return;
        }
        let Some(writer) = self.uses.producer(id) else { return };
        self.graph.remove(writer);
        for input in self.graph.nodes[writer].inputs.clone().into_iter().flatten() {
            self.release(input);
        }
    }
}
