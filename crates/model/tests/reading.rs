//! What the format allows, and how it is read.

mod common;

use achado_model::{Activation, Bytes, DataType, Model, Operator, Padding, TensorId, tflite};
use common::{
    FLOAT16, FLOAT32, Fields, INT8, INT32, ModelSpec, NodeSpec, QuantizationSpec, TensorSpec,
    Value, tiny, zip,
};

fn read(spec: &ModelSpec) -> Model {
    tflite::read(Bytes::from(spec.build())).unwrap()
}

/// One operator on float32 tensors: computed operands, constants, one result.
fn single(
    code: i32,
    inputs: &[&[i32]],
    constants: Vec<TensorSpec>,
    output: &[i32],
    options: Option<(u8, Fields)>,
) -> ModelSpec {
    let mut tensors: Vec<_> =
        inputs.iter().map(|shape| TensorSpec::new("in", FLOAT32, shape)).collect();
    tensors.extend(constants);
    tensors.push(TensorSpec::new("out", FLOAT32, output));
    let last = i32::try_from(tensors.len()).unwrap() - 1;
    let mut node = NodeSpec::new(code, &(0..last).collect::<Vec<_>>(), &[last]);
    node.options = options;
    ModelSpec {
        tensors,
        nodes: vec![node],
        inputs: (0..i32::try_from(inputs.len()).unwrap()).collect(),
        outputs: vec![last],
        ..ModelSpec::default()
    }
}

fn float_constant(shape: &[i32]) -> TensorSpec {
    let count = usize::try_from(shape.iter().product::<i32>()).unwrap();
    TensorSpec::new("w", FLOAT32, shape).floats(&vec![0.5; count])
}

fn operator(spec: &ModelSpec) -> Operator {
    read(spec).nodes[0].operator.clone()
}

#[test]
fn convolutions_carry_every_attribute() {
    let weights = || vec![float_constant(&[8, 3, 5, 4]), float_constant(&[8])];
    let fields = vec![
        (0, Value::Byte(1)),
        (1, Value::Int(2)),
        (2, Value::Int(3)),
        (3, Value::Byte(2)),
        (4, Value::Int(4)),
        (5, Value::Int(5)),
    ];
    let spec = single(3, &[&[1, 32, 32, 4]], weights(), &[1, 8, 8, 8], Some((1, fields)));
    assert_eq!(
        operator(&spec),
        Operator::Conv2d {
            stride: [3, 2],
            dilation: [5, 4],
            padding: Padding::Valid,
            activation: Activation::ReluN1To1
        }
    );
    // Grouped: 8 input channels in 2 groups of 4.
    let fields = vec![(1, Value::Int(1)), (2, Value::Int(1))];
    let spec = single(3, &[&[1, 32, 32, 8]], weights(), &[1, 32, 32, 8], Some((1, fields)));
    read(&spec);

    let weights = vec![float_constant(&[1, 3, 3, 8]), float_constant(&[8])];
    let fields = vec![
        (0, Value::Byte(0)),
        (1, Value::Int(2)),
        (2, Value::Int(1)),
        // Wrong, and ignored as by TensorFlow Lite: the shapes say 2.
        (3, Value::Int(7)),
        (4, Value::Byte(3)),
        (5, Value::Int(2)),
        (6, Value::Int(3)),
    ];
    let spec = single(4, &[&[1, 9, 9, 4]], weights, &[1, 9, 5, 8], Some((2, fields)));
    assert_eq!(
        operator(&spec),
        Operator::DepthwiseConv2d {
            stride: [1, 2],
            dilation: [3, 2],
            padding: Padding::Same,
            depth_multiplier: 2,
            activation: Activation::Relu6
        }
    );
}

