//! What can go wrong between a client and a cluster.

use blockhouse_protocol::codes::response_code;
use blockhouse_protocol::{BodyError, FieldError};

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection failed.
    #[error(transparent)]
    Transport(#[from] blockhouse_transport::Error),
    /// None of the name servers could be asked; the error is that of the last.
    #[error("no name server of {list} answers: {last}")]
    NameServers {
        /// The list as configured.
        list: String,
        /// What the last one said.
        last: Box<Self>,
    },
    /// The server answered with another code than success.
    #[error("{addr} refused: {} ({code}): {remark}", response_code::name(*code))]
    Refused {
        /// Who refused.
        addr: String,
        /// The response code.
        code: i32,
        /// What the server said.
        remark: String,
    },
    /// The name servers know no such topic.
    #[error("topic {0} is on no broker")]
    NoRoute(String),
    /// The topic has no queue that may be written (or read).
    #[error("topic {topic} has no {what} queue")]
    NoQueue {
        /// The topic.
        topic: String,
        /// `writeable` or `readable`.
        what: &'static str,
    },
    /// No broker of that name, or of that cluster.
    #[error("{0} is not registered at the name server")]
    NoBroker(String),
    /// The list of name servers is empty.
    #[error("no name server is given")]
    NoNameServer,
    /// An answer misses a field.
    #[error("an answer cannot be used: {0}")]
    Field(#[from] FieldError),
    /// An answer's body cannot be read.
    #[error("an answer cannot be used: {0}")]
    Body(#[from] BodyError),
    /// An answer contradicts itself.
    #[error("an answer cannot be used: {0}")]
    Answer(&'static str),
    /// A record in an answer cannot be read.
    #[error("an answer holds a damaged message: {0}")]
    Record(#[from] blockhouse_record::Error),
    /// Not an offset message id.
    #[error("{0} is not an offset message id (32 or 56 hexadecimal digits)")]
    MessageId(String),
}

impl Error {
    /// The response code if the server refused.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether another broker may succeed: RocketMQ's own set of codes that producers retry on,
    /// and everything that went wrong on the way.
    #[must_use]
    pub fn is_worth_a_retry(&self) -> bool {
        match self {
            Self::Transport(_) => true,
            Self::Refused { code, .. } => matches!(
                *code,
                response_code::SYSTEM_ERROR
                    | response_code::SYSTEM_BUSY
                    | response_code::SERVICE_NOT_AVAILABLE
                    | response_code::NO_PERMISSION
                    | response_code::TOPIC_NOT_EXIST
            ),
            _ => false,
        }
    }

    /// Whether the server will say the same to the same request until somebody changes a right, a
    /// group or the request: waiting alone helps nobody.
    #[must_use]
    pub fn is_final(&self) -> bool {
        let Self::Refused { code, .. } = self else { return false };
        matches!(
            *code,
            response_code::REQUEST_CODE_NOT_SUPPORTED
                | response_code::VERSION_NOT_SUPPORTED
                | response_code::NO_PERMISSION
                | response_code::SUBSCRIPTION_PARSE_FAILED
                | response_code::SUBSCRIPTION_GROUP_NOT_EXIST
                | response_code::INVALID_PARAMETER
                | response_code::BROADCAST_CONSUMPTION
                | response_code::ILLEGAL_OPERATION
        )
    }
}
