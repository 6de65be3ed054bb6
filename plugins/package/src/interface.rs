//! The interfaces that a plugin exports.

/// An interface of the contract that a plugin exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interface {
    /// Init, health, config change, drain. Every plugin exports it.
    Lifecycle,
    /// Connections open and close.
    Connection,
    /// Who is this?
    Authenticate,
    /// May they?
    Authorize,
    /// Messages before they are stored.
    BeforeSend,
    /// Messages that were stored.
    AfterAppend,
    /// A consumer asks for messages.
    Pull,
    /// Messages on their way to a consumer.
    BeforeDeliver,
    /// A consumer committed.
    Ack,
    /// An administrative request.
    AdminCommand,
    /// A broker reports itself.
    BrokerRegistration,
    /// A client asks for a route.
    RouteQuery,
    /// Spans get attributes.
    EnrichSpan,
    /// Decisions to be told elsewhere.
    AuditSink,
}

impl Interface {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Lifecycle,
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

    /// Its name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lifecycle => "lifecycle",
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

    /// The one of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interface| interface.name() == name)
    }

    /// Whether calls run beside the data path, so that a plugin may wait for others in them.
    #[must_use]
    pub const fn is_off_the_data_path(self) -> bool {
        matches!(
            self,
            Self::Lifecycle | Self::AfterAppend | Self::Ack | Self::EnrichSpan | Self::AuditSink
        )
    }

    /// The longest deadline that a plugin may ask for, in milliseconds.
    #[must_use]
    pub const fn deadline_max_ms(self) -> u32 {
        if self.is_off_the_data_path() { 10_000 } else { 50 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for interface in Interface::ALL {
            assert_eq!(Interface::of(interface.name()), Some(interface));
        }
        assert_eq!(Interface::of("Pull"), None);
    }
}
