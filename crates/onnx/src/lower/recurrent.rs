//! LSTM, GRU and RNN with constant weights, step by step.
#![deny(clippy::arithmetic_side_effects)]

use std::rc::Rc;

use achado_model::{Activation, DataType, Operator, Result, TensorId};

use super::activation::SUB;
use super::calculator::Calculator;
use crate::constant::Constant;
use crate::import::{Importer, TensorValue};
use crate::site::Site;
use crate::view::View;

/// The most steps: each is operators of its own.
const MAX_STEPS: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lstm,
    Gru,
    Rnn,
}

/// A gate's or a cell's function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Sigmoid,
    Tanh,
    Relu,
}

/// What all directions share.
struct Layer {
    kind: Kind,
    hidden: usize,
    input: usize,
    linear_before_reset: bool,
    couples: bool,
    clip: Option<f32>,
}

/// One direction.
struct Direction {
    functions: Vec<Function>,
    /// `[gates * hidden, input]`.
    weights: TensorId,
    /// `[gates * hidden, hidden]`, by gates where they are apart.
    recurrent: Vec<TensorId>,
    bias: TensorId,
    recurrent_bias: Vec<TensorId>,
    /// Of an LSTM: input, output and forget gate's.
    peepholes: Option<[TensorValue; 3]>,
}

/// LSTM, GRU or RNN.
pub(super) fn lower<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let kind = match site.node.operator {
        "LSTM" => Kind::Lstm,
        "GRU" => Kind::Gru,
        _ => Kind::Rnn,
    };
    let gates: usize = match kind {
        Kind::Lstm => 4,
        Kind::Gru => 3,
        Kind::Rnn => 1,
    };
    let (weights, recurrent) =
        (importer.constant_input(site, 1)?, importer.constant_input(site, 2)?);
    let bias = importer.optional_constant(site, 3)?;
    let hidden = site.size(site.int("hidden_size", 0)?, "hidden_size")?;
    let directions = match site.text("direction", "forward")? {
        "forward" | "reverse" => 1,
        "bidirectional" => 2,
        other => return Err(site.unsupported_attribute("direction", other)),
    };
    let layout = site.int("layout", 0)?;
    let mut c = Calculator::new(importer, site)?;
    let mut x = c.input(0)?;
    if layout == 1 {
        x = c.transpose(&x, &[1, 0, 2]);
    }
    let &[steps, batch, input] = &x.view.dims()[..] else {
        return Err(site.malformed(format!("shape {:?} is no sequence", x.view.dims())));
    };
    let rows = gates.saturating_mul(hidden);
    let fits = weights.shape == [directions, rows, input]
        && recurrent.shape == [directions, rows, hidden]
        && bias.as_ref().is_none_or(|bias| bias.shape == [directions, rows.saturating_mul(2)]);
    if !fits || hidden == 0 {
        return Err(site.malformed(format!(
            "weights of shapes {:?} and {:?} for {directions} directions, {hidden} hidden and \
             {input} inputs",
            weights.shape, recurrent.shape
        )));
    }
    if steps > MAX_STEPS || steps == 0 {
        return Err(site.unsupported(format!("{steps} steps; {MAX_STEPS} are the most")));
    }
    if let Some(lengths) = c.importer.optional_integers(site, 4)?
        && lengths.iter().any(|&length| usize::try_from(length) != Ok(steps))
    {
        return Err(site.unsupported("sequences of different lengths"));
    }
    let layer = Layer {
        kind,
        hidden,
        input,
        linear_before_reset: site.flag("linear_before_reset", false)?,
        couples: site.flag("input_forget", false)?,
        clip: match site.has("clip") {
            true => Some(site.float("clip", 0.0)?),
            false => None,
        },
    };
    let functions = functions(site, kind, directions)?;
    let states = |c: &mut Calculator<'_, 'a>, at: usize| -> Result<Option<TensorValue>> {
        let state = c.optional(at)?;
        Ok(state.map(|state| if layout == 1 { c.transpose(&state, &[1, 0, 2]) } else { state }))
    };
    let hiddens = states(&mut c, 5)?;
    let cells = if kind == Kind::Lstm { states(&mut c, 6)? } else { None };
    let peepholes = match kind {
        Kind::Lstm => c.importer.optional_constant(site, 7)?,
        _ => None,
    };
    let mut all = Vec::with_capacity(directions);
    let (mut last_hidden, mut last_cell) = (Vec::new(), Vec::new());
    for at in 0..directions {
        let direction = direction(
            &mut c,
            &layer,
            at,
            &functions,
            [&weights, &recurrent],
            bias.as_ref(),
            peepholes.as_ref(),
        )?;
        let start = |c: &mut Calculator<'_, 'a>, states: &Option<TensorValue>| match states {
            Some(states) => {
                let one = c.part(states, 0, at, 1, 1)?;
                c.reshape(&one, &[batch, hidden])
            }
            None => {
                let count = batch.saturating_mul(hidden);
                c.importer.builder.budget.take(count, 4)?;
                c.constant(&Constant::from_floats(vec![batch, hidden], &vec![0.0; count]))
            }
        };
        let mut h = start(&mut c, &hiddens)?;
        let mut cell = start(&mut c, &cells)?;
        let is_backward = at == 1 || site.text("direction", "forward")? == "reverse";
        let mut results = Vec::with_capacity(steps);
        for step in 0..steps {
            let step =
                if is_backward { steps.saturating_sub(step).saturating_sub(1) } else { step };
            let now = c.part(&x, 0, step, 1, 1)?;
            let now = c.reshape(&now, &[batch, input])?;
            match kind {
                Kind::Lstm => {
                    (h, cell) = lstm_step(&mut c, &layer, &direction, &now, &h, &cell)?;
                }
                Kind::Gru => h = gru_step(&mut c, &layer, &direction, &now, &h)?,
                Kind::Rnn => h = rnn_step(&mut c, &layer, &direction, &now, &h)?,
            }
            results.push(c.reshape(&h, &[1, 1, batch, hidden])?);
        }
        if is_backward {
            results.reverse();
        }
        if c.is_asked(0) {
            all.push(c.join(&results, 0)?);
        }
        last_hidden.push(c.reshape(&h, &[1, batch, hidden])?);
        last_cell.push(c.reshape(&cell, &[1, batch, hidden])?);
    }
    if c.is_asked(0) {
        // `[steps, directions, batch, hidden]`, or with the batch first.
        let y = c.join(&all, 1)?;
        let y = if layout == 1 { c.transpose(&y, &[2, 0, 1, 3]) } else { y };
        c.give(0, y);
    }
    for (at, states) in [(1, last_hidden), (2, last_cell)] {
        if c.is_asked(at) {
            let state = c.join(&states, 0)?;
            let state = if layout == 1 { c.transpose(&state, &[1, 0, 2]) } else { state };
            c.give(at, state);
        }
    }
    Ok(())
}

