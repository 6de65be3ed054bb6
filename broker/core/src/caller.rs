//! Who asks for something, and the hooks that have a say in it.

use std::sync::Arc;

use blockhouse_hook::{AdminCommand, HookChain, Point, Verdict};
use blockhouse_model::{Access, Action, Principal, RequestContext, Resource, names};

use crate::Refusal;

/// A request's context, and the one chain that all its hook points belong to. Adapters load the chain
/// once per burst: a chain that comes into force meanwhile is for what begins afterwards.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// Who asks, and from where.
    pub cx: &'a RequestContext,
    /// The hooks that were in force when the burst began.
    pub hooks: &'a Arc<HookChain>,
}

impl Caller<'_> {
    /// Asks the hooks whether the request may do all of `accesses`.
    ///
    /// # Errors
    /// The first refusal.
    pub fn authorize(self, accesses: &[Access<'_>]) -> Result<(), Refusal> {
        if !self.hooks.has(Point::Authorize) {
            return Ok(());
        }
        match self.hooks.authorize(self.cx, accesses) {
            Verdict::Continue => Ok(()),
            Verdict::Reject(rejection) => Err(rejection.into()),
        }
    }

    /// Whose a topic is that comes of the request, as `user:NAME`; nobody's without a user.
    pub(crate) fn owner(self) -> Option<String> {
        match &self.cx.principal {
            Principal::User(name) => Some(["user:", name].concat()),
            Principal::Anonymous | Principal::Plugin(_) => None,
        }
    }

    /// Asks whether the request may have a stored message of `topic`: the requests that name a message by its
    /// place in the log say nothing of its topic, or what they like.
    ///
    /// # Errors
    /// The first refusal.
    pub fn authorize_stored(self, topic: &str) -> Result<(), Refusal> {
        self.authorize(&[Access { action: Action::Sub, resource: Resource::Topic(topic) }])?;
        self.authorize_waiting(topic)
    }

    /// Asks whether the request may have messages that wait in `topic`, if it is one where messages of all topics do:
    /// a right on that topic says nothing of those. To have them is to look at the broker as a whole, as it is to have
    /// a message by its place alone.
    ///
    /// # Errors
    /// The first refusal.
    pub(crate) fn authorize_waiting(self, topic: &str) -> Result<(), Refusal> {
        if !names::is_of_all_topics(topic) {
            return Ok(());
        }
        self.authorize(&[Access { action: Action::Get, resource: Resource::Cluster }])
    }

    /// Asks the hooks whether an administrative request may take effect. Before it does, its record is waited for
    /// ([`HookChain::settled`]).
    ///
    /// # Errors
    /// The first refusal.
    pub fn announce_admin(self, name: &str, target: &str) -> Result<(), Refusal> {
        match self.hooks.announce_admin(self.cx, &AdminCommand { name, target }) {
            Verdict::Continue => Ok(()),
            Verdict::Reject(rejection) => Err(rejection.into()),
        }
    }
}
