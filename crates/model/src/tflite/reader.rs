//! From the FlatBuffer to a [`Model`].
#![deny(clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

use super::operators::{self, Attributes};
use super::{builtin, schema};
use crate::flatbuffer::{Buffer, Reference, Table, Vector};
use crate::limits::{Budget, MAX_NODES, MAX_OPERANDS, MAX_RANK, MAX_TENSOR_BYTES, MAX_TENSORS};
use crate::{
    Bytes, DataType, Error, Metadata, Model, Node, Operator, Quantization, Result, Signature,
    Tensor, TensorId, metadata,
};

/// Missing operators that a message lists before it only counts.
const MAX_LISTED: usize = 40;
/// Characters of a name that a message shows.
const MAX_SHOWN: usize = 120;

/// A file whose root and main subgraph have been found.
pub(crate) struct Reader<'a> {
    file: &'a Bytes,
    root: Table<'a>,
    codes: Vector<'a, Reference>,
    buffers: Vector<'a, Reference>,
    graph: Table<'a>,
    tensors: Vector<'a, Reference>,
    operators: Vector<'a, Reference>,
    budget: Budget,
}

/// One entry of the operator code table.
struct Code<'a> {
    builtin: i32,
    custom: Cow<'a, str>,
    version: i32,
}

impl Code<'_> {
    /// `CONV_2D`, or `custom operator "Name"`.
    fn name(&self) -> Cow<'static, str> {
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
        Ok(model)
    }

    fn own(&mut self, text: Cow<'_, str>) -> Result<String> {
        self.budget.take_bytes(text.len())?;
        Ok(text.into_owned())
    }

    /// `tensor 12 "conv1/w"`.
    fn label(&self, index: usize) -> String {
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

    fn code(&self, operator: usize, table: Table<'a>) -> Result<Code<'a>> {
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

    /// Refuses the model if operators are missing here, naming each once.
    fn check_operators(&mut self) -> Result<()> {
        struct Missing {
            first: usize,
            output: Option<usize>,
            count: usize,
        }
        let mut missing: BTreeMap<(i32, Cow<'a, str>, i32), Missing> = BTreeMap::new();
        for (index, table) in self.operators.iter().enumerate() {
            let table = table?;
            let code = self.code(index, table)?;
            if operators::supported(code.builtin).is_some_and(|(max, _)| code.version <= max) {
                continue;
            }
            let outputs =
                table.vector::<i32>(schema::operator::OUTPUTS, "an operator's results")?;
            let output = outputs.iter().next().and_then(|output| usize::try_from(output).ok());
            // A map's node and a name that was not UTF-8 and so became owned.
            self.budget.take_bytes(code.custom.len().saturating_add(128))?;
            missing
                .entry((code.builtin, code.custom, code.version))
                .and_modify(|known| known.count = known.count.saturating_add(1))
                .or_insert(Missing { first: index, output, count: 1 });
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut message = String::from("the model needs operators that are not supported: ");
        let mut names: Vec<Cow<'static, str>> = Vec::new();
        let mut missing: Vec<_> = missing.into_iter().collect();
        missing.sort_by_key(|(_, place)| place.first);
        let mut error = Error::unsupported_operator("");
        for (at, ((builtin, custom, version), place)) in missing.iter().take(MAX_LISTED).enumerate()
        {
            let code = Code { builtin: *builtin, custom: Cow::Borrowed(custom), version: *version };
            let name = code.name();
            let separator = if at == 0 { "" } else { "; " };
            let output = match place.output {
                Some(output) => self.label(output),
                None => "none".to_owned(),
            };
            // Writing to a String cannot fail.
            let _ = write!(
                message,
                "{separator}{name} version {version} (operator {}, output {output}",
                place.first
            );
            if let Some((max, _)) = operators::supported(*builtin) {
                let _ = write!(message, ", versions up to {max} are supported");
            }
            if place.count > 1 {
                let _ = write!(message, ", and {} more", place.count.saturating_sub(1));
            }
            message.push(')');
            if at == 0 {
                error = error
                    .with("operator", name.clone().into_owned())
                    .with("index", place.first)
                    .with("version", f64::from(*version))
                    .with("tensor", output);
            }
            if names.last() != Some(&name) {
                names.push(name);
            }
        }
        if let Some(rest) = missing.len().checked_sub(MAX_LISTED).filter(|&rest| rest > 0) {
            let _ = write!(message, "; and {rest} further operators");
        }
        error.message = message.into();
        Err(error.with("operators", names.join(", ")))
    }

    fn tensor(&mut self, index: usize) -> Result<Tensor> {
        let table = match self.tensors.get(index) {
            Some(table) => table?,
            None => return Err(Error::format(format!("tensor {index} is missing"))),
        };
        let dtype = self.data_type(index, table)?;
        let (shape, dynamic) = self.shape(index, table)?;
        self.check_plain(index, table)?;
        let name = table.string(schema::tensor::NAME, "a tensor's name")?;
        let quantization = self.quantization(index, table, dtype, &shape)?;
        let mut tensor =
            Tensor { name: self.own(name)?, dtype, shape, dynamic, quantization, data: None };
        if let Some(range) = self.data(index, table)? {
            let needed = checked_size(&tensor).ok_or_else(|| self.too_large(index, &tensor))?;
            if range.len() != needed {
                return Err(Error::format(format!(
                    "{}: buffer needs {needed} bytes, has {} (at offset {:#x})",
                    self.label(index),
                    range.len(),
                    range.start
                ))
                .with("tensor", index)
                .with("needed", needed)
                .with("found", range.len())
                .with("offset", range.start));
            }
            tensor.data = self.file.slice(range);
        } else if checked_size(&tensor).is_none() {
            return Err(self.too_large(index, &tensor));
        }
        Ok(tensor)
    }

    fn too_large(&self, index: usize, tensor: &Tensor) -> Error {
        Error::format(format!(
            "{}: shape {:?} of {} is larger than {MAX_TENSOR_BYTES} bytes",
            self.label(index),
            tensor.shape,
            tensor.dtype
        ))
        .with("tensor", index)
    }

    fn data_type(&self, index: usize, table: Table<'a>) -> Result<DataType> {
        let code = table.scalar(schema::tensor::TYPE, 0u8)?;
        Ok(match code {
            0 => DataType::Float32,
            1 => DataType::Float16,
            2 => DataType::Int32,
            3 => DataType::UInt8,
            4 => DataType::Int64,
            6 => DataType::Bool,
            7 => DataType::Int16,
            9 => DataType::Int8,
            _ => {
                let label = self.label(index);
                let name = match schema::TENSOR_TYPES.get(usize::from(code)) {
                    Some(&name) => name.to_owned(),
                    None => format!("number {code}"),
                };
                return Err(Error::unsupported_type(format!(
                    "{label} has the element type {name}, which is not supported"
                ))
                .with("tensor", index)
                .with("type", name));
            }
        })
    }

    /// The dimensions, and which of them a caller may choose.
    fn shape(&mut self, index: usize, table: Table<'a>) -> Result<(Vec<usize>, Vec<bool>)> {
        let dims = table.vector::<i32>(schema::tensor::SHAPE, "a tensor's shape")?;
        if dims.len() > MAX_RANK {
            return Err(Error::format(format!(
                "{} has {} dimensions, the limit is {MAX_RANK}",
                self.label(index),
                dims.len()
            ))
            .with("tensor", index));
        }
        let signature =
            table.vector::<i32>(schema::tensor::SHAPE_SIGNATURE, "a tensor's shape signature")?;
        let mut dynamic: Vec<bool> = dims.iter().map(|dim| dim == -1).collect();
        if signature.len() == dims.len() {
            for (dynamic, dim) in dynamic.iter_mut().zip(signature.iter()) {
                *dynamic |= dim == -1;
            }
        }
        if !dynamic.contains(&true) {
            dynamic = Vec::new();
        }
        self.budget.take_bytes(dims.len().saturating_mul(size_of::<usize>()))?;
        self.budget.take_bytes(dynamic.len())?;
        let shape = dims
            .iter()
            .map(|dim| match dim {
                // The converter writes 1 where the signature says -1; old files write -1 itself.
                -1 => Ok(1),
                _ => usize::try_from(dim).map_err(|_| {
                    Error::format(format!("{} has a dimension of {dim}", self.label(index)))
                        .with("tensor", index)
                }),
            })
            .collect::<Result<Vec<_>>>()?;
        Ok((shape, dynamic))
    }

    /// Refuses state and sparse encodings.
    fn check_plain(&self, index: usize, table: Table<'a>) -> Result<()> {
        if table.flag(schema::tensor::IS_VARIABLE)? {
            return Err(Error::unsupported_operator(format!(
                "{} is a variable; models that keep state between runs are not supported",
                self.label(index)
            ))
            .with("tensor", index));
        }
        if table.table(schema::tensor::SPARSITY, "a tensor's sparsity")?.is_some() {
            return Err(Error::unsupported_type(format!(
                "{} is stored as a sparse tensor, which is not supported; convert the model \
                 without sparsity",
                self.label(index)
            ))
            .with("tensor", index));
        }
        Ok(())
    }

    fn quantization(
        &mut self,
        index: usize,
        table: Table<'a>,
        dtype: DataType,
        shape: &[usize],
    ) -> Result<Option<Quantization>> {
        let Some(table) = table.table(schema::tensor::QUANTIZATION, "a tensor's quantisation")?
        else {
            return Ok(None);
        };
        if table.scalar(schema::quantization::DETAILS_TYPE, 0u8)? != 0 {
            return Err(Error::unsupported_type(format!(
                "{} has a custom quantisation, which is not supported",
                self.label(index)
            ))
            .with("tensor", index));
        }
        let scale = table.vector::<f32>(schema::quantization::SCALE, "scales")?;
        let zero_point = table.vector::<i64>(schema::quantization::ZERO_POINT, "zero points")?;
        // Float tensors carry at most the range seen in training; int64 and bool have none.
        let quantised =
            matches!(dtype, DataType::Int8 | DataType::UInt8 | DataType::Int16 | DataType::Int32);
        if scale.len() == 0 || !quantised {
            return Ok(None);
        }
        // Scales, zero points and the allocator's share of both, before any is looked at.
        self.budget.take(scale.len(), 8)?;
        self.budget.take(2, 32)?;
        let format = |what: String| {
            Error::format(format!("{}: {what}", self.label(index))).with("tensor", index)
        };
        let bad_scale = |&scale: &f32| !(scale.is_finite() && scale > 0.0);
        if let Some(bad) = scale.iter().find(bad_scale) {
            if dtype == DataType::Int32 {
                // A bias has the scale of input times weights, whatever underflowed in the file.
                return Ok(None);
            }
            return Err(format(format!("scale {bad} must be finite and above 0")));
        }
        if zero_point.len() != scale.len() && zero_point.len() > 1 {
            return Err(format(format!(
                "{} scales but {} zero points",
                scale.len(),
                zero_point.len()
            )));
        }
        let axis = table.scalar(schema::quantization::QUANTIZED_DIMENSION, 0i32)?;
        let axis = if scale.len() == 1 { Some(0) } else { usize::try_from(axis).ok() };
        let axis = axis.filter(|&axis| {
            scale.len() == 1 || shape.get(axis).is_some_and(|&channels| channels == scale.len())
        });
        let Some(axis) = axis else {
            return Err(format(format!(
                "{} scales do not fit shape {shape:?} along its quantised dimension",
                scale.len()
            )));
        };
        let (low, high) = match dtype {
            DataType::Int8 => (-128, 127),
            DataType::UInt8 => (0, 255),
            DataType::Int16 => (-32768, 32767),
            _ => (i32::MIN, i32::MAX),
        };
        let in_range = |zero_point: i64| {
            i32::try_from(zero_point)
                .ok()
                .filter(|zero| (low..=high).contains(zero))
                .ok_or_else(|| format(format!("zero point {zero_point} is outside {low}..={high}")))
        };
        let zero_point = match zero_point.len() {
            0 => vec![in_range(0)?; scale.len()],
            1 => {
                let zero_point = zero_point.iter().next().unwrap_or(0);
                vec![in_range(zero_point)?; scale.len()]
            }
            _ => zero_point.iter().map(in_range).collect::<Result<_>>()?,
        };
        Ok(Some(Quantization { scale: scale.iter().collect(), zero_point, axis }))
    }

    /// Where a constant's bytes lie in the file; `None` for a tensor without.
    fn data(&self, index: usize, table: Table<'a>) -> Result<Option<Range<usize>>> {
        let buffer = table.scalar(schema::tensor::BUFFER, 0u32)?;
        if buffer == 0 {
            return Ok(None);
        }
        self.buffer(buffer, &|| self.label(index))
    }

    fn buffer(&self, index: u32, whose: &dyn Fn() -> String) -> Result<Option<Range<usize>>> {
        let buffer = usize::try_from(index)
            .ok()
            .and_then(|index| self.buffers.get(index))
            .ok_or_else(|| {
                Error::format(format!(
                    "{} has buffer {index}; the model has {} buffers",
                    whose(),
                    self.buffers.len()
                ))
            })??;
        let data = buffer.vector::<u8>(schema::buffer::DATA, "a buffer's data")?;
        if data.len() > 0 {
            return Ok(Some(data.range()));
        }
        // Files above 2 GiB keep constants behind the FlatBuffer, at an offset from the file's
        // beginning; 0 and 1 are no offsets.
        let offset = buffer.scalar(schema::buffer::OFFSET, 0u64)?;
        let size = buffer.scalar(schema::buffer::SIZE, 0u64)?;
        if offset <= 1 || size == 0 {
            return Ok(None);
        }
        let range = usize::try_from(offset)
            .ok()
            .zip(usize::try_from(size).ok())
            .and_then(|(start, size)| Some(start..start.checked_add(size)?))
            .filter(|range| range.end <= self.file.len());
        range.map(Some).ok_or_else(|| {
            Error::format(format!(
                "{}: buffer needs {size} bytes at offset {offset:#x}, the file has {} bytes: it is \
                 truncated or damaged",
                whose(),
                self.file.len()
            ))
        })
    }

    fn node(&mut self, index: usize, table: Table<'a>, tensors: &[Tensor]) -> Result<Node> {
        let code = self.code(index, table)?;
        let label = format!("operator {index} {}", code.name());
        let Some((_, parse)) = operators::supported(code.builtin) else {
            return Err(Error::unsupported_operator(format!("{label} is not supported")));
        };
        let inputs = table.vector::<i32>(schema::operator::INPUTS, "an operator's operands")?;
        let outputs = table.vector::<i32>(schema::operator::OUTPUTS, "an operator's results")?;
        check_count("operands of an operator", inputs.len(), MAX_OPERANDS)?;
        check_count("results of an operator", outputs.len(), MAX_OPERANDS)?;
        self.budget.take_bytes(inputs.len().saturating_mul(size_of::<Option<TensorId>>()))?;
        self.budget.take_bytes(outputs.len().saturating_mul(size_of::<TensorId>()))?;
        let inputs = inputs
            .iter()
            .enumerate()
            .map(|(at, id)| match id {
                -1 => Ok(None),
                id => self.tensor_id(id.into(), &|| format!("{label}: input {at}")).map(Some),
            })
            .collect::<Result<Vec<_>>>()?;
        let outputs = outputs
            .iter()
            .enumerate()
            .map(|(at, id)| self.tensor_id(id.into(), &|| format!("{label}: output {at}")))
            .collect::<Result<Vec<_>>>()?;
        // Reshape and squeeze keep a short list.
        self.budget.take_bytes(MAX_RANK.saturating_mul(8))?;
        let mut operator = parse(Attributes {
            label: &label,
            kind: table.scalar(schema::operator::BUILTIN_OPTIONS_TYPE, 0u8)?,
            table: table.table(schema::operator::BUILTIN_OPTIONS, "an operator's options")?,
        })?;
        settle(&mut operator, &inputs, tensors);
        Ok(Node { operator, inputs, outputs })
    }

    fn ends(&mut self, field: u16, what: &'static str) -> Result<Vec<TensorId>> {
        let ids = self.graph.vector::<i32>(field, "the model's inputs and outputs")?;
        check_count("inputs or outputs of the model", ids.len(), MAX_OPERANDS)?;
        self.budget.take_bytes(ids.len().saturating_mul(size_of::<TensorId>()))?;
        ids.iter()
            .enumerate()
            .map(|(at, id)| self.tensor_id(id.into(), &|| format!("{what} {at} of the model")))
            .collect()
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
        let entries = self.root.tables(schema::model::METADATA, "the list of metadata")?;
        for entry in entries.iter() {
            let entry = entry?;
            let name = entry.vector::<u8>(schema::metadata::NAME, "the name of metadata")?;
            if name.bytes() != schema::METADATA_NAME.as_bytes() {
                continue;
            }
            let buffer = entry.scalar(schema::metadata::BUFFER, 0u32)?;
            let Some(range) = self.buffer(buffer, &|| "the metadata".to_owned())? else {
                continue;
            };
            let ends = [model.inputs.len(), model.outputs.len()];
            return metadata::read(self.file, range, ends, &mut self.budget).map(Some);
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

/// The bytes of a tensor, where they and its count of elements stay within [`MAX_TENSOR_BYTES`].
fn checked_size(tensor: &Tensor) -> Option<usize> {
    // Dimensions of 0 count as 1 here, so that no product of some of the dimensions overflows.
    let bound = tensor
        .shape
        .iter()
        .try_fold(tensor.dtype.size_bytes(), |size, &dim| size.checked_mul(dim.max(1)))?;
    (bound <= MAX_TENSOR_BYTES).then(|| tensor.size_bytes())
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
