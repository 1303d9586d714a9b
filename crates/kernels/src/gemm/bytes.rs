//! 8-bit matrix product on bytes, by relaxed dot products.
//!
//! ```text
//! A  rows (pixels)    packed [rows / 4][k / 4][4 rows][4]   u8 or i8, for each block that fits L2
//! B  weights          packed [out / 8][k / 4][8 columns][4] i8, made once
//! C  out              [rows][out]                           int8 or uint8, requantised in the store
//! ```
//!
//! What the machine's relaxed dot product computes is found out at run time: [`ByteDot::probe`]. Where
//! that is pair sums, B is another: see [`pair_sums`](super::pair_sums).
//! Results are the same bytes as those of the i16 kernel, always.

use core::hint::black_box;

use super::ahead::{Ahead, next_panel};
use super::packing::{BLOCK, RUN, pack_quads};
use super::pair_sums::HalfPanels;
use super::quantized::{Operands, Segments};
use super::tile::{Epilogue, MOST_ROWS, Product, multiply, transpose};
use super::{PANEL, TILE_ROWS};
use crate::aligned::AlignedVec;
use crate::requant::Requantize;
use crate::simd::{Element, Native, Simd};

/// Bytes of a quad (four elements of k) of a tile: 4 rows x 4.
pub(super) const QUAD_A: usize = TILE_ROWS * 4;
/// Bytes of a quad of a panel: 8 columns x 4.
pub(super) const QUAD_B: usize = PANEL * 4;
/// Bytes of a quad of half a panel, as wide as a step for excess weights.
pub(super) const QUAD_HALF: usize = QUAD_B / 2;

/// What a machine's relaxed dot products compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteDot {
    /// Four products of unsigned and signed bytes, exactly, in one instruction (AVX-VNNI).
    Unsigned,
    /// Four products of signed bytes, exactly (Arm).
    Signed,
    /// Pairs of products of unsigned and signed bytes, saturated to 16 bits (x86 without VNNI).
    PairSum,
}

impl ByteDot {
    /// Computes known products. `None` where the machine does something else, or where the level
    /// has no relaxed SIMD.
    pub fn probe<S: Simd>() -> Option<Self> {
        if !S::HAS_BYTE_DOT {
            return None;
        }
        // Hidden from the compiler, which has an opinion of its own on relaxed instructions.
        let [one, most] = [1i8, 127].map(|x| S::i8x16_splat(black_box(x)));
        let [high, ends] = [200u8, 255].map(|x| S::i8x16_splat(black_box(x) as i8));
        let zero = S::i32x4_splat(0);
        let quad =
            |weights, activations| lane::<S>(S::i32x4_relaxed_dot_add(weights, activations, zero));
        let pair = |weights, activations| {
            // The low word of a lane is a pair sum.
            i32::from(lane::<S>(S::i16x8_relaxed_dot(weights, activations)) as i16)
        };
        match (quad(one, high), quad(most, ends), pair(one, high), pair(most, ends)) {
            (800, 129_540, ..) => Some(Self::Unsigned),
            (-224, -508, ..) => Some(Self::Signed),
            (.., 400, 32_767) => Some(Self::PairSum),
            _ => None,
        }
    }
}

/// The first 32-bit lane.
fn lane<S: Simd>(v: S::V) -> i32 {
    let mut lanes = [0i32; 4];
    // SAFETY: 16 bytes.
    unsafe { S::store(lanes.as_mut_ptr(), v) };
    lanes[0]
}

/// Activations as a machine's dot product takes them.
#[derive(Clone, Copy)]
pub(crate) struct Activations {
    /// Flips the top bit where their type is not the machine's.
    pub flip: i8,
    /// Their zero point after that.
    pub zero_point: i32,
}

impl Activations {
    /// Of a tensor of `T`.
    pub fn new<T: Element>(dot: ByteDot, zero_point: i32) -> Self {
        match (T::MIN < 0, dot == ByteDot::Signed) {
            (true, false) => Self { flip: i8::MIN, zero_point: zero_point + 128 },
            (false, true) => Self { flip: i8::MIN, zero_point: zero_point - 128 },
            _ => Self { flip: 0, zero_point },
        }
    }
}

impl Segments {
    fn quads(&self) -> usize {
        self.len.div_ceil(4)
    }
}

