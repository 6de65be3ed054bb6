//! What can be wrong with a record.

/// Why a record can not be encoded, or bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The topic is empty or longer than the layout can say.
    #[error("topic is empty or longer than {max} bytes")]
    Topic {
        /// The limit.
        max: usize,
    },
    /// The property text is longer than its signed 16-bit length can say.
    #[error("properties are longer than {max} bytes")]
    Properties {
        /// The limit.
        max: usize,
    },
    /// The body is longer than a record can say.
    #[error("body is longer than {max} bytes")]
    Body {
        /// The limit.
        max: usize,
    },
    /// Fewer bytes than the record says it has.
    #[error("record is cut short")]
    Short,
    /// The magic number is none of a message.
    #[error("record has an unknown magic number {0:#010x}")]
    Magic(u32),
    /// A length inside the record does not fit its total size.
    #[error("record field `{0}` does not fit the record")]
    Field(&'static str),
    /// The body does not have the checksum that the record carries.
    #[error("record body fails its checksum")]
    Crc,
}
