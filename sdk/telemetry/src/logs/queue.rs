//! Events of the log that wait to be exported.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use blockhouse_meter::LogCounts;
use blockhouse_meter::spans::DropReason;

/// Longest text of an event; what is longer is cut.
pub const TEXT_LEN_MAX: usize = 4 << 10;

/// Parts of a process that the exporter itself makes work for: what they say would make more of it.
const OWN: [&str; 7] = ["h2", "hyper", "hyper_util", "opentelemetry", "rustls", "tonic", "tower"];

/// Something that was logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// When, in milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// How bad it is.
    pub level: tracing::Level,
    /// Which part of the process says it.
    pub target: &'static str,
    /// The sentence.
    pub text: String,
    /// What it names beside it.
    pub fields: Vec<(&'static str, String)>,
}

impl LogEvent {
    /// As much of a text as is kept.
    #[must_use]
    pub fn cut(mut text: String) -> String {
        text.truncate(text.floor_char_boundary(TEXT_LEN_MAX));
        text
    }
}

/// Takes events, and never waits.
#[derive(Clone, Debug)]
pub struct LogQueue {
    events: SyncSender<LogEvent>,
    counts: Arc<LogCounts>,
}

impl LogQueue {
    /// A queue for so many events, for whoever has the other end.
    #[must_use]
    pub fn new(len: usize) -> (Self, Receiver<LogEvent>) {
        let (events, waiting) = sync_channel(len.max(1));
        (Self { events, counts: Arc::default() }, waiting)
    }

    /// What became of them.
    #[must_use]
    pub const fn counts(&self) -> &Arc<LogCounts> {
        &self.counts
    }

    /// Whether what this part of the process says is exported.
    #[must_use]
    pub fn takes(target: &str) -> bool {
        let part = target.split("::").next().unwrap_or(target);
        !OWN.iter().any(|own| part == *own || part.starts_with("opentelemetry"))
    }

    /// Takes an event, if there is room.
    pub fn push(&self, event: LogEvent) {
        if self.events.try_send(event).is_err() {
            self.counts.lose(DropReason::Queue, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_and_counts() {
        let (queue, waiting) = LogQueue::new(2);
        let event = |text: &str| LogEvent {
            at_ms: 1,
            level: tracing::Level::INFO,
            target: "x",
            text: LogEvent::cut(text.to_owned()),
            fields: Vec::new(),
        };
        (0..5).for_each(|_| queue.push(event("é".repeat(TEXT_LEN_MAX).as_str())));
        assert_eq!(queue.counts().lost(DropReason::Queue), 3);
        assert_eq!(waiting.try_iter().map(|e| e.text.len()).collect::<Vec<_>>(), [TEXT_LEN_MAX; 2]);
    }

    #[test]
    fn exporting_does_not_make_more_to_export() {
        for own in
            ["h2::codec", "hyper_util", "hyper::client", "opentelemetry_sdk", "tonic", "tower"]
        {
            assert!(!LogQueue::takes(own), "{own}");
        }
        assert!(LogQueue::takes("blockhouse_broker::server"));
    }
}
