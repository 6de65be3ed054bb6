//! What a guest's store holds: its limits, and what its imports reach.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use blockhouse_model::Clock;

use crate::allowance::Allowance;
use crate::binding::Grants;
use crate::deadline::Deadline;
use crate::imports::{Http, Kv, Lines, Metrics, Publish};
use crate::pace::Pace;

/// The most that is kept of a call's time for what a guest does after it waited.
const KEPT_MAX: Duration = Duration::from_millis(50);

/// The handle that a guest is lent; what it stands for is in [`State::lent`].
#[expect(unreachable_pub, reason = "the generated code wants it public")]
pub struct LentBodies;

/// What all instances of a binding share.
pub(crate) struct Resources {
    pub(crate) name: Arc<str>,
    pub(crate) grants: Grants,
    pub(crate) clock: Arc<dyn Clock>,
    /// Bytes of linear memory of all of them.
    pub(crate) memory: Arc<AtomicU64>,
    pub(crate) lines: Lines,
    /// Shared with other versions of the plugin.
    pub(crate) kv: Arc<Kv>,
    pub(crate) metrics: Metrics,
    /// Where it may send requests, if anywhere.
    pub(crate) http: Option<Http>,
    /// Where it may send messages, if anywhere.
    pub(crate) publish: Option<Publish>,
}

impl Resources {
    /// Whether a call may wait for others.
    const fn waits(&self) -> bool {
        self.http.is_some() || self.publish.is_some()
    }
}

/// Bodies of the batch of a call, end to end.
#[derive(Default)]
pub(crate) struct Lent {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ends: Vec<u32>,
}

impl Lent {
    /// Gives the bodies back, and the memory if it was much.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(1 << 20);
        self.ends.clear();
    }

    /// The body of a message; empty if there is none.
    pub(crate) fn body(&self, message: u32) -> &[u8] {
        let i = message as usize;
        let start = i.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied());
        let (Some(start), Some(&end)) = (start, self.ends.get(i)) else { return &[] };
        self.bytes.get(start as usize..end as usize).unwrap_or(&[])
    }
}

/// A store's data.
pub(crate) struct State {
    pub(crate) allowance: Allowance,
    pub(crate) lent: Lent,
    pub(crate) shared: Arc<Resources>,
    pace: Arc<Pace>,
    deadline: Deadline,
    /// Until when the call may wait for others, by the monotonic clock.
    ends: Duration,
}

impl State {
    pub(crate) fn new(shared: Arc<Resources>, pace: Arc<Pace>, memory: usize) -> Self {
        let allowance = Allowance::new(memory, Arc::clone(&shared.memory));
        Self {
            allowance,
            lent: Lent::default(),
            shared,
            pace,
            deadline: Deadline::default(),
            ends: Duration::ZERO,
        }
    }

    /// A call begins.
    pub(crate) fn arm(&mut self, deadline_ms: u32, now: Duration) {
        self.pace.begin();
        self.deadline.set(deadline_ms, now);
        if self.shared.waits() {
            let whole = Duration::from_millis(deadline_ms.into());
            let kept = (whole / 10).min(KEPT_MAX);
            self.ends = now.saturating_add(whole - kept);
        }
    }

    /// A tick met the call. Gives whether it is stopped.
    pub(crate) fn meet_tick(&mut self, processor: impl FnOnce() -> Duration) -> bool {
        self.pace.meet();
        self.deadline.is_over(self.shared.clock.monotonic(), processor)
    }

    /// How long the call may still wait. Ticks stop a guest, not what it waits for; and a tenth of
    /// its time stays for what it does with the answer.
    pub(crate) fn left(&self) -> Duration {
        self.ends.saturating_sub(self.shared.clock.monotonic())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lent_bodies_are_cut_at_their_ends() {
        let mut lent = Lent { bytes: b"abcde".to_vec(), ends: vec![2, 2, 5] };
        assert_eq!([lent.body(0), lent.body(1), lent.body(2)], [&b"ab"[..], b"", b"cde"]);
        assert_eq!(lent.body(3), b"");
        assert_eq!(lent.body(u32::MAX), b"");
        lent.clear();
        assert_eq!(lent.body(0), b"");
    }
}
