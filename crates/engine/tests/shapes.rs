//! Shapes follow from the inputs': other batches, larger pictures, shape arithmetic inside the
//! graph; what a graph does not allow is refused by name.

mod graph;

use achado_model::{Activation, DataType, Operator, Padding, TensorId};
use graph::{Graph, floats, set};

/// A convolution of ones, a mean over the picture.
fn mean_of_sums() -> (Graph, TensorId) {
    let mut graph = Graph::default();
    let input = graph.input("picture", DataType::Float32, &[1, 4, 4, 1]);
    let weights = graph.floats("weights", &[1, 1, 1, 1], &[2.0]);
    let convolution = Operator::Conv2d {
        stride: [1, 1],
        dilation: [1, 1],
        padding: Padding::Same,
        activation: Activation::None,
    };
    let doubled = graph.node(convolution, "doubled", DataType::Float32, &[input, weights]);
    let axes = graph.integers("axes", &[2], &[1, 2]);
    let mean = Operator::Mean { keep_dims: false };
    let mean = graph.node(mean, "mean", DataType::Float32, &[doubled, axes]);
    (graph, mean)
}

#[test]
fn inputs_take_other_batches_and_sizes() {
    let (graph, mean) = mean_of_sums();
    let mut session = graph.session(mean, None).expect("a session");
    set(&mut session, 0, &[1.0; 16]);
    session.run().expect("a run");
    assert_eq!(floats(&session), [2.0]);

    let (graph, mean) = mean_of_sums();
    let mut session = graph.session(mean, Some(&[3, 2, 6, 1])).expect("a session");
    assert_eq!(session.inputs()[0].shape, [3, 2, 6, 1]);
    assert_eq!(session.outputs()[0].shape, [3, 1]);
    let pictures: Vec<f32> = (0..36).map(|i| (i / 12) as f32).collect();
    set(&mut session, 0, &pictures);
    session.run().expect("a run");
    assert_eq!(floats(&session), [0.0, 2.0, 4.0]);
}

#[test]
fn shapes_that_no_input_has_are_refused() {
    for shape in [&[3, 4, 4][..], &[0, 4, 4, 1], &[usize::MAX / 2, 4, 4, 1]] {
        let (graph, mean) = mean_of_sums();
        let error = graph.session(mean, Some(shape)).expect_err("an error");
        assert_eq!(error.code.as_str(), "INVALID_OPTION", "{error}");
    }
    // The weights have one channel.
    let (graph, mean) = mean_of_sums();
    let error = graph.session(mean, Some(&[1, 4, 4, 2])).expect_err("an error");
    assert!(error.message.contains("operator 0 CONV_2D"), "{error}");
}

/// A flattening whose batch is computed from the input's shape, as Keras exports it, or constant.
fn flattened(batch_is_constant: bool) -> (Graph, TensorId) {
    let mut graph = Graph::default();
    let input = graph.input("picture", DataType::Float32, &[1, 2, 3]);
    let six = graph.integers("six", &[], &[6]);
    let shape = if batch_is_constant {
        graph.integers("shape", &[2], &[1, 6])
    } else {
        let shape = graph.node(Operator::Shape, "its shape", DataType::Int32, &[input]);
        let [begin, end, strides] = [("begin", 0), ("end", 1), ("strides", 1)]
            .map(|(name, x)| graph.integers(name, &[1], &[x]));
        let first = Operator::StridedSlice {
            begin_mask: 0,
            end_mask: 0,
            ellipsis_mask: 0,
            new_axis_mask: 0,
            shrink_axis_mask: 1,
            offset: false,
        };
        let batch = graph.node(first, "batch", DataType::Int32, &[shape, begin, end, strides]);
        graph.node(Operator::Pack { axis: 0 }, "rows", DataType::Int32, &[batch, six])
    };
    let reshape = Operator::Reshape { new_shape: Vec::new() };
    let rows = graph.node(reshape, "flat", DataType::Float32, &[input, shape]);
    let result = graph.node(Operator::Neg, "result", DataType::Float32, &[rows]);
    (graph, result)
}

#[test]
fn shape_arithmetic_is_computed_when_compiled() {
    let (graph, result) = flattened(false);
    let mut session = graph.session(result, Some(&[2, 2, 3])).expect("a session");
    assert_eq!(session.outputs()[0].shape, [2, 6]);
    let values: Vec<f32> = (0..12).map(|x| x as f32).collect();
    set(&mut session, 0, &values);
    session.run().expect("a run");
    let expected: Vec<f32> = values.iter().map(|x| -x).collect();
    assert_eq!(floats(&session), expected);
    // One step is left: the negation.
    assert_eq!(session.profile(1, &|| 0.0).expect("a profile").len(), 1);
}

