//! Audit sink: decisions, put aside by whoever decided and told in batches from a thread of their own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use blockhouse_hook::{AuditEvent, AuditKind, Outcome};
use parking_lot::Mutex;

use super::{CALL_BYTES, PluginHook, convert, exported};
use crate::Failure;
use crate::contract::exported::audit_sink as wit;
use crate::interface::Interface;
use crate::plugin::Plugin;

/// Events that wait for one plugin.
const EVENTS_MAX: usize = 8_192;
/// Their bytes.
const BYTES_MAX: usize = 16 << 20;

/// The events that wait for one plugin, in the order of their numbers.
#[derive(Default)]
pub(crate) struct Audits(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    events: VecDeque<AuditEvent>,
    /// How many are being told; they come back if they are not taken.
    told: usize,
    /// Bytes of both.
    bytes: usize,
    /// Whether the thread knows of it.
    is_called: bool,
}

fn size(event: &AuditEvent) -> usize {
    let texts = [&event.action, &event.resource, &event.decided_by, &event.reason];
    let texts: usize = texts.iter().map(|text| text.len()).sum();
    size_of::<AuditEvent>() + texts + event.user().len()
}

impl Waiting {
    fn is_full(&self) -> bool {
        self.events.len() + self.told >= EVENTS_MAX || self.bytes >= BYTES_MAX
    }

    /// The oldest events, as many as one call takes.
    fn take(&mut self, max: usize) -> Vec<AuditEvent> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(event) = self.events.front().filter(|_| batch.len() < max) {
            bytes += size(event);
            if bytes > CALL_BYTES && !batch.is_empty() {
                break;
            }
            batch.extend(self.events.pop_front());
        }
        self.told = batch.len();
        batch
    }

    /// The batch was taken.
    fn taken(&mut self, batch: &[AuditEvent]) {
        self.told = 0;
        self.bytes -= batch.iter().map(size).sum::<usize>();
    }

    /// Puts back what was not taken.
    fn put_back(&mut self, batch: Vec<AuditEvent>) {
        self.told = 0;
        batch.into_iter().rev().for_each(|event| self.events.push_front(event));
    }
}

impl Audits {
    /// Whether what is told now would be lost.
    pub(super) fn is_full(&self) -> bool {
        self.0.lock().is_full()
    }