/// Weights of bytes, biases and scales of a quantised matrix product.
#[derive(Clone)]
pub struct PackedBytes {
    dot: ByteDot,
    segments: Segments,
    weights: Weights,
    epilogue: Epilogue,
    /// The zero point of the weights, whose product with the sum of each row is subtracted.
    weight_zero_point: i32,
    /// Flips the top bit of the input where its type is not the machine's.
    flip: i8,
}

#[derive(Clone)]
enum Weights {
    /// For exact products: the layout above.
    Panels(AlignedVec<i8>),
    /// For pair sums.
    Halves(HalfPanels),
}

impl PackedBytes {
    /// Packs the weights; `None` where the i16 kernel wins.
    // Not inlined: see `packing` for what large functions cost a start.
    #[inline(never)]
    pub fn new<T: Element, W: Element>(
        dot: ByteDot,
        segments: Segments,
        operands: &Operands<W>,
        requant: &Requantize,
    ) -> Option<Self> {
        let &Operands { columns, weights, input_zero_point } = operands;
        let Activations { flip, zero_point } = Activations::new::<T>(dot, input_zero_point);
        // Weights become signed bytes.
        let middle = if W::MIN < 0 { 0 } else { 128 };
        let weight_zero_point = weights.zero_point - middle;
        let quads = segments.quads() * segments.count;
        let k = segments.count * segments.len;
        let padded = columns.next_multiple_of(PANEL);
        let mut packed = match dot {
            ByteDot::PairSum => Weights::Halves(HalfPanels::with_capacity(padded / BLOCK, quads)?),
            _ => Weights::Panels(AlignedVec::with_capacity(padded * quads * 4)),
        };
        let mut epilogue = Epilogue::new::<T>(columns, requant);
        let (values, flip_weights): (&[i8], _) =
            (bytemuck::cast_slice(weights.values), middle as i8);
        // Columns that are not there weigh nothing.
        let absent = vec![flip_weights; k];
        // sum((a - za) * (w - zw)) = sum(a * w) - za * sum(w) - zw * sum(a) + k * za * zw
        let constant = (k as i32).wrapping_mul(zero_point).wrapping_mul(weight_zero_point);
        for first in (0..padded).step_by(BLOCK) {
            let block = core::array::from_fn(|i| match first + i {
                column if column < columns => &values[column * k..][..k],
                _ => &absent,
            });
            let pack = |to: &mut [i8], stride| {
                pack_quads::<Native>(block, &segments, flip_weights, to, stride)
            };
            let sums = match &mut packed {
                Weights::Panels(panels) => {
                    panels.grow((first / PANEL + 1) * quads * QUAD_B);
                    let at = first / PANEL * quads * QUAD_B + first % PANEL * 4;
                    pack(&mut panels[at..], QUAD_B)
                }
                Weights::Halves(halves) => halves.push(|half| pack(half, QUAD_HALF)),
            };
            for (column, sum) in (first..columns).zip(sums) {
                epilogue.bias[column] = weights
                    .bias
                    .map_or(0, |bias| bias[column])
                    .wrapping_sub(sum.wrapping_mul(zero_point))
                    .wrapping_add(constant);
            }
        }
        epilogue.settle(k);
        let weights = match packed {
            Weights::Halves(halves) => Weights::Halves(halves.finish()?),
            panels @ Weights::Panels(_) => panels,
        };
        Some(Self { dot, segments, weights, epilogue, weight_zero_point, flip })
    }

    /// Bytes of a packed tile of 4 rows: its quads, then four sums where weights have a zero point.
    pub fn tile_bytes(&self) -> usize {
        self.quads() * QUAD_A + QUAD_A
    }

    fn quads(&self) -> usize {
        self.segments.quads() * self.segments.count
    }

    /// The size in memory.
    pub fn size_bytes(&self) -> usize {
        let weights = match &self.weights {
            Weights::Panels(panels) => panels.size_bytes(),
            Weights::Halves(halves) => halves.size_bytes(),
        };
        weights + self.epilogue.size_bytes()
    }

