//! The hooks by their names in the contract.

use blockhouse_hook::{Point, Points};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::binding::OnFailure;

/// An interface that a plugin may export, and with it subscribe to hook points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Interface {
    /// Connections opened and closed.
    Connection,
    /// Who is this?
    Authenticate,
    /// May this principal do that?
    Authorize,
    /// Messages before they are stored.
    BeforeSend,
    /// Messages that have been stored.
    AfterAppend,
    /// A consumer asks for messages.
    Pull,
    /// Messages on their way to a consumer.
    BeforeDeliver,
    /// A consumer committed progress.
    Ack,
    /// Administrative requests.
    AdminCommand,
    /// A broker reports to the name server.
    BrokerRegistration,
    /// A client asks where a topic is.
    RouteQuery,
    /// Spans that have ended.
    EnrichSpan,
    /// What was decided.
    AuditSink,
}

impl Interface {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::Connection,
        Self::Authenticate,
        Self::Authorize,
        Self::BeforeSend,
        Self::AfterAppend,
        Self::Pull,
        Self::BeforeDeliver,
        Self::Ack,
        Self::AdminCommand,
        Self::BrokerRegistration,
        Self::RouteQuery,
        Self::EnrichSpan,
        Self::AuditSink,
    ];

    /// Its name in the contract and in bindings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Authenticate => "authenticate",
            Self::Authorize => "authorize",
            Self::BeforeSend => "before-send",
            Self::AfterAppend => "after-append",
            Self::Pull => "pull",
            Self::BeforeDeliver => "before-deliver",
            Self::Ack => "ack",
            Self::AdminCommand => "admin-command",
            Self::BrokerRegistration => "broker-registration",
            Self::RouteQuery => "route-query",
            Self::EnrichSpan => "enrich-span",
            Self::AuditSink => "audit-sink",
        }
    }

    /// The points that it hears of.
    pub(crate) const fn points(self, points: Points) -> Points {
        match self {
            Self::Connection => points.with(Point::ConnectionOpened).with(Point::ConnectionClosed),
            Self::Authenticate => points.with(Point::Authenticate),
            Self::Authorize => points.with(Point::Authorize),
            Self::BeforeSend => points.with(Point::BeforeSend),
            Self::AfterAppend => points.with(Point::AfterAppend),
            Self::Pull => points.with(Point::Pull),
            Self::BeforeDeliver => points.with(Point::BeforeDeliver),
            Self::Ack => points.with(Point::Ack),
            Self::AdminCommand => points.with(Point::AdminCommand),
            Self::BrokerRegistration => points.with(Point::BrokerRegistration),
            Self::RouteQuery => points.with(Point::RouteQuery),
            Self::EnrichSpan => points.with(Point::EnrichSpan),
            Self::AuditSink => points.with(Point::AuditSink),
        }
    }

    /// What a failure does where the binding does not say.
    #[must_use]
    pub const fn on_failure(self) -> OnFailure {
        match self {
            Self::RouteQuery
            | Self::AfterAppend
            | Self::Ack
            | Self::EnrichSpan
            | Self::AuditSink => OnFailure::Open,
            _ => OnFailure::Closed,
        }
    }

    /// How long a call may take where the binding does not say, in milliseconds.
    #[must_use]
    pub const fn deadline_ms(self) -> u32 {
        match self {
            Self::Pull => 1,
            Self::Authorize | Self::BeforeSend | Self::BeforeDeliver | Self::RouteQuery => 2,
            Self::Connection | Self::Authenticate => 5,
            Self::AdminCommand | Self::BrokerRegistration | Self::EnrichSpan => 20,
            Self::AfterAppend | Self::Ack => 50,
            Self::AuditSink => 1_000,
        }
    }

    /// The longest that a binding may allow, in milliseconds.
    #[must_use]
    pub const fn deadline_ms_max(self) -> u32 {
        if self.is_queued() { 10_000 } else { 50 }
    }

    /// Whether it is called from a queue, beside the request.
    #[must_use]
    pub const fn is_queued(self) -> bool {
        matches!(self, Self::AfterAppend | Self::Ack | Self::EnrichSpan | Self::AuditSink)
    }

    /// Whether the host has a backlog for it; spans have that of their exporter.
    pub(crate) const fn has_backlog(self) -> bool {
        matches!(self, Self::AfterAppend | Self::Ack | Self::AuditSink)
    }

    /// Whether what it is called for has a topic.
    pub(crate) const fn has_topic(self) -> bool {
        !matches!(
            self,
            Self::Connection
                | Self::Authenticate
                | Self::AdminCommand
                | Self::BrokerRegistration
                | Self::EnrichSpan
                | Self::AuditSink
        )
    }

    /// Whether what it is called for has a group.
    pub(crate) const fn has_group(self) -> bool {
        self.has_topic() && !matches!(self, Self::AfterAppend | Self::RouteQuery)
    }
}

impl std::fmt::Display for Interface {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
