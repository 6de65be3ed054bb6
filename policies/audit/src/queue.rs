//! What was decided and is not written yet. Whoever decides only puts it here.

use std::time::Duration;

use blockhouse_hook::{AuditEvent, AuditKind, Outcome};
use blockhouse_meter::AuditCounts;
use blockhouse_model::Timestamp;
use tokio::sync::oneshot;

use crate::merge::{Merges, is_mergeable};
use crate::record::Entry;

/// Most events, and most bytes of them.
const EVENTS_MAX: usize = 65_536;
const BYTES_MAX: usize = 32 << 20;

/// Events that found no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) count: u64,
    pub(crate) since: Timestamp,
}

impl Lost {
    /// Both.
    pub(crate) fn and(self, other: Option<Self>) -> Self {
        let Some(other) = other else { return self };
        Self { count: self.count + other.count, since: self.since.min(other.since) }
    }
}

#[derive(Default)]
pub(crate) struct Queue {
    entries: Vec<Entry>,
    bytes: usize,
    /// Those who wait until all that is here now is durable.
    waiters: Vec<oneshot::Sender<bool>>,
    pub(crate) merges: Merges,
    /// Events that have come in so far, each of which is to be a record of its own.
    told: u64,
    lost: Option<Lost>,
    /// The log is to be closed.
    pub(crate) is_stopping: bool,
    /// Nobody writes any more.
    pub(crate) is_closed: bool,
}

/// What is to be written together.
#[derive(Default)]
pub(crate) struct Work {
    pub(crate) entries: Vec<Entry>,
    pub(crate) waiters: Vec<oneshot::Sender<bool>>,
    pub(crate) lost: Option<Lost>,
    /// How many events had come in.
    pub(crate) told: u64,
    /// The events that had come in are in it.
    pub(crate) has_events: bool,
    pub(crate) is_stopping: bool,
}

fn size(event: &AuditEvent) -> usize {
    let AuditEvent { action, resource, decided_by, reason, .. } = event;
    size_of::<AuditEvent>() + action.len() + resource.len() + decided_by.len() + reason.len()
}

/// Eighths of the queue that an event may fill: what was allowed goes first, then refusals.
const fn share(event: &AuditEvent) -> usize {
    match (event.kind, event.outcome) {
        (AuditKind::AdminCommand | AuditKind::Plugin, _) => 8,
        (_, Outcome::Allowed) => 4,
        _ => 7,
    }
}

impl Queue {
    /// Whether the record of a command that is about to be carried out will find room. A sixteenth is
    /// left for those that passed here at the same moment, and for plugins.
    pub(crate) const fn takes_commands(&self) -> bool {
        self.entries.len() < EVENTS_MAX / 16 * 15 && self.bytes < BYTES_MAX / 16 * 15
    }

    pub(crate) fn put(&mut self, event: &AuditEvent, now: Duration, counts: &AuditCounts) {
        let merges = is_mergeable(event);
        if merges && self.merges.absorb(event) {
            counts.merged.add(1);
            return;
        }
        let (share, size) = (share(event), size(event));
        let has_room = self.entries.len() < EVENTS_MAX / 8 * share
            && self.bytes + size <= BYTES_MAX / 8 * share;
        if !has_room || self.is_closed {
            counts.lost.add(1);
            self.lost = Some(Lost { count: 1, since: event.time }.and(self.lost));
            return;
        }
        if merges {
            self.merges.open(event, now);
        }
        self.bytes += size;
        self.told += 1;
        self.entries.push(Entry::Event(event.clone()));
    }

    /// How many events have come in.
    pub(crate) const fn told(&self) -> u64 {
        self.told
    }

    /// When the first of those that are here came in.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.entries.first().map(Entry::time)
    }

    pub(crate) fn wait(&mut self, waiter: oneshot::Sender<bool>) {
        if !self.is_closed {
            self.waiters.push(waiter);
        }
    }

    /// Whether there is something to be done before time passes.
    pub(crate) const fn is_due(&self) -> bool {
        !self.entries.is_empty() || self.is_urgent()
    }

    /// Whether somebody waits.
    pub(crate) const fn is_urgent(&self) -> bool {
        !self.waiters.is_empty() || self.is_stopping
    }

    /// All that is to be written now; `with_events` is false while they have to stay here.
    pub(crate) fn take(&mut self, now: Duration, with_events: bool) -> Work {
        let mut work = Work {
            waiters: std::mem::take(&mut self.waiters),
            has_events: with_events || self.is_stopping,
            is_stopping: self.is_stopping,
            ..Work::default()
        };
        if work.has_events {
            work.entries = std::mem::take(&mut self.entries);
            self.bytes = 0;
            work.told = self.told;
            work.lost = self.lost.take();
            self.merges.take(now, self.is_stopping, &mut work.entries);
        } else if !work.waiters.is_empty() {
            // Those who wait are going to be refused: what they announced is not done.
            self.entries.iter_mut().for_each(Entry::undo);
        }
        work
    }
}
