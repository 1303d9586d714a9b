//! What a file's messages become in the memory of a reader that keeps all of them, counted before
//! there is one: an empty message takes two bytes in the file and hundreds beside it.
#![deny(clippy::arithmetic_side_effects)]

use achado_model::limits::MAX_NODES;
use achado_model::{Error, Result};

use crate::limits::Budget;
use crate::protobuf::{Span, Wire};

/// The messages of `onnx.proto` that hold others; `Leaf` is any that holds none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Value,
    Type,
    TensorType,
    Shape,
    Leaf,
}

/// Of any message, its share of a vector that grows by doubling included.
const MESSAGE_BYTES: usize = 640;
/// Of any other field, likewise.
const FIELD_BYTES: usize = 64;

/// Takes from the budget what a reader of all messages would hold.
///
/// # Errors
/// `OUT_OF_MEMORY` beyond the budget, `MODEL_FORMAT` for a damaged file, `UNSUPPORTED_OPERATOR` for
/// what would nest without end: graphs inside of nodes, functions, training.
pub(crate) fn weigh(file: &[u8], budget: &mut Budget) -> Result<()> {
    let mut nodes = 0usize;
    let mut queue = vec![(Kind::Model, Span { bytes: file, start: 0 })];
    while let Some((kind, span)) = queue.pop() {
        for field in span.fields() {
            let (number, value) = field?;
            let Wire::Span(part) = value else {
                budget.take(1, FIELD_BYTES)?;
                continue;
            };
            let Some(inner) = inner(kind, number)? else {
                budget.take(1, FIELD_BYTES)?;
                // A packed integer of one byte becomes eight; vectors grow by doubling.
                let is_packed =
                    matches!((kind, number), (Kind::Tensor, 1 | 5 | 7 | 11) | (Kind::Attribute, 8));
                budget.take(part.bytes.len(), if is_packed { 16 } else { 2 })?;
                continue;
            };
            nodes = nodes.saturating_add((inner == Kind::Node).into());
            if nodes > MAX_NODES {
                return Err(Error::format(format!("more than {MAX_NODES} nodes")));
            }
            budget.take(1, MESSAGE_BYTES)?;
            if inner != Kind::Leaf || !part.bytes.is_empty() {
                queue.push((inner, part));
            }
        }
    }
    Ok(())
}

/// The message that a field holds; `None` for numbers and strings.
fn inner(kind: Kind, field: u64) -> Result<Option<Kind>> {
    Ok(Some(match (kind, field) {
        (Kind::Model, 7) => Kind::Graph,
        (Kind::Model, 20 | 25) => return Err(missing("functions and training")),
        (Kind::Model, 8 | 14 | 26) => Kind::Leaf,
        (Kind::Graph, 1) => Kind::Node,
        (Kind::Graph, 5) => Kind::Tensor,
        (Kind::Graph, 11..=13) => Kind::Value,
        (Kind::Graph, 15) => return Err(missing("sparse initializers")),
        (Kind::Graph, 14 | 16) => Kind::Leaf,
        (Kind::Node, 5) => Kind::Attribute,
        (Kind::Node, 9 | 10) => Kind::Leaf,
        (Kind::Attribute, 5 | 10) => Kind::Tensor,
        (Kind::Attribute, 6 | 11) => return Err(missing("graphs inside of nodes")),
        (Kind::Attribute, 22 | 23) => return Err(missing("sparse tensors")),
        (Kind::Attribute, 14 | 15) => Kind::Type,
        (Kind::Tensor, 3 | 13 | 16) => Kind::Leaf,
        (Kind::Value, 2) => Kind::Type,
        (Kind::Value, 4) => Kind::Leaf,
        (Kind::Type, 1) => Kind::TensorType,
        (Kind::Type, 4 | 5 | 7 | 8 | 9) => return Err(missing("values that are no tensors")),
        (Kind::TensorType, 2) => Kind::Shape,
        (Kind::Shape, 1) => Kind::Leaf,
        _ => return Ok(None),
    }))
}

fn missing(what: &str) -> Error {
    Error::unsupported_operator(format!("{what} are not supported"))
}

#[cfg(test)]
mod tests {
    use achado_model::ErrorCode;

    use super::*;

    /// A field of type 2.
    fn span(field: u8, bytes: &[u8]) -> Vec<u8> {
        let mut message = vec![field << 3 | 2];
        let mut length = bytes.len();
        while length >= 0x80 {
            message.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend(bytes);
        message
    }

    fn weighed(file: &[u8]) -> Result<()> {
        weigh(file, &mut Budget::for_file(file.len()))
    }

    #[test]
    fn many_empty_messages_are_over_the_budget() {
        let tensors = span(7, &span(5, &[]).repeat(1 << 20));
        assert_eq!(weighed(&tensors).unwrap_err().code, ErrorCode::OutOfMemory);
        let node = span(1, &span(5, &span(10, &[]).repeat(1 << 20)));
        assert_eq!(weighed(&span(7, &node)).unwrap_err().code, ErrorCode::OutOfMemory);
        let few = span(7, &span(5, &[]).repeat(100));
        assert_eq!(weighed(&few), Ok(()));
    }

    #[test]
    fn weights_weigh_what_they_are() {
        let raw = span(5, &span(9, &[0; 1 << 20]));
        assert_eq!(weighed(&span(7, &raw)), Ok(()));
        let strings = span(7, &span(5, &span(6, &[]).repeat(1 << 21)));
        assert_eq!(weighed(&strings).unwrap_err().code, ErrorCode::OutOfMemory);
    }

    #[test]
    fn what_nests_is_refused() {
        let inner = span(7, &span(1, &span(5, &span(6, &[]))));
        let error = weighed(&inner).unwrap_err();
        assert_eq!(error.code, ErrorCode::UnsupportedOperator);
        assert!(error.message.contains("graphs inside of nodes"), "{error}");
    }
}
