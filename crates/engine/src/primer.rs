//! Makes a browser ready to run before there is a model to be run.
//!
//! Browsers compile each function of a wasm file when it is first called, at once and badly, and
//! compile those that have run for long anew, well and in the background. A small model of what
//! networks are made of, opened and run while the real one is downloaded, gets both done early.
//!
//! Tried and lost: to write to as much memory as the model's bytes and weights will take, so that the
//! system gives it early. Medians of 13 interleaved starts in Chromium: MobileNet V2 float 216 -> 234
//! ms to the first label, V1 float 270 -> 254, V2 int8 147 -> 152.
//!
//! The type first that a model's announced size speaks for (floats from 8 MB on), with a file of each
//! type: V2 float 101 -> 95 ms, V1 float 116 -> 105, EfficientNet-Lite0 float 123 -> 119, and the faster
//! half of starts 92 -> 88, 105 -> 101 and 110 -> 113 (11 interleaved starts, AMD EPYC of family 25): too
//! little for what it takes. Always floats first, with a file of floats: floats as much faster, but 8-bit
//! models that come 120 ms after the core 5-10 % later.
//!
//! In the page's thread, while the worker opens the model (they share the compiled code): MobileNet V1
//! int8 77 -> 78 ms, with the whole primer there 81 -> 84. The page is woken on the worker's processor
//! and keeps it for up to 4 ms while the other is idle.

use achado_kernels::aligned::AlignedVec;
use achado_kernels::compiled::{self, Compiled};
use achado_kernels::conv2d::Conv2dFloat;
use achado_kernels::gemm::bytes::ByteDot;
use achado_kernels::reference::conv2d::Conv2dShape;
use achado_kernels::reference::{FloatWeights, QuantizedWeights};
use achado_kernels::requant::Requantize;
use achado_kernels::shape::Window;
use achado_kernels::simd::Native;
use achado_model::{
    Activation, Bytes, DataType, Model, Node, Operator, Padding, Quantization, Result, Tensor,
    TensorId,
};

use crate::session::{Session, SessionOptions};

/// What real models compute in, the most frequent first: products of matrices are run in this order.
const TYPES: [DataType; 2] = [DataType::Int8, DataType::Float32];

/// Networks in the order in which they are run. The middle of networks comes first, of floats first: by
/// then a model of bytes has often come, and one of floats is four times as large.
///
/// V8 compiles a function anew when it has run through so many bytes of machine code, which a large one
/// has after some hundred calls; that takes 15 to 30 ms of a processor which the download needs, too.
/// Sums, means and first layers are such functions. With all of them in the first network, that of
/// bytes, the first label of MobileNet V1 float came after 130 ms where it comes after 127, of V2 float
/// 114 and 113, of EfficientNet-Lite0 float 131 and 124 (medians of 25 interleaved starts, AMD EPYC of
/// family 25, Chromium 156).
const NETWORKS: [(DataType, Part); 4] = [
    (DataType::Float32, Part::Middle),
    (DataType::Int8, Part::Middle),
    (DataType::Float32, Part::All),
    (DataType::Int8, Part::All),
];

/// How much of a network there is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    /// A block of a MobileNet.
    Middle,
    /// A first layer, a block, and all that comes after the last one.
    All,
}

/// Runs until V8 compiles the kernels anew, which it does where a function has executed 13,000,000
/// bytes of its code (`--wasm-tiering-budget`).
const RUNS: usize = 40;

/// The same for the product of matrices alone.
const PRODUCTS: usize = 16;

/// Channels of 8-bit weights that are packed, in and out: as many as V8 takes to compile that anew,
/// too. Models that are there at once, without VNNI, medians of 11 to 15 interleaved starts of 105 to
/// 130 ms to the first label (Intel Xeon of family 6, model 207), with 512 x 320 weights, which are as
/// many: MobileNet V1's came 8, 7 and 1 ms sooner, V2's 11 and 1; with VNNI 7 ms sooner and 1 later.
/// With these V1's came 1 ms later, V2's 13 sooner. 512 x 640 were no better.
const PACKED: usize = 400;

/// The side of the picture and of all that becomes of it.
const SIDE: usize = 16;
/// Channels inside of the network.
const CHANNELS: usize = 64;
/// Classes that it tells apart.
const CLASSES: usize = 8;

/// Compiles and runs small models, a step at a time.
#[derive(Debug, Default)]
pub struct Primer {
    /// Types whose product has run.
    products: usize,
    session: Option<Session>,
    /// Networks that are done.
    done: usize,
    runs: usize,
}

