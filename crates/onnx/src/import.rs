//! Walks through the graph: folds what is known, lowers the rest node by node.
#![deny(clippy::arithmetic_side_effects)]

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use achado_model::{
    Bytes, DataType, Error, Model, Operator, Quantization, Result, SourceOrder, TensorId,
};

use crate::constant::Constant;
use crate::control::{self, Decided, Decision};
use crate::lower::dynamic::Dynamic;
use crate::metadata::Said;
use crate::patterns::{self, Pattern};
use crate::proto::{Graph, ModelProto};
use crate::site::Site;
use crate::view::View;
use crate::{ImportOptions, builder::Builder, endings, fold, limits::Budget, lower};

/// What a name of the graph stands for.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Known now.
    Constant(Rc<Constant>),
    /// Computed when the model runs.
    Tensor(TensorValue),
    /// A part of a dynamic quantisation, which becomes an operator as a whole.
    Dynamic(Dynamic),
}

/// A tensor of the model as ONNX sees it.
#[derive(Clone, Debug)]
pub(crate) struct TensorValue {
    pub view: View,
    /// ONNX's type; every float is float32. Where the tensor is quantised and this is a float, the
    /// value is what its integers mean: a DequantizeLinear that nobody had to carry out yet.
    pub dtype: DataType,
}

impl TensorValue {
    /// Whether ONNX holds floats here.
    pub fn is_real(&self) -> bool {
        self.dtype == DataType::Float32
    }
}

pub(crate) struct Importer<'a> {
    pub file: &'a Bytes,
    pub graph: &'a Graph<'a>,
    opsets: BTreeMap<&'a str, i64>,
    pub values: BTreeMap<&'a str, Value>,
    /// The nodes that read each name.
    consumers: BTreeMap<&'a str, Vec<usize>>,
    outputs: BTreeSet<&'a str>,
    pub initializers: BTreeSet<&'a str>,
    /// Nodes that are dead, folded, or part of what another one became.
    done: Vec<bool>,
    patterns: BTreeMap<usize, Pattern<'a>>,
    pub builder: Builder,
    /// Quantised activations are stored as uint8 rather than int8: some weights need a zero point,
    /// which the model's int8 operators do not have.
    pub unsigned: bool,
    /// How inputs and outputs lie in the model.
    pub order: SourceOrder,
}

/// Imports a model, with what the file says about its classes.
pub(crate) fn import(file: &Bytes, options: &ImportOptions) -> Result<(Model, Said)> {
    let mut budget = Budget::for_file(file.len());
    let mut proto = ModelProto::read(file, &mut budget).map_err(|mut error| {
        error.message = format!("this ONNX model cannot be read: {}", error.message).into();
        error
    })?;
    let tails = match &mut proto.graph {
        Some(graph) => endings::take_off(graph, &mut budget)?,
        None => Vec::new(),
    };
    let said = Said::new(tails, &proto.properties);
    let description = describe(&proto);
    let opsets: BTreeMap<&str, i64> = proto.opsets.iter().copied().collect();
    let opsets = with_own_opset(opsets, &proto)?;
    let graph = proto.graph.ok_or_else(|| {
        Error::format(
            "this is not an ONNX model: there is no graph in it, or the file is truncated",
        )
    })?;
    if graph.has_sparse_initializers {
        return Err(Error::unsupported_type("sparse initializers are not supported"));
    }
    let mut model = import_graph(file, graph, &opsets, budget, options, Decided::default())?;
    model.description = description;
    model.validate()?;
    Ok((model, said))
}

/// Imports a graph; where a node turns out to stand for a graph of its own, with that in its place.
fn import_graph<'a>(
    file: &'a Bytes,
    graph: Graph<'a>,
    opsets: &BTreeMap<&'a str, i64>,
    mut budget: Budget,
    options: &ImportOptions,
    mut decided: Decided,
) -> Result<Model> {
    let decisions = {
        let mut importer = Importer::new(file, &graph, opsets.clone(), budget.clone())?;
        importer.read_initializers()?;
        importer.fold_constants()?;
        let mut decisions = importer.decide_known()?;
        if decisions.is_empty() {
            importer.find_patterns();
            importer.unsigned = importer.weights_need_zero_points();
            importer.add_inputs(options)?;
            decisions.extend(importer.lower()?);
        }
        if decisions.is_empty() {
            importer.add_outputs()?;
            if options.keep_order {
                importer.builder.model.source_order = Some(std::mem::take(&mut importer.order));
            }
            return Ok(achado_model::prune(importer.builder.model));
        }
        budget.keep_work(&importer.builder.budget);
        decisions
    };
    decided.next(&graph, &mut budget)?;
    let mut names = Vec::with_capacity(decisions.len());
    let mut taken = control::taken(&graph);
    for decision in &decisions {
        names.push(control::fresh_names(&graph, decision, &mut taken, &mut budget)?);
    }
    let mut graph: Graph<'_> = graph;
    // From the last on: places before it stay.
    for (decision, names) in decisions.iter().zip(&names).rev() {
        control::replace(&mut graph, decision, names, &mut budget)?;
    }
    import_graph(file, graph, opsets, budget, options, decided)
}

