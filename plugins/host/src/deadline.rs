//! Until when a call may run, looked at by each tick that meets it.

use std::time::Duration;

/// A call's deadline. Guests never wait for anything, so what is left of a call that the operating
/// system merely interrupted is done in no time: on a busy machine that must not look like a loop.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    at: Duration,
    /// Ticks are never closer than a millisecond: after so many it is over whatever the clock says,
    /// so that a clock which stands still (tests own it) cannot keep a loop alive.
    ticks_left: u32,
    /// What the thread had had of the processor when the deadline was found to be over.
    overtime: Option<Duration>,
}

impl Deadline {
    /// What a call has of the processor after its deadline before it is stopped.
    const GRANTED: Duration = Duration::from_micros(500);

    /// A call of `ms` milliseconds begins.
    pub(crate) fn set(&mut self, ms: u32, now: Duration) {
        let at = now.saturating_add(Duration::from_millis(ms.into()));
        *self = Self { at, ticks_left: ms.saturating_add(1), overtime: None };
    }

    /// Told at each tick, with what the thread has had of the processor. Gives whether the call is
    /// stopped.
    pub(crate) fn is_over(&mut self, now: Duration, processor: impl FnOnce() -> Duration) -> bool {
        self.ticks_left = self.ticks_left.saturating_sub(1);
        if now < self.at && self.ticks_left > 0 {
            return false;
        }
        let processor = processor();
        let begun = *self.overtime.get_or_insert(processor);
        processor.saturating_sub(begun) >= Self::GRANTED
    }
}

/// The time that this thread has had of the processor.
pub(crate) fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    #[test]
    fn what_the_system_interrupted_goes_on_and_what_runs_is_stopped() {
        let mut deadline = Deadline::default();
        deadline.set(5, at(1_000));
        assert!(!deadline.is_over(at(5_999), || panic!("the processor's time is not needed yet")));
        assert!(!deadline.is_over(at(6_000), || at(7_000)), "the first tick after the deadline");
        assert!((0..100).all(|_| !deadline.is_over(at(9_000), || at(7_000))), "it does not run");
        assert!(!deadline.is_over(at(9_000), || at(7_499)));
        assert!(deadline.is_over(at(9_000), || at(7_500)));
        deadline.set(5, at(9_000));
        assert!(!deadline.is_over(at(14_000), || at(7_600)), "another call");
    }

    #[test]
    fn a_clock_that_stands_still_keeps_no_loop_alive() {
        let mut deadline = Deadline::default();
        deadline.set(2, at(0));
        let processor = [0, 1_000, 2_000, 3_000].map(at);
        let over = processor.map(|used| deadline.is_over(at(0), || used));
        assert_eq!(over, [false, false, false, true]);
    }

    #[test]
    fn the_thread_is_charged_for_its_work() {
        let begun = processor_time();
        let mut sum = 0_u64;
        while processor_time() == begun {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(processor_time() > begun);
    }
}
