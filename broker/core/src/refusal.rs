//! Why a request was not carried out: a kind that each protocol maps to its own code, and a sentence.

use std::borrow::Cow;

use blockhouse_hook::Rejection;
use blockhouse_model::NameError;

/// What kind of refusal. Protocols map it in one place (`status.rs` of each adapter).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalKind {
    /// Something failed here; another broker may do better.
    SystemError,
    /// Too much to do at the moment.
    SystemBusy,
    /// Known, but not offered.
    NotSupported,
    /// The message itself breaks a rule.
    MessageIllegal,
    /// This broker cannot take messages at the moment (full disk, stopping, failed store).
    ServiceNotAvailable,
    /// Not allowed; says what forbids it.
    NoPermission(Forbidden),
    /// No such topic here.
    TopicNotExist,
    /// A field has an impossible value.
    InvalidParameter,
    /// No such consumer group here.
    GroupNotExist,
    /// The group is not known to consume this topic.
    SubscriptionNotExist,
    /// The broker's idea of the subscription is older than the client's.
    SubscriptionNotLatest,
    /// The filter expression does not parse.
    SubscriptionParseFailed,
    /// Nothing is stored under that offset, key or id.
    NotFound,
    /// The client asked for is not connected.
    ConsumerNotOnline,
    /// The client asked for did not answer in time.
    ConsumeTimeout,
    /// Broadcasting groups keep their offsets themselves.
    BroadcastConsumption,
    /// A code of RocketMQ's that a hook chose.
    Chosen(i32),
}

/// What stands in the way of a request that is refused for lack of permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forbidden {
    /// Nothing more precise to say.
    Other,
    /// The whole broker.
    Broker,
    /// The consumer group.
    Group,
    /// The topic.
    Topic,
    /// Broadcasting is switched off for the group.
    Broadcasting,
    /// The group is barred from this topic.
    Subscription,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// For the protocol.
    pub kind: RefusalKind,
    /// For a person.
    pub reason: Cow<'static, str>,
}

impl Refusal {
    /// A refusal with its reason.
    #[must_use]
    pub fn new(kind: RefusalKind, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, reason: reason.into() }
    }

    /// Something is not allowed.
    #[must_use]
    pub fn forbidden(what: Forbidden, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(RefusalKind::NoPermission(what), reason)
    }

    /// No such topic.
    #[must_use]
    pub fn no_topic(topic: &str) -> Self {
        let reason = format!(
            "topic[{topic}] not exist, apply first please! Create it with `blockhouse admin topic create {topic}`"
        );
        Self::new(RefusalKind::TopicNotExist, reason)
    }

    /// No such group.
    #[must_use]
    pub fn no_group(group: &str) -> Self {
        Self::new(
            RefusalKind::GroupNotExist,
            format!("subscription group [{group}] does not exist"),
        )
    }

    /// A field has an impossible value.
    #[must_use]
    pub fn invalid(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(RefusalKind::InvalidParameter, reason)
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        let kind =
            rejection.code.map_or(RefusalKind::NoPermission(Forbidden::Other), RefusalKind::Chosen);
        Self { kind, reason: rejection.reason }
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        Self::invalid(error.to_string())
    }
}
