//! A message's properties: `name \x01 value \x02` pairs in one text, as clients send and logs store.

/// Between a name and its value.
pub const NAME_VALUE_SEPARATOR: u8 = 1;
/// After each pair.
pub const PAIR_SEPARATOR: u8 = 2;
/// Longest property text: its length is a signed 16-bit field of the record.
pub const LEN_MAX: usize = 32_767;

/// Space-separated index keys.
pub const KEYS: &str = "KEYS";
/// The tag that consumers filter by.
pub const TAGS: &str = "TAGS";
/// `false`: answer before the message is on disk.
pub const WAIT: &str = "WAIT";
/// The delay level, from 1.
pub const DELAY: &str = "DELAY";
/// The topic a group's redelivered message came from.
pub const RETRY_TOPIC: &str = "RETRY_TOPIC";
/// The topic a stored-aside message belongs to.
pub const REAL_TOPIC: &str = "REAL_TOPIC";
/// The queue a stored-aside message belongs to.
pub const REAL_QUEUE_ID: &str = "REAL_QID";
/// `true` on half messages.
pub const TRANSACTION_PREPARED: &str = "TRAN_MSG";
/// The producer's group.
pub const PRODUCER_GROUP: &str = "PGROUP";
/// What the producer calls the message; users' msgId.
pub const UNIQUE_KEY: &str = "UNIQ_KEY";
/// The cluster that stored the message.
pub const CLUSTER: &str = "CLUSTER";
/// How often the message was delivered before.
pub const RECONSUME_TIME: &str = "RECONSUME_TIME";
/// How often it may be redelivered.
pub const MAX_RECONSUME_TIMES: &str = "MAX_RECONSUME_TIMES";
/// Offset id of the first delivery.
pub const ORIGIN_MESSAGE_ID: &str = "ORIGIN_MESSAGE_ID";
/// The region tag that trace-enabled clients read.
pub const MSG_REGION: &str = "MSG_REGION";
/// Whether the broker wants traces.
pub const TRACE_ON: &str = "TRACE_ON";
/// A POP receipt.
pub const POP_CHECK_POINT: &str = "POP_CK";
/// The topic a dead-lettered message came from.
pub const DLQ_ORIGIN_TOPIC: &str = "DLQ_ORIGIN_TOPIC";
/// The id a dead-lettered message had.
pub const DLQ_ORIGIN_MESSAGE_ID: &str = "DLQ_ORIGIN_MESSAGE_ID";
/// Absolute delivery time of a timer message, in milliseconds.
pub const TIMER_DELIVER_MS: &str = "TIMER_DELIVER_MS";
/// Relative delivery time of a timer message, in milliseconds.
pub const TIMER_DELAY_MS: &str = "TIMER_DELAY_MS";
/// Relative delivery time of a timer message, in seconds.
pub const TIMER_DELAY_SEC: &str = "TIMER_DELAY_SEC";
/// Absolute delivery time, as clients of a service beside RocketMQ write it; only metrics look at it.
pub const START_DELIVER_TIME: &str = "__STARTDELIVERTIME";
/// Of ordered messages: what their queue was chosen by.
pub const SHARDING_KEY: &str = "__SHARDINGKEY";
/// Light message queues that the message is also dispatched to.
pub const INNER_MULTI_DISPATCH: &str = "INNER_MULTI_DISPATCH";

/// The pairs of a property text, in order. Pairs that RocketMQ's own decoder drops (empty name or
/// value, no separator) are passed over.
pub fn pairs(text: &str) -> impl DoubleEndedIterator<Item = (&str, &str)> {
    text.split(char::from(PAIR_SEPARATOR))
        .filter_map(|pair| pair.split_once(char::from(NAME_VALUE_SEPARATOR)))
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
}

/// The value of `name`, the last if there are several, as for every reader of RocketMQ: a message
/// that it stored out of a batch has the properties of the whole batch behind its own.
#[must_use]
pub fn find<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    pairs(text).rfind(|(n, _)| *n == name).map(|(_, value)| value)
}

/// Whether there is a pair called `name`.
#[must_use]
pub fn has(text: &str, name: &str) -> bool {
    find(text, name).is_some()
}

/// Appends a pair.
pub fn push(text: &mut String, name: &str, value: &str) {
    if !text.is_empty() && !text.ends_with(char::from(PAIR_SEPARATOR)) {
        text.push(char::from(PAIR_SEPARATOR));
    }
    text.push_str(name);
    text.push(char::from(NAME_VALUE_SEPARATOR));
    text.push_str(value);
    text.push(char::from(PAIR_SEPARATOR));
}

/// Sets `name` to `value`, in place of all former pairs of that name.
pub fn set(text: &mut String, name: &str, value: &str) {
    remove(text, name);
    push(text, name, value);
}

/// Takes all pairs called `name` out.
pub fn remove(text: &mut String, name: &str) {
    if !has(text, name) {
        return;
    }
    let mut kept = String::with_capacity(text.len());
    for (n, v) in pairs(text).filter(|(n, _)| *n != name) {
        push(&mut kept, n, v);
    }
    *text = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_set_and_removed() {
        let mut text = String::from("TAGS\u{1}a\u{2}KEYS\u{1}k1 k2\u{2}EMPTY\u{1}\u{2}junk\u{2}");
        assert_eq!(find(&text, TAGS), Some("a"));
        assert_eq!(find(&text, "EMPTY"), None);
        set(&mut text, TAGS, "b");
        assert_eq!(text, "KEYS\u{1}k1 k2\u{2}TAGS\u{1}b\u{2}");
        remove(&mut text, KEYS);
        assert_eq!(pairs(&text).collect::<Vec<_>>(), [(TAGS, "b")]);
    }

    #[test]
    fn of_several_pairs_the_last_counts() {
        let text = "UNIQ_KEY\u{1}own\u{2}TAGS\u{1}a\u{2}UNIQ_KEY\u{1}batch\u{2}UNIQ_KEY\u{1}\u{2}";
        assert_eq!(find(text, UNIQUE_KEY), Some("batch"));
        assert_eq!(find(text, TAGS), Some("a"));
    }

    #[test]
    fn a_pair_after_a_text_without_end_mark_stays_apart() {
        let mut text = String::from("A\u{1}1");
        push(&mut text, "B", "2");
        assert_eq!(pairs(&text).collect::<Vec<_>>(), [("A", "1"), ("B", "2")]);
    }
}
