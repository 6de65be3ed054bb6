//! Kinds of messages.

use serde::Deserialize;

/// What kind of message it is, as its properties say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageType {
    /// None of the others.
    #[default]
    Normal,
    /// With a sharding key: ordered.
    Fifo,
    /// With a delay level or a time of delivery.
    Delay,
    /// A half message of a transaction.
    Transaction,
}

impl MessageType {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Normal, Self::Fifo, Self::Delay, Self::Transaction];

    /// The word for it, in metrics and policies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Fifo => "fifo",
            Self::Delay => "delay",
            Self::Transaction => "transaction",
        }
    }

    /// The type of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mtype| mtype.name() == text)
    }
}
