//! Operators over layers of real networks, with packing of activations and requantisation.

use std::collections::BTreeMap;
use std::hint::black_box;

use achado_kernels::aligned::AlignedVec;
use achado_kernels::conv2d::{Conv2dFloat, Conv2dQuantized};
use achado_kernels::depthwise_conv2d::{DepthwiseFloat, DepthwiseQuantized};
use achado_kernels::fully_connected::{FullyConnectedFloat, FullyConnectedQuantized};
use achado_kernels::gemm::bytes::ByteDot;
use achado_kernels::reference::conv2d::Conv2dShape;
use achado_kernels::reference::depthwise_conv2d::DepthwiseShape;
use achado_kernels::reference::{FloatWeights, QuantizedWeights};
use achado_kernels::requant::Requantize;
use achado_kernels::shape::Window;
use achado_kernels::simd::Native;
use serde_json::{Value, json};

use crate::clock::best_ms;

/// Name, input size, input channels, output channels, kernel, stride.
type Layer = (&'static str, usize, usize, usize, usize, usize);

/// Layers of MobileNet V1 and V2, EfficientNet-Lite0 and ResNet-50 at 224.
const CONV2D: [Layer; 9] = [
    ("first 3x3/2 3->32", 224, 3, 32, 3, 2),
    ("pointwise 112 32->64", 112, 32, 64, 1, 1),
    ("pointwise 56 128->128", 56, 128, 128, 1, 1),
    ("pointwise 28 256->256", 28, 256, 256, 1, 1),
    ("pointwise 14 512->512", 14, 512, 512, 1, 1),
    ("pointwise 7 1024->1024", 7, 1024, 1024, 1, 1),
    ("pointwise 112 16->96", 112, 16, 96, 1, 1),
    ("pointwise 56 144->24", 56, 144, 24, 1, 1),
    ("general 3x3 28 128->128", 28, 128, 128, 3, 1),
];
const DEPTHWISE: [Layer; 6] = [
    ("3x3/1 112 32", 112, 32, 32, 3, 1),
    ("3x3/2 112 64", 112, 64, 64, 3, 2),
    ("3x3/1 28 256", 28, 256, 256, 3, 1),
    ("3x3/1 14 512", 14, 512, 512, 3, 1),
    ("5x5/1 14 480", 14, 480, 480, 5, 1),
    ("5x5/2 28 240", 28, 240, 240, 5, 2),
];
const FULLY_CONNECTED: [(usize, usize); 2] = [(1024, 1001), (1280, 1000)];

/// TensorFlow's SAME padding.
fn window(size: usize, kernel: usize, stride: usize) -> Window {
    let out = size.div_ceil(stride);
    let pad = ((out - 1) * stride + kernel).saturating_sub(size) / 2;
    Window {
        batch: 1,
        in_h: size,
        in_w: size,
        out_h: out,
        out_w: out,
        kernel_h: kernel,
        kernel_w: kernel,
        stride: [stride; 2],
        dilation: [1, 1],
        pad_top: pad,
        pad_left: pad,
    }
}

/// Elements spread like the weights of real networks: most are small, one in thirty is beyond
/// half of the range.
fn bytes(len: usize) -> Vec<i8> {
    let mut state = 0x9e37_79b9u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1u32 << 24)
    };
    (0..len)
        .map(|_| {
            // A Laplace distribution with a scale of 18.
            let (magnitude, sign) = (-18.0 * (1.0 - next()).ln(), next() - 0.5);
            magnitude.min(127.0).copysign(sign) as i8
        })
        .collect()
}

fn floats(len: usize) -> Vec<f32> {
    bytes(len).into_iter().map(|x| f32::from(x) / 128.0).collect()
}

const REQUANT: Requantize<'static> =
    Requantize { scale: &[0.0005], fixed: None, zero_point: 3, min: -128, max: 127 };

struct Report<'a> {
    ceilings: &'a BTreeMap<&'static str, f64>,
    rows: Vec<Value>,
}

impl Report<'_> {
    fn add(&mut self, operator: &str, layer: &str, ceiling: &str, macs: usize, ms: f64) {
        let gmacs = macs as f64 / ms / 1e6;
        let share = self.ceilings.get(ceiling).map(|most| gmacs / most);
        self.rows.push(json!({
            "operator": operator, "layer": layer, "ms": ms, "gmacs": gmacs,
            "ceiling": ceiling, "share": share,
        }));
    }
}

