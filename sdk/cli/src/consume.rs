//! Printing messages of a topic.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use blockhouse_client::group::StartAt;
use blockhouse_client::{Client, Error, GroupConsumer, Received};
use blockhouse_model::{names, properties};
use serde_json::{Map, Value, json};

use crate::cluster::{ClusterArgs, block_on};
use crate::{out, wrong_use};

/// How often to look for a topic that does not exist yet.
const TOPIC_PAUSE: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Examples:
  # what is there, then stop
  blockhouse consume TopicTest --group try
  # and what comes, until ctrl-C
  blockhouse consume TopicTest --group try --follow
  blockhouse consume TopicTest --group new --from last --follow \\
      --tag 'TagA || TagB'

Members of a group share a topic's messages, and the group goes on where it stopped. Progress is committed \
every 5 seconds and at the end. Control characters in messages are escaped on a terminal; a file or pipe gets \
them as they are.";

/// What the command line can say.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to consume
    topic: String,
    /// The consumer group
    #[arg(long, short = 'g', default_value = "blockhouse-consume")]
    group: String,
    /// Wait for messages to come, until ctrl-C
    #[arg(long, short = 'f')]
    follow: bool,
    /// Where a group begins that has consumed nothing yet
    #[arg(long, value_enum, default_value = "first")]
    from: From,
    /// Only messages with this tag, or one of these (`A || B`)
    #[arg(long, value_name = "EXPR", default_value = "*")]
    tag: String,
    /// Stop after so many messages
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Print one JSON object per message
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum From {
    /// With the first message that is stored
    First,
    /// With messages that come after now
    Last,
}

/// Does it.
pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    block_on(args.cluster.identity.is_given(), async move {
        let client = args.cluster.client()?;
        let printed = print_all(&args, &client).await;
        client.close().await;
        printed
    })
}

async fn print_all(args: &Args, client: &Arc<Client>) -> anyhow::Result<()> {
    names::check_topic(&args.topic).map_err(|error| wrong_use(error.to_string()))?;
    names::check_group(&args.group).map_err(|error| wrong_use(error.to_string()))?;
    let Some(mut consumer) = join(args, client).await? else { return Ok(()) };
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut refused = None;
    while left > 0 {
        let message = tokio::select! {
            message = consumer.next() => message,
            _ = tokio::signal::ctrl_c() => break,
        };
        let message = match message {
            Ok(Some(message)) => message,
            Ok(None) => break,
            Err(error) => {
                refused = Some(error);
                break;
            }
        };
        out::line(&if args.json { as_json(&message) } else { as_text(&message) });
        left -= 1;
    }
    let count = args.count.unwrap_or(u64::MAX) - left;
    let left = consumer.leave().await.with_context(|| {
        format!("{count} messages were printed, but the group's progress could not be committed")
    });
    match refused {
        Some(error) => Err(error).with_context(|| cannot(args)),
        None => left,
    }
}

/// Joins the group. Who follows a topic that does not exist yet waits for it, until ctrl-C.
async fn join(args: &Args, client: &Arc<Client>) -> anyhow::Result<Option<GroupConsumer>> {
    let start = match args.from {
        From::First => StartAt::First,
        From::Last => StartAt::Last,
    };
    let mut noted = false;
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let (group, topic) = (&args.group, &args.topic);
        let how = (start, args.follow);
        let client = Arc::clone(client);
        match GroupConsumer::join(client, group, topic, &args.tag, how).await {
            Err(Error::NoRoute(_)) if args.follow => {
                tokio::select! {
                    () = tokio::time::sleep(TOPIC_PAUSE) => {}
                    _ = &mut stop => return Ok(None),
                }
                if !noted {
                    out::note(&format!("Topic {topic} does not exist yet; waiting for it."));
                    noted = true;
                }
            }
            joined => {
                return joined.map(Some).with_context(|| cannot(args));
            }
        }
    }
}

fn cannot(args: &Args) -> String {
    format!("cannot consume {} as group {}", args.topic, args.group)
}

fn as_text(message: &Received) -> String {
    let mut line = format!(
        "{}/{}@{}",
        message.queue.broker_name, message.queue.queue_id, message.queue_offset
    );
    for (name, label) in [(properties::TAGS, "tag"), (properties::KEYS, "keys")] {
        if let Some(value) = message.property(name) {
            line.push_str(&format!(" {label}={}", out::foreign(value)));
        }
    }
    if message.reconsume_times > 0 {
        line.push_str(&format!(" redelivery={}", message.reconsume_times));
    }
    line.push_str("  ");
    line.push_str(&out::foreign(&String::from_utf8_lossy(&message.body)));
    line
}

/// A message as JSON, for this and other tools.
pub(crate) fn to_json(message: &Received) -> Value {
    let pairs = properties::pairs(&message.properties);
    let pairs: Map<String, Value> =
        pairs.map(|(name, value)| (name.to_owned(), value.into())).collect();
    let mut object = json!({
        "topic": message.topic,
        "broker": message.queue.broker_name,
        "queue": message.queue.queue_id,
        "offset": message.queue_offset,
        "msgId": message.id(),
        "offsetMsgId": message.offset_id.to_string(),
        "bornTimestamp": message.born_timestamp,
        "bornHost": message.born_host.to_string(),
        "storeTimestamp": message.store_timestamp,
        "reconsumeTimes": message.reconsume_times,
        "flag": message.flag,
        "sysFlag": message.sys_flag.0,
        "properties": pairs,
    });
    match std::str::from_utf8(&message.body) {
        Ok(text) if !message.compressed => object["body"] = text.into(),
        _ => {
            let mut hex = String::new();
            blockhouse_model::id::push_hex(&mut hex, &message.body);
            object["bodyHex"] = hex.into();
        }
    }
    object
}

fn as_json(message: &Received) -> String {
    to_json(message).to_string()
}
