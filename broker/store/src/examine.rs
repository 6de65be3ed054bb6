//! Looking at the files of a stopped store, Blockhouse's or Apache RocketMQ's, and mending them.
//!
//! [`check`], [`survey`] and [`dump`] only read. They take sizes from the files, walk the log once
//! in pieces, and hold memory by the number of queues. [`repair`] does what [`plan`] says about
//! a [`Report`], and saves everything that it overwrites or removes first.
//!
//! This is not recovery: a start trusts its checkpoint and reads what follows; this reads everything
//! and believes nothing.
//!
//! | module | holds |
//! |---|---|
//! | `finding` | what can be wrong, and what mends it |
//! | `site` | the directory, its lock, what the files do not tell |
//! | `log_files`, `walk` | the CommitLog's files, and reading them in spite of damage |
//! | `queue_dirs`, `queue_check` | ConsumeQueues against the log |
//! | `index_files`, `index_check` | IndexFiles against the log |
//! | `marks` | checkpoints |
//! | `survey`, `check`, `dump` | the whole: what is there, what is wrong, the records |
//! | `plan`, `repair` and below | mending |

mod check;
mod dump;
mod finding;
mod index_check;
mod index_files;
mod log_files;
mod marks;
mod plan;
mod queue_check;
mod queue_dirs;
mod repair;
mod site;
mod survey;
mod walk;

pub use check::{Report, check};
pub use dump::{Dumped, Filter, dump};
pub use finding::{Finding, Findings, Kind, Remedy, Severity};
pub use marks::{CheckpointTimes, MarksSurvey, OwnMark, SmallFile};
pub(crate) use plan::is_placeholder;
pub use plan::{Plan, Step, plan};
pub use queue_check::Lost;
pub use repair::{Repaired, repair};
pub use site::{Access, Options, Site};
pub use survey::{IndexSurvey, Kinds, LogSurvey, QueueSurvey, Survey, survey};
pub use walk::Damaged;
