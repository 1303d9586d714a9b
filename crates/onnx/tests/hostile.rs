//! Whatever the bytes are, importing ends within a second: in an error, or in a model. No panic, no
//! hang, no memory beyond the stated budget.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use achado_model::{Bytes, Error, ErrorCode, Result};
use achado_onnx::limits::{IMPORT_BUDGET_BASE_BYTES, IMPORT_BUDGET_PER_BYTE};
use achado_onnx::{ImportOptions, convert};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The allocator counts for the whole process, so tests take turns.
static TURN: Mutex<()> = Mutex::new(());

/// What importing any file of these tests may take.
const TIME_LIMIT: Duration = Duration::from_secs(1);

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Converts; checks the time and the peak of what was allocated beside the file.
fn try_file(file: &[u8]) -> Result<Vec<u8>> {
    let budget = IMPORT_BUDGET_BASE_BYTES + IMPORT_BUDGET_PER_BYTE * file.len();
    let mut fastest = Duration::MAX;
    // A busy machine may be slow once.
    for _ in 0..3 {
        let bytes = Bytes::from(file.to_vec());
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let start = Instant::now();
        let result = convert(bytes, &ImportOptions::default());
        fastest = fastest.min(start.elapsed());
        let peak = ALLOCATOR.peak_usage().saturating_sub(before);
        assert!(peak <= budget, "{peak} bytes allocated, the budget is {budget}");
        if fastest < TIME_LIMIT {
            return result;
        }
    }
    panic!("it took {fastest:?}");
}

/// The error, which must have a code and contain some words.
fn refused(file: &[u8], code: ErrorCode, words: &str) -> Error {
    let error = try_file(file).expect_err("an error");
    assert_eq!(error.code, code, "{error}");
    assert!(error.message.contains(words), "{error}");
    error
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/onnx");
    std::fs::read(folder.join(name)).expect("a fixture")
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit as u64).expect("below a usize")
    }
}

/// A message of Protocol Buffers, field by field.
#[derive(Clone, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    fn number(self, field: u64, value: i64) -> Self {
        self.varint(field << 3).varint(value as u64)
    }

    fn bytes(self, field: u64, bytes: &[u8]) -> Self {
        let mut message = self.varint(field << 3 | 2).varint(bytes.len() as u64);
        message.0.extend(bytes);
        message
    }

    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn message(self, field: u64, message: &Message) -> Self {
        self.bytes(field, &message.0)
    }
}

fn node(operator: &str, inputs: &[&str], outputs: &[&str]) -> Message {
    let node = inputs.iter().fold(Message::default(), |node, name| node.text(1, name));
    let node = outputs.iter().fold(node, |node, name| node.text(2, name));
    node.text(3, outputs[0]).text(4, operator)
}

fn integers(node: &Message, name: &str, values: &[i64]) -> Message {
    let attribute = Message::default().text(1, name).number(20, 7);
    let attribute = values.iter().fold(attribute, |message, &value| message.number(8, value));
    node.clone().message(5, &attribute)
}

/// TensorProto of float32 (1) or int64 (7), with raw bytes.
fn tensor(name: &str, kind: i64, dims: &[i64], raw: &[u8]) -> Message {
    let tensor = dims.iter().fold(Message::default(), |tensor, &dim| tensor.number(1, dim));
    tensor.number(2, kind).text(8, name).bytes(9, raw)
}