    /// The name of the kernel, for profiles.
    pub fn kernel(&self) -> &'static str {
        match self.dot {
            ByteDot::Unsigned | ByteDot::Signed => "gemm i8 dot",
            ByteDot::PairSum => "gemm i8 pair sums",
        }
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
        let len = self.segments.len;
        let to = &mut tile[segment * self.segments.quads() * QUAD_A..];
        let to = to[..self.segments.quads() * QUAD_A].as_mut_ptr();
        let flip = S::i8x16_splat(self.flip);
        let mut at = 0;
        while at + RUN <= len {
            // SAFETY: 16 elements from `at` are within `len`; 4 quads of `to` belong to them.
            unsafe {
                let bytes = rows.map(|row| S::xor(S::load(row.add(at)), flip));
                for (quad, v) in transpose::<S>(bytes).into_iter().enumerate() {
                    S::store(to.add(at * TILE_ROWS + quad * QUAD_A), v);
                }
            }
            at += RUN;
        }
        let rest = len - at;
        if rest > 0 {
            // SAFETY: `rest` elements from `at` are within `len`, 16 within the slack; the quads
            // stored are those that `rest` begins.
            unsafe {
                let mask = S::load(MASKS.as_ptr().add(RUN - rest));
                let bytes = rows.map(|row| {
                    let v = if rest + slack >= RUN {
                        S::and(S::load(row.add(at)), mask)
                    } else {
                        let mut tail = [T::default(); RUN];
                        tail.as_mut_ptr().copy_from_nonoverlapping(row.add(at), rest);
                        S::load(tail.as_ptr())
                    };
                    S::xor(v, flip)
                });
                for (quad, v) in transpose::<S>(bytes).into_iter().enumerate() {
                    if quad * 4 < rest {
                        S::store(to.add(at * TILE_ROWS + quad * QUAD_A), v);
                    }
                }
            }
        }
    }

    /// Finishes a tile whose segments are packed: sums its rows, where the weights need that.
    #[inline(always)]
    pub fn finish_tile<S: Simd>(&self, tile: &mut [u8]) {
        if self.weight_zero_point == 0 {
            return;
        }
        let (quads, sums) = tile.split_at_mut(self.quads() * QUAD_A);
        let mut sum = S::i32x4_splat(0);
        for quad in quads.chunks_exact(QUAD_A) {
            // SAFETY: 16 bytes.
            let v = unsafe { S::load(quad.as_ptr()) };
            // Signed bytes are summed with the top bit flipped, which the correction takes out.
            let v =
                if self.dot == ByteDot::Signed { S::xor(v, S::i8x16_splat(i8::MIN)) } else { v };
            sum = S::i32x4_add(sum, S::i32x4_sum_quads_u8x16(v));
        }
        let padded = self.segments.quads() * 4 * self.segments.count;
        let correction = if self.dot == ByteDot::Signed { 128 * padded as i32 } else { 0 };
        // The padding of a segment holds the flipped zero byte.
        let padding = (padded - self.segments.len * self.segments.count) as i32;
        let filler = match (self.flip, self.dot) {
            (0, _) => 0,
            (_, ByteDot::Signed) => -128,
            _ => 128,
        };
        sum = S::i32x4_sub(sum, S::i32x4_splat(correction + padding * filler));
        let scaled = S::i32x4_mul(sum, S::i32x4_splat(-self.weight_zero_point));
        // SAFETY: the tile ends in 16 bytes for four sums.
        unsafe { S::store(sums[..QUAD_A].as_mut_ptr(), scaled) };
    }

    /// `rows` packed rows times the weights, into `out[row * stride + column]`.
    pub fn multiply<S: Simd, T: Element>(
        &self,
        packed: &[u8],
        rows: usize,
        out: &mut [T],
        stride: usize,
    ) {
        if !S::HAS_BYTE_DOT {
            unreachable!("packed for a level that multiplies bytes");
        }
        match &self.weights {
            Weights::Panels(panels) => {
                multiply::<S, T, _>(&Exact(self, panels), packed, rows, out, stride);
            }
            Weights::Halves(halves) => {
                multiply::<S, T, _>(&ByPairSums(self, halves), packed, rows, out, stride);
            }
        }
    }

    /// Adds to sums of `R` rows what their own sums give, where the weights need that.
    ///
    /// # Safety
    /// `tile` is readable for a tile's bytes.
    #[inline(always)]
    unsafe fn add_row_sums<S: Simd, const R: usize>(
        &self,
        tile: *const u8,
        sums: &mut [[S::V; 2]; R],
    ) {
        if self.weight_zero_point != 0 {
            for (r, sums) in sums.iter_mut().enumerate() {
                // SAFETY: behind its quads a tile has four sums.
                unsafe { add_row::<S>(sums, tile.add(self.quads() * QUAD_A + r * 4)) };
            }
        }
    }
}

