//! Operators spelled out by several, which one kernel computes in one pass: SiLU, layer and RMS
//! normalization. Of floats only: integers are rounded between the parts.
//!
//! A normalization is recognised by what it computes, not by how that is written: from a MEAN on, each
//! tensor is followed as a sum of terms, and the one that is `gamma * (x - mean) / deviation + beta`
//! takes the place of all others.

use achado_model::{Activation, DataType, Operator, Result, TensorId};

use crate::{Changed, Graph, Kind, Limits, Normalization, Pattern, Uses};

/// Nodes behind a MEAN that may belong to a normalization.
const MOST_NODES: usize = 24;

/// Finds patterns: the node that writes their result is one then, and those that nobody else reads
/// are folded. All shapes must be known.
///
/// # Errors
/// None.
pub fn find_patterns(graph: &mut Graph, _: &Limits) -> Result<Changed> {
    let mut changed = false;
    let uses = Uses::new(graph);
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        if !node.is_operator() {
            continue;
        }
        let found = match node.operator {
            Operator::Logistic => silu(graph, &uses, index),
            Operator::Mean { .. } => normalization(graph, index),
            _ => None,
        };
        if let Some(Found { nodes: [first, last], input, pattern }) = found {
            graph.nodes[last].inputs = vec![Some(input)];
            graph.nodes[last].kind = Kind::Pattern(pattern);
            fold_unread(graph, first..last);
            changed = true;
        }
    }
    Ok(changed)
}

/// A pattern from the first of its nodes to the last, which gives the result.
struct Found {
    nodes: [usize; 2],
    input: TensorId,
    pattern: Pattern,
}

/// Folds those of the nodes that nobody reads.
fn fold_unread(graph: &mut Graph, nodes: std::ops::Range<usize>) {
    let mut uses = Uses::new(graph);
    for index in nodes.rev() {
        let node = &graph.nodes[index];
        if !node.is_folded() && node.outputs.iter().all(|&output| uses.count(output) == 0) {
            for &input in node.inputs.iter().flatten() {
                uses.release(input);
            }
            graph.remove(index);
        }
    }
}

/// The one float operand of a node, and its result.
fn operand_of(graph: &Graph, index: usize) -> Option<[TensorId; 2]> {
    let node = &graph.nodes[index];
    let (&Some(input), &[output]) = (node.inputs.first()?, &node.outputs[..]) else { return None };
    let is_float = [input, output].iter().all(|&id| graph.tensor(id).dtype == DataType::Float32);
    is_float.then_some([input, output])
}

/// `x * logistic(x)`.
fn silu(graph: &Graph, uses: &Uses, index: usize) -> Option<Found> {
    let [input, output] = operand_of(graph, index)?;
    let last = uses.sole_consumer(output)?;
    let node = &graph.nodes[last];
    let is_product = node.operator == Operator::Mul { activation: Activation::None };
    let operands = [[Some(input), Some(output)], [Some(output), Some(input)]];
    (is_product && operands.iter().any(|operands| node.inputs == operands)).then_some(Found {
        nodes: [index, last],
        input,
        pattern: Pattern::Silu,
    })
}

/// Constants, one or one for each channel.
type Factors = Vec<f32>;

/// What a tensor is, as far as that is known.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    /// `([x, mean, 1] + [x, mean, 1] / deviation) . factors`; empty factors are 0.
    Sum([Factors; 6]),
    /// The mean of squares of `x`, or of `x - mean`, and a number.
    Variance { is_centered: bool, epsilon: f32 },
    /// The root of that.
    Deviation { is_centered: bool, epsilon: f32 },
    /// `x` squared, or `x - mean`.
    Square { is_centered: bool },
}

const X: usize = 0;
const MEAN: usize = 1;
const ONE: usize = 2;
/// What is divided by the deviation comes after what is not.
const DIVIDED: usize = 3;

fn term(at: usize, factors: Factors) -> Value {
    let mut sum: [Factors; 6] = Default::default();
    sum[at] = factors;
    Value::Sum(sum)
}

/// Two lists of factors, element by element.
fn pairs(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> Option<Factors> {
    let len = a.len().max(b.len());
    let fits = |list: &[f32]| list.len() == len || list.len() == 1;
    let at = |list: &[f32], i: usize| list[if list.len() == 1 { 0 } else { i }];
    (fits(a) && fits(b)).then(|| (0..len).map(|i| f(at(a, i), at(b, i))).collect())
}

/// `a + sign * b`.
fn added(a: &[f32], b: &[f32], sign: f32) -> Option<Factors> {
    match (a.is_empty(), b.is_empty()) {
        (_, true) => Some(a.to_vec()),
        (true, _) => Some(b.iter().map(|b| sign * b).collect()),
        _ => pairs(a, b, |a, b| a + sign * b),
    }
}

/// What is found on the way from a MEAN.
struct Walk<'a> {
    graph: &'a Graph,
    input: TensorId,
    channels: usize,
    values: Vec<(TensorId, Value)>,
    /// The epsilon and the kind of the one deviation that terms are divided by.
    deviation: Option<(bool, f32)>,
}

