//! Einsum, as transposed operands and matrix products, two operands at a time.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::{Operator, Result};

use super::calculator::Calculator;
use crate::constant::{elements, strides};
use crate::import::{Importer, TensorValue};
use crate::site::Site;

/// A dimension's name: a letter, or the place of a dimension under an ellipsis, from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Letter(char),
    Ellipsis(usize),
}

/// A value with the names of its dimensions, each once.
struct Term {
    value: TensorValue,
    labels: Vec<Label>,
}

/// The names of the dimensions of a value of `rank` dimensions.
fn labels(site: &Site<'_>, text: &str, rank: usize) -> Result<Vec<Label>> {
    let unfit = || site.malformed(format!("the term {text:?} for {rank} dimensions"));
    let letters = text.chars().filter(|letter| letter.is_ascii_alphabetic()).count();
    let hidden = match text.contains("...") {
        true => rank.checked_sub(letters).ok_or_else(unfit)?,
        false => 0,
    };
    let mut labels = Vec::with_capacity(rank);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix("...") {
            labels.extend((0..hidden).rev().map(Label::Ellipsis));
            rest = behind;
        } else if first.is_ascii_alphabetic() {
            labels.push(Label::Letter(first));
            rest = rest.get(1..).unwrap_or_default();
        } else {
            return Err(unfit());
        }
    }
    if labels.len() == rank { Ok(labels) } else { Err(unfit()) }
}

/// Einsum.
pub(super) fn einsum<'a>(importer: &mut Importer<'a>, site: &Site<'a>) -> Result<()> {
    let equation: String =
        site.text("equation", "")?.chars().filter(|letter| !letter.is_whitespace()).collect();
    let (left, right) = match equation.split_once("->") {
        Some((left, right)) => (left, Some(right)),
        None => (&equation[..], None),
    };
    let texts: Vec<&str> = left.split(',').collect();
    if texts.len() != site.node.inputs.len() {
        return Err(site.malformed(format!("the equation {equation:?} has {} terms", texts.len())));
    }
    let mut c = Calculator::new(importer, site)?;
    let mut terms = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().enumerate() {
        let value = c.input(at)?;
        if !value.is_real() {
            return Err(site.unsupported(format!("{} is not supported", value.dtype)));
        }
        let labels = labels(site, text, value.view.rank())?;
        terms.push(diagonal(&mut c, Term { value, labels })?);
    }
    let hidden = terms.iter().flat_map(|term| &term.labels).filter_map(|label| match label {
        Label::Ellipsis(at) => Some(at.saturating_add(1)),
        Label::Letter(_) => None,
    });
    let hidden = hidden.max().unwrap_or(0);
    let output = match right {
        Some(text) => {
            let letters = text.chars().filter(|letter| letter.is_ascii_alphabetic()).count();
            let shown = if text.contains("...") { hidden } else { 0 };
            labels(site, text, letters.saturating_add(shown))?
        }
        // Without an arrow: what is hidden, and the letters that occur once, sorted.
        None => {
            let mut letters: Vec<char> =
                left.chars().filter(|letter| letter.is_ascii_alphabetic()).collect();
            letters.sort_unstable();
            let once = |letter: &&char| letters.iter().filter(|other| other == letter).count() == 1;
            let letters = letters.iter().filter(once).copied().map(Label::Letter);
            (0..hidden).rev().map(Label::Ellipsis).chain(letters).collect()
        }
    };
    let mut terms = terms.into_iter();
    let Some(mut sum) = terms.next() else { return Err(site.malformed("no terms")) };
    let mut rest: Vec<Term> = terms.collect();
    while !rest.is_empty() {
        let next = rest.remove(0);
        let needed = |label: &Label| {
            output.contains(label) || rest.iter().any(|term| term.labels.contains(label))
        };
        let needed: Vec<Label> =
            sum.labels.iter().chain(&next.labels).copied().filter(needed).collect();
        sum = product(&mut c, sum, next, &needed)?;
    }
    let sum = summed(&mut c, sum, &output)?;
    let mut order = Vec::with_capacity(output.len());
    let mut value = sum.value;
    let mut found = sum.labels;
    for label in &output {
        let place = match found.iter().position(|other| other == label) {
            Some(place) => place,
            None => return Err(site.malformed(format!("the equation {equation:?}"))),
        };
        order.push(place);
    }
    if order.len() != found.len() {
        return Err(site.malformed(format!("the equation {equation:?}")));
    }
    value = c.transpose(&value, &order);
    found.clear();
    c.give(0, value);
    Ok(())
}

