//! Milliseconds, and the best of several tries.

#[cfg(target_arch = "wasm32")]
mod source {
    use wasm_bindgen::prelude::wasm_bindgen;

    #[wasm_bindgen]
    extern "C" {
        #[wasm_bindgen(js_namespace = performance, js_name = now)]
        pub fn now_ms() -> f64;
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod source {
    use std::sync::LazyLock;
    use std::time::Instant;

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);

    pub fn now_ms() -> f64 {
        START.elapsed().as_secs_f64() * 1e3
    }
}

pub(crate) use source::now_ms;

/// Tries of one measurement; the best counts, since noise only ever adds.
const TRIES: usize = 40;
/// How long a try runs, in milliseconds.
const TRY_MS: f64 = 4.0;
/// How long the body runs before it is measured, so that engines have compiled it with
/// optimisation.
const WARM_UP_MS: f64 = 80.0;

/// Milliseconds of one call of `body`, in the best of [`TRIES`] tries of [`TRY_MS`] each.
pub(crate) fn best_ms(mut body: impl FnMut()) -> f64 {
    let start = now_ms();
    let mut warm_up = 0.0;
    while now_ms() - start < WARM_UP_MS {
        body();
        warm_up += 1.0;
    }
    let once = ((now_ms() - start) / warm_up).max(1e-3);
    let calls = (TRY_MS / once).ceil().clamp(1.0, 1e6);
    (0..TRIES)
        .map(|_| {
            let start = now_ms();
            for _ in 0..calls as usize {
                body();
            }
            (now_ms() - start) / calls
        })
        .fold(f64::INFINITY, f64::min)
}
