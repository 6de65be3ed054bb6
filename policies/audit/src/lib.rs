//! The audit log: what hooks decide, as OCSF records that nobody changes unseen.
//!
//! [`AuditLog`] is a hook at the audit sink. Whoever decides puts the event into its queue; one thread
//! writes records into segment files, hashes them into a tree, and signs the tree's root. Admin
//! commands wait until their record is durable. [`verify`] checks a directory, [`records`] reads one.
//! Format and promises are in `docs/audit.md`.
//!
//! | module | holds |
//! |---|---|
//! | `sink` | [`AuditLog`]: the hook and its thread |
//! | `queue`, `merge` | what is not written yet; equal refusals, counted |
//! | `engine` | what is done when: write, sync, sign, try again |
//! | `writer` | the files; recovery |
//! | `record`, `json` | from an event to a line |
//! | `tree`, `note`, `key` | hash tree, signed checkpoints, the key's file |
//! | `segment`, `lines`, `links` | names of files, their lines, what ties them together |
//! | `recent` | the last records, in memory |
//! | `verify`, `reader` | looking at a log, also of a running node |
//!
//! What this crate does not do: decide anything about requests but that nothing is changed while the
//! log cannot be written; send records elsewhere; print.

#![forbid(unsafe_code)]

mod config;
mod engine;
mod error;
mod json;
mod key;
mod lines;
mod links;
mod merge;
mod note;
mod queue;
mod reader;
mod recent;
mod record;
mod segment;
mod sink;
#[cfg(test)]
mod tests;
mod tree;
mod verify;
mod writer;

pub use config::{Config, OnFailure};
pub use engine::Status;
pub use error::Error;
pub use key::public as public_key;
pub use note::{Checkpoint, PublicKey, TEXT_MAX};
pub use reader::{
    Actor, Endpoint, Follow, Metadata, Named, Record, Unmapped, User, last_checkpoint, records,
};
pub use recent::RECENT_MAX;
pub use record::{RECORD_MAX, kind_name, outcome_name};
pub use sink::{AuditLog, Parts};
pub use verify::{Finding, Report, Request, verify};

/// Where a node keeps its log, below its data directory.
pub const DIR: &str = "blockhouse/audit";
