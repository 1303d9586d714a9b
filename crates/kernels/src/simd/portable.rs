//! The same vectors in plain Rust, for any machine. Also the truth that the others are tested by.

use super::Simd;

/// Arrays of lanes; the compiler vectorises what it can.
///
/// Relaxed dot products are those of x86 with VNNI, or, where `SIGNED`, of Arm.
#[derive(Clone, Copy)]
pub struct Portable<const SIGNED: bool = false>;

/// Sixteen bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct V([u8; 16]);

macro_rules! lanes {
    ($get:ident, $set:ident, $lane:ty, $n:literal) => {
        #[inline(always)]
        fn $get(v: V) -> [$lane; $n] {
            const SIZE: usize = 16 / $n;
            let (chunks, _) = v.0.as_chunks::<SIZE>();
            core::array::from_fn(|i| <$lane>::from_le_bytes(chunks[i]))
        }
        #[inline(always)]
        fn $set(lanes: [$lane; $n]) -> V {
            const SIZE: usize = 16 / $n;
            let mut bytes = [0; 16];
            for (chunk, lane) in bytes.as_chunks_mut::<SIZE>().0.iter_mut().zip(lanes) {
                *chunk = lane.to_le_bytes();
            }
            V(bytes)
        }
    };
}
lanes!(i8s, from_i8s, i8, 16);
lanes!(u8s, from_u8s, u8, 16);
lanes!(i16s, from_i16s, i16, 8);
lanes!(i32s, from_i32s, i32, 4);
lanes!(i64s, from_i64s, i64, 2);
lanes!(f32s, from_f32s, f32, 4);

#[inline(always)]
fn zip<T: Copy, const N: usize>(a: [T; N], b: [T; N], f: impl Fn(T, T) -> T) -> [T; N] {
    core::array::from_fn(|i| f(a[i], b[i]))
}

/// `a[0] b[0] a[1] b[1] ...`, `N / 2` pairs starting at lane `from`.
#[inline(always)]
fn interleave<T: Copy, const N: usize>(a: [T; N], b: [T; N], from: usize) -> [T; N] {
    core::array::from_fn(|i| if i % 2 == 0 { a[from + i / 2] } else { b[from + i / 2] })
}

impl<const SIGNED: bool> Simd for Portable<SIGNED> {
    type V = V;
    const NAME: &'static str = "portable";
    const HAS_BYTE_DOT: bool = true;

    #[inline(always)]
    unsafe fn load<T>(from: *const T) -> V {
        // SAFETY: the caller's; bytes need no alignment.
        V(unsafe { from.cast::<[u8; 16]>().read() })
    }
    #[inline(always)]
    unsafe fn load64_zero<T>(from: *const T) -> V {
        // SAFETY: the caller's.
        from_i64s([i64::from_le_bytes(unsafe { from.cast::<[u8; 8]>().read() }), 0])
    }
    #[inline(always)]
    unsafe fn load32_splat<T>(from: *const T) -> V {
        // SAFETY: the caller's.
        from_i32s([i32::from_le_bytes(unsafe { from.cast::<[u8; 4]>().read() }); 4])
    }
    #[inline(always)]
    unsafe fn i16x8_load_extend_i8x8(from: *const i8) -> V {
        // SAFETY: the caller's.
        from_i16s(unsafe { from.cast::<[i8; 8]>().read() }.map(i16::from))
    }
    #[inline(always)]
    unsafe fn i16x8_load_extend_u8x8(from: *const u8) -> V {
        // SAFETY: the caller's.
        from_i16s(unsafe { from.cast::<[u8; 8]>().read() }.map(i16::from))
    }
    #[inline(always)]
    unsafe fn store<T>(to: *mut T, v: V) {
        // SAFETY: the caller's.
        unsafe { to.cast::<[u8; 16]>().write(v.0) }
    }
    #[inline(always)]
    unsafe fn store64<T>(to: *mut T, v: V) {
        // SAFETY: the caller's.
        unsafe { to.cast::<[u8; 8]>().write(i64s(v)[0].to_le_bytes()) }
    }
    #[inline(always)]
    unsafe fn store64_high<T>(to: *mut T, v: V) {
        // SAFETY: the caller's.
        unsafe { to.cast::<[u8; 8]>().write(i64s(v)[1].to_le_bytes()) }
    }

