//! Topic and group names, the rules they follow, and the names RocketMQ keeps for itself.

use std::fmt;
use std::sync::Arc;

/// Longest topic name a client may create. RocketMQ: `Validators.TOPIC_MAX_LENGTH`.
pub const TOPIC_LEN_MAX: usize = 127;
/// Longest stored topic name: retry and dead-letter topics carry a prefix.
pub const STORED_TOPIC_LEN_MAX: usize = 255;
/// Longest group name.
pub const GROUP_LEN_MAX: usize = 255;

/// Prefix of the topic that redelivers a group's failed messages.
pub const RETRY_PREFIX: &str = "%RETRY%";
/// Prefix of the topic where a group's given-up messages end.
pub const DLQ_PREFIX: &str = "%DLQ%";
/// Prefix of RocketMQ's own groups, in any case.
pub const SYSTEM_GROUP_PREFIX: &str = "CID_RMQ_SYS_";
/// Prefix of light message queues.
pub const LMQ_PREFIX: &str = "%LMQ%";

/// The template topic: while it is there with the inherit permission, unknown topics are created.
pub const AUTO_CREATE_TOPIC: &str = "TBW102";
/// Where delay-level messages wait; queue = level - 1.
pub const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
/// Who takes messages out of [`SCHEDULE_TOPIC`], as RocketMQ counts them.
pub const SCHEDULE_GROUP: &str = "SCHEDULE_CONSUMER";
/// Half (prepared) transaction messages.
pub const TRANS_HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
/// Outcomes of half messages.
pub const TRANS_OP_HALF_TOPIC: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
/// Transactions given up after too many checks.
pub const TRANS_CHECK_MAX_TIME_TOPIC: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
/// Message traces of clients.
pub const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";
/// Self test of RocketMQ.
pub const SELF_TEST_TOPIC: &str = "SELF_TEST_TOPIC";
/// RocketMQ's benchmark topic.
pub const BENCHMARK_TOPIC: &str = "BenchmarkTest";
/// Notices about moved offsets.
pub const OFFSET_MOVED_EVENT: &str = "OFFSET_MOVED_EVENT";
/// Timer messages.
pub const TIMER_TOPIC: &str = "rmq_sys_wheel_timer";
/// Suffix of a cluster's reply topic.
pub const REPLY_TOPIC_POSTFIX: &str = "REPLY_TOPIC";

const SYSTEM_TOPICS: [&str; 8] = [
    AUTO_CREATE_TOPIC,
    SCHEDULE_TOPIC,
    BENCHMARK_TOPIC,
    TRANS_HALF_TOPIC,
    TRACE_TOPIC,
    TRANS_OP_HALF_TOPIC,
    TRANS_CHECK_MAX_TIME_TOPIC,
    SELF_TEST_TOPIC,
];

/// Topics that clients may not send to.
const NO_SEND_TOPICS: [&str; 6] = [
    SCHEDULE_TOPIC,
    TRANS_HALF_TOPIC,
    TRANS_OP_HALF_TOPIC,
    TRANS_CHECK_MAX_TIME_TOPIC,
    SELF_TEST_TOPIC,
    OFFSET_MOVED_EVENT,
];

