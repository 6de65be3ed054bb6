//! Clusters, brokers, options.

use anyhow::Context as _;
use blockhouse_client::admin::Scope;
use blockhouse_client::{Client, Error};
use serde_json::json;

use super::Answer;
use crate::cluster::Table;
use crate::{address, wrong_use};

#[derive(Debug, clap::Subcommand)]
pub(super) enum ConfigCommand {
    /// Print the options that are in force
    Show {
        /// The broker
        #[arg(value_name = "NAME|HOST:PORT", value_parser = address::broker)]
        broker: String,
    },
    /// Change options while the broker runs
    ///
    /// Apache RocketMQ's brokers allow it. A Blockhouse broker takes its options only from its
    /// files and flags, and refuses.
    Set {
        /// The broker
        #[arg(value_name = "NAME|HOST:PORT", value_parser = address::broker)]
        broker: String,
        /// The options, as RocketMQ names them
        #[arg(required = true, value_name = "KEY=VALUE")]
        changes: Vec<String>,
    },
}

/// Brokers, one line per process.
pub(super) async fn cluster(client: &Client) -> anyhow::Result<Answer> {
    let info = client.cluster_info().await.context("cannot list the cluster")?;
    let mut table = Table::new(&["cluster", "broker", "id", "address", "version", "in/s", "out/s"]);
    let mut brokers = Vec::new();
    for broker in info.broker_addr_table.values() {
        for (id, addr) in &broker.broker_addrs {
            // One that does not answer is still worth a line.
            let runtime = client.runtime_info(addr).await;
            let unreachable = runtime.as_ref().err().map(ToString::to_string);
            let runtime = runtime.unwrap_or_default();
            let of = |key: &str| runtime.get(key).cloned().unwrap_or_default();
            // Three averages over longer and longer times; the first is over 10 seconds.
            let first = |key: &str| of(key).split(' ').next().unwrap_or_default().to_owned();
            let version = unreachable
                .as_ref()
                .map_or_else(|| of("brokerVersionDesc"), |_| "does not answer".to_owned());
            let (put, got) = (first("putTps"), first("getTransferredTps"));
            table.row([
                broker.cluster.clone(),
                broker.broker_name.clone(),
                id.to_string(),
                addr.clone(),
                version,
                rounded(&put),
                rounded(&got),
            ]);
            brokers.push(json!({
                "cluster": broker.cluster, "broker": broker.broker_name, "id": id,
                "address": addr, "error": unreachable, "runtime": runtime,
            }));
        }
    }
    Ok(Answer::table(&table, "No broker has reported to this name server.", brokers.into()))
}

fn rounded(text: &str) -> String {
    text.parse::<f64>().map_or_else(|_| text.to_owned(), |n| format!("{n:.1}"))
}

pub(super) async fn config(client: &Client, command: ConfigCommand) -> anyhow::Result<Answer> {
    match command {
        ConfigCommand::Show { broker } => {
            let master = client.masters(&Scope::Broker(broker)).await?.remove(0);
            let options = client.broker_config(&master.addr).await?;
            let mut table = Table::new(&["option", "value"]);
            for (key, value) in &options {
                table.row([key, value]);
            }
            Ok(Answer::table(&table, "The broker told no option.", json!(options)))
        }
        ConfigCommand::Set { broker, changes } => {
            let changes = changes
                .iter()
                .map(|change| {
                    let (key, value) = change
                        .split_once('=')
                        .ok_or_else(|| wrong_use(format!("{change} is not KEY=VALUE")))?;
                    Ok((key.to_owned(), value.to_owned()))
                })
                .collect::<anyhow::Result<Vec<_>>>()?;
            let master = client.masters(&Scope::Broker(broker)).await?.remove(0);
            let changed = client.update_broker_config(&master.addr, &changes).await;
            changed.map_err(|error| refused_change(&master.name, error))?;
            Ok(Answer::done(
                &format!("Changed on {}: {}.", master.name, args_of(&changes)),
                json!({"broker": master.name, "changed": changes.len()}),
            ))
        }
    }
}

/// What a broker says about a change says what to do as well: advice for topics and groups, which
/// goes by the code, would mislead.
fn refused_change(broker: &str, error: Error) -> anyhow::Error {
    match error {
        Error::Refused { remark, .. } => {
            anyhow::anyhow!("cannot change options of {broker}: it refused: {remark}")
        }
        other => anyhow::Error::new(other).context(format!("cannot change options of {broker}")),
    }
}

fn args_of(changes: &[(String, String)]) -> String {
    let changes: Vec<String> = changes.iter().map(|(k, v)| format!("{k}={v}")).collect();
    changes.join(", ")
}
