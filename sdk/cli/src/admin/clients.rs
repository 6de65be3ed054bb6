//! Who is connected.

use blockhouse_client::Client;
use blockhouse_protocol::body::client::Connection;
use blockhouse_protocol::codes::version;
use serde_json::json;

use super::{Answer, ClusterFlags};
use crate::cluster::Table;
use crate::out;
use crate::plugin::node::{DEFAULT, Node};
use crate::process::clients::{Clients, Consumes};
use crate::utc::time;

pub(super) const EXAMPLES: &str = "\
Examples:
  blockhouse admin clients
  blockhouse admin clients --node 10.0.0.5:5557 --json
  blockhouse admin clients billing -n 10.0.0.5:9876

Without a group, the clients of one broker, asked over its ops listener; with a group, its clients on all \
brokers of the cluster, asked as RocketMQ's tools do.";

/// Whose clients.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The group; without it, all clients of one broker
    group: Option<String>,
    /// The broker's ops listener: HOST:PORT, or http(s)://HOST:PORT
    #[arg(long, visible_alias = "ops", value_name = "URL", default_value = DEFAULT, conflicts_with = "group")]
    node: String,
}

impl Args {
    /// The group, if it is to be asked for in a cluster.
    pub(super) fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }
}

/// All clients of a broker.
pub(super) fn all(args: &Args, flags: &ClusterFlags) -> anyhow::Result<Answer> {
    let node = Node::reached(&args.node, flags.timeout_ms, &flags.tls, &flags.identity)?;
    let found: Clients = node.get("/v1/clients")?;
    let columns = ["client", "address", "language", "version", "produces", "consumes", "since"];
    let mut table = Table::new(&columns);
    for client in &found.clients {
        let consumes: Vec<String> = client.consumes.iter().map(told).collect();
        table.row([
            client.client_id.clone(),
            client.address.clone(),
            client.language.clone(),
            client.version.clone(),
            or_none(&client.produces),
            or_none(&consumes),
            time(client.since_ms),
        ]);
    }
    let json = json!({ "clients": found.clients, "left_out": found.left_out });
    let mut answer = Answer::table(&table, "No client is connected.", json);
    if found.left_out > 0 {
        answer.text.push_str(&format!("and {} more\n", found.left_out));
    }
    Ok(answer)
}

fn told(consumes: &Consumes) -> String {
    let all = if consumes.broadcasting { ", all" } else { "" };
    format!("{} ({}{all})", consumes.group, consumes.mode)
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() { "-".to_owned() } else { names.join(" ") }
}

/// The clients of a group.
pub(super) async fn of_group(client: &Client, group: &str) -> anyhow::Result<Answer> {
    let consumers = client.consumers(group).await?;
    let producers = client.producers(group).await?;
    if consumers.is_none() && producers.connection_set.is_empty() {
        super::groups::is_known(client, group).await?;
    }
    let mut table = Table::new(&["role", "client", "address", "language", "version"]);
    let mut add = |role: &str, connection: &Connection| {
        let Connection { client_addr, client_id, language, version } = connection;
        table.row([role, client_id, client_addr, language, &version::name(*version)]);
    };
    let (consume_type, model) =
        consumers.as_ref().map(|c| (c.consume_type, c.message_model)).unzip();
    let (members, subscriptions) =
        consumers.map(|c| (c.connection_set, c.subscription_table)).unwrap_or_default();
    members.iter().for_each(|c| add("consumer", c));
    producers.connection_set.iter().for_each(|c| add("producer", c));
    let mut answer = Answer::table(
        &table,
        "No client of this group is connected.",
        json!({
            "consumers": members, "consumeType": consume_type, "messageModel": model,
            "subscriptions": subscriptions, "producers": producers.connection_set,
        }),
    );
    for (topic, subscription) in &subscriptions {
        let expression = out::foreign(&subscription.sub_string);
        answer.text.push_str(&format!("subscribed: {topic} {expression}\n"));
    }
    Ok(answer)
}
