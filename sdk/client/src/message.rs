//! Messages on their way to and from a cluster.

use std::io::Read as _;

use blockhouse_model::{MessageId, SysFlag, properties};
use blockhouse_protocol::MessageQueue;
use blockhouse_record::View;
use bytes::Bytes;

/// Longest body after decompression.
const BODY_LEN_MAX: u64 = 64 * 1024 * 1024;
/// Bits of `sysFlag` that say how a body is compressed, and the values that mean zlib: 0 is what
/// RocketMQ < 5 wrote.
const COMPRESSION_MASK: i32 = 0x7 << 8;
const COMPRESSION_ZLIB: [i32; 2] = [0, 0x3 << 8];

/// A message to send.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Where to.
    pub topic: String,
    /// The payload.
    pub body: Bytes,
    /// The sender's flag.
    pub flag: i32,
    /// Properties as text, see [`blockhouse_model::properties`].
    pub properties: String,
}

impl Outgoing {
    /// A message without tag, keys or properties.
    #[must_use]
    pub fn new(topic: &str, body: impl Into<Bytes>) -> Self {
        let (topic, body) = (topic.to_owned(), body.into());
        Self { topic, body, flag: 0, properties: String::new() }
    }

    /// Sets a property.
    #[must_use]
    pub fn property(mut self, name: &str, value: &str) -> Self {
        properties::set(&mut self.properties, name, value);
        self
    }

    /// Sets the tag.
    #[must_use]
    pub fn tag(self, tag: &str) -> Self {
        self.property(properties::TAGS, tag)
    }

    /// Sets the keys, separated by spaces.
    #[must_use]
    pub fn keys(self, keys: &str) -> Self {
        self.property(properties::KEYS, keys)
    }
}

/// A message from a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The queue it came from.
    pub queue: MessageQueue,
    /// Its place there.
    pub queue_offset: i64,
    /// The topic in the record: another than the queue's if it was redelivered.
    pub topic: String,
    /// The payload, decompressed if it could be.
    pub body: Bytes,
    /// How the payload is compressed if that is unknown here.
    pub compressed: bool,
    /// Properties as text.
    pub properties: String,
    /// The sender's flag.
    pub flag: i32,
    /// System flags.
    pub sys_flag: SysFlag,
    /// When it was made, in milliseconds.
    pub born_timestamp: i64,
    /// By whom.
    pub born_host: std::net::SocketAddr,
    /// When it was stored, in milliseconds.
    pub store_timestamp: i64,
    /// Where it is stored.
    pub offset_id: MessageId,
    /// How often it was delivered before.
    pub reconsume_times: i32,
}

impl Received {
    /// The message in a record that came from `broker_name`.
    #[must_use]
    pub fn of(view: &View<'_>, broker_name: &str) -> Self {
        let (body, compressed) = body_of(view);
        let queue = MessageQueue {
            broker_name: broker_name.to_owned(),
            queue_id: view.queue.to_i32(),
            topic: view.topic.to_owned(),
        };
        Self {
            queue,
            queue_offset: view.queue_offset.to_i64(),
            topic: view.topic.to_owned(),
            body,
            compressed,
            properties: view.properties.to_owned(),
            flag: view.flag,
            sys_flag: view.sys_flag,
            born_timestamp: view.born_timestamp.0,
            born_host: view.born_host,
            store_timestamp: view.store_timestamp.0,
            offset_id: MessageId { host: view.store_host, offset: view.physical_offset },
            reconsume_times: view.reconsume_times,
        }
    }

    /// A property's value.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        properties::find(&self.properties, name)
    }

    /// What users call the message: its unique key, or where it is stored if it has none.
    #[must_use]
    pub fn id(&self) -> String {
        let key = self.property(properties::UNIQUE_KEY);
        key.map_or_else(|| self.offset_id.to_string(), str::to_owned)
    }
}

/// All of what was compressed; a part of it would pass for the message.
fn inflate(body: &[u8], len_max: u64) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    flate2::read::ZlibDecoder::new(body).take(len_max + 1).read_to_end(&mut plain).ok()?;
    (plain.len() as u64 <= len_max).then_some(plain)
}

/// The body, and whether it is still compressed.
fn body_of(view: &View<'_>) -> (Bytes, bool) {
    let plain = || Bytes::copy_from_slice(view.body);
    if !view.sys_flag.has(SysFlag::COMPRESSED) {
        return (plain(), false);
    }
    if !COMPRESSION_ZLIB.contains(&(view.sys_flag.0 & COMPRESSION_MASK)) {
        return (plain(), true);
    }
    inflate(view.body, BODY_LEN_MAX).map_or_else(|| (plain(), true), |body| (body.into(), false))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_body_that_unfolds_to_more_than_it_may_is_not_cut() {
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&[7; 1_000]).unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(inflate(&packed, 1_000), Some(vec![7; 1_000]));
        assert_eq!(inflate(&packed, 999), None);
        assert_eq!(inflate(b"no zlib", 1_000), None);
    }
}
