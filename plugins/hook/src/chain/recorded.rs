//! What protocols tell the audit themselves, and how they wait for its records.

use std::fmt::Display;

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
