//! 8-bit matrix product as i16 pairs: `i32x4_dot_i16x8` sums two products of each lane.
//!
//! ```text
//! A  rows (pixels)    packed [rows / 4][k / 2][4 rows][2]  i16, made for each block that fits L2
//! B  weights          packed [out / 8][k / 2][8 columns][2] i16, made once
//! C  out              [rows][out]                           int8 or uint8, requantised in the store
//! ```
//!
//! The sums are exact for int8 and uint8, symmetric or not: zero points of weights are subtracted
//! while packing, the input's goes into the bias as `-zero_point * sum(weights)`, so that padding
//! is a row of zero points.

use super::packing::{BLOCK, pack_pairs};
use super::quantized::{Operands, Segments};
use super::tile::{Epilogue, Product, multiply, transpose};
use super::{PANEL, TILE_ROWS};
use crate::aligned::AlignedVec;
use crate::requant::Requantize;
use crate::simd::{Element, Native, Simd};

/// i16 elements of one k-pair of a tile: 4 rows x 2.
const PAIR_A: usize = TILE_ROWS * 2;
/// i16 elements of one k-pair of a panel: 8 columns x 2.
pub(super) const PAIR_B: usize = PANEL * 2;

/// Weights, biases and scales of a quantised matrix product, packed in panels of 8 columns.
#[derive(Clone)]
pub struct PackedWords {
    segments: Segments,
    panels: AlignedVec<i16>,
    epilogue: Epilogue,
}

impl Segments {
    fn pairs(&self) -> usize {
        self.len.div_ceil(2)
    }
}

impl PackedWords {
    /// Packs the weights, for an output of `T`.
    // Not inlined: see `packing` for what large functions cost a start.
    #[inline(never)]
    pub fn new<T: Element, W: Element>(
        segments: Segments,
        operands: &Operands<W>,
        requant: &Requantize,
    ) -> Self {
        let &Operands { columns, weights, input_zero_point } = operands;
        let pairs = segments.pairs() * segments.count;
        let k = segments.count * segments.len;
        let mut panels = AlignedVec::with_capacity(columns.next_multiple_of(PANEL) * pairs * 2);
        let mut epilogue = Epilogue::new::<T>(columns, requant);
        let values: &[i8] = bytemuck::cast_slice(weights.values);
        // Weights become signed bytes.
        let flip = if W::MIN < 0 { 0 } else { i8::MIN };
        let zero_point = weights.zero_point as i8 ^ flip;
        // Columns that are not there weigh nothing.
        let absent = vec![zero_point ^ flip; k];
        for first in (0..columns).step_by(BLOCK) {
            let block = core::array::from_fn(|i| match first + i {
                column if column < columns => &values[column * k..][..k],
                _ => &absent,
            });
            panels.grow((first / PANEL + 1) * pairs * PAIR_B);
            let panel = first / PANEL * pairs * PAIR_B + first % PANEL * 2;
            let panel = &mut panels[panel..];
            let sums = pack_pairs::<Native>(block, &segments, flip, zero_point, panel);
            for (column, sum) in (first..columns).zip(sums) {
                epilogue.bias[column] = weights
                    .bias
                    .map_or(0, |bias| bias[column])
                    .wrapping_sub(sum.wrapping_mul(input_zero_point));
            }
        }
        Self { segments, panels, epilogue }
    }

    fn pairs(&self) -> usize {
        self.segments.pairs() * self.segments.count
    }

    /// Columns of the product.
    pub(super) fn columns(&self) -> usize {
        self.epilogue.columns
    }

    /// The biases of panel `panel`.
    pub(super) fn panel_bias(&self, panel: usize) -> &[i32; PANEL] {
        &self.epilogue.bias.as_chunks().0[panel]
    }

    /// The weights of panel `panel`, and how many pairs of each column they are.
    pub(super) fn panel_pairs(&self, panel: usize) -> (&[i16], usize) {
        let pairs = self.pairs();
        (&self.panels[panel * pairs * PAIR_B..][..pairs * PAIR_B], pairs)
    }

