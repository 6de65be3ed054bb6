//! A broker's registration at a name server (103): JSON, or a compressed form of its own.
//!
//! The compressed form is a zlib stream of: data version as JSON, count of topics, each topic as a
//! text, filter servers as JSON, and from RocketMQ 5.0 on the count of static topics and each as
//! JSON. Every text has its i32 length before it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use blockhouse_model::DataVersion;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::topic::{TopicConfig, TopicConfigTable};
use crate::body::Body as _;
use crate::codes::version;
use crate::error::BodyError;
use crate::fastjson;

/// Longest registration after decompression.
pub const INFLATED_LEN_MAX: usize = 64 * 1024 * 1024;
/// Most topics in a registration.
pub const TOPICS_MAX: usize = 1_000_000;

/// The body of `REGISTER_BROKER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RegisterBrokerBody {
    /// The broker's filter servers.
    pub filter_server_list: Vec<String>,
    /// The broker's topics.
    pub topic_config_serialize_wrapper: TopicConfigTable,
}

impl RegisterBrokerBody {
    /// Reads a body in the form it has, whatever the header says: RocketMQ 5 brokers that compress
    /// send `compressed=false` all the same. No body is a broker without topics.
    ///
    /// `broker_version` is that of the request; brokers before 3.0.11 send the topics alone.
    ///
    /// # Errors
    /// The body is malformed, or unpacks to more than [`INFLATED_LEN_MAX`].
    pub fn decode_any(body: &[u8], broker_version: i32) -> Result<Self, BodyError> {
        match body.iter().find(|b| !b.is_ascii_whitespace()) {
            None => Ok(Self::default()),
            Some(b'{') if broker_version < version::V3_0_11 => Ok(Self {
                topic_config_serialize_wrapper: TopicConfigTable::decode(body)?,
                ..Self::default()
            }),
            Some(b'{') => Self::decode(body),
            Some(_) => decode_compressed(body, broker_version),
        }
    }

    /// Writes the compressed form, with the part for static topics.
    #[must_use]
    pub fn encode_compressed(&self) -> Bytes {
        let mut plain = Vec::new();
        let table = &self.topic_config_serialize_wrapper;
        put_text(&mut plain, &table.data_version.encode());
        put_len(&mut plain, table.topic_config_table.len());
        for topic in table.topic_config_table.values() {
            put_text(&mut plain, topic_text(topic).as_bytes());
        }
        put_text(&mut plain, &fastjson::write(&self.filter_server_list));
        let mappings = table.topic_queue_mapping_info_map.iter().flatten();
        put_len(&mut plain, mappings.clone().count());
        for (_, mapping) in mappings {
            put_text(&mut plain, &fastjson::write(mapping));
        }
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
        // Writing to memory does not fail.
        let packed = packed.write_all(&plain).and_then(|()| packed.finish());
        packed.map(Bytes::from).unwrap_or_default()
    }
}

/// The checksum of a registration's body as its header carries it: CRC-32 without the sign bit.
#[must_use]
pub fn body_crc32(body: &[u8]) -> i32 {
    (crc32fast::hash(body) & 0x7FFF_FFFF).cast_signed()
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    put_len(out, text.len());
    out.extend_from_slice(text);
}

/// A topic in the compressed form: its main settings with blanks between them.
fn topic_text(topic: &TopicConfig) -> String {
    let attributes = fastjson::write(&topic.attributes);
    format!(
        "{} {} {} {} {} {}",
        topic.topic_name,
        topic.read_queue_nums,
        topic.write_queue_nums,
        topic.perm,
        topic.topic_filter_type,
        String::from_utf8_lossy(&attributes)
    )
}

