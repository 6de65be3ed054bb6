//! What a node does, again and again.

mod view;

use crate::looks::Looks;
use crate::plugin::node::NodeArg;
use crate::process::clients::Clients;
use crate::samples::Samples;
use view::{Order, View};

pub(crate) const EXAMPLES: &str = "\
Examples:
  blockhouse top
  blockhouse top --ops 10.0.0.5:5557 --rows 20
  blockhouse top --once --json
  blockhouse top --once --sort stored

Rates are of the time between two looks; with --once, between two looks a second apart.";

/// Which node, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    looks: Looks,
    /// Rows of each table, the busiest first
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    rows: u16,
    /// What comes first of the topics
    #[arg(long, value_name = "ORDER", default_value = "messages")]
    sort: Order,
    /// Print JSON, a line for each look
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    node: NodeArg,
}

/// Looks and tells until ctrl-C, or until nobody reads.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let node = args.node.node()?;
    let look = || {
        let samples = Samples::parse(&node.page("/metrics")?);
        // A node may not have them, or not tell everybody: the rest is worth a look all the same.
        let clients: Clients = node.get("/v1/clients").unwrap_or_default();
        anyhow::Ok((samples, clients))
    };
    args.looks.each(args.json, look, |(before, _), (now, clients), time| {
        let view = View::between(before, now, time, args.sort).with_clients(clients);
        if args.json {
            return Ok(serde_json::to_string(&view)?);
        }
        Ok(view.text(&node.authority, args.rows.into()))
    })
}
