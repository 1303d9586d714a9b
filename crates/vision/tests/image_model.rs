//! Any model: tensors by index, batches, other shapes, embeddings. The network is small enough to
//! know its answers: a dense layer and a softmax over the mean colour of a picture.

use achado_model::{
    Activation, Bytes, DataType, ErrorCode, Model, Node, Operator, Tensor, TensorId,
};
use achado_vision::{
    Classifier, ClassifierOptions, EmbedOptions, Embedding, FrameOptions, ImageModel,
    ImageModelOptions, Picture, PixelFormat, Preprocess, Resize, ScoreActivation,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn tensor(name: &str, shape: &[usize], data: Option<&[f32]>) -> Tensor {
    Tensor {
        name: name.into(),
        dtype: DataType::Float32,
        shape: shape.to_vec(),
        dynamic: Vec::new(),
        quantization: None,
        data: data.map(|values| {
            Bytes::from(values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())
        }),
    }
}

fn axes() -> Tensor {
    let data: Vec<u8> = [1i32, 2].iter().flat_map(|v| v.to_le_bytes()).collect();
    Tensor { dtype: DataType::Int32, data: Some(Bytes::from(data)), ..tensor("axes", &[2], None) }
}

/// MEAN over height and width, FULLY_CONNECTED to two classes, perhaps SOFTMAX. `rows` is the
/// constant first dimension of a RESHAPE on the way, if there is to be one.
fn brightness(softmax: bool, rows: Option<i64>) -> Model {
    let mut model = Model {
        tensors: vec![
            tensor("image", &[1, 2, 2, 3], None),
            axes(),
            tensor("mean", &[1, 3], None),
            tensor("weights", &[2, 3], Some(&[1.0, 0.0, 0.0, 0.0, 1.0, 1.0])),
            tensor("logits", &[1, 2], None),
        ],
        nodes: vec![
            Node {
                operator: Operator::Mean { keep_dims: false },
                inputs: vec![Some(TensorId(0)), Some(TensorId(1))],
                outputs: vec![TensorId(2)],
            },
            Node {
                operator: Operator::FullyConnected {
                    activation: Activation::None,
                    keep_num_dims: false,
                },
                inputs: vec![Some(TensorId(2)), Some(TensorId(3)), None],
                outputs: vec![TensorId(4)],
            },
        ],
        inputs: vec![TensorId(0)],
        outputs: vec![TensorId(4)],
        ..Default::default()
    };
    let mut last = |name: &str, operator| {
        let id = TensorId(model.tensors.len());
        model.tensors.push(tensor(name, &[1, 2], None));
        let inputs = vec![Some(model.outputs[0])];
        model.nodes.push(Node { operator, inputs, outputs: vec![id] });
        model.outputs = vec![id];
    };
    if let Some(rows) = rows {
        last("reshaped", Operator::Reshape { new_shape: vec![rows, 2] });
    }
    if softmax {
        last("scores", Operator::Softmax { beta: 1.0 });
    }
    model
}

fn options(batch_size: usize) -> ImageModelOptions {
    let preprocess =
        Preprocess { std: Some(vec![255.0]), resize: Some(Resize::Nearest), ..Default::default() };
    ImageModelOptions { preprocess, batch_size, ..Default::default() }
}

fn classifier(model: Model, batch_size: usize) -> Classifier {
    let options = ClassifierOptions { model: options(batch_size), ..Default::default() };
    Classifier::from_model(model, options).unwrap()
}

fn picture(pixel: &[u8; 3]) -> Picture<'_> {
    Picture { pixels: pixel, width: 1, height: 1, format: PixelFormat::Rgb8 }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

const RED: [u8; 3] = [255, 0, 0];
const CYAN: [u8; 3] = [0, 255, 255];
const GREY: [u8; 3] = [51, 51, 51];

#[test]
fn tensors_in_and_out() {
    let mut model = ImageModel::from_model(brightness(false, None), &options(1)).unwrap();
    let input = model.session_mut().input_bytes_mut(0).unwrap();
    for (out, value) in input.as_chunks_mut::<4>().0.iter_mut().zip(1u8..) {
        *out = f32::from(value).to_le_bytes();
    }
    model.run().unwrap();
    // Means over 1, 4, 7, 10 and so on.
    assert_eq!(floats(model.session().output_bytes(0).unwrap()), [5.5, 14.0]);
    // What is computed for embeddings is no output of the model.
    assert_eq!(model.outputs().len(), 1);
    assert_eq!(model.metadata().outputs.len(), 1);
    assert_eq!(model.metadata().heads, []);
}

#[test]
fn a_batch_gives_what_one_by_one_gives() {
    let pictures = [RED, CYAN, GREY];
    // As converters write it, with 1 for one picture.
    let constant = classifier(brightness(true, Some(1)), 3);
    assert_eq!(constant.model().batch_size(), 3);
    let mut classifier = classifier(brightness(true, Some(-1)), 3);
    assert_eq!(classifier.model().batch_size(), 3);
    let clock = || 0.0;
    let frame = FrameOptions::default();
    for picture in pictures.iter().map(picture) {
        classifier.stage(&picture, &frame, &clock).unwrap();
    }
    let error = classifier.stage(&picture(&RED), &frame, &clock).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidInput);
    for order in [[0usize, 1, 2], [2, 1, 0]] {
        for index in order {
            classifier.stage(&picture(&pictures[index]), &frame, &clock).unwrap();
        }
        let together = classifier.classify_staged(&clock).unwrap();
        for (index, result) in order.into_iter().zip(together) {
            let alone = classifier.classify(&picture(&pictures[index]), &frame, &clock).unwrap();
            assert_eq!(result.classifications, alone.classifications, "picture {index}");
        }
    }
    // A batch that is not full.
    classifier.stage(&picture(&CYAN), &frame, &clock).unwrap();
    let one = classifier.classify_staged(&clock).unwrap();
    assert_eq!((one.len(), one[0].top.as_ref().unwrap().index), (1, 1));
}

