//! Finding messages.

mod consumed;

use blockhouse_client::{Client, Error, Received};
use blockhouse_model::{MessageId, properties};
use serde_json::{Value, json};

use super::Answer;
use crate::consume::to_json;
use crate::utc::time;
use crate::{out, wrong_use};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// By its id: the offset message id, or with --topic the unique key that producers print
    Id {
        /// 32 hexadecimal digits, or 56 if the broker has an IPv6 address
        id: String,
        /// The topic; needed for unique keys
        #[arg(long)]
        topic: Option<String>,
        /// Say which groups have consumed it, too
        #[arg(long)]
        groups: bool,
    },
    /// By one of its keys
    Key {
        /// The topic
        topic: String,
        /// The key
        key: String,
        /// Say which groups have consumed it, too
        #[arg(long)]
        groups: bool,
    },
}

pub(super) async fn run(client: &Client, command: Command) -> anyhow::Result<Answer> {
    let (Command::Id { groups, .. } | Command::Key { groups, .. }) = command;
    let found = match command {
        Command::Id { id, topic: None, .. } if MessageId::parse(&id).is_none() => {
            return Err(wrong_use(Error::MessageId(id).to_string()));
        }
        Command::Id { id, topic: None, .. } => vec![client.message_by_id(None, &id).await?],
        Command::Id { id, topic: Some(topic), .. } => by_either_id(client, &topic, &id).await?,
        Command::Key { key, .. } if key.contains(char::is_whitespace) => {
            return Err(wrong_use(format!(
                "`{key}` is no key: keys end at spaces, so look for one of its words"
            )));
        }
        Command::Key { topic, key, .. } => {
            client.messages_by_key(&topic, &key, false, (0, i64::MAX)).await?
        }
    };
    let (mut json, mut texts): (Vec<Value>, Vec<String>) =
        found.iter().map(|message| (to_json(message), as_text(message))).unzip();
    if groups {
        for ((message, json), text) in found.iter().zip(&mut json).zip(&mut texts) {
            let by_groups = consumed::by_groups(client, message).await?;
            text.push_str(&consumed::as_text(&by_groups));
            json["groups"] = json!(by_groups);
        }
    }
    let text = if found.is_empty() { "No such message.\n".to_owned() } else { texts.join("\n") };
    Ok(Answer { text, json: json!(json) })
}

/// The two kinds of ids have the same length: the topic decides, the offset id is the fallback.
async fn by_either_id(client: &Client, topic: &str, id: &str) -> anyhow::Result<Vec<Received>> {
    let found = client.messages_by_key(topic, id, true, (0, i64::MAX)).await?;
    if !found.is_empty() || MessageId::parse(id).is_none() {
        return Ok(found);
    }
    match client.message_by_id(Some(topic), id).await {
        Ok(message) => Ok(vec![message]),
        // The address in a unique key is no broker's.
        Err(_) => Ok(Vec::new()),
    }
}

fn as_text(message: &Received) -> String {
    let mut text = format!(
        "topic          {}\nqueue          {} @ {}\nid             {}\noffset id      {}\n\
         born           {} at {}\nstored         {} at {}, {} ms later\nredelivered    {} times\n",
        message.topic,
        message.queue.queue_id,
        message.queue_offset,
        message.id(),
        message.offset_id,
        time(message.born_timestamp),
        message.born_host,
        time(message.store_timestamp),
        message.offset_id.host,
        message.store_timestamp.saturating_sub(message.born_timestamp),
        message.reconsume_times,
    );
    for (name, value) in properties::pairs(&message.properties) {
        let (name, value) = (out::foreign(name), out::foreign(value));
        text.push_str(&format!("property       {name}={value}\n"));
    }
    let body = String::from_utf8_lossy(&message.body);
    text.push_str(&format!("body           {}\n", out::foreign(&body)));
    text
}
