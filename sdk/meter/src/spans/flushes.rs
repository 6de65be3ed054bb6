//! Syncs of the log, and the recorded sends that each of them made durable.
//!
//! Whoever syncs the log tells of it here, before anybody is answered; whoever answers a recorded send finds the
//! sync that it waited for. A sync becomes a span once its sends have had time to be answered, and only if one of
//! them is recorded. The room for syncs is taken at the start; links take some for those that are recorded alone.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::Duration;

use blockhouse_model::TraceParent;
use parking_lot::Mutex;

use super::{FlushRecord, Link, Record, Spans, StageRecord};

/// Links of one sync.
pub const FLUSH_LINKS_MAX: usize = 32;
/// Syncs that are remembered.
const FLUSHES_MAX: usize = 1_024;
/// Sends that were answered before their sync: those that did not wait for it, or not long enough.
const EARLY_MAX: usize = 1_024;
/// So long after a sync its sends have been answered.
const PATIENCE: Duration = Duration::from_secs(1);

/// A sync of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flush {
    /// Where in the log it began.
    pub from: u64,
    /// Up to where the log is on disk since.
    pub to: u64,
    /// How many messages lie between.
    pub messages: u64,
    /// When it began, on the monotonic clock.
    pub began: Duration,
    /// How long it took.
    pub took: Duration,
    /// Whether the disk refused it.
    pub has_failed: bool,
}

/// A sync, and the sends that were found to have waited for it.
#[derive(Debug, Default)]
struct Served {
    flush: Flush,
    links: Vec<TraceParent>,
    sends: u32,
}

impl Served {
    fn add(&mut self, send: TraceParent) {
        self.sends = self.sends.saturating_add(1);
        if self.links.len() < FLUSH_LINKS_MAX {
            self.links.push(send);
        }
    }

    const fn is_recorded(&self) -> bool {
        self.sends > 0
    }
}

#[derive(Debug)]
struct Book {
    /// In the order of the log.
    flushes: VecDeque<Served>,
    early: Vec<(u64, TraceParent)>,
    /// Up to where the log was synced, remembered or not.
    to: u64,
}

impl Book {
    fn new() -> Self {
        Self { flushes: VecDeque::with_capacity(FLUSHES_MAX), early: Vec::new(), to: 0 }
    }

    /// Gives the one that it crowds out, if that is recorded.
    fn add(&mut self, flush: Flush) -> Option<Served> {
        let is_full = self.flushes.len() >= FLUSHES_MAX;
        let crowded_out = if is_full { self.flushes.pop_front() } else { None };
        let mut served = Served { flush, ..Served::default() };
        for (_, send) in self.early.extract_if(.., |(end, _)| *end <= flush.to) {
            served.add(send);
        }
        self.flushes.push_back(served);
        self.to = flush.to;
        crowded_out.filter(Served::is_recorded)
    }

    fn serve(&mut self, end: u64, send: TraceParent) {
        if end > self.to {
            if self.early.len() < EARLY_MAX {
                self.early.push((end, send));
            }
            return;
        }
        let at = self.flushes.partition_point(|served| served.flush.to < end);
        // One that is forgotten would be before the first.
        if let Some(served) = self.flushes.get_mut(at).filter(|served| served.flush.from < end) {
            served.add(send);
        }
    }

    /// The next one that nobody will be found for any more.
    fn take(&mut self, now: Duration) -> Option<Served> {
        loop {
            let first = self.flushes.front()?.flush;
            if first.began.saturating_add(first.took).saturating_add(PATIENCE) > now {
                return None;
            }
            let served = self.flushes.pop_front().filter(Served::is_recorded);
            if served.is_some() {
                return served;
            }
        }
    }
}

/// The book; none where sends do not wait for syncs.
#[derive(Debug, Default)]
pub(super) struct Flushes(OnceLock<Mutex<Book>>);

impl Spans {
    /// Sends wait for syncs: from now on these are remembered.
    pub fn watch_flushes(&self) {
        self.flushes.0.get_or_init(|| Mutex::new(Book::new()));
    }

    /// The log was synced, and nobody who waits for that knows yet.
    pub fn flushed(&self, flush: Flush) {
        let Some(book) = self.flushes.0.get() else { return };
        let crowded_out = book.lock().add(flush);
        if let Some(served) = crowded_out {
            self.push_flush(&served);
        }
    }

    /// Puts the record of what stored messages aside, which end at `end` in the log, if there are any; gives
    /// whether it is there. The sync that made them durable is linked with it.
    pub fn push_stored(&self, record: StageRecord, end: Option<u64>) -> bool {
        let is_there = self.push(Record::Stages(record));
        if let Some(end) = end.filter(|_| is_there) {
            self.answered_after_flush(end, record.picked.own);
        }
        is_there
    }

    /// A send that is recorded as this span, and whose messages end at this place of the log, is answered.
    pub fn answered_after_flush(&self, end: u64, send: TraceParent) {
        if let Some(book) = self.flushes.0.get() {
            book.lock().serve(end, send);
        }
    }

    /// Makes records of the syncs whose sends have been answered by now; [`Duration::MAX`]: of all.
    pub fn settle_flushes(&self, now: Duration) {
        let Some(book) = self.flushes.0.get() else { return };
        loop {
            let next = book.lock().take(now);
            let Some(served) = next else { return };
            self.push_flush(&served);
        }
    }

