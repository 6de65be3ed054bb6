//! What a broker remembers besides messages: topics, consumer groups, their progress.
//!
//! Each of RocketMQ's `config/*.json` files has one owner here, which keeps it in memory for reads
//! from the message path, tells listeners about changes, and writes the file so that a Java broker
//! can take the directory over (and back). Fields that are only Java's are kept on rewriting.
//!
//! Changes happen in memory; **nothing here writes a file until `persist` is called**, because the
//! message path must not wait for a sync. The exception is consumer progress: its changes also go
//! to a journal, so that a killed process forgets no acknowledged commit (see [`offsets`]).
//!
//! What this crate does not do: it knows no protocol, reads no clock of its own, starts no task and
//! checks no permission.
//!
//! | module | holds | file |
//! |---|---|---|
//! | [`topics`] | [`Topics`] | `config/topics.json` |
//! | [`groups`] | [`Groups`] | `config/subscriptionGroup.json` |
//! | [`offsets`] | [`Offsets`] | `config/consumerOffset.json`, `blockhouse/offsets.log` |
//! | [`delay_offsets`] | [`DelayOffsets`] | `config/delayOffset.json` |
//! | [`ahead`] | progress that is ahead of the messages | |
//! | [`examine`] | looking at the files of a stopped broker | all of them |
//! | [`attributes`] | attributes of topics and groups, and their changes | |

pub mod ahead;
pub mod attributes;
mod config_file;
pub mod delay_offsets;
mod error;
pub mod examine;
mod extra;
mod failure;
mod fields;
pub mod groups;
mod home;
mod json;
mod listeners;
pub mod offsets;
mod room;
mod table;
pub mod topics;
mod unsaved;

pub use delay_offsets::DelayOffsets;
pub use error::Error;
pub use extra::Extra;
pub use groups::{GroupChange, GroupSettings, Groups, OWN_GROUPS};
pub use home::{Home, LogEnd, Meta, SyncLog, UNSAVED_FILES};
pub use offsets::Offsets;
pub use topics::{TopicChange, TopicSettings, TopicShares, Topics};
