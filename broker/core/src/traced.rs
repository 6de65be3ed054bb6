//! Spans of what happens to a message after it was sent: it is settled, sent back, set free.
//!
//! They are children of the message's own span: that of its producer, or the broker's `send`.

use std::time::Duration;

use blockhouse_hook::PluginCall;
use blockhouse_meta::offsets::Committed;
use blockhouse_meter::Spans;
use blockhouse_meter::spans::{
    CallRecord, Link, Operation, Picked, RECENT, Reason, Record, Role, StageRecord, Ticks,
};
use blockhouse_model::{QueueId, QueueOffset, RequestContext, TraceParent};
use blockhouse_record::{Draft, View};
use blockhouse_store::Placed;

use crate::Broker;

/// Links of one span.
pub(crate) const LINKS_MAX: usize = 32;
/// Recorded messages that one commit settles; what is beyond them has no span.
const SETTLED_MAX: usize = 32 * LINKS_MAX;

/// A group's place in a queue.
#[derive(Clone, Copy)]
pub(crate) struct Progress<'a> {
    pub(crate) group: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) queue: QueueId,
    pub(crate) offset: QueueOffset,
}

/// Spans go on with the trace of the one message they are about, and are linked with those of several.
pub(crate) fn pick(spans: &Spans, mut of: impl ExactSizeIterator<Item = TraceParent>) -> Picked {
    let parent = if of.len() == 1 { of.next() } else { None };
    let picked = spans.picked(parent, Reason::Parent);
    for to in of {
        spans.push(Record::Link(Link { of: picked.own.span_id, to }));
    }
    picked
}

/// Where plugins were asked.
#[derive(Clone, Copy)]
pub(crate) enum Asked {
    /// In the stage `hooks`, which is the first one.
    InHooks,
    /// In the span itself, which has no stages.
    InSpan,
}

/// Records calls of plugins that were made for what `picked` is the span of.
pub(crate) fn push_calls<'a>(
    spans: &Spans,
    (picked, asked): (Picked, Asked),
    calls: impl Iterator<Item = &'a PluginCall>,
) {
    let parent = match asked {
        Asked::InHooks => picked.stage(1),
        Asked::InSpan => picked.own.span_id,
    };
    for call in calls {
        spans.push(Record::Call(CallRecord {
            role: Role::Broker,
            own: spans.below(picked.own),
            parent,
            plugin: spans.name(call.plugin()),
            hook: call.hook,
            verdict: call.verdict,
            failure: call.failure,
            is_shadow: call.is_shadow,
            messages: u32::try_from(call.messages).unwrap_or(u32::MAX),
            began: call.began,
            took: Ticks::of(call.took),
        }));
    }
}

impl Broker {
    /// The span that a stored message belongs to, if it has one; it is recorded if it is sampled.
    pub(crate) fn span_of(&self, view: &View<'_>) -> Option<TraceParent> {
        let spans = self.spans()?;
        let remembered = spans.queue(view.topic, view.queue.0).at(view.queue_offset.0);
        remembered.or_else(|| spans.parent(view.properties))
    }

    /// A message of this span is stored anew: what comes of it belongs to the same trace. Between its
    /// place and its visibility.
    pub(crate) fn carry_span(&self, span: TraceParent, new: &Draft<'_>, place: &Placed) {
        if let Some(spans) = self.spans().filter(|_| span.sampled) {
            let at = (place.queue_offset.0, place.physical_offset.0);
            spans.remember(new.topic, new.queue.0, at, span);
        }
    }

    /// Commits a group's progress, and records that it is done with what it passes; `false` if there is no room
    /// for it.
    pub(crate) fn commit(&self, cx: &RequestContext, to: Progress<'_>) -> bool {
        let Progress { group, topic, queue, offset } = to;
        let committed = self.offsets().commit(group, topic, queue, offset);
        if let (Some(spans), Committed::Moved { from }) = (self.spans(), committed) {
            let settled = settled(spans, to, from.unwrap_or_default());
            if !settled.is_empty() {
                let passed = from.map(|from| offset.0.saturating_sub(from.0));
                self.record_settled(spans, cx, to, (&settled, passed));
            }
        }
        committed != Committed::Refused
    }

    fn record_settled(
        &self,
        spans: &Spans,
        cx: &RequestContext,
        to: Progress<'_>,
        (settled, passed): (&[TraceParent], Option<u64>),
    ) {
        let (now, topic) = (self.clock().monotonic(), spans.name(to.topic));
        let passed = passed.unwrap_or(settled.len() as u64);
        for some in settled.chunks(LINKS_MAX) {
            let picked = pick(spans, some.iter().copied());
            spans.push(Record::Stages(StageRecord {
                principal: spans.principal(&cx.principal),
                group: Some(spans.name(to.group)),
                queue: Some(to.queue.0),
                messages: u32::try_from(passed).unwrap_or(u32::MAX),
                place: Some((to.offset.0, None)),
                ..StageRecord::new(picked, Operation::Commit, now, cx.peer, topic)
            }));
        }
    }

    /// Records messages whose delay is over: those of `spans`, by their numbers among `views`.
    pub(crate) fn record_released(
        &self,
        began: Duration,
        traced: &[(usize, TraceParent)],
        (views, drafts, placed): (&[View<'_>], &[Draft<'_>], &[Placed]),
    ) {
        let Some(spans) = self.spans() else { return };
        let total = Ticks::of(self.clock().monotonic().saturating_sub(began));
        for (at, span) in traced {
            let of = (views.get(*at), drafts.get(*at), placed.get(*at));
            let (Some(view), Some(draft), Some(place)) = of else { continue };
            let picked = spans.picked(Some(*span), Reason::Parent);
            let (peer, topic) = (self.identity().store_host, spans.name(draft.topic));
            let record = StageRecord {
                total,
                queue: Some(draft.queue.0),
                bytes: u64::from(place.size),
                place: Some((place.queue_offset.0, Some(place.physical_offset.0))),
                delay_level: view.queue.0.saturating_add(1),
                ..StageRecord::new(picked, Operation::Release, began, peer, topic)
            };
            spans.push_stored(record, Some(place.end().0));
        }
    }
}

/// The spans of the messages that progress passes, as far as they are remembered.
fn settled(spans: &Spans, to: Progress<'_>, from: QueueOffset) -> Vec<TraceParent> {
    let queue = spans.queue(to.topic, to.queue.0);
    let first = from.0.max(to.offset.0.saturating_sub(RECENT as u64));
    (first..to.offset.0).filter_map(|offset| queue.at(offset)).take(SETTLED_MAX).collect()
}