#[test]
fn a_batch_that_the_graph_fixes_is_named() {
    let (graph, result) = flattened(true);
    graph.session(result, None).expect("a session");
    let (graph, result) = flattened(true);
    let error = graph.session(result, Some(&[2, 2, 3])).expect_err("an error");
    assert!(error.message.contains("operator 0 RESHAPE \"flat\""), "{error}");
    assert!(error.message.contains("cannot reshape 12 elements to [1, 6]"), "{error}");
}

#[test]
fn constants_that_must_be_known_are_asked_for_by_name() {
    let mut graph = Graph::default();
    let input = graph.input("picture", DataType::Float32, &[1, 4, 4, 1]);
    let size = graph.input("its size", DataType::Int32, &[2]);
    let resize = Operator::ResizeBilinear { align_corners: false, half_pixel_centers: false };
    let result = graph.node(resize, "larger", DataType::Float32, &[input, size]);
    let error = graph.session(result, None).expect_err("an error");
    assert_eq!(error.code.as_str(), "UNSUPPORTED_OPERATOR");
    let expected =
        "operator 0 RESIZE_BILINEAR \"larger\": tensor 1 \"its size\" must be a constant";
    assert!(error.message.contains(expected), "{error}");
}

#[test]
fn indices_out_of_range_are_errors_not_answers() {
    let mut graph = Graph::default();
    let input = graph.input("table", DataType::Float32, &[3, 1]);
    let indices = graph.input("rows", DataType::Int32, &[2]);
    let gather = Operator::Gather { axis: 0, batch_dims: 0 };
    let result = graph.node(gather, "chosen", DataType::Float32, &[input, indices]);
    let mut session = graph.session(result, None).expect("a session");
    set(&mut session, 0, &[1.0, 2.0, 3.0]);
    let mut rows = |rows: [i32; 2]| {
        let bytes = rows.map(i32::to_le_bytes);
        session.input_bytes_mut(1).expect("an input").copy_from_slice(bytes.as_flattened());
        session.run().map(|()| floats(&session))
    };
    assert_eq!(rows([2, 0]).expect("a run"), [3.0, 1.0]);
    for wrong in [[0, 3], [-1, 0]] {
        let error = rows(wrong).expect_err("an error");
        assert_eq!(error.code.as_str(), "INVALID_INPUT");
        assert!(error.message.contains("GATHER \"chosen\": an index is out of range"), "{error}");
    }
    assert_eq!(rows([1, 1]).expect("a run"), [2.0, 2.0]);
}

#[test]
fn a_declared_shape_that_is_wrong_is_refused() {
    let (mut graph, mean) = mean_of_sums();
    graph.0.tensors[mean.0].shape = vec![1, 2];
    let error = graph.session(mean, None).expect_err("an error");
    assert_eq!(error.code.as_str(), "MODEL_FORMAT");
    assert!(error.message.contains("operator 1 MEAN \"mean\""), "{error}");
    assert!(error.message.contains("should have shape [1, 1], has [1, 2]"), "{error}");
}

#[test]
fn constants_larger_than_the_budget_are_not_computed() {
    let mut graph = Graph::default();
    let shape = graph.integers("shape", &[3], &[1 << 10, 1 << 10, 300]);
    let value = graph.floats("value", &[], &[1.0]);
    let filled = graph.node(Operator::Fill, "filled", DataType::Float32, &[shape, value]);
    let error = graph.session(filled, None).expect_err("an error");
    assert_eq!(error.code.as_str(), "OUT_OF_MEMORY", "{error}");
}

#[test]
fn a_range_counts_from_start_by_delta_up_to_its_limit() {
    let mut graph = Graph::default();
    let [start, limit, delta] = [1.0, 4.5, 1.5].map(|value| graph.floats("number", &[], &[value]));
    let counted = graph.node(Operator::Range, "counted", DataType::Float32, &[start, limit, delta]);
    let session = graph.session(counted, None).expect("a session");
    assert_eq!(floats(&session), [1.0, 2.5, 4.0]);

    let mut graph = Graph::default();
    let [start, limit, delta] = [5, -1, -2].map(|value| graph.integers("number", &[], &[value]));
    let counted = graph.node(Operator::Range, "counted", DataType::Int32, &[start, limit, delta]);
    let session = graph.session(counted, None).expect("a session");
    let bytes = session.output_bytes(0).expect("an output");
    let integers = bytes.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes));
    assert_eq!(integers.collect::<Vec<_>>(), [5, 3, 1]);
}
