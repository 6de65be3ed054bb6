//! The text of `topics.json`.

use std::collections::BTreeMap;
use std::sync::Arc;

use blockhouse_model::{DataVersion, Perm, Topic, TopicConfig, names};
use serde_json::{Map, Value};

use super::Entry;
use crate::Extra;
use crate::fields::{attributes_value, take_attributes, take_version, write_version};
use crate::json::{Writer, parse, take_bool, take_int, take_object};

const TABLE: &str = "topicConfigTable";

/// What a Java broker writes for a topic that was given nothing else.
pub(super) fn default_extra() -> Extra {
    Extra::of("topicFilterType", Value::from("SINGLE_TAG"))
}

pub(super) fn decode(text: &[u8]) -> Result<(DataVersion, Vec<Entry>), String> {
    let mut root = parse(text)?;
    let version = take_version(&mut root)?;
    let mut entries = Vec::new();
    for (name, value) in take_object(&mut root, TABLE)? {
        let Value::Object(fields) = value else {
            return Err(format!("{TABLE}.{name}: an object was expected"));
        };
        // A name that could not be a directory is nothing this broker may store under.
        if let Err(problem) = names::check_topic(&name) {
            tracing::warn!(topic = name, %problem, "topic left out");
            continue;
        }
        let entry = decode_topic(&name, fields).map_err(|e| format!("{TABLE}.{name}.{e}"))?;
        entries.push(entry);
    }
    Ok((version, entries))
}

fn decode_topic(name: &str, mut fields: Map<String, Value>) -> Result<Entry, String> {
    fields.remove("topicName");
    let mut count = |field: &str, default: u32| -> Result<u32, String> {
        let value = take_int(&mut fields, field)?.unwrap_or(default.into());
        u32::try_from(value.max(0)).map_err(|_| format!("{field}: {value} is too large"))
    };
    let config = TopicConfig {
        name: Topic::trusted(name),
        read_queues: count("readQueueNums", 16)?,
        write_queues: count("writeQueueNums", 16)?,
        perm: Perm(count("perm", Perm::RW.0)?),
        sys_flag: count("topicSysFlag", 0)?,
        order: take_bool(&mut fields, "order")?.unwrap_or(false),
        attributes: take_attributes(&mut fields)?,
    };
    let mut extra = default_extra();
    extra.0.extend(fields);
    Ok(Entry { config: Arc::new(config), extra: Arc::new(extra) })
}

pub(super) fn encode(version: DataVersion, entries: Vec<Entry>) -> String {
    let entries: BTreeMap<Topic, Entry> =
        entries.into_iter().map(|entry| (entry.config.name.clone(), entry)).collect();
    let mut w = Writer::new(true);
    w.open();
    write_version(&mut w, version);
    w.key(TABLE);
    w.open();
    for (name, entry) in entries {
        w.key(&name);
        w.value(&Value::Object(encode_topic(&entry)));
    }
    w.close();
    w.close();
    w.finish()
}

fn encode_topic(entry: &Entry) -> Map<String, Value> {
    let config = &*entry.config;
    let mut fields = entry.extra.0.clone();
    fields.extend([
        ("attributes".to_owned(), attributes_value(&config.attributes)),
        ("order".to_owned(), Value::from(config.order)),
        ("perm".to_owned(), Value::from(config.perm.0)),
        ("readQueueNums".to_owned(), Value::from(config.read_queues)),
        ("topicName".to_owned(), Value::from(config.name.as_str())),
        ("topicSysFlag".to_owned(), Value::from(config.sys_flag)),
        ("writeQueueNums".to_owned(), Value::from(config.write_queues)),
    ]);
    fields
}
