//! What can go wrong with one name server.

/// Why a report did not get through.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection could not be made, ended, or was silent.
    #[error(transparent)]
    Transport(#[from] blockhouse_transport::Error),
    /// The name server answered with something else than success.
    #[error("the name server refused with code {code}: {remark}")]
    Refused {
        /// Its response code.
        code: i32,
        /// Its words.
        remark: String,
    },
    /// The answer's header is not what the protocol promises.
    #[error("the name server's answer cannot be read: {0}")]
    Header(blockhouse_protocol::FieldError),
    /// The answer's body is not what the protocol promises.
    #[error("the name server's answer cannot be read: {0}")]
    Body(blockhouse_protocol::BodyError),
}
