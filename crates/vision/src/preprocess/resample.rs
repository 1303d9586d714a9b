//! Separable resampling in Pillow's 8-bit fixed-point arithmetic, byte for byte.
//!
//! The formulas are those of Pillow's `Resample.c` (filters, coefficients, 22-bit rounding, `u8`
//! between the passes) and of the nearest-neighbour scaling in its `Geometry.c`. Outputs come line
//! by line, so no resized picture is stored: a ring holds the few rows that a line needs.

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use super::passes::Windows;
use super::passes::{Lines, PRECISION_BITS, across_rows, along_row};

/// How pixels are resampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Resize {
    /// A triangle filter, widened when shrinking (antialiased): Pillow's `BILINEAR`.
    #[default]
    Bilinear,
    /// Between the four nearest pixels, at half pixel centres and without antialiasing:
    /// `tf.image.resize`, Keras, OpenCV's `INTER_LINEAR`.
    BilinearTf,
    /// Keys' cubic filter with a = -0.5, widened when shrinking: Pillow's `BICUBIC`.
    Bicubic,
    /// A sinc windowed by a sinc of three lobes, widened when shrinking: Pillow's `LANCZOS`.
    Lanczos,
    /// The mean of the area under an output pixel; where a side grows, between neighbours: OpenCV's
    /// `INTER_AREA`.
    Area,
    /// The mean of the pixels whose centres lie under an output pixel: Pillow's `BOX`.
    Box,
    /// The nearest pixel: Pillow's `NEAREST`. `tf.image.resize` takes another where two are equally
    /// near.
    Nearest,
}

impl Resize {
    /// The names in JavaScript.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("bilinear", Self::Bilinear),
        ("bilinear-tf", Self::BilinearTf),
        ("bicubic", Self::Bicubic),
        ("lanczos", Self::Lanczos),
        ("area", Self::Area),
        ("box", Self::Box),
        ("nearest", Self::Nearest),
    ];

    /// Whether pixels outside of a crop are never seen, because these programs crop first.
    pub(crate) fn samples(self) -> bool {
        matches!(self, Self::BilinearTf | Self::Area)
    }

    /// The weights for axes that are resampled together.
    pub(crate) fn of_axes(self, x: &Range, y: &Range) -> Weights {
        match self {
            Self::Bilinear => Weights::Filter(1.0, triangle),
            Self::Bicubic => Weights::Filter(2.0, cubic),
            Self::Lanczos => Weights::Filter(3.0, lanczos),
            Self::Box => Weights::Filter(0.5, rectangle),
            Self::BilinearTf => Weights::Between(half_pixel),
            // OpenCV does both axes alike.
            Self::Area if x.grows() || y.grows() => Weights::Between(area_between),
            Self::Area => Weights::Overlap,
            Self::Nearest => Weights::Nearest,
        }
    }
}

/// How the weights of an axis are found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Weights {
    /// A filter that is zero beyond its support, in source pixels, widened when shrinking.
    Filter(f64, fn(f64) -> f64),
    /// Between two neighbours, at a position in source pixels that has the first in its whole part
    /// and the share of the second in its fraction: of the output's index and the scale.
    Between(fn(f64, f64) -> f64),
    /// By the part of each source pixel that lies under the output's.
    Overlap,
    /// One pixel.
    Nearest,
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

fn rectangle(x: f64) -> f64 {
    f64::from(u8::from(x > -0.5 && x <= 0.5))
}

/// R. Keys, "Cubic convolution interpolation for digital image processing", 1981.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn lanczos(x: f64) -> f64 {
    if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }
}

/// `sin(pi x) / (pi x)`, for small `x`: the library's sine has tables for large ones, which every
/// page would download.
fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let whole = x.round();
    let angle = (x - whole) * std::f64::consts::PI;
    // Taylor's series at most a quarter turn from 0: the next term is below 1e-18.
    let mut term = angle;
    let mut sine = angle;
    for k in 1..=10_u32 {
        term *= -angle * angle / f64::from(2 * k * (2 * k + 1));
        sine += term;
    }
    let sign = if whole as i32 % 2 == 0 { 1.0 } else { -1.0 };
    sign * sine / (x * std::f64::consts::PI)
}

/// Half pixel centres.
fn half_pixel(output: f64, scale: f64) -> f64 {
    (output + 0.5) * scale - 0.5
}

