//! DEPTHWISE_CONV_2D of 8-bit tensors along rows: windows of up to 9 rows, those of 3x3 and 5x5 by
//! functions of their own.
//!
//! ```text
//! input    read in place                                         u8 or i8
//! line     units, [columns][K / rows][8 channels][rows]          of 8 channels
//! weights  [channels / 8][output rows of a line][K columns][K / rows][8][rows]
//!                                                                0 for the rows that are not there
//! ```
//!
//! A unit is what a product takes two vectors of: four rows of bytes where the machine has an exact
//! relaxed dot product, else two rows of words. Columns are interleaved once for all windows that
//! see them, those of two output rows where the units have room for both: four rows hold two
//! windows of 3x3, six rows two of 5x5, eight four. Two output rows are computed together.
//!
//! Measured (medians of interleaved runs, Chromium 156 on an AMD EPYC of family 26): with bytes and
//! a line for each output row MobileNet V2 took 4.32 ms in place of 4.00, EfficientNet-Lite0 5.83 in
//! place of 5.34. With words, each output row by itself along padded copies of its rows: V2 7.84 ms in
//! place of 7.48, EfficientNet-Lite0 9.92 in place of 9.27 (AVX-VNNI switched off).

use core::ops::Range;

use super::units::{Bytes, CHANNELS, Dot, SignedWords, Unit, UnsignedWords, Words};
use super::{fits, picture_row, row_kernel, unrolled};
use crate::aligned::{AlignedVec, LINE_BYTES};
use crate::gemm::bytes::{Activations, ByteDot};
use crate::gemm::tile::Epilogue;
use crate::reference::QuantizedWeights;
use crate::reference::depthwise_conv2d::DepthwiseShape;
use crate::requant::Requantize;
use crate::shape::Window;
use crate::simd::{Element, Simd};

/// Output pixels that are computed together.
const PIXELS: usize = 2;
/// Bytes of the rows of a unit of a step: two vectors.
const UNIT: usize = 32;
/// Input bytes that are walked over for one step of channels before the next: within the
/// first-level cache, so that the other channels of their lines are still there.
const BAND_BYTES: usize = 24 * 1024;

/// Packed weights, biases and scales.
#[derive(Clone)]
pub struct DepthwiseRows {
    shape: DepthwiseShape,
    lines: Lines,
    /// Of `i8`, or of `i16` where lines are words.
    weights: AlignedVec<i8>,
    epilogue: Epilogue,
}

/// Where among the packed weights those of a tap are, for an output row of a line.
struct Places {
    /// The first channel's.
    first: usize,
    /// From each channel to the next.
    rows: usize,
    /// From each eight channels to the next.
    step: usize,
}

impl Places {
    /// Puts one value a channel there.
    // Not inlined, as its like below: see `gemm/packing.rs` for what large functions cost a start.
    #[inline(never)]
    fn put<T>(&self, values: &[i16], packed: &mut [T], as_element: impl Fn(i16) -> T) {
        for (values, packed) in values.chunks(CHANNELS).zip(packed.chunks_mut(self.step)) {
            let places = packed[self.first..].iter_mut().step_by(self.rows);
            for (place, &value) in places.zip(values) {
                *place = as_element(value);
            }
        }
    }
}

/// Weights less their zero point, which are added to `sums`.
#[inline(never)]
fn widen<W: Element>(weights: &[W], zero_point: i32, values: &mut [i16], sums: &mut [i32]) {
    for ((&weight, value), sum) in weights.iter().zip(values).zip(sums) {
        let weight: i32 = weight.into();
        *value = (weight - zero_point) as i16;
        *sum += i32::from(*value);
    }
}

/// What lines are made of.
#[derive(Clone, Copy)]
enum Lines {
    Bytes(Activations),
    /// Words of an input with this zero point.
    Words {
        zero_point: i16,
        is_signed: bool,
    },
}

/// Units of a column of `k` rows.
const fn units(k: usize, rows: usize) -> usize {
    k.div_ceil(rows)
}

/// Output rows whose windows of `k` rows are all in the units of one, of `rows` rows each.
const fn output_rows(k: usize, stride: usize, rows: usize) -> usize {
    (rows * units(k, rows) - k) / stride + 1
}

/// Output rows that are computed together: a column of the line is loaded once for all.
const fn together(served: usize) -> usize {
    if served.is_multiple_of(2) { 2 } else { 1 }
}

