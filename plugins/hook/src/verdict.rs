//! The only ways a hook can steer.

use std::borrow::Cow;

use blockhouse_model::Principal;

/// What a hook says to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on to the next hook, and after the last one to the work itself.
    Continue,
    /// Refuse; later hooks are not asked.
    Reject(Rejection),
}

/// Why a request is refused, in words for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// A response code of RocketMQ's; `None` lets the protocol choose (`NO_PERMISSION`).
    pub code: Option<i32>,
    /// One sentence that says what to do.
    pub reason: Cow<'static, str>,
    /// Set where the hook failed and its failure policy refuses: what happened, for the audit only.
    pub failure: Option<Cow<'static, str>>,
    /// More than the client is told, such as the rule that decided: for the audit only.
    pub detail: Option<Cow<'static, str>>,
}

impl Rejection {
    /// All that somebody is told whose credentials prove nobody, whatever is wrong with them.
    pub const UNPROVEN: &'static str =
        "the access key and the signature do not prove a user of this server";

    /// A refusal with the protocol's own code.
    #[must_use]
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { code: None, reason: reason.into(), failure: None, detail: None }
    }

    /// The same, with what only the audit is told.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// A refusal with a code.
    #[must_use]
    pub fn with_code(code: i32, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { code: Some(code), reason: reason.into(), failure: None, detail: None }
    }
}

/// What a hook says of a request's credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Not this hook's kind of credentials: ask the next one.
    Unknown,
    /// Proved to be this principal.
    Known(Principal),
    /// The credentials are wrong.
    Refused(Rejection),
}
