//! Buckets, in a table of a fixed size, without a lock.
//!
//! A bucket is one number: until when what was taken is paid for. One whose time is over is full, so it holds nothing that
//! could be lost, and its place is free for another. A place belongs to whoever's tag is in it: the connections of one
//! payer meet there, others do not.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use blockhouse_meter::QuotaKind;

use super::config::SECOND;

/// Payers that are told apart while they owe something.
const SLOTS: usize = 16 * 1024;
/// Places that one payer may have.
const WAYS: usize = 8;

#[derive(Debug)]
pub(super) struct Table {
    slots: Box<[Slot]>,
    /// For those who find all of their places taken: they share.
    rest: Slot,
}

/// The buckets of one payer, on a cache line of their own.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Slot {
    tag: AtomicU64,
    /// By kind, in nanoseconds of the clock.
    paid_at: [AtomicU64; QuotaKind::ALL.len()],
}

impl Default for Table {
    fn default() -> Self {
        Self { slots: (0..SLOTS).map(|_| Slot::default()).collect(), rest: Slot::default() }
    }
}

impl Table {
    /// The buckets of the payer with this tag.
    pub(super) fn slot(&self, tag: u64, now: Duration) -> &Slot {
        let start = usize::try_from(tag >> 32).unwrap_or(0);
        let ways = (start..start + WAYS).map(|at| &self.slots[at % SLOTS]);
        if let Some(own) = ways.clone().find(|slot| slot.tag.load(Relaxed) == tag) {
            return own;
        }
        let now = nanos(now);
        ways.into_iter().find(|slot| slot.claim(tag, now)).unwrap_or(&self.rest)
    }
}

impl Slot {
    /// Takes the place over, if its buckets are full.
    fn claim(&self, tag: u64, now: u64) -> bool {
        let owner = self.tag.load(Relaxed);
        // Another connection of the same payer may have been here a moment ago.
        owner == tag
            || self.paid_at.iter().all(|at| at.load(Relaxed) <= now)
                && self.tag.compare_exchange(owner, tag, Relaxed, Relaxed).is_ok()
    }

    /// How long until there is this much; of what is more than a bucket holds, until it is full.
    pub(super) fn wait(&self, kind: QuotaKind, cost: u64, now: Duration) -> Duration {
        let paid_at = self.paid_at[kind as usize].load(Relaxed).max(nanos(now));
        let full = nanos(now).saturating_add(SECOND);
        Duration::from_nanos(paid_at.saturating_add(cost.min(SECOND)).saturating_sub(full))
    }

    pub(super) fn pay(&self, kind: QuotaKind, cost: u64, now: Duration) {
        let now = nanos(now);
        let paid = |at: u64| Some(at.max(now).saturating_add(cost));
        // It never fails: `paid` always gives something.
        let _before = self.paid_at[kind as usize].fetch_update(Relaxed, Relaxed, paid);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_on_when_nothing_is_owed_there_and_shared_when_there_is_no_other() {
        let table = Table::default();
        let now = Duration::from_secs(100);
        // All of them have the same places.
        let slots: Vec<*const Slot> = (1..=9)
            .map(|tag| {
                let slot = table.slot(tag, now);
                slot.pay(QuotaKind::Requests, SECOND, now);
                std::ptr::from_ref(slot)
            })
            .collect();
        let own = |tag: u64, now| std::ptr::from_ref(table.slot(tag, now));
        assert!((1..=8).zip(&slots).all(|(tag, slot)| own(tag, now) == *slot));
        assert!(slots[..8].iter().all(|slot| !std::ptr::eq(*slot, &raw const table.rest)));
        assert_eq!(slots[8], &raw const table.rest);
        assert_eq!(own(10, now), &raw const table.rest);
        let later = now + Duration::from_secs(1);
        assert_eq!(own(10, later), slots[0]);
        assert_eq!(own(2, later), slots[1], "who is there stays there");
    }
}
