//! The text of `consumerOffset.json`: `"topic@group":{0:321,1:7}`.

use std::collections::BTreeMap;

use blockhouse_model::{DataVersion, Group, QueueId, QueueOffset, Topic};

use crate::fields::{take_version, write_version};
use crate::json::{Writer, parse, take_int, take_object};
use crate::topics::QUEUES_MAX;

const TABLE: &str = "offsetTable";

pub(super) struct State {
    pub(super) version: DataVersion,
    pub(super) offsets: Vec<(String, String, QueueId, QueueOffset)>,
}

pub(super) fn decode(text: &[u8]) -> Result<State, String> {
    let mut root = parse(text)?;
    let version = take_version(&mut root)?;
    let mut table = take_object(&mut root, TABLE)?;
    let keys: Vec<String> = table.keys().cloned().collect();
    let mut offsets = Vec::new();
    for key in keys {
        let mut queues = take_object(&mut table, &key)?;
        // Names have no `@`; a key without one is nothing that a Java broker looks at either.
        let Some((topic, group)) = key.split_once('@') else {
            tracing::warn!(key, "progress left out");
            continue;
        };
        let names: Vec<String> = queues.keys().cloned().collect();
        for name in names {
            let offset = take_int(&mut queues, &name).map_err(|e| format!("{TABLE}.{key}.{e}"))?;
            let queue = name.parse().map_err(|_| format!("{TABLE}.{key}: {name} is no queue"))?;
            // Negative offsets mean unknown.
            let offset = offset.and_then(QueueOffset::from_i64);
            if let Some(offset) = offset.filter(|_| queue < QUEUES_MAX) {
                offsets.push((topic.to_owned(), group.to_owned(), QueueId(queue), offset));
            }
        }
    }
    Ok(State { version, offsets })
}

pub(super) fn encode(
    version: DataVersion,
    offsets: &BTreeMap<(Topic, Group), Vec<(QueueId, QueueOffset)>>,
    pretty: bool,
) -> String {
    let mut w = Writer::new(pretty);
    w.open();
    write_version(&mut w, version);
    w.key(TABLE);
    w.open();
    for ((topic, group), queues) in offsets {
        w.key(&format!("{topic}@{group}"));
        w.open();
        for (queue, offset) in queues {
            w.int_key(queue.0);
            w.int(offset.to_i64());
        }
        w.close();
    }
    w.close();
    w.close();
    w.finish()
}
