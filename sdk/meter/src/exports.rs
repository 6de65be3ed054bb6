//! What became of metrics, and of what the process logs, on their way to a collector. Spans count for themselves.

use crate::catalogue as c;
use crate::spans::{DropReason, Drops};
use crate::{Counter, Sample};

/// What became of an export of all metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricOutcome {
    /// A collector took all of them.
    Ok,
    /// It did not, or not in time.
    Failed,
    /// It took them, but for some that it rejected.
    Rejected,
}

const OUTCOMES: [&str; 3] = ["ok", "failed", "rejected"];

/// Exports of all metrics, by what became of them.
#[derive(Debug, Default)]
pub struct MetricCounts([Counter; OUTCOMES.len()]);

impl MetricCounts {
    /// Once more.
    pub fn add(&self, outcome: MetricOutcome) {
        let [ok, failed, rejected] = &self.0;
        let counter = match outcome {
            MetricOutcome::Ok => ok,
            MetricOutcome::Failed => failed,
            MetricOutcome::Rejected => rejected,
        };
        counter.add(1);
    }

    pub(crate) fn read(&self, visit: &mut dyn FnMut(&Sample<'_>)) {
        for (outcome, counter) in OUTCOMES.iter().zip(&self.0) {
            let value = counter.read() as f64;
            visit(&Sample { metric: &c::METRIC_EXPORTS, labels: &[outcome], value });
        }
    }
}

/// Events of the log.
#[derive(Debug, Default)]
pub struct LogCounts {
    exported: Counter,
    dropped: Drops,
}

impl LogCounts {
    /// A collector took so many.
    pub fn exported(&self, count: u64) {
        self.exported.add(count);
    }

    /// How many collectors took so far.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.exported.read()
    }

    /// None got so many.
    pub fn lose(&self, why: DropReason, count: u64) {
        self.dropped.add(why, count);
    }

    /// How many none got so far.
    #[must_use]
    pub fn lost(&self, why: DropReason) -> u64 {
        self.dropped.read(why)
    }

    pub(crate) fn read(&self, visit: &mut dyn FnMut(&Sample<'_>)) {
        let value = self.taken() as f64;
        visit(&Sample { metric: &c::LOGS_EXPORTED, labels: &[], value });
        self.dropped.visit(&c::LOGS_DROPPED, visit);
    }
}
