//! 8-bit matrix product by sums of two products, which have 16 bits: x86 without VNNI.
//!
//! ```text
//! A  rows (pixels)  packed [rows / 4][k / 4][4 rows][4]    u8, for each block that fits L2
//! B  weights        packed [out / 4][k / 4][4 columns][4]  i8, quads in an order of their own
//! ```
//!
//! Pair sums of two quads (four elements of k) are added while they have 16 bits, where their weights
//! leave room for that whatever the activations are: five instructions for 32 products, where one quad
//! after the other takes six, and the i16 kernel eight. Few neighbours do. But if each half panel pairs
//! its quads as it likes, and has their places in a tile beside their weights, 85 % of MobileNet V1's
//! products are in twos, 69 % of V2's, 74 % of EfficientNet-Lite0's (by counting, of pointwise layers).
//!
//! One quad after the other, of 8 columns, to this: MobileNet V1 18.0 -> 16.3 ms, V2 11.7 -> 11.2,
//! EfficientNet-Lite0 14.5 -> 13.7, V3-small 3.15 -> 3.07 (the least of interleaved runs, classifiers of
//! both builds in one page, Intel Xeon of family 6, model 207, Chromium 156 without AVX-VNNI). Places
//! take an eighth of the weights' memory, and pairing takes 2 to 3 ms of opening V1, 8 in code that the
//! browser has not optimised yet, which the engine's primer asks for.

use core::hint::black_box;

use super::bytes::{QUAD_A, QUAD_HALF};
use super::excess::{Extra, HalfExtra, Load};
use crate::aligned::AlignedVec;
use crate::simd::{Native, Simd};

/// Weights, by half panel.
#[derive(Clone)]
pub(super) struct HalfPanels {
    /// Of half a panel.
    quads: usize,
    /// By half: quads that are multiplied two at a time, then the others.
    weights: AlignedVec<i8>,
    /// Where in a tile each of them is, in bytes.
    places: Vec<u16>,
    /// By half: how many twos there are.
    twos: Vec<u32>,
    extra: Extra,
    scratch: Scratch,
}

/// What the packing of a half needs, each time the same memory.
#[derive(Clone, Default)]
struct Scratch {
    half: Vec<i8>,
    loads: Vec<Load>,
}

/// Above this cost of a quad of half a panel, in instructions, the i16 kernel wins: it takes 25, but
/// its layers keep no places. With 21, 22.5 and 24 MobileNet V1, V2, V3-small and EfficientNet-Lite0
/// took the same time within 1.5 %, with 28 V2 took 2 % more. On an AMD EPYC of family 25 with 26 they
/// took the same within 1 %, with 30 all took 2-3 % more.
const MOST_COST: f64 = 23.0;
/// Of a step of excess weights, of a quad by itself, and what two save.
const COST_OF_STEP: f64 = 31.0;
const COST_OF_ONE: f64 = 19.5;
const GAIN_OF_TWO: f64 = 5.0;

impl HalfPanels {
    /// Room for `halves` of `quads`, none yet. `None` where a tile is larger than its places can
    /// tell.
    pub fn with_capacity(halves: usize, quads: usize) -> Option<Self> {
        u16::try_from(quads * QUAD_A).ok()?;
        Some(Self {
            quads,
            weights: AlignedVec::with_capacity(halves * quads * QUAD_HALF),
            places: Vec::with_capacity(halves * quads),
            twos: Vec::with_capacity(halves),
            extra: Extra::with_capacity(halves),
            scratch: Scratch { half: vec![0; quads * QUAD_HALF], loads: vec![[0; 16]; quads] },
        })
    }

    /// Adds half a panel, whose quads `pack` writes.
    // Not inlined: see `packing` for what large functions cost a start.
    #[inline(never)]
    pub fn push<R>(&mut self, pack: impl FnOnce(&mut [i8]) -> R) -> R {
        let Scratch { half, loads } = &mut self.scratch;
        let packed = pack(half);
        self.extra.take_from::<Native>(half, loads);
        let first = self.twos.len() * self.quads;
        self.weights.grow((first + self.quads) * QUAD_HALF);
        self.places.resize(first + self.quads, 0);
        let weights = &mut self.weights[first * QUAD_HALF..];
        let twos = pair_up::<Native>(half, loads, weights, &mut self.places[first..]);
        self.twos.push(twos as u32);
        packed
    }

