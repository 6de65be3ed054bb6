//! The level of a running node's log.

use blockhouse_model::delay::length;
use blockhouse_service::log::Config;
use serde_json::json;

use super::{Answer, ClusterFlags};
use crate::plugin::node::{DEFAULT, Node};
use crate::process::log::{LevelAnswer, LevelRequest};
use crate::wrong_use;

pub(super) const EXAMPLES: &str = "\
Examples:
  blockhouse admin log
  blockhouse admin log debug --for 10m
  blockhouse admin log info,blockhouse_store=trace --for 5m \\
      --node 10.0.0.5:5557
  blockhouse admin log --reset";

/// Which level.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// As the option `log.level` has it: error, warn, info, debug, trace, off, or a filter by crate;
    /// without it, the level is shown
    level: Option<String>,
    /// Put the configured level in force again after so long (`30s`, `10m`, `2h`); otherwise it stays
    /// until the next start
    #[arg(long = "for", value_name = "TIME", requires = "level")]
    lasts: Option<String>,
    /// Put the configured level in force again
    #[arg(long, conflicts_with = "level")]
    reset: bool,
    /// The node's ops listener: HOST:PORT, or http(s)://HOST:PORT
    #[arg(long, visible_alias = "ops", value_name = "URL", default_value = DEFAULT)]
    node: String,
}

/// Shows or changes it.
pub(super) fn run(args: &Args, flags: &ClusterFlags) -> anyhow::Result<Answer> {
    let for_ms = match &args.lasts {
        None => None,
        Some(text) => {
            let bad = || wrong_use(format!("--for {text}: give a time such as 30s, 10m or 2h"));
            let lasts = length(text).ok_or_else(bad)?;
            Some(u64::try_from(lasts.as_millis()).map_err(|_| bad())?)
        }
    };
    if let Some(level) = &args.level {
        let config = Config { level: level.clone(), ..Config::default() };
        config.validate().map_err(|error| wrong_use(format!("the {error}")))?;
    }
    let node = Node::reached(&args.node, flags.timeout_ms, &flags.tls, &flags.identity)?;
    let answer: LevelAnswer = if args.level.is_some() || args.reset {
        node.post("/v1/log", &LevelRequest { level: args.level.clone(), for_ms })?
    } else {
        node.get("/v1/log")?
    };
    let LevelAnswer { level, configured, ends_in_ms } = &answer;
    let ends = ends_in_ms.map(|ms| format!(" for {} s", ms.div_ceil(1_000))).unwrap_or_default();
    let line = format!("{level}{ends} (configured: {configured})");
    Ok(Answer::done(&line, json!(answer)))
}
