//! Requests that wait for their answer, by who would serve them in RocketMQ.

use crate::catalogue as c;
use crate::{Cells, Sample};

/// RocketMQ's pools of threads, each with a queue whose length its metric tells. Here there are none:
/// what is counted are requests whose answer was not ready when they were handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    /// Sends, and messages that are sent back.
    Send,
    /// What goes on when messages are stored: here that is the send's own.
    AsyncPut,
    /// Pulls.
    Pull,
    /// Acknowledgements of popped messages.
    Ack,
    /// Queries of messages by key and id.
    QueryMessage,
    /// Clients that leave, and questions about subscriptions.
    ClientManager,
    /// Heartbeats.
    Heartbeat,
    /// Pulls of lite consumers.
    LitePull,
    /// Ends of transactions.
    Transaction,
    /// Commits, questions for them, and for members of groups.
    ConsumerManager,
    /// Everything else.
    Admin,
    /// Replies to messages.
    Reply,
}

/// As the label says it, in the order of [`Processor`].
const NAMES: [&str; 12] = [
    "send",
    "async_put",
    "pull",
    "ack",
    "query_message",
    "client_manager",
    "heartbeat",
    "lite_pull",
    "transaction",
    "consumer_manager",
    "admin",
    "reply",
];

/// Requests that wait, by [`Processor`]. Whoever begins and ends does so on any thread, so that a shard
/// alone says nothing.
#[derive(Debug, Default)]
pub struct Watermarks([Cells<1>; NAMES.len()]);

impl Watermarks {
    /// So many more wait.
    pub fn begin(&self, processor: Processor, requests: u32) {
        self.0[processor as usize].add([requests.into()]);
    }

    /// So many of them were answered, or nobody waits for the answer any more.
    pub fn end(&self, processor: Processor, requests: u32) {
        // Cells wrap around, and so do their sums.
        self.0[processor as usize].add([u64::from(requests).wrapping_neg()]);
    }

    /// How many wait now.
    #[must_use]
    pub fn waiting(&self, processor: Processor) -> u64 {
        let [sum] = self.0[processor as usize].read();
        // Shards are read one after the other: an end may be seen before its beginning.
        u64::try_from(sum.cast_signed()).unwrap_or(0)
    }

    pub(crate) fn read(&self, visit: &mut dyn FnMut(&Sample<'_>)) {
        use Processor as P;
        let all = [
            P::Send,
            P::AsyncPut,
            P::Pull,
            P::Ack,
            P::QueryMessage,
            P::ClientManager,
            P::Heartbeat,
            P::LitePull,
            P::Transaction,
            P::ConsumerManager,
            P::Admin,
            P::Reply,
        ];
        for processor in all {
            let (metric, labels) = (&c::PROCESSOR_WATERMARK, &[NAMES[processor as usize]]);
            visit(&Sample { metric, labels, value: self.waiting(processor) as f64 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_here_may_end_elsewhere() {
        let marks = Watermarks::default();
        marks.begin(Processor::Send, 5);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| marks.end(Processor::Send, 1));
            }
        });
        marks.begin(Processor::Reply, 2);
        let mut lines = Vec::new();
        marks.read(&mut |s| lines.push(format!("{} {}", s.labels.join(","), s.value)));
        assert_eq!(lines.len(), 12);
        assert_eq!((lines[0].as_str(), lines[11].as_str()), ("send 1", "reply 2"));
        assert!(lines[1..11].iter().all(|line| line.ends_with(" 0")), "{lines:?}");
        marks.end(Processor::Send, 1);
        assert_eq!(marks.waiting(Processor::Send), 0);
        marks.end(Processor::Send, 1);
        assert_eq!(marks.waiting(Processor::Send), 0, "less than none");
    }
}
