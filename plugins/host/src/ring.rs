//! The last lines of a plugin, for those who look at a running node.

use std::collections::VecDeque;

use parking_lot::Mutex;
use serde::Serialize;

/// Lines that are kept.
const LINES_MAX: usize = 1_000;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// Its number; each has one more than the one before.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// `trace` to `error` as the plugin says, or `host` for what the host says of it.
    pub level: &'static str,
    /// The text, without control characters.
    pub text: String,
}

/// The lines of one binding, whatever its version.
#[derive(Debug, Default)]
pub(crate) struct Ring(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    next: u64,
    lines: VecDeque<LogLine>,
}

impl Ring {
    pub(crate) fn push(&self, at_ms: i64, level: &'static str, text: String) {
        let mut ring = self.0.lock();
        ring.next += 1;
        let number = ring.next;
        if ring.lines.len() == LINES_MAX {
            ring.lines.pop_front();
        }
        ring.lines.push_back(LogLine { number, at_ms, level, text });
    }

    /// Lines with greater numbers than `number`, those that came first at most `max`.
    pub(crate) fn after(&self, number: u64, max: usize) -> Vec<LogLine> {
        let ring = self.0.lock();
        let skipped = ring.lines.partition_point(|line| line.number <= number);
        ring.lines.range(skipped..).take(max).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_in_order() {
        let ring = Ring::default();
        for n in 0..1_500 {
            ring.push(n, "info", n.to_string());
        }
        let all = ring.after(0, usize::MAX);
        assert_eq!((all.len(), all[0].number, &*all[0].text), (1_000, 501, "500"));
        let some = ring.after(1_498, usize::MAX);
        assert_eq!(some.iter().map(|line| line.number).collect::<Vec<_>>(), [1_499, 1_500]);
        assert_eq!(ring.after(0, 3).len(), 3);
        assert!(ring.after(1_500, 9).is_empty());
        assert!(ring.after(u64::MAX, 9).is_empty());
    }
}
