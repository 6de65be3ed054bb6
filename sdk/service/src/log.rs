//! What the process says about itself: lines on stderr.

use std::sync::Arc;

use blockhouse_model::OptionError;
use blockhouse_telemetry::logs::LogQueue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::{Error, SystemClock};

mod export;
mod level;
mod line;
mod site;

pub use level::{Level, LevelError, Now};
pub use line::acts;
use site::{Sited, Sites};

/// Section `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `error`, `warn`, `info`, `debug`, `trace`, `off`, or a filter by crate such as
    /// `info,blockhouse_store=debug`.
    pub level: String,
    /// How lines look: for people, or one JSON object per line for collectors.
    pub format: Format,
    /// Lines that one place in the program may write in a second, in the long run; 100 seconds' lines
    /// may come at once. The next line says how many were suppressed. 0: any number. Plugins have
    /// limits of their own.
    #[schemars(range(max = 1_000_000))]
    pub lines_per_second: u32,
    /// Log requests that take at least so long, in milliseconds, but for pulls that wait for messages;
    /// 0 does not.
    pub slow_ms: u64,
    /// Log requests that are refused, with the reason.
    pub refusals: bool,
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
        Self {
            level: "info".to_owned(),
            format: Format::Plain,
            lines_per_second: 10,
            slow_ms: 1_000,
            refusals: true,
        }
    }
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option that is wrong.
    pub fn validate(&self) -> Result<(), OptionError> {
        OptionError::check_range("lines_per_second", &self.lines_per_second, &(0..=1_000_000))?;
        parsed(&self.level).map(drop)
    }
}

/// The filter that a level is.
fn parsed(level: &str) -> Result<EnvFilter, OptionError> {
    let refused = OptionError::new(
        "level",
        "must be one of error, warn, info, debug, trace, off, or a filter by crate such as \
         `info,blockhouse_store=debug`",
    );
    // A word alone that is no level would be taken for a crate, and everything else be silent.
    let mut words = level.split(',').map(str::trim);
    let is_plain = words.all(|word| word.contains('=') || is_level(word));
    EnvFilter::try_new(level).ok().filter(|_| is_plain).ok_or(refused)
}

fn is_level(word: &str) -> bool {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
}

/// Sends what the process logs to stderr and to `also`, and gives the level, to be changed. Call it once;
/// a second call changes nothing, nor does its level.
///
/// # Errors
/// If the level is not one.
pub fn start(config: &Config, also: Option<LogQueue>) -> Result<Arc<Level>, Error> {
    let filter = EnvFilter::try_new(&config.level).map_err(|e| Error::LogLevel(e.to_string()))?;
    let (filter, handle) = reload::Layer::new(filter);
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let (per_second, format) = (config.lines_per_second, config.format);
    let coloured = terminal && format == Format::Plain;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(move || line::Line::new(std::io::stderr(), format, coloured));
    let lines = match format {
        Format::Plain => {
            lines.with_ansi(terminal).map_event_format(|f| sited(f, per_second)).boxed()
        }
        Format::Json => {
            let lines = lines.json().flatten_event(true);
            lines.map_event_format(|f| sited(f, per_second)).boxed()
        }
    };
    let also = also.map(export::Exported::to);
    // An error means that somebody has installed a subscriber before: tests do.
    let _installed_before =
        tracing_subscriber::registry().with(filter).with(lines).with(also).try_init();
    Ok(changeable(config, handle))
}

fn sited<F>(format: F, lines: u32) -> Sited<F> {
    Sited { format, sites: Sites::new(lines), clock: Arc::new(SystemClock::new()) }
}

fn changeable<S: 'static>(config: &Config, handle: Handle<EnvFilter, S>) -> Arc<Level> {
    let apply = move |filter| handle.reload(filter).map_err(|error| error.to_string());
    Arc::new(Level::new(&config.level, Box::new(apply)))
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
