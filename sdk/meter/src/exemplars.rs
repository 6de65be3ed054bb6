//! Of each histogram bucket of the times of requests, the last request that became a span.

use std::collections::BTreeMap;

use blockhouse_model::{Timestamp, TraceParent};
use parking_lot::Mutex;

use crate::RpcKind;
use crate::latencies::{BOUNDS, RPC_KINDS_MAX};

/// A request that became a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// Its span.
    pub span: TraceParent,
    /// How long it took, in thousandths of a millisecond.
    pub micros: u64,
    /// When it was answered.
    pub at: Timestamp,
}

/// The exemplars of a histogram, by bucket; one more than there are bounds.
pub type Row = [Option<Exemplar>; BOUNDS.len() + 1];

/// Exemplars of times of requests.
#[derive(Debug, Default)]
pub struct Exemplars(Mutex<BTreeMap<RpcKind, Row>>);

impl Exemplars {
    /// Keeps a request as the last of its bucket. Where somebody else is at it, it is not kept: there will
    /// be another one.
    pub fn keep(&self, kind: RpcKind, exemplar: Exemplar) {
        let Some(mut rows) = self.0.try_lock() else { return };
        if rows.len() >= RPC_KINDS_MAX && !rows.contains_key(&kind) {
            return;
        }
        let bucket = BOUNDS.partition_point(|bound| *bound < exemplar.micros);
        if let Some(last) = rows.entry(kind).or_default().get_mut(bucket) {
            *last = Some(exemplar);
        }
    }

    /// All of them.
    #[must_use]
    pub fn read(&self) -> BTreeMap<RpcKind, Row> {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: RpcKind = RpcKind { request: 310, response: 0, is_held: false, is_one_way: false };

    fn exemplar(micros: u64, trace_id: u128) -> Exemplar {
        let span = TraceParent { trace_id, span_id: 1, sampled: true };
        Exemplar { span, micros, at: Timestamp(5) }
    }

    #[test]
    fn each_bucket_has_its_last() {
        let exemplars = Exemplars::default();
        for (trace, micros) in [(1, 900), (2, 1_000), (3, 1_001), (4, 4_000_000)] {
            exemplars.keep(KIND, exemplar(micros, trace));
        }
        let row = exemplars.read()[&KIND];
        let traces: Vec<_> = row.iter().map(|e| e.map_or(0, |e| e.span.trace_id)).collect();
        assert_eq!(traces, [2, 3, 0, 0, 0, 0, 0, 0, 0, 4]);
    }

    #[test]
    fn kinds_are_bounded_and_nobody_waits() {
        let exemplars = Exemplars::default();
        for request in 0..300 {
            exemplars.keep(RpcKind { request, ..KIND }, exemplar(1, 1));
        }
        assert_eq!(exemplars.read().len(), RPC_KINDS_MAX);
        exemplars.keep(RpcKind { request: 0, ..KIND }, exemplar(1, 2));
        let held = exemplars.0.lock();
        exemplars.keep(RpcKind { request: 0, ..KIND }, exemplar(1, 3));
        drop(held);
        let first = exemplars.read()[&RpcKind { request: 0, ..KIND }][0];
        assert_eq!(first.map(|e| e.span.trace_id), Some(2));
    }
}