    /// All of them; `None` where the i16 kernel is faster.
    pub fn finish(mut self) -> Option<Self> {
        self.scratch = Scratch::default();
        let twos: f64 = self.twos.iter().map(|&twos| f64::from(twos)).sum();
        let quads = (self.twos.len() * self.quads) as f64;
        let cost =
            COST_OF_ONE * quads - GAIN_OF_TWO * twos + COST_OF_STEP * self.extra.steps() as f64;
        (cost <= MOST_COST * quads).then_some(self)
    }

    /// The size in memory.
    pub fn size_bytes(&self) -> usize {
        self.weights.size_bytes()
            + size_of_val(&*self.places)
            + size_of_val(&*self.twos)
            + self.extra.size_bytes()
    }

    /// Weights of half `half`. It is called for each pair of tiles, so without checks: MobileNet V1 14.03
    /// -> 13.81 ms, V2 9.67 -> 9.58, EfficientNet-Lite0 11.74 -> 11.62 (medians of interleaved runs, AMD
    /// EPYC of family 25, which has no AVX-VNNI, Chromium 156).
    ///
    /// # Safety
    /// There is such a half.
    #[inline(always)]
    unsafe fn half(&self, half: usize) -> Half<'_> {
        let first = half * self.quads;
        // SAFETY: all halves have so many quads, and the caller's.
        unsafe {
            Half {
                weights: self.weights.as_ptr().add(first * QUAD_HALF),
                places: self.places.as_ptr().add(first),
                quads: self.quads,
                twos: *self.twos.get_unchecked(half) as usize,
                extra: self.extra.half(half),
            }
        }
    }

    /// `R` rows of each of `TILES` tiles times panel `panel`, into `sums`, which begin with `bias`.
    ///
    /// # Safety
    /// There is such a panel. `a` is readable for `TILES` tiles of `tile_bytes`, `sums` writable for
    /// `TILES * R`.
    #[inline(always)]
    pub unsafe fn multiply<S: Simd, const TILES: usize, const R: usize>(
        &self,
        panel: usize,
        a: *const u8,
        tile_bytes: usize,
        bias: [S::V; 2],
        sums: *mut [S::V; 2],
    ) {
        let a = core::array::from_fn(|tile| a.wrapping_add(tile * tile_bytes));
        for (half, bias) in bias.into_iter().enumerate() {
            // SAFETY: the caller's.
            unsafe {
                let sums = sums.cast::<S::V>().add(half);
                multiply_half::<S, TILES, R>(self, panel * 2 + half, a, bias, sums);
            }
        }
    }
}

/// Quads that wait for another, at most. With 12 or 16 up to 2 % more quads find one, and the networks
/// take the same time within 1 %.
const WAITING: usize = 8;

/// Brings the quads of half a panel into their order, and their places with them; tells how many twos
/// there are. Each takes the first that it fits together with of those that found none so far.
///
/// It runs mostly in code that a browser compiled at once and badly, for each quad: hence the pointers.
#[inline(never)]
fn pair_up<S: Simd>(half: &[i8], loads: &[Load], to: &mut [i8], places: &mut [u16]) -> usize {
    let quads = loads.len();
    assert!(half.len() >= quads * QUAD_HALF && to.len() >= quads * QUAD_HALF);
    assert!(places.len() >= quads);
    let (half, to, places) = (half.as_ptr(), to.as_mut_ptr(), places.as_mut_ptr());
    let put = |at: usize, quad: u32| {
        let quad = quad as usize;
        // SAFETY: each quad has its place in both orders, below `quads`.
        unsafe {
            S::store(to.add(at * QUAD_HALF), S::load(half.add(quad * QUAD_HALF)));
            places.add(at).write((quad * QUAD_A) as u16);
        }
    };
    // Twos from the start, others from the end.
    let (mut twos, mut others) = (0, quads);
    let mut waiting = [[0; 16]; WAITING];
    let mut waiting_quads = [0; WAITING];
    let (mut count, mut oldest) = (0, 0);
    for (quad, load) in (0..).zip(loads) {
        if let Some(found) = waiting[..count].iter().position(|other| fit::<S>(load, other)) {
            put(2 * twos, waiting_quads[found]);
            put(2 * twos + 1, quad);
            twos += 1;
            count -= 1;
            waiting[found] = waiting[count];
            waiting_quads[found] = waiting_quads[count];
            continue;
        }
        let at = if count < WAITING {
            count += 1;
            count - 1
        } else {
            let at = oldest;
            others -= 1;
            put(others, waiting_quads[at]);
            oldest = (at + 1) % WAITING;
            at
        };
        waiting[at] = *load;
        waiting_quads[at] = quad;
    }
    for &quad in &waiting_quads[..count] {
        others -= 1;
        put(others, quad);
    }
    debug_assert_eq!(others, 2 * twos);
    twos
}

