//! Which messages become spans, and the records that wait to be exported as such.
//!
//! The decision comes before anything is put together: a message that is not recorded costs a look
//! at what it carries. A record has a fixed size and goes into a bounded queue; what finds it full
//! is counted and gone. `sdk/telemetry` takes records out and makes spans of them.

mod drops;
mod flushes;
mod ids;
mod names;
mod recent;
mod record;
mod sampling;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use blockhouse_model::{Principal, TraceParent};

use crate::catalogue as c;
use crate::{Counter, Sample};
pub use drops::{DropReason, Drops};
use flushes::Flushes;
pub use flushes::{FLUSH_LINKS_MAX, Flush};
use ids::Ids;
use names::Names;
pub use names::{NAMES_MAX, NameId};
pub use recent::RECENT;
use recent::Recent;
pub use record::{
    CallRecord, FlushRecord, Key, Link, Operation, Reason, Record, Role, StageRecord, Stages, Ticks,
};
use sampling::Sampling;
pub use sampling::{RatioRule, Rules, Tuned, Undecided};

/// What became of spans.
#[derive(Debug, Default)]
pub struct SpanCounts {
    /// Spans that a collector took.
    pub exported: Counter,
    /// Records, or spans, that were dropped.
    pub dropped: Drops,
    /// Messages, and requests to a name server, whose span is none.
    pub invalid: Counter,
}

impl SpanCounts {
    /// So many more were dropped.
    pub fn drop(&self, why: DropReason, count: u64) {
        self.dropped.add(why, count);
    }

    pub(crate) fn read(&self, visit: &mut dyn FnMut(&Sample<'_>)) {
        let value = self.exported.read() as f64;
        visit(&Sample { metric: &c::SPANS_EXPORTED, labels: &[], value });
        self.dropped.visit(&c::SPANS_DROPPED, visit);
        let value = self.invalid.read() as f64;
        visit(&Sample { metric: &c::TRACE_CONTEXTS_INVALID, labels: &[], value });
    }
}

/// A message that is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picked {
    /// The span of the broker's own work, and its trace.
    pub own: TraceParent,
    /// The span that it is a child of; 0 without one.
    pub parent: u64,
    /// Why it is recorded.
    pub reason: Reason,
}

/// What ids of stages step by: an odd number, so that they meet no other soon.
const STAGE_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Picked {
    /// The span of its stage of this number, counted from 1: made of its own, so that those who know one
    /// know the others.
    #[must_use]
    pub fn stage(&self, number: u64) -> u64 {
        self.own.span_id.wrapping_add(STAGE_STEP.wrapping_mul(number)).max(1)
    }

    /// The span that what comes later for the message is a child of: its sender's own, if there is one.
    #[must_use]
    pub const fn context(&self) -> TraceParent {
        let span_id = if self.parent == 0 { self.own.span_id } else { self.parent };
        TraceParent { span_id, ..self.own }
    }
}

/// Decides, and takes records.
#[derive(Debug)]
pub struct Spans {
    sampling: Sampling,
    turns: AtomicU64,
    ids: Ids,
    names: Names,
    recent: Recent,
    flushes: Flushes,
    queue: SyncSender<Record>,
    /// How often records were taken out, from 1; and when, as told by that, a record found no room last.
    taken: AtomicU64,
    full_at: AtomicU64,
    reads_older: bool,
    /// What became of them.
    pub counts: SpanCounts,
}

impl Spans {
    /// Spans by `rules`; `queue_len` records wait for whoever has the other end.
    #[must_use]
    pub fn new(rules: Rules, queue_len: usize) -> (Self, Receiver<Record>) {
        let (queue, records) = sync_channel(queue_len.max(1));
        let spans = Self {
            sampling: Sampling::new(rules),
            turns: AtomicU64::new(0),
            ids: Ids::default(),
            names: Names::default(),
            recent: Recent::default(),
            flushes: Flushes::default(),
            queue,
            taken: AtomicU64::new(1),
            full_at: AtomicU64::new(0),
            reads_older: false,
            counts: SpanCounts::default(),
        };
        (spans, records)
    }

