//! Bit sets of RocketMQ: a message's system flags, a topic's permissions.

/// A message's system flags (the SYSFLAG field of a record).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SysFlag(pub i32);

impl SysFlag {
    /// The body is compressed.
    pub const COMPRESSED: i32 = 0x1;
    /// More than one tag (never acted on by brokers).
    pub const MULTI_TAGS: i32 = 0x2;
    /// Mask of the two transaction bits.
    pub const TRANSACTION_MASK: i32 = 0x3 << 2;
    /// A half message.
    pub const TRANSACTION_PREPARED: i32 = 0x1 << 2;
    /// A committed transaction message.
    pub const TRANSACTION_COMMIT: i32 = 0x2 << 2;
    /// A rolled back transaction message.
    pub const TRANSACTION_ROLLBACK: i32 = 0x3 << 2;
    /// BORNHOST is an IPv6 address (20 bytes instead of 8).
    pub const BORN_HOST_V6: i32 = 0x1 << 4;
    /// STOREHOST is an IPv6 address.
    pub const STORE_HOST_V6: i32 = 0x1 << 5;

    /// The flags with `bits` set.
    #[must_use]
    pub const fn with(self, bits: i32) -> Self {
        Self(self.0 | bits)
    }

    /// The flags with `bits` cleared.
    #[must_use]
    pub const fn without(self, bits: i32) -> Self {
        Self(self.0 & !bits)
    }

    /// Whether all of `bits` are set.
    #[must_use]
    pub const fn has(self, bits: i32) -> bool {
        self.0 & bits == bits
    }

    /// The transaction bits alone.
    #[must_use]
    pub const fn transaction(self) -> i32 {
        self.0 & Self::TRANSACTION_MASK
    }
}

/// What may be done with a topic's queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Perm(pub u32);

impl Perm {
    /// New topics inherit from this one (only the template topic has it).
    pub const INHERIT: u32 = 1;
    /// Queues may be written.
    pub const WRITE: u32 = 1 << 1;
    /// Queues may be read.
    pub const READ: u32 = 1 << 2;
    /// Priority queues.
    pub const PRIORITY: u32 = 1 << 3;
    /// Read and write, what topics usually have.
    pub const RW: Self = Self(Self::READ | Self::WRITE);

    /// Whether queues may be read.
    #[must_use]
    pub const fn readable(self) -> bool {
        self.0 & Self::READ != 0
    }

    /// Whether queues may be written.
    #[must_use]
    pub const fn writeable(self) -> bool {
        self.0 & Self::WRITE != 0
    }

    /// Whether new topics inherit from this one.
    #[must_use]
    pub const fn inherited(self) -> bool {
        self.0 & Self::INHERIT != 0
    }
}
