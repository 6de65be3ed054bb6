//! What the log is told of an exporter: changes, and not too many of them.

use std::time::Duration;

/// A collector that comes and goes is told of no more often than this.
const QUIET: Duration = Duration::from_secs(10);

/// How it goes with one kind of exports.
#[derive(Debug)]
pub(crate) struct Story {
    what: &'static str,
    works: bool,
    told: Option<Duration>,
}

impl Story {
    /// Of spans, metrics, ...
    pub(crate) const fn of(what: &'static str) -> Self {
        Self { what, works: true, told: None }
    }

    /// What became of the last request, at this time of the monotonic clock.
    pub(crate) fn goes_on(&mut self, now: Duration, sent: &Result<(), String>) {
        if !self.is_news(now, sent.is_ok()) {
            return;
        }
        let what = self.what;
        match sent {
            Ok(()) => tracing::info!("the collector takes {what} again"),
            Err(trouble) => {
                tracing::warn!(%trouble, "{what} are dropped: the collector does not take them");
            }
        }
    }

    fn is_news(&mut self, now: Duration, works: bool) -> bool {
        let is_quiet = self.told.is_some_and(|told| now.saturating_sub(told) < QUIET);
        if works == self.works || is_quiet {
            return false;
        }
        (self.works, self.told) = (works, Some(now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_once_and_not_too_often() {
        let mut story = Story::of("spans");
        let mut at = |second: u64, works| story.is_news(Duration::from_secs(second), works);
        assert_eq!(
            [at(0, true), at(1, false), at(2, false), at(3, true)],
            [false, true, false, false]
        );
        assert_eq!([at(4, false), at(11, false), at(12, true)], [false, false, true]);
        assert_eq!([at(13, false), at(21, false), at(22, false)], [false, false, true]);
    }
}