    #[inline(always)]
    fn i32x4_splat(x: i32) -> V {
        from_i32s([x; 4])
    }
    #[inline(always)]
    fn i16x8_splat(x: i16) -> V {
        from_i16s([x; 8])
    }
    #[inline(always)]
    fn i8x16_splat(x: i8) -> V {
        from_i8s([x; 16])
    }
    #[inline(always)]
    fn f32x4_splat(x: f32) -> V {
        from_f32s([x; 4])
    }

    #[inline(always)]
    fn and(a: V, b: V) -> V {
        V(zip(a.0, b.0, |x, y| x & y))
    }
    #[inline(always)]
    fn or(a: V, b: V) -> V {
        V(zip(a.0, b.0, |x, y| x | y))
    }
    #[inline(always)]
    fn select(a: V, b: V, mask: V) -> V {
        V(core::array::from_fn(|i| (a.0[i] & mask.0[i]) | (b.0[i] & !mask.0[i])))
    }
    #[inline(always)]
    fn xor(a: V, b: V) -> V {
        V(zip(a.0, b.0, |x, y| x ^ y))
    }
    #[inline(always)]
    fn any_true(a: V) -> bool {
        a.0 != [0; 16]
    }
    #[inline(always)]
    fn any_top_i8x16(a: V) -> bool {
        i8s(a).iter().any(|&x| x < 0)
    }
    #[inline(always)]
    fn i32x4_interleave_low(a: V, b: V) -> V {
        from_i32s(interleave(i32s(a), i32s(b), 0))
    }
    #[inline(always)]
    fn i32x4_interleave_high(a: V, b: V) -> V {
        from_i32s(interleave(i32s(a), i32s(b), 2))
    }
    #[inline(always)]
    fn i64x2_interleave_low(a: V, b: V) -> V {
        from_i64s([i64s(a)[0], i64s(b)[0]])
    }
    #[inline(always)]
    fn i64x2_interleave_high(a: V, b: V) -> V {
        from_i64s([i64s(a)[1], i64s(b)[1]])
    }
    #[inline(always)]
    fn i8x16_interleave_low(a: V, b: V) -> V {
        V(interleave(a.0, b.0, 0))
    }
    #[inline(always)]
    fn i16x8_interleave_low(a: V, b: V) -> V {
        from_i16s(interleave(i16s(a), i16s(b), 0))
    }
    #[inline(always)]
    fn i16x8_interleave_high(a: V, b: V) -> V {
        from_i16s(interleave(i16s(a), i16s(b), 4))
    }

    #[inline(always)]
    fn i16x8_extend_low_i8x16(a: V) -> V {
        from_i16s(core::array::from_fn(|i| i8s(a)[i].into()))
    }
    #[inline(always)]
    fn i16x8_extend_high_i8x16(a: V) -> V {
        from_i16s(core::array::from_fn(|i| i8s(a)[i + 8].into()))
    }
    #[inline(always)]
    fn i32x4_extend_low_i16x8(a: V) -> V {
        let a = i16s(a);
        from_i32s(core::array::from_fn(|i| i32::from(a[i])))
    }
    #[inline(always)]
    fn i32x4_extend_high_i16x8(a: V) -> V {
        let a = i16s(a);
        from_i32s(core::array::from_fn(|i| i32::from(a[4 + i])))
    }

