//! Cells that many threads add to without meeting.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// More shards than this cost memory and gain nothing that we could measure.
const SHARDS_MAX: usize = 8;

/// Some counts that are added to together, spread over shards of one cache line each.
///
/// `N` is at most 8 to stay within the line; more works, on several lines.
#[derive(Debug)]
pub struct Cells<const N: usize> {
    shards: Box<[Line<N>]>,
}

#[derive(Debug)]
#[repr(align(64))]
struct Line<const N: usize>([AtomicU64; N]);

/// One count that only rises.
#[derive(Debug, Default)]
pub struct Counter(Cells<1>);

/// A value that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

/// How many shards cells have on this machine: a power of two.
#[must_use]
pub fn shard_count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        cores.next_power_of_two().min(SHARDS_MAX)
    })
}

/// The shard of the calling thread, below [`shard_count`].
#[must_use]
pub fn own_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    OWN.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) & (shard_count() - 1));
        }
        own.get()
    })
}

impl<const N: usize> Default for Cells<N> {
    fn default() -> Self {
        let line = || Line(std::array::from_fn(|_| AtomicU64::new(0)));
        Self { shards: (0..shard_count()).map(|_| line()).collect() }
    }
}

impl<const N: usize> Cells<N> {
    /// Adds to each count; a zero costs nothing.
    pub fn add(&self, amounts: [u64; N]) {
        if let Some(Line(line)) = self.shards.get(own_shard()) {
            for (cell, amount) in line.iter().zip(amounts) {
                if amount != 0 {
                    cell.fetch_add(amount, Ordering::Relaxed);
                }
            }
        }
    }

    /// Replaces the counts, for those that are kept elsewhere and copied before each read. Not for
    /// counts that are also added to.
    pub fn set(&self, totals: [u64; N]) {
        for (at, Line(line)) in self.shards.iter().enumerate() {
            for (cell, total) in line.iter().zip(totals) {
                cell.store(if at == 0 { total } else { 0 }, Ordering::Relaxed);
            }
        }
    }

    /// The sums over all shards.
    #[must_use]
    pub fn read(&self) -> [u64; N] {
        let mut sums = [0_u64; N];
        for Line(line) in &self.shards {
            for (sum, cell) in sums.iter_mut().zip(line) {
                *sum = sum.wrapping_add(cell.load(Ordering::Relaxed));
            }
        }
        sums
    }
}

impl Counter {
    /// Replaces the count: see [`Cells::set`].
    pub fn set(&self, total: u64) {
        self.0.set([total]);
    }

    /// Adds to the count.
    pub fn add(&self, amount: u64) {
        self.0.add([amount]);
    }

    /// The count.
    #[must_use]
    pub fn read(&self) -> u64 {
        let [sum] = self.0.read();
        sum
    }
}

impl Gauge {
    /// Moves the value up, or down.
    pub fn add(&self, amount: i64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Replaces the value.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value.
    #[must_use]
    pub fn read(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_threads() {
        let cells = Cells::<2>::default();
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| (0..1_000).for_each(|_| cells.add([1, 10])));
            }
        });
        assert_eq!(cells.read(), [6_000, 60_000]);
        cells.set([7, 8]);
        assert_eq!(cells.read(), [7, 8]);
    }

    #[test]
    fn a_gauge_goes_up_and_down() {
        let gauge = Gauge::default();
        gauge.add(5);
        gauge.add(-7);
        assert_eq!(gauge.read(), -2);
        gauge.set(3);
        assert_eq!(gauge.read(), 3);
    }
}
