//! How long sends and pulls took of late: what RocketMQ's own statistics tell of them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::histogram::{Counted, Histogram};

/// The bounds, in milliseconds. What took just a bound's time is above it, as in RocketMQ.
const BOUNDS_MS: [u64; 15] =
    [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 3_000, 4_000, 5_000, 10_000];
/// The last thousandth of a millisecond below each.
const BOUNDS: [u64; 15] = below(BOUNDS_MS);
const CELLS: usize = BOUNDS.len() + 2;
/// What is told is about the last minute.
const MINUTE: Duration = Duration::from_secs(60);
/// Samples kept: one per ten seconds, and one that is a minute old.
const SAMPLES_MAX: usize = 8;
/// How many of our bounds each of RocketMQ's has below it.
const BANDS: [usize; 12] = [1, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// Times of sends and pulls.
#[derive(Debug, Default)]
pub struct SendTimes {
    sends: Histogram<CELLS>,
    send_max: AtomicU64,
    pull_max: AtomicU64,
    samples: Mutex<VecDeque<(Duration, Counted<CELLS>)>>,
}

/// The sends of the last minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LastMinute {
    /// How many took less than 1 ms, 10 ms, 50 ms, 100 ms, 200 ms, 500 ms, 1 s, 2 s, 3 s, 4 s, 5 s and
    /// 10 s, and how many took longer; each is in one only.
    pub bands: [u64; BANDS.len() + 1],
    /// What 99 of 100, and 999 of 1,000 did not pass, in milliseconds; -1 without sends.
    pub quantiles: [f64; 2],
}

const fn below<const N: usize>(mut bounds: [u64; N]) -> [u64; N] {
    let mut at = 0;
    while at < N {
        bounds[at] = bounds[at] * 1_000 - 1;
        at += 1;
    }
    bounds
}

impl SendTimes {
    /// Counts sends that took `micros` each.
    pub fn sent(&self, micros: u64, requests: u64) {
        let mut counted = Counted::default();
        counted.add(&BOUNDS, micros, requests);
        self.sends.add(&counted);
        raise(&self.send_max, micros);
    }

    /// Notes a pull that took `micros`.
    pub fn pulled(&self, micros: u64) {
        raise(&self.pull_max, micros);
    }

    /// The longest that a send and a pull took, in whole milliseconds.
    #[must_use]
    pub fn longest_ms(&self) -> [u64; 2] {
        [&self.send_max, &self.pull_max].map(|max| max.load(Ordering::Relaxed) / 1_000)
    }

    /// Takes a sample; call it every ten seconds.
    pub fn sample(&self, now: Duration) {
        let mut samples = self.samples.lock();
        if samples.len() == SAMPLES_MAX {
            samples.pop_front();
        }
        samples.push_back((now, self.sends.read()));
    }

    /// What the last minute brought.
    #[must_use]
    pub fn last_minute(&self, now: Duration) -> LastMinute {
        let samples = self.samples.lock();
        let old = samples.iter().rev().find(|(at, _)| now.saturating_sub(*at) >= MINUTE);
        let before = old.map(|(_, counted)| *counted).unwrap_or_default();
        drop(samples);
        let after = self.sends.read();
        let pairs = after.counts().iter().zip(before.counts());
        let counts: Vec<u64> = pairs.map(|(after, before)| after.saturating_sub(*before)).collect();
        let mut bands = [0; BANDS.len() + 1];
        for (at, count) in counts.iter().enumerate() {
            bands[BANDS.partition_point(|end| *end <= at)] += count;
        }
        LastMinute { bands, quantiles: [quantile(&counts, 0.99), quantile(&counts, 0.999)] }
    }
}

fn raise(max: &AtomicU64, value: u64) {
    // Reading costs less than writing, and few are the longest.
    if max.load(Ordering::Relaxed) < value {
        max.fetch_max(value, Ordering::Relaxed);
    }
}

/// As Prometheus has it: between two bounds, times are taken to be spread evenly.
fn quantile(counts: &[u64], share: f64) -> f64 {
    let all: u64 = counts.iter().sum();
    if all == 0 {
        return -1.0;
    }
    let rank = all as f64 * share;
    let (mut below, mut from) = (0.0, 0.0);
    for (count, to) in counts.iter().zip(BOUNDS_MS) {
        let (count, to) = (*count as f64, to as f64);
        if count > 0.0 && below + count >= rank {
            return from + (to - from) * ((rank - below) / count);
        }
        (below, from) = (below + count, to);
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn sends_are_told_apart_as_rocketmq_does_it() {
        let times = SendTimes::default();
        for (micros, requests) in [
            (999, 1),
            (1_000, 2),
            (9_999, 4),
            (10_000, 8),
            (50_000, 16),
            (499_999, 32),
            (500_000, 64),
            (9_999_999, 128),
            (10_000_000, 256),
        ] {
            times.sent(micros, requests);
        }
        let bands = times.last_minute(at(5)).bands;
        assert_eq!(bands, [1, 6, 8, 16, 0, 32, 64, 0, 0, 0, 0, 128, 256]);
        assert_eq!(times.longest_ms(), [10_000, 0]);
        times.pulled(7_900);
        assert_eq!(times.longest_ms(), [10_000, 7]);
    }

    #[test]
    fn what_was_before_the_last_minute_is_forgotten() {
        let times = SendTimes::default();
        for ten in 0..20 {
            times.sample(at(ten * 10));
            times.sent(3_000, 5);
        }
        assert_eq!(times.last_minute(at(190)).bands[1], 35, "of 130 s and later");
        assert_eq!(times.last_minute(at(200)).bands[1], 30);
        for ten in 20..28 {
            times.sample(at(ten * 10));
        }
        let idle = times.last_minute(at(280));
        assert_eq!((idle.bands, idle.quantiles), ([0; 13], [-1.0; 2]));
    }

    #[test]
    fn quantiles_lie_between_bounds() {
        let times = SendTimes::default();
        times.sent(1_500, 990);
        times.sent(15_000, 10);
        let [p99, p999] = times.last_minute(at(0)).quantiles;
        assert!((p99 - 2.0).abs() < 1e-9, "{p99}");
        assert!((p999 - 19.0).abs() < 1e-9, "{p999}");
        times.sent(60_000_000, 1_000);
        assert!((times.last_minute(at(0)).quantiles[0] - 10_000.0).abs() < 1e-9);
    }
}
