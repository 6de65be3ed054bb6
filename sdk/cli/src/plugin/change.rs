//! Rolling a plugin back, taking it out, bringing it back.

use serde_json::{Value, json};

use super::node::{self, Node, NodeArgs, short};
use crate::cluster::Table;
use crate::process::plugins::Named;

pub(super) const ROLLBACK_EXAMPLES: &str = "\
Examples:
  blockhouse plugin rollback orders-guard
  blockhouse plugin rollback orders-guard \\
      --node 10.0.0.5:5557 --node 10.0.0.6:5557

Exit codes: 0 done on all nodes; 1 not on all, and it says on which; 2 wrong arguments.";

pub(super) const DISABLE_EXAMPLES: &str = "\
Examples:
  blockhouse plugin disable orders-guard
  blockhouse plugin disable orders-guard \\
      --node 10.0.0.5:5557 --node 10.0.0.6:5557

`blockhouse plugin enable NAME` brings it back, and so does a deploy.";

/// Which plugin of which nodes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The binding's name
    name: String,
    #[command(flatten)]
    nodes: NodeArgs,
}

/// What became of a change on one node.
pub(super) struct Outcome {
    pub(super) node: String,
    pub(super) result: anyhow::Result<Value>,
}

/// Makes the change on each node, whatever became of it on others.
pub(super) fn run(args: &Args, what: &str, as_json: bool) -> anyhow::Result<()> {
    let name = node::name(&args.name)?.to_owned();
    let nodes = args.nodes.nodes()?;
    let path = node::about(&format!("/v1/plugins/{what}"), &name);
    let named = Named { name };
    let made =
        |node: &Node| Outcome { node: node.authority.clone(), result: node.post(&path, &named) };
    tell(&nodes.iter().map(made).collect::<Vec<_>>(), as_json)
}

/// Tells what became of a change on each node; fails if it was not made on all.
pub(super) fn tell(outcomes: &[Outcome], as_json: bool) -> anyhow::Result<()> {
    let mut table = Table::new(&["node", "generation", "plugin", "version", "digest", "outcome"]);
    for outcome in outcomes {
        let Ok(report) = &outcome.result else { continue };
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        for plugin in report["plugins"].as_array().into_iter().flatten() {
            table.row([
                outcome.node.clone(),
                report["generation"].to_string(),
                text(&plugin["name"]),
                text(&plugin["version"]),
                short(&text(&plugin["digest"])),
                text(&plugin["outcome"]),
            ]);
        }
    }
    let of = |outcome: &Outcome| match &outcome.result {
        Ok(report) => json!({ "node": outcome.node, "report": report }),
        Err(error) => json!({ "node": outcome.node, "error": crate::sentence(error) }),
    };
    let json = json!({ "nodes": outcomes.iter().map(of).collect::<Vec<_>>() });
    let text = if table.is_empty() { String::new() } else { table.to_string() };
    super::print(as_json, &text, &json)?;
    let failed: Vec<String> = outcomes
        .iter()
        .filter_map(|outcome| outcome.result.as_ref().err().map(crate::sentence))
        .collect();
    let (many, all) = (failed.len(), outcomes.len());
    match failed.as_slice() {
        [] => Ok(()),
        [one] if all == 1 => anyhow::bail!("{one}"),
        _ => anyhow::bail!("{many} of {all} nodes did not do it:\n  {}", failed.join("\n  ")),
    }
}
