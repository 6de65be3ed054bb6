//! Consumer groups.

use anyhow::{Context as _, anyhow};
use blockhouse_client::Client;
use blockhouse_client::admin::{Lag, ResetTo, Scope};
use blockhouse_meta::OWN_GROUPS;
use blockhouse_model::names;
use blockhouse_protocol::body::group::SubscriptionGroupConfig;
use blockhouse_protocol::codes::response_code;
use serde_json::json;

use super::{Answer, ScopeArgs};
use crate::cluster::Table;
use crate::utc::{parse_time, time};
use crate::wrong_use;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create a group, or change one
    Create(CreateArgs),
    /// Delete a group
    Delete {
        /// The group
        group: String,
        /// Forget its offsets, too
        #[arg(long)]
        with_offsets: bool,
        #[command(flatten)]
        scope: ScopeArgs,
    },
}

/// What the group is to be like.
#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// The group
    group: String,
    /// Redeliveries before a message goes to the dead-letter topic
    #[arg(long, default_value_t = 16)]
    retries: i32,
    /// Queues of the retry topic
    #[arg(long, default_value_t = 1)]
    retry_queues: u16,
    /// Do not let the group consume
    #[arg(long)]
    disabled: bool,
    #[command(flatten)]
    scope: ScopeArgs,
}

/// Whose progress.
#[derive(Debug, clap::Args)]
pub(super) struct ProgressArgs {
    /// The group
    group: String,
    /// Only this topic
    #[arg(long)]
    topic: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum OffsetsCommand {
    /// Set a group's offsets of a topic; running consumers follow
    Reset(ResetArgs),
}

/// Where to.
#[derive(Debug, clap::Args)]
pub(super) struct ResetArgs {
    /// The group
    group: String,
    /// The topic
    topic: String,
    /// `first`, `last`, milliseconds since 1970, or a UTC time like 2026-11-23T08:00:00Z
    #[arg(long)]
    to: String,
}

/// Which groups to list.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// Also RocketMQ's own groups
    #[arg(long, visible_alias = "all")]
    system: bool,
}

/// Whether the group is RocketMQ's own.
fn is_own(group: &str) -> bool {
    OWN_GROUPS.contains(&group) || names::is_system_group(group)
}

pub(super) async fn list(client: &Client, args: &ListArgs) -> anyhow::Result<Answer> {
    let mut groups = client.groups(&Scope::All).await.context("cannot list groups")?;
    groups.retain(|name, _| args.system || !is_own(name));
    let mut table = Table::new(&["group", "consumes", "retries", "retry queues"]);
    for group in groups.values() {
        table.row([
            group.group_name.clone(),
            if group.consume_enable { "yes" } else { "no" }.to_owned(),
            group.retry_max_times.to_string(),
            group.retry_queue_nums.to_string(),
        ]);
    }
    Ok(Answer::table(&table, "No groups (--system shows RocketMQ's own).", json!(groups)))
}

/// Fails if no broker knows the group. Who may not list groups is not told.
pub(super) async fn is_known(client: &Client, group: &str) -> anyhow::Result<()> {
    match client.groups(&Scope::All).await {
        Ok(groups) if !groups.contains_key(group) => Err(unknown(group)),
        Err(error) if error.code() != Some(response_code::NO_PERMISSION) => {
            Err(error).with_context(|| format!("cannot tell whether there is a group {group}"))
        }
        _ => Ok(()),
    }
}

fn unknown(group: &str) -> anyhow::Error {
    anyhow!(
        "there is no group {group}; `blockhouse admin groups` lists those of consumers, and one of producers is known while any of them is connected"
    )
}

