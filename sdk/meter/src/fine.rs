//! Times by exponential buckets: eight for each doubling, as Prometheus' native histograms of schema 3
//! have them, so that quantiles are right to 5 %.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The schema.
pub const SCHEMA: i32 = 3;
/// What counts as no time, in seconds: less than a thousandth of a millisecond.
pub const ZERO_THRESHOLD: f64 = 1.0 / 1_048_576.0;
/// Upper bounds of the buckets of a doubling, each as half of 2 to the power of so many eighths.
const FRACTIONS: [f64; 8] = [
    0.5,
    0.545_253_866_332_628_8,
    0.594_603_557_501_360_5,
    0.648_419_777_325_504_8,
    0.707_106_781_186_547_5,
    0.771_105_412_703_970_4,
    0.840_896_415_253_714_4,
    0.917_004_043_204_671_1,
];
/// The bucket of a thousandth of a millisecond.
const FIRST: i32 = -159;
/// The bucket up to 1,024 s, which has all that took longer as well.
const LAST: i32 = 80;
const BUCKETS: usize = (LAST - FIRST + 1).unsigned_abs() as usize;

/// Counts by bucket. They take their memory when the first is counted.
#[derive(Debug, Default)]
pub(crate) struct Fine(OnceLock<Box<[AtomicU64; BUCKETS + 1]>>);

/// Some counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FineCounts([u64; BUCKETS + 1]);

impl Default for FineCounts {
    fn default() -> Self {
        Self([0; BUCKETS + 1])
    }
}

impl Fine {
    /// Counts requests that took `micros` each.
    pub(crate) fn add(&self, micros: u64, requests: u64) {
        let cells = self.0.get_or_init(|| Box::new([const { AtomicU64::new(0) }; BUCKETS + 1]));
        // The first is for those that took no time.
        let at = if micros == 0 { 0 } else { place(micros) };
        if let Some(cell) = cells.get(at) {
            cell.fetch_add(requests, Ordering::Relaxed);
        }
    }

    /// Whether anything was ever counted.
    pub(crate) fn is_used(&self) -> bool {
        self.0.get().is_some()
    }

    /// Adds what was counted to `sums`.
    pub(crate) fn add_to(&self, sums: &mut FineCounts) {
        let Some(cells) = self.0.get() else { return };
        for (sum, cell) in sums.0.iter_mut().zip(cells.iter()) {
            *sum += cell.load(Ordering::Relaxed);
        }
    }
}

impl FineCounts {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Counts those of others as well.
    pub fn add(&mut self, others: &Self) {
        self.0.iter_mut().zip(others.0).for_each(|(sum, count)| *sum += count);
    }

    /// What came since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut new = self.clone();
        new.0.iter_mut().zip(earlier.0).for_each(|(new, was)| *new = new.saturating_sub(was));
        new
    }

    /// The time that 99 of 100 of them did not exceed, right to 5 %; none without any.
    #[must_use]
    pub fn p99(&self) -> Option<Duration> {
        let count = self.count();
        let (rank, mut sum) = (count - count / 100, self.zeros());
        if count == 0 || sum >= rank {
            return (count > 0).then_some(Duration::ZERO);
        }
        let (key, _) = self.buckets().find(|(_, count)| {
            sum += count;
            sum >= rank
        })?;
        Some(Duration::from_secs_f64(((f64::from(key) - 0.5) / 8.0).exp2()))
    }

    /// How many took no time.
    #[must_use]
    pub const fn zeros(&self) -> u64 {
        self.0[0]
    }

    /// Buckets that are not empty, in order: their number, which is the power of 2 in eighths that their
    /// upper bound has in seconds, and how many are in them.
    pub fn buckets(&self) -> impl Iterator<Item = (i32, u64)> {
        let numbered = (FIRST..).zip(self.0.iter().skip(1));
        numbered.map(|(key, count)| (key, *count)).filter(|(_, count)| *count > 0)
    }
}

/// The bucket of what took some time, from 1.
fn place(micros: u64) -> usize {
    let bits = (micros as f64 / 1e6).to_bits();
    let exponent = i32::try_from(bits >> 52 & 0x7ff).unwrap_or(0) - 1_022;
    let fraction = f64::from_bits(bits & ((1 << 52) - 1) | 1_022 << 52);
    let within = FRACTIONS.partition_point(|bound| *bound < fraction);
    let key = i32::try_from(within).unwrap_or(0) + (exponent - 1) * 8;
    usize::try_from(key.clamp(FIRST, LAST) - FIRST).unwrap_or(0) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket_of(micros: u64) -> i32 {
        let fine = Fine::default();
        fine.add(micros, 3);
        let mut counts = FineCounts::default();
        fine.add_to(&mut counts);
        assert_eq!((counts.count(), counts.zeros()), (3, 0));
        let [(key, 3)] = counts.buckets().collect::<Vec<_>>()[..] else { panic!("{counts:?}") };
        key
    }

    #[test]
    fn a_time_is_within_the_bounds_of_its_bucket() {
        let bound = |key: i32| (f64::from(key) / 8.0).exp2();
        for micros in (0..29).flat_map(|n| [1_u64 << n, (1 << n) + (1 << n) / 3, (2 << n) - 1]) {
            let (key, seconds) = (bucket_of(micros), micros as f64 / 1e6);
            let (low, high) = (bound(key - 1), bound(key));
            assert!(low * (1.0 - 1e-12) < seconds && seconds <= high * (1.0 + 1e-12), "{micros}");
        }
        assert_eq!(bucket_of(1), FIRST);
        assert_eq!(bucket_of(1_000_000), 0, "one second is the bound of its bucket");
        assert_eq!(bucket_of(1_000_001), 1);
        assert_eq!(bucket_of(2_000_000), 8);
        assert_eq!(bucket_of(1_024_000_000), LAST);
        assert_eq!(bucket_of(u64::MAX), LAST);
    }

    #[test]
    fn a_hundredth_may_be_slower_than_the_99th_percentile() {
        let times = |parts: &[(u64, u64)]| {
            let fine = Fine::default();
            parts.iter().for_each(|(micros, requests)| fine.add(*micros, *requests));
            let mut counts = FineCounts::default();
            fine.add_to(&mut counts);
            counts
        };
        let about = |counts: &FineCounts, micros: f64| {
            let found = counts.p99().unwrap().as_secs_f64() * 1e6;
            assert!((found / micros - 1.0).abs() < 0.05, "{found} is not {micros}");
        };
        assert_eq!(times(&[]).p99(), None);
        assert_eq!(times(&[(0, 99), (5_000_000, 1)]).p99(), Some(Duration::ZERO));
        about(&times(&[(700, 990), (800_000, 10)]), 700.0);
        about(&times(&[(700, 989), (800_000, 11)]), 800_000.0);
        about(&times(&[(700, 1), (300_000, 1)]), 300_000.0);
        let (before, mut after) = (times(&[(40, 5_000)]), times(&[(40, 5_000), (9_000, 100)]));
        about(&after.since(&before), 9_000.0);
        about(&after, 9_000.0);
        after.add(&before);
        assert_eq!((after.count(), before.since(&after).count()), (10_100, 0));
        about(&after, 40.0);
    }

    #[test]
    fn what_took_no_time_is_counted_apart() {
        let fine = Fine::default();
        fine.add(0, 7);
        let mut counts = FineCounts::default();
        fine.add_to(&mut counts);
        fine.add_to(&mut counts);
        assert_eq!((counts.count(), counts.zeros(), counts.buckets().count()), (14, 14, 0));
        const { assert!(ZERO_THRESHOLD < 1e-6) };
    }
}