    #[inline(always)]
    fn i8x16_add(a: V, b: V) -> V {
        from_i8s(zip(i8s(a), i8s(b), i8::wrapping_add))
    }
    #[inline(always)]
    fn i8x16_max(a: V, b: V) -> V {
        from_i8s(zip(i8s(a), i8s(b), i8::max))
    }
    #[inline(always)]
    fn i8x16_sub(a: V, b: V) -> V {
        from_i8s(zip(i8s(a), i8s(b), i8::wrapping_sub))
    }
    #[inline(always)]
    fn i16x8_add(a: V, b: V) -> V {
        from_i16s(zip(i16s(a), i16s(b), i16::wrapping_add))
    }
    #[inline(always)]
    fn i16x8_add_sat(a: V, b: V) -> V {
        from_i16s(zip(i16s(a), i16s(b), i16::saturating_add))
    }
    #[inline(always)]
    fn i16x8_sub(a: V, b: V) -> V {
        from_i16s(zip(i16s(a), i16s(b), i16::wrapping_sub))
    }
    #[inline(always)]
    fn i32x4_add(a: V, b: V) -> V {
        from_i32s(zip(i32s(a), i32s(b), i32::wrapping_add))
    }
    #[inline(always)]
    fn i32x4_sub(a: V, b: V) -> V {
        from_i32s(zip(i32s(a), i32s(b), i32::wrapping_sub))
    }
    #[inline(always)]
    fn i32x4_max(a: V, b: V) -> V {
        from_i32s(zip(i32s(a), i32s(b), i32::max))
    }
    #[inline(always)]
    fn i32x4_min(a: V, b: V) -> V {
        from_i32s(zip(i32s(a), i32s(b), i32::min))
    }
    #[inline(always)]
    fn i32x4_high_mul(a: V, b: V) -> V {
        let high = |x, y| ((i64::from(x) * i64::from(y) + (1 << 30)) >> 31) as i32;
        from_i32s(zip(i32s(a), i32s(b), high))
    }
    #[inline(always)]
    fn i32x4_mul(a: V, b: V) -> V {
        from_i32s(zip(i32s(a), i32s(b), i32::wrapping_mul))
    }
    #[inline(always)]
    fn i32x4_shl(a: V, bits: u32) -> V {
        from_i32s(i32s(a).map(|x| x << (bits & 31)))
    }
    #[inline(always)]
    fn i32x4_shr(a: V, bits: u32) -> V {
        from_i32s(i32s(a).map(|x| x >> (bits & 31)))
    }
    #[inline(always)]
    fn i32x4_dot_i16x8(a: V, b: V) -> V {
        let (a, b) = (i16s(a).map(i32::from), i16s(b).map(i32::from));
        from_i32s(core::array::from_fn(|i| {
            (a[2 * i] * b[2 * i]).wrapping_add(a[2 * i + 1] * b[2 * i + 1])
        }))
    }
    #[inline(always)]
    fn i16x8_max(a: V, b: V) -> V {
        from_i16s(zip(i16s(a), i16s(b), i16::max))
    }
    #[inline(always)]
    fn i16x8_min(a: V, b: V) -> V {
        from_i16s(zip(i16s(a), i16s(b), i16::min))
    }
    #[inline(always)]
    fn i16x8_narrow_i32x4(a: V, b: V) -> V {
        let (a, b) = (i32s(a), i32s(b));
        from_i16s(core::array::from_fn(|i| {
            let lane = if i < 4 { a[i] } else { b[i - 4] };
            lane.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
        }))
    }
    #[inline(always)]
    fn i8x16_narrow_i16x8(a: V, b: V) -> V {
        let (a, b) = (i16s(a), i16s(b));
        from_i8s(core::array::from_fn(|i| {
            let lane = if i < 8 { a[i] } else { b[i - 8] };
            lane.clamp(i16::from(i8::MIN), i16::from(i8::MAX)) as i8
        }))
    }
    #[inline(always)]
    fn u8x16_narrow_i16x8(a: V, b: V) -> V {
        let (a, b) = (i16s(a), i16s(b));
        from_u8s(core::array::from_fn(|i| {
            let lane = if i < 8 { a[i] } else { b[i - 8] };
            lane.clamp(0, i16::from(u8::MAX)) as u8
        }))
    }