/// Why a name was refused. The text names the rule, so it can be a remark to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or only white space.
    #[error("the specified {0} is blank")]
    Blank(&'static str),
    /// Longer than the limit.
    #[error("the specified {0} is longer than {1} bytes")]
    TooLong(&'static str, usize),
    /// A character outside `%|a-zA-Z0-9_-`.
    #[error("the specified {0} contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$")]
    Illegal(&'static str),
}

fn check(kind: &'static str, name: &str, len_max: usize) -> Result<(), NameError> {
    if name.trim().is_empty() {
        return Err(NameError::Blank(kind));
    }
    if name.len() > len_max {
        return Err(NameError::TooLong(kind, len_max));
    }
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'%' | b'|' | b'_' | b'-');
    if name.bytes().all(legal) { Ok(()) } else { Err(NameError::Illegal(kind)) }
}

/// Checks a topic name as it may be stored: RocketMQ's character set, at most 255 bytes.
/// The set has neither `/` nor `.`, so a legal name can be a directory name.
///
/// # Errors
/// The rule that the name breaks.
pub fn check_topic(name: &str) -> Result<(), NameError> {
    let long = is_retry(name) || is_dlq(name);
    check("topic", name, if long { STORED_TOPIC_LEN_MAX } else { TOPIC_LEN_MAX })
}

/// Checks a consumer or producer group name.
///
/// # Errors
/// The rule that the name breaks.
pub fn check_group(name: &str) -> Result<(), NameError> {
    check("group", name, GROUP_LEN_MAX)
}

/// Whether `topic` belongs to RocketMQ itself.
#[must_use]
pub fn is_system_topic(topic: &str) -> bool {
    SYSTEM_TOPICS.contains(&topic) || topic == OFFSET_MOVED_EVENT || topic.starts_with("rmq_sys_")
}

/// Whether `group` belongs to RocketMQ itself.
#[must_use]
pub fn is_system_group(group: &str) -> bool {
    let start = group.get(..SYSTEM_GROUP_PREFIX.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(SYSTEM_GROUP_PREFIX))
}

/// Whether a group's work in a topic is RocketMQ's own.
#[must_use]
pub fn is_system(topic: &str, group: &str) -> bool {
    is_system_topic(topic) || is_system_group(group)
}

/// Whether clients may not send to `topic`.
#[must_use]
pub fn is_no_send_topic(topic: &str) -> bool {
    NO_SEND_TOPICS.contains(&topic)
}

/// Whether messages of all topics stand in `topic`, until it is their time or their transaction has ended.
#[must_use]
pub fn is_of_all_topics(topic: &str) -> bool {
    [SCHEDULE_TOPIC, TIMER_TOPIC, TRANS_HALF_TOPIC].contains(&topic)
}

/// Whether this is a group's retry topic.
#[must_use]
pub fn is_retry(topic: &str) -> bool {
    topic.starts_with(RETRY_PREFIX)
}

/// Whether this is a group's dead-letter topic.
#[must_use]
pub fn is_dlq(topic: &str) -> bool {
    topic.starts_with(DLQ_PREFIX)
}

/// The retry topic of a group.
#[must_use]
pub fn retry_topic(group: &str) -> String {
    format!("{RETRY_PREFIX}{group}")
}

/// The dead-letter topic of a group.
#[must_use]
pub fn dlq_topic(group: &str) -> String {
    format!("{DLQ_PREFIX}{group}")
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// A checked name.
            ///
            /// # Errors
            /// The rule that the name breaks.
            pub fn new(name: &str) -> Result<Self, NameError> {
                $check(name)?;
                Ok(Self(Arc::from(name)))
            }

            /// A name from a trusted place (our own files and constants), unchecked.
            #[must_use]
            pub fn trusted(name: &str) -> Self {
                Self(Arc::from(name))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::ops::Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name! {
    /// A topic's name; cheap to clone.
    Topic, check_topic
}
name! {
    /// A consumer or producer group's name; cheap to clone.
    Group, check_group
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_path_meaning_are_refused() {
        for bad in ["..", "a/b", "../x", "a\\b", "a.b", "a\0b", "é", " ", ""] {
            assert!(Topic::new(bad).is_err(), "{bad:?}");
            assert!(Group::new(bad).is_err(), "{bad:?}");
        }
        assert!(Topic::new("%RETRY%a|b-c_9").is_ok());
    }

    #[test]
    fn rocketmq_s_own_groups_are_known_in_any_case() {
        assert!(is_system_group("CID_RMQ_SYS_TRANS") && is_system_group("cid_rmq_sys_x"));
        assert!(!is_system_group("CID_RMQ") && !is_system_group("CID_RMQ_SYSé"));
    }

    #[test]
    fn only_prefixed_topics_may_be_longer_than_127() {
        assert!(Topic::new(&"t".repeat(127)).is_ok());
        assert_eq!(Topic::new(&"t".repeat(128)), Err(NameError::TooLong("topic", 127)));
        assert!(Topic::new(&format!("%RETRY%{}", "g".repeat(200))).is_ok());
        assert!(Topic::new(&format!("%RETRY%{}", "g".repeat(250))).is_err());
    }
}
