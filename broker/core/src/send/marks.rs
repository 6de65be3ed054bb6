//! What the send path must know of a message's properties, found in one pass over the text.

use blockhouse_model::MessageType;
use blockhouse_model::properties as name;
use blockhouse_model::trace::{TRACE_CONTEXT, TRACE_PARENT};

/// The properties that change what becomes of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent marks of one message")]
pub(crate) struct Marks {
    /// The delay level asked for; 0 is none.
    pub(crate) delay_level: i32,
    /// Whether the producer waits for the disk.
    pub(crate) wait: bool,
    /// Whether the message asks for a delivery time of its own.
    pub(crate) timer: bool,
    /// Whether it says anything of a delay, be it that there is none.
    pub(crate) delay: bool,
    /// Whether this is a half message.
    pub(crate) half: bool,
    /// Whether the message has a key by which its queue was chosen: it is ordered.
    pub(crate) fifo: bool,
    /// Whether DELAY is there and not a number.
    pub(crate) bad_delay: bool,
    /// Whether the text must be rewritten: it has a pair that the broker sets itself, or one that
    /// RocketMQ drops (without a name or a value).
    pub(crate) rewrite: bool,
}

/// The texts among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts<'a> {
    /// The producer's own id for the message.
    pub(crate) unique_key: Option<&'a str>,
    /// The producer's span, as it says.
    pub(crate) trace_parent: Option<&'a str>,
    /// The same, as RocketMQ's proxy passes it on.
    pub(crate) trace_context: Option<&'a str>,
}

impl Marks {
    /// The marks and texts of a message.
    pub(crate) fn of(text: &str) -> (Self, Texts<'_>) {
        let mut marks = Self { wait: true, ..Self::default() };
        let mut texts = Texts::default();
        for pair in text.split(char::from(name::PAIR_SEPARATOR)).filter(|pair| !pair.is_empty()) {
            let (key, value) =
                pair.split_once(char::from(name::NAME_VALUE_SEPARATOR)).unwrap_or_default();
            if key.is_empty() || value.is_empty() {
                marks.rewrite = true;
                continue;
            }
            match key {
                name::UNIQUE_KEY => texts.unique_key = Some(value),
                TRACE_PARENT => texts.trace_parent = Some(value),
                TRACE_CONTEXT => texts.trace_context = Some(value),
                name::DELAY => {
                    marks.delay = true;
                    match value.parse() {
                        Ok(level) => marks.delay_level = level,
                        Err(_) => marks.bad_delay = true,
                    }
                }
                name::START_DELIVER_TIME => marks.delay = true,
                name::WAIT => marks.wait = !value.eq_ignore_ascii_case("false"),
                name::TIMER_DELIVER_MS | name::TIMER_DELAY_MS | name::TIMER_DELAY_SEC => {
                    (marks.timer, marks.delay) = (true, true);
                }
                name::SHARDING_KEY => marks.fifo = true,
                name::TRANSACTION_PREPARED => marks.half = value.eq_ignore_ascii_case("true"),
                name::CLUSTER
                | name::MSG_REGION
                | name::TRACE_ON
                | name::POP_CHECK_POINT
                | name::REAL_TOPIC
                | name::REAL_QUEUE_ID => marks.rewrite = true,
                _ => {}
            }
        }
        (marks, texts)
    }

    /// What RocketMQ's metrics call such a message: its properties alone decide, also where nothing comes
    /// of them. RocketMQ asks the request for it, so that messages of a batch are normal to it.
    pub(crate) const fn kind(self) -> MessageType {
        if self.half {
            MessageType::Transaction
        } else if self.fifo {
            MessageType::Fifo
        } else if self.delay {
            MessageType::Delay
        } else {
            MessageType::Normal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pass_finds_every_mark() {
        let text = "UNIQ_KEY\u{1}K\u{2}DELAY\u{1}3\u{2}WAIT\u{1}false\u{2}CLUSTER\u{1}c\u{2}";
        let (marks, texts) = Marks::of(text);
        assert_eq!(texts, Texts { unique_key: Some("K"), ..Texts::default() });
        let (_, texts) = Marks::of("traceparent\u{1}00-a\u{2}TRACE_CONTEXT\u{1}00-b\u{2}");
        assert_eq!((texts.trace_parent, texts.trace_context), (Some("00-a"), Some("00-b")));
        assert_eq!(marks.delay_level, 3);
        assert!(!marks.wait && marks.rewrite && !marks.timer && !marks.half);
        assert!(Marks::of("").0.wait);
        assert!(Marks::of("TIMER_DELAY_MS\u{1}5\u{2}").0.timer);
        assert!(Marks::of("TRAN_MSG\u{1}true\u{2}").0.half);
        assert!(Marks::of("DELAY\u{1}x\u{2}").0.bad_delay);
        let kind = |text: &str| Marks::of(text).0.kind();
        assert_eq!(kind("TAGS\u{1}a\u{2}DELAY\u{1}\u{2}"), MessageType::Normal);
        for delayed in ["DELAY\u{1}0\u{2}", "DELAY\u{1}3\u{2}", "__STARTDELIVERTIME\u{1}9\u{2}"] {
            assert_eq!(kind(delayed), MessageType::Delay, "{delayed}");
        }
        assert_eq!(kind("DELAY\u{1}3\u{2}__SHARDINGKEY\u{1}k\u{2}"), MessageType::Fifo);
        assert_eq!(kind("TRAN_MSG\u{1}true\u{2}"), MessageType::Transaction);
        assert!(Marks::of("A\u{1}\u{2}").0.rewrite && Marks::of("A\u{2}").0.rewrite);
    }
}
