//! Pulls that were answered without a message, of late.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;

/// What is told is about so much time.
const SPANS: [Duration; 3] =
    [Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(600)];
/// Samples kept: one per ten seconds for ten minutes, and the one before.
const SAMPLES_MAX: usize = 62;

/// Samples of a count that only rises.
#[derive(Debug, Default)]
pub struct PullMisses(Mutex<VecDeque<(Duration, u64)>>);

impl PullMisses {
    /// `total` were counted until `now`; call it every ten seconds.
    pub fn sample(&self, now: Duration, total: u64) {
        let mut samples = self.0.lock();
        if samples.len() == SAMPLES_MAX {
            samples.pop_front();
        }
        samples.push_back((now, total));
    }

    /// How many came in a second over the last 10, 60 and 600 seconds, as far as there are samples; 0 before the
    /// second.
    #[must_use]
    pub fn per_second(&self) -> [f64; 3] {
        let samples = self.0.lock();
        let Some((now, total)) = samples.back() else { return [0.0; 3] };
        SPANS.map(|span| {
            let is_old = |(at, _): &&(Duration, u64)| now.saturating_sub(*at) >= span;
            let before = samples.iter().rev().find(is_old).or_else(|| samples.front());
            let (at, counted) = before.copied().unwrap_or((*now, *total));
            let seconds = now.saturating_sub(at).as_secs_f64();
            let came = total.saturating_sub(counted) as f64;
            if seconds > 0.0 { came / seconds } else { 0.0 }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_span_has_its_own_rate() {
        let misses = PullMisses::default();
        assert_eq!(misses.per_second(), [0.0; 3]);
        let at = |n: u64| Duration::from_secs(5 + 10 * n);
        misses.sample(at(0), 7);
        assert_eq!(misses.per_second(), [0.0; 3], "nothing is known of the time before");
        (1..=200).for_each(|n| misses.sample(at(n), 7 + 10 * n));
        assert_eq!(misses.per_second(), [1.0; 3]);
        misses.sample(at(201), 7 + 10 * 200 + 600);
        let [ten, sixty, ten_minutes] = misses.per_second();
        assert_eq!((ten, sixty), (60.0, (600.0 + 50.0) / 60.0));
        assert!((ten_minutes - (600.0 + 590.0) / 600.0).abs() < 1e-9, "{ten_minutes}");
        assert!(misses.0.lock().len() <= SAMPLES_MAX);
    }
}