/// The versions of operators, with that of ONNX's own: files of the first versions do not say it.
/// Whatever its number is, operators are judged one by one.
fn with_own_opset<'a>(
    mut opsets: BTreeMap<&'a str, i64>,
    proto: &ModelProto<'_>,
) -> Result<BTreeMap<&'a str, i64>> {
    match opsets.get("") {
        Some(1..) => {}
        None if proto.ir_version < 3 || !opsets.is_empty() => {
            opsets.insert("", 1);
        }
        Some(other) => {
            return Err(Error::format(format!("the model has opset {other}, which there is not"))
                .with("opset", *other as f64));
        }
        None => return Err(Error::format("the model does not say its opset")),
    }
    Ok(opsets)
}

fn describe(proto: &ModelProto<'_>) -> String {
    match proto.producer {
        "" => "converted from ONNX".to_owned(),
        producer => format!("converted from ONNX ({producer})"),
    }
}

impl<'a> Importer<'a> {
    pub fn new(
        file: &'a Bytes,
        graph: &'a Graph<'a>,
        opsets: BTreeMap<&'a str, i64>,
        mut budget: Budget,
    ) -> Result<Self> {
        let mut consumers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut makers: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, node) in graph.nodes.iter().enumerate() {
            budget.take(node.inputs.len().saturating_add(node.outputs.len()), 192)?;
            for name in &node.inputs {
                consumers.entry(name).or_default().push(index);
            }
            for name in node.outputs.iter().filter(|name| !name.is_empty()) {
                if makers.insert(name, index).is_some() {
                    return Err(
                        Error::format(format!("two nodes write {name:?}")).with("tensor", *name)
                    );
                }
            }
        }
        // What no output needs is not even looked at.
        let outputs: BTreeSet<&str> = graph.outputs.iter().map(|output| output.name).collect();
        let initializers = graph.initializers.iter().map(|tensor| tensor.name).collect();
        let mut done = vec![true; graph.nodes.len()];
        let mut queue: Vec<&str> = outputs.iter().copied().collect();
        while let Some(name) = queue.pop() {
            if let Some(&index) = makers.get(name)
                && let Some(node) = graph.nodes.get(index)
                && let Some(dead) = done.get_mut(index)
                && std::mem::take(dead)
            {
                queue.extend(&node.inputs);
            }
        }
        Ok(Self {
            file,
            graph,
            opsets,
            values: BTreeMap::new(),
            consumers,
            outputs,
            initializers,
            done,
            patterns: BTreeMap::new(),
            builder: Builder::new(budget),
            unsigned: false,
            order: SourceOrder::default(),
        })
    }

    fn read_initializers(&mut self) -> Result<()> {
        for proto in &self.graph.initializers {
            let is_dead = self.readers(proto.name).iter().all(|&reader| self.is_done(reader));
            if is_dead && !self.outputs.contains(proto.name) {
                continue;
            }
            let constant = Constant::read(proto, self.file, &mut self.builder.budget)?;
            self.values.insert(proto.name, Value::Constant(Rc::new(constant)));
        }
        Ok(())
    }

    /// Folds every node whose operands are all known.
    fn fold_constants(&mut self) -> Result<()> {
        for index in 0..self.graph.nodes.len() {
            if !self.is_done(index)
                && let Some(site) = self.site(index)
                && fold::folds(&site)
                && site.node.inputs.iter().all(|name| {
                    name.is_empty() || matches!(self.values.get(name), Some(Value::Constant(_)))
                })
            {
                self.fold(&site).map_err(|error| site.explain(error))?;
            }
        }
        Ok(())
    }

    /// Folds a node whose operands are known.
    fn fold(&mut self, site: &Site<'a>) -> Result<()> {
        let constants: Result<Vec<Option<Rc<Constant>>>> = (site.node.inputs.iter())
            .map(|name| match self.values.get(name) {
                Some(Value::Constant(constant)) => Ok(Some(Rc::clone(constant))),
                _ if name.is_empty() => Ok(None),
                _ => Err(site.malformed(format!("operand {name:?} is not a constant"))),
            })
            .collect();
        let constants = constants?;
        let before = self.builder.budget.left();
        let results = fold::fold(site, &constants, self.file, &mut self.builder.budget)?;
        // What was needed on the way is free again.
        let own = results.iter().filter(|result| !result.data.is_shared());
        let kept: usize = own.map(|result| result.data.len()).sum();
        let taken = before.saturating_sub(self.builder.budget.left());
        self.builder.budget.give_back(taken.saturating_sub(kept));
        for (&name, result) in site.node.outputs.iter().zip(results) {
            self.values.insert(name, Value::Constant(Rc::new(result)));
        }
        self.finish(site.index);
        drop(constants);
        self.forget_operands(site);
        Ok(())
    }

    /// Frees the constants that were folded and that nobody reads any more.
    fn forget_operands(&mut self, site: &Site<'a>) {
        for &name in &site.node.inputs {
            let is_done = |&reader: &usize| self.done.get(reader).copied().unwrap_or(true);
            if self.initializers.contains(name)
                || self.outputs.contains(name)
                || !self.readers(name).iter().all(is_done)
            {
                continue;
            }
            if let Some(Value::Constant(constant)) = self.values.remove(name)
                && let Ok(constant) = Rc::try_unwrap(constant)
                && !constant.data.is_shared()
            {
                self.builder.budget.give_back(constant.data.len());
            }
        }
    }

    fn find_patterns(&mut self) {
        let graph = self.graph;
        for (last, found) in patterns::find(self) {
            for &inner in &found.inner {
                // What others read, too, stays and dies out if nobody does in the end.
                let node = graph.nodes.get(inner);
                let within = |name: &&str| {
                    !self.outputs.contains(*name)
                        && self
                            .readers(name)
                            .iter()
                            .all(|reader| found.inner.contains(reader) || *reader == last)
                };
                if node.is_some_and(|node| node.outputs.iter().all(within)) {
                    self.finish(inner);
                }
            }
            self.patterns.insert(last, found);
        }
    }

    /// Nodes that stand for a graph of their own, as far as constants of the file say which.
    fn decide_known(&mut self) -> Result<Vec<Decision>> {
        let mut decisions = Vec::new();
        for index in 0..self.graph.nodes.len() {
            if !self.is_done(index)
                && let Some(site) = self.site(index)
                && control::is_control(&site)
                && control::is_known(self, &site)
            {
                decisions.push(control::decide(self, &site)?);
            }
        }
        Ok(decisions)
    }

    /// Lowers node by node, up to one that stands for a graph of its own.
    fn lower(&mut self) -> Result<Option<Decision>> {
        for index in 0..self.graph.nodes.len() {
            if self.is_done(index) {
                continue;
            }
            let Some(site) = self.site(index) else { continue };
            if control::is_control(&site) {
                return control::decide(self, &site).map(Some);
            }
            let known = |name: &&str| {
                name.is_empty() || matches!(self.values.get(name), Some(Value::Constant(_)))
            };
            let lowered = if fold::folds(&site) && site.node.inputs.iter().all(known) {
                self.fold(&site)
            } else if let Some(pattern) = self.patterns.remove(&index) {
                self.lower_pattern(&site, &pattern)
            } else {
                lower::lower(self, &site)
            };
            lowered.map_err(|error| site.explain(error))?;
            self.finish(index);
        }
        Ok(None)
    }

    fn add_outputs(&mut self) -> Result<()> {
        let graph = self.graph;
        let mut signature = Vec::new();
        for info in &graph.outputs {
            let Some(value) = self.values.get(info.name).cloned() else {
                return Err(Error::format(format!(
                    "output {:?} is neither an input nor the result of a node",
                    info.name
                ))
                .with("tensor", info.name));
            };
            let (tensor, order) = match value {
                Value::Constant(constant) => (
                    self.builder.add_real_or_integers(info.name, &constant)?,
                    (0..constant.shape.len()).collect(),
                ),
                Value::Tensor(value) => {
                    let view = self.as_onnx(&value)?;
                    // Pictures stay in the model's order, everything else is in ONNX's.
                    let order: Vec<usize> = match view.order_in(self.builder.shape(view.tensor)) {
                        Some(order) if order == [0, 2, 3, 1] => order,
                        _ => (0..view.rank()).collect(),
                    };
                    (self.builder.in_order(&view, &order)?, order)
                }
                Value::Dynamic(_) => {
                    return Err(Error::unsupported_operator(format!(
                        "output {:?} is a part of a dynamic quantisation",
                        info.name
                    )));
                }
            };
            let tensor = self.builder.output(tensor, info.name)?;
            self.builder.model.outputs.push(tensor);
            self.order.outputs.push(order);
            signature.push((info.name.to_owned(), tensor));
        }
        if let Some(first) = self.builder.model.signatures.first_mut() {
            first.outputs = signature;
        }
        Ok(())
    }

    // ---- what lowering asks for ----

    /// The node `index` with the version of its operators.
    pub fn site(&self, index: usize) -> Option<Site<'a>> {
        let node = self.graph.nodes.get(index)?;
        let opset = self.opsets.get(node.domain).copied().unwrap_or(0);
        Some(Site { node, index, opset })
    }

    fn is_done(&self, index: usize) -> bool {
        self.done.get(index).copied().unwrap_or(true)
    }

    /// Marks a node as part of what has been emitted.
    pub fn finish(&mut self, index: usize) {
        if let Some(done) = self.done.get_mut(index) {
            *done = true;
        }
    }

    /// The live nodes that read a name.
    pub fn readers(&self, name: &str) -> &[usize] {
        self.consumers.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a name is a result of the model.
    pub fn is_output(&self, name: &str) -> bool {
        self.outputs.contains(name)
    }

    /// The node that alone reads a name, if that name is no result of the model.
    pub fn only_reader(&self, name: &str) -> Option<Site<'a>> {
        let mut live = self.readers(name).iter().filter(|&&reader| !self.is_done(reader));
        match (live.next(), live.next()) {
            (Some(&reader), None) if !self.is_output(name) => {
                let site = self.site(reader)?;
                let times = site.node.inputs.iter().filter(|input| **input == name).count();
                (times == 1 && !self.patterns.contains_key(&reader)).then_some(site)
            }
            _ => None,
        }
    }

    /// The value of a name, if it is known or computed by now.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// The constant of a name.
    pub fn constant(&self, name: &str) -> Option<Rc<Constant>> {
        match self.values.get(name) {
            Some(Value::Constant(constant)) => Some(Rc::clone(constant)),
            _ => None,
        }
    }

    /// Operand `at`, if it is a constant.
    pub fn constant_of(&self, site: &Site<'a>, at: usize) -> Option<Rc<Constant>> {
        self.constant(site.input_name(at)?)
    }

    /// Operand `at`, if it is not left out.
    pub fn optional_input(&self, site: &Site<'a>, at: usize) -> Result<Option<Value>> {
        let Some(name) = site.input_name(at) else { return Ok(None) };
        match self.values.get(name) {
            Some(value) => Ok(Some(value.clone())),
            None => {
                let later = self.graph.nodes.iter().any(|node| node.outputs.contains(&name));
                let what = if later {
                    "is the result of a later node: the graph has a cycle, or its nodes are out of \
                     order"
                } else {
                    "is neither an input, an initializer nor the result of a node"
                };
                Err(site.malformed(format!("operand {at}, {name:?}, {what}")).with("tensor", name))
            }
        }
    }

    /// Operand `at`.
    pub fn input(&self, site: &Site<'a>, at: usize) -> Result<Value> {
        match self.optional_input(site, at)? {
            Some(value) => Ok(value),
            None => Err(site.malformed(format!("operand {at} is missing"))),
        }
    }

    /// Operand `at`, which must be a constant, if it is not left out.
    pub fn optional_constant(&self, site: &Site<'a>, at: usize) -> Result<Option<Rc<Constant>>> {
        match self.optional_input(site, at)? {
            None => Ok(None),
            Some(Value::Constant(constant)) => Ok(Some(constant)),
            Some(_) => Err(site.unsupported(format!(
                "operand {at}, {:?}, is computed; it must be a constant",
                site.input_name(at).unwrap_or_default()
            ))),
        }
    }

    /// Operand `at`, which must be a constant.
    pub fn constant_input(&self, site: &Site<'a>, at: usize) -> Result<Rc<Constant>> {
        match self.optional_constant(site, at)? {
            Some(constant) => Ok(constant),
            None => Err(site.malformed(format!("operand {at} is missing"))),
        }
    }

    /// Constant integers of operand `at`, if it is not left out.
    pub fn optional_integers(&self, site: &Site<'a>, at: usize) -> Result<Option<Vec<i64>>> {
        match self.optional_constant(site, at)? {
            None => Ok(None),
            Some(constant) => match constant.integers() {
                Some(values) => Ok(Some(values)),
                None => Err(site.malformed(format!("operand {at} must be integers"))),
            },
        }
    }

    /// Operand `at` as a tensor value; constants become tensors.
    pub fn tensor_input(&mut self, site: &Site<'a>, at: usize) -> Result<TensorValue> {
        let value = self.input(site, at)?;
        self.store(site, site.input_name(at).unwrap_or_default(), value)
    }

    /// A value as a tensor.
    pub fn store(&mut self, site: &Site<'a>, name: &str, value: Value) -> Result<TensorValue> {
        match value {
            Value::Tensor(value) => Ok(value),
            Value::Constant(constant) => {
                let tensor = self.builder.add_real_or_integers(name, &constant)?;
                let dtype = if constant.is_real() { DataType::Float32 } else { constant.dtype };
                Ok(TensorValue { view: View::plain(tensor, &constant.shape), dtype })
            }
            Value::Dynamic(_) => Err(site.unsupported(format!(
                "{name:?}, a part of a dynamic quantisation, is used in a way that is not supported"
            ))),
        }
    }

    /// Operand `at` as [`Importer::as_onnx`] gives it.
    pub fn onnx_input(&mut self, site: &Site<'a>, at: usize) -> Result<View> {
        let value = self.tensor_input(site, at)?;
        self.as_onnx(&value)
    }

    /// The value in ONNX's type: floats where ONNX has floats, integers with ONNX's zero point.
    pub fn as_onnx(&mut self, value: &TensorValue) -> Result<View> {
        let tensor = value.view.tensor;
        let stored = self.builder.tensor(tensor);
        let scaling = stored.quantization.as_ref().and_then(Quantization::as_per_tensor);
        let tensor = match (value.dtype, stored.dtype, scaling) {
            (DataType::Float32, ..) => self.builder.dequantize(tensor)?,
            (DataType::UInt8, DataType::Int8, Some((scale, zero_point))) => {
                let (name, zero_point) = (stored.name.clone(), zero_point.saturating_add(128));
                self.builder.quantize(tensor, DataType::UInt8, scale, zero_point, &name)?
            }
            (DataType::Int8, DataType::UInt8, Some((scale, zero_point))) => {
                let (name, zero_point) = (stored.name.clone(), zero_point.saturating_sub(128));
                self.builder.quantize(tensor, DataType::Int8, scale, zero_point, &name)?
            }
            _ => tensor,
        };
        Ok(value.view.of(tensor))
    }

    /// Result `at` of a node is a value.
    pub fn bind(&mut self, name: &'a str, value: Value) {
        self.values.insert(name, value);
    }

    /// The first result of a node is a tensor.
    pub fn bind_view(&mut self, site: &Site<'a>, view: View, dtype: DataType) -> Result<()> {
        let name = site.output_name(0)?;
        self.bind(name, Value::Tensor(TensorValue { view, dtype }));
        Ok(())
    }
}

impl Builder {
    /// A tensor as an output of a name of its own: a copy where it is an input, or an output of
    /// another name.
    fn output(&mut self, tensor: TensorId, name: &str) -> Result<TensorId> {
        if !self.model.inputs.contains(&tensor) && !self.model.outputs.contains(&tensor) {
            name.clone_into(&mut self.model.tensors[tensor.0].name);
            return Ok(tensor);
        }
        let shape = self.shape(tensor).to_vec();
        let new_shape = shape.iter().map(|&dim| i64::try_from(dim).unwrap_or(i64::MAX)).collect();
        self.emit_like(Operator::Reshape { new_shape }, &[tensor], name, &shape)
    }

    /// A constant as ONNX sees it: float32, or integers.
    pub fn add_real_or_integers(&mut self, name: &str, constant: &Constant) -> Result<TensorId> {
        if constant.is_real() {
            self.add_real_constant(name, constant)
        } else {
            self.add_constant(name, constant)
        }
    }
}