    fn push(&self, plugin: &Arc<Plugin>, event: AuditEvent) {
        let mut waiting = self.0.lock();
        if waiting.is_full() {
            plugin.counts(Interface::AuditSink).lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if !waiting.is_called {
            waiting.is_called = plugin.keeper.call_for_audit(plugin);
            if !waiting.is_called {
                // Its thread has ended.
                plugin.counts(Interface::AuditSink).lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        waiting.bytes += size(&event);
        waiting.events.push_back(event);
    }

    /// The process stops, or the plugin is not in force any more: what waits is lost.
    pub(crate) fn give_up(&self, plugin: &Plugin) {
        let lost = std::mem::take(&mut *self.0.lock()).events.len();
        plugin.lose_audits(lost);
    }

    /// Offers what waits to the plugin. Gives whether all was taken; if not, it is offered again.
    pub(crate) fn offer(&self, plugin: &Arc<Plugin>) -> bool {
        let max = plugin.wants().batch_max.max(1);
        loop {
            let batch = {
                let mut waiting = self.0.lock();
                let batch = waiting.take(max);
                // From here on whoever puts one aside calls again.
                waiting.is_called = !batch.is_empty();
                batch
            };
            if batch.is_empty() {
                return true;
            }
            if !tell(plugin, &batch) {
                self.0.lock().put_back(batch);
                return false;
            }
            self.0.lock().taken(&batch);
        }
    }
}

/// Tells the plugin. In shadow mode it is called like any other: what it does with events is its own.
fn tell(plugin: &Arc<Plugin>, batch: &[AuditEvent]) -> bool {
    let answer = plugin.call(Interface::AuditSink, batch.len(), |guest, _| {
        let exports = exported(guest.exports.audit_sink.as_ref())?;
        let events: Vec<wit::Event<'_>> = batch.iter().map(event).collect();
        exports.call_audit(&mut guest.store, &events).map_err(|e| Failure::of(&e))
    });
    match answer {
        Ok(Ok(())) => true,
        // Not a failure of the instance: it may well take them the next time.
        Ok(Err(why)) => {
            let refused = Failure::Refused(why);
            let counts = plugin.counts(Interface::AuditSink);
            counts.failures[refused.kind()].fetch_add(1, Ordering::Relaxed);
            tracing::debug!("plugin {}: audit-sink: {refused}", plugin.binding.name);
            false
        }
        Err(_) => false,
    }
}

impl PluginHook {
    /// Puts aside what is in scope. What the plugin itself did by `publish` is not told to it: its
    /// own refused messages would be told, sent, and refused again without end.
    pub(super) fn put_aside(&self, events: &[AuditEvent]) {
        for event in events {
            let own = event.user().strip_prefix("plugin:") == Some(&self.plugin.binding.name);
            if !own && self.plugin.scope.covers_who(&event.principal, event.code) {
                self.plugin.audits.push(&self.plugin, event.clone());
            }
        }
    }
}

fn event(event: &AuditEvent) -> wit::Event<'_> {
    wit::Event {
        sequence: event.sequence,
        time_ms: u64::try_from(event.time.0).unwrap_or(0),
        kind: match event.kind {
            AuditKind::Connection => wit::Kind::Connection,
            AuditKind::Authentication => wit::Kind::Authentication,
            AuditKind::Authorization => wit::Kind::Authorization,
            AuditKind::Send => wit::Kind::Send,
            AuditKind::Delivery => wit::Kind::Delivery,
            AuditKind::AdminCommand => wit::Kind::AdminCommand,
            AuditKind::BrokerRegistration => wit::Kind::BrokerRegistration,
            AuditKind::RouteQuery => wit::Kind::RouteQuery,
            AuditKind::Plugin => wit::Kind::Plugin,
        },
        outcome: match event.outcome {
            Outcome::Allowed => wit::Outcome::Allowed,
            Outcome::Refused => wit::Outcome::Refused,
            Outcome::Dropped => wit::Outcome::Dropped,
            Outcome::Rerouted => wit::Outcome::Rerouted,
            Outcome::Edited => wit::Outcome::Edited,
            Outcome::Failed => wit::Outcome::Failed,
        },
        principal: convert::principal(&event.principal),
        peer: convert::address(event.peer),
        connection: event.connection,
        code: event.code,
        action: &event.action,
        resource: &event.resource,
        decided_by: &event.decided_by,
        shadow: event.shadow,
        reason: &event.reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(sequence: u64) -> AuditEvent {
        AuditEvent {
            sequence,
            time: blockhouse_model::Timestamp(1),
            kind: AuditKind::Send,
            outcome: Outcome::Refused,
            principal: blockhouse_model::Principal::Anonymous,
            peer: ([127, 0, 0, 1], 1).into(),
            connection: 1,
            code: 310,
            action: "Pub".to_owned(),
            resource: "x".repeat(1_000),
            decided_by: "acl".to_owned(),
            shadow: false,
            reason: String::new(),
            announced: false,
        }
    }

    fn waiting(count: u64) -> Waiting {
        let events: VecDeque<_> = (1..=count).map(made).collect();
        Waiting { bytes: events.iter().map(size).sum(), events, ..Waiting::default() }
    }

    #[test]
    fn what_was_not_taken_is_offered_again_in_order() {
        let mut waiting = waiting(5);
        let batch = waiting.take(3);
        assert_eq!(batch.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
        waiting.put_back(batch);
        let all = waiting.take(99);
        let numbers: Vec<u64> = all.iter().map(|event| event.sequence).collect();
        waiting.taken(&all);
        assert_eq!((numbers, waiting.bytes), (vec![1, 2, 3, 4, 5], 0));
    }

    #[test]
    fn what_is_being_told_still_takes_its_room() {
        let mut waiting = waiting(EVENTS_MAX as u64);
        let batch = waiting.take(32);
        assert!(waiting.is_full(), "it may come back");
        waiting.taken(&batch);
        assert!(!waiting.is_full());
    }

    #[test]
    fn a_call_has_not_too_many_bytes() {
        let batch = waiting(2_000).take(2_000);
        assert!(batch.len() < 1_024 && !batch.is_empty());
        assert!(batch.iter().map(size).sum::<usize>() <= CALL_BYTES);
    }
}
