//! Topics: 18, 21, 103, 351, and RocketMQ's `topics.json`.

use std::collections::BTreeMap;

use blockhouse_model::{DataVersion, NameError, Perm, Topic};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A topic as Java writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicConfig {
    /// `message.type` and the like.
    pub attributes: BTreeMap<String, String>,
    /// Whether the topic is an ordered one.
    pub order: bool,
    /// What may be done.
    pub perm: i32,
    /// How many queues consumers see.
    pub read_queue_nums: i32,
    /// `SINGLE_TAG` or `MULTI_TAG`.
    pub topic_filter_type: String,
    /// The topic.
    pub topic_name: String,
    /// The topic's system flags.
    pub topic_sys_flag: i32,
    /// How many queues producers see.
    pub write_queue_nums: i32,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            attributes: BTreeMap::new(),
            order: false,
            perm: 6,
            read_queue_nums: 16,
            topic_filter_type: "SINGLE_TAG".to_owned(),
            topic_name: String::new(),
            topic_sys_flag: 0,
            write_queue_nums: 16,
        }
    }
}

impl From<&blockhouse_model::TopicConfig> for TopicConfig {
    fn from(topic: &blockhouse_model::TopicConfig) -> Self {
        Self {
            attributes: topic.attributes.clone(),
            order: topic.order,
            perm: topic.perm.0.cast_signed(),
            read_queue_nums: topic.read_queues.cast_signed(),
            topic_name: topic.name.to_string(),
            topic_sys_flag: topic.sys_flag.cast_signed(),
            write_queue_nums: topic.write_queues.cast_signed(),
            ..Self::default()
        }
    }
}

impl TryFrom<TopicConfig> for blockhouse_model::TopicConfig {
    type Error = NameError;

    /// Negative numbers count as 0.
    fn try_from(topic: TopicConfig) -> Result<Self, NameError> {
        let count = |n: i32| u32::try_from(n).unwrap_or(0);
        Ok(Self {
            name: Topic::new(&topic.topic_name)?,
            read_queues: count(topic.read_queue_nums),
            write_queues: count(topic.write_queue_nums),
            perm: Perm(count(topic.perm)),
            sys_flag: count(topic.topic_sys_flag),
            order: topic.order,
            attributes: topic.attributes,
        })
    }
}

/// The answer to `GET_ALL_TOPIC_CONFIG`, a part of a registration, and RocketMQ's `topics.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicConfigTable {
    /// The topics' version.
    pub data_version: DataVersion,
    /// The static topics' version.
    pub mapping_data_version: Option<DataVersion>,
    /// The topics by name.
    pub topic_config_table: BTreeMap<String, TopicConfig>,
    /// Details of static topics, handed on as they are.
    pub topic_queue_mapping_detail_map: Option<BTreeMap<String, Value>>,
    /// Static topics, handed on as they are.
    pub topic_queue_mapping_info_map: Option<BTreeMap<String, Value>>,
}

/// The body of `UPDATE_AND_CREATE_TOPIC_LIST`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicConfigs {
    /// The topics.
    pub topic_config_list: Vec<TopicConfig>,
}
