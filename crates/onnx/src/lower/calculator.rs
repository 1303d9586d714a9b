//! A node as several operators of the model, written down as formulas on ONNX's dimensions.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{Activation, DataType, Operator, Result};

use super::elementwise::plain;
use crate::constant::{Constant, elements};
use crate::import::{Importer, TensorValue, Value};
use crate::site::Site;
use crate::view::View;

/// The steps of one node. Operands are broadcast as ONNX broadcasts them, and have ONNX's types.
pub(super) struct Calculator<'c, 'a> {
    pub importer: &'c mut Importer<'a>,
    pub site: &'c Site<'a>,
    name: &'a str,
    step: usize,
}

const ADD: Operator = Operator::Add { activation: Activation::None };
const SUB: Operator = Operator::Sub { activation: Activation::None };
const MUL: Operator = Operator::Mul { activation: Activation::None };
const DIV: Operator = Operator::Div { activation: Activation::None };

impl<'c, 'a> Calculator<'c, 'a> {
    pub fn new(importer: &'c mut Importer<'a>, site: &'c Site<'a>) -> Result<Self> {
        let results = &site.node.outputs;
        let name = results.iter().copied().find(|name| !name.is_empty()).unwrap_or_default();
        Ok(Self { importer, site, name, step: 0 })
    }

    /// A name for the next step's result.
    pub fn next_name(&mut self) -> String {
        self.step = self.step.saturating_add(1);
        format!("{}/step {}", self.name, self.step)
    }

    /// Operand `at` in ONNX's type.
    pub fn input(&mut self, at: usize) -> Result<TensorValue> {
        let value = self.importer.tensor_input(self.site, at)?;
        let view = self.importer.as_onnx(&value)?;
        Ok(TensorValue { view, ..value })
    }

    /// A value in ONNX's type.
    pub fn onnx(&mut self, value: &TensorValue) -> Result<TensorValue> {
        let view = self.importer.as_onnx(value)?;
        Ok(TensorValue { view, dtype: value.dtype })
    }

    /// The same, if it is not left out.
    pub fn optional(&mut self, at: usize) -> Result<Option<TensorValue>> {
        match self.site.input_name(at) {
            Some(_) => self.input(at).map(Some),
            None => Ok(None),
        }
    }

    /// A constant as an operand.
    pub fn constant(&mut self, constant: &Constant) -> Result<TensorValue> {
        let name = self.next_name();
        let tensor = self.importer.builder.add_real_or_integers(&name, constant)?;
        let dtype = if constant.is_real() { DataType::Float32 } else { constant.dtype };
        Ok(TensorValue { view: View::plain(tensor, &constant.shape), dtype })
    }

    /// One number of a type.
    pub fn number(&mut self, number: f32, dtype: DataType) -> Result<TensorValue> {
        // Small whole numbers where the type is no float.
        let whole = number as i32;
        let data = match dtype {
            DataType::Int64 => i64::from(whole).to_le_bytes().to_vec(),
            DataType::Int32 => whole.to_le_bytes().to_vec(),
            DataType::Int16 => whole.to_le_bytes()[..2].to_vec(),
            DataType::Int8 | DataType::UInt8 | DataType::Bool => vec![whole.to_le_bytes()[0]],
            DataType::Float32 | DataType::Float16 => number.to_le_bytes().to_vec(),
        };
        let dtype = if dtype == DataType::Float16 { DataType::Float32 } else { dtype };
        self.constant(&Constant::new(dtype, Vec::new(), data))
    }

    /// An operator on each element.
    pub fn map(&mut self, operator: Operator, x: &TensorValue) -> Result<TensorValue> {
        let name = self.next_name();
        let shape = self.importer.builder.shape(x.view.tensor).to_vec();
        let tensor = self.importer.builder.emit_like(operator, &[x.view.tensor], &name, &shape)?;
        Ok(TensorValue { view: x.view.of(tensor), dtype: x.dtype })
    }

    /// The same elements in another type; floats become integers towards zero.
    pub fn cast(&mut self, x: &TensorValue, dtype: DataType) -> Result<TensorValue> {
        if x.dtype == dtype {
            return Ok(x.clone());
        }
        let name = self.next_name();
        let shape = self.importer.builder.shape(x.view.tensor).to_vec();
        let operands = [x.view.tensor];
        let tensor =
            self.importer.builder.emit(Operator::Cast, &operands, &name, dtype, &shape, None)?;
        Ok(TensorValue { view: x.view.of(tensor), dtype })
    }

    fn combined(
        &mut self,
        operator: Operator,
        operands: &[&TensorValue],
        dtype: Option<DataType>,
    ) -> Result<TensorValue> {
        let name = self.next_name();
        let values: Vec<Value> =
            operands.iter().map(|value| Value::Tensor((*value).clone())).collect();
        match plain(self.importer, self.site, &values, operator, &name, dtype)? {
            Value::Tensor(value) => Ok(value),
            _ => Err(self.site.malformed("operands that cannot be combined")),
        }
    }