/// The functions of each direction.
fn functions(site: &Site<'_>, kind: Kind, directions: usize) -> Result<Vec<Function>> {
    let defaults: &[Function] = match kind {
        Kind::Lstm => &[Function::Sigmoid, Function::Tanh, Function::Tanh],
        Kind::Gru => &[Function::Sigmoid, Function::Tanh],
        Kind::Rnn => &[Function::Tanh],
    };
    let Some(names) = site.texts("activations")?.filter(|names| !names.is_empty()) else {
        return Ok(defaults.repeat(directions));
    };
    if names.len() != defaults.len().saturating_mul(directions) {
        return Err(site.malformed(format!("{} activations", names.len())));
    }
    let function = |name: &String| match &name.to_ascii_lowercase()[..] {
        "sigmoid" => Ok(Function::Sigmoid),
        "tanh" => Ok(Function::Tanh),
        "relu" => Ok(Function::Relu),
        _ => Err(site.unsupported_attribute("activations", name)),
    };
    names.iter().map(function).collect()
}

/// The weights of direction `at`.
fn direction<'a>(
    c: &mut Calculator<'_, 'a>,
    layer: &Layer,
    at: usize,
    functions: &[Function],
    [weights, recurrent]: [&Rc<Constant>; 2],
    bias: Option<&Rc<Constant>>,
    peepholes: Option<&Rc<Constant>>,
) -> Result<Direction> {
    let Layer { kind, hidden, input, .. } = *layer;
    let rows = weights.shape.get(1).copied().unwrap_or(0);
    let slice = |values: &[f32], start: usize, count: usize| -> Vec<f32> {
        values.iter().skip(start).take(count).copied().collect()
    };
    let directions = weights.shape.first().copied().unwrap_or(1);
    let each = functions.len().checked_div(directions).unwrap_or(0);
    let mine = functions.iter().skip(at.saturating_mul(each)).take(each).copied().collect();
    let add = |c: &mut Calculator<'_, 'a>, shape: Vec<usize>, values: &[f32]| {
        Ok::<_, achado_model::Error>(c.constant(&Constant::from_floats(shape, values))?.view.tensor)
    };
    let size = rows.saturating_mul(input);
    let own = slice(&weights.floats(), at.saturating_mul(size), size);
    let weights = add(c, vec![rows, input], &own)?;
    let size = rows.saturating_mul(hidden);
    let own = slice(&recurrent.floats(), at.saturating_mul(size), size);
    let biases = match bias {
        Some(bias) => {
            slice(&bias.floats(), at.saturating_mul(rows.saturating_mul(2)), rows.saturating_mul(2))
        }
        None => vec![0.0; rows.saturating_mul(2)],
    };
    let bias = add(c, vec![rows], &slice(&biases, 0, rows))?;
    // The hidden gate of a GRU stands apart: what it reads is known later.
    let parts: &[(usize, usize)] = match kind {
        Kind::Gru => &[(0, 2), (2, 1)],
        Kind::Lstm => &[(0, 4)],
        Kind::Rnn => &[(0, 1)],
    };
    let (mut recurrent, mut recurrent_bias) = (Vec::new(), Vec::new());
    for &(first, count) in parts {
        let (start, part) = (first.saturating_mul(hidden), count.saturating_mul(hidden));
        let values = slice(&own, start.saturating_mul(hidden), part.saturating_mul(hidden));
        recurrent.push(add(c, vec![part, hidden], &values)?);
        recurrent_bias.push(add(c, vec![part], &slice(&biases, rows.saturating_add(start), part))?);
    }
    let peepholes = match peepholes {
        None => None,
        Some(all) => {
            let all = all.floats();
            let mut gate = |gate: usize| {
                let start = at.saturating_mul(3).saturating_add(gate).saturating_mul(hidden);
                c.constant(&Constant::from_floats(vec![hidden], &slice(&all, start, hidden)))
            };
            Some([gate(0)?, gate(1)?, gate(2)?])
        }
    };
    Ok(Direction { functions: mine, weights, recurrent, bias, recurrent_bias, peepholes })
}