/// The weights, to be multiplied by exact products.
struct Exact<'a>(&'a PackedBytes, &'a [i8]);

impl Product for Exact<'_> {
    const HAS_PLAIN: bool = true;

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
        let weights = self.0;
        let (quads, tile_bytes) = (weights.quads(), weights.tile_bytes());
        let b = self.1[panel * quads * QUAD_B..][..quads * QUAD_B].as_ptr();
        let epilogue = weights.epilogue.panel::<S>(panel);
        let mut ahead = Ahead::new(next_panel(self.1, quads * QUAD_B, panel), tiles);
        let (mut a, mut out) = (packed, out);
        let mut tiles = tiles;
        let mut sums = [epilogue.bias; SIX];
        while R == TILE_ROWS && quads >= MIN_SIX && tiles >= THREE {
            let next = a.wrapping_add(tile_bytes);
            let last = next.wrapping_add(tile_bytes);
            let half = QUAD_A / 2;
            // Rows 0 to 5, then 6 to 11.
            for pairs in [
                [a, a.wrapping_add(half), next],
                [next.wrapping_add(half), last, last.wrapping_add(half)],
            ] {
                // SAFETY: two rows each of three tiles that there are; rows are the caller's.
                unsafe {
                    six_rows::<S>(pairs, b, quads, &epilogue.bias, &mut sums);
                    if weights.weight_zero_point != 0 {
                        for (r, sums) in sums.iter_mut().enumerate() {
                            add_row::<S>(sums, pairs[r / 2].add(quads * QUAD_A + r % 2 * 4));
                        }
                    }
                    epilogue.store::<SIX, PLAIN>(sums, out, stride);
                }
                out = out.wrapping_add(SIX * stride);
            }
            for _ in 0..THREE {
                ahead.read();
            }
            (a, tiles) = (last.wrapping_add(tile_bytes), tiles - THREE);
        }
        for _ in 0..tiles {
            // SAFETY: a tile holds `quads` groups of 16 bytes and four sums of 4, `b` groups of
            // 32; rows are the caller's.
            unsafe {
                let mut sums = [epilogue.bias; R];
                weights.add_row_sums::<S, R>(a, &mut sums);
                byte_tile::<S, R>(a, b, quads, &mut sums);
                epilogue.store::<R, PLAIN>(sums, out, stride);
            }
            ahead.read();
            (a, out) = (a.wrapping_add(tile_bytes), out.wrapping_add(TILE_ROWS * stride));
        }
    }
}

/// The weights, to be multiplied by pair sums.
struct ByPairSums<'a>(&'a PackedBytes, &'a HalfPanels);

impl Product for ByPairSums<'_> {
    const HAS_PLAIN: bool = true;

    fn epilogue(&self) -> &Epilogue {
        &self.0.epilogue
    }

    fn tile_bytes(&self) -> usize {
        self.0.tile_bytes()
    }

    unsafe fn panel<S: Simd, const R: usize, const PLAIN: bool>(
        &self,
        packed: *const u8,
        panel: usize,
        tiles: usize,
        out: *mut u8,
        stride: usize,
    ) {
        let (weights, tile_bytes) = (self.0, self.0.tile_bytes());
        let epilogue = weights.epilogue.panel::<S>(panel);
        let bias = epilogue.bias;
        let (mut a, mut out, mut tiles) = (packed, out, tiles);
        let mut sums = [[bias; R]; TWO];
        while tiles > 0 {
            let together = if R == TILE_ROWS { tiles.min(TWO) } else { 1 };
            let to = sums.as_mut_ptr().cast();
            // SAFETY: there is such a panel, or the epilogue had none; so many tiles; rows are the
            // caller's.
            unsafe {
                match together {
                    TWO => self.1.multiply::<S, TWO, R>(panel, a, tile_bytes, bias, to),
                    _ => self.1.multiply::<S, 1, R>(panel, a, tile_bytes, bias, to),
                }
                for sums in &mut sums[..together] {
                    weights.add_row_sums::<S, R>(a, sums);
                    epilogue.store::<R, PLAIN>(*sums, out, stride);
                    (a, out) = (a.wrapping_add(tile_bytes), out.wrapping_add(R * stride));
                }
            }
            tiles -= together;
        }
    }
}

/// Tiles that are multiplied together by pair sums.
const TWO: usize = 2;

