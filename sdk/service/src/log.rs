//! What the process says about itself: lines on stderr.

use blockhouse_model::OptionError;
use blockhouse_telemetry::logs::LogQueue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::Error;

mod export;
mod line;

pub use line::acts;

/// Section `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `error`, `warn`, `info`, `debug`, `trace`, `off`, or a filter by crate such as
    /// `info,blockhouse_store=debug`.
    pub level: String,
    /// How lines look: for people, or one JSON object per line for collectors.
    pub format: Format,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people; in colour on a terminal.
    #[default]
    Plain,
    /// One JSON object per line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: Format::Plain }
    }
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The level is none.
    pub fn validate(&self) -> Result<(), OptionError> {
        let refused = OptionError::new(
            "level",
            "must be one of error, warn, info, debug, trace, off, or a filter by crate such as \
             `info,blockhouse_store=debug`",
        );
        let is_filter = EnvFilter::try_new(&self.level).is_ok();
        // A word alone that is no level would be taken for a crate, and everything else be silent.
        let mut words = self.level.split(',').map(str::trim);
        let is_plain = words.all(|word| word.contains('=') || is_level(word));
        if is_filter && is_plain { Ok(()) } else { Err(refused) }
    }
}

fn is_level(word: &str) -> bool {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
}

/// Sends what the process logs to stderr, and to `also`. Call it once; a second call changes nothing.
///
/// # Errors
/// If the level is not one.
pub fn start(config: &Config, also: Option<LogQueue>) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&config.level).map_err(|e| Error::LogLevel(e.to_string()))?;
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let coloured = terminal && config.format == Format::Plain;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(move || line::Line::new(std::io::stderr(), coloured));
    let lines = match config.format {
        Format::Plain => lines.with_ansi(terminal).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    let also = also.map(export::Exported::to);
    let all = tracing_subscriber::registry().with(lines).with(also).with(filter);
    // An error means that somebody has installed a subscriber before: tests do.
    let _installed_before = all.try_init();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        let is_good = |level: &str| {
            Config { level: level.to_owned(), ..Config::default() }.validate().is_ok()
        };
        for good in ["info", "off", "info,blockhouse_store=debug", "blockhouse_core=trace, warn"] {
            assert!(is_good(good), "{good}");
        }
        for bad in ["bogus", "", "info,", "a=b=c", "blockhouse_store=loud", "info,blockhouse_store"]
        {
            assert!(!is_good(bad), "{bad}");
        }
    }
}