    /// The same, with ratios of their own for some, the first that fits, and so many traces a second at
    /// most of what carries no decision; 0 for no limit.
    #[must_use]
    pub fn sampling(self, ratios: Vec<RatioRule>, per_second: u32) -> Self {
        Self { sampling: self.sampling.with(ratios, per_second), ..self }
    }

    /// The same; whether spans count as well that are named as before there was `traceparent`.
    #[must_use]
    pub fn reading_older(self, reads_older: bool) -> Self {
        Self { reads_older, ..self }
    }

    /// The span that a message's property text names.
    #[must_use]
    pub fn parent(&self, properties: &str) -> Option<TraceParent> {
        TraceParent::of_properties(properties).or_else(|| self.older(properties).flatten())
    }

    /// The span that it names in one of the older ways, if these count; `Some(None)` if that is none.
    #[must_use]
    pub fn older(&self, properties: &str) -> Option<Option<TraceParent>> {
        self.reads_older.then(|| TraceParent::of_older_properties(properties)).flatten()
    }

    /// Puts other rules in force for a while, or ends that.
    pub fn tune(&self, tuned: Option<Tuned>) {
        self.sampling.tune(tuned);
    }

    /// Ends rules that have had their time. Gives whether there were some.
    pub fn expire(&self, now: Duration) -> bool {
        self.sampling.expire(now)
    }

    /// The rules that are in force for a while.
    #[must_use]
    pub fn tuned(&self) -> Option<Tuned> {
        self.sampling.tuned()
    }

    /// The rules that are in force otherwise.
    #[must_use]
    pub const fn configured(&self) -> Rules {
        self.sampling.configured()
    }

    /// Turns for so many requests of a burst: the first one.
    pub fn turns(&self, requests: usize) -> u64 {
        let has_head = self.sampling.has_head();
        if has_head { self.turns.fetch_add(requests as u64, Ordering::Relaxed) } else { 0 }
    }

    /// Whether what carries this span, if any, is recorded. The request's turn is one of [`Self::turns`].
    pub fn pick(&self, parent: Option<TraceParent>, request: &Undecided<'_>) -> Option<Picked> {
        match parent {
            Some(parent) if parent.sampled => Some(self.picked(Some(parent), Reason::Parent)),
            Some(_) => None,
            None if self.sampling.is_turn(request) => {
                self.picked_within(None, Reason::Head, request.at)
            }
            None => None,
        }
    }

    /// What is recorded though nobody's `traceparent` wants it, if there is room for one more trace at
    /// this moment, and for its record; otherwise it is counted, and nothing is put together in vain.
    pub fn picked_within(
        &self,
        parent: Option<TraceParent>,
        reason: Reason,
        at: Duration,
    ) -> Option<Picked> {
        if self.full_at.load(Ordering::Relaxed) == self.taken.load(Ordering::Relaxed) {
            self.counts.drop(DropReason::Queue, 1);
            return None;
        }
        if !self.sampling.has_room(at) {
            self.counts.drop(DropReason::Limit, 1);
            return None;
        }
        Some(self.picked(parent, reason))
    }

    /// Whether it matters how long something took.
    #[must_use]
    pub fn minds_time(&self) -> bool {
        self.sampling.slow().is_some()
    }

    /// What was not picked and took `total`, or failed: whether it is recorded after all, and why.
    pub fn reconsider(&self, total: Duration, failed: bool) -> Option<Reason> {
        if failed && self.sampling.errors() {
            return Some(Reason::Error);
        }
        self.sampling.slow().filter(|slow| total >= *slow).map(|_| Reason::Slow)
    }

    /// What was not picked, and a plugin has failed at: whether it is recorded after all, and why.
    pub fn reconsider_failed_call(&self) -> Option<Reason> {
        self.sampling.errors().then_some(Reason::Plugin)
    }

    /// A span of its own below another of the same trace.
    pub fn below(&self, of: TraceParent) -> TraceParent {
        TraceParent { span_id: self.ids.span(), ..of }
    }

    /// What is recorded, as a child of `parent` if there is one.
    pub fn picked(&self, parent: Option<TraceParent>, reason: Reason) -> Picked {
        let ((trace_id, span_id), parent) = match parent {
            Some(parent) => ((parent.trace_id, self.ids.span()), parent.span_id),
            None => (self.ids.root(), 0),
        };
        let own = TraceParent { trace_id, span_id, sampled: true };
        Picked { own, parent, reason }
    }

