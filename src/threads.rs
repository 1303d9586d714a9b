//! Threads, in the builds that have them: workers with an instance of the same module on the same
//! memory, which `js/threads.ts` starts.

use achado_engine::helpers;
use wasm_bindgen::prelude::*;

/// Takes part in the work of the thread that runs models, as number `thread`, 1 or more; returns
/// when [`dismiss_helpers`] ends its generation.
#[wasm_bindgen]
pub fn help(thread: usize, generation: u32) {
    helpers::help(thread, generation);
}

/// What helpers that start now give as their generation.
#[must_use]
#[wasm_bindgen(js_name = helperGeneration)]
pub fn helper_generation() -> u32 {
    helpers::generation()
}

/// Lets all helpers return.
#[wasm_bindgen(js_name = dismissHelpers)]
pub fn dismiss_helpers() {
    helpers::dismiss();
}

/// To be called in a helper whose [`help`] has thrown: the caller would wait for it for ever.
#[wasm_bindgen(js_name = helperFailed)]
pub fn helper_failed() {
    helpers::fail();
}

/// Whether the thread that runs models may sleep; a page's main thread may not. Default: yes.
#[wasm_bindgen(js_name = setCallerMaySleep)]
pub fn set_caller_may_sleep(may: bool) {
    helpers::set_caller_may_sleep(may);
}
