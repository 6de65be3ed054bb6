//! Who may do what: policies in casbin's language, compiled into an index that a request is asked against.
//!
//! | module | holds |
//! |---|---|
//! | `files`, `parse`, `condition`, `words` | from a directory to lines that mean something |
//! | `roles`, `index` | who has which roles, and what decides |
//! | `oracle`, `probe`, `model` | casbin, which has the last word on what the files mean |
//! | `cases`, `lint` | expected decisions, and what looks like a mistake |
//! | [`Policies`] | a set that may come into force |
//! | `compare` | who may do something, and what a change changes |
//!
//! The language is in `docs/policies.md`. Nothing here does I/O but [`Files::read`].

mod cases;
mod compare;
mod condition;
mod config;
mod files;
mod index;
mod lint;
mod model;
mod oracle;
mod parse;
mod policies;
mod probe;
mod problem;
mod roles;
mod words;

pub use cases::{CaseResult, Question};
pub use compare::{Able, Difference};
pub use condition::Circumstances;
pub use config::{Config, Mode};
pub use files::{File, Files};
pub use index::{Decision, Index, Rule};
pub use policies::Policies;
pub use problem::{Problem, Refused};
pub use words::{Ask, Kind, Who, parse_action};