impl Walk<'_> {
    fn value(&self, id: TensorId) -> Option<Value> {
        if id == self.input {
            return Some(term(X, vec![1.0]));
        }
        if let Some((_, value)) = self.values.iter().find(|(known, _)| *known == id) {
            return Some(value.clone());
        }
        let tensor = self.graph.tensor(id);
        let elements = tensor.elements();
        let is_by_channel = elements == 1
            || (elements == self.channels && tensor.shape.last() == Some(&self.channels));
        if !is_by_channel {
            return None;
        }
        Some(term(ONE, tensor.constant_floats()?))
    }

    /// Whether a node takes the mean over the last dimension and keeps it.
    fn is_mean_of_rows(&self, index: usize) -> bool {
        let node = &self.graph.nodes[index];
        let Operator::Mean { keep_dims: true } = node.operator else { return false };
        let Some(&Some(input)) = node.inputs.first() else { return false };
        let rank = self.graph.tensor(input).shape.len() as i64;
        let axes = node.inputs.get(1).copied().flatten();
        let axes = axes.and_then(|axes| self.graph.tensor(axes).constant_integers());
        axes.is_some_and(|axes| matches!(axes[..], [axis] if axis == -1 || axis == rank - 1))
    }

    /// Terms over a deviation, the same for all.
    fn divided(&mut self, sum: [Factors; 6], is_centered: bool, epsilon: f32) -> Option<Value> {
        let deviation = *self.deviation.get_or_insert((is_centered, epsilon));
        let [x, mean, one, a, b, c] = sum;
        let is_plain = a.is_empty() && b.is_empty() && c.is_empty();
        (is_plain && deviation == (is_centered, epsilon))
            .then(|| Value::Sum([vec![], vec![], vec![], x, mean, one]))
    }

    fn product(&mut self, a: Value, b: Value) -> Option<Value> {
        let is_number = |sum: &[Factors; 6]| {
            sum.iter().enumerate().all(|(at, factors)| factors.is_empty() || at % 3 == ONE)
        };
        let (Value::Sum(a), Value::Sum(b)) = (a, b) else { return None };
        // x - mean by itself, or x.
        if a == b {
            let only = |factors: &[f32], number: f32| factors.iter().all(|&f| f == number);
            let rest = a[ONE..].iter().all(Vec::is_empty);
            if rest && !a[X].is_empty() && only(&a[X], 1.0) && only(&a[MEAN], -1.0) {
                return Some(Value::Square { is_centered: !a[MEAN].is_empty() });
            }
        }
        // Numbers by a sum; one of the two divided.
        let (numbers, sum) = if is_number(&b) { (b, a) } else { (a, b) };
        if !is_number(&numbers) {
            return None;
        }
        let mut result: [Factors; 6] = Default::default();
        for (at, factors) in sum.iter().enumerate().filter(|(_, factors)| !factors.is_empty()) {
            for by in [ONE, DIVIDED + ONE] {
                if numbers[by].is_empty() {
                    continue;
                }
                let place = match (at >= DIVIDED, by >= DIVIDED) {
                    (true, true) => return None,
                    (false, true) => at + DIVIDED,
                    _ => at,
                };
                let product = pairs(factors, &numbers[by], |a, b| a * b)?;
                result[place] = added(&result[place], &product, 1.0)?;
            }
        }
        Some(Value::Sum(result))
    }

    fn sum(a: Value, b: Value, sign: f32) -> Option<Value> {
        match (a, b) {
            (Value::Sum(a), Value::Sum(b)) => {
                let mut result: [Factors; 6] = Default::default();
                for ((result, a), b) in result.iter_mut().zip(&a).zip(&b) {
                    *result = added(a, b, sign)?;
                }
                Some(Value::Sum(result))
            }
            (Value::Variance { is_centered, epsilon }, Value::Sum(b))
            | (Value::Sum(b), Value::Variance { is_centered, epsilon })
                if sign == 1.0 =>
            {
                let is_one = b.iter().enumerate().all(|(at, f)| (at == ONE) != f.is_empty());
                match b[ONE][..] {
                    [more] if is_one => {
                        Some(Value::Variance { is_centered, epsilon: epsilon + more })
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// What a node gives.
    fn step(&mut self, index: usize) -> Option<Value> {
        let node = &self.graph.nodes[index];
        let at = |i: usize| node.inputs.get(i).copied().flatten();
        let first = self.value(at(0)?)?;
        match node.operator {
            Operator::Mean { .. } if self.is_mean_of_rows(index) => match first {
                Value::Square { is_centered } => {
                    Some(Value::Variance { is_centered, epsilon: 0.0 })
                }
                Value::Sum(_) if at(0) == Some(self.input) => Some(term(MEAN, vec![1.0])),
                _ => None,
            },
            Operator::Square => self.product(first.clone(), first),
            Operator::SquaredDifference => {
                let difference = Self::sum(first, self.value(at(1)?)?, -1.0)?;
                let opposite = Self::sum(term(ONE, vec![]), difference.clone(), -1.0)?;
                self.product(difference.clone(), difference)
                    .or_else(|| self.product(opposite.clone(), opposite))
            }
            Operator::Neg => Self::sum(term(ONE, vec![]), first, -1.0),
            Operator::Add { activation: Activation::None } => {
                Self::sum(first, self.value(at(1)?)?, 1.0)
            }
            Operator::Sub { activation: Activation::None } => {
                Self::sum(first, self.value(at(1)?)?, -1.0)
            }
            Operator::Mul { activation: Activation::None } => {
                let second = self.value(at(1)?)?;
                self.product(first, second)
            }
            Operator::Rsqrt => match first {
                Value::Variance { is_centered, epsilon } => {
                    let Value::Sum(one) = term(ONE, vec![1.0]) else { return None };
                    self.divided(one, is_centered, epsilon)
                }
                _ => None,
            },
            Operator::Sqrt => match first {
                Value::Variance { is_centered, epsilon } => {
                    Some(Value::Deviation { is_centered, epsilon })
                }
                _ => None,
            },
            Operator::Div { activation: Activation::None } => match (first, self.value(at(1)?)?) {
                (Value::Sum(sum), Value::Deviation { is_centered, epsilon }) => {
                    self.divided(sum, is_centered, epsilon)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The normalization that a value is.
    fn finished(&self, value: &Value) -> Option<Normalization> {
        let Value::Sum([x, mean, beta, gamma, minus, rest]) = value else { return None };
        let (is_centered, epsilon) = self.deviation?;
        let is_opposite = match is_centered {
            true => gamma.len() == minus.len() && gamma.iter().zip(minus).all(|(a, b)| *a == -*b),
            false => minus.is_empty(),
        };
        let is_alone = x.is_empty() && mean.is_empty() && rest.is_empty();
        (is_alone && is_opposite && !gamma.is_empty()).then(|| Normalization {
            is_centered,
            epsilon,
            gamma: gamma.clone(),
            beta: if beta.is_empty() { vec![0.0] } else { beta.clone() },
        })
    }
}

/// The normalization that begins with the MEAN at `index`, of a tensor or of its squares.
fn normalization(graph: &Graph, index: usize) -> Option<Found> {
    let [of, _] = operand_of(graph, index)?;
    // Squares come before the mean of them.
    let squared = graph.nodes[..index].iter().rev().take(4).enumerate().find_map(|(i, node)| {
        let is_square = node.operator == Operator::Square
            || matches!(node.operator, Operator::Mul { .. })
                // One that is a pattern by now has one operand.
                && matches!(node.inputs[..], [a, b] if a == b);
        let at = index - 1 - i;
        let input = node.inputs.first().copied().flatten()?;
        (is_square && node.outputs[..] == [of] && !node.is_folded()).then_some((input, at))
    });
    let (input, first) = squared.unwrap_or((of, index));
    let tensor = graph.tensor(input);
    let channels = tensor.shape.last().copied().filter(|&channels| channels > 1)?;
    if tensor.is_constant() || tensor.dtype != DataType::Float32 {
        return None;
    }
    let mut walk = Walk { graph, input, channels, values: Vec::new(), deviation: None };
    if !walk.is_mean_of_rows(index) {
        return None;
    }
    let mut found = None;
    for at in (first..graph.nodes.len()).filter(|&at| !graph.nodes[at].is_folded()).take(MOST_NODES)
    {
        let &[output] = &graph.nodes[at].outputs[..] else { continue };
        if let Some(value) = walk.step(at) {
            if let Some(normalization) = walk.finished(&value)
                && graph.tensor(output).shape == tensor.shape
            {
                let pattern = Pattern::Normalization(normalization);
                found = Some(Found { nodes: [first, at], input, pattern });
            }
            walk.values.push((output, value));
        }
    }
    found
}
