//! Whether a new version does worse than the one before.

use std::sync::atomic::Ordering;

use crate::Failure;
use crate::interface::Interface;
use crate::plugin::{Counts, Plugin};

/// Failures of a hook that are too few to say anything.
const FAILURES_MIN: u64 = 3;
/// How much more often a hook must fail than before.
const FAILURES_FACTOR: u64 = 2;
/// Calls of a hook that are too few to say anything of its time.
const CALLS_MIN: u64 = 50;
/// Nanoseconds per message that are fine whatever they were before.
const FINE: u64 = 50_000;

/// What one hook did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Did {
    calls: u64,
    messages: u64,
    nanoseconds: u64,
    /// Those that say something of the plugin: not that all instances were at work.
    failures: u64,
}

impl Did {
    fn of(counts: &Counts) -> Self {
        let read = |cell: &std::sync::atomic::AtomicU64| cell.load(Ordering::Relaxed);
        let busy = Failure::Busy.kind();
        let failures = counts.failures.iter().enumerate().filter(|(kind, _)| *kind != busy);
        Self {
            calls: read(&counts.calls),
            messages: read(&counts.messages),
            nanoseconds: read(&counts.nanoseconds),
            failures: failures.map(|(_, count)| read(count)).sum(),
        }
    }

    const fn each(self) -> u64 {
        match self.nanoseconds.checked_div(self.messages) {
            Some(each) => each,
            None => 0,
        }
    }
}

/// What all hooks of a plugin did.
pub(crate) type Deeds = [Did; Interface::ALL.len()];

pub(crate) fn deeds(plugin: &Plugin) -> Deeds {
    Interface::ALL.map(|hook| Did::of(plugin.counts(hook)))
}

/// Why the new version is worse, if it is. `slowdown` is how many times the old one's time per
/// message is too much.
pub(crate) fn judge(old: &Deeds, new: &Deeds, slowdown: u32) -> Option<String> {
    let of_hook = Interface::ALL.iter().zip(old.iter().zip(new));
    of_hook.filter_map(|(hook, (old, new))| fault(*hook, *old, *new, slowdown)).next()
}

fn fault(hook: Interface, old: Did, new: Did, slowdown: u32) -> Option<String> {
    // Shares of calls, compared without dividing.
    let (was, is) = (
        u128::from(old.failures.saturating_mul(FAILURES_FACTOR)) * u128::from(new.calls),
        u128::from(new.failures) * u128::from(old.calls),
    );
    if new.failures >= FAILURES_MIN && (old.calls == 0 || is > was) {
        let (old, new) = (old.failures as f64 / old.calls.max(1) as f64, new);
        return Some(format!(
            "{hook}: {} of {} calls failed ({:.2} % before)",
            new.failures,
            new.calls,
            old * 100.0
        ));
    }
    let limit = old.each().saturating_mul(slowdown.into()).max(FINE);
    if old.calls >= CALLS_MIN && new.calls >= CALLS_MIN && new.each() > limit {
        let us = |ns: u64| ns as f64 / 1e3;
        return Some(format!(
            "{hook}: a message takes {:.1} us ({:.1} us before)",
            us(new.each()),
            us(old.each())
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn did(calls: u64, failures: u64, each: u64) -> Did {
        Did { calls, messages: calls, nanoseconds: calls * each, failures }
    }

    fn says(old: Did, new: Did) -> String {
        fault(Interface::Pull, old, new, 3).unwrap_or_default()
    }

    #[test]
    fn more_failures_than_before_are_seen() {
        let good = did(1_000, 0, 10);
        assert_eq!(says(good, did(1_000, 2, 10)), "", "two may be anything");
        assert_eq!(says(good, did(1_000, 3, 10)), "pull: 3 of 1000 calls failed (0.00 % before)");
        assert_ne!(says(Did::default(), did(3, 3, 10)), "", "there was nothing before");
        let bad = did(1_000, 100, 10);
        assert_eq!(says(bad, did(100, 20, 10)), "", "not more than twice as often");
        assert_ne!(says(bad, did(100, 21, 10)), "");
        assert_eq!(says(did(u64::MAX, u64::MAX, 0), did(u64::MAX, u64::MAX, 0)), "");
    }

    #[test]
    fn slower_calls_are_seen_once_there_are_some() {
        let old = did(1_000, 0, 40_000);
        assert_eq!(says(old, did(1_000, 0, 120_000)), "");
        assert_eq!(
            says(old, did(1_000, 0, 121_000)),
            "pull: a message takes 121.0 us (40.0 us before)"
        );
        assert_eq!(says(old, did(49, 0, 999_000)), "", "too few");
        assert_eq!(says(did(49, 0, 1), did(1_000, 0, 999_000)), "", "too few");
        assert_eq!(says(did(1_000, 0, 1_000), did(1_000, 0, 50_000)), "", "fine anyway");
    }
}