    /// An operator on pairs of elements.
    pub fn pair(
        &mut self,
        operator: Operator,
        a: &TensorValue,
        b: &TensorValue,
    ) -> Result<TensorValue> {
        self.combined(operator, &[a, b], None)
    }

    /// A comparison.
    pub fn test(
        &mut self,
        operator: Operator,
        a: &TensorValue,
        b: &TensorValue,
    ) -> Result<TensorValue> {
        self.combined(operator, &[a, b], Some(DataType::Bool))
    }

    /// `a` where `condition` holds, else `b`.
    pub fn select(
        &mut self,
        condition: &TensorValue,
        a: &TensorValue,
        b: &TensorValue,
    ) -> Result<TensorValue> {
        self.combined(Operator::SelectV2, &[condition, a, b], None)
    }

    pub fn add(&mut self, a: &TensorValue, b: &TensorValue) -> Result<TensorValue> {
        self.pair(ADD, a, b)
    }

    pub fn sub(&mut self, a: &TensorValue, b: &TensorValue) -> Result<TensorValue> {
        self.pair(SUB, a, b)
    }

    pub fn mul(&mut self, a: &TensorValue, b: &TensorValue) -> Result<TensorValue> {
        self.pair(MUL, a, b)
    }

    pub fn div(&mut self, a: &TensorValue, b: &TensorValue) -> Result<TensorValue> {
        self.pair(DIV, a, b)
    }

    /// An operator on each element and a number.
    pub fn with(
        &mut self,
        operator: Operator,
        x: &TensorValue,
        number: f32,
    ) -> Result<TensorValue> {
        let number = self.number(number, x.dtype)?;
        self.pair(operator, x, &number)
    }

    /// A comparison of each element with a number.
    pub fn test_with(
        &mut self,
        operator: Operator,
        x: &TensorValue,
        number: f32,
    ) -> Result<TensorValue> {
        let number = self.number(number, x.dtype)?;
        self.test(operator, x, &number)
    }

    pub fn plus(&mut self, x: &TensorValue, number: f32) -> Result<TensorValue> {
        self.with(ADD, x, number)
    }

    pub fn times(&mut self, x: &TensorValue, number: f32) -> Result<TensorValue> {
        self.with(MUL, x, number)
    }

    /// `((c[0] x + c[1]) x + c[2]) ...`.
    pub fn polynomial(&mut self, x: &TensorValue, coefficients: &[f32]) -> Result<TensorValue> {
        let mut rest = coefficients.iter();
        let mut sum = self.number(rest.next().copied().unwrap_or(0.0), x.dtype)?;
        for &coefficient in rest {
            sum = self.mul(&sum, x)?;
            sum = self.plus(&sum, coefficient)?;
        }
        Ok(sum)
    }

    /// A reduction of some dimensions, which stay as 1.
    pub fn reduce(
        &mut self,
        operator: Operator,
        x: &TensorValue,
        axes: &[usize],
    ) -> Result<TensorValue> {
        let name = self.next_name();
        let builder = &mut self.importer.builder;
        let (tensor, order) = builder.one_by_one(&x.view)?;
        let places: Vec<usize> = (order.iter().enumerate())
            .filter(|(_, axis)| axes.contains(axis))
            .map(|(place, _)| place)
            .collect();
        let mut shape = builder.shape(tensor).to_vec();
        for &place in &places {
            if let Some(size) = shape.get_mut(place) {
                *size = 1;
            }
        }
        let places = builder.add_integers(&format!("{name}/axes"), &places)?;
        let tensor = builder.emit_like(operator, &[tensor, places], &name, &shape)?;
        Ok(TensorValue { view: View::new(tensor, &shape, &order), dtype: x.dtype })
    }

    /// The index of the first greatest or least element of a dimension, which stays as 1.
    pub fn arg(&mut self, operator: Operator, x: &TensorValue, axis: usize) -> Result<TensorValue> {
        let name = self.next_name();
        let builder = &mut self.importer.builder;
        let (tensor, order) = builder.one_by_one(&x.view)?;
        let place = order.iter().position(|&at| at == axis).unwrap_or(0);
        let mut shape = builder.shape(tensor).to_vec();
        let mut kept = shape.clone();
        shape.remove(place.min(shape.len().saturating_sub(1)));
        if let Some(size) = kept.get_mut(place) {
            *size = 1;
        }
        let place = builder.add_int32(&format!("{name}/axis"), Vec::new(), &[place])?;
        let operands = [tensor, place];
        let tensor = builder.emit(operator, &operands, &name, DataType::Int64, &shape, None)?;
        let tensor = builder.reshape(tensor, &kept)?;
        Ok(TensorValue { view: View::new(tensor, &kept, &order), dtype: DataType::Int64 })
    }

