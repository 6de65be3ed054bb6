//! What can be wrong with input: a frame, a header field, a body.

/// Why a frame cannot be taken off a connection. There is no way to find the next frame after one
/// of these, so the connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The announced length is over the limit.
    #[error("a frame of {len} bytes is longer than the limit of {max} bytes")]
    TooLong {
        /// What the frame announces, with its length field.
        len: usize,
        /// What is allowed.
        max: usize,
    },
    /// The announced length is negative.
    #[error("the frame length {0} is negative")]
    NegativeLength(i32),
    /// The announced header does not fit into the frame.
    #[error("a header of {header} bytes does not fit into a frame of {frame} bytes")]
    HeaderLongerThanFrame {
        /// The header's announced length.
        header: usize,
        /// What follows the frame's length field.
        frame: usize,
    },
    /// Neither JSON (0) nor ROCKETMQ (1).
    #[error("the serialize type {0} is unknown")]
    UnknownSerializeType(u8),
    /// The header is not what its serialize type says.
    #[error("bad header at byte {at}: {what}")]
    BadHeader {
        /// Where in the header.
        at: usize,
        /// What was found or missed.
        what: &'static str,
    },
}

/// What is wrong with a header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It is not there, or null.
    #[error("is missing")]
    Missing,
    /// Not a decimal number of the field's width.
    #[error("is not a number, or too large a one")]
    NotANumber,
    /// Not one of the words the field may hold.
    #[error("holds an unknown word")]
    UnknownWord,
}

/// A request's header field that cannot be used. The text can be a remark to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header field {field} {problem}")]
pub struct FieldError {
    /// The field's name on the wire.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// Why a body cannot be read. The text can be a remark to a client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// Not JSON, or not of the expected shape.
    #[error("the body is not the expected JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Not even FastJSON's dialect.
    #[error("the body is not JSON at byte {at}: {what}")]
    Text {
        /// Where in the body.
        at: usize,
        /// What was found or missed.
        what: &'static str,
    },
    /// The body ends in the middle of something.
    #[error("the body ends inside {0}")]
    Truncated(&'static str),
    /// A length or count is negative, or over its limit.
    #[error("{what} of {value} is out of range")]
    OutOfRange {
        /// Which length or count.
        what: &'static str,
        /// Its value.
        value: i64,
    },
    /// The compressed body cannot be decompressed.
    #[error("the compressed body is damaged")]
    Compression,
    /// A part of the body is malformed.
    #[error("{0} is malformed")]
    Malformed(&'static str),
}
