//! Counts by size: how many were at most as large as each bound, and the sum of all.

use blockhouse_model::Clock;
use std::time::Duration;

use crate::{Cells, Metric};

/// One histogram, spread over shards like all cells. `CELLS` is the number of the metric's bounds and
/// two more: what is beyond the last bound, and the sum.
#[derive(Debug, Default)]
pub struct Histogram<const CELLS: usize>(Cells<CELLS>);

/// What a histogram, or some of it, has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted<const CELLS: usize>([u64; CELLS]);

/// A histogram with its labels.
#[derive(Debug)]
pub struct HistogramSample<'a> {
    /// Which metric it is of.
    pub metric: &'static Metric,
    /// The labels' values, in the order of the metric's label names.
    pub labels: &'a [&'a str],
    /// How many there were up to each bound, and one more for those beyond; each counts in one only.
    pub counts: &'a [u64],
    /// The sum, in the metric's unit.
    pub sum: f64,
}

impl<const CELLS: usize> Default for Counted<CELLS> {
    fn default() -> Self {
        Self([0; CELLS])
    }
}

impl<const CELLS: usize> Counted<CELLS> {
    /// Nothing so far, as cells have it.
    pub(crate) const fn from_cells(cells: [u64; CELLS]) -> Self {
        Self(cells)
    }

    /// Counts `times` of a value; bounds and value are in the same unit.
    pub fn add(&mut self, bounds: &[u64], value: u64, times: u64) {
        debug_assert_eq!(bounds.len() + 2, CELLS, "the cells are for other bounds");
        let at = bounds.partition_point(|bound| *bound < value).min(CELLS - 2);
        self.0[at] += times;
        self.0[CELLS - 1] += value.saturating_mul(times);
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts().iter().sum()
    }

    /// How many there were up to each bound, and beyond.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.0[..CELLS - 1]
    }

    /// Their sum.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.0[CELLS - 1]
    }

    pub(crate) const fn cells(&self) -> [u64; CELLS] {
        self.0
    }
}

impl<const CELLS: usize> Histogram<CELLS> {
    /// Adds what was counted.
    pub fn add(&self, counted: &Counted<CELLS>) {
        self.0.add(counted.0);
    }

    /// The sums over all shards.
    #[must_use]
    pub fn read(&self) -> Counted<CELLS> {
        Counted(self.0.read())
    }
}

/// Bounds in milliseconds as what times are counted in.
pub(crate) const fn in_micros<const N: usize>(mut bounds: [u64; N]) -> [u64; N] {
    let mut at = 0;
    while at < N {
        bounds[at] *= 1_000;
        at += 1;
    }
    bounds
}

/// The thousandths of a millisecond since `begun`, which times are counted in.
#[must_use]
pub fn micros_since(clock: &dyn Clock, begun: Duration) -> u64 {
    let time = clock.monotonic().saturating_sub(begun);
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_in_the_first_bound_that_it_does_not_pass() {
        let histogram = Histogram::<5>::default();
        let mut counted = Counted::default();
        for (value, times) in [(0, 1), (10, 2), (11, 4), (100, 8), (1_000, 16), (1_001, 32)] {
            counted.add(&[10, 100, 1_000], value, times);
        }
        histogram.add(&counted);
        histogram.add(&counted);
        let read = histogram.read();
        assert_eq!(read.counts(), [6, 24, 32, 64]);
        assert_eq!((read.count(), read.sum()), (126, 2 * (20 + 44 + 800 + 16_000 + 32_032)));
    }
}
