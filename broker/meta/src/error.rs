use std::io;
use std::path::PathBuf;

use blockhouse_model::NameError;

/// Why metadata could not be read, written or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the filesystem said.
        source: io::Error,
    },
    /// Neither the file nor its `.bak` can be understood.
    #[error("{} is damaged and has no usable .bak: {problem}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A name breaks a rule.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The topic belongs to the broker itself.
    #[error("the topic[{0}] is conflict with system topic")]
    SystemTopic(String),
    /// A number of queues that no topic can have.
    #[error("{field}[{count}] is more than {max}")]
    Queues {
        /// The field that is wrong.
        field: &'static str,
        /// Its value.
        count: u32,
        /// The largest allowed value.
        max: u32,
    },
    /// A change of attributes that cannot be made.
    #[error("{0}")]
    Attributes(String),
    /// Topics of mixed message types are not offered.
    #[error("MIXED message type is not supported")]
    MixedType,
    /// There are as many as there may be, which an option says.
    #[error(
        "there are {max} {what}, as many as {option} allows: delete some that nobody needs (`{command}`), or raise it"
    )]
    Full {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
        /// Where it is set.
        option: &'static str,
        /// What makes room.
        command: &'static str,
    },
    /// A user has made as many topics as the quota allows.
    #[error(
        "{owner} has made {max} topics, as many as the quota of topics of this user allows: delete some that nobody needs (`blockhouse admin topic delete TOPIC`)"
    )]
    Share {
        /// Who, as `user:NAME`.
        owner: String,
        /// The limit.
        max: u64,
    },
    /// Fields that are not a JSON object.
    #[error("not a JSON object: {0}")]
    Json(String),
}

impl Error {
    pub(crate) fn disk(action: &'static str, path: &std::path::Path, source: io::Error) -> Self {
        Self::Disk { action, path: path.to_owned(), source }
    }
}
