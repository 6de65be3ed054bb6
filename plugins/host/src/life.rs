//! How long a warm instance serves before another one takes its place.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// Calls after which an instance is replaced, or near it.
const CALLS: u32 = 100_000;
/// Milliseconds after which it is, or near it.
const AGE_MS: u32 = 600_000;

/// The end of one instance. Those that began together do not end together: their successors would
/// be made at the same moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    calls: u64,
    ends: Duration,
    /// Bytes of memory beyond which it is over.
    memory: usize,
}

/// A tenth more or less than `mean`.
fn near(mean: u32, random: u32) -> u32 {
    mean - mean / 10 + random % (mean / 5 + 1)
}

impl Life {
    /// Of an instance that is made now, has taken so much memory and may take so much.
    pub(crate) fn begin(now: Duration, taken: usize, max: usize) -> Self {
        Self::with(RandomState::new().hash_one(()), now, taken, max)
    }

    fn with(random: u64, now: Duration, taken: usize, max: usize) -> Self {
        let [high, low] = [random >> 32, random & u64::from(u32::MAX)];
        let [high, low] = [high, low].map(|half| u32::try_from(half).unwrap_or(0));
        Self {
            calls: near(CALLS, high).into(),
            ends: now.saturating_add(Duration::from_millis(near(AGE_MS, low).into())),
            // Some take most of it before their first call: they would be replaced with each one.
            memory: taken + max.saturating_sub(taken) / 4 * 3,
        }
    }

    /// Whether it is over after so many calls, with so much memory.
    pub(crate) fn is_over(&self, calls: u64, now: Duration, taken: usize) -> bool {
        calls >= self.calls || now >= self.ends || taken > self.memory
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn lives_end_near_their_mean_and_not_together() {
        let begun = Duration::from_secs(7);
        let lives: Vec<Life> = (0..100).map(|_| Life::begin(begun, 0, 16 * MIB)).collect();
        let calls: BTreeSet<u64> = lives.iter().map(|life| life.calls).collect();
        let ages: BTreeSet<Duration> = lives.iter().map(|life| life.ends - begun).collect();
        assert!(calls.iter().all(|calls| (90_000..=110_000).contains(calls)), "{calls:?}");
        let range = Duration::from_secs(540)..=Duration::from_secs(660);
        assert!(ages.iter().all(|age| range.contains(age)), "{ages:?}");
        assert!(calls.len() > 50 && ages.len() > 50, "different ones: {calls:?} {ages:?}");
    }

    #[test]
    fn the_ends_of_the_range_are_in_it() {
        assert_eq!([near(100, 0), near(100, 20), near(100, 21)], [90, 110, 90]);
    }

    #[test]
    fn calls_age_and_memory_end_a_life() {
        let life = Life::with(0, Duration::ZERO, MIB, 17 * MIB);
        let early = Duration::from_secs(1);
        assert!(!life.is_over(89_999, early, 13 * MIB));
        assert!(life.is_over(90_000, early, MIB));
        assert!(life.is_over(1, Duration::from_secs(540), MIB));
        assert!(life.is_over(1, early, 13 * MIB + 1));
    }

    #[test]
    fn who_begins_with_much_memory_is_not_replaced_for_it() {
        let life = Life::with(0, Duration::ZERO, 15 * MIB, 16 * MIB);
        assert!(!life.is_over(1, Duration::ZERO, 15 * MIB));
    }
}