impl Primer {
    /// Compiles the next model or runs it; `false` where nothing is left to do. The first steps
    /// take as long as the functions take to be compiled that any model needs; later ones take
    /// little.
    ///
    /// # Errors
    /// None, if the models are what they should be.
    pub fn step(&mut self) -> Result<bool> {
        if let Some(&dtype) = TYPES.get(self.products) {
            multiply(dtype);
            self.products += 1;
            return Ok(true);
        }
        let Some(&(dtype, part)) = NETWORKS.get(self.done) else { return Ok(false) };
        let Some(session) = &mut self.session else {
            let network = network(dtype, CHANNELS, part);
            self.session = Some(Session::new(network, &SessionOptions::default())?);
            return Ok(true);
        };
        session.run()?;
        self.runs += 1;
        if self.runs == RUNS {
            (self.session, self.runs) = (None, 0);
            self.done += 1;
        }
        Ok(self.done < NETWORKS.len())
    }
}

/// Multiplies pixels by weights as networks do most of the time. First and alone: V8 compiles the
/// kernel anew while the model comes and is packed, where it began in the midst of the first picture
/// before. Medians of 31 interleaved starts in Chromium, int8, a model that is there at once: MobileNet
/// V1 103 -> 97 ms to the first label, EfficientNet-Lite0 134 -> 129; the first picture of V1 half a
/// second later: 30 -> 23 ms, with more runs of the network.
fn multiply(dtype: DataType) {
    let shape = pointwise(SIDE, CHANNELS, CHANNELS);
    let (pixels, elements) = (0..SIDE * SIDE, SIDE * SIDE * CHANNELS);
    if dtype == DataType::Float32 {
        let values = &[0.0; CHANNELS * CHANNELS];
        let weights = FloatWeights { values, bias: None, activation: [0.0, 6.0] };
        let kernel = Conv2dFloat::new(shape, &weights);
        let mut scratch = AlignedVec::zeroed(kernel.scratch_bytes());
        let (input, mut out) = (vec![0.0; elements], vec![0.0; elements]);
        for _ in 0..PRODUCTS {
            compiled::conv2d_f32(&kernel, &input, pixels.clone(), &mut out, &mut scratch);
        }
        return;
    }
    let pack = |shape: Conv2dShape, dot| {
        let values = &vec![0; shape.in_c * shape.out_c];
        let weights = QuantizedWeights { values, zero_point: 0, bias: None };
        let requant =
            Requantize { scale: &[1.0 / 128.0], fixed: None, zero_point: 0, min: -128, max: 127 };
        i8::pack_conv2d(shape, 0, &weights, &requant, dot)
    };
    let (input, mut out) = (vec![0; elements], vec![0; elements]);
    let mut run = |dot| {
        let kernel = pack(shape, dot);
        let mut scratch = AlignedVec::zeroed(kernel.scratch_bytes());
        for _ in 0..PRODUCTS {
            i8::conv2d(&kernel, &input, pixels.clone(), &mut out, &mut scratch);
        }
    };
    let dot = ByteDot::probe::<Native>();
    pack(pointwise(1, PACKED, PACKED), dot);
    run(dot);
    if dot == Some(ByteDot::PairSum) {
        // The words that layers with large weights take. The first picture of a model that is there
        // 100 ms after the core: MobileNet V1 14.2 -> 12.4 ms, V2 11.4 -> 8.1 (medians of 9 interleaved
        // starts); to the first label of one that is there at once it takes as long as without.
        run(None);
    }
}

/// A pointwise convolution of a square picture.
fn pointwise(side: usize, in_c: usize, out_c: usize) -> Conv2dShape {
    let window = Window {
        batch: 1,
        in_h: side,
        in_w: side,
        out_h: side,
        out_w: side,
        kernel_h: 1,
        kernel_w: 1,
        stride: [1; 2],
        dilation: [1; 2],
        pad_top: 0,
        pad_left: 0,
    };
    Conv2dShape { window, in_c, out_c, groups: 1 }
}

