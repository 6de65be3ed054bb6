//! How often the engine ticks: often while a call is long, seldom while calls are short, next to
//! never while there are none. A tick each millisecond costs more than many plugins do.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::Duration;

/// While a call was under way at the last tick.
const LONG: Duration = Duration::from_millis(1);
/// While there are calls.
const SHORT: Duration = Duration::from_millis(3);
/// While there are none. A call that runs into this is stopped late, but it is stopped.
const IDLE: Duration = Duration::from_millis(50);

/// What calls tell the thread that ticks.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    ticker: OnceLock<Thread>,
    /// A call began since the last tick.
    called: AtomicBool,
    /// A call was under way at the last tick.
    met: AtomicBool,
    /// The thread does not expect calls.
    is_idle: AtomicBool,
    /// It was woken to look again, not to tick.
    is_woken: AtomicBool,
    stop: AtomicBool,
}

impl Pace {
    /// A call begins. What is usually so already is not written: all cores look here.
    pub(crate) fn begin(&self) {
        if !self.called.load(Ordering::Relaxed) {
            self.called.store(true, Ordering::Relaxed);
        }
        if self.is_idle.load(Ordering::Relaxed) && self.is_idle.swap(false, Ordering::AcqRel) {
            self.wake();
        }
    }

    /// A tick met a call.
    pub(crate) fn meet(&self) {
        if !self.met.swap(true, Ordering::AcqRel) {
            self.wake();
        }
    }

    fn wake(&self) {
        self.is_woken.store(true, Ordering::Release);
        if let Some(ticker) = self.ticker.get() {
            ticker.unpark();
        }
    }

    /// Ticks until it is stopped.
    pub(crate) fn run(&self, tick: impl Fn()) {
        self.ticker.get_or_init(std::thread::current);
        while !self.stop.load(Ordering::Acquire) {
            std::thread::park_timeout(self.next());
            if !self.is_woken.swap(false, Ordering::AcqRel) {
                tick();
            }
        }
    }

    fn next(&self) -> Duration {
        let called = self.called.swap(false, Ordering::Relaxed);
        if self.met.swap(false, Ordering::AcqRel) {
            return LONG;
        }
        if called {
            return SHORT;
        }
        self.is_idle.store(true, Ordering::Release);
        IDLE
    }

    /// Ends [`Self::run`].
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ticks_as_often_as_calls_are_long() {
        let pace = Pace::default();
        assert_eq!(pace.next(), IDLE);
        pace.begin();
        assert!(pace.is_woken.load(Ordering::Relaxed), "it did not expect a call");
        assert_eq!(pace.next(), SHORT);
        pace.is_woken.store(false, Ordering::Relaxed);
        pace.begin();
        assert!(!pace.is_woken.load(Ordering::Relaxed), "a call was expected");
        pace.meet();
        assert!(pace.is_woken.load(Ordering::Relaxed), "the next tick must come sooner");
        assert_eq!(pace.next(), LONG);
        assert_eq!(pace.next(), IDLE);
    }

    #[test]
    fn a_call_that_stays_is_met_again_and_again() {
        let pace = Pace::default();
        let ticks = std::sync::atomic::AtomicU64::new(0);
        pace.begin();
        pace.run(|| {
            pace.meet();
            if ticks.fetch_add(1, Ordering::Relaxed) == 5 {
                pace.stop();
            }
        });
        assert_eq!(ticks.into_inner(), 6);
    }
}
