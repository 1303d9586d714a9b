//! WebAssembly's own vectors. Each function is one instruction.

use core::arch::wasm32::*;

use super::Simd;

/// The 128-bit SIMD of WebAssembly 2.0.
#[derive(Clone, Copy)]
pub struct Simd128;

/// [`Simd128`] and relaxed SIMD: fused multiply and add where the machine has it.
#[cfg(target_feature = "relaxed-simd")]
#[derive(Clone, Copy)]
pub struct Relaxed;

macro_rules! level {
    ($level:ty, $name:literal, $has_byte_dot:literal, $madd:expr, $dot:expr, $dot_add:expr) => {
        impl Simd for $level {
            type V = v128;
            const NAME: &'static str = $name;
            const HAS_BYTE_DOT: bool = $has_byte_dot;

            #[inline(always)]
            unsafe fn load<T>(from: *const T) -> v128 {
                // SAFETY: the caller's; read_unaligned asks for no alignment.
                unsafe { from.cast::<v128>().read_unaligned() }
            }
            #[inline(always)]
            unsafe fn load64_zero<T>(from: *const T) -> v128 {
                // SAFETY: the caller's; the intrinsic asks for no alignment.
                unsafe { v128_load64_zero(from.cast()) }
            }
            #[inline(always)]
            unsafe fn load32_splat<T>(from: *const T) -> v128 {
                // SAFETY: the caller's; the intrinsic asks for no alignment.
                unsafe { v128_load32_splat(from.cast()) }
            }
            #[inline(always)]
            unsafe fn i16x8_load_extend_i8x8(from: *const i8) -> v128 {
                // SAFETY: the caller's.
                unsafe { i16x8_load_extend_i8x8(from) }
            }
            #[inline(always)]
            unsafe fn i16x8_load_extend_u8x8(from: *const u8) -> v128 {
                // SAFETY: the caller's.
                unsafe { i16x8_load_extend_u8x8(from) }
            }
            #[inline(always)]
            unsafe fn store<T>(to: *mut T, v: v128) {
                // SAFETY: the caller's; write_unaligned asks for no alignment.
                unsafe { to.cast::<v128>().write_unaligned(v) }
            }
            #[inline(always)]
            unsafe fn store64<T>(to: *mut T, v: v128) {
                // SAFETY: the caller's; the intrinsic asks for no alignment.
                unsafe { v128_store64_lane::<0>(v, to.cast()) }
            }
            #[inline(always)]
            unsafe fn store64_high<T>(to: *mut T, v: v128) {
                // SAFETY: the caller's; the intrinsic asks for no alignment.
                unsafe { v128_store64_lane::<1>(v, to.cast()) }
            }

            #[inline(always)]
            fn i32x4_splat(x: i32) -> v128 {
                i32x4_splat(x)
            }
            #[inline(always)]
            fn i16x8_splat(x: i16) -> v128 {
                i16x8_splat(x)
            }
            #[inline(always)]
            fn i8x16_splat(x: i8) -> v128 {
                i8x16_splat(x)
            }
            #[inline(always)]
            fn f32x4_splat(x: f32) -> v128 {
                f32x4_splat(x)
            }
            #[inline(always)]
            fn i32x4_interleave_low(a: v128, b: v128) -> v128 {
                i32x4_shuffle::<0, 4, 1, 5>(a, b)
            }
            #[inline(always)]
            fn i32x4_interleave_high(a: v128, b: v128) -> v128 {
                i32x4_shuffle::<2, 6, 3, 7>(a, b)
            }
            #[inline(always)]
            fn i64x2_interleave_low(a: v128, b: v128) -> v128 {
                i64x2_shuffle::<0, 2>(a, b)
            }
            #[inline(always)]
            fn i64x2_interleave_high(a: v128, b: v128) -> v128 {
                i64x2_shuffle::<1, 3>(a, b)
            }
            #[inline(always)]
            fn i8x16_interleave_low(a: v128, b: v128) -> v128 {
                i8x16_shuffle::<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(a, b)
            }
            #[inline(always)]
            fn i16x8_interleave_low(a: v128, b: v128) -> v128 {
                i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(a, b)
            }
            #[inline(always)]
            fn i16x8_interleave_high(a: v128, b: v128) -> v128 {
                i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(a, b)
            }
            #[inline(always)]
            fn select(a: v128, b: v128, mask: v128) -> v128 {
                v128_bitselect(a, b, mask)
            }
            #[inline(always)]
            fn i32x4_shl(a: v128, bits: u32) -> v128 {
                i32x4_shl(a, bits)
            }
            #[inline(always)]
            fn i32x4_shr(a: v128, bits: u32) -> v128 {
                i32x4_shr(a, bits)
            }
            #[inline(always)]
            fn i32x4_high_mul(a: v128, b: v128) -> v128 {
                // Of the shifted products only the low halves count, so that the shift may be one
                // that x86 has.
                let half = i64x2_splat(1 << 30);
                let low = u64x2_shr(i64x2_add(i64x2_extmul_low_i32x4(a, b), half), 31);
                let high = u64x2_shr(i64x2_add(i64x2_extmul_high_i32x4(a, b), half), 31);
                i32x4_shuffle::<0, 2, 4, 6>(low, high)
            }
            #[inline(always)]
            fn f32x4_madd(a: v128, b: v128, c: v128) -> v128 {
                $madd(a, b, c)
            }

            #[inline(always)]
            fn any_true(a: v128) -> bool {
                v128_any_true(a)
            }
            #[inline(always)]
            fn any_top_i8x16(a: v128) -> bool {
                i8x16_bitmask(a) != 0
            }
            #[inline(always)]
            fn i32x4_sum_quads_u8x16(a: v128) -> v128 {
                i32x4_extadd_pairwise_u16x8(i16x8_extadd_pairwise_u8x16(a))
            }
            #[inline(always)]
            fn i16x8_relaxed_dot(weights: v128, activations: v128) -> v128 {
                $dot(weights, activations)
            }
            #[inline(always)]
            fn i32x4_relaxed_dot_add(weights: v128, activations: v128, sum: v128) -> v128 {
                $dot_add(weights, activations, sum)
            }

            level!(@one and v128_and, or v128_or, xor v128_xor, i8x16_add i8x16_add, i8x16_max i8x16_max, i8x16_sub i8x16_sub,
                i16x8_add i16x8_add, i16x8_add_sat i16x8_add_sat, i16x8_sub i16x8_sub,
                i32x4_add i32x4_add, i32x4_sub i32x4_sub, i32x4_mul i32x4_mul, i32x4_max i32x4_max, i32x4_min i32x4_min,
                i32x4_dot_i16x8 i32x4_dot_i16x8, i16x8_max i16x8_max, i16x8_min i16x8_min, i16x8_narrow_i32x4 i16x8_narrow_i32x4,
                i8x16_narrow_i16x8 i8x16_narrow_i16x8, u8x16_narrow_i16x8 u8x16_narrow_i16x8,
                f32x4_add f32x4_add, f32x4_sub f32x4_sub, f32x4_mul f32x4_mul,
                f32x4_div f32x4_div, f32x4_lt f32x4_lt, f32x4_ne f32x4_ne, f32x4_pmin f32x4_pmin, f32x4_pmax f32x4_pmax);
            level!(@unary i16x8_extend_low_i8x16 i16x8_extend_low_i8x16,
                i16x8_extend_high_i8x16 i16x8_extend_high_i8x16,
                i32x4_extend_low_i16x8 i32x4_extend_low_i16x8,
                i32x4_extend_high_i16x8 i32x4_extend_high_i16x8,
                i16x8_sum_pairs_i8x16 i16x8_extadd_pairwise_i8x16,
                f32x4_sqrt f32x4_sqrt, f32x4_convert_i32x4 f32x4_convert_i32x4);
        }
    };
    (@one $($name:ident $intrinsic:ident),*) => {$(
        #[inline(always)]
        fn $name(a: v128, b: v128) -> v128 {
            $intrinsic(a, b)
        }
    )*};
    (@unary $($name:ident $intrinsic:ident),*) => {$(
        #[inline(always)]
        fn $name(a: v128) -> v128 {
            $intrinsic(a)
        }
    )*};
}

/// Without relaxed SIMD no kernel multiplies bytes.
mod none {
    use core::arch::wasm32::v128;

    pub fn dot(_: v128, _: v128) -> v128 {
        unreachable!("this level has no dot products of bytes")
    }

    pub fn dot_add(weights: v128, activations: v128, _: v128) -> v128 {
        dot(weights, activations)
    }
}

level!(
    Simd128,
    "simd128",
    false,
    |a, b, c| f32x4_add(f32x4_mul(a, b), c),
    none::dot,
    none::dot_add
);
#[cfg(target_feature = "relaxed-simd")]
level!(
    Relaxed,
    "relaxed",
    true,
    |a, b, c| f32x4_relaxed_madd(a, b, c),
    i16x8_relaxed_dot_i8x16_i7x16,
    i32x4_relaxed_dot_i8x16_i7x16_add
);
