//! Sending: 10, 310, 320, and sending back (36).

use crate::encode::ExtWriter;
use crate::error::FieldError;
use crate::ext::ExtFields;
use crate::header::field::{optional, required};
use crate::header::headers;

/// The header of `SEND_MESSAGE`, `SEND_MESSAGE_V2` and `SEND_BATCH_MESSAGE`.
///
/// The latter two name the fields with single letters; either form is read whatever the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendMessage<'a> {
    /// `a`, `producerGroup`.
    pub producer_group: &'a str,
    /// `b`, `topic`.
    pub topic: &'a str,
    /// `c`, `defaultTopic`: the template to create an unknown topic from.
    pub default_topic: &'a str,
    /// `d`, `defaultTopicQueueNums`: how many queues an unknown topic gets.
    pub default_topic_queue_nums: i32,
    /// `e`, `queueId`: -1 lets the broker pick.
    pub queue_id: i32,
    /// `f`, `sysFlag`.
    pub sys_flag: i32,
    /// `g`, `bornTimestamp`.
    pub born_timestamp: i64,
    /// `h`, `flag`: the user's own number.
    pub flag: i32,
    /// `i`, `properties`: see `blockhouse_model::properties`.
    pub properties: &'a str,
    /// `j`, `reconsumeTimes`.
    pub reconsume_times: i32,
    /// `k`, `unitMode`.
    pub unit_mode: bool,
    /// `l`, `maxReconsumeTimes`.
    pub max_reconsume_times: Option<i32>,
    /// `m`, `batch`.
    pub batch: bool,
    /// `n`, `bname`: the broker that is meant.
    pub broker_name: Option<&'a str>,
}

impl<'a> SendMessage<'a> {
    /// Reads the header from a command's fields, in one pass.
    ///
    /// # Errors
    /// The first field that is missing or malformed, by its long name.
    pub fn parse(ext: &'a ExtFields) -> Result<Self, FieldError> {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = find(ext);
        Ok(Self {
            producer_group: optional(a, "producerGroup")?.unwrap_or_default(),
            topic: required(b, "topic")?,
            default_topic: optional(c, "defaultTopic")?.unwrap_or_default(),
            default_topic_queue_nums: optional(d, "defaultTopicQueueNums")?.unwrap_or(0),
            queue_id: required(e, "queueId")?,
            sys_flag: required(f, "sysFlag")?,
            born_timestamp: required(g, "bornTimestamp")?,
            flag: required(h, "flag")?,
            properties: optional(i, "properties")?.unwrap_or_default(),
            reconsume_times: optional(j, "reconsumeTimes")?.unwrap_or(0),
            unit_mode: optional(k, "unitMode")?.unwrap_or(false),
            max_reconsume_times: optional(l, "maxReconsumeTimes")?,
            batch: optional(m, "batch")?.unwrap_or(false),
            broker_name: optional(n, "bname")?,
        })
    }

    /// Writes the fields by their single letters, for 310 and 320.
    pub fn write(&self, out: &mut ExtWriter<'_>) {
        self.write_as(&LETTERS, out);
    }

    /// Writes the fields by their long names, for 10.
    pub fn write_long(&self, out: &mut ExtWriter<'_>) {
        self.write_as(&NAMES, out);
    }

    fn write_as(&self, names: &[&'static str; 14], out: &mut ExtWriter<'_>) {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = *names;
        out.text(a, self.producer_group);
        out.text(b, self.topic);
        out.text(c, self.default_topic);
        out.number(d, self.default_topic_queue_nums.into());
        out.number(e, self.queue_id.into());
        out.number(f, self.sys_flag.into());
        out.number(g, self.born_timestamp);
        out.number(h, self.flag.into());
        out.text(i, self.properties);
        out.number(j, self.reconsume_times.into());
        out.boolean(k, self.unit_mode);
        self.max_reconsume_times.inspect(|times| out.number(l, i64::from(*times)));
        out.boolean(m, self.batch);
        self.broker_name.inspect(|name| out.text(n, name));
    }
}

/// The texts, by the places of their letters.
type Found<'a> = [Option<&'a str>; 14];

const LETTERS: [&str; 14] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"];

