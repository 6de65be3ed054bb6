//! The last requests that were refused, with the reasons that their clients were told.

use std::collections::VecDeque;
use std::net::SocketAddr;

use blockhouse_model::Timestamp;
use parking_lot::Mutex;

/// So many are kept. Those that are alike and follow each other closely take one place.
pub const REFUSALS_MAX: usize = 1_024;
/// What is kept of each text, in bytes.
const TEXT_MAX: usize = 512;
/// How far back one that is alike is looked for: a few clients that take turns are told apart so.
const ALIKE_WITHIN: usize = 8;

/// A request that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When; of several the last time.
    pub at: Timestamp,
    /// What was asked.
    pub request: i32,
    /// What was answered.
    pub answer: i32,
    /// The reason that the client was told.
    pub reason: String,
    /// From where.
    pub peer: SocketAddr,
    /// What the client calls itself; empty if it has not said.
    pub client: String,
    /// The topic; empty if there is none.
    pub topic: String,
    /// The producer's or the consumer's group; empty if there is none.
    pub group: String,
    /// How many were alike: reasons with other numbers in them are.
    pub count: u64,
}

impl Refused {
    fn is_like(&self, other: &Self) -> bool {
        (self.request, self.answer, self.peer.ip())
            == (other.request, other.answer, other.peer.ip())
            && self.client == other.client
            && self.topic == other.topic
            && self.group == other.group
    }

    fn cut(mut self) -> Self {
        for text in [&mut self.reason, &mut self.client, &mut self.topic, &mut self.group] {
            text.truncate(text.floor_char_boundary(TEXT_MAX));
            text.shrink_to_fit();
        }
        self
    }
}

/// The last requests that were refused.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<VecDeque<Refused>>);

impl Refusals {
    /// Keeps one. Where somebody else is at it, it is not kept, nor put together: refusals have counts as well.
    pub fn keep(&self, refused: impl FnOnce() -> Refused) {
        let Some(mut kept) = self.0.try_lock() else { return };
        let refused = refused().cut();
        if let Some(alike) = kept.iter_mut().rev().take(ALIKE_WITHIN).find(|r| r.is_like(&refused))
        {
            *alike = Refused { count: alike.count + refused.count, ..refused };
            return;
        }
        if kept.len() >= REFUSALS_MAX {
            kept.pop_front();
        }
        kept.push_back(refused);
    }

    /// All of them, the oldest first.
    #[must_use]
    pub fn read(&self) -> Vec<Refused> {
        self.0.lock().iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(topic: &str, at: i64) -> Refused {
        Refused {
            at: Timestamp(at),
            request: 310,
            answer: 17,
            reason: format!("come back in {at} ms"),
            peer: ([10, 0, 0, 1], 77).into(),
            client: "c".to_owned(),
            topic: topic.to_owned(),
            group: String::new(),
            count: 1,
        }
    }

    #[test]
    fn those_that_are_alike_take_one_place_and_the_last_reason_stays() {
        let refusals = Refusals::default();
        for at in 0..100 {
            refusals.keep(|| refused("a", at));
            refusals.keep(|| refused("b", at));
        }
        let read = refusals.read();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0], Refused { count: 100, ..refused("a", 99) });
    }

    #[test]
    fn they_are_bounded_in_number_and_length() {
        let refusals = Refusals::default();
        for at in 0..2_000 {
            refusals.keep(|| refused(&format!("{at}{}", "ä".repeat(10_000)), at));
        }
        let read = refusals.read();
        assert_eq!((read.len(), read[0].at), (REFUSALS_MAX, Timestamp(976)));
        assert!(read.iter().all(|refused| refused.topic.capacity() <= TEXT_MAX + 1));
    }
}
