//! What does not reach a collector, by why.

use crate::{Counter, Metric, Sample};

/// Why something does not reach a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// It found the queue full.
    Queue,
    /// The collector did not take it, or not in time.
    Failed,
    /// It was beyond a limit, and not recorded at all.
    Limit,
    /// The collector took the request that it was in, and rejected it.
    Rejected,
}

impl DropReason {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Queue, "queue"),
        (Self::Failed, "failed"),
        (Self::Limit, "limit"),
        (Self::Rejected, "rejected"),
    ];
}

/// How much was dropped, by why.
#[derive(Debug, Default)]
pub struct Drops {
    queue: Counter,
    failed: Counter,
    limit: Counter,
    rejected: Counter,
}

impl Drops {
    const fn of(&self, why: DropReason) -> &Counter {
        match why {
            DropReason::Queue => &self.queue,
            DropReason::Failed => &self.failed,
            DropReason::Limit => &self.limit,
            DropReason::Rejected => &self.rejected,
        }
    }

    pub(crate) fn add(&self, why: DropReason, count: u64) {
        self.of(why).add(count);
    }

    /// How much was dropped so far.
    #[must_use]
    pub fn read(&self, why: DropReason) -> u64 {
        self.of(why).read()
    }

    pub(crate) fn visit(&self, metric: &'static Metric, visit: &mut dyn FnMut(&Sample<'_>)) {
        for (why, reason) in DropReason::ALL {
            visit(&Sample { metric, labels: &[reason], value: self.read(why) as f64 });
        }
    }
}
