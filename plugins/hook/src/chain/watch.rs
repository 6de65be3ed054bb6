//! What a hook has changed: a look before its call, and one after it. Only where a sink listens.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use blockhouse_model::RequestContext;

use crate::audit::{Auditor, Decided, Outcome, Subject};
use crate::{Decision, Delivery, Draft, Outbound, Rejection, RouteEntry};

/// What tells one content from another: where borrowed bytes are, or what owned ones are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Borrowed(usize, usize),
    Owned(u64),
}

/// Drafts before a hook's call.
pub(super) struct Drafts(Vec<(Mark, Mark, Decision)>);

fn mark(bytes: &[u8], is_owned: bool) -> Mark {
    if !is_owned {
        return Mark::Borrowed(bytes.as_ptr().addr(), bytes.len());
    }
    // An earlier hook put it there, and this one may change it in place.
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    Mark::Owned(hasher.finish())
}

fn marks(draft: &Draft<'_>) -> (Mark, Mark) {
    let (body, text) = (&draft.body, &draft.properties);
    (
        mark(body, matches!(body, Cow::Owned(_))),
        mark(text.as_bytes(), matches!(text, Cow::Owned(_))),
    )
}

impl Drafts {
    pub(super) fn of(messages: &[Draft<'_>]) -> Self {
        let look = |draft: &Draft<'_>| {
            let (body, properties) = marks(draft);
            (body, properties, draft.decision.clone())
        };
        Self(messages.iter().map(look).collect())
    }

    /// Tells what the hook has decided on the messages that were still to be stored.
    pub(super) fn tell(
        &self,
        auditor: &Auditor,
        cx: &RequestContext,
        by: &str,
        messages: &[Draft<'_>],
    ) {
        for ((body, properties, before), draft) in self.0.iter().zip(messages) {
            if *before != Decision::Admit {
                continue;
            }
            let topic;
            let (outcome, reason) = match &draft.decision {
                Decision::Admit if (*body, *properties) == marks(draft) => continue,
                Decision::Admit => (Outcome::Edited, ""),
                Decision::Drop => (Outcome::Dropped, ""),
                Decision::Reject(rejection) => of_rejection(rejection),
                Decision::Reroute(to) => {
                    topic = format!("to {to}");
                    (Outcome::Rerouted, topic.as_str())
                }
            };
            let decided = Decided { outcome, by, shadow: false, reason };
            auditor.tell(Subject::Send(cx, draft.topic), decided);
        }
    }
}

/// What becomes of a refusal in words: a failed hook's own reason, and a detail, stay with the node.
pub(super) fn of_rejection(rejection: &Rejection) -> (Outcome, &str) {
    match &rejection.failure {
        Some(failure) => (Outcome::Failed, failure),
        None => (Outcome::Refused, rejection.detail.as_ref().unwrap_or(&rejection.reason)),
    }
}

/// Messages on their way out before a hook's call: which are kept, and with which body.
pub(super) struct Deliveries(Vec<(bool, Option<usize>)>);

fn body(message: &Outbound<'_>) -> Option<usize> {
    message.body.as_ref().map(|body| body.as_ptr().addr())
}

impl Deliveries {
    pub(super) fn of(messages: &[Outbound<'_>]) -> Self {
        Self(messages.iter().map(|message| (message.keep, body(message))).collect())
    }

    /// Tells what the hook left out and changed: one event for each, with their number.
    pub(super) fn tell(
        &self,
        auditor: &Auditor,
        cx: &RequestContext,
        by: &str,
        delivery: &Delivery<'_>,
        messages: &[Outbound<'_>],
    ) {
        let (mut hidden, mut changed) = (0_usize, 0_usize);
        for ((kept, before), message) in self.0.iter().zip(messages) {
            hidden += usize::from(*kept && !message.keep);
            changed += usize::from(message.keep && *before != body(message));
        }
        for (outcome, count) in [(Outcome::Dropped, hidden), (Outcome::Edited, changed)] {
            if count > 0 {
                let reason = format!("{count} of {} messages", messages.len());
                let decided = Decided { outcome, by, shadow: false, reason: &reason };
                auditor.tell(Subject::Deliver(cx, delivery), decided);
            }
        }
    }
}

/// Whether a hook has changed a route, and how many brokers are left of how many.
pub(super) fn route_change(before: &[RouteEntry], after: &[RouteEntry]) -> Option<String> {
    (before != after).then(|| format!("{} of {} brokers", after.len(), before.len()))
}
