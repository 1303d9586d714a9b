//! Branches and loops that are decided while a graph is imported: `If` whose condition is known once
//! shapes are, `Loop` whose rounds are. Their bodies take their place in the graph, which is then
//! imported anew.
#![deny(clippy::arithmetic_side_effects)]

use std::collections::{BTreeMap, BTreeSet};

use achado_model::limits::MAX_NODES;
use achado_model::{Error, Result};

use crate::constant::Constant;
use crate::import::{Importer, Value};
use crate::limits::Budget;
use crate::proto::{Attribute, AttributeValue, BOOL, Graph, INT64, Node, TensorProto};
use crate::site::Site;

/// How often a graph is imported anew, at most: each time at least one node is decided.
const MAX_ROUNDS: usize = 64;
/// What importing a node anew counts as, in elements that constant folding looks at.
const STEPS_PER_NODE: usize = 256;

/// What a node with graphs inside turns out to be.
#[derive(Debug)]
pub(crate) struct Decision {
    /// The node's place in the graph.
    index: usize,
    opset: i64,
    taken: Taken,
}

#[derive(Debug)]
enum Taken {
    /// The graph of this attribute, once.
    Branch(&'static str),
    /// The body, so many times.
    Rounds(usize),
}

/// Counts the decisions of an import.
#[derive(Default)]
pub(crate) struct Decided(usize);

impl Decided {
    /// # Errors
    /// `UNSUPPORTED_OPERATOR` for too many, `OUT_OF_MEMORY` for too many of a large graph.
    pub fn next(&mut self, graph: &Graph<'_>, budget: &mut Budget) -> Result<()> {
        budget.work(graph.nodes.len().saturating_mul(STEPS_PER_NODE))?;
        self.0 = self.0.saturating_add(1);
        if self.0 > MAX_ROUNDS {
            return Err(Error::unsupported_operator(format!(
                "branches and loops nest or follow each other in more than {MAX_ROUNDS} steps"
            ))
            .with("limit", MAX_ROUNDS));
        }
        Ok(())
    }
}

/// Whether a node has graphs inside.
pub(crate) fn is_control(site: &Site<'_>) -> bool {
    site.node.domain.is_empty() && matches!(site.node.operator, "If" | "Loop")
}

/// What a node of [`is_control`] is, by the values that are known.
///
/// # Errors
/// `UNSUPPORTED_OPERATOR` where that depends on the picture.
pub(crate) fn decide<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<Decision> {
    let taken = match site.node.operator {
        "If" => {
            let is_true = condition(importer, site, 0)?.ok_or_else(|| {
                let name = site.input_name(0).unwrap_or_default();
                site.unsupported(format!(
                    "its condition, {name:?}, depends on the picture; a branch is supported where \
                     its condition is known once the shapes of the inputs are"
                ))
                .with("tensor", name)
            })?;
            Taken::Branch(if is_true { "then_branch" } else { "else_branch" })
        }
        _ => Taken::Rounds(rounds(importer, site)?),
    };
    Ok(Decision { index: site.index, opset: site.opset, taken })
}

/// Whether it can be said now what a node of [`is_control`] is.
pub(crate) fn is_known(importer: &Importer<'_>, site: &Site<'_>) -> bool {
    let names = site.node.inputs.iter().take(if site.node.operator == "If" { 1 } else { 2 });
    names.filter(|name| !name.is_empty()).all(|name| importer.constant(name).is_some())
}

/// Operand `at` as a truth value; `None` where it is computed.
fn condition<'a>(importer: &Importer<'a>, site: &Site<'a>, at: usize) -> Result<Option<bool>> {
    match importer.input(site, at)? {
        Value::Constant(constant) => truth(site, &constant).map(Some),
        Value::Tensor(_) | Value::Dynamic(_) => Ok(None),
    }
}

fn truth(site: &Site<'_>, constant: &Constant) -> Result<bool> {
    match constant.integers().as_deref() {
        Some(&[value]) => Ok(value != 0),
        _ => Err(site.malformed("a condition must be one truth value")),
    }
}

/// How often a body runs.
fn rounds<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<usize> {
    let Some(count) = site.input_name(0).and_then(|name| importer.constant(name)) else {
        return Err(site.unsupported(
            "how often its body runs depends on the picture or on the body; a loop is supported \
             where its trip count is known once the shapes of the inputs are",
        ));
    };
    let count = match count.integers().as_deref() {
        Some(&[count]) => usize::try_from(count.max(0)).unwrap_or(usize::MAX),
        _ => return Err(site.malformed("the trip count must be one integer")),
    };
    if site.input_name(1).is_some() && condition(importer, site, 1)? == Some(false) {
        return Ok(0);
    }
    let body = read_graph(site.node, "body", &mut importer.builder.budget)
        .map_err(|error| site.explain(error))?;
    if !goes_on(importer, site, &body)? {
        return Err(site.unsupported(
            "its body decides whether it runs again; a loop is supported where it runs as often as \
             its trip count says",
        ));
    }
    if count.saturating_mul(body.nodes.len()) > MAX_NODES {
        return Err(site.unsupported(format!(
            "its {count} rounds of {} nodes are more than {MAX_NODES} nodes",
            body.nodes.len()
        )));
    }
    Ok(count)
}