#[test]
fn pools_carry_every_attribute() {
    let fields = || {
        vec![
            (0, Value::Byte(1)),
            (1, Value::Int(2)),
            (2, Value::Int(3)),
            (3, Value::Int(4)),
            (4, Value::Int(5)),
            (5, Value::Byte(1)),
        ]
    };
    let (filter, stride) = ([5, 4], [3, 2]);
    let (padding, activation) = (Padding::Valid, Activation::Relu);
    let spec = |code| single(code, &[&[1, 9, 9, 4]], vec![], &[1, 2, 3, 4], Some((5, fields())));
    assert_eq!(operator(&spec(1)), Operator::AveragePool2d { filter, stride, padding, activation });
    assert_eq!(operator(&spec(17)), Operator::MaxPool2d { filter, stride, padding, activation });
}

#[test]
fn the_other_operators_carry_every_attribute() {
    let activation = Activation::Relu6;
    let relu6 = |field| (field, Value::Byte(3));
    let weights = vec![float_constant(&[5, 12]), float_constant(&[5])];
    let spec = single(
        9,
        &[&[2, 3, 12]],
        weights,
        &[2, 3, 5],
        Some((8, vec![relu6(0), (2, Value::Byte(1))])),
    );
    assert_eq!(operator(&spec), Operator::FullyConnected { activation, keep_num_dims: true });
    let two: &[&[i32]] = &[&[1, 4, 4, 2], &[2]];
    let spec = single(0, two, vec![], &[1, 4, 4, 2], Some((11, vec![relu6(0)])));
    assert_eq!(operator(&spec), Operator::Add { activation });
    let spec = single(18, two, vec![], &[1, 4, 4, 2], Some((21, vec![relu6(0)])));
    assert_eq!(operator(&spec), Operator::Mul { activation });
    let axes = || vec![TensorSpec::new("axes", INT32, &[2]).integers(&[1, -2])];
    let spec = single(40, &[&[1, 4, 4, 2]], axes(), &[1, 2], None);
    assert_eq!(operator(&spec), Operator::Mean { keep_dims: false });
    let keep = Some((27, vec![(0, Value::Byte(1))]));
    let spec = single(40, &[&[1, 4, 4, 2]], axes(), &[1, 1, 1, 2], keep);
    assert_eq!(operator(&spec), Operator::Mean { keep_dims: true });
    let paddings = TensorSpec::new("p", INT32, &[4, 2]).integers(&[0, 0, 1, 2, 3, 4, 0, 0]);
    let spec = single(34, &[&[1, 4, 4, 2]], vec![paddings], &[1, 7, 11, 2], None);
    assert_eq!(operator(&spec), Operator::Pad);
    let spec = single(
        22,
        &[&[1, 4, 4, 2]],
        vec![],
        &[2, 16],
        Some((17, vec![(0, Value::Ints(vec![-1, 16]))])),
    );
    assert_eq!(operator(&spec), Operator::Reshape { new_shape: vec![-1, 16] });
    // Old files say [0] for a scalar.
    let fields = vec![(0, Value::Ints(vec![0]))];
    let spec = single(22, &[&[1]], vec![], &[], Some((17, fields)));
    assert_eq!(operator(&spec), Operator::Reshape { new_shape: vec![] });
    let fields = vec![(0, Value::Ints(vec![1, -2]))];
    let spec = single(43, &[&[3, 1, 1, 2]], vec![], &[3, 2], Some((30, fields)));
    assert_eq!(operator(&spec), Operator::Squeeze { dims: vec![1, -2] });
    let spec = single(25, &[&[1, 9]], vec![], &[1, 9], Some((9, vec![(0, Value::Float(0.5))])));
    assert_eq!(operator(&spec), Operator::Softmax { beta: 0.5 });
    let fields = vec![(0, Value::Int(-1)), relu6(1)];
    let spec = single(2, &[&[1, 4], &[1, 3], &[1, 2]], vec![], &[1, 9], Some((10, fields)));
    assert_eq!(operator(&spec), Operator::Concatenation { axis: -1, activation });
    for (code, expected) in [
        (14, Operator::Logistic),
        (19, Operator::Relu),
        (21, Operator::Relu6),
        (117, Operator::HardSwish),
    ] {
        assert_eq!(operator(&single(code, &[&[1, 9]], vec![], &[1, 9], None)), expected);
    }
}