/// The most rows of a window.
const MOST_K: usize = 9;

/// The most input rows that the windows of a line see, and rows of its units.
const MOST_ROWS: usize = 12;

/// In place of a size and stride of the window: those of the shape.
const ANY: usize = 0;

impl Lines {
    /// Rows of a unit.
    fn rows(self) -> usize {
        match self {
            Self::Bytes(_) => Bytes::ROWS,
            Self::Words { .. } => Words::ROWS,
        }
    }
}

impl DepthwiseRows {
    /// Packs weights `[1, kernel_h, kernel_w, channels]` for inputs of `T`: as bytes where `dot` is
    /// exact, weights that less their zero point are bytes, and bounds are those of the type; else as
    /// words. `None` for windows that no row kernel is made for.
    pub fn new<T: Element, W: Element>(
        shape: DepthwiseShape,
        input_zero_point: i32,
        weights: &QuantizedWeights<W>,
        requant: &Requantize,
        dot: Option<ByteDot>,
    ) -> Option<Self> {
        if !fits(&shape) {
            return None;
        }
        let dot = dot.filter(|&dot| dot != ByteDot::PairSum && requant.fixed.is_none());
        let bytes = dot.and_then(|dot| {
            let lines = Lines::Bytes(Activations::new::<T>(dot, input_zero_point));
            Self::with::<T, W>(shape, lines, weights, requant)
        });
        bytes.or_else(|| {
            let (zero_point, is_signed) = (input_zero_point as i16, T::MIN < 0);
            let lines = Lines::Words { zero_point, is_signed };
            Self::with::<T, W>(shape, lines, weights, requant)
        })
    }

    fn with<T: Element, W: Element>(
        shape: DepthwiseShape,
        lines: Lines,
        weights: &QuantizedWeights<W>,
        requant: &Requantize,
    ) -> Option<Self> {
        let Window { kernel_h, kernel_w, stride: [stride, _], .. } = shape.window;
        if kernel_h > MOST_K {
            return None;
        }
        let (channels, rows) = (shape.in_c, lines.rows());
        let (served, units) = (served(&shape.window, rows), units(kernel_h, rows));
        let steps = channels.div_ceil(CHANNELS);
        let step = served * kernel_w * units * CHANNELS * rows;
        let mut packed = AlignedVec::zeroed(steps * served * kernel_w * units * UNIT);
        let mut epilogue = Epilogue::new::<T>(channels, requant);
        let mut sums = vec![0i32; channels];
        let mut values = vec![0i16; channels];
        let taps = kernel_h * kernel_w;
        for (tap, weights_of) in weights.values.chunks_exact(channels).take(taps).enumerate() {
            widen(weights_of, weights.zero_point, &mut values, &mut sums);
            let is_byte = |&value: &i16| i8::try_from(value).is_ok();
            if matches!(lines, Lines::Bytes(_)) && !values.iter().all(is_byte) {
                return None;
            }
            let (ky, kx) = (tap / kernel_w, tap % kernel_w);
            for output in 0..served {
                let ky = output * stride + ky;
                let unit = (output * kernel_w + kx) * units + ky / rows;
                let places = Places { first: unit * CHANNELS * rows + ky % rows, rows, step };
                match lines {
                    Lines::Bytes(_) => places.put(&values, &mut packed, |value| value as i8),
                    Lines::Words { .. } => {
                        places.put(&values, bytemuck::cast_slice_mut(&mut packed), |value| value);
                    }
                }
            }
        }
        let zero_point = match lines {
            Lines::Bytes(activations) => activations.zero_point,
            Lines::Words { zero_point, .. } => zero_point.into(),
        };
        for (c, sum) in sums.into_iter().enumerate() {
            epilogue.bias[c] =
                weights.bias.map_or(0, |bias| bias[c]).wrapping_sub(sum.wrapping_mul(zero_point));
        }
        epilogue.settle(taps);
        let fits = matches!(lines, Lines::Words { .. }) || epilogue.is_plain;
        fits.then_some(Self { shape, lines, weights: packed, epilogue })
    }

    /// The geometry.
    pub fn shape(&self) -> &DepthwiseShape {
        &self.shape
    }

