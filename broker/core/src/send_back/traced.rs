//! Messages that are sent back, as spans.

use std::time::Duration;

use blockhouse_meter::spans::{Operation, Reason, StageRecord, Ticks};
use blockhouse_model::names::retry_topic;
use blockhouse_model::{QueueId, TraceParent, names};
use blockhouse_store::Placed;

use super::SendBack;
use crate::{Broker, Caller};

/// What is known of a message that is sent back, as far as it has come.
#[derive(Default)]
pub(super) struct Noted {
    /// The span that it belongs to.
    pub(super) span: Option<TraceParent>,
    /// Where it goes in the end.
    pub(super) to: Option<(String, QueueId)>,
    /// The level of its delay until then.
    pub(super) delay_level: u32,
    /// Where it lies now.
    pub(super) place: Option<Placed>,
}

impl Broker {
    /// Records what began at `began` and was answered with `code`, if it is to be.
    pub(super) fn record_back(
        &self,
        caller: Caller<'_>,
        back: &SendBack<'_>,
        (began, noted, code): (Duration, Noted, i32),
    ) {
        let Some(spans) = self.spans() else { return };
        let total = self.clock().monotonic().saturating_sub(began);
        let picked = match noted.span {
            Some(span) if span.sampled => Some(spans.picked(Some(span), Reason::Parent)),
            span => spans
                .reconsider(total, code != 0)
                .and_then(|reason| spans.picked_within(span, reason, began + total)),
        };
        let Some(picked) = picked else { return };
        let (topic, queue) = noted.to.unzip();
        let topic = topic.unwrap_or_else(|| retry_topic(back.group));
        let operation =
            if names::is_dlq(&topic) { Operation::DeadLetter } else { Operation::Retry };
        let topic = spans.name(&topic);
        let record = StageRecord {
            total: Ticks::of(total),
            principal: spans.principal(&caller.cx.principal),
            group: Some(spans.name(back.group)),
            queue: queue.map(|queue| queue.0),
            bytes: noted.place.map_or(0, |place| u64::from(place.size)),
            place: noted.place.map(|p| (p.queue_offset.0, Some(p.physical_offset.0))),
            delay_level: noted.delay_level,
            code,
            ..StageRecord::new(picked, operation, began, caller.cx.peer, topic)
        };
        spans.push_stored(record, noted.place.map(|place| place.end().0));
    }
}
