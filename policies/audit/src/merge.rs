//! Equal decisions of one source within a second, told together with their number.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use blockhouse_hook::{AuditEvent, Outcome};
use blockhouse_model::Timestamp;

use crate::record::{Entry, source};

/// How long equal events are collected.
const WINDOW: Duration = Duration::from_secs(1);
/// Sources that are told apart; events of further ones are recorded one by one.
const SOURCES_MAX: usize = 16_384;

/// The events of this second, by what they have in common.
#[derive(Default)]
pub(crate) struct Merges {
    slots: HashMap<u64, Slot>,
    /// Keyed: nobody can choose events that meet in one slot.
    hasher: RandomState,
}

struct Slot {
    /// The last one.
    event: AuditEvent,
    opened: Duration,
    /// Those after the first.
    count: u64,
    since: Timestamp,
}

/// Whether an event of this outcome is ever merged. What is allowed is not.
pub(crate) const fn is_mergeable(event: &AuditEvent) -> bool {
    !matches!(event.outcome, Outcome::Allowed)
}

/// Code, resource and reason, if they tell events apart.
fn details(event: &AuditEvent) -> Option<(i32, &str, &str)> {
    let AuditEvent { code, resource, reason, .. } = event;
    (!event.is_made_up()).then_some((*code, resource, reason))
}

fn is_equal(a: &AuditEvent, b: &AuditEvent) -> bool {
    let rest = |e: &AuditEvent| (e.kind, e.outcome, e.shadow, source(e));
    rest(a) == rest(b)
        && a.principal == b.principal
        && a.action == b.action
        && a.decided_by == b.decided_by
        && details(a) == details(b)
}

impl Merges {
    fn key(&self, event: &AuditEvent) -> u64 {
        let AuditEvent { principal, action, decided_by, .. } = event;
        let rest = (event.kind, event.outcome, event.shadow, source(event));
        self.hasher.hash_one((principal, action, decided_by, details(event), rest))
    }

    /// Counts an event if an equal one was recorded in this second; else it is to be recorded.
    pub(crate) fn absorb(&mut self, event: &AuditEvent) -> bool {
        let key = self.key(event);
        let Some(slot) = self.slots.get_mut(&key).filter(|slot| is_equal(&slot.event, event))
        else {
            return false;
        };
        if slot.count == 0 {
            slot.since = event.time;
        }
        slot.count += 1;
        (slot.event.time, slot.event.sequence) = (event.time, event.sequence);
        (slot.event.peer, slot.event.connection) = (event.peer, event.connection);
        if event.is_made_up() {
            slot.event.code = event.code;
            slot.event.resource.clone_from(&event.resource);
            slot.event.reason.clone_from(&event.reason);
        }
        true
    }

    /// An event is recorded: equal ones are counted from now on.
    pub(crate) fn open(&mut self, event: &AuditEvent, now: Duration) {
        let key = self.key(event);
        if self.slots.len() < SOURCES_MAX && !self.slots.contains_key(&key) {
            let slot = Slot { event: event.clone(), opened: now, count: 0, since: event.time };
            self.slots.insert(key, slot);
        }
    }

    /// What was collected in windows that are over, or in all.
    pub(crate) fn take(&mut self, now: Duration, all: bool, into: &mut Vec<Entry>) {
        let is_over = |slot: &Slot| all || now.saturating_sub(slot.opened) >= WINDOW;
        let before = into.len();
        for (_, slot) in self.slots.extract_if(|_, slot| is_over(slot)) {
            let Slot { event, count, since, .. } = slot;
            if count > 0 {
                into.push(Entry::Merged { event, count, since });
            }
        }
        into[before..].sort_by_key(|entry| match entry {
            Entry::Merged { event, .. } => event.sequence,
            _ => 0,
        });
    }
}
