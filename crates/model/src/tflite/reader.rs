//! From the FlatBuffer to a [`Model`].
#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::ops::Range;

use super::operators::{self, Attributes};
use super::{builtin, schema, source_order};
use crate::flatbuffer::{Buffer, Reference, Table, Vector};
use crate::limits::{Budget, MAX_NODES, MAX_OPERANDS, MAX_RANK, MAX_TENSORS};
use crate::{
    Bytes, Error, Metadata, Model, Node, Operator, OperatorKind, Result, Signature, SourceOrder,
    Tensor, TensorId, metadata,
};

/// Characters of a name that a message shows.
const MAX_SHOWN: usize = 120;

/// A file whose root and main subgraph have been found.
pub(crate) struct Reader<'a> {
    pub(super) file: &'a Bytes,
    root: Table<'a>,
    codes: Vector<'a, Reference>,
    pub(super) buffers: Vector<'a, Reference>,
    graph: Table<'a>,
    pub(super) tensors: Vector<'a, Reference>,
    pub(super) operators: Vector<'a, Reference>,
    pub(super) budget: Budget,
}

/// One entry of the operator code table.
pub(super) struct Code<'a> {
    pub builtin: i32,
    pub custom: Cow<'a, str>,
    pub version: i32,
}

impl Code<'_> {
    /// `CONV_2D`, or `custom operator "Name"`.
    pub fn name(&self) -> Cow<'static, str> {
        match builtin::name(self.builtin) {
            Some(_) if self.builtin == builtin::CUSTOM => {
                format!("custom operator {:?}", shorten(&self.custom)).into()
            }
            Some(name) => name.into(),
            None => format!("builtin operator {}", self.builtin).into(),
        }
    }
}

impl<'a> Reader<'a> {
    /// Finds the main subgraph.
    pub fn open(file: &'a Bytes) -> Result<Self> {
        let root = Buffer::new(file, 0).root("the model")?;
        let version = root.scalar(schema::model::VERSION, 0u32)?;
        if version != schema::VERSION {
            return Err(Error::format(format!(
                "the model has schema version {version}; only version {} is read: convert it \
                 again with a current TensorFlow Lite converter",
                schema::VERSION
            ))
            .with("version", f64::from(version)));
        }
        let graph = root
            .tables(schema::model::SUBGRAPHS, "the list of subgraphs")?
            .get(0)
            .unwrap_or_else(|| Err(Error::format("the model has no subgraph")))?;
        let tensors = graph.tables(schema::subgraph::TENSORS, "the list of tensors")?;
        check_count("tensors", tensors.len(), MAX_TENSORS)?;
        let operators = graph.tables(schema::subgraph::OPERATORS, "the list of operators")?;
        check_count("operators", operators.len(), MAX_NODES)?;
        Ok(Self {
            file,
            root,
            codes: root.tables(schema::model::OPERATOR_CODES, "the list of operator codes")?,
            buffers: root.tables(schema::model::BUFFERS, "the list of buffers")?,
            graph,
            tensors,
            operators,
            budget: Budget::for_file(file.len()),
        })
    }

    /// Reads all of it; [`Model::validate`] does the rest.
    pub fn read(mut self) -> Result<Model> {
        // Missing operators come first: they are what a user can act on.
        self.check_operators()?;
        let description = self.root.string(schema::model::DESCRIPTION, "the description")?;
        let mut model = Model { description: self.own(description)?, ..Model::default() };
        self.budget.take(self.tensors.len(), size_of::<Tensor>())?;
        model.tensors.reserve_exact(self.tensors.len());
        for index in 0..self.tensors.len() {
            let tensor = self.tensor(index)?;
            model.tensors.push(tensor);
        }
        self.budget.take(self.operators.len(), size_of::<Node>())?;
        model.nodes.reserve_exact(self.operators.len());
        for (index, table) in self.operators.iter().enumerate() {
            let node = self.node(index, table?, &model.tensors)?;
            model.nodes.push(node);
        }
        model.inputs = self.ends(schema::subgraph::INPUTS, "input")?;
        model.outputs = self.ends(schema::subgraph::OUTPUTS, "output")?;
        self.give_empty_constants(&mut model)?;
        model.signatures = self.signatures()?;
        model.metadata = self.metadata(&model)?;
        model.source_order = self.source_order(&model)?;
        Ok(model)
    }