    #[inline(always)]
    fn f32x4_convert_i32x4(a: V) -> V {
        from_f32s(i32s(a).map(|x| x as f32))
    }
    #[inline(always)]
    fn f32x4_add(a: V, b: V) -> V {
        from_f32s(zip(f32s(a), f32s(b), |x, y| x + y))
    }
    #[inline(always)]
    fn f32x4_sub(a: V, b: V) -> V {
        from_f32s(zip(f32s(a), f32s(b), |x, y| x - y))
    }
    #[inline(always)]
    fn f32x4_mul(a: V, b: V) -> V {
        from_f32s(zip(f32s(a), f32s(b), |x, y| x * y))
    }
    #[inline(always)]
    fn f32x4_div(a: V, b: V) -> V {
        from_f32s(zip(f32s(a), f32s(b), |x, y| x / y))
    }
    #[inline(always)]
    fn f32x4_sqrt(a: V) -> V {
        from_f32s(f32s(a).map(f32::sqrt))
    }
    #[inline(always)]
    fn f32x4_lt(a: V, b: V) -> V {
        let (a, b) = (f32s(a), f32s(b));
        from_i32s(core::array::from_fn(|i| -i32::from(a[i] < b[i])))
    }
    #[inline(always)]
    fn f32x4_ne(a: V, b: V) -> V {
        let (a, b) = (f32s(a), f32s(b));
        from_i32s(core::array::from_fn(|i| -i32::from(a[i] != b[i])))
    }
    #[inline(always)]
    fn f32x4_pmin(a: V, b: V) -> V {
        from_f32s(zip(f32s(a), f32s(b), |x, y| if y < x { y } else { x }))
    }
    #[inline(always)]
    fn f32x4_pmax(a: V, b: V) -> V {
        from_f32s(zip(f32s(a), f32s(b), |x, y| if x < y { y } else { x }))
    }
    #[inline(always)]
    fn f32x4_madd(a: V, b: V, c: V) -> V {
        Self::f32x4_add(Self::f32x4_mul(a, b), c)
    }

    #[inline(always)]
    fn i16x8_sum_pairs_i8x16(a: V) -> V {
        let bytes = i8s(a).map(i16::from);
        from_i16s(core::array::from_fn(|i| bytes[2 * i] + bytes[2 * i + 1]))
    }
    #[inline(always)]
    fn i32x4_sum_quads_u8x16(a: V) -> V {
        let (quads, _) = a.0.as_chunks::<4>();
        from_i32s(core::array::from_fn(|i| quads[i].iter().map(|&x| i32::from(x)).sum()))
    }
    #[inline(always)]
    fn i16x8_relaxed_dot(weights: V, activations: V) -> V {
        let products = products::<SIGNED>(weights, activations);
        from_i16s(core::array::from_fn(|i| {
            let sum = products[2 * i] + products[2 * i + 1];
            sum.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
        }))
    }
    #[inline(always)]
    fn i32x4_relaxed_dot_add(weights: V, activations: V, sum: V) -> V {
        let products = products::<SIGNED>(weights, activations);
        let (quads, _) = products.as_chunks::<4>();
        let sums = core::array::from_fn(|i| quads[i].iter().sum());
        Self::i32x4_add(sum, from_i32s(sums))
    }
}

/// Products of signed bytes with signed or unsigned ones.
#[inline(always)]
fn products<const SIGNED: bool>(weights: V, activations: V) -> [i32; 16] {
    let (w, signed, unsigned) = (i8s(weights), i8s(activations), u8s(activations));
    core::array::from_fn(|i| {
        let a = if SIGNED { i32::from(signed[i]) } else { i32::from(unsigned[i]) };
        i32::from(w[i]) * a
    })
}