fn floats(name: &str, dims: &[i64], values: &[f32]) -> Message {
    tensor(name, 1, dims, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
}

fn int64s(name: &str, dims: &[i64], values: &[i64]) -> Message {
    tensor(name, 7, dims, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
}

/// ValueInfoProto of float32.
fn value(name: &str, dims: &[i64]) -> Message {
    let dim = |&size: &i64| Message::default().number(1, size);
    let shape = dims.iter().fold(Message::default(), |shape, size| shape.message(1, &dim(size)));
    let kind = Message::default().number(1, 1).message(2, &shape);
    Message::default().text(1, name).message(2, &Message::default().message(1, &kind))
}

/// A file with a graph from `x` to `y`.
fn file(opset: i64, nodes: &[Message], tensors: &[Message], dims: &[i64]) -> Vec<u8> {
    let graph = nodes.iter().fold(Message::default(), |graph, node| graph.message(1, node));
    let graph = tensors.iter().fold(graph, |graph, tensor| graph.message(5, tensor));
    let graph = graph.message(11, &value("x", dims)).message(12, &value("y", &[]));
    let version = Message::default().text(1, "").number(2, opset);
    Message::default().number(1, 8).message(7, &graph).message(8, &version).0
}

#[test]
fn what_these_tests_write_is_read() {
    let _turn = turn();
    try_file(&file(13, &[node("Relu", &["x"], &["y"])], &[], &[1, 4])).expect("a model");
    try_file(&fixture("colours.onnx")).expect("a model");
}

#[test]
fn truncated_files_are_refused() {
    let _turn = turn();
    let small = fixture("colours.onnx");
    for length in 0..small.len() {
        // The opset comes last.
        let Err(error) = try_file(&small[..length]) else { panic!("{length} bytes are enough") };
        assert_eq!(error.code, ErrorCode::ModelFormat, "{length}: {error}");
    }
    let large = fixture("vit.onnx");
    for parts in 1..16 {
        refused(&large[..large.len() * parts / 16], ErrorCode::ModelFormat, "ONNX");
    }
}

#[test]
fn flipped_bytes_end_in_an_error_or_a_model() {
    let _turn = turn();
    let mut random = Random(5);
    let mut refused = 0;
    for (name, rounds) in [
        ("colours.onnx", 3000),
        ("colours.quantized.onnx", 3000),
        ("shufflenet_v2.onnx", 60),
        ("vit.onnx", 60),
        ("convnext_tiny.onnx", 60),
    ] {
        let file = fixture(name);
        for _ in 0..rounds {
            let mut damaged = file.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(damaged.len());
                damaged[at] = random.below(256) as u8;
            }
            refused += usize::from(try_file(&damaged).is_err());
        }
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn cycles_are_refused() {
    let _turn = turn();
    let two = [node("Add", &["x", "b"], &["y"]), node("Relu", &["y"], &["b"])];
    refused(&file(13, &two, &[], &[1, 4]), ErrorCode::ModelFormat, "\"b\"");
    let own = [node("Add", &["x", "y"], &["y"])];
    refused(&file(13, &own, &[], &[1, 4]), ErrorCode::ModelFormat, "\"y\"");
    let twice = [node("Relu", &["x"], &["y"]), node("Abs", &["x"], &["y"])];
    let words = "two nodes write \"y\"";
    refused(&file(13, &twice, &[], &[1, 4]), ErrorCode::ModelFormat, words);
}

#[test]
fn huge_dimensions_are_refused_before_anything_is_allocated() {
    let _turn = turn();
    let relu = [node("Relu", &["x"], &["y"])];
    for dims in [
        &[1, i64::MAX][..],
        &[1, -4],
        &[1 << 31, 1 << 31, 1 << 31],
        &[1 << 20, 1 << 20],
        &[1; 3000],
    ] {
        try_file(&file(13, &relu, &[], dims)).expect_err("an error");
    }
    // Weights that the file does not have.
    let add = [node("Add", &["x", "w"], &["y"])];
    for dims in [&[i64::MAX][..], &[1 << 40], &[1 << 20, 1 << 20], &[-1], &[5]] {
        let weights = floats("w", dims, &[1.0; 4]);
        refused(&file(13, &add, &[weights], &[1, 4]), ErrorCode::ModelFormat, "\"w\"");
    }
}

#[test]
fn constants_that_grow_while_they_are_folded_are_refused() {
    let _turn = turn();
    // 4 GB of zeros, out of 16 bytes.
    let fill =
        [node("ConstantOfShape", &["shape"], &["many"]), node("Add", &["x", "many"], &["y"])];
    let shape = int64s("shape", &[2], &[1 << 15, 1 << 15]);
    let memory = ErrorCode::OutOfMemory;
    refused(&file(13, &fill, &[shape], &[1, 4]), memory, "needs more than");
    // Each doubles what the one before it made: 2^60 elements.
    let names: Vec<String> = (0..=60).map(|at| format!("c{at}")).collect();
    let axis = Message::default().text(1, "axis").number(3, 0).number(20, 2);
    let mut nodes: Vec<Message> = (0..60)
        .map(|at| node("Concat", &[&names[at], &names[at]], &[&names[at + 1]]).message(5, &axis))
        .collect();
    nodes.push(node("Add", &["x", &names[60]], &["y"]));
    let seed = floats("c0", &[4], &[1.0; 4]);
    refused(&file(13, &nodes, &[seed], &[1, 4]), memory, "needs more than");
    let range =
        [node("Range", &["zero", "end", "one"], &["many"]), node("Add", &["x", "many"], &["y"])];
    let scalar = |name: &str, value: i64| int64s(name, &[], &[value]);
    let operands = [scalar("zero", 0), scalar("end", i64::MAX), scalar("one", 1)];
    try_file(&file(13, &range, &operands, &[1, 4])).expect_err("an error");
}

#[test]
fn huge_windows_and_pads_are_refused() {
    let _turn = turn();
    let pool = node("MaxPool", &["x"], &["y"]);
    let refuse = |pool: Message| {
        try_file(&file(13, &[pool], &[], &[1, 3, 8, 8])).expect_err("an error");
    };
    for kernel in [&[i64::MAX, i64::MAX][..], &[1 << 31, 3], &[0, 0], &[-3, 3], &[]] {
        refuse(integers(&pool, "kernel_shape", kernel));
    }
    let pool = integers(&pool, "kernel_shape", &[3, 3]);
    for pads in [&[i64::MAX; 4][..], &[1 << 31; 4], &[1 << 20; 4], &[-9; 4], &[1]] {
        refuse(integers(&pool, "pads", pads));
    }
    for strides in [&[0, 0][..], &[-1, 1]] {
        refuse(integers(&pool, "strides", strides));
    }
}

#[test]
fn weights_in_other_files_are_named() {
    let _turn = turn();
    let location = Message::default().text(1, "location").text(2, "weights.bin");
    let weights = Message::default().number(1, 4).number(2, 1).text(8, "w");
    let weights = weights.message(13, &location).number(14, 1);
    let add = [node("Add", &["x", "w"], &["y"])];
    refused(&file(13, &add, &[weights], &[1, 4]), ErrorCode::ModelFormat, "weights.bin");
}

#[test]
fn unknown_opsets_and_operators_are_named() {
    let _turn = turn();
    let unsupported = ErrorCode::UnsupportedOperator;
    for opset in [0, -1, i64::MIN] {
        let relu = [node("Relu", &["x"], &["y"])];
        refused(&file(opset, &relu, &[], &[1, 4]), ErrorCode::ModelFormat, "which there is not");
    }
    // Others are judged by their operators.
    for opset in [1, 6, 22, 24, 400, i64::MAX] {
        let relu = [node("Relu", &["x"], &["y"])];
        try_file(&file(opset, &relu, &[], &[1, 4])).expect("a model");
        let newer = [node("Telepathy", &["x"], &["y"])];
        refused(&file(opset, &newer, &[], &[1, 4]), unsupported, "Telepathy");
    }
    let words = [node("TfIdfVectorizer", &["x"], &["y"])];
    let named = "node 0 \"y\" (TfIdfVectorizer, opset 13)";
    refused(&file(13, &words, &[], &[1, 4]), unsupported, named);
    let foreign = [node("Magic", &["x"], &["y"]).text(7, "com.example")];
    refused(&file(13, &foreign, &[], &[1, 4]), unsupported, "com.example.Magic");
}

#[test]
fn an_attribute_that_is_not_supported_is_named() {
    let _turn = turn();
    let p = Message::default().text(1, "p").number(3, 3).number(20, 2);
    let norm = [node("LpNormalization", &["x"], &["y"]).message(5, &p)];
    let file = file(13, &norm, &[], &[1, 3, 8, 8]);
    let error = refused(&file, ErrorCode::UnsupportedOperator, "attribute \"p\" is 3");
    assert!(error.message.contains("node 0 \"y\" (LpNormalization, opset 13)"), "{error}");
}

#[test]
fn what_is_missing_is_named() {
    let _turn = turn();
    let add = [node("Add", &["x", "nothing"], &["y"])];
    refused(&file(13, &add, &[], &[1, 4]), ErrorCode::ModelFormat, "\"nothing\"");
    let elsewhere = [node("Relu", &["x"], &["z"])];
    refused(&file(13, &elsewhere, &[], &[1, 4]), ErrorCode::ModelFormat, "\"y\"");
}

/// A graph within a node, from `inputs` to `outputs`.
fn inner(inputs: &[&str], nodes: &[Message], outputs: &[&str]) -> Message {
    let graph = nodes.iter().fold(Message::default(), |graph, node| graph.message(1, node));
    let graph = inputs.iter().fold(graph, |graph, name| graph.message(11, &value(name, &[])));
    outputs.iter().fold(graph, |graph, name| graph.message(12, &value(name, &[])))
}

fn with_graph(node: Message, name: &str, graph: &Message) -> Message {
    let attribute = Message::default().text(1, name).message(6, graph).number(20, 5);
    node.message(5, &attribute)
}

fn branch(condition: &str, output: &str, then: &Message, otherwise: &Message) -> Message {
    let node = with_graph(node("If", &[condition], &[output]), "then_branch", then);
    with_graph(node, "else_branch", otherwise)
}

#[test]
fn branches_that_depend_on_the_picture_are_named() {
    let _turn = turn();
    let relu = inner(&[], &[node("Relu", &["x"], &["r"])], &["r"]);
    let computed = [
        node("ReduceMax", &["x"], &["most"]),
        node("Greater", &["most", "zero"], &["is_light"]),
        branch("is_light", "y", &relu, &relu),
    ];
    let file = file(13, &computed, &[floats("zero", &[], &[0.0])], &[1, 4]);
    let error =
        refused(&file, ErrorCode::UnsupportedOperator, "\"is_light\", depends on the picture");
    assert!(error.message.contains("(If, opset 13)"), "{error}");
}

#[test]
fn branches_and_loops_that_contradict_themselves_are_refused() {
    let _turn = turn();
    let (malformed, unsupported) = (ErrorCode::ModelFormat, ErrorCode::UnsupportedOperator);
    let yes = tensor("yes", 9, &[], &[1]);
    let relu = inner(&[], &[node("Relu", &["x"], &["r"])], &["r"]);
    let nothing = inner(&[], &[], &[]);
    for (graph, words) in [
        (branch("yes", "y", &nothing, &relu), "gives 0"),
        (node("If", &["yes"], &["y"]), "\"then_branch\" is no graph"),
        (branch("two", "y", &relu, &relu), "one truth value"),
    ] {
        let two = tensor("two", 9, &[2], &[1, 1]);
        refused(&file(13, &[graph], &[yes.clone(), two], &[1, 4]), malformed, words);
    }
    let body = |outputs: &[&str]| {
        let next = node("Add", &["v", "x"], &["next"]);
        inner(&["i", "go", "v"], &[next], outputs)
    };
    let run = |inputs: &[&str], body: &Message| {
        let node = with_graph(node("Loop", inputs, &["y"]), "body", body);
        let counts = [("three", 3), ("many", 1 << 40), ("all", i64::MAX)];
        let counts = counts.map(|(name, count)| int64s(name, &[], &[count]));
        file(13, &[node], &counts, &[1, 4])
    };
    try_file(&run(&["three", "", "x"], &body(&["go", "next"]))).expect("a model");
    for (inputs, outputs, code, words) in [
        (&["many", "", "x"][..], &["go", "next"][..], unsupported, "more than 65536 nodes"),
        (&["all", "", "x"], &["go", "next"], unsupported, "more than 65536 nodes"),
        (&["", "", "x"], &["go", "next"], unsupported, "trip count"),
        (&["three", "", "x"], &["next", "next"], unsupported, "decides whether it runs again"),
        (&["three", "", "x"], &["go"], malformed, "other results"),
        (&["three", "", "x"], &[], malformed, "no outputs"),
        (&["three", ""], &["go", "next"], malformed, "other operands"),
    ] {
        refused(&run(inputs, &body(outputs)), code, words);
    }
}

#[test]
fn branches_that_nest_without_end_are_refused() {
    let _turn = turn();
    let yes = tensor("yes", 9, &[], &[1]);
    let nested = |depth: usize| {
        let mut graph = inner(&[], &[node("Relu", &["x"], &["r"])], &["r"]);
        for _ in 0..depth {
            graph = inner(&[], &[branch("yes", "r", &graph, &graph)], &["r"]);
            if graph.0.len() > 1 << 22 {
                break;
            }
        }
        file(13, &[branch("yes", "y", &graph, &graph)], std::slice::from_ref(&yes), &[1, 4])
    };
    try_file(&nested(8)).expect("a model");
    let mut chain = inner(&[], &[node("Relu", &["x"], &["r"])], &["r"]);
    for _ in 0..80 {
        chain =
            inner(&[], &[with_graph(node("If", &["yes"], &["r"]), "then_branch", &chain)], &["r"]);
    }
    let outer = with_graph(node("If", &["yes"], &["y"]), "then_branch", &chain);
    let deep = file(13, &[outer], std::slice::from_ref(&yes), &[1, 4]);
    refused(&deep, ErrorCode::UnsupportedOperator, "more than 64 steps");
}