/// OpenCV's `INTER_AREA` where a side grows: the second neighbour counts by what lies of it under
/// the output pixel.
fn area_between(output: f64, scale: f64) -> f64 {
    let first = (output * scale).floor();
    let share = (output + 1.0) - (first + 1.0) / scale;
    first + if share <= 0.0 { 0.0 } else { share - share.floor() }
}

/// Steps that are added up one by one, at most.
const MAX_STEPS: usize = 1 << 16;

/// The coefficient 1 in fixed point.
const ONE: i32 = 1 << PRECISION_BITS;

/// The stretch of a source axis that one output pixel is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    /// The first source pixel.
    pub start: usize,
    /// How many source pixels; 1 or more.
    pub count: usize,
    /// The place of its coefficients in [`Axis::taps`].
    first_tap: usize,
}

/// The coefficients of one axis. Planning again reuses the memory.
#[derive(Debug, Default)]
pub(crate) struct Axis {
    spans: Vec<Span>,
    /// Each span's coefficients.
    taps: Vec<i32>,
    /// The same for vectors, if there is room for them.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    windows: Windows,
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    has_windows: bool,
    weights: Vec<f64>,
    max_count: usize,
    reversed: bool,
    /// Whether pixels are taken as they are, one after the other.
    shifts: bool,
}

/// What an axis is planned from: `from..to` of `size` source pixels becomes `resized` pixels, of
/// which `outputs` are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    /// Pixels of the source.
    pub size: usize,
    /// Where the box begins, in source pixels. `f32`, as Pillow's `box` is.
    pub from: f32,
    /// Where it ends.
    pub to: f32,
    /// Pixels that it becomes.
    pub resized: usize,
    /// How many of these are cut off in front.
    pub skip: usize,
    /// Pixels of the result.
    pub outputs: usize,
    /// The source pixels that count: the first, and one past the last.
    pub seen: (usize, usize),
}

impl Range {
    /// Source pixels for one of the result.
    fn scale(&self) -> f64 {
        f64::from(self.to - self.from) / self.resized as f64
    }

    fn grows(&self) -> bool {
        self.scale() < 1.0
    }
}

impl Axis {
    /// Plans `range`, whose part that is seen has a pixel. With `reversed`, the source is read from its far end: the result is that of
    /// mirroring the source along this axis first (`from` and `to` count in the mirrored source).
    pub fn plan(&mut self, weights: Weights, range: Range, reversed: bool) {
        self.spans.clear();
        self.taps.clear();
        self.max_count = 0;
        self.reversed = reversed;
        match weights {
            Weights::Filter(lobes, filter) => self.plan_filter(range, lobes, filter),
            Weights::Between(position) => self.plan_between(range, position),
            Weights::Overlap => self.plan_overlap(range),
            Weights::Nearest => self.plan_nearest(range),
        }
        let first = self.spans.first().map_or(0, |span| span.start);
        let mut spans = self.spans.iter().zip(first..);
        self.shifts = spans.all(|(&span, start)| span.start == start && self.taps(span) == [ONE]);
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        {
            let mut windows = std::mem::take(&mut self.windows);
            let spans = self.spans.iter().map(|&span| (span.start, self.taps(span)));
            self.has_windows = windows.plan(spans, self.max_count, self.bounds());
            self.windows = windows;
        }
    }

    fn plan_filter(&mut self, range: Range, lobes: f64, filter: fn(f64) -> f64) {
        let Range { size, from, skip, outputs, .. } = range;
        let scale = range.scale();
        let filter_scale = scale.max(1.0);
        let support = lobes * filter_scale;
        let inverse = 1.0 / filter_scale;
        for output in skip..skip + outputs {
            let center = f64::from(from) + (output as f64 + 0.5) * scale;
            let start = ((center - support + 0.5).max(0.0) as usize).min(size - 1);
            // At least one pixel: a box that touches the far edge could otherwise cover none.
            let end = ((center + support + 0.5) as usize).clamp(start + 1, size);
            self.weights.clear();
            self.weights.extend((start..end).map(|x| filter((x as f64 - center + 0.5) * inverse)));
            // A filter with lobes is zero between them, too: without the zeros at its ends a span
            // could begin behind the next one, and rows pass by once only.
            self.push_weights(start, size, lobes <= 1.0);
        }
    }

