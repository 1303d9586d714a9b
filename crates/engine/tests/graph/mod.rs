//! Graphs for tests, built tensor by tensor.
#![allow(dead_code, reason = "no test needs all of it")]

use std::collections::BTreeMap;

use achado_engine::{Session, SessionOptions};
use achado_model::{
    Bytes, DataType, Model, Node, Operator, Quantization, Result, Tensor, TensorId,
};

/// Builds a graph tensor by tensor.
#[derive(Default)]
pub struct Graph(pub Model);

impl Graph {
    /// A tensor that nothing computes yet.
    pub fn tensor(&mut self, name: &str, dtype: DataType, shape: &[usize]) -> TensorId {
        let shape = shape.to_vec();
        self.0.tensors.push(Tensor {
            name: name.to_owned(),
            dtype,
            shape,
            dynamic: Vec::new(),
            quantization: None,
            data: None,
        });
        TensorId(self.0.tensors.len() - 1)
    }

    /// An input of the model.
    pub fn input(&mut self, name: &str, dtype: DataType, shape: &[usize]) -> TensorId {
        let id = self.tensor(name, dtype, shape);
        self.0.inputs.push(id);
        id
    }

    /// A constant of int32.
    pub fn integers(&mut self, name: &str, shape: &[usize], values: &[i32]) -> TensorId {
        let id = self.tensor(name, DataType::Int32, shape);
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.0.tensors[id.0].data = Some(Bytes::from(bytes));
        id
    }

    /// A constant of float32.
    pub fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> TensorId {
        let id = self.tensor(name, DataType::Float32, shape);
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.0.tensors[id.0].data = Some(Bytes::from(bytes));
        id
    }

    /// Makes a tensor quantised as a whole.
    pub fn quantise(&mut self, id: TensorId, scale: f32, zero_point: i32) {
        self.0.tensors[id.0].quantization = Some(Quantization::per_tensor(scale, zero_point));
    }

    /// A result whose shape the file leaves open.
    pub fn node(
        &mut self,
        operator: Operator,
        name: &str,
        dtype: DataType,
        inputs: &[TensorId],
    ) -> TensorId {
        let output = self.tensor(name, dtype, &[]);
        let inputs = inputs.iter().copied().map(Some).collect();
        self.0.nodes.push(Node { operator, inputs, outputs: vec![output] });
        output
    }

    /// The graph compiled, with input 0 of another `shape`.
    pub fn session(mut self, output: TensorId, shape: Option<&[usize]>) -> Result<Session> {
        self.0.outputs.push(output);
        self.0.validate()?;
        let input_shapes: BTreeMap<_, _> =
            shape.map(|shape| (0, shape.to_vec())).into_iter().collect();
        Session::new(self.0, &SessionOptions { input_shapes, ..SessionOptions::default() })
    }
}

/// Fills an input.
pub fn set(session: &mut Session, input: usize, values: &[f32]) {
    let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    session.input_bytes_mut(input).expect("an input").copy_from_slice(&bytes);
}

/// Output 0.
pub fn floats(session: &Session) -> Vec<f32> {
    let bytes = session.output_bytes(0).expect("an output");
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
