//! What clients say of themselves: 34, 46.

use serde::{Deserialize, Deserializer, Serialize};

use super::java_enum;

java_enum! {
    /// How a consumer gets its messages.
    ConsumeType {
        /// It asks for them.
        Actively = "CONSUME_ACTIVELY",
        /// A callback gets them.
        #[default]
        Passively = "CONSUME_PASSIVELY",
        /// By POP.
        Pop = "CONSUME_POP",
    }

    /// How a group's consumers share messages.
    MessageModel {
        /// Each gets all.
        Broadcasting = "BROADCASTING",
        /// Each message goes to one.
        #[default]
        Clustering = "CLUSTERING",
    }

    /// Where a new group starts.
    ConsumeFromWhere {
        /// At the end.
        #[default]
        LastOffset = "CONSUME_FROM_LAST_OFFSET",
        /// At the end, deprecated.
        LastOffsetAndFromMinWhenBootFirst = "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
        /// At the beginning, deprecated.
        MinOffset = "CONSUME_FROM_MIN_OFFSET",
        /// At the end, deprecated.
        MaxOffset = "CONSUME_FROM_MAX_OFFSET",
        /// At the beginning.
        FirstOffset = "CONSUME_FROM_FIRST_OFFSET",
        /// At a time.
        Timestamp = "CONSUME_FROM_TIMESTAMP",
    }
}

/// The body of `HEART_BEAT`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HeartbeatData {
    /// The client.
    #[serde(rename = "clientID")]
    pub client_id: String,
    /// Its consumers.
    pub consumer_data_set: Vec<ConsumerData>,
    /// Stands for the subscriptions if it is not 0.
    pub heartbeat_fingerprint: i32,
    /// Its producers.
    pub producer_data_set: Vec<ProducerData>,
    /// Whether the subscriptions are left out.
    pub without_sub: bool,
}

/// A producer of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProducerData {
    /// Its group.
    pub group_name: String,
}

/// A consumer of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerData {
    /// Where the group starts.
    pub consume_from_where: ConsumeFromWhere,
    /// How it gets messages.
    pub consume_type: ConsumeType,
    /// Its group.
    pub group_name: String,
    /// How messages are shared.
    pub message_model: MessageModel,
    /// What it wants.
    pub subscription_data_set: Vec<SubscriptionData>,
    /// Whether it works in units.
    pub unit_mode: bool,
}

/// What a consumer wants of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionData {
    /// Whether a class filters.
    pub class_filter_mode: bool,
    /// Java's hash codes of the tags.
    #[serde(deserialize_with = "numbers")]
    pub code_set: Vec<i32>,
    /// `TAG` or `SQL92`.
    pub expression_type: String,
    /// The expression.
    pub sub_string: String,
    /// Rises when the subscription changes.
    pub sub_version: i64,
    /// The tags, none for all.
    pub tags_set: Vec<String>,
    /// The topic.
    pub topic: String,
}

impl Default for SubscriptionData {
    fn default() -> Self {
        Self {
            class_filter_mode: false,
            code_set: Vec::new(),
            expression_type: "TAG".to_owned(),
            sub_string: String::new(),
            sub_version: 0,
            tags_set: Vec::new(),
            topic: String::new(),
        }
    }
}

/// Numbers, some of which may be in quotes.
fn numbers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<i32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Bare(i32),
        Quoted(String),
    }
    let numbers = Vec::<Number>::deserialize(from)?;
    Ok(numbers
        .into_iter()
        .filter_map(|n| match n {
            Number::Bare(n) => Some(n),
            Number::Quoted(text) => text.parse().ok(),
        })
        .collect())
}

/// The body of `CHECK_CLIENT_CONFIG`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckClientRequest {
    /// The client.
    pub client_id: String,
    /// Its group.
    pub group: String,
    /// The client's namespace.
    pub namespace: Option<String>,
    /// What is to be checked.
    pub subscription_data: SubscriptionData,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Body as _;

    #[test]
    fn heartbeats_of_other_languages_are_read() {
        let text = br#"{"clientID":"c","producerDataSet":null,"consumerDataSet":[{
            "groupName":"g","consumeType":0,"messageModel":"SOMETHING_NEW","consumeFromWhere":4,
            "subscriptionDataSet":[{"topic":"t","subString":"a","tagsSet":null,
            "codeSet":["97",98],"subVersion":1,"unknown":{}}]}]}"#;
        let heartbeat = HeartbeatData::decode(text).unwrap();
        let consumer = &heartbeat.consumer_data_set[0];
        assert_eq!(consumer.consume_type, ConsumeType::Actively);
        assert_eq!(consumer.message_model, MessageModel::Clustering);
        assert_eq!(consumer.consume_from_where, ConsumeFromWhere::FirstOffset);
        assert_eq!(consumer.subscription_data_set[0].code_set, [97, 98]);
        assert_eq!(consumer.subscription_data_set[0].expression_type, "TAG");
        assert!(heartbeat.producer_data_set.is_empty());
        assert!(HeartbeatData::decode(b"[]x").is_err());
    }
}