/// Six rows by 8 columns, which begin with a panel's `bias`. Each of `a` is where two neighbouring rows
/// of a tile begin.
///
/// An exact product takes x86 5 cycles and two begin in each, so that the 8 sums of a tile wait for one
/// another. Three tiles of 4 rows are two of 6, with 12 sums: all of MobileNet V1 9.97 -> 8.78 ms, V2
/// 6.80 -> 6.52, EfficientNet-Lite0 8.83 -> 8.36 (the least of interleaved runs, classifiers of both
/// builds in one page, Chromium 156 with AVX-VNNI). The shipped build keeps to this order of
/// instructions (xtask/src/wasm.rs): 15 vectors are alive, which is all that V8 has. So the sums leave
/// by memory: requantised and stored here, they made all of it slower than 4 rows are. Only for results
/// that are not clamped, which saves no size, it made MobileNet V1 slower, too: 8.9 -> 12.9 ms.
///
/// # Safety
/// Each of `a` is readable as two rows of a tile of `quads` are, `b` for `quads * 32`, `sums` writable
/// for 12 vectors.
#[inline(never)]
unsafe fn six_rows<S: Simd>(
    [mut a0, mut a1, mut a2]: [*const u8; 3],
    mut b: *const i8,
    quads: usize,
    bias: &[S::V; 2],
    sums: *mut [[S::V; 2]; SIX],
) {
    let mut found = [*bias; SIX];
    for _ in 0..quads {
        // SAFETY: the caller's; each round reads one quad and steps over it.
        unsafe {
            let columns = [S::load(b), S::load(b.add(QUAD_HALF))];
            let rows = [a0, a0.add(4), a1, a1.add(4), a2, a2.add(4)];
            for (sums, row) in found.iter_mut().zip(rows) {
                let x = S::load32_splat(row);
                for (sum, weights) in sums.iter_mut().zip(columns) {
                    *sum = S::i32x4_relaxed_dot_add(weights, x, *sum);
                }
            }
            (a0, a1, a2) = (a0.add(QUAD_A), a1.add(QUAD_A), a2.add(QUAD_A));
            b = b.add(QUAD_B);
        }
    }
    // SAFETY: the caller's.
    unsafe { sums.write(found) };
}

/// Rows that are multiplied together where a product is one instruction.
const SIX: usize = MOST_ROWS;

/// Quads of k from which on that pays for the way by memory.
const MIN_SIX: usize = 12;

/// Tiles that are multiplied together.
const THREE: usize = 3;

/// Adds what a row's sum gives to all of its columns.
///
/// # Safety
/// `row` is readable for 4 bytes.
#[inline(always)]
unsafe fn add_row<S: Simd>(sums: &mut [S::V; 2], row: *const u8) {
    // SAFETY: the caller's.
    let row = unsafe { S::load32_splat(row) };
    *sums = sums.map(|sum| S::i32x4_add(sum, row));
}

/// From `16 - n` on, a mask of the first `n` bytes of a run.
const MASKS: [u8; 2 * RUN] = {
    let mut masks = [0; 2 * RUN];
    let mut i = 0;
    while i < RUN {
        masks[i] = u8::MAX;
        i += 1;
    }
    masks
};

/// `R` rows by 8 columns over `quads` quads of k.
///
/// # Safety
/// `a` is readable for `quads * 16` bytes, `b` for `quads * 32`.
#[inline(always)]
unsafe fn byte_tile<S: Simd, const R: usize>(
    mut a: *const u8,
    mut b: *const i8,
    quads: usize,
    sums: &mut [[S::V; 2]; R],
) {
    for _ in 0..quads {
        // SAFETY: the caller's; each round reads one quad and steps over it.
        let columns = unsafe { [S::load(b), S::load(b.add(QUAD_HALF))] };
        macro_rules! row {
            ($r:literal) => {
                if $r < R {
                    // SAFETY: one of the four rows of the quad.
                    let x = unsafe { S::load32_splat(a.add($r * 4)) };
                    for (sum, weights) in sums[$r].iter_mut().zip(columns) {
                        *sum = S::i32x4_relaxed_dot_add(weights, x, *sum);
                    }
                }
            };
        }
        row!(0);
        row!(1);
        row!(2);
        row!(3);
        // SAFETY: at most one past the end.
        (a, b) = unsafe { (a.add(QUAD_A), b.add(QUAD_B)) };
    }
}
