//! A queue's name, which also is a key of maps.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};

/// A queue of a topic on a broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageQueue {
    /// The broker's name.
    pub broker_name: String,
    /// The queue.
    pub queue_id: i32,
    /// The topic.
    pub topic: String,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Fields {
    broker_name: String,
    queue_id: i32,
    topic: String,
}

/// From an object, or from a text that holds one: that is what [`crate::fastjson::standard`] makes
/// of object keys.
impl<'de> Deserialize<'de> for MessageQueue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ObjectOrText)
    }
}

struct ObjectOrText;

impl<'de> Visitor<'de> for ObjectOrText {
    type Value = MessageQueue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a queue")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MessageQueue, A::Error> {
        let Fields { broker_name, queue_id, topic } =
            Fields::deserialize(MapAccessDeserializer::new(map))?;
        Ok(MessageQueue { broker_name, queue_id, topic })
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<MessageQueue, E> {
        let Fields { broker_name, queue_id, topic } =
            serde_json::from_str(text).map_err(E::custom)?;
        Ok(MessageQueue { broker_name, queue_id, topic })
    }
}
