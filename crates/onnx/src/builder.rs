//! Builds the model: tensors, constants, operators, and the moves between layouts.
#![deny(clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use achado_model::limits::MAX_RANK;
use achado_model::{
    DataType, Error, Model, Node, Operator, Quantization, Result, Tensor, TensorId,
};

use crate::constant::{Constant, Scaling, elements};
use crate::limits::Budget;
use crate::view::View;

/// A model under construction.
#[derive(Debug)]
pub(crate) struct Builder {
    pub model: Model,
    pub budget: Budget,
    /// Tensors that hold the elements of others in another shape or order.
    moved: BTreeMap<(TensorId, Vec<usize>, Vec<usize>), TensorId>,
    /// Float tensors of quantised ones.
    dequantized: BTreeMap<TensorId, TensorId>,
    /// Quantised tensors of others.
    requantized: BTreeMap<(TensorId, &'static str, u32, i32), TensorId>,
}

impl Scaling {
    fn to_quantization(&self) -> Quantization {
        let Self { scale, zero_point, axis } = self.clone();
        let axis = if scale.len() == 1 { 0 } else { axis };
        Quantization { scale, zero_point, axis }
    }
}

impl Builder {
    pub fn new(budget: Budget) -> Self {
        Self {
            model: Model::default(),
            budget,
            moved: BTreeMap::new(),
            dequantized: BTreeMap::new(),
            requantized: BTreeMap::new(),
        }
    }

    pub fn tensor(&self, id: TensorId) -> &Tensor {
        self.model.tensor(id)
    }

    pub fn shape(&self, id: TensorId) -> &[usize] {
        &self.model.tensor(id).shape
    }

    /// Adds a tensor that is computed or given.
    pub fn add_tensor(
        &mut self,
        name: &str,
        dtype: DataType,
        shape: &[usize],
        quantization: Option<Quantization>,
    ) -> Result<TensorId> {
        elements(shape)?;
        if shape.len() > MAX_RANK {
            return Err(Error::unsupported_type(format!(
                "a tensor of {} dimensions, {shape:?}; operators take {MAX_RANK} at most",
                shape.len()
            ))
            .with("tensor", name));
        }
        self.budget.take(1, size_of::<Tensor>().saturating_add(name.len()).saturating_add(128))?;
        self.model.tensors.push(Tensor {
            name: name.to_owned(),
            dtype,
            shape: shape.to_vec(),
            dynamic: Vec::new(),
            quantization,
            data: None,
        });
        Ok(TensorId(self.model.tensors.len().saturating_sub(1)))
    }

    /// Adds a constant as it is stored.
    pub fn add_constant(&mut self, name: &str, constant: &Constant) -> Result<TensorId> {
        let quantization = constant.scaling.as_ref().map(Scaling::to_quantization);
        let id = self.add_tensor(name, constant.dtype, &constant.shape, quantization)?;
        self.model.tensors[id.0].data = Some(constant.data.clone());
        Ok(id)
    }

    /// A constant of floats as float32 for the operators; float16 and 8-bit integers with one scale
    /// stay what they are in the file, behind a DEQUANTIZE, as TensorFlow Lite's converter writes
    /// it.
    pub fn add_real_constant(&mut self, name: &str, constant: &Constant) -> Result<TensorId> {
        let is_small = match constant.dtype {
            DataType::Float16 => true,
            DataType::Int8 | DataType::UInt8 => {
                constant.scaling.as_ref().is_some_and(|scaling| scaling.per_tensor().is_some())
            }
            _ => false,
        };
        if !is_small {
            return self.add_constant(name, &constant.to_real());
        }
        let small = self.add_constant(&format!("{name}/{}", constant.dtype), constant)?;
        let shape = constant.shape.clone();
        self.emit(Operator::Dequantize, &[small], name, DataType::Float32, &shape, None)
    }

    /// int32 numbers, such as axes.
    pub fn add_integers(&mut self, name: &str, values: &[usize]) -> Result<TensorId> {
        let shape = vec![values.len()];
        self.add_int32(name, shape, values)
    }

