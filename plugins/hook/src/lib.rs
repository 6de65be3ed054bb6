//! The one hook contract: the points in a request's and a message's life where policy and
//! extension attach, what they see there, and how they steer.
//!
//! Native code, policies, audit and WASM plugins are peers: each is a [`Hook`], and all of them
//! stand in one [`HookChain`], which keeps a slice per [`Point`]. A point without a subscriber
//! costs one check of an empty slice. The chain is an immutable value; [`Hooks`] swaps it whole.
//!
//! Data-path methods are synchronous and batched: a hook there computes, it does no I/O. An
//! observer that must hands off to a bounded queue of its own.
//!
//! What hooks decide is told to those at [`Point::AuditSink`] through the [`Auditor`], which numbers it.
//!
//! This crate does no I/O, starts no task and knows no protocol. When each point runs, and what a
//! refusal does, is drawn in `docs/hooks.md`.

mod acls;
pub mod audit;
pub mod calls;
mod chain;
mod points;
pub mod span;
mod users;
mod verdict;

pub use acls::{AclError, Acls, UserStep};
pub use audit::{AuditEvent, AuditKind, Auditor, Decided, Outcome, PluginEvent, Subject};
pub use calls::{Calls, PluginCall};
pub use chain::{Announced, HookChain, Hooks, Watcher};
pub use points::{
    Ack, AdminCommand, Appended, BrokerRegistration, ConnectionInfo, Credentials, Decision,
    Delivery, Draft, Lifecycle, Outbound, Point, Points, Pull, RouteEntry,
};
pub use span::{Attribute, SpanRecord};
pub use users::{User, UserChange, UserError, UserKind, Users};
pub use verdict::{Identity, Rejection, Verdict};

use std::pin::Pin;
use std::sync::Arc;

use blockhouse_model::{Access, RequestContext};

/// Ends when what was told to a sink is durable, or cannot be made so.
pub type Settled = Pin<Box<dyn Future<Output = Result<(), Rejection>> + Send>>;

/// What is not done, or not answered, before its record is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// What an admin command asks for, and the refusal of one.
    Control,
    /// A broker's report to the name server.
    Registration,
    /// The refusal of credentials, whatever they were to be good for.
    Login,
}

/// A piece of policy or extension attached to fixed points of the broker and the name server.
///
/// Every method has a default that does nothing; [`Hook::points`] says which ones are called.
pub trait Hook: Send + Sync {
    /// The name in logs, metrics and refusals.
    fn name(&self) -> &str;

    /// The points this hook wants. Others never call it.
    fn points(&self) -> Points;

    /// What stands in a chain in this hook's place; `None`: the hook itself. Asked whenever a chain comes into
    /// force, so that a hook whose points depend on its state costs nothing at those it does not need.
    fn stand_in(&self) -> Option<Arc<dyn Hook>> {
        None
    }

    /// A client connected. A refusal closes the connection before a byte is read.
    fn connection_opened(&self, _connection: &ConnectionInfo) -> Verdict {
        Verdict::Continue
    }

    /// A connection ended; each one that was opened is reported once.
    fn connection_closed(&self, _connection: &ConnectionInfo) {}

    /// Who is this? Runs once per request that carries credentials. The first hook that names a
    /// principal or refuses decides.
    fn authenticate(&self, _cx: &RequestContext, _credentials: &Credentials<'_>) -> Identity {
        Identity::Unknown
    }

    /// Is whoever made this request still the one this hook knew him for? Asked of requests that have waited,
    /// before they are answered with messages.
    fn reaffirm(&self, _cx: &RequestContext) -> Verdict {
        Verdict::Continue
    }

    /// May this principal do all of `accesses`? Runs before anything is done for the request.
    fn authorize(&self, _cx: &RequestContext, _accesses: &[Access<'_>]) -> Verdict {
        Verdict::Continue
    }

    /// What [`Self::authorize`] would say, for who shows only what the caller may see: not to see something is no
    /// refusal, and is neither counted nor told as one. (That a plugin was called for it is counted as each call is.)
    fn may(&self, cx: &RequestContext, accesses: &[Access<'_>]) -> bool {
        self.authorize(cx, accesses) == Verdict::Continue
    }

    /// Messages of one burst before they are stored. The hook may edit body and properties, and
    /// sets [`Draft::decision`] to reject, drop or reroute single messages.
    fn before_send(&self, _cx: &RequestContext, _messages: &mut [Draft<'_>]) {}

    /// May this message go to the topic that a later hook reroutes it to? Asked of hooks at
    /// [`Point::BeforeSend`], after the topic was authorized.
    fn rerouted(&self, _cx: &RequestContext, _message: &Draft<'_>) -> Verdict {
        Verdict::Continue
    }

    /// The stored messages of one burst, with their places. Runs before the reply.
    fn after_append(&self, _cx: &RequestContext, _messages: &[Appended<'_>]) {}

    /// A consumer asks for messages. Runs after authorization, before the store is read.
    fn pull(&self, _cx: &RequestContext, _pull: &Pull<'_>) -> Verdict {
        Verdict::Continue
    }

    /// Messages on their way to a consumer: [`Outbound::keep`] and [`Outbound::body`] may be
    /// changed. A message that is not kept is passed over, as one that the filter does not match;
    /// a refusal refuses the request, and nothing is passed over.
    fn before_deliver(
        &self,
        _cx: &RequestContext,
        _delivery: &Delivery<'_>,
        _messages: &mut [Outbound<'_>],
    ) -> Verdict {
        Verdict::Continue
    }

    /// A consumer has committed progress.
    fn ack(&self, _cx: &RequestContext, _ack: &Ack<'_>) {}

    /// An administrative request, after authorization, before it takes effect.
    fn admin_command(&self, _cx: &RequestContext, _command: &AdminCommand<'_>) -> Verdict {
        Verdict::Continue
    }

    /// A broker reports itself to the name server.
    fn broker_registration(
        &self,
        _cx: &RequestContext,
        _registration: &BrokerRegistration<'_>,
    ) -> Verdict {
        Verdict::Continue
    }

    /// A client asks for a topic's route: entries may be taken out and reordered.
    fn route_query(
        &self,
        _cx: &RequestContext,
        _topic: &str,
        _route: &mut Vec<RouteEntry>,
    ) -> Verdict {
        Verdict::Continue
    }

    /// The process changes state.
    fn lifecycle(&self, _event: Lifecycle) {}

    /// Spans that have ended, in batches, off the data path. The hook may add attributes
    /// ([`SpanRecord::add`]).
    fn enrich_span(&self, _spans: &mut [SpanRecord]) {}

    /// What was decided. It only puts the events aside, in a bounded queue of its own: the caller is
    /// the one who decided. It decides nothing itself.
    fn audit(&self, _events: &[AuditEvent]) {}

    /// Waits until all that this sink was told is durable; `None` if it promises nothing for that, or
    /// if it is durable already. Who carries out what an admin command asks for waits for it first.
    fn audit_settled(&self, _awaited: Awaited) -> Option<Settled> {
        None
    }

    /// Whether it says of everybody what they may, so that who is not refused has been allowed. Others at
    /// [`Point::Authorize`] only refuse: what they let pass is not allowed by it. Where no hook does, administration
    /// is for Super users.
    fn decides_who_may(&self) -> bool {
        false
    }

    /// Whether it sees the client's id in [`RequestContext`]. Where none does, nobody looks for it.
    fn wants_client_id(&self) -> bool {
        false
    }
}
