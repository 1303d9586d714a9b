//! Models whose operators contradict their operands are refused when they are loaded, by the
//! operator's name.

use achado_engine::{Session, SessionOptions};
use achado_model::{Bytes, DataType, Model, Node, Operator, Result, Tensor, TensorId};

/// An operand: its shape, and its elements where it is a constant of integers.
type Operand<'a> = (&'a [usize], Option<&'a [i32]>);

/// A float operand that is an input of the model.
fn input(shape: &[usize]) -> Operand<'_> {
    (shape, None)
}

/// A constant vector of int32.
fn vector(values: &[i32]) -> (Vec<usize>, &[i32]) {
    (vec![values.len()], values)
}

/// Loads a model of one operator with `results` results.
fn load(operator: Operator, operands: &[Operand], results: usize) -> Result<Session> {
    let mut model = Model::default();
    let mut ids = Vec::new();
    for (i, (shape, values)) in operands.iter().enumerate() {
        let id = TensorId(model.tensors.len());
        let bytes = |values: &&[i32]| values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let data: Option<Vec<u8>> = values.as_ref().map(bytes);
        if data.is_none() {
            model.inputs.push(id);
        }
        model.tensors.push(Tensor {
            name: format!("operand {i}"),
            dtype: if data.is_some() { DataType::Int32 } else { DataType::Float32 },
            shape: shape.to_vec(),
            dynamic: Vec::new(),
            quantization: None,
            data: data.map(Bytes::from),
        });
        ids.push(Some(id));
    }
    let is_index = matches!(operator, Operator::ArgMax);
    let outputs: Vec<_> = (0..results).map(|i| TensorId(operands.len() + i)).collect();
    for i in 0..results {
        let second = i == 1 && operator == Operator::TopkV2;
        model.tensors.push(Tensor {
            name: format!("result {i}"),
            dtype: if is_index || second { DataType::Int32 } else { DataType::Float32 },
            shape: Vec::new(),
            dynamic: Vec::new(),
            quantization: None,
            data: None,
        });
    }
    model.outputs.clone_from(&outputs);
    model.nodes.push(Node { operator, inputs: ids, outputs });
    model.validate()?;
    Session::new(model, &SessionOptions::default())
}

/// The model is refused as malformed; the message names operator 0 and holds `part`.
#[track_caller]
fn refused(part: &str, operator: Operator, operands: &[Operand], results: usize) {
    let name = operator.name();
    let error = match load(operator, operands, results) {
        Ok(_) => panic!("{name} is not refused"),
        Err(error) => error,
    };
    assert_eq!(error.code.as_str(), "MODEL_FORMAT", "{error}");
    assert!(error.message.contains(&format!("operator 0 {name}")), "{error}");
    assert!(error.message.contains(part), "{error}");
}

/// `refused` with constant vectors behind one float operand.
#[track_caller]
fn refused_by(part: &str, operator: Operator, shape: &[usize], constants: &[&[i32]]) {
    let vectors: Vec<_> = constants.iter().map(|values| vector(values)).collect();
    let mut operands = vec![input(shape)];
    operands.extend(vectors.iter().map(|(shape, values)| (&shape[..], Some(*values))));
    refused(part, operator, &operands, 1);
}

const STRIDED: Operator = Operator::StridedSlice {
    begin_mask: 0,
    end_mask: 0,
    ellipsis_mask: 0,
    new_axis_mask: 0,
    shrink_axis_mask: 0,
    offset: false,
};

#[test]
fn indices_in_constants() {
    let gather = Operator::Gather { axis: 0, batch_dims: 0 };
    refused_by("index 4 in tensor 1 \"operand 1\" is outside of 0..4", gather, &[4, 3], &[&[0, 4]]);
    let gather = Operator::Gather { axis: 1, batch_dims: 0 };
    refused_by("index -1 in tensor 1", gather.clone(), &[4, 3], &[&[-1]]);
    refused_by("axis 1 is out of range", gather, &[4], &[&[0]]);
    refused_by("index 3 in tensor 1", Operator::GatherNd, &[4, 3], &[&[3, 3]]);
    refused_by("at most 2 as last dimension", Operator::GatherNd, &[4, 3], &[&[0, 0, 0]]);
}

#[test]
fn slices_that_leave_the_tensor() {
    let leaves = "leave a tensor of shape [4, 3]";
    refused_by(leaves, Operator::Slice, &[4, 3], &[&[0, 1], &[4, 3]]);
    refused_by(leaves, Operator::Slice, &[4, 3], &[&[5, 0], &[-1, -1]]);
    refused_by(leaves, Operator::Slice, &[4, 3], &[&[-1, 0], &[1, 1]]);
    refused_by("needs [2]", Operator::Slice, &[4, 3], &[&[0], &[1]]);
    refused_by("a stride is 0", STRIDED, &[4], &[&[0], &[4], &[0]]);
    refused_by("differ in length", STRIDED, &[4], &[&[0], &[4, 4], &[1]]);
    refused_by("3 entries for a tensor", STRIDED, &[4, 2], &[&[0; 3], &[1; 3], &[1; 3]]);
    let mut one = STRIDED;
    if let Operator::StridedSlice { shrink_axis_mask, .. } = &mut one {
        *shrink_axis_mask = 1;
    }
    refused_by("leave a tensor of shape [4]", one, &[4], &[&[4], &[5], &[1]]);
}

