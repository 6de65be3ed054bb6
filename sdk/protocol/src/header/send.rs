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
        let found = Found::of(ext);
        Ok(Self {
            producer_group: required(found.a, "producerGroup")?,
            topic: required(found.b, "topic")?,
            default_topic: required(found.c, "defaultTopic")?,
            default_topic_queue_nums: required(found.d, "defaultTopicQueueNums")?,
            queue_id: required(found.e, "queueId")?,
            sys_flag: required(found.f, "sysFlag")?,
            born_timestamp: required(found.g, "bornTimestamp")?,
            flag: required(found.h, "flag")?,
            properties: optional(found.i, "properties")?.unwrap_or_default(),
            reconsume_times: optional(found.j, "reconsumeTimes")?.unwrap_or(0),
            unit_mode: optional(found.k, "unitMode")?.unwrap_or(false),
            max_reconsume_times: optional(found.l, "maxReconsumeTimes")?,
            batch: optional(found.m, "batch")?.unwrap_or(false),
            broker_name: optional(found.n, "bname")?,
        })
    }

    /// Writes the fields by their single letters, for 310 and 320.
    pub fn write(&self, out: &mut ExtWriter<'_>) {
        out.text("a", self.producer_group);
        out.text("b", self.topic);
        out.text("c", self.default_topic);
        out.number("d", self.default_topic_queue_nums.into());
        out.number("e", self.queue_id.into());
        out.number("f", self.sys_flag.into());
        out.number("g", self.born_timestamp);
        out.number("h", self.flag.into());
        out.text("i", self.properties);
        out.number("j", self.reconsume_times.into());
        out.boolean("k", self.unit_mode);
        if let Some(times) = self.max_reconsume_times {
            out.number("l", times.into());
        }
        out.boolean("m", self.batch);
        if let Some(name) = self.broker_name {
            out.text("n", name);
        }
    }

    /// Writes the fields by their long names, for 10.
    pub fn write_long(&self, out: &mut ExtWriter<'_>) {
        out.text("producerGroup", self.producer_group);
        out.text("topic", self.topic);
        out.text("defaultTopic", self.default_topic);
        out.number("defaultTopicQueueNums", self.default_topic_queue_nums.into());
        out.number("queueId", self.queue_id.into());
        out.number("sysFlag", self.sys_flag.into());
        out.number("bornTimestamp", self.born_timestamp);
        out.number("flag", self.flag.into());
        out.text("properties", self.properties);
        out.number("reconsumeTimes", self.reconsume_times.into());
        out.boolean("unitMode", self.unit_mode);
        if let Some(times) = self.max_reconsume_times {
            out.number("maxReconsumeTimes", times.into());
        }
        out.boolean("batch", self.batch);
        if let Some(name) = self.broker_name {
            out.text("bname", name);
        }
    }
}

/// The texts, by their letters.
#[derive(Default)]
struct Found<'a> {
    a: Option<&'a str>,
    b: Option<&'a str>,
    c: Option<&'a str>,
    d: Option<&'a str>,
    e: Option<&'a str>,
    f: Option<&'a str>,
    g: Option<&'a str>,
    h: Option<&'a str>,
    i: Option<&'a str>,
    j: Option<&'a str>,
    k: Option<&'a str>,
    l: Option<&'a str>,
    m: Option<&'a str>,
    n: Option<&'a str>,
}

impl<'a> Found<'a> {
    fn of(ext: &'a ExtFields) -> Self {
        let mut found = Self::default();
        for (name, value) in ext.iter() {
            let place = match name {
                "a" | "producerGroup" => &mut found.a,
                "b" | "topic" => &mut found.b,
                "c" | "defaultTopic" => &mut found.c,
                "d" | "defaultTopicQueueNums" => &mut found.d,
                "e" | "queueId" => &mut found.e,
                "f" | "sysFlag" => &mut found.f,
                "g" | "bornTimestamp" => &mut found.g,
                "h" | "flag" => &mut found.h,
                "i" | "properties" => &mut found.i,
                "j" | "reconsumeTimes" => &mut found.j,
                "k" | "unitMode" => &mut found.k,
                "l" | "maxReconsumeTimes" => &mut found.l,
                "m" | "batch" => &mut found.m,
                "n" | "bname" => &mut found.n,
                _ => continue,
            };
            *place = Some(value);
        }
        found
    }
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