#[test]
fn quantize_and_dequantize_change_the_type() {
    let mut spec = single(114, &[&[1, 9]], vec![], &[1, 9], None);
    spec.tensors[1].dtype = INT8;
    spec.tensors[1] = spec.tensors[1].clone().quantized(0.5, 3);
    assert_eq!(operator(&spec), Operator::Quantize);
    let mut spec = single(6, &[&[1, 9]], vec![], &[1, 9], None);
    spec.tensors[0].dtype = INT8;
    spec.tensors[0] = spec.tensors[0].clone().quantized(0.5, 3);
    assert_eq!(operator(&spec), Operator::Dequantize);
    // A float16 constant.
    let mut spec = single(6, &[], vec![], &[1, 2], None);
    spec.tensors.insert(0, TensorSpec::new("half", FLOAT16, &[1, 2]).data(vec![0, 60, 0, 64]));
    spec.nodes[0] = NodeSpec::new(6, &[0], &[1]).version(3);
    spec.outputs = vec![1];
    let model = read(&spec);
    assert_eq!(model.tensors[0].dtype, DataType::Float16);
    assert!(model.tensors[0].is_constant());
}

#[test]
fn hybrid_weights_keep_their_scales() {
    let weights = TensorSpec::new("w", INT8, &[2, 1, 1, 3])
        .per_channel(&[0.5, 0.25], 0)
        .data(vec![1, 2, 3, 4, 5, 6]);
    let bias = TensorSpec::new("b", FLOAT32, &[2]).floats(&[1.0, -1.0]);
    let fields = vec![(1, Value::Int(1)), (2, Value::Int(1))];
    let spec = single(3, &[&[1, 4, 4, 3]], vec![weights, bias], &[1, 4, 4, 2], Some((1, fields)));
    let model = read(&spec);
    let weights = model.tensor(TensorId(1));
    assert_eq!(weights.quantization.as_ref().unwrap().scale, [0.5, 0.25]);
    assert_eq!(model.tensor(TensorId(2)).constant_floats().unwrap(), [1.0, -1.0]);
}

#[test]
fn an_optional_operand_may_be_left_out() {
    let mut spec = single(9, &[&[1, 4]], vec![float_constant(&[2, 4])], &[1, 2], Some((8, vec![])));
    spec.nodes[0].inputs.push(-1);
    let model = read(&spec);
    assert_eq!(model.nodes[0].inputs, [Some(TensorId(0)), Some(TensorId(1)), None]);
}

#[test]
fn operator_codes_stand_in_either_field() {
    for new_code_field_only in [false, true] {
        let mut spec = tiny::spec();
        spec.new_code_field_only = new_code_field_only;
        spec.archive = zip::build(&tiny::entries(), 0);
        assert_eq!(read(&spec).nodes[3].operator.name(), "MEAN");
    }
}

#[test]
fn open_dimensions_are_marked() {
    let mut spec = single(14, &[&[1, 9]], vec![], &[1, 9], None);
    spec.tensors[0].signature = vec![-1, 9];
    spec.tensors[1].shape = vec![-1, 9];
    let model = read(&spec);
    for tensor in &model.tensors {
        assert_eq!((&tensor.shape[..], &tensor.dynamic[..]), (&[1, 9][..], &[true, false][..]));
    }
}

#[test]
fn float_tensors_drop_the_ranges_of_training() {
    let mut spec = single(14, &[&[1, 9]], vec![], &[1, 9], None);
    spec.tensors[0] = spec.tensors[0].clone().quantized(0.0, 0);
    spec.tensors[1].quantization = Some(QuantizationSpec::default());
    let model = read(&spec);
    assert!(model.tensors.iter().all(|tensor| tensor.quantization.is_none()));
}