    fn push_flush(&self, served: &Served) {
        let (trace_id, span_id) = self.ids.root();
        let own = TraceParent { trace_id, span_id, sampled: true };
        for to in &served.links {
            self.push(Record::Link(Link { of: span_id, to: *to }));
        }
        let Served { flush, sends, .. } = *served;
        self.push(Record::Flush(FlushRecord { own, flush, sends }));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;

    use super::*;
    use crate::spans::{DropReason, Rules};

    const SECOND: Duration = Duration::from_secs(1);

    fn watching(queue: usize) -> (Spans, Receiver<Record>) {
        let (spans, records) = Spans::new(Rules { head: 0.0, slow: None, errors: false }, queue);
        spans.watch_flushes();
        (spans, records)
    }

    fn send(span_id: u64) -> TraceParent {
        TraceParent { trace_id: 7, span_id, sampled: true }
    }

    fn flush(from: u64, to: u64) -> Flush {
        Flush { from, to, messages: 3, took: SECOND, ..Flush::default() }
    }

    /// From where to where each recorded sync went, the spans that it is linked with, and how many sends it served.
    fn told(records: &Receiver<Record>) -> Vec<(u64, u64, Vec<u64>, u32)> {
        let (mut links, mut told) = (Vec::new(), Vec::new());
        for record in records.try_iter() {
            match record {
                Record::Link(link) => links.push(link),
                Record::Flush(FlushRecord { own, flush, sends }) => {
                    assert!(links.iter().all(|link| link.of == own.span_id), "{links:?}");
                    let to = links.drain(..).map(|link| link.to.span_id).collect();
                    told.push((flush.from, flush.to, to, sends));
                }
                other => unreachable!("{other:?}"),
            }
        }
        told
    }

    #[test]
    fn sends_belong_to_the_sync_that_reached_their_end() {
        let (spans, records) = watching(64);
        spans.flushed(flush(0, 100));
        spans.flushed(flush(100, 200));
        spans.flushed(flush(200, 300));
        for (end, id) in [(101, 1), (200, 2), (100, 3)] {
            spans.answered_after_flush(end, send(id));
        }
        spans.settle_flushes(2 * SECOND - Duration::from_nanos(1));
        assert_eq!(told(&records), [], "they may not all have been answered");
        spans.settle_flushes(2 * SECOND);
        let both = [(0, 100, vec![3], 1), (100, 200, vec![1, 2], 2)];
        assert_eq!(told(&records), both, "the last one served nobody who is recorded");
        spans.answered_after_flush(150, send(4));
        spans.flushed(flush(300, 400));
        spans.settle_flushes(Duration::MAX);
        assert_eq!(told(&records), [], "it came too late, and belongs to no other");
    }

    #[test]
    fn a_send_that_is_answered_before_its_sync_is_found_by_it() {
        let (spans, records) = watching(64);
        spans.answered_after_flush(150, send(1));
        spans.answered_after_flush(90, send(2));
        spans.flushed(flush(0, 100));
        spans.flushed(flush(100, 200));
        spans.settle_flushes(Duration::MAX);
        assert_eq!(told(&records), [(0, 100, vec![2], 1), (100, 200, vec![1], 1)]);
        for id in 0..2 * EARLY_MAX as u64 {
            spans.answered_after_flush(300, send(id));
        }
        spans.flushed(flush(200, 300));
        spans.settle_flushes(Duration::MAX);
        let [(.., links, sends)] = &told(&records)[..] else { panic!("one of them") };
        let sends = usize::try_from(*sends).unwrap();
        assert_eq!((links.len(), sends), (FLUSH_LINKS_MAX, EARLY_MAX), "both are bounded");
    }

    #[test]
    fn syncs_are_forgotten_in_turn_and_those_that_are_recorded_leave_before() {
        let (spans, records) = watching(64);
        let last = FLUSHES_MAX as u64;
        for at in 0..=last {
            spans.flushed(flush(at, at + 1));
            if at == 1 {
                spans.answered_after_flush(2, send(9));
            }
        }
        assert_eq!(told(&records), [], "the first one was crowded out, and is nobody's");
        spans.flushed(flush(last + 1, last + 2));
        assert_eq!(told(&records), [(1, 2, vec![9], 1)]);
        spans.answered_after_flush(1, send(1));
        spans.settle_flushes(Duration::MAX);
        assert_eq!(told(&records), [], "a send of one that is forgotten");
    }

    #[test]
    fn a_full_queue_drops_and_counts_and_without_syncs_there_is_no_book() {
        let (spans, records) = watching(2);
        spans.flushed(flush(0, 100));
        (1..=3).for_each(|id| spans.answered_after_flush(100, send(id)));
        spans.settle_flushes(Duration::MAX);
        assert_eq!(spans.counts.dropped.read(DropReason::Queue), 2, "a link, and the span");
        assert_eq!(records.try_iter().count(), 2);
        let (spans, records) = Spans::new(Rules { head: 1.0, slow: None, errors: false }, 2);
        spans.answered_after_flush(50, send(1));
        spans.flushed(flush(0, 100));
        spans.settle_flushes(Duration::MAX);
        assert_eq!(told(&records), []);
    }
}
