//! The level of the log, which changes while the process runs.

use std::fmt;
use std::time::Duration;

use blockhouse_model::OptionError;
use parking_lot::Mutex;
use tracing_subscriber::EnvFilter;

use super::parsed;

type Apply = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

/// The level in force, and the one that was configured.
pub struct Level {
    configured: String,
    apply: Apply,
    now: Mutex<Now>,
}

/// A level in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Now {
    /// As `log.level` has it.
    pub level: String,
    /// When it ends and the configured one is back, on the monotonic clock; `None`: at the next start.
    pub until: Option<Duration>,
}

/// Why a level is not in force.
#[derive(Debug, thiserror::Error)]
pub enum LevelError {
    /// It is none.
    #[error("the level {}", .0.rule)]
    Bad(OptionError),
    /// Somebody else has installed what writes the log.
    #[error("the level cannot be changed: {0}")]
    Fixed(String),
}

impl Level {
    pub(super) fn new(configured: &str, apply: Apply) -> Self {
        let now = Now { level: configured.to_owned(), until: None };
        Self { configured: configured.to_owned(), apply, now: Mutex::new(now) }
    }

    /// One that stays: where somebody else has installed what writes the log.
    #[must_use]
    pub fn fixed(configured: &str) -> Self {
        Self::new(configured, Box::new(|_| Err("it is somebody else's".to_owned())))
    }

    /// The one that was configured.
    #[must_use]
    pub fn configured(&self) -> &str {
        &self.configured
    }

    /// The one in force.
    #[must_use]
    pub fn now(&self) -> Now {
        self.now.lock().clone()
    }

    /// Puts a level in force, until `until` if that is given.
    ///
    /// # Errors
    /// It is none, or cannot be changed.
    pub fn set(&self, level: &str, until: Option<Duration>) -> Result<(), LevelError> {
        let filter = parsed(level).map_err(LevelError::Bad)?;
        let mut now = self.now.lock();
        (self.apply)(filter).map_err(LevelError::Fixed)?;
        *now = Now { level: level.to_owned(), until };
        Ok(())
    }

    /// Puts the configured level in force again.
    ///
    /// # Errors
    /// It cannot be changed.
    pub fn reset(&self) -> Result<(), LevelError> {
        self.set(&self.configured, None)
    }

    /// Ends a level whose time is over at `at`; whether there was one.
    pub fn expire(&self, at: Duration) -> bool {
        let is_over = self.now.lock().until.is_some_and(|until| until <= at);
        is_over && self.reset().is_ok()
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Level").field("now", &self.now()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_level_is_in_force_until_its_time_is_over() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&seen);
        let apply = Box::new(move |filter: EnvFilter| {
            told.lock().push(filter.to_string());
            Ok(())
        });
        let level = Level::new("info", apply);
        let at = Duration::from_secs;
        level.set("debug", Some(at(10))).unwrap();
        assert!(!level.expire(at(9)));
        assert_eq!(level.now(), Now { level: "debug".to_owned(), until: Some(at(10)) });
        assert!(level.expire(at(10)));
        assert_eq!((level.now().level.as_str(), level.now().until), ("info", None));
        assert!(!level.expire(at(11)), "it is over already");
        assert!(matches!(level.set("loud", None), Err(LevelError::Bad(_))));
        level.set("info,blockhouse_store=trace", None).unwrap();
        assert!(!level.expire(at(1_000)), "it has no end");
        assert_eq!(seen.lock().as_slice(), ["debug", "info", "blockhouse_store=trace,info"]);
    }

    #[test]
    fn what_cannot_be_changed_says_so_and_stays() {
        let level = Level::new("warn", Box::new(|_| Err("gone".to_owned())));
        assert!(matches!(level.set("debug", None), Err(LevelError::Fixed(_))));
        assert_eq!((level.now().level.as_str(), level.configured()), ("warn", "warn"));
    }
}
