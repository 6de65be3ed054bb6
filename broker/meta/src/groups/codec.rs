//! The text of `subscriptionGroup.json`.

use std::collections::BTreeMap;
use std::sync::Arc;

use blockhouse_model::{DataVersion, Group, SubscriptionGroup, Topic, names};
use serde_json::{Map, Value};

use super::{Entry, Forbidden};
use crate::Extra;
use crate::fields::{attributes_value, take_attributes, take_version, write_version};
use crate::json::{Writer, parse, take_bool, take_int, take_object};

const TABLE: &str = "subscriptionGroupTable";
const FORBIDDEN: &str = "forbiddenTable";

/// Everything in the file.
#[derive(Default)]
pub(super) struct State {
    pub(super) version: DataVersion,
    pub(super) forbidden: Forbidden,
    pub(super) entries: Vec<Entry>,
}

/// What a Java broker writes for a group that was given nothing else.
pub(super) fn default_extra() -> Extra {
    Extra::of("groupRetryPolicy", serde_json::json!({ "type": "CUSTOMIZED" }))
}

/// Takes those fields out that [`SubscriptionGroup`] has.
pub(super) fn drop_known(extra: &mut Extra) {
    for name in encode_known(&SubscriptionGroup::new(Group::trusted(""))).keys() {
        extra.0.remove(name);
    }
}

pub(super) fn decode(text: &[u8]) -> Result<State, String> {
    let mut root = parse(text)?;
    let version = take_version(&mut root)?;
    let mut entries = Vec::new();
    for (name, value) in take_object(&mut root, TABLE)? {
        let Value::Object(fields) = value else {
            return Err(format!("{TABLE}.{name}: an object was expected"));
        };
        if let Err(problem) = names::check_group(&name) {
            tracing::warn!(group = name, %problem, "consumer group left out");
            continue;
        }
        let entry = decode_group(&name, fields).map_err(|e| format!("{TABLE}.{name}.{e}"))?;
        entries.push(entry);
    }
    Ok(State { version, forbidden: decode_forbidden(&mut root)?, entries })
}

fn decode_forbidden(root: &mut Map<String, Value>) -> Result<Forbidden, String> {
    let mut forbidden = Forbidden::new();
    let mut table = take_object(root, FORBIDDEN)?;
    let groups: Vec<String> = table.keys().cloned().collect();
    for group in groups {
        let mut topics = take_object(&mut table, &group)?;
        let names: Vec<String> = topics.keys().cloned().collect();
        let mut bits = BTreeMap::new();
        for topic in names {
            let value = take_int(&mut topics, &topic)?.unwrap_or(0);
            if let Ok(value @ 1..) = u32::try_from(value) {
                bits.insert(Topic::trusted(&topic), value);
            }
        }
        forbidden.insert(Group::trusted(&group), bits);
    }
    Ok(forbidden)
}

fn decode_group(name: &str, mut fields: Map<String, Value>) -> Result<Entry, String> {
    fields.remove("groupName");
    let fields = &mut fields;
    let default = SubscriptionGroup::new(Group::trusted(name));
    let config = SubscriptionGroup {
        name: default.name,
        consume_enable: flag(fields, "consumeEnable", true)?,
        consume_from_min_enable: flag(fields, "consumeFromMinEnable", true)?,
        consume_broadcast_enable: flag(fields, "consumeBroadcastEnable", true)?,
        consume_message_orderly: flag(fields, "consumeMessageOrderly", false)?,
        // Negative means none, as 0 does.
        retry_queues: int(fields, "retryQueueNums", default.retry_queues)?,
        retry_max_times: int(fields, "retryMaxTimes", default.retry_max_times)?,
        broker_id: int(fields, "brokerId", default.broker_id)?,
        which_broker_when_consume_slowly: int(
            fields,
            "whichBrokerWhenConsumeSlowly",
            default.which_broker_when_consume_slowly,
        )?,
        notify_consumer_ids_changed_enable: flag(fields, "notifyConsumerIdsChangedEnable", true)?,
        sys_flag: int(fields, "groupSysFlag", 0)?,
        consume_timeout_minute: int(
            fields,
            "consumeTimeoutMinute",
            default.consume_timeout_minute,
        )?,
        attributes: take_attributes(fields)?,
    };
    let mut extra = default_extra();
    extra.0.append(fields);
    Ok(Entry { config: Arc::new(config), extra: Arc::new(extra) })
}

fn flag(fields: &mut Map<String, Value>, name: &str, default: bool) -> Result<bool, String> {
    take_bool(fields, name).map(|value| value.unwrap_or(default))
}

/// An integer that fits `T`; a negative one counts as 0 where `T` has none.
fn int<T: TryFrom<i64>>(
    fields: &mut Map<String, Value>,
    name: &str,
    default: T,
) -> Result<T, String> {
    let Some(value) = take_int(fields, name)? else {
        return Ok(default);
    };
    let fits = T::try_from(value).or_else(|e| if value < 0 { T::try_from(0) } else { Err(e) });
    fits.map_err(|_| format!("{name}: {value} is too large"))
}

pub(super) fn encode(version: DataVersion, forbidden: &Forbidden, entries: Vec<Entry>) -> String {
    let entries: BTreeMap<Group, Entry> =
        entries.into_iter().map(|entry| (entry.config.name.clone(), entry)).collect();
    let mut w = Writer::new(true);
    w.open();
    write_version(&mut w, version);
    w.key(FORBIDDEN);
    w.open();
    for (group, topics) in forbidden {
        w.key(group);
        w.open();
        for (topic, bits) in topics {
            w.key(topic);
            w.int((*bits).into());
        }
        w.close();
    }
    w.close();
    w.key(TABLE);
    w.open();
    for (name, entry) in entries {
        let mut fields = entry.extra.0.clone();
        fields.extend(encode_known(&entry.config));
        w.key(&name);
        w.value(&Value::Object(fields));
    }
    w.close();
    w.close();
    w.finish()
}

fn encode_known(config: &SubscriptionGroup) -> Map<String, Value> {
    let fields = [
        ("attributes", attributes_value(&config.attributes)),
        ("brokerId", config.broker_id.into()),
        ("consumeBroadcastEnable", config.consume_broadcast_enable.into()),
        ("consumeEnable", config.consume_enable.into()),
        ("consumeFromMinEnable", config.consume_from_min_enable.into()),
        ("consumeMessageOrderly", config.consume_message_orderly.into()),
        ("consumeTimeoutMinute", config.consume_timeout_minute.into()),
        ("groupName", config.name.as_str().into()),
        ("groupSysFlag", config.sys_flag.into()),
        ("notifyConsumerIdsChangedEnable", config.notify_consumer_ids_changed_enable.into()),
        ("retryMaxTimes", config.retry_max_times.into()),
        ("retryQueueNums", config.retry_queues.into()),
        ("whichBrokerWhenConsumeSlowly", config.which_broker_when_consume_slowly.into()),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