#[test]
fn graphs_that_take_one_picture_say_so_and_still_work() {
    let mut flattened = brightness(false, None);
    for (name, shape) in [("flat", vec![2]), ("scores", vec![1, 2])] {
        let id = TensorId(flattened.tensors.len());
        let new_shape = shape.iter().map(|&size: &usize| i64::try_from(size).unwrap()).collect();
        flattened.tensors.push(tensor(name, &shape, None));
        let inputs = vec![Some(flattened.outputs[0])];
        let operator = Operator::Reshape { new_shape };
        flattened.nodes.push(Node { operator, inputs, outputs: vec![id] });
        flattened.outputs = vec![id];
    }
    let mut classifier = classifier(flattened, 2);
    let refusal = classifier.model().batch_refusal().unwrap().to_string();
    assert!(refusal.contains("RESHAPE"), "{refusal}");
    assert_eq!(classifier.model().batch_size(), 1);
    classifier.stage(&picture(&RED), &FrameOptions::default(), &|| 0.0).unwrap();
    let results = classifier.classify_staged(&|| 0.0).unwrap();
    assert_eq!(results[0].top.as_ref().unwrap().index, 0);
    let error =
        ImageModel::from_model(brightness(true, None), &options(65)).unwrap_err().to_string();
    assert_eq!(error, "INVALID_OPTION: batchSize: must be from 1 to 64, is 65");
    assert!(ImageModel::from_model(brightness(true, None), &options(0)).is_ok());
}

#[test]
fn inputs_take_other_shapes_where_the_graph_allows_it() {
    let with = |model: Model, name: &str, shape: &[usize]| {
        let input_shapes = vec![(name.to_owned(), shape.to_vec())];
        ImageModel::from_model(model, &ImageModelOptions { input_shapes, ..options(1) })
    };
    let model = with(brightness(true, Some(1)), "image", &[1, 5, 7, 3]).unwrap();
    assert_eq!(model.metadata().inputs[0].shape, [1, 5, 7, 3]);
    assert!(model.check_picture().is_ok());
    let refused = |rows, name: &str, shape: &[usize]| {
        let error = with(brightness(true, rows), name, shape).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidOption);
        error.message.into_owned()
    };
    assert_eq!(
        refused(None, "picture", &[1, 5, 7, 3]),
        "inputShapes: the model has no input \"picture\"; it has \"image\""
    );
    let message = refused(Some(1), "image", &[4, 2, 2, 3]);
    assert!(message.starts_with("inputShapes: the model does not allow them: "), "{message}");
    assert!(message.contains("RESHAPE"), "{message}");
    assert!(refused(None, "image", &[1, 5, 3]).contains("cannot have shape [1, 5, 3]"));
    // Four pictures at once: one fills all places, and a batch has four.
    let mut four = with(brightness(true, None), "image", &[4, 2, 2, 3]).unwrap();
    assert_eq!(four.metadata().outputs[0].shape, [4, 2]);
    assert_eq!((four.metadata().picture_input, model.metadata().picture_input), (Some(0), Some(0)));
    assert_eq!((four.batch_size(), four.is_batch_fixed()), (4, true));
    assert_eq!((model.batch_size(), model.is_batch_fixed()), (1, false));
    let grays = [10u8, 20, 30, 40].map(|gray| [gray; 12]);
    let picture = |pixels| Picture { pixels, width: 2, height: 2, format: PixelFormat::Rgb8 };
    let frame = FrameOptions::default();
    four.put_picture(&picture(&grays[1]), &frame).unwrap();
    four.run().unwrap();
    let all = four.output_bytes(0).unwrap().to_vec();
    assert!(all.chunks(all.len() / 4).all(|one| one == &all[..all.len() / 4]));
    for (slot, gray) in grays.iter().enumerate() {
        four.put_picture_in_batch(slot, &picture(gray), &frame).unwrap();
    }
    assert_eq!(
        four.put_picture_in_batch(4, &picture(&grays[0]), &frame).unwrap_err().code,
        ErrorCode::InvalidInput
    );
    four.run_batch().unwrap();
    assert_eq!(four.batch_output_bytes(0, 1).unwrap(), &all[..all.len() / 4]);
    assert_ne!(four.batch_output_bytes(0, 0), four.batch_output_bytes(0, 3));

    let mut open = brightness(true, None);
    open.tensors[0].shape = vec![1, 1, 1, 3];
    open.tensors[0].dynamic = vec![true, true, true, false];
    let options = ClassifierOptions { model: options(1), ..Default::default() };
    let error = Classifier::from_model(open.clone(), options.clone()).unwrap_err();
    assert!(error.message.contains("give its shape as inputShapes"), "{error}");
    let signature = |model: &ImageModel| model.metadata().inputs[0].shape_signature.clone();
    let sized = with(open, "image", &[1, 2, 2, 3]).unwrap();
    assert!(sized.check_picture().is_ok());
    assert_eq!(signature(&sized), [None, None, None, Some(3)]);
}