/// The long names, in the order of the letters.
const NAMES: [&str; 14] = [
    "producerGroup",
    "topic",
    "defaultTopic",
    "defaultTopicQueueNums",
    "queueId",
    "sysFlag",
    "bornTimestamp",
    "flag",
    "properties",
    "reconsumeTimes",
    "unitMode",
    "maxReconsumeTimes",
    "batch",
    "bname",
];

fn find(ext: &ExtFields) -> Found<'_> {
    let mut found = Found::default();
    for (name, value) in ext.iter_raw() {
        let at = match *name {
            [letter] => usize::from(letter.wrapping_sub(b'a')),
            _ => NAMES.iter().position(|n| n.as_bytes() == name).unwrap_or(usize::MAX),
        };
        if let Some(place) = found.get_mut(at) {
            *place = Some(value);
        }
    }
    found
}

headers! {
    /// The answer to a send.
    SendMessageResponse<'a> {
        msg_id: &'a str = "msgId"; "the offset message id (of a batch: all, comma-separated)."
        queue_id: i32 = "queueId"; "the queue that the message is in."
        queue_offset: i64 = "queueOffset"; "its place in the queue (of a batch: the first)."
        transaction_id: Option<&'a str> = "transactionId"; "the unique key of a half message."
        batch_uniq_id: Option<&'a str> = "batchUniqId"; "an inner batch's unique key."
        recall_handle: Option<&'a str> = "recallHandle"; "what a delayed message can be recalled by."
        msg_region: Option<&'a str> = "MSG_REGION"; "the region, read by tracing clients."
        trace_on: Option<&'a str> = "TRACE_ON"; "whether to trace, read by tracing clients."
    }

    /// `CONSUMER_SEND_MSG_BACK`: a message that could not be consumed.
    ConsumerSendMsgBack<'a> {
        offset: i64 = "offset"; "the message's physical offset."
        group: &'a str = "group"; "the consumer group."
        delay_level: i32 = "delayLevel"; "0 lets the broker pick, below 0 means dead letter."
        origin_msg_id: Option<&'a str> = "originMsgId"; "the offset id of the first delivery."
        origin_topic: Option<&'a str> = "originTopic"; "the topic it was consumed from."
        unit_mode: bool = "unitMode" or false; "whether the group works in units."
        max_reconsume_times: Option<i32> = "maxReconsumeTimes"; "redeliveries before giving up."
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Problem;

    const FIELDS: [(&str, &str); 8] = [
        ("producerGroup", "g"),
        ("b", "t"),
        ("defaultTopic", "TBW102"),
        ("d", "4"),
        ("queueId", "-1"),
        ("sysFlag", "0"),
        ("bornTimestamp", "1795460228835"),
        ("h", "0"),
    ];

    #[test]
    fn long_and_short_names_are_the_same() {
        let ext: ExtFields = FIELDS.into_iter().chain([("unitMode", "TRUE")]).collect();
        let header = SendMessage::parse(&ext).unwrap();
        assert_eq!((header.producer_group, header.topic, header.queue_id), ("g", "t", -1));
        assert_eq!((header.properties, header.max_reconsume_times), ("", None));
        assert!(header.unit_mode);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (at, (short, field)) in LETTERS.into_iter().zip(NAMES).take(FIELDS.len()).enumerate() {
            let rest = FIELDS.into_iter().enumerate().filter(|(i, _)| *i != at).map(|(_, f)| f);
            let ext: ExtFields = rest.clone().collect();
            let missing = Err(FieldError { field, problem: Problem::Missing });
            let optional = ["producerGroup", "defaultTopic", "defaultTopicQueueNums"];
            if optional.contains(&field) {
                assert!(SendMessage::parse(&ext).is_ok(), "{field}");
            } else {
                assert_eq!(SendMessage::parse(&ext), missing);
            }
            let ext: ExtFields = rest.chain([(short, "9999999999")]).collect();
            let parsed = SendMessage::parse(&ext);
            let number = !matches!(field, "producerGroup" | "topic" | "defaultTopic");
            let too_large = number && field != "bornTimestamp";
            assert_eq!(parsed.is_err(), too_large, "{field}");
        }
        let error = FieldError { field: "queueId", problem: Problem::NotANumber };
        assert_eq!(
            error.to_string(),
            "the header field queueId is not a number, or too large a one"
        );
    }
}
