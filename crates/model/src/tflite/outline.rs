//! What a file holds, whether it can be run or not: names, shapes and types, and which operators are
//! missing here. Nothing is validated beyond what reading it safely needs.
#![deny(clippy::arithmetic_side_effects)]

use super::reader::{Reader, gather};
use super::{schema, sniff};
use crate::limits::{MAX_OPERANDS, MAX_RANK};
use crate::{Bytes, Error, Metadata, OperatorKind, Result, metadata};

/// The operators and tensors of the main subgraph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outline {
    /// Free text of the file.
    pub description: String,
    /// How many subgraphs the file has; only the first is outlined.
    pub subgraphs: usize,
    /// In order of execution.
    pub operators: Vec<OutlinedOperator>,
    /// All tensors.
    pub tensors: Vec<OutlinedTensor>,
    /// Places of the inputs among the tensors.
    pub inputs: Vec<i32>,
    /// Places of the outputs among the tensors.
    pub outputs: Vec<i32>,
    /// TFLite Model Metadata, where it can be read.
    pub metadata: Option<Metadata>,
}

/// One operator.
#[derive(Clone, Debug, PartialEq)]
pub struct OutlinedOperator {
    /// TensorFlow Lite's name, or `custom operator "Name"`.
    pub name: String,
    /// The version that the file asks for.
    pub version: i32,
    /// Why it cannot be run, where it cannot.
    pub missing: Option<String>,
    /// Places of the operands among the tensors; -1 for one left out.
    pub inputs: Vec<i32>,
    /// Places of the results.
    pub outputs: Vec<i32>,
}

/// One tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct OutlinedTensor {
    /// Its name; may be empty or repeated.
    pub name: String,
    /// Its element type, by TensorFlow Lite's name.
    pub dtype: String,
    /// As the file has it, -1 included.
    pub shape: Vec<i32>,
    /// Bytes of its elements in the file; 0 for what is computed.
    pub stored_bytes: usize,
    /// How many scales it has; 0 where it is not quantized.
    pub scales: usize,
}

/// Outlines a file.
///
/// # Errors
/// `MODEL_FORMAT` for what is no `.tflite` file or is damaged, `OUT_OF_MEMORY` as
/// [`read`](super::read).
pub fn outline(bytes: &Bytes) -> Result<Outline> {
    sniff::check(bytes)?;
    Reader::open(bytes)?.outline()
}

impl Reader<'_> {
    fn outline(mut self) -> Result<Outline> {
        let description = self.text(schema::model::DESCRIPTION, "the description")?;
        let mut outline =
            Outline { description, subgraphs: self.subgraphs()?, ..Outline::default() };
        self.budget.take(self.tensors.len(), size_of::<OutlinedTensor>())?;
        outline.tensors.reserve_exact(self.tensors.len());
        for index in 0..self.tensors.len() {
            let tensor = self.outlined_tensor(index)?;
            outline.tensors.push(tensor);
        }
        self.budget.take(self.operators.len(), size_of::<OutlinedOperator>())?;
        outline.operators.reserve_exact(self.operators.len());
        for index in 0..self.operators.len() {
            let operator = self.outlined_operator(index)?;
            outline.operators.push(operator);
        }
        outline.inputs = self.end_places(schema::subgraph::INPUTS)?;
        outline.outputs = self.end_places(schema::subgraph::OUTPUTS)?;
        let ends = [outline.inputs.len(), outline.outputs.len()];
        // What a file says about itself is of interest even where that is damaged in part.
        outline.metadata = match self.metadata_entry(schema::METADATA_NAME) {
            Ok(Some(range)) => metadata::read(self.file, range, ends, &mut self.budget).ok(),
            _ => None,
        };
        Ok(outline)
    }

    fn outlined_tensor(&mut self, index: usize) -> Result<OutlinedTensor> {
        let table = match self.tensors.get(index) {
            Some(table) => table?,
            None => return Err(Error::format(format!("tensor {index} is missing"))),
        };
        let code = table.scalar(schema::tensor::TYPE, 0u8)?;
        let dtype = match schema::TENSOR_TYPES.get(usize::from(code)) {
            Some(&name) => name.to_owned(),
            None => format!("type {code}"),
        };
        let dims = table.vector::<i32>(schema::tensor::SHAPE, "a tensor's shape")?;
        let shape = self.list(dims.len(), MAX_RANK, dims.iter())?;
        let name = table.string(schema::tensor::NAME, "a tensor's name")?;
        let name = self.own(name)?;
        let buffer = table.scalar(schema::tensor::BUFFER, 0u32)?;
        let stored = match buffer {
            0 => None,
            buffer => self.buffer(buffer, &|| format!("tensor {index}"))?,
        };
        let scales = match table.table(schema::tensor::QUANTIZATION, "a tensor's quantization")? {
            Some(table) => table.vector::<f32>(schema::quantization::SCALE, "scales")?.len(),
            None => 0,
        };
        let stored_bytes = stored.map_or(0, |range| range.len());
        Ok(OutlinedTensor { name, dtype, shape, stored_bytes, scales })
    }

    fn outlined_operator(&mut self, index: usize) -> Result<OutlinedOperator> {
        let table = match self.operators.get(index) {
            Some(table) => table?,
            None => return Err(Error::format(format!("operator {index} is missing"))),
        };
        let code = self.code(index, table)?;
        let name = code.name().into_owned();
        self.budget.take_bytes(name.len().saturating_add(256))?;
        let highest =
            OperatorKind::of(code.builtin, &code.custom).map(OperatorKind::highest_version);
        let missing = match highest {
            None => Some(format!("{name} is not supported")),
            Some(most) if code.version > most => Some(format!(
                "{name} version {} is not supported, versions up to {most} are",
                code.version
            )),
            Some(_) => None,
        };
        let inputs = table.vector::<i32>(schema::operator::INPUTS, "an operator's operands")?;
        let outputs = table.vector::<i32>(schema::operator::OUTPUTS, "an operator's results")?;
        let inputs = self.list(inputs.len(), MAX_OPERANDS, inputs.iter())?;
        let outputs = self.list(outputs.len(), MAX_OPERANDS, outputs.iter())?;
        Ok(OutlinedOperator { name, version: code.version, missing, inputs, outputs })
    }

    /// The numbers of a list that may have `most`, charged to the budget.
    pub(super) fn list(
        &mut self,
        length: usize,
        most: usize,
        numbers: impl ExactSizeIterator<Item = i32>,
    ) -> Result<Vec<i32>> {
        if length > most {
            return Err(Error::format(format!("a list of {length}; the limit is {most}"))
                .with("found", length)
                .with("limit", most));
        }
        self.budget.take_bytes(length.saturating_mul(size_of::<i32>()))?;
        gather(numbers.map(Ok))
    }
}
