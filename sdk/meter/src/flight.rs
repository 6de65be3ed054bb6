//! What the flight recorder is told: requests that were answered, as they are answered.
//!
//! The recorder itself is `sdk/flight`. Whoever answers requests reaches it here, if there is one.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::Duration;

use crate::catalogue as c;
use crate::spans::Stages;
use crate::{Counter, Sample};

/// A topic, a group or a client, as a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NameNumber(pub u32);

impl NameNumber {
    /// No name, or not the same for all requests of a record.
    pub const NONE: Self = Self(0);
}

/// What requests were about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The topic.
    pub topic: NameNumber,
    /// The producer's or the consumer's group.
    pub group: NameNumber,
    /// What whoever asked calls itself, where the request says so.
    pub client: NameNumber,
    /// Why they were refused, in short: of the first that was.
    pub reason: NameNumber,
    /// The queue, if it is one.
    pub queue: Option<u32>,
    /// Messages that they brought, or got.
    pub messages: u32,
    /// Bytes of those.
    pub bytes: u64,
    /// The trace that they belong to; 0 for none.
    pub trace_id: u128,
    /// What the time went to, where that is known.
    pub stages: Stages,
}

impl Subject {
    /// Of two requests of one record: what they do not have in common is none.
    pub fn join(&mut self, next: &Self) {
        if self.topic != next.topic {
            self.topic = NameNumber::NONE;
        }
        if self.group != next.group {
            self.group = NameNumber::NONE;
        }
        if self.client != next.client {
            self.client = NameNumber::NONE;
        }
        if self.reason == NameNumber::NONE {
            self.reason = next.reason;
        }
        if self.queue != next.queue {
            self.queue = None;
        }
        if self.trace_id == 0 {
            self.trace_id = next.trace_id;
        }
        self.messages = self.messages.saturating_add(next.messages);
        self.bytes = self.bytes.saturating_add(next.bytes);
    }
}

/// Requests of one burst that were answered alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlightRecord {
    /// When they were answered, on the monotonic clock.
    pub ended: Duration,
    /// How long that took.
    pub total: Duration,
    /// What was asked.
    pub request: i32,
    /// What was answered.
    pub response: i32,
    /// How many they are.
    pub requests: u32,
    /// They waited for messages.
    pub is_held: bool,
    /// They waited for something else: for the disk, or for a hook.
    pub is_late: bool,
    /// No answer was wanted.
    pub is_one_way: bool,
    /// From where.
    pub peer: SocketAddr,
    /// The connection.
    pub connection: u64,
    /// What the client calls itself.
    pub client: NameNumber,
    /// What they were about.
    pub subject: Subject,
}

/// Keeps what it is told. Called on the data path: it neither waits nor allocates, but for a name that
/// it has not heard lately.
pub trait Recorder: Send + Sync + Debug {
    /// The number of a name.
    fn name(&self, text: &str) -> NameNumber;

    /// The name of a number, if it is still known.
    fn text(&self, number: NameNumber) -> Option<String>;

    /// Keeps a record.
    fn record(&self, record: &FlightRecord);
}

/// Which requests become lines of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoggedRequests {
    /// Those that take at least so long, but for those that wait for messages.
    pub slow: Option<Duration>,
    /// Those that are refused.
    pub refused: bool,
}

/// Why the records are copied to a file that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyCause {
    /// Somebody asked for it.
    Command,
    /// So did a signal.
    Signal,
    /// A task panicked.
    Panic,
    /// Requests became slow.
    Latency,
}

impl CopyCause {
    /// All, in the order of [`CopyCounts`].
    pub const ALL: [Self; 4] = [Self::Command, Self::Signal, Self::Panic, Self::Latency];

    /// As metrics and names of files have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Signal => "signal",
            Self::Panic => "panic",
            Self::Latency => "latency",
        }
    }

    /// Whether the node makes them by itself.
    #[must_use]
    pub const fn is_own(self) -> bool {
        matches!(self, Self::Panic | Self::Latency)
    }
}

/// Copies that were made, by why.
#[derive(Debug, Default)]
pub struct CopyCounts([Counter; CopyCause::ALL.len()]);

impl CopyCounts {
    /// One more.
    pub fn add(&self, cause: CopyCause) {
        self.0[cause as usize].add(1);
    }

    pub(crate) fn read(&self, visit: &mut dyn FnMut(&Sample<'_>)) {
        for (cause, counter) in CopyCause::ALL.iter().zip(&self.0) {
            let (labels, value): (&[&str], _) = (&[cause.name()], counter.read() as f64);
            visit(&Sample { metric: &c::FLIGHT_COPIES, labels, value });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_counts_for_its_cause() {
        let counts = CopyCounts::default();
        CopyCause::ALL.into_iter().zip(1..).for_each(|(cause, times)| {
            (0..times).for_each(|_| counts.add(cause));
        });
        let mut read = Vec::new();
        counts.read(&mut |s| read.push(format!("{} {}", s.labels.join(","), s.value)));
        assert_eq!(read, ["command 1", "signal 2", "panic 3", "latency 4"]);
    }

    #[test]
    fn requests_that_differ_have_in_common_what_they_have() {
        let one = Subject {
            topic: NameNumber(1),
            group: NameNumber(2),
            queue: Some(3),
            messages: 4,
            bytes: 5,
            ..Subject::default()
        };
        let mut all = one;
        all.join(&Subject { trace_id: 9, ..one });
        assert_eq!(all, Subject { messages: 8, bytes: 10, trace_id: 9, ..one });
        all.join(&Subject { topic: NameNumber(7), queue: None, trace_id: 8, ..one });
        let left = Subject { topic: NameNumber::NONE, queue: None, messages: 12, bytes: 15, ..all };
        assert_eq!((all, all.trace_id), (left, 9));
        all.join(&Subject { reason: NameNumber(5), ..one });
        assert_eq!((all.topic, all.queue), (NameNumber::NONE, None), "it stays so");
        all.join(&Subject { reason: NameNumber(6), client: NameNumber(4), ..one });
        assert_eq!((all.reason, all.client), (NameNumber(5), NameNumber::NONE));
    }
}