    /// The name of the way it runs, for profiles.
    pub fn kernel(&self) -> &'static str {
        match self.lines {
            Lines::Bytes(_) => "depthwise rows i8 dot",
            Lines::Words { .. } => "depthwise rows i16",
        }
    }

    /// The weights' size in memory.
    pub fn size_bytes(&self) -> usize {
        self.weights.size_bytes() + self.epilogue.size_bytes()
    }

    /// Columns of a line: all that the windows of a row of pairs of output pixels cover.
    fn columns(&self) -> usize {
        let window = &self.shape.window;
        let last = (window.kernel_w - 1) * window.dilation[1];
        (window.out_w.next_multiple_of(PIXELS) - 1) * window.stride[1] + last + 1
    }

    /// Bytes of a line.
    fn line_bytes(&self) -> usize {
        self.columns() * units(self.shape.window.kernel_h, self.lines.rows()) * UNIT
    }

    /// Bytes of scratch that [`Self::run`] needs: a line, and what stands for a row of padding.
    pub fn scratch_bytes(&self) -> usize {
        (self.line_bytes() + CHANNELS).next_multiple_of(LINE_BYTES)
    }

    /// Computes the output rows `rows` of `[n * out_h]` into `out`, which holds just these.
    /// `scratch` is at least [`Self::scratch_bytes`] long.
    pub fn run<S: Simd>(
        &self,
        input: &[u8],
        rows: Range<usize>,
        out: &mut [u8],
        scratch: &mut [u8],
    ) {
        let DepthwiseShape { window, in_c, .. } = self.shape;
        assert_eq!(input.len(), window.batch * window.in_h * window.in_w * in_c);
        assert_eq!(out.len(), rows.len() * window.out_w * in_c);
        let scratch = &mut scratch[..self.scratch_bytes()];
        let (padding, line) = scratch.split_at_mut(CHANNELS);
        // Padding is the same columns of each line, and rows are as the input has them.
        let (zero, outside) = match self.lines {
            Lines::Bytes(Activations { zero_point, flip }) => {
                ([zero_point as u8; 2], zero_point as u8 ^ flip as u8)
            }
            Lines::Words { zero_point, .. } => (zero_point.to_ne_bytes(), zero_point as u8),
        };
        line.as_chunks_mut().0.fill(zero);
        padding.fill(outside);
        let work = Work { input, rows, channel: 0, padding };
        match self.lines {
            Lines::Bytes(_) if S::HAS_BYTE_DOT => self.bands::<S, Bytes>(work, line, out),
            Lines::Bytes(_) => unreachable!("packed for a level that multiplies bytes"),
            Lines::Words { is_signed: true, .. } => {
                self.bands::<S, SignedWords>(work, line, out);
            }
            Lines::Words { .. } => self.bands::<S, UnsignedWords>(work, line, out),
        }
    }

    /// All rows of the work, band by band, and all channels of each.
    #[inline(always)]
    fn bands<S: Simd, U: Unit>(&self, mut work: Work, line: &mut [u8], out: &mut [u8]) {
        let DepthwiseShape { window, in_c, .. } = self.shape;
        let stride = window.stride[0];
        let served = served(&window, U::Dot::ROWS);
        let band = (BAND_BYTES / (window.in_w * in_c * stride)).max(1).next_multiple_of(served);
        let end = work.rows.end;
        for out in out.chunks_mut(band * window.out_w * in_c) {
            work.rows.end = (work.rows.start + band).min(end);
            for channel in (0..in_c).step_by(CHANNELS) {
                work.channel = channel;
                match row_kernel(&window) {
                    Some((3, 1)) => self.block::<S, U, 3, 1>(&work, line, out),
                    Some((3, _)) => self.block::<S, U, 3, 2>(&work, line, out),
                    Some((_, 1)) => self.block::<S, U, 5, 1>(&work, line, out),
                    Some(_) => self.block::<S, U, 5, 2>(&work, line, out),
                    None => self.block::<S, U, ANY, ANY>(&work, line, out),
                }
            }
            work.rows.start = work.rows.end;
        }
    }

    /// Some output rows of a step of channels.
    // Not inlined: V8 allocates registers better in small functions.
    #[inline(never)]
    fn block<S: Simd, U: Unit, const K: usize, const STRIDE: usize>(
        &self,
        work: &Work,
        line: &mut [u8],
        out: &mut [u8],
    ) {
        let DepthwiseShape { window, in_c, .. } = self.shape;
        let interior = window.pad_left * column_units::<U, K>(&window) * UNIT;
        let count = window.in_w.min(self.columns() - window.pad_left);
        let row_len = window.out_w * in_c;
        let served = match K {
            ANY => served(&window, U::Dot::ROWS),
            _ => const { output_rows(K, if STRIDE == 0 { 1 } else { STRIDE }, U::Dot::ROWS) },
        };
        let Range { start: mut row, end } = work.rows;
        let mut out = out;
        while row < end {
            let [_, y] = picture_row(&window, row);
            let rows = served.min(window.out_h - y).min(end - row);
            self.make_line::<S, U, K, STRIDE>(work, row, &mut line[interior..], count);
            let (now, later) = out.split_at_mut(rows * row_len);
            for first in (0..rows).step_by(together(served)) {
                let out = &mut now[first * row_len..];
                let place = work.channel / CHANNELS * served + first;
                // Kernels of a type of their own: the others keep their registers.
                let is_fixed = self.epilogue.fixed.is_some();
                match (together(served), is_fixed) {
                    (1, false) => self.along::<S, U::Dot, 1>(line, place, out),
                    (1, true) => self.along::<S, <U::Dot as Dot>::Fixed, 1>(line, place, out),
                    (_, false) => self.along::<S, U::Dot, 2>(line, place, out),
                    (_, true) => self.along::<S, <U::Dot as Dot>::Fixed, 2>(line, place, out),
                }
            }
            (row, out) = (row + rows, later);
        }
    }

    /// A step of channels of `R` output rows, with the weights from `place` on: `[steps][output rows
    /// of a line]`. `out` begins with the rows, and may end with the first.
    // Not inlined: V8 allocates registers better in small functions.
    #[inline(never)]
    fn along<S: Simd, D: Dot, const R: usize>(&self, line: &[u8], place: usize, out: &mut [u8]) {
        let DepthwiseShape { window, in_c, .. } = self.shape;
        let stride = window.stride[1];
        let column = units(window.kernel_h, D::ROWS);
        let (panel, units) = (place / served(&window, D::ROWS), window.kernel_w * column);
        let dilation = window.dilation[1];
        let weights = self.weights[place * units * UNIT..][..R * units * UNIT].as_ptr();
        let epilogue = self.epilogue.panel::<S>(panel);
        let fixed = D::IS_FIXED.then(|| self.epilogue.fixed_panel::<S>(panel));
        let (row_len, channel) = (window.out_w * in_c, panel * CHANNELS);
        assert!(out.len() >= row_len && line.len() >= self.line_bytes());
        // A second row that is not there is written where the first is afterwards.
        let second = if out.len() >= 2 * row_len { row_len } else { 0 };
        // From a pixel's columns to those of the next.
        let step = stride * column * UNIT;
        let mut at = line.as_ptr();
        let mut out = out[channel..].as_mut_ptr();
        let mut left = window.out_w;
        while left > 0 {
            // SAFETY: the line holds the columns of all pairs of pixels, of which each round
            // steps over one; of a pair, `out` holds as many pixels as are left, in each row.
            unsafe {
                let pixels = [at, at.wrapping_add(step)];
                let sums = if dilation == 1 {
                    pairs::<S, D, R>(pixels, weights, units, epilogue.bias)
                } else {
                    let columns = [window.kernel_w, column, (dilation - 1) * column];
                    pairs_apart::<S, D, R>(pixels, weights, columns, epilogue.bias)
                };
                // Through an index that is known only at run time sums would go by memory.
                unrolled!(ROW in 1 0 {
                    if ROW < R {
                        let (sums, out) = (sums[ROW], out.wrapping_add(ROW * second));
                        match (&fixed, left == 1, D::IS_PLAIN) {
                            (Some(fixed), true, _) => fixed.store::<1>([sums[0]], out, in_c),
                            (Some(fixed), ..) => fixed.store::<PIXELS>(sums, out, in_c),
                            (_, true, true) => epilogue.store::<1, true>([sums[0]], out, in_c),
                            (_, true, false) => epilogue.store::<1, false>([sums[0]], out, in_c),
                            (_, false, true) => epilogue.store::<PIXELS, true>(sums, out, in_c),
                            (_, false, false) => {
                                epilogue.store::<PIXELS, false>(sums, out, in_c);
                            }
                        }
                    }
                });
            }
            at = at.wrapping_add(PIXELS * step);
            out = out.wrapping_add(PIXELS * in_c);
            left = left.saturating_sub(PIXELS);
        }
    }

    /// Interleaves the `count` columns of the windows of a line's output rows, the first of which
    /// is `row`, that are no padding.
    #[inline(always)]
    fn make_line<S: Simd, U: Unit, const K: usize, const STRIDE: usize>(
        &self,
        work: &Work,
        row: usize,
        line: &mut [u8],
        count: usize,
    ) {
        let DepthwiseShape { window, in_c, .. } = self.shape;
        let [n, y] = picture_row(&window, row);
        let seen = input_rows::<U, K, STRIDE>(&window);
        let mut slack = usize::MAX;
        // From pixel to pixel; padding is the same everywhere.
        let mut steps = [0; MOST_ROWS];
        let rows: [*const u8; MOST_ROWS] = core::array::from_fn(|ky| {
            let row = window.input_row(y, ky);
            let row = row.filter(|_| ky < seen);
            let Some(row) = row else {
                return work.padding.as_ptr();
            };
            steps[ky] = in_c;
            let first = (n * window.in_h + row) * window.in_w * in_c + work.channel;
            let row = &work.input[first..][..(count - 1) * in_c + 1];
            slack = slack.min(work.input.len() - first - (count - 1) * in_c);
            row.as_ptr()
        });
        let units = column_units::<U, K>(&window);
        let column = units * UNIT;
        let to = line[..count * column].as_mut_ptr();
        let flip = match self.lines {
            Lines::Bytes(activations) => activations.flip,
            Lines::Words { .. } => 0,
        };
        let flip = S::i8x16_splat(flip);
        // Of the last columns some have less than a step behind them where the input ends.
        let short = CHANNELS.saturating_sub(slack).div_ceil(in_c).min(count);
        let whole = count - short;
        // SAFETY: rows were sliced to the columns; what is behind the last of them is the slack.
        // Columns that have less than a step are read from copies.
        unsafe {
            let mut ends = interleave::<S, U, K, STRIDE>(rows, steps, [whole, units], flip, to);
            for left in (0..short).rev() {
                let there = (slack + left * in_c).min(CHANNELS);
                let mut copies = [[0u8; CHANNELS]; MOST_ROWS];
                for ((copy, from), step) in copies.iter_mut().zip(&mut ends).zip(steps) {
                    let len = if step == 0 { CHANNELS } else { there };
                    copy.as_mut_ptr().copy_from_nonoverlapping(*from, len);
                    *from = from.wrapping_add(step);
                }
                let rows = copies.each_ref().map(|copy| copy.as_ptr());
                let to = to.add((count - 1 - left) * column);
                interleave::<S, U, K, STRIDE>(rows, [0; MOST_ROWS], [1, units], flip, to);
            }
        }
    }
}

