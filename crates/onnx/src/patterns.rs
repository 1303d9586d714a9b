//! Operators of the model that older opsets spell out in several nodes.
#![deny(clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use crate::import::Importer;
use crate::proto::Node;

/// An operator that a group of nodes is.
#[derive(Clone, Debug)]
pub(crate) struct Pattern<'a> {
    pub kind: PatternKind,
    /// What it is applied to.
    pub input: &'a str,
    /// The nodes but for the last.
    pub inner: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum PatternKind {
    /// `x / 2 * (1 + erf(x / sqrt(2)))`.
    Gelu,
    /// `x * min(max(x + 3, 0), 6) / 6`.
    HardSwish,
}

/// The last node of each pattern, and the pattern.
pub(crate) fn find<'a>(importer: &Importer<'a>) -> Vec<(usize, Pattern<'a>)> {
    let nodes = &importer.graph.nodes;
    let mut makers = BTreeMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for &name in &node.outputs {
            makers.insert(name, index);
        }
    }
    let finder = Finder { importer, nodes, makers };
    let found = nodes.iter().enumerate().filter(|(_, node)| node.domain.is_empty());
    found
        .filter_map(|(index, node)| {
            let pattern = match node.operator {
                "Erf" => finder.gelu(index),
                "Clip" => finder.hard_swish(index),
                "HardSigmoid" => finder.hard_sigmoid_product(index),
                _ => None,
            };
            pattern.map(|(last, kind, input, inner)| (last, Pattern { kind, input, inner }))
        })
        .collect()
}

type Found<'a> = (usize, PatternKind, &'a str, Vec<usize>);

struct Finder<'i, 'a> {
    importer: &'i Importer<'a>,
    nodes: &'a [Node<'a>],
    makers: BTreeMap<&'a str, usize>,
}

impl<'a> Finder<'_, 'a> {
    fn node(&self, index: usize) -> Option<&'a Node<'a>> {
        self.nodes.get(index)
    }

    fn result(&self, index: usize) -> Option<&'a str> {
        self.node(index)?.outputs.first().copied()
    }

    fn is(&self, name: &str, number: f32) -> bool {
        let found = self.importer.constant(name).and_then(|constant| constant.scalar());
        found.is_some_and(|found| (found - number).abs() <= number.abs() * 1e-3)
    }

    /// The two operands of a node.
    fn pair(&self, index: usize) -> Option<[&'a str; 2]> {
        match self.node(index)?.inputs[..] {
            [a, b] => Some([a, b]),
            _ => None,
        }
    }

    /// The operand of a product or sum that is not the number `number`.
    fn beside(&self, index: usize, number: f32) -> Option<&'a str> {
        let [a, b] = self.pair(index)?;
        if self.is(b, number) {
            Some(a)
        } else if self.is(a, number) {
            Some(b)
        } else {
            None
        }
    }

    /// The operand of a node that is not `name`.
    fn other(&self, index: usize, name: &str) -> Option<&'a str> {
        let [a, b] = self.pair(index)?;
        if a == name { Some(b) } else { Some(a).filter(|_| b == name) }
    }

    /// The readers of a name that are a kind of node.
    fn readers<'s>(&'s self, name: &str, operator: &'s str) -> impl Iterator<Item = usize> + 's {
        let readers = self.importer.readers(name).to_vec();
        readers
            .into_iter()
            .filter(move |&reader| self.node(reader).is_some_and(|node| node.operator == operator))
    }

    /// `name / number`, or `name * (1 / number)`.
    fn divided(&self, index: usize, number: f32) -> Option<&'a str> {
        match self.node(index)?.operator {
            "Mul" => self.beside(index, 1.0 / number),
            "Div" => {
                let [a, b] = self.pair(index)?;
                self.is(b, number).then_some(a)
            }
            _ => None,
        }
    }

    fn gelu(&self, erf: usize) -> Option<Found<'a>> {
        let scaled = *self.makers.get(self.node(erf)?.inputs.first()?)?;
        let x = self.divided(scaled, std::f32::consts::SQRT_2)?;
        let add = self.readers(self.result(erf)?, "Add").next()?;
        self.beside(add, 1.0)?;
        let sum = self.result(add)?;
        let inner = [scaled, erf, add];
        let with = |last: usize, further: &[usize]| {
            let inner = inner.iter().chain(further).copied().collect();
            Some((last, PatternKind::Gelu, x, inner))
        };
        for product in self.readers(sum, "Mul") {
            let made = self.result(product)?;
            let other = self.other(product, sum)?;
            if other == x {
                // (1 + erf) * x, then half of it.
                let halved = |&last: &usize| self.divided(last, 2.0) == Some(made);
                let muls = self.readers(made, "Mul").chain(self.readers(made, "Div"));
                if let Some(last) =
                    muls.collect::<Vec<_>>().iter().copied().find(|last| halved(last))
                {
                    return with(last, &[product]);
                }
            } else if self.is(other, 0.5) {
                // Half of (1 + erf), then times x.
                let whole =
                    self.readers(made, "Mul").find(|&last| self.other(last, made) == Some(x));
                if let Some(last) = whole {
                    return with(last, &[product]);
                }
            } else if let Some(&half) = self.makers.get(other)
                && self.divided(half, 2.0) == Some(x)
            {
                return with(product, &[half]);
            }
        }
        None
    }

    fn hard_swish(&self, clip: usize) -> Option<Found<'a>> {
        let site = self.importer.site(clip)?;
        if self.importer.clip_range(&site)? != (0.0, 6.0) {
            return None;
        }
        let add = *self.makers.get(self.node(clip)?.inputs.first()?)?;
        if self.node(add)?.operator != "Add" {
            return None;
        }
        let x = self.beside(add, 3.0)?;
        let clipped = self.result(clip)?;
        let sixth = |name: &str| {
            let readers = self.readers(name, "Div").chain(self.readers(name, "Mul"));
            readers
                .collect::<Vec<_>>()
                .into_iter()
                .find(|&last| self.divided(last, 6.0) == Some(name))
        };
        // x * clipped, then a sixth of it; or x times a sixth of clipped.
        if let Some(product) =
            self.readers(clipped, "Mul").find(|&at| self.other(at, clipped) == Some(x))
        {
            let last = sixth(self.result(product)?)?;
            return Some((last, PatternKind::HardSwish, x, vec![add, clip, product]));
        }
        let part = sixth(clipped)?;
        let gate = self.result(part)?;
        let last = self.readers(gate, "Mul").find(|&at| self.other(at, gate) == Some(x))?;
        Some((last, PatternKind::HardSwish, x, vec![add, clip, part]))
    }

    fn hard_sigmoid_product(&self, gate: usize) -> Option<Found<'a>> {
        let site = self.importer.site(gate)?;
        let alpha = site.float("alpha", 0.2).ok()?;
        let beta = site.float("beta", 0.5).ok()?;
        if (alpha - 1.0 / 6.0).abs() > 1e-4 || beta != 0.5 {
            return None;
        }
        let x = *self.node(gate)?.inputs.first()?;
        let made = self.result(gate)?;
        let last = self.readers(made, "Mul").find(|&at| self.other(at, made) == Some(x))?;
        Some((last, PatternKind::HardSwish, x, vec![gate]))
    }
}
