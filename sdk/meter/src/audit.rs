//! What the audit log counts.

use crate::catalogue as c;
use crate::{Counter, Gauge, Sample};

/// Kinds of records, in the order of [`AuditCounts::records`]: those of the hooks' events, and the log's own.
pub const AUDIT_KINDS: [&str; 10] = [
    "connection",
    "authentication",
    "authorization",
    "send",
    "delivery",
    "admin_command",
    "broker_registration",
    "route_query",
    "plugin",
    "audit",
];

/// What an audit log did.
#[derive(Debug, Default)]
pub struct AuditCounts {
    /// 1 where there is a log; nothing is shown without.
    pub enabled: Gauge,
    /// Records by [`AUDIT_KINDS`].
    pub records: [Counter; AUDIT_KINDS.len()],
    /// Bytes of records.
    pub bytes: Counter,
    /// Events that went into a record with others like them.
    pub merged: Counter,
    /// Events that became no record.
    pub lost: Counter,
    /// Writes and syncs that failed.
    pub failures: Counter,
    /// 1 while it can be written.
    pub writable: Gauge,
    /// Events that are not on disk yet.
    pub pending: Gauge,
    /// For how long the first of them has not been, in milliseconds.
    pub lag_ms: Gauge,
    /// When the last checkpoint was signed, in milliseconds.
    pub checkpoint_ms: Gauge,
}

impl AuditCounts {
    pub(crate) fn read(&self, visit: &mut dyn FnMut(&Sample<'_>)) {
        if self.enabled.read() == 0 {
            return;
        }
        for (kind, records) in AUDIT_KINDS.iter().zip(&self.records) {
            let value = records.read() as f64;
            visit(&Sample { metric: &c::AUDIT_RECORDS, labels: &[kind], value });
        }
        let mut one = |metric, value| visit(&Sample { metric, labels: &[], value });
        one(&c::AUDIT_BYTES, self.bytes.read() as f64);
        one(&c::AUDIT_MERGED, self.merged.read() as f64);
        one(&c::AUDIT_LOST, self.lost.read() as f64);
        one(&c::AUDIT_WRITE_FAILURES, self.failures.read() as f64);
        one(&c::AUDIT_WRITABLE, self.writable.read() as f64);
        one(&c::AUDIT_PENDING, self.pending.read() as f64);
        one(&c::AUDIT_LAG, self.lag_ms.read() as f64 / 1_000.0);
        one(&c::AUDIT_CHECKPOINT_TIME, self.checkpoint_ms.read() as f64 / 1_000.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_where_there_is_no_log() {
        let counts = AuditCounts::default();
        let mut seen = Vec::new();
        counts.read(&mut |s| seen.push((s.metric.name, s.value)));
        assert!(seen.is_empty());
        counts.enabled.set(1);
        counts.records[5].add(3);
        counts.checkpoint_ms.set(1_500);
        counts.read(&mut |s| {
            assert_eq!(s.labels.len(), s.metric.labels.len());
            seen.push((s.metric.name, s.value));
        });
        assert!(seen.contains(&("blockhouse_audit_records_total", 3.0)), "{seen:?}");
        assert!(seen.contains(&("blockhouse_audit_checkpoint_time_seconds", 1.5)), "{seen:?}");
    }
}
