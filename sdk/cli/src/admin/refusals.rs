//! Why requests were refused.

use serde_json::json;

use super::{Answer, ClusterFlags};
use crate::cluster::Table;
use crate::plugin::node::{DEFAULT, Node};
use crate::process::refusals::{Refusal, Shown};
use crate::told;
use crate::utc::time;

pub(super) const EXAMPLES: &str = "\
Examples:
  blockhouse admin refusals
  blockhouse admin refusals --topic orders --node 10.0.0.5:5557
  blockhouse admin refusals --client 10.0.0.7 --json

The last 1,024 of a broker, those that are alike as one; it has them in memory, since it was started.";

/// Which.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Of this topic
    #[arg(long)]
    topic: Option<String>,
    /// Of this producer or consumer group
    #[arg(long)]
    group: Option<String>,
    /// Of this client: its id, its IP address, or IP:PORT
    #[arg(long, value_name = "ID|IP|IP:PORT")]
    client: Option<String>,
    /// The node's ops listener: HOST:PORT, or http(s)://HOST:PORT
    #[arg(long, visible_alias = "ops", value_name = "URL", default_value = DEFAULT)]
    node: String,
}

impl Args {
    fn wants(&self, refusal: &Refusal) -> bool {
        let is = |wanted: &Option<String>, value: &str| wanted.as_ref().is_none_or(|w| w == value);
        let client = [&refusal.client, &refusal.address, told::ip(&refusal.address)];
        is(&self.topic, &refusal.topic)
            && is(&self.group, &refusal.group)
            && self.client.as_ref().is_none_or(|wanted| client.contains(&wanted.as_str()))
    }
}

/// Shows them.
pub(super) fn run(args: &Args, flags: &ClusterFlags) -> anyhow::Result<Answer> {
    let node = Node::reached(&args.node, flags.timeout_ms, &flags.tls, &flags.identity)?;
    let mut found: Shown = node.get("/v1/refusals")?;
    found.refusals.retain(|refusal| args.wants(refusal));
    let columns = ["last", "n", "request", "answer", "topic", "group", "client", "reason"];
    let mut table = Table::new(&columns);
    for refusal in &found.refusals {
        let who = if refusal.client.is_empty() {
            refusal.address.clone()
        } else {
            format!("{} {}", refusal.client, refusal.address)
        };
        table.row([
            time(refusal.at_ms),
            refusal.count.to_string(),
            refusal.request.clone(),
            refusal.answer.clone(),
            or_none(&refusal.topic),
            or_none(&refusal.group),
            who,
            refusal.reason.clone(),
        ]);
    }
    Ok(Answer::table(&table, "No refusal fits.", json!(found)))
}

fn or_none(name: &str) -> String {
    if name.is_empty() { "-".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_found_by_its_id_or_by_where_it_is() {
        let refusal = Refusal {
            at_ms: 0,
            count: 1,
            request: String::new(),
            answer: String::new(),
            reason: String::new(),
            address: "[::1]:77".to_owned(),
            client: "c@1".to_owned(),
            topic: "t".to_owned(),
            group: "g".to_owned(),
        };
        let of = |client: &str| Args {
            topic: Some("t".to_owned()),
            group: None,
            client: Some(client.to_owned()),
            node: String::new(),
        };
        for client in ["c@1", "::1", "[::1]:77"] {
            assert!(of(client).wants(&refusal), "{client}");
        }
        assert!(!of("::2").wants(&refusal));
        assert!(!Args { topic: Some("u".to_owned()), ..of("c@1") }.wants(&refusal));
    }
}
