//! Dynamic-range quantisation: float activations that meet 8-bit weights.
//!
//! TensorFlow Lite quantises the activations to int8 as they come, with a scale and zero point of
//! each picture (DEPTHWISE_CONV_2D, TRANSPOSE_CONV, most CONV_2D), pixel (CONV_2D that is a matrix
//! product: a window of 1x1, strides of 1, one group) or row (FULLY_CONNECTED, BATCH_MATMUL), sums
//! integers and scales the sums. The products are exact, so that the same results, but for rounding in
//! f32, come from snapping the activations to the grid of their quantisation and convolving them in
//! float with the dequantised weights.

/// The arithmetic by which a picture or row is quantised. Its range is taken together with 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grid {
    /// XNNPACK's (`quantization.h` and `f32-qs8-vcvt`): `scale = 255 / (max - min)` in f32; the zero
    /// point from the end with the smaller error; ties to even.
    Xnnpack,
    /// The built-in kernels' (`AsymmetricQuantizeFloats` in `portable_tensor_utils.cc`): the scale in
    /// f64, ties away from zero.
    Affine,
    /// The built-in kernels' for weights with one scale (`SymmetricQuantizeFloats`): `scale =
    /// largest / 127`, no zero point, ties away from zero.
    Symmetric,
}

/// The grid of one picture or row.
#[derive(Clone, Copy, Debug)]
struct Scale {
    /// What elements are multiplied by.
    factor: f32,
    zero_point: f32,
    /// Distance of neighbouring elements.
    step: f32,
}

impl Grid {
    /// Snaps a picture or row to its grid.
    pub fn snap(self, input: &[f32], out: &mut [f32]) {
        let scale = self.scale(input);
        self.each(&scale, input, out, |element| (element - scale.zero_point) * scale.step);
    }

    /// The elements plus 128 of a picture or row; the one that stands for 0, and the distance of
    /// neighbours.
    pub fn quantise(self, input: &[f32], out: &mut [u8]) -> (u8, f32) {
        let scale = self.scale(input);
        self.each(&scale, input, out, |element| (element as i32 + 128) as u8);
        ((scale.zero_point as i32 + 128) as u8, scale.step)
    }

    /// `make` of each element: a whole number of -128 to 127.
    #[inline(always)]
    fn each<T>(self, scale: &Scale, input: &[f32], out: &mut [T], make: impl Fn(f32) -> T) {
        let &Scale { factor, zero_point, .. } = scale;
        let pairs = out.iter_mut().zip(input);
        match self {
            Grid::Xnnpack => pairs.for_each(|(out, x)| {
                *out = make(clamped((x * factor).round_ties_even() + zero_point, -128.0));
            }),
            Grid::Affine => pairs.for_each(|(out, x)| {
                *out = make(clamped((zero_point + x * factor).round(), -128.0));
            }),
            Grid::Symmetric => pairs.for_each(|(out, x)| {
                *out = make(clamped((x * factor).round(), -127.0));
            }),
        }
    }

    fn scale(self, input: &[f32]) -> Scale {
        let [min, max] = range(input);
        if min == max {
            // Nothing but zeros.
            let zero_point = if self == Grid::Xnnpack { zero_point(0.0, 0.0) } else { 0.0 };
            return Scale { factor: 1.0, zero_point, step: 1.0 };
        }
        match self {
            Grid::Xnnpack => {
                let factor = 255.0 / (max - min);
                let zero_point = zero_point(min * factor, max * factor);
                Scale { factor, zero_point, step: 1.0 / factor }
            }
            Grid::Affine => {
                let [min, max] = [min, max].map(f64::from);
                let scale = (max - min) / 255.0;
                let (from_min, from_max) = (-128.0 - min / scale, 127.0 - max / scale);
                let errors = [128.0 + (min / scale).abs(), 127.0 + (max / scale).abs()];
                let zero_point = if errors[0] < errors[1] { from_min } else { from_max };
                let zero_point = zero_point.clamp(-128.0, 127.0).round() as f32;
                let step = scale as f32;
                Scale { factor: 1.0 / step, zero_point, step }
            }
            Grid::Symmetric => {
                let largest = max.max(-min);
                Scale { factor: 127.0 / largest, zero_point: 0.0, step: largest / 127.0 }
            }
        }
    }
}

/// XNNPACK's zero point of a scaled range.
fn zero_point(low: f32, high: f32) -> f32 {
    let zero = if (-128.0 + low) + (127.0 + high) > 0.0 { -128.0 - low } else { 127.0 - high };
    zero.clamp(-128.0, 127.0).round_ties_even()
}

/// An element of the type; what is not a number is the least.
#[inline(always)]
fn clamped(x: f32, least: f32) -> f32 {
    let x = if x > least { x } else { least };
    if x < 127.0 { x } else { 127.0 }
}

/// The least and greatest element, or 0 where that is less or greater.
fn range(input: &[f32]) -> [f32; 2] {
    /// Extremes that are found apart, so that the compiler makes vectors of them.
    const LANES: usize = 8;
    let (mut least, mut most) = ([0.0f32; LANES], [0.0f32; LANES]);
    let mut take = |chunk: &[f32]| {
        for ((least, most), &x) in least.iter_mut().zip(&mut most).zip(chunk) {
            *least = if x < *least { x } else { *least };
            *most = if x > *most { x } else { *most };
        }
    };
    let mut chunks = input.chunks_exact(LANES);
    chunks.by_ref().for_each(&mut take);
    take(chunks.remainder());
    [least.into_iter().fold(0.0, f32::min), most.into_iter().fold(0.0, f32::max)]
}