    /// Bytes of a packed tile of 4 rows.
    pub fn tile_bytes(&self) -> usize {
        self.pairs() * PAIR_A * size_of::<i16>()
    }

    /// The size in memory.
    pub fn size_bytes(&self) -> usize {
        self.panels.size_bytes() + self.epilogue.size_bytes()
    }

    /// Packs segment `segment` of four rows into its place in `tile`.
    ///
    /// # Safety
    /// Each row is readable for the segment's elements, and `slack` beyond.
    #[inline(always)]
    pub unsafe fn pack_segment<S: Simd, T: Element>(
        &self,
        rows: [*const T; TILE_ROWS],
        slack: usize,
        segment: usize,
        tile: &mut [u8],
    ) {
        let tile: &mut [i16] = bytemuck::cast_slice_mut(tile);
        let to = &mut tile[segment * self.segments.pairs() * PAIR_A..];
        // SAFETY: the caller's.
        unsafe { pack_rows::<S, T>(rows, self.segments.len, slack, to) };
    }

    /// `rows` packed rows times the weights, into `out[row * stride + column]`.
    pub fn multiply<S: Simd, T: Element>(
        &self,
        packed: &[u8],
        rows: usize,
        out: &mut [T],
        stride: usize,
    ) {
        match &self.epilogue.fixed {
            None => multiply::<S, T, _>(self, packed, rows, out, stride),
            Some(_) => multiply::<S, T, _>(&Fixed(self), packed, rows, out, stride),
        }
    }
}

/// Weights whose sums are scaled as the built-in kernels do.
struct Fixed<'a>(&'a PackedWords);

impl Product for Fixed<'_> {
    const HAS_PLAIN: bool = false;

    fn epilogue(&self) -> &Epilogue {
        &self.0.epilogue
    }

    fn tile_bytes(&self) -> usize {
        self.0.tile_bytes()
    }

    // Not inlined: V8 allocates registers better in small functions.
    #[inline(never)]
    unsafe fn panel<S: Simd, const R: usize, const PLAIN: bool>(
        &self,
        packed: *const u8,
        panel: usize,
        tiles: usize,
        out: *mut u8,
        stride: usize,
    ) {
        let ((b, pairs), tile_bytes) = (self.0.panel_pairs(panel), self.0.tile_bytes());
        let b = b.as_ptr();
        let epilogue = self.0.epilogue.fixed_panel::<S>(panel);
        let (mut a, mut out) = (packed, out);
        for _ in 0..tiles {
            // SAFETY: a tile holds `pairs` groups of 8 elements, `b` of 16; rows are the caller's.
            unsafe {
                let sums = dot_tile::<S, R>(a.cast(), b, pairs, epilogue.bias());
                epilogue.store::<R>(sums, out, stride);
            }
            (a, out) = (a.wrapping_add(tile_bytes), out.wrapping_add(TILE_ROWS * stride));
        }
    }
}

impl Product for PackedWords {
    // Its products take most of the time: one kernel less to download.
    const HAS_PLAIN: bool = false;

    fn epilogue(&self) -> &Epilogue {
        &self.epilogue
    }

    fn tile_bytes(&self) -> usize {
        self.tile_bytes()
    }

    // Not inlined: V8 allocates registers better in small functions.
    #[inline(never)]
    unsafe fn panel<S: Simd, const R: usize, const PLAIN: bool>(
        &self,
        packed: *const u8,
        panel: usize,
        tiles: usize,
        out: *mut u8,
        stride: usize,
    ) {
        let ((b, pairs), tile_bytes) = (self.panel_pairs(panel), self.tile_bytes());
        let b = b.as_ptr();
        let epilogue = self.epilogue.panel::<S>(panel);
        let (mut a, mut out) = (packed, out);
        for _ in 0..tiles {
            // SAFETY: a tile holds `pairs` groups of 8 elements, `b` of 16; rows are the caller's.
            unsafe {
                let sums = dot_tile::<S, R>(a.cast(), b, pairs, epilogue.bias);
                epilogue.store::<R, PLAIN>(sums, out, stride);
            }
            (a, out) = (a.wrapping_add(tile_bytes), out.wrapping_add(TILE_ROWS * stride));
        }
    }
}

