//! Rewriting a float network for int8, from the parameters of its activations.

use std::collections::BTreeMap;

use achado_model::{DataType, Model, Node, Operator, Quantization, Result, Tensor, TensorId};

use super::calibrate::Calibration;
use super::role::{Role, Weighted};
use super::weights;

/// The type of a quantized model's inputs and outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IoType {
    /// As the network computes inside.
    Int8,
    /// Pixels as they are: what Model Maker writes and MediaPipe reads.
    #[default]
    UInt8,
    /// A QUANTIZE after each input, a DEQUANTIZE before each output.
    Float32,
}

/// What the rewriting takes beside the model.
pub(crate) struct Plan<'a> {
    pub roles: &'a [Role],
    pub parameters: &'a [Option<Quantization>],
    pub calibration: &'a Calibration,
    pub io_type: IoType,
    pub bias_correction: bool,
    pub per_channel_dense: bool,
}

/// In which form the graph has a tensor of the float model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    Float,
    Int8,
}

struct Rewriter<'a> {
    float: &'a Model,
    plan: &'a Plan<'a>,
    model: Model,
    homes: Vec<Home>,
    /// Where the int8 form of a tensor is, if that is another tensor.
    int8_at: BTreeMap<TensorId, TensorId>,
    /// Converted copies, by tensor and the bits of scale and zero point; none for float32.
    copies: BTreeMap<(TensorId, Option<(u32, i32)>), TensorId>,
    /// Constants that have been replaced where they are.
    replaced: Vec<bool>,
}

/// The int8 form of `float`. Tensors keep their numbers, so that both can be compared; new ones come
/// behind, and those that nothing reads any more stay.
pub(crate) fn rewrite(float: &Model, plan: &Plan<'_>) -> Result<Model> {
    let count = float.tensors.len();
    let mut rewriter = Rewriter {
        float,
        plan,
        model: Model { nodes: Vec::new(), ..float.clone() },
        homes: vec![Home::Float; count],
        int8_at: BTreeMap::new(),
        copies: BTreeMap::new(),
        replaced: vec![false; count],
    };
    rewriter.inputs();
    for (node, &role) in float.nodes.iter().zip(plan.roles) {
        match role {
            Role::Float => rewriter.float_node(node),
            Role::Weighted(weighted) => rewriter.weighted_node(node, weighted),
            Role::Free { .. } | Role::SameAsInput { .. } | Role::AllSame | Role::Fixed(_) => {
                rewriter.integer_node(node, role);
            }
        }
    }
    rewriter.outputs();
    rewriter.model.validate()?;
    Ok(rewriter.model)
}

