//! What the process says about itself: lines on stderr.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use crate::Error;

/// Section `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter by crate such as
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

/// Sends what the process logs to stderr. Call it once; a second call changes nothing.
///
/// # Errors
/// If the level is not one.
pub fn start(config: &Config) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&config.level).map_err(|e| Error::LogLevel(e.to_string()))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // An error means that somebody has installed a subscriber before: tests do.
    let _installed_before = match config.format {
        Format::Plain => lines.with_ansi(terminal).try_init(),
        Format::Json => lines.json().flatten_event(true).try_init(),
    };
    Ok(())
}
