//! What protocols tell the audit themselves, and how they wait for its records.

use blockhouse_model::RequestContext;

use super::HookChain;
use crate::audit::{Decided, Outcome, Subject};
use crate::{Awaited, Point, Settled};

impl HookChain {
    /// Tells of credentials that no hook objected to, and that are refused all the same.
    pub fn mistaken(&self, cx: &RequestContext, access_key: &str, reason: &str) {
        if let Some(auditor) = &self.auditor {
            let decided = Decided { outcome: Outcome::Refused, by: "", shadow: false, reason };
            auditor.tell(Subject::Authenticate(cx, access_key), decided);
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
