//! What was decided, told to the audit sinks.
//!
//! The chain tells of what it sees decided; a hook tells of what the chain cannot see (a failure that
//! changes nothing, what a shadow would have done). Without a sink nothing is put together.

mod event;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use blockhouse_model::{Clock, Principal};
use parking_lot::Mutex;

use crate::Hook;
pub use event::{AuditEvent, AuditKind, Outcome, PluginEvent, Subject};

/// Connections whose principal is remembered; those of others are told with each request.
const KNOWN_MAX: usize = 65_536;

/// What of an event is not its subject.
#[derive(Clone, Copy, Debug)]
pub struct Decided<'a> {
    /// How it was decided.
    pub outcome: Outcome,
    /// The hook that decided; empty when none objected.
    pub by: &'a str,
    /// Whether the decision was not carried out, since the hook only watches.
    pub shadow: bool,
    /// The reason that was given; empty when none was.
    pub reason: &'a str,
}

/// The one counter of a node's audit events, and whom they are told to.
pub struct Auditor {
    clock: Arc<dyn Clock>,
    /// Whether there is a sink: asked on every path before anything else.
    is_on: AtomicBool,
    state: Mutex<State>,
}

struct State {
    /// The number of the next event.
    next: u64,
    sinks: Arc<[Arc<dyn Hook>]>,
    /// Who is behind each connection: told once, not with each request.
    known: HashMap<u64, Principal>,
}

impl std::fmt::Debug for Auditor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auditor").field("is_on", &self.is_on()).finish_non_exhaustive()
    }
}

impl Auditor {
    /// An auditor that nobody listens to yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let state = State { next: 1, sinks: Arc::new([]), known: HashMap::new() };
        Self { clock, is_on: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// Whether anybody listens.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Who listens from now on.
    pub(crate) fn listen(&self, sinks: &[Arc<dyn Hook>]) {
        let mut state = self.state.lock();
        state.sinks = sinks.into();
        if sinks.is_empty() {
            state.known = HashMap::new();
        }
        self.is_on.store(!sinks.is_empty(), Ordering::Relaxed);
    }

    /// Tells of a decision.
    pub fn tell(&self, subject: Subject<'_>, decided: Decided<'_>) {
        if self.is_on() {
            self.send(subject.event(decided));
        }
    }

    /// Tells of a plugin: deployed, failed, stopped, taken out.
    pub fn plugin(&self, event: &PluginEvent<'_>) {
        if self.is_on() {
            self.send(event.event());
        }
    }

    /// Tells who is behind a connection, unless that was said before.
    pub(crate) fn identified(&self, subject: Subject<'_>, by: &str, principal: &Principal) {
        // With each request: an event is put together only for the first one.
        if !self.is_on() || !self.is_new(subject.connection(), principal) {
            return;
        }
        let decided = Decided { outcome: Outcome::Allowed, by, shadow: false, reason: "" };
        let mut event = subject.event(decided);
        event.principal = principal.clone();
        self.send(event);
    }

    /// Whether nobody, or somebody else, was behind the connection; from now on it is `principal`.
    fn is_new(&self, connection: u64, principal: &Principal) -> bool {
        let mut state = self.state.lock();
        if state.known.get(&connection) == Some(principal) {
            return false;
        }
        if state.known.len() < KNOWN_MAX || state.known.contains_key(&connection) {
            state.known.insert(connection, principal.clone());
        }
        true
    }

    /// A connection has ended.
    pub(crate) fn forget(&self, connection: u64) {
        self.state.lock().known.remove(&connection);
    }

    /// Numbers the event and gives it to the sinks in the order of the numbers, so that a gap is a
    /// loss. A sink only puts it aside: what it does with it, it does from a queue of its own.
    fn send(&self, mut event: AuditEvent) {
        event.time = self.clock.now();
        let mut state = self.state.lock();
        event.sequence = state.next;
        state.next += 1;
        let events = [event];
        for sink in &*state.sinks {
            sink.audit(&events);
        }
    }
}
