//! Subscriptions: what a consumer group wants of a topic, and whether an entry of a queue is it.
//!
//! A queue entry carries only the hash of a message's tag, so a tag subscription answers by hash
//! and the client compares the text again, as everywhere in RocketMQ. SQL92 expressions are kept
//! and shown but not evaluated yet: [`Subscription::parse`] refuses them with
//! [`Error::Unsupported`].
//!
//! This crate does no I/O and knows no protocol: subscriptions arrive as text or as the parts that
//! a heartbeat carries.
//!
//! | module | holds |
//! |---|---|
//! | [`subscription`] | [`Subscription`], [`ExpressionKind`] |
//! | [`tags`] | tag expressions |

mod error;
pub mod subscription;
pub mod tags;

pub use error::Error;
pub use subscription::{ExpressionKind, Subscription, SubscriptionParts};
