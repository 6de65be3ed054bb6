//! Looking at a node again and again.

use std::io::IsTerminal as _;
use std::time::Duration;

use blockhouse_model::Clock as _;
use blockhouse_service::SystemClock;

use crate::out;

/// Cursor to the upper left, and nothing below it.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

/// How often.
#[derive(Debug, clap::Args)]
pub(crate) struct Looks {
    /// Look once and end
    #[arg(long)]
    once: bool,
    /// Milliseconds between two looks
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(100..))]
    interval_ms: u64,
}

impl Looks {
    /// Looks until ctrl-C, or until nobody reads. `tell` says what two looks mean, with the time between them;
    /// what it says replaces what it said before, on a terminal and unless it is JSON.
    pub(crate) fn each<T>(
        &self,
        as_json: bool,
        look: impl Fn() -> anyhow::Result<T>,
        tell: impl Fn(&T, &T, Duration) -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        let clock = SystemClock::new();
        let clears = std::io::stdout().is_terminal() && !self.once && !as_json;
        let (mut before, mut at) = (look()?, clock.monotonic());
        loop {
            std::thread::park_timeout(Duration::from_millis(self.interval_ms));
            let (now, then) = (look()?, clock.monotonic());
            let text = tell(&before, &now, then.saturating_sub(at))?;
            let text = if clears { format!("{CLEAR}{text}") } else { text };
            if !out::try_line(text.trim_end_matches('\n')) || self.once {
                return Ok(());
            }
            (before, at) = (now, then);
        }
    }
}