    /// The number of a topic or group, as records have it.
    pub fn name(&self, text: &str) -> NameId {
        self.names.id(text)
    }

    /// The number of who asked.
    pub fn principal(&self, principal: &Principal) -> Option<NameId> {
        match principal {
            Principal::Anonymous => None,
            Principal::User(name) | Principal::Plugin(name) => Some(self.name(name)),
        }
    }

    /// What `id` stands for.
    #[must_use]
    pub fn text(&self, id: NameId) -> std::sync::Arc<str> {
        self.names.text(id)
    }

    /// Remembers the span of a message that was stored; `place` is that in its queue and in the log.
    pub fn remember(&self, topic: &str, queue: u32, place: (u64, u64), context: TraceParent) {
        self.queue(topic, queue).remember(place, context);
    }

    /// What lies before that place in the log was stored by a process that is gone.
    pub fn begin_at(&self, physical: u64) {
        self.recent.forget_before(physical);
    }

    /// What is remembered of a queue.
    #[must_use]
    pub fn queue(&self, topic: &str, queue: u32) -> RecentQueue<'_> {
        RecentQueue { recent: &self.recent, first: self.recent.key(topic, queue, 0) }
    }

    /// Puts a record aside, or drops it where there is no room; gives whether it is there. Never waits.
    pub fn push(&self, record: Record) -> bool {
        // Asked before, so that a queue is not taken for full that was emptied meanwhile.
        let taken = self.taken.load(Ordering::Acquire);
        let is_there = self.queue.try_send(record).is_ok();
        if !is_there {
            self.full_at.store(taken, Ordering::Relaxed);
            self.counts.drop(DropReason::Queue, 1);
        }
        is_there
    }

    /// Records were taken out: there is room again.
    pub fn made_room(&self) {
        self.taken.fetch_add(1, Ordering::Release);
    }
}

/// The remembered messages of a queue.
#[derive(Clone, Copy, Debug)]
pub struct RecentQueue<'a> {
    recent: &'a Recent,
    first: u64,
}

