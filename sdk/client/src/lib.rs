//! A client of any RocketMQ cluster: sending, pulling, group consumption, administration.
//!
//! It is what the command line tools and the interop checks need, not a replacement for the
//! official clients: it sends to master brokers only, does not compress, and consumes one message
//! at a time. It starts no task besides those of its connections: whoever awaits does the work.
//!
//! | module | holds |
//! |---|---|
//! | [`client`] | [`Client`]: name servers, connections, one request and its answer |
//! | [`route`] | [`Route`], where a topic's queues are |
//! | [`message`] | [`Outgoing`] and [`Received`] messages |
//! | [`producer`] | [`Producer`] |
//! | [`pull`] | pulling from one queue, and offsets |
//! | [`group`] | [`GroupConsumer`], sharing a topic's queues with the rest of a group |
//! | [`admin`] | topics, groups, progress, configuration |

#![forbid(unsafe_code)]

pub mod admin;
pub mod client;
pub mod error;
pub mod group;
pub mod message;
pub mod producer;
pub mod pull;
pub mod route;
#[cfg(test)]
mod tests;

pub use client::{Client, Options};
pub use error::Error;
pub use group::GroupConsumer;
pub use message::{Outgoing, Received};
pub use producer::{Producer, SendStatus, Sent};
pub use pull::{Pull, Pulled};
pub use route::Route;
