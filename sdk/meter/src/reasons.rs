//! Why sends and pulls fail, as the few words that dashboards group by.

use crate::Counter;

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident: $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All reasons, in order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The value of the `reason` label.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

reasons! {
    /// Why a send was not answered with success.
    SendFailure:
    /// The topic does not exist and is not created for the asking.
    NoSuchTopic = "no_such_topic",
    /// The broker, topic or queue may not be written.
    NoPermission = "no_permission",
    /// A policy said no.
    Denied = "denied",
    /// A hook rejected the message.
    Rejected = "rejected",
    /// Name, body or properties break a rule.
    Illegal = "illegal",
    /// Too much is in flight.
    Busy = "busy",
    /// The store is full, fenced or closing.
    Store = "store",
    /// Stored, but not on disk in time.
    FlushDiskTimeout = "flush_disk_timeout",
    /// Stored, but not on a replica in time.
    FlushSlaveTimeout = "flush_slave_timeout",
    /// Stored, but no replica could take it.
    SlaveNotAvailable = "slave_not_available",
    /// Anything else.
    Other = "other",
}

reasons! {
    /// Why a pull was refused; finding nothing is not a failure.
    PullFailure:
    /// The topic does not exist.
    NoSuchTopic = "no_such_topic",
    /// The group does not exist and is not created for the asking.
    NoSuchGroup = "no_such_group",
    /// The broker, topic or group may not be read.
    NoPermission = "no_permission",
    /// A policy said no.
    Denied = "denied",
    /// The subscription is unknown, out of date or cannot be read.
    Subscription = "subscription",
    /// A field of the request breaks a rule.
    Illegal = "illegal",
    /// Too much is in flight or held.
    Busy = "busy",
    /// The store cannot read.
    Store = "store",
    /// Anything else.
    Other = "other",
}

/// A count per reason.
#[derive(Debug)]
pub struct FailureCounts<const N: usize>([Counter; N]);

impl<const N: usize> Default for FailureCounts<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

/// Counts per [`SendFailure`].
pub type SendFailures = FailureCounts<{ SendFailure::ALL.len() }>;
/// Counts per [`PullFailure`].
pub type PullFailures = FailureCounts<{ PullFailure::ALL.len() }>;

impl SendFailures {
    /// Counts `amount` messages that failed for `reason`.
    pub fn add(&self, reason: SendFailure, amount: u64) {
        self.0[reason as usize].add(amount);
    }

    /// All reasons and their counts.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        SendFailure::ALL.iter().zip(&self.0).map(|(reason, count)| (reason.name(), count.read()))
    }
}

impl PullFailures {
    /// Counts `amount` pulls that failed for `reason`.
    pub fn add(&self, reason: PullFailure, amount: u64) {
        self.0[reason as usize].add(amount);
    }

    /// All reasons and their counts.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        PullFailure::ALL.iter().zip(&self.0).map(|(reason, count)| (reason.name(), count.read()))
    }
}