    /// int32 numbers of a shape.
    pub fn add_int32(
        &mut self,
        name: &str,
        shape: Vec<usize>,
        values: &[usize],
    ) -> Result<TensorId> {
        // Sizes and places: the limits keep them below 2^31.
        let values = values.iter().map(|&value| i32::try_from(value).unwrap_or(i32::MAX));
        let data = values.flat_map(i32::to_le_bytes).collect();
        self.add_constant(name, &Constant::new(DataType::Int32, shape, data))
    }

    /// Adds an operator with optional operands and one result.
    pub fn emit_optional(
        &mut self,
        operator: Operator,
        inputs: Vec<Option<TensorId>>,
        name: &str,
        dtype: DataType,
        shape: &[usize],
        quantization: Option<Quantization>,
    ) -> Result<TensorId> {
        let output = self.add_tensor(name, dtype, shape, quantization)?;
        let mut inputs = inputs;
        // TensorFlow Lite's kernel counts its operands to see whether there is a bias.
        if matches!(operator, Operator::TransposeConv { .. }) {
            let last =
                inputs.iter().rposition(Option::is_some).map_or(0, |at| at.saturating_add(1));
            inputs.truncate(last);
        }
        self.budget.take(1, size_of::<Node>().saturating_add(64))?;
        self.model.nodes.push(Node { operator, inputs, outputs: vec![output] });
        Ok(output)
    }

    /// Adds an operator with one result.
    pub fn emit(
        &mut self,
        operator: Operator,
        inputs: &[TensorId],
        name: &str,
        dtype: DataType,
        shape: &[usize],
        quantization: Option<Quantization>,
    ) -> Result<TensorId> {
        let inputs = inputs.iter().copied().map(Some).collect();
        self.emit_optional(operator, inputs, name, dtype, shape, quantization)
    }

    /// Adds an operator whose result has the type, shape and scale of its first operand.
    pub fn emit_like(
        &mut self,
        operator: Operator,
        inputs: &[TensorId],
        name: &str,
        shape: &[usize],
    ) -> Result<TensorId> {
        let Tensor { dtype, quantization, .. } = match inputs.first() {
            Some(&first) => self.tensor(first).clone(),
            None => return Err(achado_model::Error::format("an operator without operands")),
        };
        self.emit(operator, inputs, name, dtype, shape, quantization)
    }

    /// The same elements in the same order in another shape.
    pub fn reshape(&mut self, tensor: TensorId, shape: &[usize]) -> Result<TensorId> {
        if self.shape(tensor) == shape {
            return Ok(tensor);
        }
        let key = (tensor, shape.to_vec(), Vec::new());
        if let Some(&known) = self.moved.get(&key) {
            return Ok(known);
        }
        let name = format!("{}/reshaped", self.tensor(tensor).name);
        let new_shape = shape.iter().map(|&dim| i64::try_from(dim).unwrap_or(i64::MAX)).collect();
        let reshaped = self.emit_like(Operator::Reshape { new_shape }, &[tensor], &name, shape)?;
        self.moved.insert(key, reshaped);
        Ok(reshaped)
    }

    /// A tensor of the logical dimensions `order` one by one; moves elements where they lie
    /// otherwise.
    pub fn in_order(&mut self, view: &View, order: &[usize]) -> Result<TensorId> {
        let dims = view.dims();
        let shape: Vec<usize> =
            order.iter().map(|&axis| dims.get(axis).copied().unwrap_or(1)).collect();
        let sequence = view.sequence(order);
        if sequence.iter().copied().eq(0..sequence.len()) {
            return self.reshape(view.tensor, &shape);
        }
        let key = (view.tensor, shape.clone(), sequence.clone());
        if let Some(&known) = self.moved.get(&key) {
            return Ok(known);
        }
        let (source_shape, permutation, moved_shape) =
            self.permutation(view, &sequence).unwrap_or_default();
        let source = self.reshape(view.tensor, &source_shape)?;
        let name = format!("{}/transposed", self.tensor(view.tensor).name);
        let order = self.add_integers(&format!("{name}/order"), &permutation)?;
        let moved = self.emit_like(Operator::Transpose, &[source, order], &name, &moved_shape)?;
        let moved = self.reshape(moved, &shape)?;
        self.moved.insert(key, moved);
        Ok(moved)
    }

