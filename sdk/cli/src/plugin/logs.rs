//! What a plugin writes, from a running node.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::node::{self, NodeArg};
use crate::out;

pub(super) const EXAMPLES: &str = "\
Examples:
  blockhouse plugin logs orders-guard
  blockhouse plugin logs orders-guard --follow

A node keeps the last 1000 lines of each plugin, over its versions. Lines of level `host` are the node's: why \
calls failed, and when a version was taken back.";

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(500);

/// Whose lines.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The binding's name
    name: String,
    /// Go on until ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Only lines with a greater number than this
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,
    #[command(flatten)]
    node: NodeArg,
}

#[derive(Debug, Deserialize)]
struct Answer {
    lines: Vec<Line>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    number: u64,
    at_ms: i64,
    level: String,
    text: String,
}

/// Prints lines; with --json each is an object of its own.
pub(super) fn run(args: &Args, as_json: bool) -> anyhow::Result<()> {
    let name = node::name(&args.name)?;
    let node = args.node.node()?;
    let mut after = args.after;
    loop {
        let answer: Answer = node.get(&format!("/v1/plugins/{name}/logs?after={after}"))?;
        for line in &answer.lines {
            after = line.number;
            let text = if as_json {
                serde_json::to_string(line)?
            } else {
                format!("{} {:<5} {}", time(line.at_ms), line.level, out::foreign(&line.text))
            };
            if !out::try_line(&text) {
                return Ok(());
            }
        }
        if !args.follow {
            return Ok(());
        }
        if answer.lines.is_empty() {
            std::thread::park_timeout(PAUSE);
        }
    }
}

/// The time of day, in UTC.
fn time(at_ms: i64) -> String {
    let (seconds, ms) = (at_ms.div_euclid(1_000).rem_euclid(86_400), at_ms.rem_euclid(1_000));
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_of_the_day() {
        assert_eq!(time(86_400_000 + 3_723_004), "01:02:03.004");
        assert_eq!(time(-1), "23:59:59.999");
    }
}