/// Whether a body's condition is true after each round where it is before.
fn goes_on<'a>(importer: &mut Importer<'a>, site: &Site<'a>, body: &Graph<'a>) -> Result<bool> {
    let Some(mut name) = body.outputs.first().map(|output| output.name) else {
        return Err(site.malformed("its body has no outputs"));
    };
    let mut makers: BTreeMap<&str, &Node<'a>> = BTreeMap::new();
    for node in &body.nodes {
        makers.extend(node.outputs.iter().map(|&output| (output, node)));
    }
    for _ in 0..body.nodes.len() {
        match makers.get(name).map(|&node| (node.operator, node)) {
            Some(("Identity", node)) => name = node.inputs.first().copied().unwrap_or_default(),
            Some(("Constant", node)) => {
                let value = node.attributes.iter().find_map(|attribute| match &attribute.value {
                    AttributeValue::Tensor(tensor) => Some(tensor),
                    _ => None,
                });
                return value.map_or(Ok(false), |tensor| known_truth(importer, site, tensor));
            }
            Some(_) => return Ok(false),
            None => break,
        }
    }
    if body.inputs.get(1).is_some_and(|input| input.name == name) {
        return Ok(true);
    }
    match body.initializers.iter().find(|tensor| tensor.name == name) {
        Some(tensor) => known_truth(importer, site, tensor),
        None => match importer.constant(name) {
            Some(constant) => truth(site, &constant),
            None => Ok(false),
        },
    }
}

fn known_truth(
    importer: &mut Importer<'_>,
    site: &Site<'_>,
    tensor: &TensorProto<'_>,
) -> Result<bool> {
    let constant = Constant::read(tensor, importer.file, &mut importer.builder.budget)?;
    truth(site, &constant)
}

/// The graph in an attribute, the names of what is around it as they are by now.
fn read_graph<'a>(node: &Node<'a>, name: &str, budget: &mut Budget) -> Result<Graph<'a>> {
    let found = node.attributes.iter().find(|attribute| attribute.name == name);
    let Some(AttributeValue::Graph(span, renamed)) = found.map(|attribute| &attribute.value) else {
        return Err(Error::format(format!("its attribute {name:?} is no graph")));
    };
    let mut graph = Graph::read(*span, budget)?;
    if !renamed.is_empty() {
        let mut names: BTreeMap<&str, &str> = renamed.iter().copied().collect();
        for own in defined(&graph) {
            names.remove(own);
        }
        rename(&mut graph, &names, budget)?;
    }
    Ok(graph)
}

/// All names of a graph's values.
pub(crate) fn taken(graph: &Graph<'_>) -> BTreeSet<String> {
    defined(graph).into_iter().map(str::to_owned).collect()
}

/// The names that a graph gives to values of its own.
fn defined<'a>(graph: &Graph<'a>) -> BTreeSet<&'a str> {
    let results = graph.nodes.iter().flat_map(|node| node.outputs.iter().copied());
    let constants = graph.initializers.iter().map(|tensor| tensor.name);
    let inputs = graph.inputs.iter().map(|input| input.name);
    results.chain(constants).chain(inputs).filter(|name| !name.is_empty()).collect()
}

/// Gives values other names, also within graphs of graphs.
fn rename<'a>(
    graph: &mut Graph<'a>,
    names: &BTreeMap<&'a str, &'a str>,
    budget: &mut Budget,
) -> Result<()> {
    let change = |name: &mut &'a str| {
        if let Some(new) = names.get(*name) {
            *name = new;
        }
    };
    for node in &mut graph.nodes {
        node.inputs.iter_mut().for_each(change);
        node.outputs.iter_mut().for_each(change);
        for attribute in &mut node.attributes {
            if let AttributeValue::Graph(_, renamed) = &mut attribute.value {
                budget.take(renamed.len().saturating_add(names.len()), 32)?;
                // What was renamed before has its name of then inside.
                for (_, new) in renamed.iter_mut() {
                    change(new);
                }
                let known: BTreeSet<&str> = renamed.iter().map(|(old, _)| *old).collect();
                let more = names.iter().filter(|(old, _)| !known.contains(**old));
                renamed.extend(more.map(|(old, new)| (*old, *new)));
            }
        }
    }
    graph.initializers.iter_mut().for_each(|tensor| change(&mut tensor.name));
    graph.outputs.iter_mut().for_each(|output| change(&mut output.name));
    Ok(())
}

