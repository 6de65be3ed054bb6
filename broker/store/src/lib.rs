//! RocketMQ's store: one CommitLog for all topics, a ConsumeQueue per queue, an index by key, in
//! RocketMQ's own files. `docs/storage-format.md` draws every byte and gives the recovery rules.
//!
//! A burst of messages is encoded outside any lock, placed under one, and written with one system
//! call by whichever thread gets to it first ([`Store::append`]). Readers see what the log has
//! confirmed, never more; [`Store::read`] gives slices of the log, which are a pull reply's body.
//!
//! The store knows topic names and queue ids. It has never heard of groups, clients, permissions or
//! protocols, does not decide which queue a message goes to, and filters only through [`Accept`].
//!
//! | module | holds |
//! |---|---|
//! | [`store`] | opening and closing |
//! | [`append`] | storing a burst |
//! | [`read`], `reading` | reading a queue |
//! | `search` | by time, by place, by key |
//! | [`log`], `local_log`, `segments` | the CommitLog: two tails, write lock, flush thread, files |
//! | [`progress`] | positions and tickets |
//! | `dispatch`, `shape` | from the log to queues and index |
//! | `queue`, `queues`, `queue_files` | ConsumeQueues |
//! | `index` | IndexFiles |
//! | `layout`, `stamp` | which directories are refused |
//! | `recovery`, `checkpoint` | restart |
//! | `verify` | what is checked before it is handed out |
//! | [`examine`] | looking at a stopped store's files, and mending them |
//! | [`faults`] | what the disk refuses, and whether sends are taken |
//! | `upkeep`, `worker` | background work: writing behind, checkpoints, retention |

pub mod append;
mod checkpoint;
pub mod config;
mod dispatch;
pub mod error;
pub mod examine;
pub mod faults;
mod index;
mod layout;
mod local_log;
pub mod log;
pub mod progress;
mod queue;
mod queue_files;
mod queue_table;
mod queues;
pub mod read;
mod reading;
mod recovery;
mod search;
mod segments;
mod shape;
mod stamp;
pub mod store;
mod upkeep;
mod verify;
mod waits;
mod worker;

pub use append::{Placed, Placement, Settled};
pub use config::{Config, Flush};
pub use error::{AppendError, Error};
pub use faults::{Cause, Fault, Part, Trouble};
pub use log::{FlushWatcher, Flushed};
pub use progress::Ticket;
pub use read::{
    Accept, Boundary, ColdRead, NoListener, Purpose, QueryOutcome, QueueBounds, QueueListener,
    ReadOutcome, ReadRequest, ReadStatus,
};
pub use reading::LENT_MIN;
pub use search::QUERY_MAX;
pub use stamp::check as check_layout;
pub use store::{Closing, Parts, Store, StoreStats};