    pub fn mean(&mut self, x: &TensorValue, axes: &[usize]) -> Result<TensorValue> {
        self.reduce(Operator::Mean { keep_dims: true }, x, axes)
    }

    pub fn reshape(&mut self, x: &TensorValue, dims: &[usize]) -> Result<TensorValue> {
        let view = self.importer.reshaped(self.site, &x.view, dims)?;
        Ok(TensorValue { view, dtype: x.dtype })
    }

    pub fn transpose(&self, x: &TensorValue, order: &[usize]) -> TensorValue {
        TensorValue { view: x.view.transpose(order), dtype: x.dtype }
    }

    /// Elements `indices` of dimension `axis`.
    pub fn pick(&mut self, x: &TensorValue, axis: usize, indices: &[usize]) -> Result<TensorValue> {
        let name = self.next_name();
        let builder = &mut self.importer.builder;
        let (tensor, order) = builder.one_by_one(&x.view)?;
        let place = order.iter().position(|&at| at == axis).unwrap_or(0);
        let mut shape = builder.shape(tensor).to_vec();
        if let Some(size) = shape.get_mut(place) {
            *size = indices.len();
        }
        builder.budget.take(indices.len(), 4)?;
        let indices = builder.add_integers(&format!("{name}/indices"), indices)?;
        let operator = Operator::Gather { axis: i64::try_from(place).unwrap_or(0), batch_dims: 0 };
        let tensor = builder.emit_like(operator, &[tensor, indices], &name, &shape)?;
        Ok(TensorValue { view: View::new(tensor, &shape, &order), dtype: x.dtype })
    }

    /// Elements of `x` in the order of its dimensions, one for each of `places`, as `dims`.
    pub fn pick_flat(
        &mut self,
        x: &TensorValue,
        places: &[usize],
        dims: &[usize],
    ) -> Result<TensorValue> {
        let count: usize = x.view.dims().iter().product();
        let flat = self.reshape(x, &[count])?;
        let picked = self.pick(&flat, 0, places)?;
        self.reshape(&picked, dims)
    }

    /// Elements of `x`, which has one dimension, at `indices` that are computed.
    pub fn look_up(&mut self, x: &TensorValue, indices: &TensorValue) -> Result<TensorValue> {
        self.look_up_rows(x, indices, 0)
    }

    /// Entries of dimension `batch_dims` of `x` at computed indices; the dimensions before it are
    /// those of the indices, too.
    pub fn look_up_rows(
        &mut self,
        x: &TensorValue,
        indices: &TensorValue,
        batch_dims: usize,
    ) -> Result<TensorValue> {
        let name = self.next_name();
        let (dims, index_dims) = (x.view.dims(), indices.view.dims());
        let plain = |rank: usize| (0..rank).collect::<Vec<_>>();
        let builder = &mut self.importer.builder;
        let tensor = builder.in_order(&x.view, &plain(dims.len()))?;
        let index = builder.in_order(&indices.view, &plain(index_dims.len()))?;
        let mut shape = index_dims;
        shape.extend(dims.iter().skip(batch_dims.saturating_add(1)));
        let batch = i64::try_from(batch_dims).unwrap_or(0);
        let operator = Operator::Gather { axis: batch, batch_dims: batch };
        let tensor = builder.emit_like(operator, &[tensor, index], &name, &shape)?;
        Ok(TensorValue { view: View::plain(tensor, &shape), dtype: x.dtype })
    }

    /// `parts` one after the other along a dimension.
    pub fn join(&mut self, parts: &[TensorValue], axis: usize) -> Result<TensorValue> {
        let name = self.next_name();
        let Some(first) = parts.first() else { return Err(self.site.malformed("no parts")) };
        let mut dims = first.view.dims();
        let order: Vec<usize> = (0..dims.len()).collect();
        let mut tensors = Vec::with_capacity(parts.len());
        let mut total = 0usize;
        for part in parts {
            total = total.saturating_add(part.view.dims().get(axis).copied().unwrap_or(0));
            tensors.push(self.importer.builder.in_order(&part.view, &order)?);
        }
        if let Some(size) = dims.get_mut(axis) {
            *size = total;
        }
        let operator = Operator::Concatenation {
            axis: i64::try_from(axis).unwrap_or(0),
            activation: Activation::None,
        };
        let tensor = self.importer.builder.emit_like(operator, &tensors, &name, &dims)?;
        Ok(TensorValue { view: View::plain(tensor, &dims), dtype: first.dtype })
    }

