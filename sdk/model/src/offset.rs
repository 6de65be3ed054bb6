//! Positions, as types that cannot be mixed up.

use std::fmt;

macro_rules! position {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// The first position.
            pub const ZERO: Self = Self(0);

            /// This position moved on by `n`, stopping at the largest value.
            #[must_use]
            pub const fn plus(self, n: u64) -> Self {
                Self(self.0.saturating_add(n))
            }

            /// How far this position is behind `later`; 0 if it is not behind.
            #[must_use]
            pub const fn until(self, later: Self) -> u64 {
                later.0.saturating_sub(self.0)
            }

            /// The value as RocketMQ writes it. Positions never pass `i64::MAX` in practice.
            #[must_use]
            pub const fn to_i64(self) -> i64 {
                if self.0 > i64::MAX as u64 { i64::MAX } else { self.0.cast_signed() }
            }

            /// A position from RocketMQ's signed form; `None` for negative values.
            #[must_use]
            pub const fn from_i64(value: i64) -> Option<Self> {
                if value < 0 { None } else { Some(Self(value.cast_unsigned())) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

position! {
    /// A byte position in the CommitLog, counted from the log's beginning, not the file's.
    PhysicalOffset
}
position! {
    /// A message's place in its queue: dense, counted from 0.
    QueueOffset
}

/// A queue of a topic, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub u32);

impl QueueId {
    /// The id as RocketMQ writes it.
    #[must_use]
    pub const fn to_i32(self) -> i32 {
        self.0.cast_signed()
    }

    /// An id from RocketMQ's signed form; `None` for negative values (-1 means "the broker picks").
    #[must_use]
    pub const fn from_i32(value: i32) -> Option<Self> {
        if value < 0 { None } else { Some(Self(value.cast_unsigned())) }
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
