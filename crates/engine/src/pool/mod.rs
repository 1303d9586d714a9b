//! Splits a step's output among threads.
//!
//! The calling thread does the work; helpers take parts of it while there are any. A helper that
//! comes late, is busy elsewhere or was never started costs nothing: nobody waits for a thread that
//! has not taken a part. So a pool of one thread, or one whose helpers are not there yet, is the
//! plain loop.
//!
//! WebAssembly without atomics has no threads, and these builds hold none of this.

#[cfg(any(not(target_arch = "wasm32"), target_feature = "atomics"))]
mod crew;
#[cfg(not(any(not(target_arch = "wasm32"), target_feature = "atomics")))]
mod single;
#[cfg(any(not(target_arch = "wasm32"), target_feature = "atomics"))]
mod threaded;
#[cfg(any(not(target_arch = "wasm32"), target_feature = "atomics"))]
mod wait;

#[cfg(not(any(not(target_arch = "wasm32"), target_feature = "atomics")))]
pub(crate) use single::Pool;
#[cfg(any(not(target_arch = "wasm32"), target_feature = "atomics"))]
pub(crate) use threaded::Pool;
#[cfg(all(target_arch = "wasm32", target_feature = "atomics"))]
pub use threaded::helpers;
