//! Why certificates cannot be used.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why certificates, keys or lists cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read, or is not what it should be.
    #[error("{}: {problem}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A certificate cannot be read.
    #[error("malformed certificate ({0})")]
    Malformed(String),
    /// What the files hold does not go together.
    #[error("cannot be used for TLS: {0}")]
    Unusable(String),
}

impl Error {
    pub(crate) fn in_file(file: &Path, problem: &dyn fmt::Display) -> Self {
        Self::File { file: file.to_owned(), problem: problem.to_string() }
    }
}