    /// Matrix products over the last two dimensions; the others are the same or 1.
    pub fn product(&mut self, a: &TensorValue, b: &TensorValue) -> Result<TensorValue> {
        let name = self.next_name();
        let (a_dims, b_dims) = (a.view.dims(), b.view.dims());
        let (Some((a_batch, &[rows, _])), Some((b_batch, &[_, columns]))) =
            (a_dims.split_last_chunk(), b_dims.split_last_chunk())
        else {
            return Err(self.site.malformed("a product of other than matrices"));
        };
        let mut shape = super::elementwise::broadcast_dims(self.site, &[a_batch, b_batch])?;
        shape.extend([rows, columns]);
        let plain = |rank: usize| (0..rank).collect::<Vec<_>>();
        let builder = &mut self.importer.builder;
        let a = builder.in_order(&a.view, &plain(a_dims.len()))?;
        let b = builder.in_order(&b.view, &plain(b_dims.len()))?;
        let operator = Operator::BatchMatmul { adj_x: false, adj_y: false };
        let tensor = builder.emit_like(operator, &[a, b], &name, &shape)?;
        Ok(TensorValue { view: View::plain(tensor, &shape), dtype: DataType::Float32 })
    }

    /// Elements from `start` on of a dimension, each `step`-th, `count` of them.
    pub fn part(
        &mut self,
        x: &TensorValue,
        axis: usize,
        start: usize,
        step: usize,
        count: usize,
    ) -> Result<TensorValue> {
        let mut ranges: Vec<crate::fold::shapes::Range> = (x.view.dims().iter())
            .map(|&count| crate::fold::shapes::Range { start: 0, step: 1, count })
            .collect();
        if let Some(range) = ranges.get_mut(axis) {
            let step = i64::try_from(step).unwrap_or(1);
            *range = crate::fold::shapes::Range { start, step, count };
        }
        let name = self.next_name();
        let view = self.importer.pick(self.site, &x.view, &ranges, &name)?;
        Ok(TensorValue { view, dtype: x.dtype })
    }

    /// `x` with `before` and `after` elements of `fill` around each dimension.
    pub fn pad(&mut self, x: &TensorValue, pads: &[[usize; 2]], fill: f32) -> Result<TensorValue> {
        if pads.iter().all(|pads| *pads == [0, 0]) {
            return Ok(x.clone());
        }
        let name = self.next_name();
        let fill = self.number(fill, x.dtype)?;
        let builder = &mut self.importer.builder;
        let (tensor, order) = builder.one_by_one(&x.view)?;
        let sides: Vec<[usize; 2]> =
            order.iter().map(|&axis| pads.get(axis).copied().unwrap_or([0; 2])).collect();
        let shape: Vec<usize> = (builder.shape(tensor).iter().zip(&sides))
            .map(|(&size, [before, after])| size.saturating_add(*before).saturating_add(*after))
            .collect();
        elements(&shape)?;
        let amounts = sides.as_flattened();
        let paddings = format!("{name}/paddings");
        let paddings = builder.add_int32(&paddings, vec![sides.len(), 2], amounts)?;
        let fill = builder.reshape(fill.view.tensor, &[1])?;
        let operands = [tensor, paddings, fill];
        let tensor = builder.emit_like(Operator::PadV2, &operands, &name, &shape)?;
        Ok(TensorValue { view: View::new(tensor, &shape, &order), dtype: x.dtype })
    }

    /// Integers of 8 and 16 bits as int32, for operators that the model has for quantised ones only.
    pub fn widened(&mut self, x: &TensorValue) -> Result<TensorValue> {
        match x.dtype {
            DataType::Int8 | DataType::UInt8 | DataType::Int16 => self.cast(x, DataType::Int32),
            _ => Ok(x.clone()),
        }
    }

    /// `|x|^p`.
    pub fn power(&mut self, x: &TensorValue, p: f32) -> Result<TensorValue> {
        if p == 2.0 {
            return self.map(Operator::Square, x);
        }
        let size = self.map(Operator::Abs, x)?;
        if p == 1.0 { Ok(size) } else { self.with(Operator::Pow, &size, p) }
    }

    /// The `p`-th root of what is not negative.
    pub fn root(&mut self, x: &TensorValue, p: f32) -> Result<TensorValue> {
        if p == 2.0 {
            return self.map(Operator::Sqrt, x);
        }
        if p == 1.0 { Ok(x.clone()) } else { self.with(Operator::Pow, x, 1.0 / p) }
    }

    /// Result `at` is a value; nothing happens where nobody asks for it.
    pub fn give(&mut self, at: usize, value: TensorValue) {
        let name = self.site.node.outputs.get(at).copied().unwrap_or_default();
        if !name.is_empty() {
            self.importer.bind(name, Value::Tensor(value));
        }
    }

    /// Whether anybody asks for result `at`.
    pub fn is_asked(&self, at: usize) -> bool {
        self.site.output_name(at).is_ok_and(|name| {
            self.importer.is_output(name) || !self.importer.readers(name).is_empty()
        })
    }
}
