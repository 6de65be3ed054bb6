//! Where a store stands, and how it gets on with its disk.

use crate::catalogue as c;
use crate::meter::{count, signed};
use crate::{Counter, Gauge, Sample};

/// Offsets in the log, in bytes.
#[derive(Debug, Default)]
pub struct StoreOffsets {
    /// The first message.
    pub min: Gauge,
    /// Handed to the operating system up to here.
    pub written: Gauge,
    /// On disk up to here.
    pub flushed: Gauge,
    /// Acknowledged up to here.
    pub confirmed: Gauge,
    /// Visible to consumers up to here.
    pub dispatched: Gauge,
}

/// What can be wrong with a store, in the order of [`StoreHealth::faults`].
pub const STORE_FAULTS: [&str; 7] =
    ["poisoned", "disk_full", "commit_log", "consume_queue", "index", "checkpoint", "retention"];

/// What a store may wait for its disk with, in the order of [`StoreHealth::waits`].
pub const STORE_WAITS: [&str; 2] = ["write", "sync"];

/// How the store gets on with its disk.
#[derive(Debug, Default)]
pub struct StoreHealth {
    /// Use of the filesystem in percent.
    pub disk_used: Gauge,
    /// The same in bytes.
    pub disk_used_bytes: Gauge,
    /// 1 while sends are refused.
    pub refuses: Gauge,
    /// Reads that the disk failed.
    pub failed_reads: Counter,
    /// Pages that went between the question for them and the look at them.
    pub lost_pages: Counter,
    /// For how long each of [`STORE_WAITS`] that is under way has been so, in seconds.
    pub waits: [Gauge; STORE_WAITS.len()],
    /// 1 for each of [`STORE_FAULTS`] that there is now.
    pub faults: [Gauge; STORE_FAULTS.len()],
}

impl StoreOffsets {
    pub(crate) fn read(&self, visit: &mut dyn FnMut(&Sample<'_>)) {
        let (min, written, flushed) = (self.min.read(), self.written.read(), self.flushed.read());
        let (confirmed, dispatched) = (self.confirmed.read(), self.dispatched.read());
        // The gauges are not set at one moment: a flush may pass what was read before.
        for (metric, value) in
            [(&c::FLUSH_BEHIND, written - flushed), (&c::DISPATCH_BEHIND, written - dispatched)]
        {
            visit(&Sample { metric, labels: &["local", "disk"], value: signed(value.max(0)) });
        }
        let value = signed((written - min).max(0));
        visit(&Sample { metric: &c::STORE_SIZE, labels: &[], value });
        for (place, value) in [
            ("min", min),
            ("written", written),
            ("flushed", flushed),
            ("confirmed", confirmed),
            ("dispatched", dispatched),
        ] {
            visit(&Sample { metric: &c::STORE_OFFSET, labels: &[place], value: signed(value) });
        }
    }
}

impl StoreHealth {
    pub(crate) fn read(&self, visit: &mut dyn FnMut(&Sample<'_>)) {
        for (metric, gauge) in
            [(&c::STORE_DISK_USED, &self.disk_used), (&c::STORE_REFUSES, &self.refuses)]
        {
            visit(&Sample { metric, labels: &[], value: signed(gauge.read()) });
        }
        for (operation, gauge) in STORE_WAITS.iter().zip(&self.waits) {
            let value = signed(gauge.read());
            visit(&Sample { metric: &c::STORE_WAIT, labels: &[operation], value });
        }
        for (fault, gauge) in STORE_FAULTS.iter().zip(&self.faults) {
            let value = signed(gauge.read());
            visit(&Sample { metric: &c::STORE_FAULT, labels: &[fault], value });
        }
        for (metric, counter) in
            [(&c::STORE_FAILED_READS, &self.failed_reads), (&c::STORE_LOST_PAGES, &self.lost_pages)]
        {
            visit(&Sample { metric, labels: &[], value: count(counter.read()) });
        }
    }
}
