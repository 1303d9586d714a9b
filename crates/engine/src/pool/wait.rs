//! Sleeping until a number in memory changes.

use std::sync::atomic::AtomicU32;

/// Where threads sleep on one number: WebAssembly's `memory.atomic.wait32`.
#[cfg(target_arch = "wasm32")]
#[derive(Debug)]
pub(super) struct Bed;

#[cfg(target_arch = "wasm32")]
impl Bed {
    pub const fn new() -> Self {
        Self
    }

    /// Sleeps while `number` is `value`, or until woken. A page's main thread must not.
    pub fn sleep(&self, number: &AtomicU32, value: u32) {
        // SAFETY: the address is that of a live, aligned number; what is read there is compared
        // and nothing else.
        unsafe {
            core::arch::wasm32::memory_atomic_wait32(
                number.as_ptr().cast::<i32>(),
                value.cast_signed(),
                -1,
            );
        }
    }

    /// Wakes all that sleep on `number`, after it was changed.
    pub fn wake(&self, number: &AtomicU32) {
        // SAFETY: as above.
        unsafe {
            core::arch::wasm32::memory_atomic_notify(number.as_ptr().cast::<i32>(), u32::MAX);
        }
    }
}

/// Where threads sleep on one number.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug)]
pub(super) struct Bed {
    lock: std::sync::Mutex<()>,
    woken: std::sync::Condvar,
}

#[cfg(not(target_arch = "wasm32"))]
impl Bed {
    pub const fn new() -> Self {
        Self { lock: std::sync::Mutex::new(()), woken: std::sync::Condvar::new() }
    }

    /// Sleeps while `number` is `value`.
    pub fn sleep(&self, number: &AtomicU32, value: u32) {
        let mut guard = self.guard();
        while number.load(std::sync::atomic::Ordering::SeqCst) == value {
            guard = self.woken.wait(guard).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// Wakes all that sleep on `number`, after it was changed.
    pub fn wake(&self, _number: &AtomicU32) {
        // Whoever has compared and not yet slept holds the lock.
        let _guard = self.guard();
        self.woken.notify_all();
    }

    fn guard(&self) -> std::sync::MutexGuard<'_, ()> {
        self.lock.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
