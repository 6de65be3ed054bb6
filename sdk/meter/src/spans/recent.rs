//! The last messages that were recorded when they were sent, by their places.
//!
//! A consumer's read must not look into records for their spans: that costs more than all of it may,
//! and records are lent from files where the process does not look at them at all. So what was
//! decided at the send is remembered. One load says for a message that there is nothing.

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
}

#[derive(Debug, Default)]
struct Slot {
    /// Whose it is, to be looked at without the lock; 0: nobody's.
    key: AtomicU64,
    held: Mutex<Option<(u64, TraceParent)>>,
}

impl Default for Recent {
    fn default() -> Self {
        let slots = (0..RECENT).map(|_| Slot::default()).collect();
        Self { seeds: RandomState::new(), slots }
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

    pub(super) fn put(&self, key: u64, context: TraceParent) {
        let Some(slot) = self.slot(key) else { return };
        let mut held = slot.held.lock();
        *held = Some((key, context));
        slot.key.store(key, Ordering::Release);
    }

    pub(super) fn find(&self, key: u64) -> Option<TraceParent> {
        let slot = self.slot(key)?;
        if slot.key.load(Ordering::Acquire) != key {
            return None;
        }
        // It may have become another's meanwhile.
        (*slot.held.lock()).filter(|(whose, _)| *whose == key).map(|(_, context)| context)
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
            recent.put(recent.key("orders", 0, offset), context);
        }
        let at = |offset| recent.find(recent.key("orders", 0, offset)).map(|found| found.span_id);
        assert_eq!(at(last), Some(last + 1));
        assert_eq!(at(last - RECENT as u64 + 1), Some(last - RECENT as u64 + 2));
        assert_eq!((at(last - RECENT as u64), at(0)), (None, None));
    }
}
