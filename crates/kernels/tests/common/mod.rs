//! What the suites over all levels share: seeded numbers, random shapes, the list of levels.
//!
//! Each suite runs natively, in Node and in the browser; a body is written once and called for
//! every level that the build has, so that the run prints which ones those were.

#![allow(dead_code, reason = "each suite uses a part")]

use achado_kernels::reference::conv2d::Conv2dShape;
use achado_kernels::requant::builtin::{FixedMultiplier, FixedScale, Ties};
use achado_kernels::requant::{Quantized, Requantize};
use achado_kernels::shape::Window;

/// Calls `$body::<Level>($args)` for each level of this build.
#[macro_export]
macro_rules! each_level {
    ($body:ident $(, $arg:expr)*) => {{
        $body::<achado_kernels::simd::Portable>($($arg),*);
        $body::<achado_kernels::simd::Portable<true>>($($arg),*);
        #[cfg(target_arch = "wasm32")]
        $body::<achado_kernels::simd::Simd128>($($arg),*);
        #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
        $body::<achado_kernels::simd::Relaxed>($($arg),*);
    }};
}

/// xorshift64*: the same numbers everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// In `low..=high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + (self.next() >> 33) as usize % (high - low + 1)
    }

    /// One of the list.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.between(0, list.len() - 1)]
    }

    /// In -1.0..1.0.
    pub fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub fn floats(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.float()).collect()
    }

    /// Elements over the whole range; every fourth vector is all extremes.
    pub fn elements<T: Quantized>(&mut self, len: usize) -> Vec<T> {
        let extremes = self.between(0, 3) == 0;
        (0..len)
            .map(|_| {
                T::from_i32(match extremes {
                    true => self.pick(&[T::MIN, T::MAX]),
                    false => self.between(0, 255) as i32 + T::MIN,
                })
            })
            .collect()
    }

    /// Weights as networks have them: most are small, some large; a quarter of the vectors as
    /// [`Self::elements`] has them.
    pub fn weights<T: Quantized>(&mut self, len: usize) -> Vec<T> {
        if self.between(0, 3) == 0 {
            return self.elements(len);
        }
        let middle = (T::MIN + T::MAX + 1) / 2;
        (0..len)
            .map(|_| {
                let reach = if self.between(0, 15) == 0 { 128 } else { 30 };
                T::saturated(middle + self.between(0, 2 * reach) as i32 - reach as i32)
            })
            .collect()
    }

    /// A zero point: often at an end of the type.
    pub fn zero_point<T: Quantized>(&mut self) -> i32 {
        let inner = self.between(0, 255) as i32 + T::MIN;
        self.pick(&[T::MIN, T::MAX, inner])
    }

    /// Output bounds and scales such that results spread over the type.
    pub fn requant<T: Quantized>(&mut self, channels: usize, k: usize) -> OwnedRequantize {
        let typical = 1.0 / (64.0 * (k as f32).sqrt());
        let count = self.pick(&[1, channels]);
        let scale: Vec<f32> = (0..count).map(|_| typical * (1.5 + self.float())).collect();
        let a = self.between(0, 255) as i32 + T::MIN;
        let b = self.between(0, 255) as i32 + T::MIN;
        let bounded = self.between(0, 2) == 0;
        let fixed = (self.between(0, 3) == 0).then(|| {
            let multiplier = |&scale: &f32| FixedMultiplier::new(f64::from(scale));
            (
                scale.iter().map(multiplier).collect(),
                self.pick(&[Ties::AWAY_FROM_ZERO, Ties::UP, Ties::of_vectors(channels)]),
            )
        });
        OwnedRequantize {
            scale,
            fixed,
            zero_point: self.zero_point::<T>(),
            min: if bounded { a.min(b) } else { T::MIN },
            max: if bounded { a.max(b) } else { T::MAX },
        }
    }

    /// A window over a small picture: any stride, dilation and padding, with at least one output.
    pub fn window(&mut self, kernel: [usize; 2]) -> Window {
        loop {
            let stride = [self.between(1, 3), self.between(1, 3)];
            let dilation = [self.pick(&[1, 1, 1, 2]), self.pick(&[1, 1, 1, 3])];
            let reach = [(kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1];
            // Some are wide: kernels have ways of their own for long rows.
            let widest = self.pick(&[11, 11, 11, 60]);
            let (in_h, in_w) = (self.between(1, 9), self.between(1, widest));
            let padded = self.between(0, 1) == 1;
            let mut side = |reach: usize| if padded { self.between(0, reach - 1) } else { 0 };
            let (top, bottom, left, right) =
                (side(reach[0]), side(reach[0]), side(reach[1]), side(reach[1]));
            let (height, width) = (in_h + top + bottom, in_w + left + right);
            if height < reach[0] || width < reach[1] {
                continue;
            }
            return Window {
                batch: self.between(1, 2),
                in_h,
                in_w,
                out_h: (height - reach[0]) / stride[0] + 1,
                out_w: (width - reach[1]) / stride[1] + 1,
                kernel_h: kernel[0],
                kernel_w: kernel[1],
                stride,
                dilation,
                pad_top: top,
                pad_left: left,
            };
        }
    }

    /// A convolution of some class: pointwise, first layer, general, grouped.
    pub fn conv2d_shape(&mut self) -> Conv2dShape {
        let kernel = self.pick(&[[1, 1], [1, 1], [3, 3], [2, 3], [5, 1]]);
        let groups = self.pick(&[1, 1, 1, 2]);
        let in_c = self.pick(&[1, 3, 4, 7, 8, 9, 16, 19, 40, 72]) * groups;
        let out_c = self.pick(&[1, 3, 7, 8, 9, 16, 21, 43]) * groups;
        Conv2dShape { window: self.window(kernel), in_c, out_c, groups }
    }
}

/// [`Requantize`] that owns its scales.
#[derive(Debug)]
pub struct OwnedRequantize {
    pub scale: Vec<f32>,
    pub fixed: Option<(Vec<FixedMultiplier>, Ties)>,
    pub zero_point: i32,
    pub min: i32,
    pub max: i32,
}

impl OwnedRequantize {
    pub fn get(&self) -> Requantize<'_> {
        let Self { scale, fixed, zero_point, min, max } = self;
        let fixed = fixed.as_ref();
        let fixed = fixed.map(|(multipliers, ties)| FixedScale { multipliers, ties: *ties });
        Requantize { scale, fixed, zero_point: *zero_point, min: *min, max: *max }
    }
}

/// `len` bytes of scratch, aligned as the engine's.
pub fn scratch(len: usize) -> achado_kernels::aligned::AlignedVec<u8> {
    achado_kernels::aligned::AlignedVec::zeroed(len)
}