impl Rewriter<'_> {
    fn parameters(&self, id: TensorId) -> &Quantization {
        self.plan.parameters[id.0].as_ref().expect("tensors of integer operators have parameters")
    }

    fn push_tensor(&mut self, tensor: Tensor) -> TensorId {
        self.model.tensors.push(tensor);
        TensorId(self.model.tensors.len() - 1)
    }

    fn push_conversion(&mut self, operator: Operator, from: TensorId, to: TensorId) {
        self.model.nodes.push(Node { operator, inputs: vec![Some(from)], outputs: vec![to] });
    }

    /// A tensor of another type beside `id`, without elements.
    fn sibling(
        &self,
        id: TensorId,
        suffix: &str,
        dtype: DataType,
        quantization: Option<Quantization>,
    ) -> Tensor {
        let like = self.float.tensor(id);
        let name = format!("{}{suffix}", like.name);
        Tensor { name, dtype, quantization, data: None, ..like.clone() }
    }

    fn make_int8(&mut self, id: TensorId) {
        let quantization = Some(self.parameters(id).clone());
        let tensor = &mut self.model.tensors[id.0];
        tensor.dtype = DataType::Int8;
        tensor.quantization = quantization;
        self.homes[id.0] = Home::Int8;
    }

    /// Inputs of the caller's type.
    fn inputs(&mut self) {
        for id in self.float.inputs.clone() {
            let is_float = self.float.tensor(id).dtype == DataType::Float32;
            if !is_float || self.plan.parameters[id.0].is_none() {
                continue;
            }
            match self.plan.io_type {
                IoType::Float32 => {}
                IoType::Int8 => self.make_int8(id),
                IoType::UInt8 => {
                    let inside = self.parameters(id).clone();
                    self.model.tensors[id.0].dtype = DataType::UInt8;
                    self.model.tensors[id.0].quantization = Some(unsigned(&inside));
                    let int8 = self.sibling(id, "_int8", DataType::Int8, Some(inside));
                    let int8 = self.push_tensor(int8);
                    self.push_conversion(Operator::Quantize, id, int8);
                    self.int8_at.insert(id, int8);
                    self.homes[id.0] = Home::Int8;
                }
            }
        }
    }

    /// Outputs of the caller's type, by their old names.
    fn outputs(&mut self) {
        let mut renamed = BTreeMap::new();
        for id in self.float.outputs.clone() {
            if self.homes[id.0] == Home::Float || renamed.contains_key(&id) {
                continue;
            }
            let inside = self.int8_at.get(&id).copied().unwrap_or(id);
            let (operator, tensor) = match self.plan.io_type {
                IoType::Int8 => continue,
                IoType::UInt8 => {
                    let outside = unsigned(self.parameters(id));
                    (Operator::Quantize, self.sibling(id, "", DataType::UInt8, Some(outside)))
                }
                IoType::Float32 => {
                    (Operator::Dequantize, self.sibling(id, "", DataType::Float32, None))
                }
            };
            // An output that is an input, too, keeps its name.
            if inside == id && !self.float.inputs.contains(&id) {
                self.model.tensors[id.0].name.push_str("_int8");
            }
            let output = self.push_tensor(tensor);
            self.push_conversion(operator, inside, output);
            renamed.insert(id, output);
        }
        let now = |id: &mut TensorId| *id = renamed.get(id).copied().unwrap_or(*id);
        self.model.outputs.iter_mut().for_each(now);
        for signature in &mut self.model.signatures {
            signature.outputs.iter_mut().for_each(|(_, id)| now(id));
        }
    }

    /// A tensor of the float model as int8 with scale and zero point `wanted`.
    fn int8(&mut self, id: TensorId, wanted: &Quantization) -> TensorId {
        let home = self.int8_at.get(&id).copied().unwrap_or(id);
        if self.homes[id.0] == Home::Int8
            && self.model.tensors[home.0].quantization.as_ref() == Some(wanted)
        {
            return home;
        }
        let (scale, zero_point) = wanted.as_per_tensor().expect("activations have one scale");
        let key = (id, Some((scale.to_bits(), zero_point)));
        if let Some(&copy) = self.copies.get(&key) {
            return copy;
        }
        let copy = if let Some(values) = self.float.tensor(id).constant_floats() {
            let constant = weights::quantize_constant(self.float.tensor(id), &values, wanted);
            self.put_constant(id, constant)
        } else {
            let tensor = self.sibling(id, "_int8", DataType::Int8, Some(wanted.clone()));
            let copy = self.push_tensor(tensor);
            self.push_conversion(Operator::Quantize, home, copy);
            copy
        };
        self.copies.insert(key, copy);
        copy
    }

    /// A tensor of the float model as float32.
    fn float(&mut self, id: TensorId) -> TensorId {
        if self.homes[id.0] == Home::Float {
            return id;
        }
        if let Some(&copy) = self.copies.get(&(id, None)) {
            return copy;
        }
        let home = self.int8_at.get(&id).copied().unwrap_or(id);
        let tensor = self.sibling(id, "_float32", DataType::Float32, None);
        let copy = self.push_tensor(tensor);
        self.push_conversion(Operator::Dequantize, home, copy);
        self.copies.insert((id, None), copy);
        copy
    }

    /// Puts a quantized constant where the float one is, unless another operator needs that.
    fn put_constant(&mut self, id: TensorId, constant: Tensor) -> TensorId {
        let readers = self.float.nodes.iter().flat_map(|node| &node.inputs);
        let is_shared = readers.flatten().filter(|&&read| read == id).count() > 1;
        if is_shared || self.replaced[id.0] || self.float.outputs.contains(&id) {
            return self.push_tensor(constant);
        }
        self.replaced[id.0] = true;
        self.model.tensors[id.0] = constant;
        id
    }

    fn float_node(&mut self, node: &Node) {
        let inputs = node.inputs.iter().map(|id| id.map(|id| self.float(id))).collect();
        self.model.nodes.push(Node { inputs, ..node.clone() });
    }

    fn integer_node(&mut self, node: &Node, role: Role) {
        let mut inputs = node.inputs.clone();
        for operand in role.data_operands(&node.operator, node.inputs.len()) {
            let Some(id) = node.inputs[operand] else { continue };
            let wanted = match role {
                Role::AllSame => self.parameters(node.outputs[0]).clone(),
                _ => self.parameters(id).clone(),
            };
            inputs[operand] = Some(self.int8(id, &wanted));
        }
        for &output in &node.outputs {
            self.make_int8(output);
        }
        self.model.nodes.push(Node { inputs, ..node.clone() });
    }

    fn weighted_node(&mut self, node: &Node, weighted: Weighted) {
        let input_id = node.inputs[weighted.input].expect("roles were checked");
        let wanted = self.parameters(input_id).clone();
        let (input_scale, _) = wanted.as_per_tensor().expect("activations have one scale");
        let weights_id = node.inputs[weighted.weights].expect("roles were checked");
        let weights = self.float.tensor(weights_id);
        let values = weights.constant_floats().expect("roles were checked");
        let bias_id = node.inputs.get(weighted.bias).copied().flatten();
        let bias = bias_id.and_then(|id| self.float.tensor(id).constant_floats());

        let one_scale = weighted.is_dense && !self.plan.per_channel_dense;
        let axis = (!one_scale).then_some(weighted.axis);
        let mut scales = weights::scales(&values, &weights.shape, axis);
        if let Some(bias) = &bias {
            weights::fit_bias(&mut scales, bias, input_scale);
        }
        let quantized = weights::quantize(weights, &values, scales.clone(), weighted.axis);

        let mut inputs = node.inputs.clone();
        inputs[weighted.input] = Some(self.int8(input_id, &wanted));
        let outputs = weights.shape[weighted.axis];
        let correction = self
            .plan
            .bias_correction
            .then(|| correction(self.plan, node, weighted, &values, &quantized));
        if bias.is_some() || correction.is_some() {
            let mut sums: Vec<f64> = match &bias {
                Some(bias) => bias.iter().map(|&bias| f64::from(bias)).collect(),
                None => vec![0.0; outputs],
            };
            for (sum, correction) in sums.iter_mut().zip(correction.into_iter().flatten()) {
                *sum += correction;
            }
            let like = match bias_id {
                Some(id) => self.float.tensor(id).clone(),
                None => {
                    let name = format!("{}_bias", self.float.tensor(node.outputs[0]).name);
                    Tensor { name, shape: vec![outputs], ..weights.clone() }
                }
            };
            let tensor = weights::quantize_bias(&like, &sums, &scales, input_scale);
            let id = match bias_id {
                Some(id) => self.put_constant(id, tensor),
                None => self.push_tensor(tensor),
            };
            inputs.resize(inputs.len().max(weighted.bias + 1), None);
            inputs[weighted.bias] = Some(id);
        }
        inputs[weighted.weights] = Some(self.put_constant(weights_id, quantized));
        self.make_int8(node.outputs[0]);
        self.model.nodes.push(Node { inputs, ..node.clone() });
    }
}

