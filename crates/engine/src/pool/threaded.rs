//! The pool of builds with threads.

use core::ops::Range;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use achado_kernels::aligned::LINE_BYTES;

use super::crew::{Crew, Job};

/// The most threads of a pool, the caller's included.
const MAX_THREADS: usize = 32;

/// A part is at least this share of one thread's share of what is left: large parts read the
/// weights less often, small ones at the end let all threads end together.
const PARTS_PER_THREAD: usize = 2;

/// Runs the parts of a step in the caller's thread and in helpers.
pub(crate) struct Pool {
    threads: usize,
    #[cfg(not(target_arch = "wasm32"))]
    crew: std::sync::Arc<Crew>,
    #[cfg(not(target_arch = "wasm32"))]
    helpers: Vec<std::thread::JoinHandle<()>>,
}

/// The helpers of a WebAssembly memory: workers that JavaScript starts, each with an instance of
/// this module on the same memory. All sessions of the memory share them.
#[cfg(target_arch = "wasm32")]
static CREW: Crew = Crew::new();

impl Pool {
    /// A pool of so many threads, the caller's included: 0 counts as 1, and [`MAX_THREADS`] is the
    /// most. Helpers that cannot be started are done without.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(threads: usize) -> Self {
        let threads = threads.clamp(1, MAX_THREADS);
        let crew = std::sync::Arc::new(Crew::new());
        let help = |thread| {
            let crew = crew.clone();
            let name = format!("achado-{thread}");
            std::thread::Builder::new().name(name).spawn(move || crew.help(thread, 0)).ok()
        };
        let helpers = (1..threads).filter_map(help).collect();
        Self { threads, crew, helpers }
    }

    /// A pool of so many threads, the caller's included: 0 counts as 1, and [`MAX_THREADS`] is the
    /// most. The helpers are those that call [`super::helpers::help`].
    #[cfg(target_arch = "wasm32")]
    pub fn new(threads: usize) -> Self {
        Self { threads: threads.clamp(1, MAX_THREADS) }
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn crew(&self) -> &Crew {
        &self.crew
    }

    #[cfg(target_arch = "wasm32")]
    fn crew(&self) -> &Crew {
        &CREW
    }

    /// How many threads share the work.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Calls `body(items, their part of out, scratch)` until all of `out`, `item_len` elements an
    /// item, is written. Parts are multiples of `grain` items but for the last. Each thread has an
    /// equal part of `scratch` for itself.
    pub fn split<T: Send, F: Fn(Range<usize>, &mut [T], &mut [u8]) + Sync>(
        &self,
        out: &mut [T],
        item_len: usize,
        grain: usize,
        scratch: &mut [u8],
        body: F,
    ) {
        let items = out.len() / item_len;
        if self.threads == 1 || items <= grain {
            return body(0..items, out, scratch);
        }
        let parts = Parts {
            next: AtomicUsize::new(0),
            items,
            grain,
            threads: self.threads,
            item_len,
            out: out.as_mut_ptr(),
            scratch: scratch.as_mut_ptr(),
            // Each begins on a cache line if the first does.
            scratch_bytes: scratch.len() / self.threads / LINE_BYTES * LINE_BYTES,
            body: &body,
        };
        let job = Job { run: take_parts::<T, F>, data: (&raw const parts).cast() };
        // SAFETY: `parts` lives until `work` returns. `take_parts` gives each range of items, and
        // so of `out`, to one thread, and each thread, by its number, its own range of `scratch`;
        // both are borrowed mutably by this call. `T` may be sent, `body` be called from anywhere.
        let done = unsafe { self.crew().work(job) };
        if !done {
            // A step inside a step: the threads are at the outer one.
            body(0..items, out, scratch);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        #[cfg(not(target_arch = "wasm32"))]
        {
            self.crew.dismiss();
            for helper in self.helpers.drain(..) {
                // A helper that panicked has told the caller.
                let _ = helper.join();
            }
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads).finish()
    }
}

/// What `split` was called with, and how much of it is taken.
struct Parts<'a, T, F> {
    next: AtomicUsize,
    items: usize,
    grain: usize,
    threads: usize,
    item_len: usize,
    out: *mut T,
    scratch: *mut u8,
    /// Of each thread.
    scratch_bytes: usize,
    body: &'a F,
}

