//! 8-bit elements in vectors: what differs between int8 and uint8.

use super::Simd;
use crate::requant::Quantized;

/// A quantised element that vectors can load, widen and narrow.
pub trait Element: Quantized + bytemuck::Pod + Send + Sync {
    /// Eight elements, widened to words.
    ///
    /// # Safety
    /// `from` is readable for 8 elements.
    unsafe fn load_extend<S: Simd>(from: *const Self) -> S::V;
    /// The low eight elements, widened to words.
    fn extend_low<S: Simd>(a: S::V) -> S::V;
    /// The high eight elements, widened to words.
    fn extend_high<S: Simd>(a: S::V) -> S::V;
    /// Words of `a`, then of `b`, saturated.
    fn narrow<S: Simd>(a: S::V, b: S::V) -> S::V;
    /// The larger of each.
    fn max<S: Simd>(a: S::V, b: S::V) -> S::V;
    /// The smaller of each.
    fn min<S: Simd>(a: S::V, b: S::V) -> S::V;
}

macro_rules! element {
    ($element:ty, $load:ident, $low:ident, $high:ident, $narrow:ident, $max:ident, $min:ident) => {
        impl Element for $element {
            #[inline(always)]
            unsafe fn load_extend<S: Simd>(from: *const Self) -> S::V {
                // SAFETY: the caller's.
                unsafe { S::$load(from) }
            }
            #[inline(always)]
            fn extend_low<S: Simd>(a: S::V) -> S::V {
                S::$low(a)
            }
            #[inline(always)]
            fn extend_high<S: Simd>(a: S::V) -> S::V {
                S::$high(a)
            }
            #[inline(always)]
            fn narrow<S: Simd>(a: S::V, b: S::V) -> S::V {
                S::$narrow(a, b)
            }
            #[inline(always)]
            fn max<S: Simd>(a: S::V, b: S::V) -> S::V {
                S::$max(a, b)
            }
            #[inline(always)]
            fn min<S: Simd>(a: S::V, b: S::V) -> S::V {
                S::$min(a, b)
            }
        }
    };
}
element!(
    i8,
    i16x8_load_extend_i8x8,
    i16x8_extend_low_i8x16,
    i16x8_extend_high_i8x16,
    i8x16_narrow_i16x8,
    i8x16_max,
    i8x16_min
);
element!(
    u8,
    i16x8_load_extend_u8x8,
    i16x8_extend_low_u8x16,
    i16x8_extend_high_u8x16,
    u8x16_narrow_i16x8,
    u8x16_max,
    u8x16_min
);
