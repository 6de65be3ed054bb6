//! Policies of running nodes.

use std::path::PathBuf;

use blockhouse_authz::Policies;
use serde_json::{Value, json};

use super::{ModeArg, files, print};
use crate::cluster::Table;
use crate::plugin::node::{Node, NodeArgs};
use crate::process::policies::{ApplyRequest, BODY_MAX};

pub(super) const APPLY_EXAMPLES: &str = "\
Examples:
  blockhouse policy apply policies/
  blockhouse policy apply policies/ --dry-run \\
      --node 10.0.0.5:5557 --node 10.0.0.6:5557

Exit codes: 0 in force on all nodes; 1 not on all, and it says on which; 2 wrong arguments.";

/// What to put in force, and where.
#[derive(Debug, clap::Args)]
pub(super) struct ApplyArgs {
    /// The directory
    dir: PathBuf,
    /// Have the nodes judge it, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    mode: ModeArg,
    #[command(flatten)]
    nodes: NodeArgs,
}

/// Which nodes.
#[derive(Debug, clap::Args)]
pub(super) struct ChangeArgs {
    #[command(flatten)]
    nodes: NodeArgs,
}

type Outcome = (String, anyhow::Result<Value>);

/// Puts a directory in force.
pub(super) fn apply(args: &ApplyArgs, as_json: bool) -> anyhow::Result<()> {
    let files = files(&args.dir)?;
    // What no node would take is told here, where the files are.
    Policies::load(&files, args.mode.mode())?;
    let request = ApplyRequest { files, dry_run: args.dry_run };
    let bytes = serde_json::to_vec(&request)?.len();
    anyhow::ensure!(
        bytes <= BODY_MAX,
        "the set is over {BODY_MAX} bytes: put it into the nodes' own directories and send them SIGHUP"
    );
    each(&args.nodes, as_json, |node| node.post("/v1/policy/apply", &request))
}

/// Rolls back, or reloads.
pub(super) fn change(args: &ChangeArgs, what: &str, as_json: bool) -> anyhow::Result<()> {
    each(&args.nodes, as_json, |node| node.post(&format!("/v1/policy/{what}"), &json!({})))
}

/// What is in force.
pub(super) fn show(args: &ChangeArgs, as_json: bool) -> anyhow::Result<()> {
    each(&args.nodes, as_json, |node| node.get("/v1/policy"))
}

fn each(
    nodes: &NodeArgs,
    as_json: bool,
    ask: impl Fn(&Node) -> anyhow::Result<Value>,
) -> anyhow::Result<()> {
    let nodes = nodes.nodes()?;
    let outcomes: Vec<Outcome> =
        nodes.iter().map(|node| (node.authority.clone(), ask(node))).collect();
    let mut table = Table::new(&["node", "generation", "rules", "tests", "mode", "from", "digest"]);
    for (node, outcome) in &outcomes {
        let Ok(report) = outcome else { continue };
        let text = |name: &str| match &report[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let digest = crate::plugin::node::short(&text("digest"));
        let cells = ["generation", "rules", "tests", "mode", "source"].map(text);
        table.row([node.clone()].into_iter().chain(cells).chain([digest]));
    }
    let of = |(node, outcome): &Outcome| match outcome {
        Ok(report) => json!({ "node": node, "report": report }),
        Err(error) => json!({ "node": node, "error": crate::sentence(error) }),
    };
    let json = json!({ "nodes": outcomes.iter().map(of).collect::<Vec<_>>() });
    let text = if table.is_empty() { String::new() } else { table.to_string() };
    print(as_json, &text, &json)?;
    let failed: Vec<String> =
        outcomes.iter().filter_map(|(_, o)| o.as_ref().err().map(crate::sentence)).collect();
    let (many, all) = (failed.len(), outcomes.len());
    match failed.as_slice() {
        [] => Ok(()),
        [one] if all == 1 => anyhow::bail!("{one}"),
        _ => anyhow::bail!("{many} of {all} nodes did not do it:\n  {}", failed.join("\n  ")),
    }
}
