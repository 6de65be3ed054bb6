//! Who may do what: policies in casbin's language, compiled into an index that a request is asked against.
//!
//! | module | holds |
//! |---|---|
//! | `files`, `parse`, `condition`, `words` | from a directory to lines that mean something |
//! | `acl` | what RocketMQ's tools say of single users, as further lines |
//! | `roles`, `index` | who has which roles, and what decides |
//! | `oracle`, `probe`, `model` | casbin, which has the last word on what the files mean |
//! | `cases`, `lint` | expected decisions, and what looks like a mistake |
//! | [`Policies`] | a set that may come into force |
//! | `compare` | who may do something, and what a change changes |
//! | [`Keeper`] | what is in force on a node, and how it changes |
//! | [`Authorizer`] | the hook |
//!
//! The language is in `docs/policies.md`. Files are read by [`Files::read`] and the keeper, nowhere else.

mod acl;
mod cases;
mod compare;
mod condition;
mod config;
mod files;
mod hook;
mod index;
mod keeper;
mod lint;
mod model;
mod oracle;
mod parse;
mod policies;
mod probe;
mod problem;
mod roles;
mod words;

pub use acl::{AclLines, AclTable, Imported};
pub use cases::{CaseResult, Question};
pub use compare::{Able, Difference};
pub use condition::{Channel, Circumstances, Message, MessageType};
pub use config::{Config, Mode};
pub use files::{File, Files};
pub use hook::{Authorizer, SuperUsers};
pub use index::{Decision, Index, Rule};
pub use keeper::{Counts, Keeper, KnownUsers, Parts, Report};
pub use policies::Policies;
pub use problem::{Problem, Refused};
pub use words::{Ask, Kind, Who, parse_action, unknown_action};