/// Attributes that cannot be read count as none, as in RocketMQ.
fn topic_from_text(text: &str) -> Result<TopicConfig, BodyError> {
    let bad = BodyError::Malformed("a topic of the registration");
    let mut words = text.splitn(6, ' ');
    let mut word = || words.next();
    let (Some(name), Some(read), Some(write), Some(perm), Some(filter)) =
        (word(), word(), word(), word(), word())
    else {
        return Err(bad);
    };
    let attributes = word().and_then(|json| fastjson::read(json.as_bytes()).ok());
    let (Ok(read), Ok(write), Ok(perm)) = (read.parse(), write.parse(), perm.parse()) else {
        return Err(bad);
    };
    Ok(TopicConfig {
        attributes: attributes.unwrap_or_default(),
        perm,
        read_queue_nums: read,
        topic_filter_type: filter.to_owned(),
        topic_name: name.to_owned(),
        write_queue_nums: write,
        ..TopicConfig::default()
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self, what: &'static str) -> Result<usize, BodyError> {
        let (number, rest) = self.0.split_first_chunk::<4>().ok_or(BodyError::Truncated(what))?;
        self.0 = rest;
        let number = i32::from_be_bytes(*number);
        usize::try_from(number).map_err(|_| BodyError::OutOfRange { what, value: number.into() })
    }

    fn text(&mut self, what: &'static str) -> Result<&'a [u8], BodyError> {
        let len = self.number(what)?;
        let (text, rest) = self.0.split_at_checked(len).ok_or(BodyError::Truncated(what))?;
        self.0 = rest;
        Ok(text)
    }
}

fn inflate(body: &[u8], len_max: usize) -> Result<Vec<u8>, BodyError> {
    let mut plain = Vec::new();
    ZlibDecoder::new(body)
        .take(len_max as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|_| BodyError::Compression)?;
    if plain.len() > len_max {
        let value = i64::try_from(plain.len()).unwrap_or(i64::MAX);
        return Err(BodyError::OutOfRange { what: "the registration's length", value });
    }
    Ok(plain)
}

fn decode_compressed(body: &[u8], broker_version: i32) -> Result<RegisterBrokerBody, BodyError> {
    let plain = inflate(body, INFLATED_LEN_MAX)?;
    let mut reader = Reader(&plain);
    let data_version = DataVersion::decode(reader.text("the data version")?)?;
    let topics = decode_topics(&mut reader)?;
    // As in RocketMQ, a list that cannot be read counts as empty.
    let filter_server_list = fastjson::read(reader.text("the filter servers")?).unwrap_or_default();
    let mut mappings = None;
    if broker_version >= version::V5_0_0 {
        mappings = Some(decode_mappings(&mut reader)?);
    }
    Ok(RegisterBrokerBody {
        filter_server_list,
        topic_config_serialize_wrapper: TopicConfigTable {
            data_version,
            topic_config_table: topics,
            topic_queue_mapping_info_map: mappings,
            ..TopicConfigTable::default()
        },
    })
}

fn count(reader: &mut Reader<'_>, what: &'static str) -> Result<usize, BodyError> {
    let count = reader.number(what)?;
    if count > TOPICS_MAX {
        let value = i64::try_from(count).unwrap_or(i64::MAX);
        return Err(BodyError::OutOfRange { what, value });
    }
    Ok(count)
}

fn decode_topics(reader: &mut Reader<'_>) -> Result<BTreeMap<String, TopicConfig>, BodyError> {
    let mut topics = BTreeMap::new();
    for _ in 0..count(reader, "the count of topics")? {
        let text = reader.text("a topic")?;
        let text = std::str::from_utf8(text)
            .map_err(|_| BodyError::Malformed("a topic of the registration"))?;
        let topic = topic_from_text(text)?;
        topics.insert(topic.topic_name.clone(), topic);
    }
    Ok(topics)
}

fn decode_mappings(reader: &mut Reader<'_>) -> Result<BTreeMap<String, Value>, BodyError> {
    let mut mappings = BTreeMap::new();
    for _ in 0..count(reader, "the count of static topics")? {
        let mapping: Value = fastjson::read(reader.text("a static topic")?)?;
        let topic = mapping.get("topic").and_then(Value::as_str).unwrap_or_default().to_owned();
        mappings.insert(topic, mapping);
    }
    Ok(mappings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration() -> RegisterBrokerBody {
        let topic = |name: &str| TopicConfig {
            topic_name: name.to_owned(),
            attributes: [("message.type".to_owned(), "FIFO".to_owned())].into(),
            ..TopicConfig::default()
        };
        let mapping = serde_json::json!({"topic": "s", "currIdMap": {"0": 1}});
        RegisterBrokerBody {
            filter_server_list: vec!["f:1".to_owned()],
            topic_config_serialize_wrapper: TopicConfigTable {
                data_version: DataVersion { state_version: 1, timestamp: 2, counter: 3 },
                topic_config_table: ["a", "b"].map(|n| (n.to_owned(), topic(n))).into(),
                topic_queue_mapping_info_map: Some([("s".to_owned(), mapping)].into()),
                ..TopicConfigTable::default()
            },
        }
    }

    #[test]
    fn both_forms_come_back() {
        let body = registration();
        for form in [body.encode(), body.encode_compressed()] {
            assert_eq!(RegisterBrokerBody::decode_any(&form, version::CURRENT).unwrap(), body);
        }
        assert_eq!(
            RegisterBrokerBody::decode_any(b"", version::CURRENT).unwrap(),
            RegisterBrokerBody::default()
        );
    }

    #[test]
    fn brokers_before_5_0_send_no_static_topics() {
        let read =
            RegisterBrokerBody::decode_any(&registration().encode_compressed(), 409).unwrap();
        assert_eq!(read.topic_config_serialize_wrapper.topic_queue_mapping_info_map, None);
    }

    #[test]
    fn damaged_registrations_are_refused() {
        let whole = registration().encode_compressed();
        for len in 1..whole.len() {
            assert!(RegisterBrokerBody::decode_any(&whole[..len], version::CURRENT).is_err());
        }
        let pack = |plain: &[u8]| {
            let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
            packed.write_all(plain).unwrap();
            packed.finish().unwrap()
        };
        for plain in [
            &b"\xff\xff\xff\xff"[..],
            b"\0\0\0\x02{}\x7f\xff\xff\xff",
            b"\0\0\0\x02{}\xff\xff\xff\xff",
            b"\0\0\0\x02{}\0\0\0\x01\0\0\0\x03a 1",
            b"\0\0\0\x02{}\0\0\0\x01\0\0\0\x09a x 1 6 S",
        ] {
            assert!(RegisterBrokerBody::decode_any(&pack(plain), version::CURRENT).is_err());
        }
        let bomb = pack(&[0; 1_001]);
        assert!(matches!(inflate(&bomb, 1_000), Err(BodyError::OutOfRange { .. })));
        assert_eq!(inflate(&bomb, 1_001).unwrap().len(), 1_001);
    }
}
