//! Requests of plugins to other systems.
//!
//! | module | holds |
//! |---|---|
//! | `address` | [`Address`]: what a request goes to, read in one way only |
//! | `message` | which requests and answers are let through |
//! | `client` | [`Client`]: one connection per request, with an end to everything |

mod address;
mod client;
mod message;

pub(crate) use address::Address;
pub(crate) use client::Client;
pub(crate) use message::{Answer, Header, Outgoing};

/// Bytes of the headers and the body of a request, and of an answer.
pub(crate) const BYTES_MAX: usize = 256 << 10;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The address is not on the list.
    NotGranted,
    /// Too large, or too many are under way.
    OverLimit,
    /// No answer in time.
    TimedOut,
    /// In words.
    Network(String),
}