    fn plan_overlap(&mut self, range: Range) {
        let Range { size, from, skip, outputs, seen, .. } = range;
        let scale = range.scale();
        for output in skip..skip + outputs {
            let begin = f64::from(from) + output as f64 * scale;
            let end = begin + scale;
            // A sliver that rounding left is no pixel.
            let first = ((begin + 1e-6) as usize).clamp(seen.0, seen.1 - 1);
            let last = ((end - 1e-6).max(0.0) as usize).clamp(first, seen.1 - 1);
            self.weights.clear();
            self.weights.extend((first..=last).map(|x| {
                let x = x as f64;
                (end.min(x + 1.0) - begin.max(x)).max(0.0)
            }));
            self.push_weights(first, size, true);
        }
    }

    fn plan_between(&mut self, range: Range, position: fn(f64, f64) -> f64) {
        let Range { size, from, skip, outputs, seen: (low, high), .. } = range;
        let scale = range.scale();
        for output in skip..skip + outputs {
            let position = f64::from(from) + position(output as f64, scale);
            let first = position.floor();
            let second = ((position - first) * f64::from(ONE)).round() as i32;
            let inside = |x: f64| (x.max(0.0) as usize).clamp(low, high - 1);
            let (start, end) = (inside(first), inside(first + 1.0));
            let first_tap = self.taps.len();
            if start == end {
                self.taps.push(ONE);
            } else {
                self.taps.extend([ONE - second, second]);
            }
            self.push(start, first_tap, size);
        }
    }

    /// Ends a span of the weights that were found, in proportion to their sum.
    fn push_weights(&mut self, start: usize, size: usize, trims: bool) {
        let sum: f64 = self.weights.iter().sum();
        let first_tap = self.taps.len();
        if sum == 0.0 {
            self.taps.push(ONE);
        } else {
            // Halves away from zero, as Pillow rounds.
            let fixed = |w: &f64| {
                let tap = w / sum * f64::from(ONE);
                (tap + 0.5_f64.copysign(tap)) as i32
            };
            self.taps.extend(self.weights.iter().map(fixed));
        }
        if trims {
            self.push(start, first_tap, size);
        } else {
            self.push_whole(start, self.taps.len() - first_tap, size);
        }
    }

    fn plan_nearest(&mut self, range: Range) {
        let Range { size, from, skip, outputs, .. } = range;
        let scale = range.scale();
        // Pillow adds up steps; multiplying would round differently.
        let mut position = f64::from(from) + scale * 0.5;
        if skip <= MAX_STEPS {
            (0..skip).for_each(|_| position += scale);
        } else {
            position += scale * skip as f64;
        }
        for _ in 0..outputs {
            let first_tap = self.taps.len();
            self.taps.push(ONE);
            self.push((position as usize).min(size - 1), first_tap, size);
            position += scale;
        }
    }

    /// Ends a span whose coefficients stand at the end of `taps`: drops zeros at both ends (adding
    /// nothing is exact) and turns it round where the axis is reversed.
    fn push(&mut self, start: usize, first_tap: usize, size: usize) {
        let start = self.trim(start, first_tap);
        let count = self.taps.len() - first_tap;
        self.push_whole(start, count, size);
    }

    /// Drops zeros at both ends of the coefficients from `first_tap` on.
    fn trim(&mut self, mut start: usize, first_tap: usize) -> usize {
        while self.taps.len() > first_tap + 1 && self.taps.last() == Some(&0) {
            self.taps.pop();
        }
        let zeros = self.taps[first_tap..].iter().take_while(|&&tap| tap == 0).count();
        if zeros < self.taps.len() - first_tap {
            self.taps.drain(first_tap..first_tap + zeros);
            start += zeros;
        }
        start
    }

    fn push_whole(&mut self, mut start: usize, count: usize, size: usize) {
        let first_tap = self.taps.len() - count;
        if self.reversed {
            start = size - (start + count);
            self.taps[first_tap..].reverse();
        }
        self.max_count = self.max_count.max(count);
        self.spans.push(Span { start, count, first_tap });
    }

    /// Output pixels.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// The source pixels that are read: first, and one past the last. Spans run monotonically.
    pub fn bounds(&self) -> (usize, usize) {
        let start = self.spans.iter().map(|s| s.start).min().unwrap_or(0);
        let end = self.spans.iter().map(|s| s.start + s.count).max().unwrap_or(0);
        (start, end)
    }

    /// One for each output.
    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The coefficients of a span.
    pub(super) fn taps(&self, span: Span) -> &[i32] {
        &self.taps[span.first_tap..span.first_tap + span.count]
    }

