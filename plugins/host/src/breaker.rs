//! A plugin that keeps failing is left alone for a while.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// Failures within [`WINDOW`] that open it.
const FAILURES_MAX: u32 = 5;
const WINDOW: Duration = Duration::from_secs(10);
const COOL_MIN: Duration = Duration::from_secs(1);
const COOL_MAX: Duration = Duration::from_secs(60);

/// Closed: calls pass. Open: none does until it has cooled, then one is tried.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// Looked at without the lock: whether anything but "closed" is to be asked of `state`.
    open: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    window_began: Duration,
    failures: u32,
    /// While it is open: when the next call is tried, and how long it waits after that.
    open: Option<(Duration, Duration)>,
}

/// How a call was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    Closed,
    /// It is the one that is tried.
    Tried,
}

impl Breaker {
    /// Whether a call may be made at `now`. While it is open that is so once per cooling.
    pub(crate) fn admits(&self, now: Duration) -> Option<Pass> {
        if !self.open.load(Ordering::Acquire) {
            return Some(Pass::Closed);
        }
        let mut state = self.state.lock();
        match &mut state.open {
            None => Some(Pass::Closed),
            Some((retry, cool)) if now >= *retry => {
                // If it fails, or never comes back, the next try is after twice the time.
                *cool = (*cool * 2).min(COOL_MAX);
                *retry = now + *cool;
                Some(Pass::Tried)
            }
            Some(_) => None,
        }
    }

    /// A call went well. Closes it, if it was tried for that: one that was under way already when it opened, at another
    /// hook, says nothing of those that failed.
    pub(crate) fn succeeded(&self, pass: Pass) {
        if pass == Pass::Tried {
            *self.state.lock() = State::default();
            self.open.store(false, Ordering::Release);
        }
    }

    /// A call failed. Gives whether this opened it.
    pub(crate) fn failed(&self, now: Duration) -> bool {
        let mut state = self.state.lock();
        if state.open.is_some() {
            return false;
        }
        if state.failures == 0 || now.saturating_sub(state.window_began) > WINDOW {
            state.window_began = now;
            state.failures = 0;
        }
        state.failures += 1;
        if state.failures < FAILURES_MAX {
            return false;
        }
        state.open = Some((now + COOL_MIN, COOL_MIN));
        self.open.store(true, Ordering::Release);
        true
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn five_failures_within_ten_seconds_open_it() {
        let breaker = Breaker::default();
        for second in [0, 3, 6, 9] {
            assert!(!breaker.failed(at(second * 1_000)));
        }
        assert!(!breaker.failed(at(11_000)), "the window of the first four is over");
        for _ in 0..3 {
            assert!(!breaker.failed(at(11_000)));
        }
        assert!(breaker.failed(at(11_000)));
        assert_eq!(breaker.admits(at(11_001)), None);
    }

    #[test]
    fn one_call_is_tried_and_each_failure_doubles_the_wait() {
        let breaker = Breaker::default();
        (0..5).for_each(|_| {
            assert_eq!(breaker.admits(at(0)), Some(Pass::Closed));
            assert_eq!(breaker.failed(at(0)), breaker.is_open());
        });
        assert_eq!(breaker.admits(at(999)), None);
        assert_eq!(breaker.admits(at(1_000)), Some(Pass::Tried));
        assert_eq!(breaker.admits(at(1_000)), None, "one call");
        assert!(!breaker.failed(at(1_001)));
        assert_eq!(breaker.admits(at(2_999)), None);
        assert_eq!(breaker.admits(at(3_000)), Some(Pass::Tried));
        let mut now = 3_000;
        for _ in 0..10 {
            now += 60_000;
            assert_eq!(breaker.admits(at(now)), Some(Pass::Tried), "never longer than a minute");
        }
        breaker.succeeded(Pass::Closed);
        assert!(breaker.is_open(), "that call had begun before");
        breaker.succeeded(Pass::Tried);
        assert!(!breaker.is_open());
        assert_eq!(breaker.admits(at(now)), Some(Pass::Closed));
        assert!(!breaker.failed(at(now)), "counting begins anew");
    }
}
