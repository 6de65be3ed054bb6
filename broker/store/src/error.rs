//! What can go wrong in the store.

use std::io;
use std::path::PathBuf;

/// Why a store cannot be opened or worked on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The filesystem refused.
    #[error("{what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the filesystem said.
        source: io::Error,
    },
    /// Another process works on the directory.
    #[error("the data directory {0} is in use by another process")]
    InUse(PathBuf),
    /// A file does not look like RocketMQ's.
    #[error("{path}: {problem}")]
    Format {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The log is damaged where it was known to be on disk.
    #[error(
        "{path} is damaged at byte {offset} (position {position} of the log), in a part that was on \
         disk (up to {durable}): {records} whole records ({bytes} bytes) follow. The start is refused \
         and nothing was changed. `blockhouse admin store check` shows what is there; `blockhouse \
         admin store repair --skip-damaged` says what it would cost to give up the damaged part, and \
         does it with `--yes`"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// Where in the log.
        position: u64,
        /// Up to where the log was on disk.
        durable: u64,
        /// How many whole records lie behind the damage.
        records: u64,
        /// How many bytes those have.
        bytes: u64,
    },
    /// A repair is not made.
    #[error("{0}")]
    Refused(String),
    /// A setting is out of its range.
    #[error("{option}: {problem}")]
    Config {
        /// Which option.
        option: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A write or sync failed before; the store takes no more messages.
    #[error("the store stopped after a failed write or sync")]
    Poisoned,
    /// The bytes asked for are not in memory, and waiting was not allowed.
    #[error("the bytes asked for are not in memory")]
    WouldBlock,
}

impl Error {
    pub(crate) fn io(what: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// Why a burst was not stored. Nothing of it is in the log then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The buffers are full: the disk does not keep up (RocketMQ: `SYSTEM_BUSY`).
    #[error("the store is busy: its write buffers are full")]
    Busy,
    /// The disk is fuller than `disk_max_used_percent`.
    #[error("the disk is full: store.disk_max_used_percent of it are used")]
    DiskFull,
    /// The disk refuses what the message would need.
    #[error("{0}")]
    Disk(crate::faults::Trouble),
    /// A write or sync failed before; the store takes no more messages.
    #[error("the store stopped after a failed write or sync")]
    Poisoned,
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// A draft of the burst cannot be stored; `index` says which.
    #[error("message {index} of the burst: {problem}")]
    Illegal {
        /// The place in the burst.
        index: usize,
        /// What is wrong with it.
        problem: blockhouse_record::Error,
    },
    /// A draft of the burst is larger than a record may be.
    #[error("message {index} of the burst is larger than {max} bytes")]
    TooLarge {
        /// The place in the burst.
        index: usize,
        /// The limit for a whole record.
        max: usize,
    },
}