pub(super) async fn run(client: &Client, command: Command) -> anyhow::Result<Answer> {
    match command {
        Command::Create(args) => {
            names::check_group(&args.group).map_err(|error| wrong_use(error.to_string()))?;
            let config = SubscriptionGroupConfig {
                group_name: args.group.clone(),
                retry_max_times: args.retries,
                retry_queue_nums: i32::from(args.retry_queues),
                consume_enable: !args.disabled,
                ..SubscriptionGroupConfig::default()
            };
            let brokers = client
                .create_group(&args.scope.scope(), &config)
                .await
                .with_context(|| format!("cannot create group {}", args.group))?;
            Ok(Answer::done(
                &format!("Group {} is on {}.", args.group, brokers.join(", ")),
                json!({"group": args.group, "brokers": brokers}),
            ))
        }
        Command::Delete { group, with_offsets, scope } => {
            if !client.groups(&scope.scope()).await?.contains_key(&group) {
                return Err(unknown(&group));
            }
            let brokers = client
                .delete_group(&scope.scope(), &group, with_offsets)
                .await
                .with_context(|| format!("cannot delete group {group}"))?;
            Ok(Answer::done(
                &format!("Group {group} deleted from {}.", brokers.join(", ")),
                json!({"group": group, "brokers": brokers}),
            ))
        }
    }
}

pub(super) async fn progress(client: &Client, args: &ProgressArgs) -> anyhow::Result<Answer> {
    let lags = client
        .progress(&args.group, args.topic.as_deref())
        .await
        .with_context(|| format!("cannot tell the progress of group {}", args.group))?;
    if lags.is_empty() {
        is_known(client, &args.group).await?;
    }
    let mut table = Table::new(&[
        "topic",
        "broker",
        "queue",
        "stored",
        "pulled",
        "consumed",
        "lag",
        "consumed up to",
    ]);
    for lag in &lags {
        table.row([
            lag.queue.topic.clone(),
            lag.queue.broker_name.clone(),
            lag.queue.queue_id.to_string(),
            lag.offsets.broker_offset.to_string(),
            lag.offsets.pull_offset.to_string(),
            lag.offsets.consumer_offset.to_string(),
            lag.messages().to_string(),
            time(lag.offsets.last_timestamp),
        ]);
    }
    let total: i64 = lags.iter().map(Lag::messages).sum();
    let queues: Vec<_> = lags
        .iter()
        .map(|lag| {
            json!({
                "topic": lag.queue.topic, "broker": lag.queue.broker_name,
                "queue": lag.queue.queue_id, "brokerOffset": lag.offsets.broker_offset,
                "consumerOffset": lag.offsets.consumer_offset, "lag": lag.messages(),
                "lastTimestamp": lag.offsets.last_timestamp,
            })
        })
        .collect();
    let mut answer = Answer::table(
        &table,
        "The group has committed nothing.",
        json!({"group": args.group, "lag": total, "queues": queues}),
    );
    if !table.is_empty() {
        answer.text.push_str(&format!("total lag: {total}\n"));
    }
    Ok(answer)
}

pub(super) async fn reset(client: &Client, args: &ResetArgs) -> anyhow::Result<Answer> {
    let to = match args.to.as_str() {
        "first" => ResetTo::First,
        "last" => ResetTo::Last,
        text => ResetTo::Time(parse_time(text).ok_or_else(|| {
            let forms = "first, last, milliseconds, 2026-11-23T08:00:00Z";
            wrong_use(format!("--to {text} is none of {forms}"))
        })?),
    };
    let offsets = client
        .reset_offsets(&args.group, &args.topic, to)
        .await
        .with_context(|| format!("cannot reset group {} of topic {}", args.group, args.topic))?;
    let mut table = Table::new(&["broker", "queue", "offset"]);
    let mut queues = Vec::new();
    for (queue, offset) in &offsets {
        table.row([&queue.broker_name, &queue.queue_id.to_string(), &offset.to_string()]);
        queues
            .push(json!({"broker": queue.broker_name, "queue": queue.queue_id, "offset": offset}));
    }
    Ok(Answer::table(&table, "Nothing to reset.", queues.into()))
}
