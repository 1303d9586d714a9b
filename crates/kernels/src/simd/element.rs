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
    /// Words of `a`, then of `b`, saturated.
    fn narrow<S: Simd>(a: S::V, b: S::V) -> S::V;
}

macro_rules! element {
    ($element:ty, $load:ident, $narrow:ident) => {
        impl Element for $element {
            #[inline(always)]
            unsafe fn load_extend<S: Simd>(from: *const Self) -> S::V {
                // SAFETY: the caller's.
                unsafe { S::$load(from) }
            }
            #[inline(always)]
            fn narrow<S: Simd>(a: S::V, b: S::V) -> S::V {
                S::$narrow(a, b)
            }
        }
    };
}
element!(i8, i16x8_load_extend_i8x8, i8x16_narrow_i16x8);
element!(u8, i16x8_load_extend_u8x8, u8x16_narrow_i16x8);