impl RecentQueue<'_> {
    /// The span of the message at `offset`, if it was recorded and is remembered.
    #[must_use]
    pub fn at(&self, offset: u64) -> Option<TraceParent> {
        self.recent.find(self.first.wrapping_add(offset))
    }

    /// Remembers the span of the message at `place`, in the queue and in the log.
    pub fn remember(&self, (offset, physical): (u64, u64), context: TraceParent) {
        self.recent.put(self.first.wrapping_add(offset), physical, context);
    }

    /// Whether a message that is not remembered may have been recorded when it was sent: it lies at
    /// `physical` in the log, stored before the process began or crowded out since.
    #[must_use]
    pub fn may_have_forgotten(&self, physical: u64) -> bool {
        self.recent.may_have_forgotten(physical)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(head: f64) -> (Spans, Receiver<Record>) {
        Spans::new(Rules { head, slow: Some(Duration::from_millis(5)), errors: true }, 2)
    }

    fn turn(turn: u64) -> Undecided<'static> {
        Undecided { turn, ..Undecided::default() }
    }

    const PARENT: TraceParent = TraceParent { trace_id: 7, span_id: 9, sampled: true };

    #[test]
    fn a_parent_decides() {
        let (all, _queue) = spans(1.0);
        assert_eq!(all.pick(Some(TraceParent { sampled: false, ..PARENT }), &turn(0)), None);
        let (none, _queue) = spans(0.0);
        let picked = none.pick(Some(PARENT), &turn(0)).unwrap();
        assert_eq!((picked.own.trace_id, picked.parent, picked.reason), (7, 9, Reason::Parent));
        assert_ne!(picked.own.span_id, 9);
        assert_eq!(picked.context().span_id, 9, "what comes later is the sender's child as well");
        assert_eq!(none.pick(None, &turn(0)), None);
    }

    #[test]
    fn the_head_ratio_is_kept_and_evenly_spread() {
        for (head, of_thousand) in [(0.0, 0), (0.01, 10), (0.25, 250), (0.999, 999), (1.0, 1_000)] {
            let (spans, _queue) = spans(head);
            let picked: Vec<u64> =
                (0..1_000).filter(|t| spans.pick(None, &turn(*t)).is_some()).collect();
            assert!(picked.len().abs_diff(of_thousand) <= 1, "{head}: {}", picked.len());
            let gaps = picked.windows(2).map(|pair| pair[1] - pair[0]);
            let (least, most) = gaps.fold((u64::MAX, 0), |(a, b), g| (a.min(g), b.max(g)));
            assert!(picked.len() < 2 || most - least <= 1, "{head}: {least} to {most}");
        }
        let (spans, _queue) = spans(0.5);
        assert_eq!((spans.turns(3), spans.turns(2), spans.turns(1)), (0, 3, 5));
        let roots = [spans.pick(None, &turn(0)), spans.pick(None, &turn(2))].map(Option::unwrap);
        assert_ne!(roots[0].own.trace_id, roots[1].own.trace_id);
        assert_eq!((roots[0].parent, roots[0].context()), (0, roots[0].own));
    }

    #[test]
    fn what_is_slow_or_fails_is_recorded_after_all() {
        let (spans, _queue) = spans(0.0);
        let millis = Duration::from_millis;
        assert_eq!(spans.reconsider(millis(4), false), None);
        assert_eq!(spans.reconsider(millis(5), false), Some(Reason::Slow));
        assert_eq!(spans.reconsider(millis(0), true), Some(Reason::Error));
        let (silent, _queue) = Spans::new(Rules { head: 1.0, slow: None, errors: false }, 1);
        assert_eq!(silent.reconsider(millis(9_999), true), None);
    }

    #[test]
    fn beyond_the_limit_only_parents_are_recorded() {
        let (spans, _queue) = spans(1.0);
        let spans = spans.sampling(Vec::new(), 3);
        let at = Duration::from_secs(5);
        let request = Undecided { at, ..Undecided::default() };
        let picked = (0..10).filter(|_| spans.pick(None, &request).is_some()).count();
        assert_eq!((picked, spans.counts.dropped.read(DropReason::Limit)), (3, 7));
        assert_eq!(spans.picked_within(None, Reason::Slow, at), None);
        assert!(spans.pick(Some(PARENT), &request).is_some());
        assert_eq!(spans.counts.dropped.read(DropReason::Limit), 8);
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (spans, queue) = spans(1.0);
        let link = Record::Link(Link { of: 1, to: PARENT });
        assert_eq!([spans.push(link), spans.push(link), spans.push(link)], [true, true, false]);
        assert!(!spans.push(link) && !spans.push(link));
        assert_eq!(spans.counts.dropped.read(DropReason::Queue), 3);
        assert_eq!(queue.try_iter().count(), 2);
        assert!(spans.push(link));
        drop(queue);
        assert!(!spans.push(link));
        assert_eq!(spans.counts.dropped.read(DropReason::Queue), 4, "nobody takes them any more");
    }

    #[test]
    fn nothing_is_picked_for_a_full_queue_until_there_is_room() {
        let (spans, queue) = spans(1.0);
        let link = Record::Link(Link { of: 1, to: PARENT });
        while spans.push(link) {}
        let dropped = || spans.counts.dropped.read(DropReason::Queue);
        assert_eq!((spans.pick(None, &turn(0)), dropped()), (None, 2));
        assert_eq!(spans.picked_within(None, Reason::Error, Duration::ZERO), None);
        assert!(
            spans.pick(Some(PARENT), &turn(0)).is_some(),
            "its trace is recorded elsewhere too"
        );
        assert_eq!(queue.try_iter().count(), 2);
        spans.made_room();
        assert!(spans.pick(None, &turn(0)).is_some());
        assert_eq!(dropped(), 3);
    }

    #[test]
    fn a_message_is_remembered_by_its_place() {
        let (spans, _queue) = spans(1.0);
        spans.remember("orders", 3, (17, 4_000), PARENT);
        assert_eq!(spans.queue("orders", 3).at(17), Some(PARENT));
        for (topic, queue, offset) in [("orders", 3, 16), ("orders", 2, 17), ("bills", 3, 17)] {
            assert_eq!(spans.queue(topic, queue).at(offset), None);
        }
    }
}