    /// The coefficients for vectors.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    pub(super) fn windows(&self) -> Option<&Windows> {
        self.has_windows.then_some(&self.windows)
    }

    /// Groups of outputs, as [`resample`] takes them, whose source pixels are at most `most`, or those
    /// of one output; with the source pixels.
    pub fn groups(&self, most: usize) -> Vec<((usize, usize), (usize, usize))> {
        let mut groups: Vec<((usize, usize), (usize, usize))> = Vec::new();
        for (index, (_, Span { start, count, .. })) in self.source_order().enumerate() {
            let end = start + count;
            match groups.last_mut() {
                Some((outputs, pixels)) if end.max(pixels.1) - pixels.0 <= most => {
                    outputs.1 = index + 1;
                    pixels.1 = pixels.1.max(end);
                }
                _ => groups.push(((index, index + 1), (start, end))),
            }
        }
        groups
    }

    /// Outputs in the order in which their source pixels ascend.
    fn source_order(&self) -> impl Iterator<Item = (usize, Span)> {
        let last = self.len() - 1;
        (0..=last).map(move |i| {
            let output = if self.reversed { last - i } else { i };
            (output, self.spans[output])
        })
    }
}

/// Which axis of the source is resampled first; the bytes in between are rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// Along rows, then along columns.
    #[default]
    XFirst,
    /// Along columns, then along rows.
    YFirst,
}

/// A picture's rows; `first_row` is the source row that `pixels` begins with.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub pixels: &'a [u8],
    pub width: usize,
    /// Bytes a pixel: 1, 3 or 4.
    pub channels: usize,
    pub first_row: usize,
}

impl<'a> Rows<'a> {
    /// The pixels `columns` of the rows from `y` on.
    fn lines(&self, y: usize, columns: (usize, usize)) -> Lines<'a> {
        let (start, end) = (columns.0 * self.channels, columns.1 * self.channels);
        Lines {
            bytes: self.pixels,
            stride: self.width * self.channels,
            start,
            length: end - start,
            first: y - self.first_row,
            count: usize::MAX,
        }
    }
}

/// Memory that a call leaves for the next one.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    rows: Vec<u8>,
    line: Vec<u8>,
    /// The tensor's colours of a line.
    pub colours: Vec<u8>,
}

/// Resamples `source`, handing `emit` one line of `x.len()` pixels for each output of `y`, with
/// that output's index: those from the first to before the second of `outputs`, which count in the
/// order of the source's rows.
pub(crate) fn resample(
    source: Rows<'_>,
    (x, y): (&Axis, &Axis),
    order: Order,
    outputs: (usize, usize),
    scratch: &mut Scratch,
    emit: &mut dyn FnMut(usize, &[u8]),
) {
    let channels = source.channels;
    let length = x.len() * channels;
    let Scratch { rows, line, .. } = scratch;
    line.resize(length, 0);
    let y_order = || y.source_order().skip(outputs.0).take(outputs.1 - outputs.0);
    match order {
        // Rows that stay as they are can come from the source at any time: 224x224 pixels as they
        // are, 0.49 -> 0.03 ms in WebAssembly.
        _ if x.shifts => {
            let columns = x.bounds();
            for (output, span) in y_order() {
                let lines = source.lines(span.start, columns);
                emit(output, across(lines, y.taps(span), line));
            }
        }
        Order::XFirst => {
            // A ring of source rows, already resampled along x.
            let slots = y.max_count;
            rows.resize(slots * length, 0);
            let mut next = 0;
            for (output, span) in y_order() {
                next = next.max(span.start);
                while next < span.start + span.count {
                    let slot = next % slots * length;
                    let row = source.lines(next, (0, source.width)).line(0);
                    along_row(channels, row, 0, x, &mut rows[slot..slot + length]);
                    next += 1;
                }
                let first = span.start % slots;
                let (stride, start, count) = (length, 0, slots);
                let lines = Lines { bytes: rows, stride, start, length, first, count };
                emit(output, across(lines, y.taps(span), line));
            }
        }
        Order::YFirst => {
            let (start, end) = x.bounds();
            rows.resize((end - start) * channels, 0);
            for (output, span) in y_order() {
                let lines = source.lines(span.start, (start, end));
                along_row(channels, across(lines, y.taps(span), rows), start, x, line);
                emit(output, line);
            }
        }
    }
}

/// The weighted sum of lines: in `sum`, unless one line alone is all of it.
fn across<'a>(lines: Lines<'a>, taps: &[i32], sum: &'a mut [u8]) -> &'a [u8] {
    if taps == [ONE] {
        return lines.line(0);
    }
    across_rows(lines, taps, sum);
    sum
}
