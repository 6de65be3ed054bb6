//! What a node does, again and again.

mod view;

use std::io::IsTerminal as _;
use std::time::Duration;

use blockhouse_model::Clock as _;
use blockhouse_service::SystemClock;

use crate::out;
use crate::plugin::node::NodeArg;
use crate::samples::Samples;
use view::View;

pub(crate) const EXAMPLES: &str = "\
Examples:
  blockhouse top
  blockhouse top --ops 10.0.0.5:5557 --rows 20
  blockhouse top --once --json

Rates are of the time between two looks; with --once, between two looks a second apart.";

/// Cursor to the upper left, and nothing below it.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

/// Which node, and how often.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Look once and end
    #[arg(long)]
    once: bool,
    /// Milliseconds between two looks
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(100..))]
    interval_ms: u64,
    /// Rows of each table, the busiest first
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    rows: u16,
    /// Print JSON, a line for each look
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    node: NodeArg,
}

/// Looks and tells until ctrl-C, or until nobody reads.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let node = args.node.node()?;
    let clock = SystemClock::new();
    let clears = std::io::stdout().is_terminal() && !args.once && !args.json;
    let look = || anyhow::Ok((Samples::parse(&node.text("/metrics")?), clock.monotonic()));
    let (mut before, mut at) = look()?;
    loop {
        std::thread::park_timeout(Duration::from_millis(args.interval_ms));
        let (now, then) = look()?;
        let view = View::between(&before, &now, then.saturating_sub(at));
        let text = if args.json {
            serde_json::to_string(&view)?
        } else {
            let text = view.text(&node.authority, args.rows.into());
            if clears { format!("{CLEAR}{text}") } else { text }
        };
        if !out::try_line(text.trim_end_matches('\n')) || args.once {
            return Ok(());
        }
        (before, at) = (now, then);
    }
}
