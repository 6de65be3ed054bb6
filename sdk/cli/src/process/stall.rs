//! Whether the threads that serve clients get on. They write to the log themselves: on a disk that hangs,
//! all of them wait for it sooner or later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blockhouse_model::Clock;
use blockhouse_service::Tasks;

/// How often one of the threads says that it is there.
const BEAT: Duration = Duration::from_secs(1);
/// From where on they are late: a machine that has much to do is no stall.
const LATE: Duration = Duration::from_secs(3);

/// When one of the threads last said that it is there.
#[derive(Debug)]
pub(super) struct Pulse {
    clock: Arc<dyn Clock>,
    /// Milliseconds, as the clock measures.
    last: AtomicU64,
}

/// Has the threads that `tasks` run on say that they are there.
pub(super) fn watch(clock: &Arc<dyn Clock>, tasks: &Tasks) -> Arc<Pulse> {
    let pulse = Arc::new(Pulse::new(Arc::clone(clock)));
    let (beating, mut shutdown) = (Arc::clone(&pulse), tasks.shutdown());
    tasks.spawn("pulse", async move {
        while shutdown.wait(BEAT).await {
            beating.beat();
        }
    });
    pulse
}

impl Pulse {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let pulse = Self { clock, last: AtomicU64::new(0) };
        pulse.beat();
        pulse
    }

    fn beat(&self) {
        let at = u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX);
        self.last.store(at, Ordering::Relaxed);
    }

    /// For how long none of the threads has got on; zero while they do.
    pub(super) fn stalled(&self) -> Duration {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        let since = self.clock.monotonic().saturating_sub(last);
        if since < LATE { Duration::ZERO } else { since }
    }

    /// That as a reason to send nobody here.
    pub(super) fn check(&self) -> Result<(), String> {
        match self.stalled().as_secs() {
            0 => Ok(()),
            stalled => Err(format!(
                "no thread that serves clients has got on for {stalled} s: the disk hangs, or the machine does"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blockhouse_model::{ManualClock, Timestamp};

    #[test]
    fn a_pulse_that_is_late_is_a_stall_until_it_comes() {
        let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
        let pulse = Pulse::new(Arc::clone(&clock) as Arc<dyn Clock>);
        clock.advance(Duration::from_millis(2_999));
        assert_eq!(pulse.stalled(), Duration::ZERO);
        assert_eq!(pulse.check(), Ok(()));
        clock.advance(Duration::from_millis(57_001));
        assert_eq!(pulse.stalled(), Duration::from_secs(60));
        assert!(pulse.check().unwrap_err().contains("for 60 s"));
        pulse.beat();
        assert_eq!(pulse.stalled(), Duration::ZERO);
    }
}
