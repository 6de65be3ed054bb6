//! Who a request comes from: RocketMQ's signatures, and the users that may make them.
//!
//! [`Authn`] is the hook at [`Point::Authenticate`](blockhouse_hook::Point); [`UserTable`] keeps the
//! users, with their secrets sealed on disk and only as MAC keys in memory. What a user may do is not
//! decided here.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | [`Config`], the section `[authn]` |
//! | [`secret`] | [`Secret`] and [`Credential`], and the files they are read from |
//! | [`signature`] | [`SigningKey`]: HMAC-SHA1, made and compared |
//! | [`grpc`] | the header of gRPC clients |
//! | [`seal`] | secrets at rest |
//! | [`users`] | [`UserTable`] |
//! | `revoked` | who is no longer known for what he proved |
//! | `file` | `users.json` |
//! | `hook` | [`Authn`] |
//! | [`outcome`] | what became of an attempt, and the counts |
//! | [`plain_acl`] | ACL 1.0's file, to be imported |

#![forbid(unsafe_code)]

pub mod config;
mod file;
pub mod grpc;
mod hook;
pub mod outcome;
pub mod plain_acl;
mod revoked;
pub mod seal;
pub mod secret;
pub mod signature;
pub mod users;

pub use config::{Config, NodeRequests};
pub use hook::Authn;
pub use outcome::Outcome;
pub use secret::{Credential, Secret};
pub use signature::SigningKey;
pub use users::UserTable;

/// Why authentication cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not as it must be.
    #[error("{path} {problem}")]
    File {
        /// Which.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Error {
    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn file(path: &std::path::Path, problem: impl Into<String>) -> Self {
        Self::File { path: path.display().to_string(), problem: problem.into() }
    }
}