/// The same scale over 0..=255.
fn unsigned(quantization: &Quantization) -> Quantization {
    let (scale, zero_point) = quantization.as_per_tensor().expect("activations have one scale");
    Quantization::per_tensor(scale, zero_point + 128)
}

/// What rounding the weights takes from the mean of each output channel: their errors times the mean of
/// the channel that they multiply (Nagel et al. 2019, empirical bias correction). Borders count as the
/// inside does.
///
/// Tried and lost: correcting each layer for the means of its input in an int8 model, too. All layers at
/// once correct the same error again and again: MobileNet V1 0.25 found none of 175 pictures.
fn correction(
    plan: &Plan<'_>,
    node: &Node,
    weighted: Weighted,
    values: &[f32],
    quantized: &Tensor,
) -> Vec<f64> {
    let outputs = quantized.shape[weighted.axis];
    let mut sums = vec![0.0; outputs];
    let input = node.inputs[weighted.input].expect("roles were checked");
    let Some(observed) = plan.calibration.observed(input) else { return sums };
    let means = observed.means();
    let channels = means.len();
    let quantization = quantized.quantization.as_ref().expect("it is quantized");
    let bytes = quantized.data.as_ref().expect("it is constant");
    let channel = weights::channel_of(&quantized.shape, weighted.axis);
    let input_channel: Box<dyn Fn(usize, usize) -> usize> = match node.operator {
        Operator::DepthwiseConv2d { depth_multiplier, .. } => {
            Box::new(move |_, output| output / depth_multiplier.max(1))
        }
        // `[out, kh, kw, in / groups]`: the channels of a group follow each other.
        Operator::Conv2d { .. } => {
            let in_group = quantized.shape.last().copied().unwrap_or(1).max(1);
            let groups = (channels / in_group).max(1);
            let outputs_of_group = (outputs / groups).max(1);
            Box::new(move |index, output| output / outputs_of_group * in_group + index % in_group)
        }
        _ => Box::new(move |index, _| index % channels),
    };
    for (index, (value, &byte)) in values.iter().zip(bytes.iter()).enumerate() {
        let output = channel(index);
        let scale = quantization.scale[if quantization.scale.len() > 1 { output } else { 0 }];
        let input = input_channel(index, output).min(channels - 1);
        let rounded = f64::from(byte as i8) * f64::from(scale);
        sums[output] += (f64::from(*value) - rounded) * means[input];
    }
    sums
}