/// `x W + b` for weights `[out, in]`.
fn linear(
    c: &mut Calculator<'_, '_>,
    x: &TensorValue,
    weights: TensorId,
    bias: TensorId,
) -> Result<TensorValue> {
    let plain: Vec<usize> = (0..x.view.rank()).collect();
    let name = c.next_name();
    let builder = &mut c.importer.builder;
    let tensor = builder.in_order(&x.view, &plain)?;
    let out = builder.shape(weights).first().copied().unwrap_or(0);
    let shape = [builder.shape(tensor).first().copied().unwrap_or(1), out];
    let operator = Operator::FullyConnected { activation: Activation::None, keep_num_dims: false };
    let tensor =
        builder.emit(operator, &[tensor, weights, bias], &name, DataType::Float32, &shape, None)?;
    Ok(TensorValue { view: View::plain(tensor, &shape), dtype: DataType::Float32 })
}

fn apply(
    c: &mut Calculator<'_, '_>,
    layer: &Layer,
    function: Option<&Function>,
    x: &TensorValue,
) -> Result<TensorValue> {
    let x = match layer.clip {
        Some(clip) => {
            let x = c.with(Operator::Minimum, x, clip)?;
            c.with(Operator::Maximum, &x, -clip)?
        }
        None => x.clone(),
    };
    let operator = match function.copied().unwrap_or(Function::Tanh) {
        Function::Sigmoid => Operator::Logistic,
        Function::Tanh => Operator::Tanh,
        Function::Relu => Operator::Relu,
    };
    c.map(operator, &x)
}

/// Gate `at` of a row of gates.
fn gate(
    c: &mut Calculator<'_, '_>,
    layer: &Layer,
    gates: &TensorValue,
    at: usize,
) -> Result<TensorValue> {
    c.part(gates, 1, at.saturating_mul(layer.hidden), 1, layer.hidden)
}

