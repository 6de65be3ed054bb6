//! The nouns of RocketMQ: names, offsets, ids, properties, flags, topic and group configuration,
//! and what a request carries (peer, principal, what it wants to do).
//!
//! Everything here is plain data. This crate does no I/O, starts no task and reads no clock: time
//! arrives through [`Clock`].
//!
//! | module | holds |
//! |---|---|
//! | [`acl`] | [`Acl`], [`AclEntry`] |
//! | [`names`] | [`Topic`], [`Group`], their rules, the system topics |
//! | [`offset`] | [`PhysicalOffset`], [`QueueOffset`], [`QueueId`] |
//! | [`id`] | offset message ids and unique keys |
//! | [`java`] | Java's `String.hashCode`, tags codes |
//! | [`message_type`] | [`MessageType`]: normal, ordered, delayed, half |
//! | [`properties`] | the `name\x01value\x02` text of a message |
//! | [`flags`] | system flags of a message, permissions of a topic |
//! | [`topic`] | [`TopicConfig`], [`SubscriptionGroup`], [`DataVersion`] |
//! | [`date`] | days of the calendar |
//! | [`delay`] | the delay-level table |
//! | [`request`] | [`RequestContext`], [`Principal`], [`Access`] |
//! | [`option`] | [`OptionError`]: what is wrong with a configured value |
//! | [`trace`] | [`TraceParent`]: the caller's span |
//! | [`time`] | [`Clock`], [`Timestamp`] |

pub mod acl;
pub mod date;
pub mod delay;
pub mod flags;
pub mod id;
pub mod java;
pub mod message_type;
pub mod names;
pub mod offset;
pub mod option;
pub mod properties;
pub mod request;
pub mod time;
pub mod topic;
pub mod trace;

pub use acl::{Acl, AclEntry};
pub use delay::DelayLevels;
pub use flags::{Perm, SysFlag};
pub use id::MessageId;
pub use java::java_hash;
pub use message_type::MessageType;
pub use names::{Group, NameError, Topic};
pub use offset::{PhysicalOffset, QueueId, QueueOffset};
pub use option::OptionError;
pub use request::{Access, Action, Principal, RequestContext, Resource};
pub use time::{Clock, ManualClock, Timestamp};
pub use topic::{DataVersion, SubscriptionGroup, TopicConfig};
pub use trace::TraceParent;