/// All layers.
pub(crate) fn all(ceilings: &BTreeMap<&'static str, f64>) -> Vec<Value> {
    let mut report = Report { ceilings, rows: Vec::new() };
    let byte_dot = ByteDot::probe::<Native>();
    for (name, size, in_c, out_c, kernel, stride) in CONV2D {
        let window = window(size, kernel, stride);
        let shape = Conv2dShape { window, in_c, out_c, groups: 1 };
        let k = kernel * kernel * in_c;
        let macs = window.out_pixels() * k * out_c;
        let pixels = window.out_pixels();

        let (input, values) = (bytes(size * size * in_c), bytes(out_c * k));
        let weights = QuantizedWeights { values: &values, zero_point: 0, bias: None };
        let packed = Conv2dQuantized::new::<i8, i8>(shape, -5, &weights, &REQUANT, byte_dot);
        let mut scratch = AlignedVec::<u8>::zeroed(packed.scratch_bytes());
        let mut out = vec![0i8; pixels * out_c];
        let ms = best_ms(|| {
            packed.run::<Native, i8>(black_box(&input), 0..pixels, &mut out, &mut scratch);
        });
        report.add("conv2d int8", name, packed.kernel(), macs, ms);

        let (input, values) = (floats(size * size * in_c), floats(out_c * k));
        let activation = [0.0, 6.0];
        let weights = FloatWeights { values: &values, bias: None, activation };
        let packed = Conv2dFloat::new(shape, &weights);
        let mut scratch = AlignedVec::<u8>::zeroed(packed.scratch_bytes());
        let mut out = vec![0.0; pixels * out_c];
        let ms = best_ms(|| {
            packed.run::<Native>(black_box(&input), 0..pixels, &mut out, &mut scratch);
        });
        report.add("conv2d f32", name, "f32 madd", macs, ms);
    }
    for (name, size, channels, _, kernel, stride) in DEPTHWISE {
        let window = window(size, kernel, stride);
        let shape = DepthwiseShape { window, in_c: channels, multiplier: 1 };
        let (k, pixels) = (kernel * kernel, window.out_pixels());
        let macs = pixels * k * channels;

        let (input, values) = (bytes(size * size * channels), bytes(channels * k));
        let weights = QuantizedWeights { values: &values, zero_point: 0, bias: None };
        let packed = DepthwiseQuantized::new::<i8, i8>(shape, -5, &weights, &REQUANT, byte_dot);
        let mut scratch = AlignedVec::<u8>::zeroed(packed.scratch_bytes());
        let mut out = vec![0i8; pixels * channels];
        let ms = best_ms(|| {
            packed.run::<Native, i8>(black_box(&input), 0..window.out_h, &mut out, &mut scratch);
        });
        let ceiling = match packed.kernel() {
            "depthwise rows i8 dot" => "gemm i8 dot",
            _ => "gemm i16",
        };
        report.add("depthwise_conv2d int8", name, ceiling, macs, ms);

        let (input, values) = (floats(size * size * channels), floats(channels * k));
        let weights = FloatWeights { values: &values, bias: None, activation: [0.0, 6.0] };
        let packed = DepthwiseFloat::new(shape, &weights);
        let mut scratch = AlignedVec::<u8>::zeroed(packed.scratch_bytes());
        let mut out = vec![0.0; pixels * channels];
        let ms = best_ms(|| {
            packed.run::<Native>(black_box(&input), 0..window.out_h, &mut out, &mut scratch);
        });
        report.add("depthwise_conv2d f32", name, "f32 madd", macs, ms);
    }
    for (in_c, out_c) in FULLY_CONNECTED {
        let name = format!("{in_c}->{out_c}");
        let (input, values) = (bytes(in_c), bytes(out_c * in_c));
        let weights = QuantizedWeights { values: &values, zero_point: 0, bias: None };
        let packed =
            FullyConnectedQuantized::new::<i8, i8>([in_c, out_c], -5, &weights, &REQUANT, byte_dot);
        let mut scratch = AlignedVec::<u8>::zeroed(packed.scratch_bytes());
        let mut out = vec![0i8; out_c];
        let ms =
            best_ms(|| packed.run::<Native, i8>(black_box(&input), 0..1, &mut out, &mut scratch));
        report.add("fully_connected int8", &name, packed.kernel(), in_c * out_c, ms);

        let (input, values) = (floats(in_c), floats(out_c * in_c));
        let activation = [f32::NEG_INFINITY, f32::INFINITY];
        let weights = FloatWeights { values: &values, bias: None, activation };
        let packed = FullyConnectedFloat::new([in_c, out_c], &weights);
        let mut scratch = AlignedVec::<u8>::zeroed(packed.scratch_bytes());
        let mut out = vec![0.0; out_c];
        let ms = best_ms(|| packed.run::<Native>(black_box(&input), 0..1, &mut out, &mut scratch));
        report.add("fully_connected f32", &name, "f32 madd", in_c * out_c, ms);
    }
    report.rows
}
