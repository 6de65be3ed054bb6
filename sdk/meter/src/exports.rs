//! What became of metrics, and of what the process logs, on their way to a collector. Spans count for themselves.

use crate::catalogue as c;
use crate::spans::SPAN_DROPS;
use crate::{Counter, Sample};

/// What became of requests with metrics, in the order of [`MetricCounts`].
const OUTCOMES: [&str; 2] = ["ok", "failed"];

/// Exports of all metrics, by what became of them.
#[derive(Debug, Default)]
pub struct MetricCounts([Counter; OUTCOMES.len()]);

impl MetricCounts {
    /// Once more, and whether a collector took them.
    pub fn add(&self, is_taken: bool) {
        let [ok, failed] = &self.0;
        if is_taken { ok } else { failed }.add(1);
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
    /// By [`SPAN_DROPS`].
    dropped: [Counter; SPAN_DROPS.len()],
}

impl LogCounts {
    /// A collector took so many.
    pub fn exported(&self, count: u64) {
        self.exported.add(count);
    }

    /// None got so many; `why` is an index of [`SPAN_DROPS`].
    pub fn lose(&self, why: usize, count: u64) {
        if let Some(counter) = self.dropped.get(why) {
            counter.add(count);
        }
    }

    /// How many none got so far.
    #[must_use]
    pub fn lost(&self, why: usize) -> u64 {
        self.dropped.get(why).map_or(0, Counter::read)
    }

    pub(crate) fn read(&self, visit: &mut dyn FnMut(&Sample<'_>)) {
        let value = self.exported.read() as f64;
        visit(&Sample { metric: &c::LOGS_EXPORTED, labels: &[], value });
        for (reason, counter) in SPAN_DROPS.iter().zip(&self.dropped) {
            let value = counter.read() as f64;
            visit(&Sample { metric: &c::LOGS_DROPPED, labels: &[reason], value });
        }
    }
}
