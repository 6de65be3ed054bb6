//! What can be wrong with a log.

use std::io;
use std::path::PathBuf;

/// Why a log cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk says no.
    #[error("the audit log {path}: {source}")]
    Disk {
        /// Which file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Another process writes it.
    #[error("another process writes the audit log {0}")]
    Locked(PathBuf),
    /// A key's file is not as it should be.
    #[error("{path}: {problem}")]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// A text is no public key.
    #[error("not a public key of an audit log: {0}")]
    PublicKey(&'static str),
    /// A text is no checkpoint, or not one of this key.
    #[error("the checkpoint {0}")]
    Checkpoint(&'static str),
    /// What was signed is not there any more.
    #[error(
        "the audit log {path} was changed: {problem}. Nothing is started on it: keep {path} as evidence, move it away, and start again"
    )]
    Changed {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// There is no log.
    #[error("there is no audit log in {0}: a node keeps one with audit.enabled = true")]
    Missing(PathBuf),
}

impl Error {
    pub(crate) fn disk(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk { path, source }
    }
}