/// The loop that everything else is there for: `R` rows by 8 columns over `pairs` k-pairs.
///
/// A pair of each row is spread by a load of its own: multiplications and additions keep x86's three
/// vector ports busy, and a shuffle takes one of them. MobileNet V1 25.2 -> 22.0 ms, V2 16.2 -> 14.1,
/// EfficientNet-Lite0 20.5 -> 18.1 (simd128.wasm, the least of interleaved runs, classifiers of both
/// builds in one page, Chromium 156). While each address took an addition of its own, one load for
/// four rows and shuffles were better: 35-38 GMAC/s to 30-36 (see `ADDRESSES` in xtask/src/wasm.rs).
/// Unrolled by hand 2x or 4x V8 spilled: 25-31.
///
/// # Safety
/// `a` is readable for `pairs * 8` elements, `b` for `pairs * 16`.
#[inline(always)]
pub(super) unsafe fn dot_tile<S: Simd, const R: usize>(
    mut a: *const i16,
    mut b: *const i16,
    pairs: usize,
    bias: [S::V; 2],
) -> [[S::V; 2]; R] {
    let mut sums = [bias; R];
    for _ in 0..pairs {
        // SAFETY: the caller's; each round reads one pair and steps over it.
        let columns = unsafe { [S::load(b), S::load(b.add(8))] };
        macro_rules! row {
            ($r:literal) => {
                if $r < R {
                    // SAFETY: the pair of one of the four rows.
                    let x = unsafe { S::load32_splat(a.add($r * 2)) };
                    for (sum, y) in sums[$r].iter_mut().zip(columns) {
                        *sum = S::i32x4_add(*sum, S::i32x4_dot_i16x8(x, y));
                    }
                }
            };
        }
        row!(0);
        row!(1);
        row!(2);
        row!(3);
        // SAFETY: at most one past the end.
        (a, b) = unsafe { (a.add(PAIR_A), b.add(PAIR_B)) };
    }
    sums
}

/// Packs `len` elements of four rows into `ceil(len / 2)` pairs at the start of `to`; what the odd
/// element's partner is, its weight is zero.
///
/// # Safety
/// Each row is readable for `len` elements, and `slack` beyond.
#[inline(always)]
unsafe fn pack_rows<S: Simd, T: Element>(
    rows: [*const T; TILE_ROWS],
    len: usize,
    slack: usize,
    to: &mut [i16],
) {
    const STEP: usize = 8;
    let pairs = len.div_ceil(2);
    assert!(pairs * PAIR_A <= to.len());
    let mut at = 0;
    let mut to = to.as_mut_ptr();
    while at + STEP <= len {
        // SAFETY: 8 elements from `at` are within `len`; 4 pairs of `to` belong to them.
        unsafe {
            let words = transpose::<S>(rows.map(|row| T::load_extend::<S>(row.add(at))));
            for (pair, &v) in words.iter().enumerate() {
                S::store(to.add(pair * PAIR_A), v);
            }
            to = to.add(4 * PAIR_A);
        }
        at += STEP;
    }
    let rest = len - at;
    if rest > 0 {
        // SAFETY: `rest` elements are within `len`, 8 within the slack; the pairs stored are those
        // that `rest` begins.
        unsafe {
            let tails = rows.map(|row| {
                if rest + slack >= STEP {
                    return T::load_extend::<S>(row.add(at));
                }
                let mut tail = [T::default(); STEP];
                tail.as_mut_ptr().copy_from_nonoverlapping(row.add(at), rest);
                T::load_extend::<S>(tail.as_ptr())
            });
            for (pair, v) in transpose::<S>(tails).into_iter().enumerate() {
                if pair * 2 < rest {
                    S::store(to.add(pair * PAIR_A), v);
                }
            }
        }
    }
}