/// A term in which each name stands once: of a name that stands twice the diagonal is taken.
fn diagonal(c: &mut Calculator<'_, '_>, term: Term) -> Result<Term> {
    let mut labels: Vec<Label> = Vec::new();
    for label in &term.labels {
        if !labels.contains(label) {
            labels.push(*label);
        }
    }
    if labels.len() == term.labels.len() {
        return Ok(term);
    }
    let dims = term.value.view.dims();
    let own = strides(&dims);
    let mut sizes = Vec::with_capacity(labels.len());
    let mut steps = Vec::with_capacity(labels.len());
    for label in &labels {
        let places = || (term.labels.iter().enumerate()).filter(|(_, other)| *other == label);
        let size = |at: usize| dims.get(at).copied().unwrap_or(1);
        let first = places().map(|(at, _)| size(at)).next().unwrap_or(1);
        if places().any(|(at, _)| size(at) != first) {
            return Err(c.site.malformed(format!("a diagonal of shape {dims:?}")));
        }
        sizes.push(first);
        steps.push(places().map(|(at, _)| own.get(at).copied().unwrap_or(1)).sum());
    }
    let count = elements(&sizes)?;
    c.importer.builder.budget.take(count, 8)?;
    let places: Vec<usize> = crate::constant::Places::new(&sizes, steps).collect();
    let value = c.pick_flat(&term.value, &places, &sizes)?;
    Ok(Term { value, labels })
}

/// The sum over all names that are not kept.
fn summed(c: &mut Calculator<'_, '_>, term: Term, kept: &[Label]) -> Result<Term> {
    let gone: Vec<usize> = (term.labels.iter().enumerate())
        .filter(|(_, label)| !kept.contains(label))
        .map(|(at, _)| at)
        .collect();
    if gone.is_empty() {
        return Ok(term);
    }
    let sum = c.reduce(Operator::Sum { keep_dims: true }, &term.value, &gone)?;
    let left = |at: &usize| !gone.contains(at);
    let dims = sum.view.dims();
    let dims: Vec<usize> =
        (0..dims.len()).filter(left).map(|at| dims.get(at).copied().unwrap_or(1)).collect();
    let value = c.reshape(&sum, &dims)?;
    let labels = (term.labels.iter().enumerate())
        .filter(|(at, _)| left(at))
        .map(|(_, label)| *label)
        .collect();
    Ok(Term { value, labels })
}

/// The product of two terms, summed over the names that nobody needs.
fn product(c: &mut Calculator<'_, '_>, a: Term, b: Term, needed: &[Label]) -> Result<Term> {
    let shared =
        |other: &Term| -> Vec<Label> { needed.iter().chain(&other.labels).copied().collect() };
    let (kept_a, kept_b) = (shared(&b), shared(&a));
    let a = summed(c, a, &kept_a)?;
    let b = summed(c, b, &kept_b)?;
    let is_needed = |label: &&Label| needed.contains(label);
    let in_b = |label: &&Label| b.labels.contains(label);
    let batch: Vec<Label> = a.labels.iter().filter(in_b).filter(is_needed).copied().collect();
    let inner: Vec<Label> =
        a.labels.iter().filter(in_b).filter(|label| !needed.contains(label)).copied().collect();
    let rows: Vec<Label> =
        a.labels.iter().filter(|label| !b.labels.contains(label)).copied().collect();
    let columns: Vec<Label> =
        b.labels.iter().filter(|label| !a.labels.contains(label)).copied().collect();
    let size = |term: &Term, label: &Label| {
        let at = term.labels.iter().position(|other| other == label);
        at.and_then(|at| term.value.view.dims().get(at).copied()).unwrap_or(1)
    };
    let sizes = |term: &Term, labels: &[Label]| -> Vec<usize> {
        labels.iter().map(|label| size(term, label)).collect()
    };
    for label in inner.iter().chain(&batch) {
        if size(&a, label) != size(&b, label)
            && (inner.contains(label) || size(&a, label).min(size(&b, label)) != 1)
        {
            return Err(c.site.malformed("terms of different sizes"));
        }
    }
    let batch_sizes: Vec<usize> =
        batch.iter().map(|label| size(&a, label).max(size(&b, label))).collect();
    let (inner_size, row_sizes, column_sizes) =
        (sizes(&a, &inner).iter().product(), sizes(&a, &rows), sizes(&b, &columns));
    let arranged =
        |c: &mut Calculator<'_, '_>, term: &Term, order: [&[Label]; 3], tail: [usize; 2]| {
            let order: Vec<usize> = (order.concat().iter())
                .filter_map(|label| term.labels.iter().position(|other| other == label))
                .collect();
            let turned = c.transpose(&term.value, &order);
            let mut dims = sizes(term, &batch);
            // Names that one side has as 1 stay apart; others become one dimension.
            if dims == batch_sizes {
                dims = vec![dims.iter().product()];
            }
            dims.extend(tail);
            c.reshape(&turned, &dims)
        };
    let (row_count, column_count) = (row_sizes.iter().product(), column_sizes.iter().product());
    let equal = sizes(&a, &batch) == batch_sizes && sizes(&b, &batch) == batch_sizes;
    if !equal {
        return Err(c.site.unsupported("dimensions of 1 that are repeated"));
    }
    let left = arranged(c, &a, [&batch, &rows, &inner], [row_count, inner_size])?;
    let right = arranged(c, &b, [&batch, &inner, &columns], [inner_size, column_count])?;
    let value = c.product(&left, &right)?;
    let value = c.reshape(&value, &[&batch_sizes[..], &row_sizes, &column_sizes].concat())?;
    Ok(Term { value, labels: [batch, rows, columns].concat() })
}
