//! The name server's knowledge as a pure state machine: which brokers live, which topics they
//! serve, and the KV configuration that operators put beside it.
//!
//! Everything is data in and data out: time is passed in as the reading of a monotonic clock,
//! connections are numbers, nothing is locked, logged or stored here. Semantics are those of
//! RocketMQ 5.x, with the places where that is not self-consistent named at the function.
//! Two invariants hold after every call:
//! - every topic has at least one broker, and every broker that a topic names is registered;
//! - every broker name has at least one address, and an address stands under one id only.
//!
//! Not here: static topics (queue mappings across brokers), notices about a changed lowest broker
//! id (905), the wire.
//!
//! | module | holds |
//! |---|---|
//! | [`broker`] | brokers, their members, their liveness |
//! | [`register`] | a broker's report of itself |
//! | [`withdraw`] | brokers leaving: unregistered, expired, connection closed |
//! | [`query`] | routes, cluster, member groups, topic lists |
//! | [`amend`] | what operators change: topics, write permission |
//! | [`kv`] | namespace -> key -> value |

pub mod amend;
pub mod broker;
pub mod kv;
pub mod query;
pub mod register;
mod table;
pub mod withdraw;

pub use broker::{Broker, ConnectionId, Member};
pub use kv::{KvConfig, KvError, ORDER_TOPIC_CONFIG};
pub use query::{BrokerRoute, QueueRoute, TopicRoute};
pub use register::{Registered, Registration, ReportedTopics};
pub use table::{MEMBERS_MAX, PLACES_MAX, Policy, QueueConfig, Routes};
pub use withdraw::Withdrawn;
