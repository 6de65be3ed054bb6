//! The last messages that were recorded when they were sent, by their places.
//!
//! A consumer's read must not look into records for their spans: that costs more than all of it may,
//! and records are lent from files where the process does not look at them at all. So what was
//! decided at the send is remembered. One load says for a message that there is nothing.
//!
//! Nothing is known of what was stored before the process began, nor of what was crowded out: from which place
//! of the log on nothing was, is remembered as well.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use blockhouse_model::TraceParent;
use parking_lot::Mutex;

/// So many messages are remembered at most.
pub const RECENT: usize = 16_384;

#[derive(Debug)]
pub(super) struct Recent {
    seeds: RandomState,
    slots: Box<[Slot]>,
    /// The place in the log from where on what is not here was not recorded.
    known_from: AtomicU64,
}

#[derive(Debug, Default)]
struct Slot {
    /// Whose it is, to be looked at without the lock; 0: nobody's.
    key: AtomicU64,
    held: Mutex<Option<Held>>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    key: u64,
    /// Its place in the log.
    physical: u64,
    context: TraceParent,
}

impl Default for Recent {
    fn default() -> Self {
        let slots = (0..RECENT).map(|_| Slot::default()).collect();
        Self { seeds: RandomState::new(), slots, known_from: AtomicU64::new(0) }
    }
}

impl Recent {
    /// Keys of one queue follow each other as their offsets do.
    pub(super) fn key(&self, topic: &str, queue: u32, offset: u64) -> u64 {
        self.seeds.hash_one((topic, queue)).wrapping_add(offset)
    }

    fn slot(&self, key: u64) -> Option<&Slot> {
        // So do their slots: nobody's messages crowd out each other before the table is full.
        usize::try_from(key % RECENT as u64).ok().and_then(|at| self.slots.get(at))
    }

    pub(super) fn put(&self, key: u64, physical: u64, context: TraceParent) {
        let Some(slot) = self.slot(key) else { return };
        let mut held = slot.held.lock();
        if let Some(before) = held.replace(Held { key, physical, context })
            && before.key != key
        {
            self.forget_before(before.physical.saturating_add(1));
        }
        slot.key.store(key, Ordering::Release);
    }

    /// Nothing is known of what lies before that place in the log, but what is here.
    pub(super) fn forget_before(&self, physical: u64) {
        self.known_from.fetch_max(physical, Ordering::Relaxed);
    }

    /// Whether what lies there may have been recorded though it is not here.
    pub(super) fn may_have_forgotten(&self, physical: u64) -> bool {
        physical < self.known_from.load(Ordering::Relaxed)
    }

    pub(super) fn find(&self, key: u64) -> Option<TraceParent> {
        let slot = self.slot(key)?;
        if slot.key.load(Ordering::Acquire) != key {
            return None;
        }
        // It may have become another's meanwhile.
        (*slot.held.lock()).filter(|held| held.key == key).map(|held| held.context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_stay() {
        let recent = Recent::default();
        let last = 3 * RECENT as u64;
        for offset in 0..=last {
            let context = TraceParent { trace_id: 1, span_id: offset + 1, sampled: true };
            recent.put(recent.key("orders", 0, offset), 100 * offset, context);
        }
        let at = |offset| recent.find(recent.key("orders", 0, offset)).map(|found| found.span_id);
        assert_eq!(at(last), Some(last + 1));
        assert_eq!(at(last - RECENT as u64 + 1), Some(last - RECENT as u64 + 2));
        assert_eq!((at(last - RECENT as u64), at(0)), (None, None));
        let forgotten = 100 * (last - RECENT as u64);
        let asked = [0, forgotten, forgotten + 100].map(|at| recent.may_have_forgotten(at));
        assert_eq!(
            asked,
            [true, true, false],
            "what lies behind all that went is known not to be recorded"
        );
    }

    #[test]
    fn what_was_stored_before_the_process_began_is_not_known() {
        let recent = Recent::default();
        assert!(!recent.may_have_forgotten(0));
        recent.forget_before(500);
        recent.forget_before(200);
        assert_eq!([499, 500].map(|at| recent.may_have_forgotten(at)), [true, false]);
        let context = TraceParent { trace_id: 1, span_id: 2, sampled: true };
        recent.put(7, 600, context);
        recent.put(7, 600, context);
        assert!(!recent.may_have_forgotten(600), "the same message crowds out nobody");
    }
}