/// What a step of channels is computed from.
struct Work<'a> {
    input: &'a [u8],
    /// Of `[n * out_h]`.
    rows: Range<usize>,
    /// The first of the step.
    channel: usize,
    /// Zero points of a step.
    padding: &'a [u8],
}

/// Output rows that a line serves.
#[inline(always)]
fn served(window: &Window, rows: usize) -> usize {
    if window.dilation[0] > 1 { 1 } else { output_rows(window.kernel_h, window.stride[0], rows) }
}

/// Units of a column.
#[inline(always)]
fn column_units<U: Unit, const K: usize>(window: &Window) -> usize {
    units(if K == ANY { window.kernel_h } else { K }, U::Dot::ROWS)
}

/// Input rows that the windows of a line see.
#[inline(always)]
fn input_rows<U: Unit, const K: usize, const STRIDE: usize>(window: &Window) -> usize {
    if K == ANY {
        return (served(window, U::Dot::ROWS) - 1) * window.stride[0] + window.kernel_h;
    }
    (output_rows(K, STRIDE, U::Dot::ROWS) - 1) * STRIDE + K
}

/// Interleaves 8 channels of `count` columns of `units` of the rows of a line, and returns where they
/// go on.
///
/// # Safety
/// Each row is readable for 8 bytes at each of `count` steps; `to` is writable for `count` columns.
#[inline(always)]
unsafe fn interleave<S: Simd, U: Unit, const K: usize, const STRIDE: usize>(
    mut rows: [*const u8; MOST_ROWS],
    steps: [usize; MOST_ROWS],
    [count, units]: [usize; 2],
    flip: S::V,
    mut to: *mut u8,
) -> [*const u8; MOST_ROWS] {
    if K == ANY {
        for _ in 0..count {
            for first in (0..units).map(|unit| unit * U::Dot::ROWS) {
                // SAFETY: the caller's. Rows that no window sees have weights of 0.
                unsafe {
                    let [low, high] = U::of::<S>(|row| Some(rows[first + row]), flip);
                    S::store(to, low);
                    S::store(to.add(UNIT / 2), high);
                    to = to.add(UNIT);
                }
            }
            for (row, step) in rows.iter_mut().zip(steps) {
                *row = row.wrapping_add(step);
            }
        }
        return rows;
    }
    let seen = const {
        if K == ANY { 0 } else { (output_rows(K, STRIDE, U::Dot::ROWS) - 1) * STRIDE + K }
    };
    for _ in 0..count {
        unrolled!(UNIT_OF_ROWS in 0 1 2 {
            let first = UNIT_OF_ROWS * U::Dot::ROWS;
            if first < seen {
                let there = |row: &usize| first + row < seen;
                let row = |row: usize| Some(row).filter(there).map(|row| rows[first + row]);
                // SAFETY: the caller's.
                unsafe {
                    let [low, high] = U::of::<S>(row, flip);
                    S::store(to, low);
                    S::store(to.add(UNIT / 2), high);
                    to = to.add(UNIT);
                }
            }
        });
        for (row, step) in rows.iter_mut().zip(steps).take(seen) {
            *row = row.wrapping_add(step);
        }
    }
    rows
}

