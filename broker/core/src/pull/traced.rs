//! Deliveries that are recorded as spans: those of messages that were recorded when they were sent,
//! and slow ones.

use std::time::Duration;

use blockhouse_meter::Spans;
use blockhouse_meter::spans::{
    Key, Link, Operation, Picked, Reason, RecentQueue, Record, StageRecord, Stages, Ticks,
};
use blockhouse_model::{QueueOffset, TraceParent};
use blockhouse_store::{Accept, ReadOutcome};

use super::Plan;
use crate::Broker;

/// Links of one delivery.
const LINKS_MAX: usize = 32;

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

    /// Records a delivery, if it is to be: as what span. `read` is what goes out.
    pub(super) fn record_delivered(
        &self,
        plan: &Plan,
        reading: &Reading,
        read: &ReadOutcome,
    ) -> Option<TraceParent> {
        let spans = self.spans()?;
        let found = reading.delivered(plan, read.next);
        if read.count == 0 || (found.is_empty() && !spans.minds_time()) {
            return None;
        }
        let total = self.clock().monotonic().saturating_sub(reading.began);
        let picked = pick(spans, found, total)?;
        if found.len() > 1 {
            for (_, context) in found {
                spans.push(Record::Link(Link { of: picked.own.span_id, to: *context }));
            }
        }
        spans.push(Record::Stages(StageRecord {
            picked,
            operation: Operation::Deliver,
            began: reading.began,
            total: Ticks::of(total),
            stages: Stages::default(),
            peer: plan.cx.peer,
            principal: spans.principal(&plan.cx.principal),
            code: 0,
            topic: spans.name(&plan.topic.name),
            group: Some(spans.name(&plan.group.name)),
            queue: Some(plan.queue.0),
            key: Key::default(),
            messages: u32::try_from(read.count).unwrap_or(u32::MAX),
            bytes: read.bytes as u64,
            place: None,
        }));
        Some(picked.own)
    }
}

/// One recorded message goes on with its own trace; several are linked from another.
fn pick(spans: &Spans, found: &[(QueueOffset, TraceParent)], total: Duration) -> Option<Picked> {
    match found {
        [] => spans.reconsider(total, false).map(|reason| spans.picked(None, reason)),
        [(_, context)] => Some(spans.picked(Some(*context), Reason::Parent)),
        _ => Some(spans.picked(None, Reason::Parent)),
    }
}