/// A network of one type with weights of zero.
fn network(dtype: DataType, channels: usize, part: Part) -> Model {
    let mut network = Network { model: Model::default(), dtype };
    let (stride, dilation, padding) = ([1; 2], [1; 2], Padding::Same);
    let activation = Activation::Relu6;
    let conv = Operator::Conv2d { stride, dilation, padding, activation };
    let depthwise =
        Operator::DepthwiseConv2d { stride, dilation, padding, depth_multiplier: 1, activation };
    let picture = [1, SIDE, SIDE, channels];
    let input = network.tensor(&if part == Part::All { [1, SIDE, SIDE, 3] } else { picture });
    network.model.inputs.push(input);
    let first = match part {
        Part::Middle => input,
        Part::All => network.weighted(conv.clone(), input, &[channels, 3, 3, 3], &picture),
    };
    let middle = network.weighted(depthwise, first, &[1, 3, 3, channels], &picture);
    let last = network.weighted(conv, middle, &[channels, 1, 1, channels], &picture);
    if part == Part::Middle {
        network.model.outputs.push(last);
        return network.model;
    }
    let add = Operator::Add { activation: Activation::None };
    let sum = network.node(add, &[first, last], &picture);
    let axes = network.constant(DataType::Int32, &[2], [1i32, 2].map(i32::to_le_bytes).concat());
    let mean = network.node(Operator::Mean { keep_dims: false }, &[sum, axes], &[1, channels]);
    let fully = Operator::FullyConnected { activation: Activation::None, keep_num_dims: false };
    let logits = network.weighted(fully, mean, &[CLASSES, channels], &[1, CLASSES]);
    let scores = network.node(Operator::Softmax { beta: 1.0 }, &[logits], &[1, CLASSES]);
    if let Some(quantization) = &mut network.model.tensors[scores.0].quantization {
        // The only one that SOFTMAX has.
        *quantization = Quantization::per_tensor(1.0 / 256.0, -128);
    }
    network.model.outputs.push(scores);
    network.model
}

/// A model of one type in the making.
struct Network {
    model: Model,
    dtype: DataType,
}

impl Network {
    fn push(&mut self, dtype: DataType, shape: &[usize], data: Option<Vec<u8>>) -> TensorId {
        let is_quantized = dtype == DataType::Int8;
        self.model.tensors.push(Tensor {
            name: String::new(),
            dtype,
            shape: shape.to_vec(),
            dynamic: Vec::new(),
            quantization: is_quantized.then(|| Quantization::per_tensor(1.0 / 128.0, 0)),
            data: data.map(Bytes::from),
        });
        TensorId(self.model.tensors.len() - 1)
    }

    fn tensor(&mut self, shape: &[usize]) -> TensorId {
        self.push(self.dtype, shape, None)
    }

    fn constant(&mut self, dtype: DataType, shape: &[usize], data: Vec<u8>) -> TensorId {
        self.push(dtype, shape, Some(data))
    }

    fn node(&mut self, operator: Operator, inputs: &[TensorId], shape: &[usize]) -> TensorId {
        let output = self.tensor(shape);
        let inputs = inputs.iter().copied().map(Some).collect();
        self.model.nodes.push(Node { operator, inputs, outputs: vec![output] });
        output
    }

    /// A node with weights.
    fn weighted(
        &mut self,
        operator: Operator,
        input: TensorId,
        weights: &[usize],
        shape: &[usize],
    ) -> TensorId {
        let bytes = weights.iter().product::<usize>() * self.dtype.size_bytes();
        let weights = self.constant(self.dtype, weights, vec![0; bytes]);
        self.node(operator, &[input, weights], shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_valid_and_steps_come_to_an_end() {
        for dtype in TYPES {
            for part in [Part::Middle, Part::All] {
                network(dtype, CHANNELS, part).validate().unwrap();
            }
        }
        let mut primer = Primer::default();
        let mut steps = 1;
        while primer.step().unwrap() {
            steps += 1;
        }
        assert_eq!(steps, TYPES.len() + NETWORKS.len() * (1 + RUNS));
        assert!(!primer.step().unwrap());
    }

    #[test]
    fn no_operator_takes_the_naive_loop() {
        for dtype in TYPES {
            let network = network(dtype, CHANNELS, Part::All);
            let mut session = Session::new(network, &SessionOptions::default()).unwrap();
            let profile = session.profile(1, &|| 0.0).unwrap();
            assert!(profile.iter().all(|step| step.kernel != "reference"), "{profile:?}");
        }
    }

    /// The file that the wasm files hold, which is opened early as users' models are.
    #[test]
    fn the_file_is_a_network() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../src/primer.tflite");
        let bytes = achado_model::tflite::write(&network(DataType::Int8, 8, Part::All)).unwrap();
        if std::env::var_os("ACHADO_WRITE_FIXTURES").is_some() {
            std::fs::write(file, &bytes).unwrap();
        }
        assert!(std::fs::read(file).unwrap() == bytes, "{file} is not what is written here");
    }
}
