//! What a running node records as traces.

use serde_json::json;

use super::{Answer, ClusterFlags};
use crate::cluster::Table;
use crate::plugin::node::{DEFAULT, Node};
use crate::process::traces::{Knobs, Sampling, TuneRequest};

const PATH: &str = "/v1/telemetry/traces";

pub(super) const EXAMPLES: &str = "\
Examples:
  blockhouse admin telemetry
  blockhouse admin telemetry --head-ratio 1 --slow-ms 50 --minutes 10
  blockhouse admin telemetry --reset --node 10.0.0.5:5557

What is changed goes back by itself to what is configured: after its minutes, or when the node starts again. \
It is for messages, and questions to a name server, that come without a `traceparent`, but for the topics \
that `telemetry.traces.rules` names.";

/// What to record for a while.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Record this part of what comes without a `traceparent`: 0 to 1
    #[arg(long, value_name = "RATIO", requires = "minutes")]
    head_ratio: Option<f64>,
    /// Record what takes so long, in milliseconds; 0 does not
    #[arg(long, value_name = "MS", requires = "minutes")]
    slow_ms: Option<u64>,
    /// Record what is refused or fails
    #[arg(long, value_name = "BOOL", requires = "minutes")]
    errors: Option<bool>,
    /// For so many minutes; each of the options above needs it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_440))]
    minutes: Option<u64>,
    /// Record what is configured, at once
    #[arg(long, conflicts_with_all = ["head_ratio", "slow_ms", "errors", "minutes"])]
    reset: bool,
    /// The ops listener of the broker or name server: HOST:PORT, or http(s)://HOST:PORT
    #[arg(long, visible_alias = "ops", value_name = "URL", default_value = DEFAULT)]
    node: String,
}

/// Shows what is recorded, after it was changed if it is to be.
pub(super) fn run(args: &Args, flags: &ClusterFlags) -> anyhow::Result<Answer> {
    let node = Node::reached(&args.node, flags.timeout_ms, &flags.tls, &flags.identity)?;
    let Args { head_ratio, slow_ms, errors, minutes, reset, .. } = *args;
    let sampling: Sampling = if reset || minutes.is_some() {
        node.post(PATH, &TuneRequest { head_ratio, slow_ms, errors, minutes })?
    } else {
        node.get(PATH)?
    };
    let mut table = Table::new(&["", "head ratio", "slow", "errors"]);
    let row = |name: &str, knobs: &Knobs| {
        let slow = match knobs.slow_ms {
            0 => "-".to_owned(),
            ms => format!("{ms} ms"),
        };
        [name.to_owned(), knobs.head_ratio.to_string(), slow, knobs.errors.to_string()]
    };
    if let Some(seconds) = sampling.seconds_left {
        table.row(row(&format!("for {seconds} s"), &sampling.now));
    }
    table.row(row("configured", &sampling.configured));
    Ok(Answer::table(&table, "", json!(sampling)))
}