/// Names that the bodies of a decided node get, so that no two values of the graph share one.
pub(crate) struct FreshNames {
    /// By round: a name in the body, and its name in the graph.
    rounds: Vec<Vec<(String, String)>>,
    /// By round: results that are to be joined, each as one of many.
    slices: Vec<Vec<String>>,
    /// The constant that says where they are joined.
    axis: String,
}

/// Makes the names for [`replace`], other than all that are taken, and takes them.
///
/// # Errors
/// `MODEL_FORMAT` where an attribute is no graph, `OUT_OF_MEMORY`.
pub(crate) fn fresh_names(
    graph: &Graph<'_>,
    decision: &Decision,
    taken: &mut BTreeSet<String>,
    budget: &mut Budget,
) -> Result<FreshNames> {
    let node = decided_node(graph, decision)?;
    let (attribute, count) = match decision.taken {
        Taken::Branch(name) => (name, 1),
        Taken::Rounds(count) => ("body", count),
    };
    let body = read_graph(node, attribute, budget)?;
    let own = defined(&body);
    let label = node.outputs.iter().find(|name| !name.is_empty()).copied().unwrap_or_default();
    let name_bytes = own.iter().map(|name| name.len()).fold(0, usize::saturating_add);
    let each = own.len().saturating_add(node.outputs.len()).saturating_add(1);
    let each = each.saturating_mul(label.len().saturating_add(160)).saturating_add(name_bytes);
    budget.take(count, each.saturating_mul(3))?;
    let mut fresh = |mut name: String| {
        while !taken.insert(name.clone()) {
            name.push('\'');
        }
        name
    };
    let mut names = FreshNames {
        rounds: Vec::with_capacity(count),
        slices: Vec::with_capacity(count),
        axis: fresh(format!("{label}/axis")),
    };
    for round in 0..count {
        let in_round = |name: &str| match decision.taken {
            Taken::Branch(_) => name.to_owned(),
            Taken::Rounds(_) => format!("{label}/{round}/{name}"),
        };
        let pairs = own.iter().map(|name| ((*name).to_owned(), fresh(in_round(name)))).collect();
        names.rounds.push(pairs);
        let slices = node.outputs.iter().map(|name| fresh(format!("{name}/{round}"))).collect();
        names.slices.push(slices);
    }
    Ok(names)
}

/// Puts what was decided in the place of the node.
///
/// # Errors
/// `MODEL_FORMAT` where operands and results of a body are not those of its node,
/// `UNSUPPORTED_OPERATOR` for results of a loop that never runs, `OUT_OF_MEMORY`.
pub(crate) fn replace<'a>(
    graph: &mut Graph<'a>,
    decision: &Decision,
    names: &'a FreshNames,
    budget: &mut Budget,
) -> Result<()> {
    let node = decided_node(graph, decision)?;
    let mut made = Made::default();
    match decision.taken {
        Taken::Branch(attribute) => made.branch(node, attribute, names, budget)?,
        Taken::Rounds(_) => made.rounds(node, decision.opset, names, budget)?,
    }
    let count = graph.nodes.len().saturating_add(made.nodes.len());
    if count > MAX_NODES {
        return Err(Error::format(format!("more than {MAX_NODES} nodes")).with("limit", MAX_NODES));
    }
    budget.take(count.saturating_add(made.initializers.len()), 512)?;
    graph.has_sparse_initializers |= made.has_sparse_initializers;
    graph.nodes.splice(decision.index..=decision.index, made.nodes);
    graph.initializers.extend(made.initializers);
    Ok(())
}

fn decided_node<'g, 'a>(graph: &'g Graph<'a>, decision: &Decision) -> Result<&'g Node<'a>> {
    graph.nodes.get(decision.index).ok_or_else(|| Error::format("there is no such node"))
}

/// What takes a node's place.
#[derive(Default)]
struct Made<'a> {
    nodes: Vec<Node<'a>>,
    initializers: Vec<TensorProto<'a>>,
    has_sparse_initializers: bool,
}