    /// The shape that the tensor is transposed in, the permutation, and the shape of the result.
    /// The tensor's own dimensions where they are as fine as the factors, else runs of factors that
    /// stay together as one.
    fn permutation(
        &self,
        view: &View,
        sequence: &[usize],
    ) -> Option<(Vec<usize>, Vec<usize>, Vec<usize>)> {
        let own = self.shape(view.tensor);
        let (shape, permutation) =
            if own.iter().copied().filter(|&dim| dim != 1).eq(view.factors().iter().copied()) {
                // Dimensions of 1 keep their places, the others take turns in theirs.
                let wide: Vec<usize> =
                    (0..own.len()).filter(|&at| own.get(at) != Some(&1)).collect();
                let mut next = sequence.iter();
                let mut permutation: Vec<usize> = (0..own.len()).collect();
                for &place in &wide {
                    let factor = *next.next()?;
                    *permutation.get_mut(place)? = *wide.get(factor)?;
                }
                (own.to_vec(), permutation)
            } else {
                // Runs of the sequence that are neighbours in the tensor, too.
                let mut runs: Vec<(usize, usize)> = Vec::new();
                let mut last = None;
                for &factor in sequence {
                    let size = *view.factors().get(factor)?;
                    match runs.last_mut() {
                        Some((_, whole))
                            if last.map(|last: usize| last.saturating_add(1)) == Some(factor) =>
                        {
                            *whole = whole.checked_mul(size)?;
                        }
                        _ => runs.push((factor, size)),
                    }
                    last = Some(factor);
                }
                let mut sorted: Vec<(usize, usize)> = runs.clone();
                sorted.sort_unstable();
                let shape = sorted.iter().map(|&(_, size)| size).collect();
                let permutation =
                    runs.iter().filter_map(|run| sorted.iter().position(|known| known == run));
                (shape, permutation.collect())
            };
        let moved = permutation.iter().map(|&at| shape.get(at).copied().unwrap_or(1)).collect();
        Some((shape, permutation, moved))
    }

    /// A tensor that holds the logical dimensions one by one in whatever order costs nothing, and
    /// that order.
    pub fn one_by_one(&mut self, view: &View) -> Result<(TensorId, Vec<usize>)> {
        let shape = self.shape(view.tensor);
        if let Some(order) = view.order_in(shape) {
            return Ok((view.tensor, order));
        }
        let order = view.natural_order();
        Ok((self.in_order(view, &order)?, order))
    }

    /// The float tensor of a quantised one, or the tensor itself.
    pub fn dequantize(&mut self, tensor: TensorId) -> Result<TensorId> {
        if !matches!(self.tensor(tensor).dtype, DataType::Int8 | DataType::UInt8 | DataType::Int16)
        {
            return Ok(tensor);
        }
        if let Some(&known) = self.dequantized.get(&tensor) {
            return Ok(known);
        }
        let Tensor { name, shape, .. } = self.tensor(tensor).clone();
        let name = format!("{name}/dequantized");
        let real =
            self.emit(Operator::Dequantize, &[tensor], &name, DataType::Float32, &shape, None)?;
        self.dequantized.insert(tensor, real);
        Ok(real)
    }

    /// The tensor quantised as `dtype` with a scale and a zero point; itself where it is.
    ///
    /// Another scale goes by way of floats, as ONNX says it: TensorFlow Lite's QUANTIZE from
    /// integers to integers rounds its factor to 1/256 (XNNPACK), and is exact for a factor of 1
    /// only.
    pub fn quantize(
        &mut self,
        tensor: TensorId,
        dtype: DataType,
        scale: f32,
        zero_point: i32,
        name: &str,
    ) -> Result<TensorId> {
        let quantization = Quantization::per_tensor(scale, zero_point);
        let found = self.tensor(tensor);
        if found.dtype == dtype && found.quantization.as_ref() == Some(&quantization) {
            return Ok(tensor);
        }
        let key = (tensor, dtype.name(), scale.to_bits(), zero_point);
        if let Some(&known) = self.requantized.get(&key) {
            return Ok(known);
        }
        let shape = found.shape.clone();
        let known = found.quantization.as_ref().and_then(Quantization::as_per_tensor);
        let source = match known {
            Some((known, _)) if known != scale => self.dequantize(tensor)?,
            _ => tensor,
        };
        let id =
            self.emit(Operator::Quantize, &[source], name, dtype, &shape, Some(quantization))?;
        self.requantized.insert(key, id);
        Ok(id)
    }
}
