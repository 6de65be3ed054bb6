//! What a client says about itself.

use blockhouse_filter::Subscription;
use blockhouse_model::Group;

/// Most groups of one connection, of consumers and of producers each.
pub const GROUPS_MAX: usize = 4_096;
/// Most subscriptions of one group.
pub const SUBSCRIPTIONS_MAX: usize = 4_096;
/// Most bytes that the subscriptions of all connected groups take.
pub const SUBSCRIPTION_BYTES_MAX: usize = 256 << 20;
/// Longest client id.
pub const CLIENT_ID_LEN_MAX: usize = 1_024;

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// The name that RocketMQ's tools show.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Reads the name.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

named! {
    /// How a group gets its messages.
    ConsumeType {
        /// The application asks for them.
        Actively = "CONSUME_ACTIVELY",
        /// The client library asks and hands them over.
        Passively = "CONSUME_PASSIVELY",
        /// As above, by POP.
        Pop = "CONSUME_POP",
    }
}

named! {
    /// Who of a group gets a message.
    MessageModel {
        /// Each member.
        Broadcasting = "BROADCASTING",
        /// One member.
        Clustering = "CLUSTERING",
    }
}

named! {
    /// Where a group without progress begins.
    ConsumeFromWhere {
        /// At the end.
        LastOffset = "CONSUME_FROM_LAST_OFFSET",
        /// Obsolete.
        LastOffsetAndMinWhenBootFirst = "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
        /// Obsolete.
        MinOffset = "CONSUME_FROM_MIN_OFFSET",
        /// Obsolete.
        MaxOffset = "CONSUME_FROM_MAX_OFFSET",
        /// At the beginning.
        FirstOffset = "CONSUME_FROM_FIRST_OFFSET",
        /// At a time that the client knows.
        Timestamp = "CONSUME_FROM_TIMESTAMP",
    }
}

/// A client's sign of life.
#[derive(Clone, Debug, Default)]
pub struct Heartbeat {
    /// The client's own name.
    pub client_id: String,
    /// The number of the language it is written in, shown to operators.
    pub language: u8,
    /// The number of its version, shown to operators.
    pub version: i32,
    /// A hash of everything the client has to say, 0 from clients that send it all each time.
    pub fingerprint: i32,
    /// The subscriptions were left out, since the broker knows them by the fingerprint.
    pub without_subscriptions: bool,
    /// The groups in which it produces.
    pub producers: Vec<Group>,
    /// The groups in which it consumes.
    pub consumers: Vec<ConsumerHeartbeat>,
}

/// A client's membership of a consumer group.
#[derive(Clone, Debug)]
pub struct ConsumerHeartbeat {
    /// The group.
    pub group: Group,
    /// How it gets messages.
    pub consume_type: ConsumeType,
    /// Who gets a message.
    pub message_model: MessageModel,
    /// Where it begins.
    pub from_where: ConsumeFromWhere,
    /// What it wants.
    pub subscriptions: Vec<Subscription>,
    /// RocketMQ's unit mode, which marks the group's retry topic.
    pub unit_mode: bool,
}

/// A consumer group may have this member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Whether members hear of joins and leaves at once
    /// (RocketMQ: `notifyConsumerIdsChangedEnable`, of the broker and of the group).
    pub notify: bool,
}

/// What the client is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatOutcome {
    /// The client must send its subscriptions in full next time (`IS_SUB_CHANGE`).
    pub subscriptions_unknown: bool,
}

/// Why a heartbeat was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeartbeatError {
    /// No client can be told from another without an id.
    #[error("clientID is blank")]
    Blank,
    /// An id longer than any.
    #[error("clientID is longer than {CLIENT_ID_LEN_MAX} bytes")]
    LongId,
    /// More than any client needs.
    #[error("{what} has more than {max} entries")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// All clients together have as many groups as there may be.
    #[error(
        "the broker has {max} members of {of} groups, as many as broker.members_max allows: close clients that nobody needs, or raise it"
    )]
    Members {
        /// Of consumer or of producer groups.
        of: &'static str,
        /// The limit.
        max: usize,
    },
    /// All clients together subscribe to as much as there may be.
    #[error(
        "the subscriptions of all clients take {max} bytes, and more are not kept: subscribe to fewer topics, or with shorter expressions"
    )]
    Subscriptions {
        /// The limit.
        max: usize,
    },
}

impl HeartbeatError {
    /// Whether it is refused because of others.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Members { .. } | Self::Subscriptions { .. })
    }
}

impl Heartbeat {
    /// Whether it is within the limits.
    ///
    /// # Errors
    /// The limit it is beyond.
    pub fn check(&self) -> Result<(), HeartbeatError> {
        if self.client_id.trim().is_empty() {
            return Err(HeartbeatError::Blank);
        }
        if self.client_id.len() > CLIENT_ID_LEN_MAX {
            return Err(HeartbeatError::LongId);
        }
        let subscriptions = self.consumers.iter().map(|c| c.subscriptions.len()).max();
        check_count("producerDataSet", self.producers.len(), GROUPS_MAX)?;
        check_count("consumerDataSet", self.consumers.len(), GROUPS_MAX)?;
        check_count("subscriptionDataSet", subscriptions.unwrap_or(0), SUBSCRIPTIONS_MAX)
    }
}

pub(super) const fn check_count(
    what: &'static str,
    count: usize,
    max: usize,
) -> Result<(), HeartbeatError> {
    if count > max { Err(HeartbeatError::TooMany { what, max }) } else { Ok(()) }
}