impl<'a> Made<'a> {
    fn add(&mut self, operator: &'a str, inputs: Vec<&'a str>, output: &'a str) -> &mut Node<'a> {
        let outputs = vec![output];
        self.nodes.push(Node { inputs, outputs, name: output, operator, ..Node::default() });
        let last = self.nodes.len().saturating_sub(1);
        &mut self.nodes[last]
    }

    fn add_integers(&mut self, name: &'a str, data_type: i32, dims: Vec<i64>, value: u64) {
        let integers = vec![value];
        self.initializers.push(TensorProto {
            name,
            dims,
            data_type,
            integers,
            ..TensorProto::default()
        });
    }

    /// A body with other names; gives those of its results.
    fn body(
        &mut self,
        mut body: Graph<'a>,
        renamed: &BTreeMap<&'a str, &'a str>,
        budget: &mut Budget,
    ) -> Result<Vec<&'a str>> {
        rename(&mut body, renamed, budget)?;
        self.nodes.append(&mut body.nodes);
        self.initializers.append(&mut body.initializers);
        self.has_sparse_initializers |= body.has_sparse_initializers;
        Ok(body.outputs.iter().map(|output| output.name).collect())
    }

    fn branch(
        &mut self,
        node: &Node<'a>,
        attribute: &str,
        names: &'a FreshNames,
        budget: &mut Budget,
    ) -> Result<()> {
        let body = read_graph(node, attribute, budget)?;
        let pairs = names.rounds.iter().flatten();
        let renamed = pairs.map(|(old, new)| (&**old, &**new)).collect();
        let results = self.body(body, &renamed, budget)?;
        if results.len() < node.outputs.len() {
            return Err(Error::format(format!(
                "{:?} has {} results, its graph {attribute:?} gives {}",
                node.name,
                node.outputs.len(),
                results.len()
            )));
        }
        self.bind(results, &node.outputs);
        Ok(())
    }

    fn rounds(
        &mut self,
        node: &Node<'a>,
        opset: i64,
        names: &'a FreshNames,
        budget: &mut Budget,
    ) -> Result<()> {
        let malformed = |what: &str| Error::format(format!("loop {:?}: {what}", node.name));
        // Behind the trip count and the condition.
        let mut carried: Vec<&'a str> = node.inputs.get(2..).unwrap_or_default().to_vec();
        let joined = node.outputs.len().checked_sub(carried.len());
        let joined =
            joined.ok_or_else(|| malformed("it has fewer results than values that go round"))?;
        let mut slices: Vec<Vec<&'a str>> = vec![Vec::new(); joined];
        for (round, (pairs, own)) in names.rounds.iter().zip(&names.slices).enumerate() {
            let body = read_graph(node, "body", budget)?;
            let mut renamed: BTreeMap<&str, &str> =
                pairs.iter().map(|(old, new)| (&**old, &**new)).collect();
            let inputs: Vec<&str> = body.inputs.iter().map(|input| input.name).collect();
            let [number, condition, rest @ ..] = &*inputs else {
                return Err(malformed("its body has fewer than two operands"));
            };
            if rest.len() != carried.len() {
                return Err(malformed("its body has other operands than it gives it"));
            }
            for (name, data_type, value) in [(number, INT64, round as u64), (condition, BOOL, 1)] {
                if let Some(fresh) = renamed.get(name) {
                    self.add_integers(fresh, data_type, Vec::new(), value);
                }
            }
            renamed.extend(rest.iter().copied().zip(carried.iter().copied()));
            let results = self.body(body, &renamed, budget)?;
            // Its condition comes first.
            let after = results.get(1..).unwrap_or_default();
            if after.len() != node.outputs.len() {
                return Err(malformed("its body has other results than it has"));
            }
            let (next, parts) = after.split_at_checked(carried.len()).unwrap_or((after, &[]));
            carried = next.to_vec();
            for ((all, part), slice) in slices.iter_mut().zip(parts).zip(own) {
                let mut inputs = vec![*part];
                if opset >= 13 {
                    inputs.push(&names.axis);
                }
                let node = self.add("Unsqueeze", inputs, slice);
                if opset < 13 {
                    let value = AttributeValue::Ints(vec![0]);
                    node.attributes.push(Attribute { name: "axes", value });
                }
                all.push(slice);
            }
        }
        if joined > 0 {
            self.add_integers(&names.axis, INT64, vec![1], 0);
            if names.rounds.is_empty() {
                return Err(Error::unsupported_operator(format!(
                    "loop {:?} never runs, and joins what its rounds give",
                    node.name
                ))
                .with("operator", "Loop"));
            }
        }
        let (kept, lists) = node.outputs.split_at_checked(carried.len()).unwrap_or_default();
        self.bind(carried, kept);
        for (&name, parts) in lists.iter().zip(slices).filter(|(name, _)| !name.is_empty()) {
            let value = AttributeValue::Int(0);
            self.add("Concat", parts, name).attributes.push(Attribute { name: "axis", value });
        }
        Ok(())
    }

    /// Gives results the names that the graph knows.
    fn bind(&mut self, results: Vec<&'a str>, names: &[&'a str]) {
        for (result, &name) in results.into_iter().zip(names) {
            if !name.is_empty() {
                self.add("Identity", vec![result], name);
            }
        }
    }
}