#[test]
fn logits_are_called_so() {
    let end = |model: Model| classifier(model, 1).metadata().heads[0].activation;
    assert_eq!(end(brightness(true, None)), ScoreActivation::Softmax);
    assert_eq!(end(brightness(true, Some(1))), ScoreActivation::Softmax);
    assert_eq!(end(brightness(false, Some(1))), ScoreActivation::None);
    let mut options = ClassifierOptions { model: options(1), ..Default::default() };
    options.activation = ScoreActivation::Softmax;
    let mut made = Classifier::from_model(brightness(false, None), options).unwrap();
    let mut own = classifier(brightness(true, None), 1);
    let run = |classifier: &mut Classifier| {
        classifier.classify(&picture(&GREY), &FrameOptions::default(), &|| 0.0).unwrap()
    };
    let (made, own) = (run(&mut made), run(&mut own));
    let pairs = made.classifications[0].categories.iter().zip(&own.classifications[0].categories);
    for (made, own) in pairs {
        assert_eq!(made.index, own.index);
        assert!((made.score - own.score).abs() < 1e-6, "{made:?} {own:?}");
    }
}

#[test]
fn a_classifier_embeds_by_what_its_last_layer_reads() {
    let embed = |model: &mut ImageModel, options| {
        model.embed(&picture(&GREY), &FrameOptions::default(), options).unwrap()
    };
    let near = |found: Embedding, expected: &[f32]| {
        let Embedding::Float(found) = found else { panic!("floats") };
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{found:?}");
        }
    };
    let plain = EmbedOptions::default();
    let mut classifier = classifier(brightness(true, Some(1)), 1);
    near(embed(classifier.model_mut(), plain), &[0.2; 3]);
    let unit = EmbedOptions { l2_normalize: true, ..plain };
    near(embed(classifier.model_mut(), unit), &[1.0 / 3f32.sqrt(); 3]);
    let bytes = EmbedOptions { quantize: true, ..unit };
    assert_eq!(embed(classifier.model_mut(), bytes), Embedding::Quantized(vec![74; 3]));
    // Without a word about classes, the output itself is the vector.
    let mut logits = ImageModel::from_model(brightness(false, None), &options(1)).unwrap();
    near(embed(&mut logits, plain), &[0.2, 0.4]);
    // A vector beside the scores is the embedding.
    let mut both = brightness(true, None);
    both.outputs.push(TensorId(4));
    let mut both = ImageModel::from_model(both, &options(1)).unwrap();
    near(embed(&mut both, plain), &[0.2, 0.4]);

    let mut map = brightness(false, None);
    map.nodes.truncate(1);
    map.nodes[0] = Node {
        operator: Operator::Relu,
        inputs: vec![Some(TensorId(0))],
        outputs: vec![TensorId(5)],
    };
    map.tensors.push(tensor("map", &[1, 2, 2, 3], None));
    map.outputs = vec![TensorId(5)];
    let mut map = ImageModel::from_model(map, &options(1)).unwrap();
    let error = map.embed(&picture(&GREY), &FrameOptions::default(), plain).unwrap_err();
    assert_eq!(error.code, ErrorCode::UnsupportedType);
    assert!(error.message.contains("no last dense layer"), "{error}");
}
