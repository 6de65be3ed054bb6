//! The flight recorder: the last requests that a process answered, in a file that is there after it,
//! however it ended.
//!
//! Records are of a fixed size and go into rings, one per shard of threads, in a file that is mapped
//! into memory: writing one takes neither a lock nor a system call, and what was written is the
//! kernel's to keep. A power cut may take it; `kill -9` does not. Names are numbers in records, and a
//! table in the same file says what they stand for.
//!
//! Several threads may write into a ring, and a process may end while it writes. So every record has a
//! checksum, and readers pass over what is not whole: the file can be read at any time, also while
//! it is written.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | section `[flight]` |
//! | [`file`] | bytes: the head, a name, a record |
//! | `names` | names as numbers, and the table that has them |
//! | [`recorder`] | [`FlightRecorder`] |
//! | [`reader`] | [`Flight`]: a file that is read |
//! | [`select`] | the records that somebody wants to see |
//! | [`copies`] | copies of the file, for moments that are worth keeping |
//! | [`latency`] | such a moment: requests become slow |

#![forbid(unsafe_code)]

pub mod config;
pub mod copies;
pub mod file;
pub mod latency;
mod names;
pub mod reader;
pub mod recorder;
pub mod select;

pub use config::Config;
pub use latency::{Breach, LatencyWatch};
pub use reader::{Error, Flight};
pub use recorder::FlightRecorder;
pub use select::{Found, Row, Select, find};

/// Where a node with a broker keeps its records, below its data directory.
pub const DIR: &str = "blockhouse/flight";
/// Where a name server alone does: both may share a data directory.
pub const NAMESRV_DIR: &str = "namesrv/flight";
/// The file of the process that runs, or ran last.
pub const NOW: &str = "now.flight";
/// The file of the process before.
pub const BEFORE: &str = "before.flight";
