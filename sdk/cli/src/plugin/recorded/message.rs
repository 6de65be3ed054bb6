//! Recorded messages: from a topic, and from a file.

use std::sync::Arc;

use anyhow::Context as _;
use blockhouse_client::{Client, Pull, Received};
use serde_json::Value;

use crate::cluster::ClusterArgs;
use crate::consume;
use crate::printed::Printed;

/// Who pulls; nothing is committed, so that no group of this name comes to be.
const GROUP: &str = "blockhouse-plugin-record";
/// Messages of one pull.
const PULL_MAX: i32 = 32;

/// What a plugin is given of a recorded message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    pub(super) topic: String,
    pub(super) properties: String,
    pub(super) body: Vec<u8>,
}

impl Recorded {
    /// The messages of a file, one per line.
    pub(super) fn all(text: &str) -> anyhow::Result<Vec<Self>> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        lines
            .map(|(number, line)| Self::one(line).with_context(|| format!("line {}", number + 1)))
            .collect()
    }

    fn one(line: &str) -> anyhow::Result<Self> {
        let line: Printed = serde_json::from_str(line)?;
        let (properties, body) = (line.properties(), line.body()?);
        Ok(Self { topic: line.topic, properties, body })
    }
}

/// The latest messages of a topic, as many of each queue, oldest first.
pub(super) async fn latest(
    cluster: &ClusterArgs,
    topic: &str,
    count: u32,
) -> anyhow::Result<Vec<Value>> {
    let client = cluster.client()?;
    let found = of_queues(&client, topic, count).await;
    client.close().await;
    let mut found = found.with_context(|| format!("cannot record {topic}"))?;
    found.sort_by_key(|message| (message.store_timestamp, message.offset_id.offset));
    let over = found.len().saturating_sub(count as usize);
    Ok(found.iter().skip(over).map(consume::to_json).collect())
}

async fn of_queues(client: &Arc<Client>, topic: &str, count: u32) -> anyhow::Result<Vec<Received>> {
    let route = client.route(topic).await?;
    let mut found = Vec::new();
    for queue in &route.readable {
        let end = client.max_offset(queue).await?;
        let mut offset = (end - i64::from(count)).max(client.min_offset(queue).await?);
        while offset < end {
            let pull = Pull { group: GROUP, queue, offset, max: PULL_MAX, filter: "*", hold: None };
            let pulled = client.pull(&pull).await?;
            // It moved on by itself, or there is nothing any more.
            if pulled.next <= offset {
                break;
            }
            offset = pulled.next;
            found.extend(pulled.messages);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_consume_are_read() {
        let text = "{\"topic\":\"t\",\"offset\":7,\"properties\":{\"A\":\"1\"},\"body\":\"x\"}\n\n\
                    {\"topic\":\"t\",\"bodyHex\":\"00FF\"}\n";
        let all = Recorded::all(text).unwrap();
        let message = |properties: &str, body: &[u8]| Recorded {
            topic: "t".to_owned(),
            properties: properties.to_owned(),
            body: body.to_vec(),
        };
        assert_eq!(all, [message("A\u{1}1\u{2}", b"x"), message("", &[0, 255])]);
    }

    #[test]
    fn what_is_no_message_is_told_with_its_line() {
        for bad in
            ["{", "{\"topic\":\"t\"}", "{\"topic\":\"t\",\"bodyHex\":\"0\"}", "{\"body\":\"\"}"]
        {
            let text = format!("{{\"topic\":\"t\",\"body\":\"\"}}\n{bad}\n");
            assert_eq!(Recorded::all(&text).unwrap_err().to_string(), "line 2", "{bad}");
        }
    }
}
