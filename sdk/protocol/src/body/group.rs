//! Consumer groups: 200, 201, 225, 352, 353, and RocketMQ's `subscriptionGroup.json`.

use std::collections::BTreeMap;

use blockhouse_model::{DataVersion, Group, NameError, SubscriptionGroup};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A consumer group as Java writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "RocketMQ's own independent switches")]
pub struct SubscriptionGroupConfig {
    /// Settings by name.
    pub attributes: BTreeMap<String, String>,
    /// The broker to read from.
    pub broker_id: i64,
    /// Whether it may broadcast.
    pub consume_broadcast_enable: bool,
    /// Whether it may consume.
    pub consume_enable: bool,
    /// Whether it may start at the beginning.
    pub consume_from_min_enable: bool,
    /// Whether POP is in order.
    pub consume_message_orderly: bool,
    /// Minutes to work on a message.
    pub consume_timeout_minute: i32,
    /// The group.
    pub group_name: String,
    /// When redeliveries happen, handed on as it is.
    pub group_retry_policy: Value,
    /// The group's system flags.
    pub group_sys_flag: i32,
    /// Whether consumers hear of joins and leaves at once.
    pub notify_consumer_ids_changed_enable: bool,
    /// Redeliveries before giving up.
    pub retry_max_times: i32,
    /// Queues of the retry topic.
    pub retry_queue_nums: i32,
    /// The topics it is limited to, handed on as they are.
    pub subscription_data_set: Option<Value>,
    /// The broker it is sent to when it lags.
    pub which_broker_when_consume_slowly: i64,
}

impl Default for SubscriptionGroupConfig {
    fn default() -> Self {
        Self::from(&SubscriptionGroup::new(Group::trusted("")))
    }
}

impl From<&SubscriptionGroup> for SubscriptionGroupConfig {
    fn from(group: &SubscriptionGroup) -> Self {
        Self {
            attributes: group.attributes.clone(),
            broker_id: group.broker_id.cast_signed(),
            consume_broadcast_enable: group.consume_broadcast_enable,
            consume_enable: group.consume_enable,
            consume_from_min_enable: group.consume_from_min_enable,
            consume_message_orderly: group.consume_message_orderly,
            consume_timeout_minute: group.consume_timeout_minute,
            group_name: group.name.to_string(),
            group_retry_policy: json!({"type": "CUSTOMIZED"}),
            group_sys_flag: group.sys_flag,
            notify_consumer_ids_changed_enable: group.notify_consumer_ids_changed_enable,
            retry_max_times: group.retry_max_times,
            retry_queue_nums: group.retry_queues.cast_signed(),
            subscription_data_set: None,
            which_broker_when_consume_slowly: group.which_broker_when_consume_slowly.cast_signed(),
        }
    }
}

impl TryFrom<SubscriptionGroupConfig> for SubscriptionGroup {
    type Error = NameError;

    /// Negative counts and ids count as 0.
    fn try_from(group: SubscriptionGroupConfig) -> Result<Self, NameError> {
        let name = Group::new(&group.group_name)?;
        Ok(Self {
            name,
            consume_enable: group.consume_enable,
            consume_from_min_enable: group.consume_from_min_enable,
            consume_broadcast_enable: group.consume_broadcast_enable,
            consume_message_orderly: group.consume_message_orderly,
            retry_queues: u32::try_from(group.retry_queue_nums).unwrap_or(0),
            retry_max_times: group.retry_max_times,
            broker_id: u64::try_from(group.broker_id).unwrap_or(0),
            which_broker_when_consume_slowly: u64::try_from(group.which_broker_when_consume_slowly)
                .unwrap_or(0),
            notify_consumer_ids_changed_enable: group.notify_consumer_ids_changed_enable,
            sys_flag: group.group_sys_flag,
            consume_timeout_minute: group.consume_timeout_minute,
            attributes: group.attributes,
        })
    }
}

/// The answer to `GET_ALL_SUBSCRIPTIONGROUP_CONFIG`, and RocketMQ's `subscriptionGroup.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionGroupTable {
    /// The groups' version.
    pub data_version: DataVersion,
    /// By group and topic, bits of what is forbidden.
    pub forbidden_table: BTreeMap<String, BTreeMap<String, i32>>,
    /// The groups by name.
    pub subscription_group_table: BTreeMap<String, SubscriptionGroupConfig>,
}

/// The body of `UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionGroupConfigs {
    /// The groups.
    pub group_config_list: Vec<SubscriptionGroupConfig>,
}

/// The answer to `UPDATE_AND_GET_GROUP_FORBIDDEN`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupForbidden {
    /// The group.
    pub group: String,
    /// Whether it may read.
    pub readable: Option<bool>,
    /// The topic.
    pub topic: String,
}
