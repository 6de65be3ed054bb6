//! Whether requests have become slow: what the histograms of their times counted since the last look.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use blockhouse_meter::Latencies;
use blockhouse_meter::fine::FineCounts;

use crate::Config;

/// Between two that are told of: a copy has the minute before, and what comes of it comes soon.
const PAUSE: Duration = Duration::from_secs(60);

/// Looks at the times of requests again and again.
#[derive(Debug)]
pub struct LatencyWatch {
    above: Duration,
    window: Duration,
    requests_min: u64,
    /// All that was counted up to the last look, by request code; nothing before the first.
    before: Option<BTreeMap<i32, FineCounts>>,
    /// Those that were told of, and have been slow ever since.
    slow: BTreeSet<i32>,
    quiet_until: Duration,
}

/// Requests that have become slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breach {
    /// What was asked.
    pub request: i32,
    /// One of a hundred took longer.
    pub p99: Duration,
    /// How many there were.
    pub requests: u64,
}

impl LatencyWatch {
    /// One that looks by these options; `None` where it is not wanted.
    #[must_use]
    pub fn new(config: &Config) -> Option<Self> {
        (config.copy_above_p99_ms > 0).then(|| Self {
            above: Duration::from_millis(config.copy_above_p99_ms),
            window: Duration::from_secs(config.copy_window_s),
            requests_min: config.copy_requests_min,
            before: None,
            slow: BTreeSet::new(),
            quiet_until: Duration::ZERO,
        })
    }

    /// The time between two looks.
    #[must_use]
    pub const fn window(&self) -> Duration {
        self.window
    }

    /// The slowest of those that have become slow since the last look, if one has: once while it stays
    /// so, and one a minute at most. `now` is on the monotonic clock.
    pub fn look(&mut self, now: Duration, latencies: &Latencies) -> Option<Breach> {
        let sums = by_request(latencies);
        let before = self.before.replace(sums)?;
        let slow: Vec<Breach> = self.slow_since(&before).collect();
        self.slow.retain(|request| slow.iter().any(|breach| breach.request == *request));
        if now < self.quiet_until {
            // What is slow after that is told of then.
            return None;
        }
        let new = slow.iter().filter(|breach| !self.slow.contains(&breach.request));
        let worst = new.max_by_key(|breach| breach.p99).copied()?;
        self.slow.extend(slow.iter().map(|breach| breach.request));
        self.quiet_until = now + PAUSE;
        Some(worst)
    }

    fn slow_since(&self, before: &BTreeMap<i32, FineCounts>) -> impl Iterator<Item = Breach> {
        self.before.iter().flatten().filter_map(|(request, sum)| {
            let new = before.get(request).map_or_else(|| sum.clone(), |was| sum.since(was));
            let requests = new.count();
            let p99 = new.p99().filter(|p99| requests >= self.requests_min && *p99 > self.above)?;
            Some(Breach { request: *request, p99, requests })
        })
    }
}

