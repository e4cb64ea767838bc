//! What the benchmarks share: CPU time, medians, a counting allocator, and a client and server joined by two buffers.

#![allow(dead_code, unreachable_pub)]

pub mod pair;
pub mod raw;

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Counts calls and live bytes of the system's allocator.
pub struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Relaxed);
        LIVE.fetch_add(layout.size() as i64, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as i64, Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        CALLS.fetch_add(1, Relaxed);
        LIVE.fetch_add(size as i64 - layout.size() as i64, Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Allocations so far, reallocations included.
pub fn allocations() -> u64 {
    CALLS.load(Relaxed)
}

/// Bytes allocated now.
pub fn live_bytes() -> i64 {
    LIVE.load(Relaxed)
}

/// CPU time of this thread in nanoseconds: other work on the machine does not count.
pub fn cpu_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the result.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0, "no CPU clock");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Adds up the CPU time of one of two sides, less what reading the clock costs.
#[derive(Default)]
pub struct Meter {
    overhead: u64,
    pub ns: u64,
}

impl Meter {
    pub fn new() -> Self {
        let mut costs: Vec<u64> = (0..1001)
            .map(|_| {
                let start = cpu_ns();
                cpu_ns() - start
            })
            .collect();
        costs.sort_unstable();
        Self {
            overhead: costs[costs.len() / 2],
            ns: 0,
        }
    }

    pub fn time<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let start = cpu_ns();
        let result = work();
        self.ns += (cpu_ns() - start).saturating_sub(self.overhead);
        result
    }
}

/// Samples of one quantity. Shows the median and half the distance of the quartiles.
#[derive(Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    fn quantile(&self, q: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[((sorted.len() - 1) as f64 * q).round() as usize]
    }

    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub fn spread(&self) -> f64 {
        (self.quantile(0.75) - self.quantile(0.25)) / 2.0
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let precision = f.precision().unwrap_or(0);
        let text = format!(
            "{:.precision$} ±{:.precision$}",
            self.median(),
            self.spread()
        );
        // `pad` would cut the text at the precision.
        write!(f, "{text:>width$}", width = f.width().unwrap_or(0))
    }
}

/// The arguments that select what to measure; a name is selected if it contains any of them.
pub struct Filter(Vec<String>);

impl Filter {
    pub fn from_args() -> Self {
        let given = std::env::args().skip(1);
        Self(given.filter(|a| !a.starts_with("--")).collect())
    }

    pub fn admits(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|wanted| name.contains(wanted.as_str()))
    }
}
