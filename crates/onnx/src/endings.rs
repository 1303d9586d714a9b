//! Ends of graphs that name classes: scikit-learn's and cloud services' exports give the winner's
//! name as a string and the scores as a sequence of maps. They are taken off: the scores come out as
//! a tensor, and the strings are the names of its classes.
#![deny(clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use achado_model::Result;

use crate::limits::Budget;
use crate::proto::{AttributeValue, Graph, Node, TensorProto, ValueInfo};

/// Scores that come out, and their names.
type Ending<'a> = (&'a str, Vec<String>);

/// Rewires the graph's outputs, and gives the names of classes by the place of their output.
pub(crate) fn take_off(
    graph: &mut Graph<'_>,
    budget: &mut Budget,
) -> Result<Vec<(usize, Vec<String>)>> {
    let endings = Endings::new(graph);
    let found: Vec<Option<Ending<'_>>> =
        graph.outputs.iter().map(|output| endings.of(output.name)).collect();
    if found.iter().all(Option::is_none) {
        return Ok(Vec::new());
    }
    budget.take(graph.outputs.len(), 256)?;
    let mut outputs: Vec<ValueInfo<'_>> = Vec::new();
    let mut labels: Vec<(usize, Vec<String>)> = Vec::new();
    for (output, ending) in std::mem::take(&mut graph.outputs).into_iter().zip(found) {
        let (name, names) = ending.unwrap_or((output.name, Vec::new()));
        let place = outputs.iter().position(|known| known.name == name).unwrap_or_else(|| {
            let kept = if name == output.name {
                output
            } else {
                ValueInfo { name, ..ValueInfo::default() }
            };
            outputs.push(kept);
            outputs.len().saturating_sub(1)
        });
        for name in &names {
            budget.take(name.len(), 2)?;
        }
        match labels.iter_mut().find(|(at, _)| *at == place) {
            _ if names.is_empty() => {}
            Some((_, known)) if known.is_empty() => *known = names,
            Some(_) => {}
            None => labels.push((place, names)),
        }
    }
    graph.outputs = outputs;
    Ok(labels)
}

struct Endings<'g, 'a> {
    makers: BTreeMap<&'a str, &'g Node<'a>>,
    initializers: BTreeMap<&'a str, &'g TensorProto<'a>>,
}

impl<'g, 'a> Endings<'g, 'a> {
    fn new(graph: &'g Graph<'a>) -> Self {
        let makers = graph.nodes.iter().flat_map(|node| {
            let outputs = node.outputs.iter().filter(|name| !name.is_empty());
            outputs.map(move |&name| (name, node))
        });
        let initializers = graph.initializers.iter().map(|tensor| (tensor.name, tensor));
        Self { makers: makers.collect(), initializers: initializers.collect() }
    }

    /// What to give in place of an output that is a map or a string.
    fn of(&self, output: &'a str) -> Option<Ending<'a>> {
        let node = self.maker(output)?;
        let input = |at: usize| node.inputs.get(at).copied().filter(|name| !name.is_empty());
        match (node.domain, node.operator) {
            ("ai.onnx.ml", "ZipMap") => {
                let names = texts(node, "classlabels_strings")
                    .or_else(|| integers(node, "classlabels_int64s"))
                    .unwrap_or_default();
                Some((input(0)?, names))
            }
            ("ai.onnx.ml", "LabelEncoder") => {
                // The first version lists the strings by index.
                let names = match texts(node, "classes_strings") {
                    Some(names) => names,
                    None => self.encoded(node)?,
                };
                Some((self.scores(input(0)?)?, names))
            }
            ("ai.onnx.ml", "ArrayFeatureExtractor") | ("", "Gather") => {
                let names = strings(self.constant(input(0)?)?)?;
                Some((self.scores(input(1)?)?, names))
            }
            _ => None,
        }
    }

    /// The node that computes a name, behind those that give it on unchanged.
    fn maker(&self, name: &str) -> Option<&'g Node<'a>> {
        let mut node = *self.makers.get(name)?;
        // As many steps as there are names: the graph may have a cycle.
        for _ in 0..self.makers.len() {
            let moves = ["Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten"];
            if !(node.domain.is_empty() && moves.contains(&node.operator)) {
                return Some(node);
            }
            node = self.makers.get(node.inputs.first()?)?;
        }
        None
    }

    /// What an ArgMax chooses from, whose result is `index`.
    fn scores(&self, index: &str) -> Option<&'a str> {
        let node = self.maker(index)?;
        let is_choice = node.domain.is_empty() && node.operator == "ArgMax";
        node.inputs.first().copied().filter(|_| is_choice)
    }

    /// The strings of a LabelEncoder by index, for keys 0, 1, ... in any order.
    fn encoded(&self, node: &Node<'_>) -> Option<Vec<String>> {
        let values = texts(node, "values_strings")?;
        let Some(AttributeValue::Ints(keys)) = attribute(node, "keys_int64s") else { return None };
        let mut names = vec![String::new(); values.len()];
        for (key, value) in keys.iter().zip(values) {
            *names.get_mut(usize::try_from(*key).ok()?)? = value;
        }
        Some(names)
    }

    fn constant(&self, name: &str) -> Option<&'g TensorProto<'a>> {
        if let Some(tensor) = self.initializers.get(name) {
            return Some(tensor);
        }
        let node = self.makers.get(name).filter(|node| node.operator == "Constant")?;
        match attribute(node, "value") {
            Some(AttributeValue::Tensor(tensor)) => Some(tensor),
            _ => None,
        }
    }
}

fn attribute<'g, 'a>(node: &'g Node<'a>, name: &str) -> Option<&'g AttributeValue<'a>> {
    let found = node.attributes.iter().find(|attribute| attribute.name == name);
    found.map(|attribute| &attribute.value)
}

fn texts(node: &Node<'_>, name: &str) -> Option<Vec<String>> {
    match attribute(node, name) {
        Some(AttributeValue::Texts(texts)) if !texts.is_empty() => {
            Some(texts.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect())
        }
        _ => None,
    }
}

fn integers(node: &Node<'_>, name: &str) -> Option<Vec<String>> {
    match attribute(node, name) {
        Some(AttributeValue::Ints(values)) => {
            Some(values.iter().map(ToString::to_string).collect())
        }
        _ => None,
    }
}

/// The elements of a tensor of strings.
fn strings(tensor: &TensorProto<'_>) -> Option<Vec<String>> {
    let text = |text: &&[u8]| String::from_utf8_lossy(text).into_owned();
    (tensor.data_type == 8).then(|| tensor.texts.iter().map(text).collect())
}