/// The parts of the input and of the state, added.
fn gates(
    c: &mut Calculator<'_, '_>,
    direction: &Direction,
    x: &TensorValue,
    h: &TensorValue,
) -> Result<TensorValue> {
    let from_x = linear(c, x, direction.weights, direction.bias)?;
    let (Some(&weights), Some(&bias)) =
        (direction.recurrent.first(), direction.recurrent_bias.first())
    else {
        return Ok(from_x);
    };
    let from_h = linear(c, h, weights, bias)?;
    c.add(&from_x, &from_h)
}

fn rnn_step(
    c: &mut Calculator<'_, '_>,
    layer: &Layer,
    direction: &Direction,
    x: &TensorValue,
    h: &TensorValue,
) -> Result<TensorValue> {
    let sum = gates(c, direction, x, h)?;
    apply(c, layer, direction.functions.first(), &sum)
}

/// Gates in the order input, output, forget, cell.
fn lstm_step(
    c: &mut Calculator<'_, '_>,
    layer: &Layer,
    direction: &Direction,
    x: &TensorValue,
    h: &TensorValue,
    cell: &TensorValue,
) -> Result<(TensorValue, TensorValue)> {
    let all = gates(c, direction, x, h)?;
    let [f, g, h_function] = [0, 1, 2].map(|at| direction.functions.get(at));
    let peep = |c: &mut Calculator<'_, '_>, sum: TensorValue, at: usize, cell: &TensorValue| {
        match &direction.peepholes {
            Some(peepholes) => {
                let seen = c.mul(&peepholes[at], cell)?;
                c.add(&sum, &seen)
            }
            None => Ok(sum),
        }
    };
    let input = gate(c, layer, &all, 0)?;
    let input = peep(c, input, 0, cell)?;
    let input = apply(c, layer, f, &input)?;
    let forget = if layer.couples {
        let one = c.number(1.0, DataType::Float32)?;
        c.sub(&one, &input)?
    } else {
        let forget = gate(c, layer, &all, 2)?;
        let forget = peep(c, forget, 2, cell)?;
        apply(c, layer, f, &forget)?
    };
    let new = gate(c, layer, &all, 3)?;
    let new = apply(c, layer, g, &new)?;
    let (kept, added) = (c.mul(&forget, cell)?, c.mul(&input, &new)?);
    let cell = c.add(&kept, &added)?;
    let output = gate(c, layer, &all, 1)?;
    let output = peep(c, output, 1, &cell)?;
    let output = apply(c, layer, f, &output)?;
    let unclipped = Layer { clip: None, ..*layer };
    let shown = apply(c, &unclipped, h_function, &cell)?;
    Ok((c.mul(&output, &shown)?, cell))
}

/// Gates in the order update, reset, hidden.
fn gru_step(
    c: &mut Calculator<'_, '_>,
    layer: &Layer,
    direction: &Direction,
    x: &TensorValue,
    h: &TensorValue,
) -> Result<TensorValue> {
    let from_x = linear(c, x, direction.weights, direction.bias)?;
    let &[first, second] = &direction.recurrent[..] else {
        return Err(c.site.malformed("weights of a GRU"));
    };
    let &[first_bias, second_bias] = &direction.recurrent_bias[..] else {
        return Err(c.site.malformed("biases of a GRU"));
    };
    let from_h = linear(c, h, first, first_bias)?;
    let both = |c: &mut Calculator<'_, '_>, at: usize| -> Result<TensorValue> {
        let (a, b) = (gate(c, layer, &from_x, at)?, gate(c, layer, &from_h, at)?);
        let sum = c.add(&a, &b)?;
        apply(c, layer, direction.functions.first(), &sum)
    };
    let (update, reset) = (both(c, 0)?, both(c, 1)?);
    let seen = if layer.linear_before_reset {
        let seen = linear(c, h, second, second_bias)?;
        c.mul(&reset, &seen)?
    } else {
        let kept = c.mul(&reset, h)?;
        linear(c, &kept, second, second_bias)?
    };
    let own = gate(c, layer, &from_x, 2)?;
    let new = c.add(&own, &seen)?;
    let new = apply(c, layer, direction.functions.get(1), &new)?;
    // (1 - z) * new + z * h
    let difference = c.pair(SUB, h, &new)?;
    let part = c.mul(&update, &difference)?;
    c.add(&new, &part)
}
