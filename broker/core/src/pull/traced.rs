//! Deliveries that are recorded as spans: those of messages that were recorded when they were sent,
//! and slow ones.

use std::time::Duration;

use blockhouse_hook::Calls;
use blockhouse_meter::Spans;
use blockhouse_meter::spans::{Operation, RecentQueue, Record, StageRecord, Ticks};
use blockhouse_model::{QueueOffset, TraceParent};
use blockhouse_store::{Accept, ReadOutcome};

use super::Plan;
use crate::traced::{Asked, LINKS_MAX, pick, push_calls};
use crate::{Broker, Refusal};

/// What is noted while a queue is read.
pub(super) struct Reading {
    began: Duration,
    /// How many entries were looked at.
    entries: u64,
    /// Wanted messages that were recorded when they were sent, by their offsets.
    found: Vec<(QueueOffset, TraceParent)>,
}

/// Looks for the spans of the messages that are wanted.
pub(super) struct Noting<'a, A> {
    wants: A,
    queue: RecentQueue<'a>,
    from: QueueOffset,
    reading: &'a mut Reading,
}

impl<A: FnMut(i64) -> bool> Accept for Noting<'_, A> {
    fn entry(&mut self, tags_code: i64) -> bool {
        let offset = self.from.plus(self.reading.entries);
        self.reading.entries += 1;
        if !(self.wants)(tags_code) {
            return false;
        }
        if let Some(context) = self.queue.at(offset.0)
            && self.reading.found.len() < LINKS_MAX
        {
            self.reading.found.push((offset, context));
        }
        true
    }
}

impl Reading {
    /// Notes what is read by `plan` and wanted.
    pub(super) fn noting<'a, A: FnMut(i64) -> bool>(
        &'a mut self,
        spans: &'a Spans,
        plan: &Plan,
        wants: A,
    ) -> Noting<'a, A> {
        let queue = spans.queue(&plan.topic.name, plan.queue.0);
        Noting { wants, queue, from: plan.offset, reading: self }
    }

    /// The spans of what goes out. Where entries were passed over unseen, which happens in a damaged
    /// queue, nobody knows which offsets the others had.
    fn delivered(&self, plan: &Plan, next: QueueOffset) -> &[(QueueOffset, TraceParent)] {
        if self.entries < next.0.saturating_sub(plan.offset.0) {
            return &[];
        }
        let end = self.found.partition_point(|(offset, _)| *offset < next);
        self.found.get(..end).unwrap_or_default()
    }
}

impl Broker {
    /// Begins to note a read, if anything is recorded.
    pub(super) fn begin_reading(&self) -> Option<Reading> {
        self.spans()?;
        Some(Reading { began: self.clock().monotonic(), entries: 0, found: Vec::new() })
    }

    /// Records a delivery, if it is to be, and there is room for it: as what span. `read` is what goes out, or would if it were not
    /// refused.
    pub(super) fn record_delivered(
        &self,
        plan: &Plan,
        reading: &Reading,
        read: &ReadOutcome,
        (calls, refused): (Option<&Calls>, Option<&Refusal>),
    ) -> Option<TraceParent> {
        let spans = self.spans()?;
        let found = reading.delivered(plan, read.next);
        let failed_call = calls.is_some_and(Calls::has_failure);
        let is_plain = refused.is_none() && !failed_call;
        if is_plain && (read.count == 0 || (found.is_empty() && !spans.minds_time())) {
            return None;
        }
        let total = self.clock().monotonic().saturating_sub(reading.began);
        let picked = if found.is_empty() {
            let plugin = failed_call.then(|| spans.reconsider_failed_call()).flatten();
            let reason = plugin.or_else(|| spans.reconsider(total, refused.is_some()));
            let at = reading.began + total;
            reason.and_then(|reason| spans.picked_within(None, reason, at))
        } else {
            Some(pick(spans, found.iter().map(|(_, context)| *context)))
        };
        let picked = picked?;
        if let Some(calls) = calls {
            calls.read(|calls| push_calls(spans, (picked, Asked::InSpan), calls.iter()));
        }
        let topic = spans.name(&plan.topic.name);
        let is_kept = spans.push(Record::Stages(StageRecord {
            total: Ticks::of(total),
            principal: spans.principal(&plan.cx.principal),
            group: Some(spans.name(&plan.group.name)),
            queue: Some(plan.queue.0),
            messages: u32::try_from(read.count).unwrap_or(u32::MAX),
            bytes: read.bytes as u64,
            code: refused.map_or(0, |refusal| self.code_of(refusal)),
            ..StageRecord::new(picked, Operation::Deliver, reading.began, plan.cx.peer, topic)
        }));
        is_kept.then_some(picked.own)
    }
}
