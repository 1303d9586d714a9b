//! The little of ONNX's messages that the tests need: names of inputs, operators, and a file in which
//! inputs are constants.

use super::archive::Array;

/// A field of a message: its number, and its bytes where it is a string or a message.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8], &[u8])> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let start = message;
        let tag = varint(&mut message);
        let value: &[u8] = match tag & 7 {
            0 => {
                varint(&mut message);
                &[]
            }
            1 => take(&mut message, 8),
            5 => take(&mut message, 4),
            2 => {
                let length = usize::try_from(varint(&mut message)).expect("a length");
                take(&mut message, length)
            }
            kind => panic!("wire type {kind}"),
        };
        fields.push((tag >> 3, value, &start[..start.len() - message.len()]));
    }
    fields
}

fn take<'a>(message: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = message.split_at(length);
    *message = rest;
    taken
}

fn varint(message: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(message, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn name(message: &[u8], field: u64) -> String {
    let found = fields(message).into_iter().find(|(number, ..)| *number == field);
    found.map_or_else(String::new, |(_, text, _)| String::from_utf8(text.to_vec()).expect("UTF-8"))
}

fn graph(model: &[u8]) -> &[u8] {
    fields(model).into_iter().find(|(number, ..)| *number == 7).expect("a graph").1
}

/// The names of the graph's inputs that are no initializers.
pub fn inputs(model: &[u8]) -> Vec<String> {
    let graph = fields(graph(model));
    let named = |wanted: u64, field: u64| {
        let found = graph.iter().filter(move |(number, ..)| *number == wanted);
        found.map(move |(_, message, _)| name(message, field))
    };
    let initializers: Vec<String> = named(5, 8).collect();
    named(11, 1).filter(|name| !initializers.contains(name)).collect()
}

/// The operators of the graph, each once, in order.
pub fn operators(model: &[u8]) -> Vec<String> {
    let mut operators: Vec<String> = Vec::new();
    for (_, node, _) in fields(graph(model)).iter().filter(|(number, ..)| *number == 1) {
        let (operator, domain) = (name(node, 4), name(node, 7));
        let operator = if domain.is_empty() { operator } else { format!("{domain}.{operator}") };
        if !operators.contains(&operator) {
            operators.push(operator);
        }
    }
    operators
}

/// The model with constants in place of inputs, as exporters write them.
pub fn with_constants(model: &[u8], constants: &[(String, &Array)]) -> Vec<u8> {
    let mut changed = Vec::new();
    for (number, message, whole) in fields(graph(model)) {
        let is_constant =
            number == 11 && constants.iter().any(|(constant, _)| *constant == name(message, 1));
        if !is_constant {
            changed.extend(whole);
        }
    }
    for (name, array) in constants {
        let mut tensor = Vec::new();
        for &dim in &array.shape {
            put_varint(&mut tensor, 1 << 3);
            put_varint(&mut tensor, dim as u64);
        }
        put_varint(&mut tensor, 2 << 3);
        put_varint(&mut tensor, array.kind.into());
        put(&mut tensor, 8, name.as_bytes());
        put(&mut tensor, 9, &array.bytes);
        put(&mut changed, 5, &tensor);
    }
    let mut file = Vec::new();
    for (number, _, whole) in fields(model) {
        match number {
            7 => put(&mut file, 7, &changed),
            _ => file.extend(whole),
        }
    }
    file
}