/// Sums of 8 channels of two neighbouring output pixels in each of `R` rows, over `units` units of
/// their columns. Weights are loaded once for both pixels, the line once for all rows.
///
/// A loop whose length is known only at run time: written out, LLVM makes one expression of all
/// that a sum is made of, which begins with the loads of all of it, and computes one sum after the
/// other; V8 keeps to that, and puts most of it into memory in between. 5x5 windows made 24 GMAC/s
/// so, and make 42.
///
/// # Safety
/// Each of `pixels` is readable for `units` units, `weights` for `R` times as many.
#[inline(always)]
unsafe fn pairs<S: Simd, D: Dot, const R: usize>(
    pixels: [*const u8; PIXELS],
    weights: *const i8,
    units: usize,
    bias: [S::V; 2],
) -> [[[S::V; 2]; PIXELS]; R] {
    let mut sums = [[bias; PIXELS]; R];
    let rows: [_; R] = core::array::from_fn(|r| weights.wrapping_add(r * units * UNIT));
    for at in (0..units).map(|unit| unit * UNIT) {
        // SAFETY: the caller's.
        unsafe {
            let weights = rows.map(|row| [S::load(row.add(at)), S::load(row.add(at + UNIT / 2))]);
            for (pixel, line) in pixels.iter().enumerate() {
                for half in 0..2 {
                    let x = S::load(line.add(at + half * UNIT / 2));
                    for (sums, weights) in sums.iter_mut().zip(&weights) {
                        let sum = &mut sums[pixel][half];
                        *sum = D::add::<S>(weights[half], x, *sum);
                    }
                }
            }
        }
    }
    sums
}

/// [`pairs`] of columns that do not lie side by side: so many, of so many units, and units between.
///
/// # Safety
/// As for [`pairs`], of all units from the first column's to the last's.
#[inline(always)]
unsafe fn pairs_apart<S: Simd, D: Dot, const R: usize>(
    pixels: [*const u8; PIXELS],
    weights: *const i8,
    [columns, column, gap]: [usize; 3],
    bias: [S::V; 2],
) -> [[[S::V; 2]; PIXELS]; R] {
    let mut sums = [[bias; PIXELS]; R];
    for kx in 0..columns {
        for unit in 0..column {
            let at = (kx * column + unit) * UNIT;
            let place = (kx * (column + gap) + unit) * UNIT;
            for (r, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the caller's.
                unsafe {
                    let weights = weights.add(r * columns * column * UNIT + at);
                    for half in 0..2 {
                        let weights = S::load(weights.add(half * UNIT / 2));
                        for (pixel, sums) in pixels.iter().zip(&mut *sums) {
                            let x = S::load(pixel.add(place + half * UNIT / 2));
                            sums[half] = D::add::<S>(weights, x, sums[half]);
                        }
                    }
                }
            }
        }
    }
    sums
}