/// Times by request code. Those that waited for messages took as long as their clients wanted.
fn by_request(latencies: &Latencies) -> BTreeMap<i32, FineCounts> {
    let mut sums: BTreeMap<i32, FineCounts> = BTreeMap::new();
    for (kind, counts) in latencies.read_fine() {
        if let Some(kind) = kind.filter(|kind| !kind.is_held) {
            sums.entry(kind.request).or_default().add(&counts);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use blockhouse_meter::RpcKind;

    use super::*;

    const SEND: RpcKind = RpcKind { request: 310, response: 0, is_held: false, is_one_way: false };
    const REFUSED: RpcKind = RpcKind { response: 2, ..SEND };
    const PULL: RpcKind = RpcKind { request: 11, ..SEND };

    struct Scene {
        watch: LatencyWatch,
        latencies: Latencies,
        now: Duration,
    }

    impl Scene {
        /// From 100 ms on, for 50 requests and more in ten seconds.
        fn new() -> Self {
            let config =
                Config { copy_above_p99_ms: 100, copy_requests_min: 50, ..Config::default() };
            let watch = LatencyWatch::new(&config).unwrap();
            assert_eq!(watch.window(), Duration::from_secs(10));
            let mut scene = Self { watch, latencies: Latencies::default(), now: Duration::ZERO };
            assert_eq!(scene.after(10, &[(SEND, 999, 999)]), None, "from before the first look");
            scene
        }

        /// What is told so many seconds later, after requests that took so many milliseconds.
        fn after(
            &mut self,
            seconds: u64,
            requests: &[(RpcKind, u64, u64)],
        ) -> Option<(i32, u64, u64)> {
            for (kind, millis, requests) in requests {
                self.latencies.add(Some(*kind), millis * 1_000, *requests);
            }
            self.now += Duration::from_secs(seconds);
            let Breach { request, p99, requests } = self.watch.look(self.now, &self.latencies)?;
            // Right to 5 %.
            Some((request, (p99 + Duration::from_millis(500)).as_secs(), requests))
        }
    }

    #[test]
    fn it_is_off_by_itself() {
        assert!(LatencyWatch::new(&Config::default()).is_none());
    }

    #[test]
    fn one_of_a_hundred_may_be_slow_and_two_may_not() {
        let mut scene = Scene::new();
        assert_eq!(scene.after(10, &[(SEND, 5, 990), (SEND, 3_000, 10)]), None);
        let slow = [(SEND, 5, 980), (SEND, 3_000, 10), (REFUSED, 3_000, 10)];
        assert_eq!(scene.after(10, &slow), Some((310, 3, 1_000)), "however they were answered");
    }

    #[test]
    fn few_requests_say_nothing_nor_do_those_that_wait_for_messages() {
        let mut scene = Scene::new();
        let held = RpcKind { is_held: true, ..PULL };
        assert_eq!(scene.after(10, &[(SEND, 3_000, 49), (held, 15_000, 500)]), None);
        assert_eq!(scene.after(10, &[(SEND, 90, 500)]), None);
        scene.latencies.add(None, 9_000_000, 500);
        assert_eq!(scene.after(10, &[]), None, "codes that clients made up");
        assert_eq!(scene.after(10, &[(SEND, 3_000, 50)]), Some((310, 3, 50)));
    }

    #[test]
    fn what_stays_slow_is_told_of_once_and_again_when_it_was_well_meanwhile() {
        let mut scene = Scene::new();
        assert_eq!(scene.after(10, &[(SEND, 3_000, 50)]), Some((310, 3, 50)));
        for _ in 0..20 {
            assert_eq!(scene.after(10, &[(SEND, 3_000, 50)]), None);
        }
        assert_eq!(scene.after(10, &[(SEND, 3, 50)]), None);
        assert_eq!(scene.after(10, &[(SEND, 3_000, 60)]), Some((310, 3, 60)));
        // Nobody asks any more: that is an end as well.
        assert_eq!(scene.after(60, &[]), None);
        assert_eq!(scene.after(10, &[(SEND, 3_000, 60)]), Some((310, 3, 60)));
    }

    #[test]
    fn one_a_minute_is_told_of_and_what_is_still_slow_then() {
        let mut scene = Scene::new();
        let both = [(SEND, 3_000, 50), (PULL, 7_000, 50)];
        assert_eq!(scene.after(10, &both).map(|told| told.0), Some(11), "the slowest");
        let other = RpcKind { request: 14, ..SEND };
        for _ in 0..5 {
            assert_eq!(scene.after(10, &[(other, 4_000, 50)]), None);
        }
        assert_eq!(scene.after(10, &[(other, 4_000, 50)]).map(|told| told.0), Some(14));
        // Those of the first time are well by now, and become slow once more.
        assert_eq!(scene.after(59, &both), None);
        assert_eq!(scene.after(1, &both).map(|told| told.0), Some(11));
    }
}