#[test]
fn one_or_no_zero_point_serves_all_channels() {
    for zero_point in [vec![], vec![7]] {
        let mut spec = tiny::spec();
        spec.metadata = None;
        let weights = &mut spec.tensors[tiny::CONV_WEIGHTS];
        weights.quantization.as_mut().unwrap().zero_point = zero_point.clone();
        let model = read(&spec);
        let expected = i32::try_from(zero_point.first().copied().unwrap_or(0)).unwrap();
        let quantization = model.tensors[tiny::CONV_WEIGHTS].quantization.as_ref().unwrap();
        assert_eq!(quantization.zero_point, [expected; 4]);
    }
}

#[test]
fn a_bias_scale_that_underflowed_is_dropped() {
    let mut spec = tiny::spec();
    spec.metadata = None;
    spec.tensors[tiny::CONV_BIAS] = spec.tensors[tiny::CONV_BIAS].clone().quantized(0.0, 0);
    assert!(read(&spec).tensors[tiny::CONV_BIAS].quantization.is_none());
}

#[test]
fn constants_may_lie_behind_the_flatbuffer() {
    let mut spec = tiny::spec();
    spec.metadata = None;
    let weights = spec.tensors[tiny::CONV_WEIGHTS].data.take().unwrap();
    spec.tensors[tiny::CONV_WEIGHTS].external = Some((u64::MAX, 108));
    let offset = u64::try_from(spec.build().len()).unwrap();
    spec.tensors[tiny::CONV_WEIGHTS].external = Some((offset, 108));
    spec.archive = weights.clone();
    let model = read(&spec);
    assert_eq!(model.tensors[tiny::CONV_WEIGHTS].data.as_deref(), Some(&weights[..]));
}

#[test]
fn a_constant_without_elements_is_one() {
    // RESHAPE to a scalar: the shape is an int32 tensor of shape [0].
    let shape = TensorSpec::new("shape", INT32, &[0]).data(vec![]);
    let spec = single(22, &[&[1]], vec![shape], &[], None);
    let model = read(&spec);
    assert_eq!(model.tensors[1].constant_integers(), Some(vec![]));
}

#[test]
fn further_subgraphs_are_left_alone() {
    let mut spec = tiny::spec();
    spec.further_subgraphs = 2;
    spec.metadata = None;
    assert_eq!(read(&spec).nodes.len(), 6);
}

#[test]
fn a_zip_may_be_appended_or_concatenated() {
    for stored in [false, true] {
        let mut spec = tiny::spec();
        let base = if stored { spec.build().len() } else { 0 };
        spec.archive = zip::build(&tiny::entries(), base);
        // A comment at the end.
        let length = spec.archive.len();
        spec.archive[length - 2] = 3;
        spec.archive.extend(b"PK\x05");
        let metadata = read(&spec).metadata.unwrap();
        assert_eq!(metadata.outputs[0].labels[1].names, ["gato", "c\u{e3}o", "papagaio"]);
    }
}

#[test]
fn metadata_may_normalise_each_channel_or_say_nothing() {
    let mut spec = tiny::spec();
    spec.archive = zip::build(&tiny::entries(), 0);
    let metadata = spec.metadata.as_mut().unwrap();
    let mean = Value::Floats(vec![1.0, 2.0, 3.0]);
    metadata.inputs[0].units = vec![(1, vec![(0, mean), (1, Value::Floats(vec![2.0]))])];
    metadata.outputs.clear();
    let metadata = read(&spec).metadata.unwrap();
    let normalization = metadata.inputs[0].normalization.as_ref().unwrap();
    assert_eq!(normalization.mean, [1.0, 2.0, 3.0]);
    assert_eq!(normalization.std, [2.0]);
    assert_eq!(metadata.outputs.len(), 1);
    assert!(metadata.outputs[0].labels.is_empty());
}
