//! Lines of guests in the node's log, so many per second.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_model::Clock;

use parking_lot::Mutex;

use crate::contract::imported::log::{Field, Level};
use crate::ring::Ring;

const LINES_PER_SECOND: u32 = 100;
const LINE_MAX: usize = 1 << 10;

/// The allowance of a binding.
#[derive(Default)]
pub(crate) struct Lines {
    second: Mutex<Second>,
    /// The last of them are kept here.
    ring: Arc<Ring>,
}

#[derive(Default)]
struct Second {
    number: u64,
    written: u32,
    lost: u64,
}

pub(crate) fn enabled(level: Level) -> bool {
    match level {
        Level::Trace => tracing::enabled!(target: "plugin", tracing::Level::TRACE),
        Level::Debug => tracing::enabled!(target: "plugin", tracing::Level::DEBUG),
        Level::Info => tracing::enabled!(target: "plugin", tracing::Level::INFO),
        Level::Warn => tracing::enabled!(target: "plugin", tracing::Level::WARN),
        Level::Error => tracing::enabled!(target: "plugin", tracing::Level::ERROR),
    }
}

const fn name(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

impl Lines {
    pub(crate) fn kept_in(ring: Arc<Ring>) -> Self {
        Self { second: Mutex::default(), ring }
    }

    /// What the host says of the plugin, for those who read its lines.
    pub(crate) fn note(&self, clock: &dyn Clock, text: &str) {
        self.ring.push(clock.now().0, "host", clean(text, &[]));
    }

    pub(crate) fn write(
        &self,
        plugin: &str,
        clock: &dyn Clock,
        level: Level,
        line: &str,
        fields: &[Field],
    ) {
        let Some(lost) = self.take(clock.monotonic()) else { return };
        if lost > 0 {
            tracing::warn!(target: "plugin", plugin, "{lost} lines of it were too many and are lost");
        }
        let text = clean(line, fields);
        self.ring.push(clock.now().0, name(level), text.clone());
        match level {
            Level::Trace => tracing::trace!(target: "plugin", plugin, "{text}"),
            Level::Debug => tracing::debug!(target: "plugin", plugin, "{text}"),
            Level::Info => tracing::info!(target: "plugin", plugin, "{text}"),
            Level::Warn => tracing::warn!(target: "plugin", plugin, "{text}"),
            Level::Error => tracing::error!(target: "plugin", plugin, "{text}"),
        }
    }

    /// Takes one of this second's lines. Gives how many were lost since the last one that was
    /// written in another second.
    fn take(&self, now: Duration) -> Option<u64> {
        let mut second = self.second.lock();
        let mut lost = 0;
        if second.number != now.as_secs() {
            lost = std::mem::take(&mut second.lost);
            *second = Second { number: now.as_secs(), written: 0, lost: 0 };
        }
        if second.written == LINES_PER_SECOND {
            second.lost += 1;
            return None;
        }
        second.written += 1;
        Some(lost)
    }
}

/// One line of printable text, not longer than is good for it.
fn clean(line: &str, fields: &[Field]) -> String {
    let mut text = String::with_capacity(line.len().min(LINE_MAX));
    push(&mut text, line);
    for field in fields {
        push(&mut text, " ");
        push(&mut text, &field.name);
        push(&mut text, "=");
        push(&mut text, &field.value);
    }
    text
}

fn push(text: &mut String, piece: &str) {
    for c in piece.chars() {
        if text.len() >= LINE_MAX {
            return;
        }
        if c.is_control() {
            // Writing to a String does not fail.
            let _always_ok = write!(text, "{}", c.escape_default());
        } else {
            text.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_lines_per_second_and_the_loss_is_told() {
        let lines = Lines::default();
        let at = Duration::from_secs;
        assert_eq!((0..103).filter(|_| lines.take(at(1)).is_some()).count(), 100);
        assert_eq!(lines.take(at(2)), Some(3));
        assert_eq!(lines.take(at(2)), Some(0));
    }

    #[test]
    fn terminals_are_safe_from_it() {
        let fields = [Field { name: "k".to_owned(), value: "v\n".to_owned() }];
        assert_eq!(clean("a\u{1b}[31m", &fields), "a\\u{1b}[31m k=v\\n");
        assert!(clean(&"x".repeat(5_000), &fields).len() <= LINE_MAX);
    }
}
