//! A name server out of its parts: route table, request table, listener, and the look for silent
//! brokers.
//!
//! It owns nothing that a process has only one of (logs, signals, configuration file), so that
//! several run in one process: in `standalone`, and in tests.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | [`Config`], its section of the configuration |
//! | [`server`] | [`NameServer`], [`Running`] |

pub mod config;
pub mod server;

pub use config::Config;
pub use server::{NameServer, Parts, Running};