#[test]
fn parts_that_do_not_add_up() {
    let scalar = |value: &'static [i32]| -> Operand<'static> { (&[], Some(value)) };
    let split = || Operator::Split { parts: 2 };
    refused("axis 2 is out of range", split(), &[scalar(&[2]), input(&[4, 3])], 2);
    refused("3", split(), &[scalar(&[1]), input(&[4, 3])], 2);
    let split = || Operator::SplitV { parts: 2 };
    let sizes = |values: &'static [i32]| -> Operand<'static> { (&[2], Some(values)) };
    refused("[1, 2]", split(), &[input(&[4]), sizes(&[1, 2]), scalar(&[0])], 2);
    refused("[-1, -1]", split(), &[input(&[4]), sizes(&[-1, -1]), scalar(&[0])], 2);
    refused("[-2, 6]", split(), &[input(&[4]), sizes(&[-2, 6]), scalar(&[0])], 2);
    refused("[5, -1]", split(), &[input(&[4]), sizes(&[5, -1]), scalar(&[0])], 2);
    let three: Operand = (&[3], Some(&[1, 1, 2]));
    refused("needs [2]", split(), &[input(&[4]), three, scalar(&[0])], 2);
    refused("axis 1 is out of range", split(), &[input(&[4]), sizes(&[1, 3]), scalar(&[1])], 2);
    let unpack = Operator::Unpack { axis: 0, parts: 2 };
    refused("2 entries along dimension 0", unpack, &[input(&[3, 2])], 2);
    let pack = |axis| Operator::Pack { axis };
    refused("axis 3 is out of range", pack(3), &[input(&[2, 2]), input(&[2, 2])], 1);
    refused("needs that of input 0", pack(0), &[input(&[2, 2]), input(&[2, 3])], 1);
}

#[test]
fn axes_and_blocks() {
    refused_by("does not permute", Operator::Transpose, &[2, 3], &[&[1, 1]]);
    refused_by("axis 2 is out of range", Operator::Transpose, &[2, 3], &[&[0, 2]]);
    refused_by("axis 3 is out of range", Operator::ExpandDims, &[2], &[&[3]]);
    refused_by("axis 2 is out of range", Operator::ArgMax, &[2, 3], &[&[2]]);
    refused_by("axis -3 is out of range", Operator::ReverseV2, &[2, 3], &[&[-3]]);
    let sum = Operator::Cumsum { exclusive: false, reverse: false };
    refused_by("axis 5 is out of range", sum, &[2, 3], &[&[5]]);
    let most = Operator::ReduceMax { keep_dims: false };
    refused_by("axis 2 is out of range", most, &[2, 3], &[&[0, 2]]);
    let block: Operand = (&[2], Some(&[2, 0]));
    let borders: Operand = (&[2, 2], Some(&[0; 4]));
    let picture = input(&[1, 4, 4, 1]);
    refused("must be 1 or more", Operator::SpaceToBatchNd, &[picture, block, borders], 1);
    let block: Operand = (&[2], Some(&[2, 3]));
    refused("[2, 3]", Operator::SpaceToBatchNd, &[picture, block, borders], 1);
    refused("block_size is 0", Operator::SpaceToDepth { block: 0 }, &[picture], 1);
    refused("3", Operator::SpaceToDepth { block: 3 }, &[picture], 1);
    refused("2", Operator::DepthToSpace { block: 2 }, &[input(&[1, 2, 2, 6])], 1);
}

#[test]
fn shapes_that_do_not_meet() {
    let pair = |a: &'static [usize], b: &'static [usize]| [input(a), input(b)];
    let matmul = || Operator::BatchMatmul { adj_x: false, adj_y: false };
    let Err(error) = load(matmul(), &pair(&[2, 3], &[4, 2]), 1) else {
        panic!("matrices of other depths are multiplied")
    };
    assert!(error.message.contains("operator 0 BATCH_MATMUL"), "{error}");
    refused("needs 2 dimensions or more", matmul(), &pair(&[3], &[3, 2]), 1);
    refused("broadcasts with [2, 3]", Operator::Maximum, &pair(&[2, 3], &[2]), 1);
    refused("broadcasts with [2, 3]", Operator::Pow, &pair(&[2, 3], &[4, 3]), 1);
    let joined = Operator::Concatenation { axis: 0, activation: Default::default() };
    refused("but for dimension 0", joined, &pair(&[2, 3], &[2, 4]), 1);
    refused_by("[2, 2]", Operator::BroadcastTo, &[3], &[&[2, 2]]);
    refused_by("-1", Operator::Tile, &[2, 3], &[&[1, -1]]);
    let resize = Operator::ResizeBilinear { align_corners: false, half_pixel_centers: false };
    refused_by("cannot resize to [0, 4]", resize.clone(), &[1, 2, 2, 1], &[&[0, 4]]);
    refused_by("needs 4 dimensions", resize, &[2, 2, 1], &[&[4, 4]]);
    let paddings: Operand = (&[2, 2], Some(&[0, -1, 0, 0]));
    refused("a padding is -1", Operator::Pad, &[input(&[2, 3]), paddings], 1);
    let paddings: Operand = (&[2, 2], Some(&[0, 0, 3, 0]));
    let mirror = Operator::MirrorPad { symmetric: false };
    refused("3", mirror, &[input(&[2, 3]), paddings], 1);
    let scalar: Operand = (&[], Some(&[9]));
    refused("9", Operator::TopkV2, &[input(&[2, 3]), scalar], 2);
}
