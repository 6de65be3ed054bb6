//! The broker through its remoting port: real frames over loopback, files in memory.
#![expect(clippy::unwrap_used, reason = "a step that fails ends the test")]

mod acls;
mod authorization;
mod bad_input;
mod chain;
mod cold;
mod consuming;
mod exemplars;
mod flight;
mod histograms;
mod hooks;
mod lag;
mod login;
mod quotas;
mod recorded;
mod revocation;
mod sending;
mod support;
mod users;