    /// An owned copy, charged to the budget.
    pub(super) fn own(&mut self, text: Cow<'_, str>) -> Result<String> {
        self.budget.take_bytes(text.len())?;
        Ok(text.into_owned())
    }

    /// `tensor 12 "conv1/w"`.
    pub(super) fn label(&self, index: usize) -> String {
        let name = self
            .tensors
            .get(index)
            .and_then(Result::ok)
            .and_then(|table| table.string(schema::tensor::NAME, "a tensor's name").ok())
            .unwrap_or_default();
        format!("tensor {index} {:?}", shorten(&name))
    }

    fn tensor_id(&self, index: i64, whose: &dyn Fn() -> String) -> Result<TensorId> {
        usize::try_from(index)
            .ok()
            .filter(|&index| index < self.tensors.len())
            .map(TensorId)
            .ok_or_else(|| {
                Error::format(format!(
                    "{} is tensor {index}; the model has {} tensors",
                    whose(),
                    self.tensors.len()
                ))
            })
    }

    /// The operator code of operator number `operator`.
    pub(super) fn code(&self, operator: usize, table: Table<'a>) -> Result<Code<'a>> {
        let index = table.scalar(schema::operator::OPCODE_INDEX, 0u32)?;
        let code = usize::try_from(index)
            .ok()
            .and_then(|index| self.codes.get(index))
            .ok_or_else(|| {
                Error::format(format!(
                    "operator {operator} has operator code {index}; the model has {}",
                    self.codes.len()
                ))
            })??;
        // Codes below 127 stand in the old field, others in the new one and 127 in the old one; old
        // files lack the new field, some new files fill only the new one.
        let old = code.scalar(schema::operator_code::DEPRECATED_BUILTIN_CODE, 0i8)?;
        let new = code.scalar(schema::operator_code::BUILTIN_CODE, 0i32)?;
        let builtin = new.max(i32::from(old));
        // Not read where it means nothing: a damaged file could make it long and common.
        let custom = if builtin == builtin::CUSTOM {
            code.string(schema::operator_code::CUSTOM_CODE, "a custom operator's name")?
        } else {
            Cow::Borrowed("")
        };
        Ok(Code { builtin, custom, version: code.scalar(schema::operator_code::VERSION, 1i32)? })
    }

    fn node(&mut self, index: usize, table: Table<'a>, tensors: &[Tensor]) -> Result<Node> {
        let code = self.code(index, table)?;
        let label = format!("operator {index} {}", code.name());
        let Some(kind) = OperatorKind::of(code.builtin, &code.custom) else {
            return Err(Error::unsupported_operator(format!("{label} is not supported")));
        };
        let inputs = table.vector::<i32>(schema::operator::INPUTS, "an operator's operands")?;
        let outputs = table.vector::<i32>(schema::operator::OUTPUTS, "an operator's results")?;
        check_count("operands of an operator", inputs.len(), MAX_OPERANDS)?;
        check_count("results of an operator", outputs.len(), MAX_OPERANDS)?;
        self.budget.take_bytes(inputs.len().saturating_mul(size_of::<Option<TensorId>>()))?;
        self.budget.take_bytes(outputs.len().saturating_mul(size_of::<TensorId>()))?;
        let inputs = gather(inputs.iter().enumerate().map(|(at, id)| match id {
            -1 => Ok(None),
            id => self.tensor_id(id.into(), &|| format!("{label}: input {at}")).map(Some),
        }))?;
        let outputs = gather(
            (outputs.iter().enumerate())
                .map(|(at, id)| self.tensor_id(id.into(), &|| format!("{label}: output {at}"))),
        )?;
        // Reshape and squeeze keep a short list.
        self.budget.take_bytes(MAX_RANK.saturating_mul(8))?;
        let attributes = Attributes {
            label: &label,
            kind: table.scalar(schema::operator::BUILTIN_OPTIONS_TYPE, 0u8)?,
            table: table.table(schema::operator::BUILTIN_OPTIONS, "an operator's options")?,
            custom: self.custom_options(&label, table)?,
        };
        let mut operator = operators::read(kind, attributes)?;
        settle(&mut operator, &inputs, tensors);
        Ok(Node { operator, inputs, outputs })
    }

    /// The options of a custom operator; in large files they lie behind the FlatBuffer.
    fn custom_options(&self, label: &str, table: Table<'a>) -> Result<&'a [u8]> {
        let near = table.vector::<u8>(schema::operator::CUSTOM_OPTIONS, "custom options")?;
        let start = table.scalar(schema::operator::LARGE_CUSTOM_OPTIONS_OFFSET, 0u64)?;
        let size = table.scalar(schema::operator::LARGE_CUSTOM_OPTIONS_SIZE, 0u64)?;
        if near.len() > 0 || start <= 1 || size == 0 {
            return Ok(near.bytes());
        }
        let end = start.checked_add(size).and_then(|end| usize::try_from(end).ok());
        let range = usize::try_from(start).ok().zip(end).map(|(start, end)| start..end);
        range.and_then(|range| self.file.get(range)).ok_or_else(|| {
            Error::format(format!(
                "{label}: custom options need {size} bytes at offset {start:#x}, the file has {} \
                 bytes: it is truncated or damaged",
                self.file.len()
            ))
        })
    }

    fn ends(&mut self, field: u16, what: &'static str) -> Result<Vec<TensorId>> {
        let ids = self.graph.vector::<i32>(field, "the model's inputs and outputs")?;
        check_count("inputs or outputs of the model", ids.len(), MAX_OPERANDS)?;
        self.budget.take_bytes(ids.len().saturating_mul(size_of::<TensorId>()))?;
        gather(
            (ids.iter().enumerate())
                .map(|(at, id)| self.tensor_id(id.into(), &|| format!("{what} {at} of the model"))),
        )
    }

    /// A tensor without elements that has a buffer and that nobody computes is a constant too.
    fn give_empty_constants(&self, model: &mut Model) -> Result<()> {
        let mut computed = vec![false; model.tensors.len()];
        let results = model.nodes.iter().flat_map(|node| &node.outputs);
        for id in model.inputs.iter().chain(results) {
            computed[id.0] = true;
        }
        for (index, tensor) in model.tensors.iter_mut().enumerate() {
            let empty = tensor.data.is_none() && tensor.shape.contains(&0);
            if !empty || computed[index] {
                continue;
            }
            let table = match self.tensors.get(index) {
                Some(table) => table?,
                None => continue,
            };
            if table.scalar(schema::tensor::BUFFER, 0u32)? != 0 {
                tensor.data = self.file.slice(0..0);
            }
        }
        Ok(())
    }

    /// A text of the root.
    pub(super) fn text(&mut self, field: u16, what: &'static str) -> Result<String> {
        let text = self.root.string(field, what)?;
        self.own(text)
    }

    /// How many subgraphs the file has.
    pub(super) fn subgraphs(&self) -> Result<usize> {
        Ok(self.root.tables(schema::model::SUBGRAPHS, "the list of subgraphs")?.len())
    }

    /// Inputs or outputs as the file has them, unchecked.
    pub(super) fn end_places(&mut self, field: u16) -> Result<Vec<i32>> {
        let ids = self.graph.vector::<i32>(field, "the model's inputs and outputs")?;
        self.list(ids.len(), MAX_OPERANDS, ids.iter())
    }

    fn signatures(&mut self) -> Result<Vec<Signature>> {
        let tables = self.root.tables(schema::model::SIGNATURE_DEFS, "the signatures")?;
        let mut signatures = Vec::new();
        for table in tables.iter() {
            let table = table?;
            if table.scalar(schema::signature_def::SUBGRAPH_INDEX, 0u32)? != 0 {
                continue;
            }
            self.budget.take(2, size_of::<Signature>())?;
            let key = table.string(schema::signature_def::SIGNATURE_KEY, "a signature's key")?;
            signatures.push(Signature {
                key: self.own(key)?,
                inputs: self.tensor_maps(table, schema::signature_def::INPUTS)?,
                outputs: self.tensor_maps(table, schema::signature_def::OUTPUTS)?,
            });
        }
        Ok(signatures)
    }

    fn tensor_maps(&mut self, table: Table<'a>, field: u16) -> Result<Vec<(String, TensorId)>> {
        let maps = table.tables(field, "a signature's tensors")?;
        check_count("tensors of a signature", maps.len(), MAX_OPERANDS)?;
        self.budget.take(maps.len(), size_of::<(String, TensorId)>())?;
        let mut names = Vec::with_capacity(maps.len());
        for map in maps.iter() {
            let map = map?;
            let name = map.string(schema::tensor_map::NAME, "a signature's tensor name")?;
            let name = self.own(name)?;
            let index = map.scalar(schema::tensor_map::TENSOR_INDEX, 0u32)?;
            let id = self.tensor_id(index.into(), &|| format!("signature tensor {name:?}"))?;
            names.push((name, id));
        }
        Ok(names)
    }

    fn metadata(&mut self, model: &Model) -> Result<Option<Metadata>> {
        let ends = [model.inputs.len(), model.outputs.len()];
        match self.metadata_entry(schema::METADATA_NAME)? {
            Some(range) => metadata::read(self.file, range, ends, &mut self.budget).map(Some),
            None => Ok(metadata::read_beside(self.file, ends, &mut self.budget)),
        }
    }

    fn source_order(&mut self, model: &Model) -> Result<Option<SourceOrder>> {
        let Some(range) = self.metadata_entry(schema::SOURCE_ORDER_NAME)? else {
            return Ok(None);
        };
        let bytes = self.file.get(range).unwrap_or_default();
        source_order::read(bytes, model, &mut self.budget).map(Some)
    }

    /// Where the bytes of a named metadata entry are, if there is one.
    pub(super) fn metadata_entry(&self, wanted: &str) -> Result<Option<Range<usize>>> {
        let entries = self.root.tables(schema::model::METADATA, "the list of metadata")?;
        for entry in entries.iter() {
            let entry = entry?;
            let name = entry.vector::<u8>(schema::metadata::NAME, "the name of metadata")?;
            if name.bytes() != wanted.as_bytes() {
                continue;
            }
            let buffer = entry.scalar(schema::metadata::BUFFER, 0u32)?;
            if let Some(range) = self.buffer(buffer, &|| format!("metadata {wanted:?}"))? {
                return Ok(Some(range));
            }
        }
        Ok(None)
    }
}

/// Sets the attributes that TensorFlow Lite takes from the shapes rather than from the options.
fn settle(operator: &mut Operator, inputs: &[Option<TensorId>], tensors: &[Tensor]) {
    let last = |at: usize| {
        let id = inputs.get(at).copied().flatten()?;
        tensors.get(id.0)?.shape.last().copied()
    };
    match operator {
        Operator::DepthwiseConv2d { depth_multiplier, .. } => {
            let multiplier =
                last(0).zip(last(1)).and_then(|(input, output)| output.checked_div(input));
            *depth_multiplier = multiplier.unwrap_or(*depth_multiplier);
        }
        // Old files say [0] for a scalar.
        Operator::Reshape { new_shape } if inputs.len() == 1 && new_shape[..] == [0] => {
            new_shape.clear();
        }
        _ => {}
    }
}

/// Collects into a vector of just the right size, which the budget has been charged with;
/// `Result`'s own collecting would grow it by doubling.
pub(super) fn gather<T>(values: impl ExactSizeIterator<Item = Result<T>>) -> Result<Vec<T>> {
    let mut gathered = Vec::with_capacity(values.len());
    for value in values {
        gathered.push(value?);
    }
    Ok(gathered)
}

fn check_count(what: &str, count: usize, limit: usize) -> Result<()> {
    if count > limit {
        return Err(Error::format(format!("{count} {what}; the limit is {limit}"))
            .with("found", count)
            .with("limit", limit));
    }
    Ok(())
}

/// At most [`MAX_SHOWN`] characters of a name.
fn shorten(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{}...", &name[..end])),
        None => Cow::Borrowed(name),
    }
}
