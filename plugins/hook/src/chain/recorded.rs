//! What protocols tell the audit themselves, and how they wait for its records.

use std::fmt::Display;
use std::sync::Arc;

use blockhouse_model::{Access, RequestContext};

use super::HookChain;
use crate::audit::{Decided, Outcome, Subject};
use crate::{AdminCommand, Awaited, ConnectionInfo, Point, Settled};

impl HookChain {
    /// Tells of credentials that no hook objected to, and that are refused all the same.
    pub fn mistaken(&self, cx: &RequestContext, access_key: &str, reason: &str) {
        if let Some(auditor) = &self.auditor {
            let decided = Decided { outcome: Outcome::Refused, by: "", shadow: false, reason };
            auditor.tell(Subject::Authenticate(cx, access_key), decided);
        }
    }

    /// Tells of a request that no hook objected to, and that would take its user beyond a quota.
    pub fn beyond_quota(&self, cx: &RequestContext, accesses: &[Access<'_>], reason: &str) {
        if let Some(auditor) = &self.auditor {
            let decided = Decided { outcome: Outcome::Refused, by: "quota", shadow: false, reason };
            auditor.tell(Subject::Authorize(cx, accesses), decided);
        }
    }

    /// Tells of a request that nothing here is known by. `who` is called only if somebody listens; `what` says
    /// what was asked for where a request has no code.
    pub fn unknown(&self, who: impl FnOnce() -> RequestContext, what: &str) {
        if let Some(auditor) = &self.auditor {
            let reason = "there is no such request";
            let decided = Decided { outcome: Outcome::Refused, by: "", shadow: false, reason };
            auditor.tell(Subject::Unknown(&who(), what), decided);
        }
    }

    /// Tells of a connection that is refused, or ended, by what is below requests: which part of that, and why.
    pub fn shut(&self, connection: &ConnectionInfo, part: &str, reason: &dyn Display) {
        if let Some(auditor) = &self.auditor {
            let reason = &*reason.to_string();
            let decided = Decided { outcome: Outcome::Refused, by: "", shadow: false, reason };
            auditor.tell(Subject::Shut(connection, part), decided);
        }
    }

    /// Tells of a change that no hook objected to, and that is not made all the same.
    pub fn not_changed(&self, cx: &RequestContext, command: &AdminCommand<'_>, reason: &str) {
        if let Some(auditor) = &self.auditor {
            let decided = Decided { outcome: Outcome::Refused, by: "", shadow: false, reason };
            auditor.tell(Subject::Admin(cx, command), decided);
        }
    }

    /// What has to be told if nothing comes of a change that the audit was told of as one that is made; `None` if
    /// nobody listens.
    #[must_use]
    pub fn announced(
        self: Arc<Self>,
        cx: &RequestContext,
        name: &'static str,
        target: &str,
    ) -> Option<Announced> {
        let is_heard = self.has(Point::AuditSink);
        is_heard.then(|| Announced { cx: cx.clone(), name, target: target.to_owned(), hooks: self })
    }

    /// Waits until what was decided so far is durable with all sinks that promise it; `None` if none does.
    /// See [`Hook::audit_settled`].
    #[must_use]
    pub fn settled(&self, awaited: Awaited) -> Option<Settled> {
        let sinks = self.at(Point::AuditSink).iter();
        let all: Vec<Settled> = sinks.filter_map(|sink| sink.audit_settled(awaited)).collect();
        if all.is_empty() {
            return None;
        }
        Some(Box::pin(async move {
            for one in all {
                one.await?;
            }
            Ok(())
        }))
    }
}

/// A change that the audit was told of as one that is made.
pub struct Announced {
    hooks: Arc<HookChain>,
    cx: RequestContext,
    name: &'static str,
    target: String,
}

impl Announced {
    /// Tells that nothing has come of it.
    pub fn tell_undone(&self, reason: &str) {
        let command = AdminCommand { name: self.name, target: &self.target };
        self.hooks.not_changed(&self.cx, &command, reason);
    }

    /// The same; what to wait for until that is recorded.
    #[must_use]
    pub fn undone(&self, reason: &str) -> Option<Settled> {
        self.tell_undone(reason);
        self.hooks.settled(Awaited::Control)
    }
}
