//! Topics.

use anyhow::{Context as _, bail};
use blockhouse_client::admin::Scope;
use blockhouse_client::{Client, Error};
use blockhouse_meta::topics::QUEUES_MAX;
use blockhouse_model::names;
use blockhouse_protocol::body::topic::TopicConfig;
use serde_json::json;

use super::{Answer, ScopeArgs};
use crate::cluster::Table;
use crate::wrong_use;

/// Which topics to list.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Also RocketMQ's own topics, and groups' retry and dead-letter topics
    #[arg(long, visible_alias = "all")]
    system: bool,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create a topic, or change one
    Create(CreateArgs),
    /// Delete a topic and its messages
    Delete {
        /// The topic
        topic: String,
        #[command(flatten)]
        scope: ScopeArgs,
    },
    /// Show which brokers have the topic's queues
    Route {
        /// The topic
        topic: String,
    },
    /// Show how far each queue goes
    Status {
        /// The topic
        topic: String,
    },
}

/// What the topic is to be like.
#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// The topic
    topic: String,
    /// Queues on each broker
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=i64::from(QUEUES_MAX)))]
    queues: u32,
    /// What may be done: `rw`, `r` or `w`
    #[arg(long, default_value = "rw")]
    perm: String,
    /// An attribute, e.g. `message.type=FIFO`; may be given several times
    #[arg(long = "attribute", value_name = "NAME=VALUE")]
    attributes: Vec<String>,
    #[command(flatten)]
    scope: ScopeArgs,
}

pub(super) async fn list(client: &Client, args: &ListArgs) -> anyhow::Result<Answer> {
    let mut topics = client.topics().await.context("cannot list topics")?;
    if !args.system {
        let info = client.cluster_info().await?;
        topics.retain(|topic| {
            let own = names::is_system_topic(topic)
                || topic.starts_with("RMQ_SYS_")
                || names::is_retry(topic)
                || names::is_dlq(topic)
                || topic.ends_with(names::REPLY_TOPIC_POSTFIX)
                || info.cluster_addr_table.contains_key(topic)
                || info.broker_addr_table.contains_key(topic);
            !own
        });
    }
    let mut table = Table::new(&["topic"]);
    topics.iter().for_each(|topic| table.row([topic]));
    Ok(Answer::table(&table, "No topics (--system shows RocketMQ's own).", json!(topics)))
}

pub(super) async fn run(client: &Client, command: Command) -> anyhow::Result<Answer> {
    match command {
        Command::Create(args) => create(client, &args).await,
        Command::Delete { topic, scope } => delete(client, &topic, &scope.scope()).await,
        Command::Route { topic } => route(client, &topic).await,
        Command::Status { topic } => status(client, &topic).await,
    }
}

async fn delete(client: &Client, topic: &str, scope: &Scope) -> anyhow::Result<Answer> {
    let holders: Vec<String> = match client.route_data(topic).await {
        Ok(data) => data.queue_datas.into_iter().map(|queues| queues.broker_name).collect(),
        Err(Error::NoRoute(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    // Those that are not known to have it are asked all the same: something may be left there.
    let mut brokers = client
        .delete_topic(scope, topic)
        .await
        .with_context(|| format!("cannot delete topic {topic}"))?;
    let asked = brokers.join(", ");
    brokers.retain(|broker| holders.contains(broker));
    if brokers.is_empty() {
        bail!("there is no topic {topic} on {asked}; `blockhouse admin topics` lists what exists");
    }
    Ok(Answer::done(
        &format!("Topic {topic} deleted from {}.", brokers.join(", ")),
        json!({"topic": topic, "brokers": brokers}),
    ))
}

async fn create(client: &Client, args: &CreateArgs) -> anyhow::Result<Answer> {
    names::check_topic(&args.topic).map_err(|error| wrong_use(error.to_string()))?;
    let perm = match args.perm.as_str() {
        "rw" | "wr" => 6,
        "r" => 4,
        "w" => 2,
        other => return Err(wrong_use(format!("--perm {other} is none of rw, r, w"))),
    };
    let attributes = args.attributes.iter().map(|attribute| {
        let (name, value) = attribute
            .split_once('=')
            .ok_or_else(|| wrong_use(format!("--attribute {attribute} is not NAME=VALUE")))?;
        Ok((name.to_owned(), value.to_owned()))
    });
    let queues = i32::try_from(args.queues)?;
    let config = TopicConfig {
        topic_name: args.topic.clone(),
        read_queue_nums: queues,
        write_queue_nums: queues,
        perm,
        attributes: attributes.collect::<anyhow::Result<_>>()?,
        ..TopicConfig::default()
    };
    let brokers = client
        .create_topic(&args.scope.scope(), &config)
        .await
        .with_context(|| format!("cannot create topic {}", args.topic))?;
    Ok(Answer::done(
        &format!("Topic {} has {} queues on {}.", args.topic, args.queues, brokers.join(", ")),
        json!({"topic": args.topic, "queues": args.queues, "brokers": brokers}),
    ))
}

async fn route(client: &Client, topic: &str) -> anyhow::Result<Answer> {
    let data = client.route_data(topic).await?;
    let mut table = Table::new(&["broker", "read queues", "write queues", "perm", "addresses"]);
    for queues in &data.queue_datas {
        let broker = data.broker_datas.iter().find(|b| b.broker_name == queues.broker_name);
        let addresses: Vec<String> = broker.map_or_else(Vec::new, |broker| {
            broker.broker_addrs.iter().map(|(id, addr)| format!("{id}={addr}")).collect()
        });
        let perm = [(4, 'r'), (2, 'w'), (1, 'x')];
        let perm: String =
            perm.iter().map(|(bit, c)| if queues.perm & bit != 0 { *c } else { '-' }).collect();
        table.row([
            queues.broker_name.clone(),
            queues.read_queue_nums.to_string(),
            queues.write_queue_nums.to_string(),
            perm,
            addresses.join(" "),
        ]);
    }
    Ok(Answer::table(&table, "No broker has queues of this topic.", json!(data)))
}

async fn status(client: &Client, topic: &str) -> anyhow::Result<Answer> {
    let status = client.topic_status(topic).await?;
    let mut table =
        Table::new(&["broker", "queue", "min offset", "max offset", "messages", "newest"]);
    let mut queues = Vec::new();
    for (queue, offset) in &status {
        let messages = offset.max_offset - offset.min_offset;
        table.row([
            queue.broker_name.clone(),
            queue.queue_id.to_string(),
            offset.min_offset.to_string(),
            offset.max_offset.to_string(),
            messages.to_string(),
            crate::utc::time(offset.last_update_timestamp),
        ]);
        queues.push(json!({
            "broker": queue.broker_name, "queue": queue.queue_id, "minOffset": offset.min_offset,
            "maxOffset": offset.max_offset, "messages": messages,
            "lastUpdateTimestamp": offset.last_update_timestamp,
        }));
    }
    Ok(Answer::table(&table, "The topic has no queues.", queues.into()))
}
