//! The threads that share a job, and how they meet: one number in memory says who may do what.

use std::cell::UnsafeCell;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU32};

use super::wait::Bed;

/// In `state`: how many helpers are inside the job.
const HELPERS: u32 = 0xff;
/// Helpers may enter.
const OPEN: u32 = 1 << 8;
/// A caller owns the job.
const TAKEN: u32 = 1 << 9;
/// The caller sleeps until no helper is inside.
const WAITING: u32 = 1 << 10;
/// A helper failed: what it was writing is not written.
const FAILED: u32 = 1 << 11;
/// One more job: helpers tell by it whether they have been inside already.
const JOB: u32 = 1 << 12;

/// How often a helper looks for the next job before it sleeps: longer than the steps between two
/// that are split, some 50 us; waking up takes as long.
const HELPER_LOOKS: u32 = 20_000;
/// How often the caller looks for helpers to end their parts before it sleeps.
const CALLER_LOOKS: u32 = 20_000;

/// What a job is: `run(data, thread)`, in the caller's thread, number 0, and in helpers'.
#[derive(Clone, Copy)]
pub(super) struct Job {
    pub run: unsafe fn(data: *const (), thread: usize),
    pub data: *const (),
}

/// A meeting point of one caller and its helpers.
pub(super) struct Crew {
    state: AtomicU32,
    /// How many helpers sleep, or are about to.
    sleepers: AtomicU32,
    /// Helpers of earlier generations go home.
    generation: AtomicU32,
    caller_may_sleep: AtomicBool,
    bed: Bed,
    job: UnsafeCell<Job>,
}

// SAFETY: `job` is written by the one thread that has set TAKEN, while the job is not open and no
// helper is inside, and read only inside; the pointer in it is used under the contract of `work`.
unsafe impl Sync for Crew {}
// SAFETY: as above; nothing belongs to a thread.
unsafe impl Send for Crew {}

impl Crew {
    pub const fn new() -> Self {
        unsafe fn nothing(_: *const (), _: usize) {}
        Self {
            state: AtomicU32::new(0),
            sleepers: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            caller_may_sleep: AtomicBool::new(true),
            bed: Bed::new(),
            job: UnsafeCell::new(Job { run: nothing, data: std::ptr::null() }),
        }
    }

    /// Runs a job here and in the helpers that enter before this thread is through with it; returns
    /// when all have left. `false`, with nothing done, while another job is under way.
    ///
    /// # Panics
    /// Where a helper failed, now or before.
    ///
    /// # Safety
    /// Until this returns or unwinds, `run(data, thread)` may be called once in each thread, at the
    /// same time, with numbers that differ.
    pub unsafe fn work(&self, job: Job) -> bool {
        let state = self.state.load(Relaxed);
        let free = state & TAKEN == 0;
        if !free || self.state.compare_exchange(state, state | TAKEN, Acquire, Relaxed).is_err() {
            return false;
        }
        // SAFETY: TAKEN is set by this thread and OPEN is not: nobody else looks at the job.
        unsafe { *self.job.get() = job };
        // SeqCst as with the helpers' `sleepers`: one of the two sees the other.
        self.state.fetch_add(JOB | OPEN, SeqCst);
        if self.sleepers.load(SeqCst) != 0 {
            self.bed.wake(&self.state);
        }
        {
            // Also when `run` panics: what the helpers write lives no longer than this call.
            let _close = Close(self);
            // SAFETY: by this function's contract.
            unsafe { (job.run)(job.data, 0) };
        }
        assert!(self.state.load(Relaxed) & FAILED == 0, "a thread of the pool failed");
        true
    }

    /// Keeps helpers from entering and waits for those inside.
    fn close(&self) {
        let mut state = self.state.fetch_and(!OPEN, AcqRel);
        let mut looks = 0;
        while state & HELPERS != 0 {
            if looks < CALLER_LOOKS || !self.caller_may_sleep.load(Relaxed) {
                looks = looks.saturating_add(1);
                std::hint::spin_loop();
            } else {
                state = self.state.fetch_or(WAITING, AcqRel) | WAITING;
                if state & HELPERS != 0 {
                    self.bed.sleep(&self.state, state);
                }
            }
            state = self.state.load(Acquire);
        }
        self.state.fetch_and(!(TAKEN | WAITING), Release);
    }

    /// Takes part in jobs as number `thread`, 1 or more, until its generation is dismissed.
    pub fn help(&self, thread: usize, generation: u32) {
        let mut last = None;
        while let Some(state) = self.next_job(last, generation) {
            // Fails where another helper enters or leaves, or the job is closed meanwhile.
            if self.state.compare_exchange(state, state + 1, AcqRel, Relaxed).is_err() {
                continue;
            }
            last = Some(state / JOB);
            // SAFETY: this helper is inside: the job was written before and stays until it leaves.
            let job = unsafe { *self.job.get() };
            let leave = Leave(self);
            // SAFETY: by the contract of `work`, which does not return before this helper leaves.
            unsafe { (job.run)(job.data, thread) };
            drop(leave);
        }
    }

    /// Waits until a job other than `last` is open, and gives the state; `None` to go home.
    fn next_job(&self, last: Option<u32>, generation: u32) -> Option<u32> {
        let mut looks = 0;
        loop {
            let state = self.state.load(SeqCst);
            if state & FAILED != 0 || self.generation.load(SeqCst) != generation {
                return None;
            }
            if state & OPEN != 0 && last != Some(state / JOB) {
                return Some(state);
            }
            if looks < HELPER_LOOKS {
                looks += 1;
                std::hint::spin_loop();
                continue;
            }
            self.sleepers.fetch_add(1, SeqCst);
            self.bed.sleep(&self.state, state);
            self.sleepers.fetch_sub(1, SeqCst);
        }
    }

    /// The generation of helpers that is wanted now.
    #[cfg(target_arch = "wasm32")]
    pub fn generation(&self) -> u32 {
        self.generation.load(SeqCst)
    }

    /// Sends all helpers home, once they have left the job.
    pub fn dismiss(&self) {
        self.generation.fetch_add(1, SeqCst);
        // Those that have seen the old generation and not yet slept find another state.
        self.state.fetch_add(JOB, SeqCst);
        self.bed.wake(&self.state);
    }

    /// Ends one helper's part in the job.
    fn leave(&self) {
        let state = self.state.fetch_sub(1, AcqRel);
        if state & WAITING != 0 && state & HELPERS == 1 {
            self.bed.wake(&self.state);
        }
    }

    /// Leaves in place of a helper that broke off inside a job, and tells the caller.
    pub fn fail(&self) {
        self.state.fetch_or(FAILED, SeqCst);
        self.leave();
    }

    /// Whether `work` may put its thread to sleep; a page's main thread may not.
    #[cfg(target_arch = "wasm32")]
    pub fn set_caller_may_sleep(&self, may: bool) {
        self.caller_may_sleep.store(may, Relaxed);
    }
}

/// Closes the job.
struct Close<'a>(&'a Crew);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Leaves the job, also by a panic.
struct Leave<'a>(&'a Crew);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail();
        } else {
            self.0.leave();
        }
    }
}
