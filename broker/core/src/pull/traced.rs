//! Deliveries that are recorded as spans: those of messages that were recorded when they were sent,
//! and slow ones.

use std::time::Duration;

use blockhouse_hook::Calls;
use blockhouse_meter::Spans;
use blockhouse_meter::spans::{Operation, RecentQueue, Record, StageRecord, Ticks};
use blockhouse_model::{PhysicalOffset, QueueOffset, RequestContext, TraceParent};
use blockhouse_record::View;
use blockhouse_store::{Accept, ReadOutcome};

use super::{Plan, Pull};
use crate::refusal::RefusalKind;
use crate::traced::{Asked, LINKS_MAX, pick, push_calls};
use crate::{Broker, Refusal};

/// What is noted while a queue is read.
pub(super) struct Reading {
    began: Duration,
    /// How many entries were looked at.
    entries: u64,
    /// Wanted messages that were recorded when they were sent, by their offsets.
    found: Vec<(QueueOffset, TraceParent)>,
    /// Whether records are still looked at, of messages that nobody remembers: up to the first that is not
    /// sampled, so that a fetch of such costs one look.
    looks: bool,
}

/// Looks for the spans of the messages that are wanted.
pub(super) struct Noting<'a, A> {
    wants: A,
    spans: &'a Spans,
    queue: RecentQueue<'a>,
    from: QueueOffset,
    reading: &'a mut Reading,
    /// The message that was asked for last, if nothing is remembered of it.
    unknown: Option<QueueOffset>,
}

impl<A: FnMut(i64) -> bool> Accept for Noting<'_, A> {
    fn entry(&mut self, tags_code: i64) -> bool {
        let offset = self.from.plus(self.reading.entries);
        self.reading.entries += 1;
        if !(self.wants)(tags_code) {
            return false;
        }
        let known = self.queue.at(offset.0);
        self.unknown = known.is_none().then_some(offset);
        if let Some(context) = known {
            self.reading.note(offset, context);
        }
        true
    }

    fn looks_at(&mut self, at: PhysicalOffset) -> bool {
        let asks = self.reading.looks && self.unknown.is_some();
        if asks {
            // Those behind one of which all is known are known as well.
            self.reading.looks = self.queue.may_have_forgotten(at.0);
        }
        asks && self.reading.looks
    }

    fn record(&mut self, record: &[u8]) -> bool {
        let view = View::parse(record).ok();
        let span = view.and_then(|view| {
            let parent = self.spans.parent(view.properties)?;
            parent.sampled.then_some((view, parent))
        });
        match (self.unknown.take(), span) {
            (Some(offset), Some((view, parent))) => {
                self.reading.note(offset, parent);
                // A commit will ask for it.
                self.queue.remember((offset.0, view.physical_offset.0), parent);
            }
            _ => self.reading.looks = false,
        }
        true
    }
}

impl Reading {
    fn note(&mut self, offset: QueueOffset, context: TraceParent) {
        if self.found.len() < LINKS_MAX {
            self.found.push((offset, context));
        }
        self.looks &= self.found.len() < LINKS_MAX;
    }

    /// Notes what is read by `plan` and wanted.
    pub(super) fn noting<'a, A: FnMut(i64) -> bool>(
        &'a mut self,
        spans: &'a Spans,
        plan: &Plan,
        wants: A,
    ) -> Noting<'a, A> {
        let queue = spans.queue(&plan.topic.name, plan.queue.0);
        Noting { wants, spans, queue, from: plan.offset, reading: self, unknown: None }
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
        let began = self.clock().monotonic();
        Some(Reading { began, entries: 0, found: Vec::new(), looks: true })
    }

    /// Records a pull that somebody may not do. What is not there yet is no error: clients ask for it every few
    /// seconds.
    pub(super) fn record_denied(&self, cx: &RequestContext, pull: &Pull<'_>, refusal: &Refusal) {
        let is_denied =
            matches!(refusal.kind, RefusalKind::NoPermission(_) | RefusalKind::Chosen(_));
        let Some(spans) = self.spans().filter(|_| is_denied) else { return };
        let now = self.clock().monotonic();
        let reason = spans.reconsider(Duration::ZERO, true);
        let picked = reason.and_then(|reason| spans.picked_within(None, reason, now));
        let Some(picked) = picked else { return };
        let topic = spans.name(pull.topic);
        spans.push(Record::Stages(StageRecord {
            principal: spans.principal(&cx.principal),
            group: Some(spans.name(pull.group)),
            queue: u32::try_from(pull.queue).ok(),
            code: self.code_of(refusal),
            ..StageRecord::new(picked, Operation::Deliver, now, cx.peer, topic)
        }));
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
