//! A minimal vector trait: only the operations that the kernels need, named as in WebAssembly.
//!
//! A kernel is written once over [`Simd`] and compiled for each level: [`Portable`] anywhere,
//! `Simd128` and `Relaxed` in WebAssembly. All levels give the same integers; floats may differ
//! where a level fuses multiply and add.

mod element;
mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;

pub use element::Element;
pub use portable::Portable;
#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
pub use wasm::Relaxed;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use wasm::Simd128;

/// The fastest level that this build has.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub type Native = Portable;
/// The fastest level that this build has.
#[cfg(all(
    target_arch = "wasm32",
    target_feature = "simd128",
    not(target_feature = "relaxed-simd")
))]
pub type Native = Simd128;
/// The fastest level that this build has.
#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
pub type Native = Relaxed;

/// 128-bit vectors. Lanes are little-endian; arithmetic wraps unless named otherwise.
///
/// Pointers need no alignment.
pub trait Simd: Copy + Send + Sync + 'static {
    /// 128 bits without a type.
    type V: Copy;
    /// The level's name, as in profiles: `portable`, `simd128`, `relaxed`.
    const NAME: &'static str;
    /// Whether the level has relaxed dot products of bytes. Kernels that need them are not compiled
    /// for levels that lack them.
    const HAS_BYTE_DOT: bool;

    /// Sixteen bytes.
    ///
    /// # Safety
    /// `from` is readable for 16 bytes.
    unsafe fn load<T>(from: *const T) -> Self::V;
    /// Eight bytes in the low half, zeros above.
    ///
    /// # Safety
    /// `from` is readable for 8 bytes.
    unsafe fn load64_zero<T>(from: *const T) -> Self::V;
    /// Four bytes in each lane.
    ///
    /// # Safety
    /// `from` is readable for 4 bytes.
    unsafe fn load32_splat<T>(from: *const T) -> Self::V;
    /// Eight signed bytes, widened.
    ///
    /// # Safety
    /// `from` is readable for 8 bytes.
    unsafe fn i16x8_load_extend_i8x8(from: *const i8) -> Self::V;
    /// Eight unsigned bytes, widened.
    ///
    /// # Safety
    /// `from` is readable for 8 bytes.
    unsafe fn i16x8_load_extend_u8x8(from: *const u8) -> Self::V;
    /// Sixteen bytes.
    ///
    /// # Safety
    /// `to` is writable for 16 bytes.
    unsafe fn store<T>(to: *mut T, v: Self::V);
    /// The low eight bytes.
    ///
    /// # Safety
    /// `to` is writable for 8 bytes.
    unsafe fn store64<T>(to: *mut T, v: Self::V);
    /// The high eight bytes.
    ///
    /// # Safety
    /// `to` is writable for 8 bytes.
    unsafe fn store64_high<T>(to: *mut T, v: Self::V);

    /// `x` in four lanes.
    fn i32x4_splat(x: i32) -> Self::V;
    /// `x` in eight lanes.
    fn i16x8_splat(x: i16) -> Self::V;
    /// `x` in sixteen lanes.
    fn i8x16_splat(x: i8) -> Self::V;
    /// `x` in four lanes.
    fn f32x4_splat(x: f32) -> Self::V;

    /// `a & b`.
    fn and(a: Self::V, b: Self::V) -> Self::V;
    /// `a | b`.
    fn or(a: Self::V, b: Self::V) -> Self::V;
    /// `a ^ b`.
    fn xor(a: Self::V, b: Self::V) -> Self::V;
    /// The bits of `a` where `mask` has ones, those of `b` elsewhere.
    fn select(a: Self::V, b: Self::V, mask: Self::V) -> Self::V;
    /// Whether any bit is 1.
    fn any_true(a: Self::V) -> bool;
    /// Whether any byte's top bit is 1.
    fn any_top_i8x16(a: Self::V) -> bool;
    /// `a0 b0 a1 b1` of 32-bit lanes.
    fn i32x4_interleave_low(a: Self::V, b: Self::V) -> Self::V;
    /// `a2 b2 a3 b3` of 32-bit lanes.
    fn i32x4_interleave_high(a: Self::V, b: Self::V) -> Self::V;
    /// `a0 b0` of 64-bit lanes.
    fn i64x2_interleave_low(a: Self::V, b: Self::V) -> Self::V;
    /// `a1 b1` of 64-bit lanes.
    fn i64x2_interleave_high(a: Self::V, b: Self::V) -> Self::V;
    /// `a0 b0 a1 b1 a2 b2 a3 b3` of 16-bit lanes.
    fn i16x8_interleave_low(a: Self::V, b: Self::V) -> Self::V;
    /// `a0 b0 ... a7 b7` of bytes.
    fn i8x16_interleave_low(a: Self::V, b: Self::V) -> Self::V;
    /// `a4 b4 ... a7 b7` of 16-bit lanes.
    fn i16x8_interleave_high(a: Self::V, b: Self::V) -> Self::V;

    /// Widens the low eight signed bytes.
    fn i16x8_extend_low_i8x16(a: Self::V) -> Self::V;
    /// Widens the high eight signed bytes.
    fn i16x8_extend_high_i8x16(a: Self::V) -> Self::V;
    /// Widens the low four signed words.
    fn i32x4_extend_low_i16x8(a: Self::V) -> Self::V;
    /// Widens the high four signed words.
    fn i32x4_extend_high_i16x8(a: Self::V) -> Self::V;

    /// `a + b`, bytes.
    fn i8x16_add(a: Self::V, b: Self::V) -> Self::V;
    /// The larger of signed bytes.
    fn i8x16_max(a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`, bytes.
    fn i8x16_sub(a: Self::V, b: Self::V) -> Self::V;
    /// `a + b`, 16-bit lanes.
    fn i16x8_add(a: Self::V, b: Self::V) -> Self::V;
    /// `a + b`, signed words, saturated.
    fn i16x8_add_sat(a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`, 16-bit lanes.
    fn i16x8_sub(a: Self::V, b: Self::V) -> Self::V;
    /// `a + b`, 32-bit lanes.
    fn i32x4_add(a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`, 32-bit lanes.
    fn i32x4_sub(a: Self::V, b: Self::V) -> Self::V;
    /// The larger of signed 32-bit lanes.
    fn i32x4_max(a: Self::V, b: Self::V) -> Self::V;
    /// Lesser lane.
    fn i32x4_min(a: Self::V, b: Self::V) -> Self::V;
    /// `(a * b + 2^30) >> 31` of each lane, in 64 bits: gemmlowp's doubling product. Of -2^31 and
    /// itself it is -2^31.
    fn i32x4_high_mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`, low 32 bits.
    fn i32x4_mul(a: Self::V, b: Self::V) -> Self::V;
    /// Shift left of 32-bit lanes.
    fn i32x4_shl(a: Self::V, bits: u32) -> Self::V;
    /// Arithmetic shift right of 32-bit lanes.
    fn i32x4_shr(a: Self::V, bits: u32) -> Self::V;
    /// `a0 b0 + a1 b1, ...`: sums of products of neighbouring signed words.
    fn i32x4_dot_i16x8(a: Self::V, b: Self::V) -> Self::V;
    /// The larger of signed words.
    fn i16x8_max(a: Self::V, b: Self::V) -> Self::V;
    /// The smaller of signed words.
    fn i16x8_min(a: Self::V, b: Self::V) -> Self::V;
    /// 32-bit lanes of `a`, then of `b`, saturated to signed words.
    fn i16x8_narrow_i32x4(a: Self::V, b: Self::V) -> Self::V;
    /// Words of `a`, then of `b`, saturated to signed bytes.
    fn i8x16_narrow_i16x8(a: Self::V, b: Self::V) -> Self::V;
    /// Words of `a`, then of `b`, saturated to unsigned bytes.
    fn u8x16_narrow_i16x8(a: Self::V, b: Self::V) -> Self::V;

    /// Nearest float of each integer.
    fn f32x4_convert_i32x4(a: Self::V) -> Self::V;
    /// `a + b`.
    fn f32x4_add(a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`.
    fn f32x4_sub(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`.
    fn f32x4_mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`.
    fn f32x4_div(a: Self::V, b: Self::V) -> Self::V;
    /// Square roots.
    fn f32x4_sqrt(a: Self::V) -> Self::V;
    /// All ones where `a < b`, else zeros.
    fn f32x4_lt(a: Self::V, b: Self::V) -> Self::V;
    /// All ones where `a` is not `b`, which is a NaN; else zeros.
    fn f32x4_ne(a: Self::V, b: Self::V) -> Self::V;
    /// `b < a ? b : a`; one instruction on every machine. Where `a` is a NaN, the relaxed level may
    /// give either.
    fn f32x4_pmin(a: Self::V, b: Self::V) -> Self::V;
    /// `a < b ? b : a`; as [`Self::f32x4_pmin`].
    fn f32x4_pmax(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`: fused in the relaxed level, two roundings in the others.
    fn f32x4_madd(a: Self::V, b: Self::V, c: Self::V) -> Self::V;

    /// Sums of neighbouring signed bytes.
    fn i16x8_sum_pairs_i8x16(a: Self::V) -> Self::V;
    /// Sums of neighbouring unsigned bytes, then of neighbouring words: four bytes to each lane.
    fn i32x4_sum_quads_u8x16(a: Self::V) -> Self::V;
    /// Products of signed bytes with activations, neighbours added into words.
    ///
    /// What activations are and what happens beyond 16 bits is the machine's business, to be found
    /// out by [`ByteDot::probe`](crate::gemm::bytes::ByteDot::probe): x86 takes them as unsigned
    /// and saturates; Arm takes them as signed.
    fn i16x8_relaxed_dot(weights: Self::V, activations: Self::V) -> Self::V;
    /// Products of signed bytes with activations, four neighbours added to each lane of `sum`; see
    /// [`Self::i16x8_relaxed_dot`].
    fn i32x4_relaxed_dot_add(weights: Self::V, activations: Self::V, sum: Self::V) -> Self::V;
}