impl<T, F> Parts<'_, T, F> {
    /// The next items that nobody has taken.
    fn take(&self) -> Option<Range<usize>> {
        let end = |start: usize| {
            let share = (self.items - start).div_ceil(self.threads * PARTS_PER_THREAD);
            let part = share.next_multiple_of(self.grain);
            (start < self.items).then(|| self.items.min(start + part))
        };
        let start = self.next.fetch_update(Relaxed, Relaxed, end).ok()?;
        Some(start..end(start)?)
    }
}

/// Computes parts until all are taken.
///
/// # Safety
/// `data` points to a live `Parts<T, F>`, whose `out` holds `items * item_len` elements and whose
/// `scratch` holds `threads * scratch_bytes` bytes, touched by nobody else; no other call has the
/// same `thread`.
unsafe fn take_parts<T: Send, F: Fn(Range<usize>, &mut [T], &mut [u8]) + Sync>(
    data: *const (),
    thread: usize,
) {
    // SAFETY: by this function's contract.
    let parts = unsafe { &*data.cast::<Parts<'_, T, F>>() };
    if thread >= parts.threads {
        // A helper of a session with more threads.
        return;
    }
    let bytes = parts.scratch_bytes;
    // SAFETY: `thread < threads`, so the range is inside, and it is this thread's alone.
    let scratch =
        unsafe { std::slice::from_raw_parts_mut(parts.scratch.add(thread * bytes), bytes) };
    while let Some(items) = parts.take() {
        let len = items.len() * parts.item_len;
        // SAFETY: `items` is within `0..parts.items` and taken by this thread alone.
        let out = unsafe {
            std::slice::from_raw_parts_mut(parts.out.add(items.start * parts.item_len), len)
        };
        (parts.body)(items, out, scratch);
    }
}

/// What a worker with an instance of this module on the same memory calls.
#[cfg(target_arch = "wasm32")]
pub mod helpers {
    use super::CREW;

    /// Takes part in all sessions' work as number `thread`, 1 or more and no other worker's, until
    /// [`dismiss`] ends its generation. Sleeps in between.
    pub fn help(thread: usize, generation: u32) {
        CREW.help(thread, generation);
    }

    /// What helpers that start now have to name.
    #[must_use]
    pub fn generation() -> u32 {
        CREW.generation()
    }

    /// Lets the calls of [`help`] return.
    pub fn dismiss() {
        CREW.dismiss();
    }

    /// Ends the job under way, and all later ones, by a panic in the caller: a helper trapped.
    pub fn fail() {
        CREW.fail();
    }

    /// Whether the thread that runs sessions may sleep; a page's main thread may not. Default: yes.
    pub fn set_caller_may_sleep(may: bool) {
        CREW.set_caller_may_sleep(may);
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::Ordering::SeqCst;
    use std::sync::atomic::{AtomicBool, AtomicUsize};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;

    /// SplitMix64.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            usize::try_from((z ^ (z >> 31)) % limit as u64).expect("below a usize")
        }
    }

    /// Waits until `flag` is set by another thread.
    fn wait_for(flag: &AtomicBool) {
        while !flag.load(SeqCst) {
            std::thread::yield_now();
        }
    }

    fn is_helper() -> bool {
        std::thread::current().name().is_some_and(|name| name.starts_with("achado-"))
    }

    #[test]
    fn every_item_is_written_once_whatever_the_sizes() {
        let mut random = Random(7);
        for threads in [0, 1, 2, 3, 4, 7] {
            let pool = Pool::new(threads);
            assert_eq!(pool.threads(), threads.max(1));
            for _ in 0..300 {
                let (items, item_len) = (random.below(200), 1 + random.below(5));
                let (grain, each) = (1 + random.below(9), random.below(130));
                let mut out = vec![0_u16; items * item_len];
                let mut scratch = vec![0_u8; each.next_multiple_of(LINE_BYTES) * pool.threads()];
                let parts = Mutex::new(Vec::new());
                pool.split(&mut out, item_len, grain, &mut scratch, |range, out, scratch| {
                    assert_eq!(out.len(), range.len() * item_len);
                    assert!(scratch.len() >= each);
                    // Another thread's would be overwritten between the two.
                    let mark = range.start as u8;
                    scratch.fill(mark);
                    for (i, out) in out.iter_mut().enumerate() {
                        *out += u16::try_from(range.start * item_len + i + 1).expect("small");
                    }
                    assert!(scratch.iter().all(|&byte| byte == mark));
                    parts.lock().expect("lock").push(range);
                });
                let expected: Vec<u16> = (1..=out.len() as u16).collect();
                assert_eq!(out, expected);
                let mut parts = parts.into_inner().expect("lock");
                parts.sort_by_key(|range| range.start);
                for pair in parts.windows(2) {
                    assert_eq!(pair[0].end, pair[1].start);
                    assert!(pair[0].len().is_multiple_of(grain));
                }
            }
        }
    }

    #[test]
    fn helpers_that_sleep_are_woken() {
        let pool = Pool::new(3);
        for pause in [0, 1, 30, 0, 30] {
            std::thread::sleep(Duration::from_millis(pause));
            let helped = AtomicBool::new(false);
            pool.split(&mut [0_u8; 64], 1, 1, &mut [], |_, _, _| {
                if is_helper() {
                    helped.store(true, SeqCst);
                } else {
                    wait_for(&helped);
                }
            });
        }
    }

    #[test]
    fn a_step_inside_a_step_is_one_threads() {
        let pool = Pool::new(3);
        let mut out = [0_u8; 100];
        pool.split(&mut out, 10, 1, &mut [], |_, out, _| {
            let thread = std::thread::current().id();
            pool.split(out, 1, 1, &mut [], |items, out, _| {
                assert_eq!(std::thread::current().id(), thread);
                assert_eq!(items.len(), out.len());
                out.fill(1);
            });
        });
        assert_eq!(out, [1; 100]);
    }

    #[test]
    fn a_panic_in_a_helper_is_one_in_the_caller_then_and_later() {
        let pool = Pool::new(2);
        for _ in 0..2 {
            let helped = AtomicBool::new(false);
            let panic = catch_unwind(AssertUnwindSafe(|| {
                pool.split(&mut [0_u8; 64], 1, 1, &mut [], |_, _, _| {
                    if is_helper() {
                        helped.store(true, SeqCst);
                        panic!("a kernel is wrong");
                    }
                    if pool.helpers.iter().any(|helper| !helper.is_finished()) {
                        wait_for(&helped);
                    }
                });
            }));
            let panic = panic.expect_err("a panic");
            assert_eq!(*panic.downcast::<&str>().expect("words"), "a thread of the pool failed");
            while pool.helpers.iter().any(|helper| !helper.is_finished()) {
                std::thread::yield_now();
            }
        }
    }

    #[test]
    fn a_panic_in_the_caller_waits_for_the_helpers() {
        let pool = Pool::new(2);
        let (helping, ended) = (AtomicBool::new(false), AtomicUsize::new(0));
        let panic = catch_unwind(AssertUnwindSafe(|| {
            pool.split(&mut [0_u8; 64], 1, 1, &mut [], |_, _, _| {
                if is_helper() {
                    helping.store(true, SeqCst);
                    std::thread::sleep(Duration::from_millis(2));
                    ended.fetch_add(1, SeqCst);
                } else {
                    wait_for(&helping);
                    panic!("a kernel is wrong");
                }
            });
        }));
        assert_eq!(
            *panic.expect_err("a panic").downcast::<&str>().expect("words"),
            "a kernel is wrong"
        );
        let at_return = ended.load(SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(ended.load(SeqCst), at_return, "a helper was still at it");
        assert!(at_return > 0);
    }

    #[test]
    fn helpers_go_home_with_the_pool() {
        let pool = Pool::new(4);
        let crew = Arc::downgrade(&pool.crew);
        pool.split(&mut [0_u8; 64], 1, 1, &mut [], |_, out, _| out.fill(1));
        drop(pool);
        assert!(crew.upgrade().is_none());
    }
}