/// Whether the sums of two quads' pair sums have 16 bits: no byte is above 127, or 128 with 0.
#[inline(always)]
fn fit<S: Simd>(a: &Load, b: &Load) -> bool {
    // SAFETY: 16 bytes each.
    let sums = unsafe { S::i8x16_add(S::load(a), S::load(b)) };
    !S::any_top_i8x16(sums)
}

/// Weights of four columns.
struct Half<'a> {
    weights: *const i8,
    places: *const u16,
    quads: usize,
    twos: usize,
    extra: HalfExtra<'a>,
}

/// `R` rows of each of `TILES` tiles by half `half`, into `sums[row * 2]`, which begin with `bias`.
///
/// Two tiles of 4 rows by 4 columns have 8 sums, as one by 8 columns has; with two quads of weights and
/// a row's two quads all are in V8's registers.
///
/// Four elements of a row are spread by a load of their own: multiplications and additions keep x86's
/// three vector ports busy, and a shuffle takes one of them. With one quad after the other MobileNet V1
/// took 20.4 -> 18.6 ms so, V2 13.7 -> 12.4, EfficientNet-Lite0 17.1 -> 15.8 (the least of interleaved
/// runs). While each address took an addition of its own the two were equal: see `ADDRESSES` in
/// xtask/src/wasm.rs. `i32x4_relaxed_dot_i8x16_i7x16_add` is five instructions of V8 without VNNI: 36-38
/// GMAC/s where pair sums and shuffles made 45-49.
///
/// # Safety
/// There is such a half. Each of `a` is readable for all quads of a tile, `sums` writable for all rows
/// but the last one's second half.
// Not inlined: V8 allocates registers better in small functions.
#[inline(never)]
unsafe fn multiply_half<S: Simd, const TILES: usize, const R: usize>(
    panels: &HalfPanels,
    half: usize,
    a: [*const u8; TILES],
    bias: S::V,
    sums: *mut S::V,
) {
    // SAFETY: the caller's.
    let half = unsafe { panels.half(half) };
    // Hidden from LLVM, which would put a constant into the loops, of which V8 makes three instructions
    // a round.
    let ones = S::i16x8_splat(black_box(1));
    let mut found = [[bias; R]; TILES];
    // SAFETY: the caller's.
    unsafe { half.extra.add::<S, TILES, R>(a, ones, &mut found) };
    let (mut b, mut place) = (half.weights, half.places);
    // SAFETY: twos, then the others, are what there is of weights and places; places are quads of a
    // tile, of which the rows are a part.
    unsafe {
        let end = b.add(half.twos * 2 * QUAD_HALF);
        while b != end {
            let weights = [S::load(b), S::load(b.add(QUAD_HALF))];
            let places = [usize::from(*place), usize::from(*place.add(1))];
            for (sums, a) in found.iter_mut().zip(a) {
                let quads = places.map(|place| a.add(place));
                macro_rules! row {
                    ($r:literal) => {
                        if $r < R {
                            let x = S::load32_splat(quads[0].add($r * 4));
                            let y = S::load32_splat(quads[1].add($r * 4));
                            let x = S::i16x8_relaxed_dot(weights[0], x);
                            let y = S::i16x8_relaxed_dot(weights[1], y);
                            let pairs = S::i32x4_dot_i16x8(S::i16x8_add(x, y), ones);
                            sums[$r] = S::i32x4_add(sums[$r], pairs);
                        }
                    };
                }
                row!(0);
                row!(1);
                row!(2);
                row!(3);
            }
            (b, place) = (b.add(2 * QUAD_HALF), place.add(2));
        }
        let end = half.weights.add(half.quads * QUAD_HALF);
        while b != end {
            let (weights, quad) = (S::load(b), usize::from(*place));
            for (sums, a) in found.iter_mut().zip(a) {
                let a = a.add(quad);
                macro_rules! row {
                    ($r:literal) => {
                        if $r < R {
                            let x = S::i16x8_relaxed_dot(weights, S::load32_splat(a.add($r * 4)));
                            sums[$r] = S::i32x4_add(sums[$r], S::i32x4_dot_i16x8(x, ones));
                        }
                    };
                }
                row!(0);
                row!(1);
                row!(2);
                row!(3);
            }
            (b, place) = (b.add(QUAD_HALF), place.add(1));
        }
        for (r, &sum) in found.as_flattened().iter().enumerate() {
            sums.add(r * 2).write(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::slice;

    use super::*;

    const QUADS: usize = 50;

    /// Half panels of weights as small as `reach`, now and then of any size.
    fn half_panels(reach: i32) -> Vec<Vec<i8>> {
        let mut state = 7u32;
        let mut next = |below: i32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((u64::from(state) * below as u64) >> 32) as i32
        };
        let mut weight = || {
            let reach = if next(16) == 0 { 128 } else { reach };
            (next(2 * reach + 1) - reach).clamp(-128, 127) as i8
        };
        (0..8).map(|_| (0..QUADS * QUAD_HALF).map(|_| weight()).collect()).collect()
    }

    #[test]
    fn all_weights_are_there_and_their_sums_fit() {
        for reach in [10, 30, 60, 128] {
            let halves = half_panels(reach);
            let mut panels = HalfPanels::with_capacity(halves.len(), QUADS).unwrap();
            for half in &halves {
                panels.push(|to| to.copy_from_slice(half));
            }
            let found_some = panels.twos.iter().any(|&twos| twos > 0);
            assert!(found_some || reach > 30);
            for (i, original) in halves.iter().enumerate() {
                // SAFETY: there are as many halves, of so many quads.
                let (half, weights, places) = unsafe {
                    let half = panels.half(i);
                    let weights = slice::from_raw_parts(half.weights.cast(), QUADS);
                    let places = slice::from_raw_parts(half.places, QUADS);
                    (half, weights, places)
                };
                let weights: &[[i8; QUAD_HALF]] = weights;
                let mut found: Vec<i32> = vec![0; original.len()];
                for (&place, weights) in places.iter().zip(weights) {
                    let at = usize::from(place) / QUAD_A * QUAD_HALF;
                    for (found, &weight) in found[at..].iter_mut().zip(weights) {
                        *found += i32::from(weight);
                    }
                }
                for (at, column, taken) in half.extra.taken() {
                    let at = at / QUAD_A * QUAD_HALF + column * 4;
                    for (found, weight) in found[at..].iter_mut().zip(taken) {
                        *found += i32::from(weight);
                    }
                }
                assert!(found.iter().zip(original).all(|(&x, &y)| x == i32::from(y)), "{reach}");
                for two in weights[..half.twos * 2].as_chunks::<2>().0 {
                    for pair in (0..QUAD_HALF).step_by(2) {
                        let four = [two[0][pair], two[0][pair + 1], two[1][pair], two[1][pair + 1]];
                        let most: i32 = four.iter().map(|&w| 255 * i32::from(w).max(0)).sum();
                        let least: i32 = four.iter().map(|&w| 255 * i32::from(w).min(0)).sum();
                        assert!(i16::try_from(most).is_ok() && i16::try_from(least).is_ok());
                    }
                }
            }
        }
    }

    #[test]
    fn a_tile_has_places_for_64_kib() {
        assert!(HalfPanels::with_capacity(0, usize::from(u16::MAX) / QUAD_A).is_some());
        assert!(HalfPanels::with_capacity(0, (1 << 16) / QUAD_A).is_none());
    }
}
