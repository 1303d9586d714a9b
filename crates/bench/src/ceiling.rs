//! Register-only loops: the most that an instruction mix can do on this machine.
//!
//! Each has 12 accumulators and 2 operands in registers, more chains than the latency of the
//! instructions needs, and touches no memory. The accumulator is a factor, so that no compiler
//! moves the product out of the loop.

use std::collections::BTreeMap;
use std::hint::black_box;

use achado_kernels::simd::{Native, Simd};

use crate::clock::best_ms;

type V = <Native as Simd>::V;

/// Accumulators.
const CHAINS: usize = 12;

/// Steps of a loop: enough that its start does not count.
const STEPS: u32 = 2_000;

/// GMAC/s of each loop by name.
pub(crate) fn all() -> BTreeMap<&'static str, f64> {
    let dot = [Native::i32x4_splat(3); CHAINS + 2];
    let madd = [Native::f32x4_splat(0.5); CHAINS + 2];
    BTreeMap::from([
        ("gemm i16", measure(8, || _ = black_box(dot_loop(black_box(dot))))),
        ("gemm i8 pair sums", measure(32, || _ = black_box(pair_sum_loop(black_box(dot))))),
        ("gemm i8 dot", measure(16, || _ = black_box(quad_loop(black_box(dot))))),
        ("f32 madd", measure(4, || _ = black_box(madd_loop(black_box(madd))))),
    ])
}

/// GMAC/s of a loop of [`CHAINS`] vectors with `macs` each.
fn measure(macs: u64, body: impl FnMut()) -> f64 {
    (macs * CHAINS as u64 * u64::from(STEPS)) as f64 / best_ms(body) / 1e6
}

/// A function of its own for each loop: engines compile a function anew, with optimisation, when
/// it is called often, but not while its loop runs. Locals, since elements of an array would go
/// through memory.
macro_rules! register_loop {
    ($name:ident, $step:expr) => {
        #[inline(never)]
        fn $name(v: [V; CHAINS + 2]) -> [V; CHAINS] {
            let step = $step;
            let [x, y, mut a, mut b, mut c, mut d, mut e, mut f, ..] = v;
            let [.., mut g, mut h, mut i, mut j, mut k, mut l] = v;
            for _ in 0..STEPS {
                (a, b, c) = (step(a, x, y), step(b, x, y), step(c, x, y));
                (d, e, f) = (step(d, x, y), step(e, x, y), step(f, x, y));
                (g, h, i) = (step(g, x, y), step(h, x, y), step(i, x, y));
                (j, k, l) = (step(j, x, y), step(k, x, y), step(l, x, y));
            }
            [a, b, c, d, e, f, g, h, i, j, k, l]
        }
    };
}
register_loop!(dot_loop, |sum, x, y| Native::i32x4_add(y, Native::i32x4_dot_i16x8(sum, x)));
register_loop!(madd_loop, |sum, x, y| Native::f32x4_madd(sum, x, y));
register_loop!(pair_sum_loop, |sum, x, y| {
    let [a, b] = [x, y].map(|weights| Native::i16x8_relaxed_dot(weights, sum));
    let pairs = Native::i16x8_add(a, b);
    Native::i32x4_add(y, Native::i32x4_dot_i16x8(pairs, y))
});
register_loop!(quad_loop, |sum, x, y| Native::i32x4_relaxed_dot_add(x, y, sum));
